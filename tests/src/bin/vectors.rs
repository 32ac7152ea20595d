//! Writes the test vectors to `tests/vectors/`.

use std::error::Error;
use std::fs;

use sworn_tests::{repository_root, vectors};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = repository_root().join(vectors::FOLDER);
    fs::create_dir_all(&folder)?;
    for (name, text) in vectors::files()? {
        fs::write(folder.join(&name), text)?;
        println!("wrote {}/{name}", vectors::FOLDER);
    }
    Ok(())
}
