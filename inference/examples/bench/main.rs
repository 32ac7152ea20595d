//! Speed and accuracy of the engine beside llama.cpp and a forward pass in C, on the same weights (random, from a seed), in one run. `make bench`.
//!
//! ```text
//! cargo run --release -p sworn-inference --example bench -- help
//! ```
//! Runs are interleaved, one of ours and one of the peer's in turn, and medians are compared: of processor time for one thread, else of time, which other
//! programs disturb. Files are kept in `target/bench`; `install.sh` makes the peers there.

mod accuracy;
mod arguments;
mod chart;
mod machine;
mod measure;
mod models;
mod peer;
mod peers;
mod plan;
mod profile;
mod run;
mod speculation;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arguments::{Arguments, Mode, USAGE};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A path from the project's root.
fn root(path: &str) -> PathBuf {
    let inference = Path::new(env!("CARGO_MANIFEST_DIR"));
    inference.parent().unwrap_or(inference).join(path)
}

fn work(arguments: &Arguments) -> Result<()> {
    let folder = root("target/bench");
    std::fs::create_dir_all(&folder)?;
    match arguments.mode {
        Mode::Measure => run::measure(arguments, &folder),
        Mode::Table => table::write(&folder.join("results.json")),
        Mode::Profile => profile::write(arguments, &folder),
        Mode::Speculation => speculation::print(arguments, &folder),
    }
}

fn main() -> ExitCode {
    let list: Vec<String> = std::env::args().skip(1).collect();
    if list
        .iter()
        .any(|a| matches!(a.as_str(), "help" | "-h" | "--help"))
    {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::parse(list.into_iter()) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("bench: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match work(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
