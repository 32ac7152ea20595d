# Thin: each target is a command that anyone could type.
.PHONY: demo test lint test-contracts test-rust test-walk-through clocks aarch64 contracts gas deny bench bench-table bench-profile bench-cuda

CARGO ?= cargo
SWORN_SKIP_LOG ?= $(CURDIR)/target/skipped-tests.log
export SWORN_SKIP_LOG

## The whole system on the embedded chain with the shipped model. Ctrl-C ends it.
demo:
	$(CARGO) run --locked --release -p sworn-node --bin sworn -- demo

## Everything that must hold: style, lints, docs, contracts, Rust tests, clients and foreign chains.
test: lint test-contracts test-rust test-walk-through
	@if [ -s "$(SWORN_SKIP_LOG)" ]; then echo "skipped tests: $$(wc -l < "$(SWORN_SKIP_LOG)")"; cat "$(SWORN_SKIP_LOG)"; else echo "skipped tests: 0"; fi

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

# After test-contracts, which installs anvil and cast.
test-rust:
	@mkdir -p target && rm -f "$(SWORN_SKIP_LOG)"
	cd tests/clients && npm ci --no-audit --no-fund
	$(CARGO) test --locked --workspace
	$(CARGO) run --locked -q -p sworn-differential --bin disputes -- --check

## The README's walk-through, and its exports in Hugging Face datasets.
test-walk-through:
	$(CARGO) test --locked --workspace --no-run --quiet
	tests/peers/walk_through.sh target/debug/sworn

test-contracts:
	bash contracts/scripts/check.sh

## The model of the challenges' clocks and payments, explored exhaustively. Needs spin and a C compiler.
clocks:
	prover/clocks/check.sh

## The engine for AArch64 and its NEON backends, under qemu. Installs what is missing, or says what can't be had.
aarch64:
	inference/scripts/aarch64.sh

## Rebuilds the committed contract artifacts and the constants generated from prover/machine.toml.
contracts:
	$(CARGO) run --locked -p sworn-tests --bin constants
	cd contracts && npm ci --no-audit --no-fund && node scripts/artifacts.mjs

## What whole disputes cost, into contracts/snapshots/disputes.json.
gas:
	$(CARGO) run --locked -p sworn-differential --bin disputes -- --moves

## Licences, sources and duplicates of the dependencies.
deny:
	command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny@0.20.2
	$(CARGO) deny --locked check licenses bans sources

## Speed and accuracy beside llama.cpp and an f32 forward pass in C, in one run; QUICK=1 takes ten minutes once the peers are there. BENCH="shape=15M" and
## the like go to the bench (BENCH=help lists them).
bench:
	inference/examples/bench/install.sh all
	$(CARGO) run --locked --release -p sworn-inference --example bench -- $(if $(QUICK),quick) $(BENCH)

## Writes the last run's table into README.md and its chart into docs/bench.svg.
bench-table:
	$(CARGO) run --locked --release -p sworn-inference --example bench -- table

## Where the time of a decode step goes, into docs/profile.md.
bench-profile:
	$(CARGO) run --locked --release -p sworn-inference --example bench -- profile $(BENCH)

## Speed of a GPU on an 8B shape beside its copies, once its bits equal the processor's. shape=1.1B and the like go to it (BENCH=shape=1.1B).
bench-cuda:
	$(CARGO) run --locked --release -p sworn-cuda --example speed -- $(BENCH)
