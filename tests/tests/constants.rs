//! The generated constants on disk are those of `prover/machine.toml`.

use std::fs;

use sworn_tests::{constants, repository_root};

fn compare(path: &str, expected: &str) {
    let found = fs::read_to_string(repository_root().join(path)).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is not what prover/machine.toml gives; run `{}`",
        constants::COMMAND
    );
}

#[test]
fn generated_constants_are_current() {
    let table = fs::read_to_string(repository_root().join("prover/machine.toml")).unwrap();
    compare(constants::RUST_PATH, &constants::rust(&table).unwrap());
    compare(
        constants::SOLIDITY_PATH,
        &constants::solidity(&table).unwrap(),
    );
}
