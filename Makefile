# Thin: each target is a command that anyone could type.
.PHONY: demo test test-rust test-contracts lint deny contracts bench peers clean-skips

CARGO ?= cargo
SWORN_SKIP_LOG ?= $(CURDIR)/target/skipped-tests.log
export SWORN_SKIP_LOG

## The whole system on the embedded chain with the shipped model. Ctrl-C ends it.
demo:
	$(CARGO) run --locked --release -p sworn-node --bin sworn -- demo

## Everything that must hold: style, lints, docs, contracts, Rust tests, clients and foreign chains.
test: lint contracts-deps test-contracts test-rust
	@if [ -s "$(SWORN_SKIP_LOG)" ]; then echo "skipped data tests: $$(wc -l < "$(SWORN_SKIP_LOG)")"; cat "$(SWORN_SKIP_LOG)"; else echo "skipped data tests: 0"; fi

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

test-rust:
	@mkdir -p target && rm -f "$(SWORN_SKIP_LOG)"
	$(CARGO) test --locked --workspace

contracts-deps:
	cd contracts && npm ci --no-audit --no-fund
	cd tests/clients && npm ci --no-audit --no-fund

test-contracts:
	bash contracts/scripts/check.sh

## Rebuilds the committed contract artifacts and the constants generated from prover/machine.toml.
contracts:
	$(CARGO) run --locked -p sworn-tests --bin constants
	cd contracts && npm ci --no-audit --no-fund && node scripts/artifacts.mjs

## Licences, sources and duplicates of the dependencies.
deny:
	command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny@0.20.2
	$(CARGO) deny --locked check licenses bans sources

## Speed against a straightforward f32 forward pass in C, in one run.
bench:
	$(CARGO) bench --locked -p sworn-inference
