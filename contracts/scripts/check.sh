#!/usr/bin/env bash
# Everything that has to hold for the contracts: pinned tools, formatting, artifacts, tests, gas.
#   bash scripts/check.sh            FOUNDRY_PROFILE=deep for longer fuzzing
set -euo pipefail
cd "$(dirname "$0")/.."

npm ci --no-audit --no-fund --loglevel=error
forge() { node bin/foundry.mjs forge "$@"; }

forge fmt --check
node scripts/artifacts.mjs --check
# Fails when a call's gas is not what snapshots/ says; without the variable the tests rewrite the file.
FORGE_SNAPSHOT_CHECK=true forge test "$@"
