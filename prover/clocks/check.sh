#!/usr/bin/env bash
# Explores the model of the clocks and payments of challenges (clocks.pml) exhaustively: every assertion must hold in every state, and without each of the
# rules of SPEC.md 10.6 spin must find a violation.
#   prover/clocks/check.sh           seconds to a minute
#   prover/clocks/check.sh --deep    also larger trees and more attackers: minutes, up to 4 GiB
# Installs nothing. Needs spin and a C compiler.
set -euo pipefail
cd "$(dirname "$0")"

for tool in spin cc; do
  if ! command -v "$tool" >/dev/null; then
    echo "$tool is missing: on Debian and Ubuntu \`apt-get install spin gcc\`; elsewhere see https://spinroot.com" >&2
    exit 1
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# explore NAME SWITCH...: runs spin in $work/NAME; the result is in $work/NAME/log.
explore() {
  local name=$1
  shift
  mkdir -p "$work/$name"
  cp clocks.pml "$work/$name"
  (
    cd "$work/$name"
    spin "$@" -a clocks.pml >spin.log || { cat spin.log >&2; exit 1; }
    cc -O2 -w -DSAFETY -DNOREDUCE -DVECTORSZ=2048 -DMEMLIM=4000 -o pan pan.c
    ./pan -m1000000 -w24 >log
  )
}

# holds SWITCH...: no violation, and nothing left out.
holds() {
  explore holds "$@"
  local log="$work/holds/log"
  if ! grep -q 'errors: 0$' "$log" || grep -Eq 'max search depth too small|Search not completed|out of memory|reached -DMEMLIM' "$log"; then
    echo "VIOLATION or incomplete with $*:" >&2
    head -3 "$log" >&2
    (cd "$work/holds" && [ -e clocks.pml.trail ] && spin "$@" -t -p -g clocks.pml | tail -100 >&2)
    exit 1
  fi
  echo "holds: $* ($(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$log") states)"
  rm -r "$work/holds"
}

# needs NAME ASSERTION SWITCH...: without the rule, the assertion (a part of its text) is violated.
needs() {
  local name=$1 assertion=$2
  shift 2
  explore needs "$@"
  if ! grep -F 'assertion violated' "$work/needs/log" | grep -qF -- "$assertion"; then
    echo "without $name the model should break \"$assertion\", but:" >&2
    head -3 "$work/needs/log" >&2
    exit 1
  fi
  echo "needed: $name"
  rm -r "$work/needs"
}

right=-DWRONG=0
wrong=-DWRONG=1

holds $right -DDEPTH=1 -DATTACKS=3
holds $right -DDEPTH=2 -DATTACKS=4
holds $right -DDEPTH=3 -DATTACKS=3
holds $right -DDEPTH=4 -DATTACKS=2
holds $wrong -DDEPTH=1 -DATTACKS=2
holds $wrong -DDEPTH=2 -DATTACKS=2
holds $wrong -DDEPTH=3 -DATTACKS=1
# With windows that are long enough for early nodes.
holds $right -DDEPTH=2 -DATTACKS=3 -DLONG
holds $wrong -DDEPTH=2 -DATTACKS=2 -DLONG
if [ "${1:-}" = --deep ]; then
  holds $right -DDEPTH=3 -DATTACKS=4
  holds $wrong -DDEPTH=2 -DATTACKS=3
  holds $wrong -DDEPTH=3 -DATTACKS=2
fi

small="-DDEPTH=2 -DATTACKS=2"
needs "the challengers' time starting at the window's end" "challengers" -DNO_A6 $wrong $small
needs "the deposit of late openings" "account[1]>=" -DNO_A7 $right $small
needs "the grace covering a budget" "account[1]>=" -DGRACE=BUDGET $right $small
needs "pending nodes holding up finality" "!(wrong)" -DNO_PENDING $wrong $small
needs "revealed nodes holding up finality" "!(wrong)" -DNO_ALIVE $wrong $small
needs "inheriting the proposer's seconds" "now<=" -DNO_INHERITANCE_PROPOSER $wrong $small
needs "inheriting the challengers' seconds" "now<=" -DNO_INHERITANCE_CHALLENGERS $right -DDEPTH=3 -DATTACKS=3
needs "what was paid going back when the claim falls" "account[0]>=" -DNO_JUSTICE $wrong $small
needs "the challengers' time in the margin of early nodes" "!(wrong)" -DNO_MARGIN $wrong $small -DLONG
needs "a budget for every opening and the proof" "!(wrong)" -DBUDGET=1 $wrong $small
