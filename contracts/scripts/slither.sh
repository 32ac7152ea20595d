#!/usr/bin/env bash
# Static analysis of src/ with Slither: fails on a finding that docs/slither.md does not answer (list: slither.answered).
#   bash scripts/slither.sh            --write takes what is found into the list
# Needs python3 with venv, and the package index for the first run. About a minute; the report is cache/slither/report.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

SLITHER=0.11.6
CRYTIC_COMPILE=0.4.2
venv="cache/slither-$SLITHER-$CRYTIC_COMPILE"
build=cache/slither

if [ ! -x "$venv/bin/slither" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "slither-analyzer==$SLITHER" "crytic-compile==$CRYTIC_COMPILE"
fi
[ -d node_modules/solc ] || npm ci --no-audit --no-fund --loglevel=error

rm -rf "$build"
node scripts/syntax.mjs "$build/build-info"
# Slither asks `forge config`, and builds nothing.
forge=$(node --input-type=module -e 'import { executable } from "./bin/foundry.mjs"; console.log(executable("forge"));')
if ! PATH="$(dirname "$forge"):$PATH" "$venv/bin/slither" . --ignore-compile --foundry-out-directory "$build" \
  --json "$build/found.json" --disable-color --fail-none >"$build/report.txt" 2>&1; then
  cat "$build/report.txt" >&2
  exit 1
fi
node scripts/findings.mjs "$build/found.json" "$@"
