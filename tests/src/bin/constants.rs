//! Writes the Rust and Solidity constants from `prover/machine.toml`.

use std::error::Error;
use std::fs;

use sworn_tests::{constants, repository_root};

fn main() -> Result<(), Box<dyn Error>> {
    let root = repository_root();
    let table = fs::read_to_string(root.join("prover/machine.toml"))?;
    for (path, text) in [
        (constants::RUST_PATH, constants::rust(&table)?),
        (constants::SOLIDITY_PATH, constants::solidity(&table)?),
    ] {
        let file = root.join(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, text)?;
        println!("wrote {path}");
    }
    Ok(())
}
