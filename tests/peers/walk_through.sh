#!/usr/bin/env bash
# Runs the README's walk-through word for word against `sworn demo`, then loads its exports with Hugging Face datasets.
#   tests/peers/walk_through.sh [path of the sworn binary]
set -euo pipefail
cd "$(dirname "$0")/../.."
sworn=$(realpath "${1:-target/debug/sworn}")
work=$(mktemp -d)
demo=
finish() {
    [ -z "$demo" ] || kill "$demo" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
export SWORN_DATADIR="$work/data"

"$sworn" demo --rpc-port "$(port)" --api-port "$(port)" >"$work/demo.log" 2>&1 &
demo=$!
for _ in $(seq 300); do
    "$sworn" status >/dev/null 2>&1 && break
    kill -0 "$demo" 2>/dev/null || { cat "$work/demo.log"; exit 1; }
    sleep 0.2
done

# The commands are the indented lines of the section.
sed -n '/^## A walk through/,/^## /p' README.md | sed -n 's|^    target/release/sworn ||p' >"$work/commands"
[ -s "$work/commands" ] || { echo "found no commands in the README"; exit 1; }
cd "$work"
while IFS= read -r line; do
    echo "\$ sworn $line"
    eval "\"$sworn\" $line" </dev/null || { echo "failed: sworn $line"; exit 1; }
done <"$work/commands"
"$sworn" export --strict-columns -o strict.jsonl
"$sworn" export --kind conversations -o conversations.jsonl
cd - >/dev/null

[ -x target/peers/bin/python ] || python3 -m venv target/peers
target/peers/bin/python -m pip install --quiet --disable-pip-version-check -r tests/peers/requirements.txt
HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 target/peers/bin/python tests/peers/check_export.py \
    "$work/strict.jsonl" "$work/preferences.jsonl" "$work/conversations.jsonl"
