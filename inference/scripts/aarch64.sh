#!/usr/bin/env bash
# The engine on AArch64, from another processor: compiles and lints it, and runs its backends' tests, the numbers' and the shipped model's golden answers
# under qemu, so that NEON gives the bits of the scalar backend and of the files made elsewhere.
#   inference/scripts/aarch64.sh            minutes
#   inference/scripts/aarch64.sh --all      all tests of the crate, and whether the test vectors come out the same: longer
# Installs what is missing with rustup and apt-get; where that is impossible it says so and ends well, unless SWORN_REQUIRE_AARCH64=1.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=aarch64-unknown-linux-gnu
cargo=${CARGO:-cargo}

skip() {
  echo "SKIP: AArch64 is not checked: $1"
  if [ "${SWORN_REQUIRE_AARCH64:-}" = 1 ]; then exit 1; fi
  exit 0
}

case $(uname -m) in
  aarch64 | arm64)
    echo "this is AArch64: the usual tests cover it"
    exit 0
    ;;
esac

if [ ! -d "$(rustc --print target-libdir --target $target)" ]; then
  rustup target add $target || skip "rustup has no standard library for $target"
fi

if ! command -v qemu-aarch64 >/dev/null || ! command -v aarch64-linux-gnu-gcc >/dev/null || [ ! -e /usr/aarch64-linux-gnu/lib/crt1.o ]; then
  command -v apt-get >/dev/null || skip "it needs qemu-aarch64, aarch64-linux-gnu-gcc and that compiler's C library"
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross; } ||
    skip "apt-get does not give qemu-user and gcc-aarch64-linux-gnu"
fi

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu max,pauth-impdef=on -L /usr/aarch64-linux-gnu"
"$cargo" clippy --locked -p sworn-inference --target $target --all-targets -- -D warnings
if [ "${1:-}" = --all ]; then
  "$cargo" test --locked -p sworn-inference --target $target
  "$cargo" test --locked -p sworn-tests --target $target --test vectors -- vectors_on_disk_are_current
else
  "$cargo" test --locked -p sworn-inference --target $target --lib --test engine --test golden -- \
    backend:: numeric:: a_forced_instruction_set fable_q8_0 fable_ends
fi
