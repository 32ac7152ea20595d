//! Where test data lies. Data that nobody here wrote is not part of the project: tests on it skip when it is absent.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The shipped model's folder.
#[allow(dead_code)] // not every test file uses every helper
pub fn fable() -> PathBuf {
    root().join("models/fable")
}

/// A folder of the external test data, or `None` (and a line that says so) when it is absent.
/// `SWORN_DATA` names the data; the default is `shared/data` beside the project. `SWORN_REQUIRE_DATA=1` makes a skip a failure.
#[allow(dead_code)]
pub fn folder(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("SWORN_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    existing(data.join(name))
}

/// A folder beside the external test data.
#[allow(dead_code)]
pub fn folder_beside(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("SWORN_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    existing(data.join("..").join(name))
}

fn existing(path: PathBuf) -> Option<PathBuf> {
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var("SWORN_REQUIRE_DATA").as_deref() != Ok("1"),
        "SWORN_REQUIRE_DATA=1, and there is no test data at {}",
        path.display()
    );
    println!("SKIP: {}: no test data at {}", std::thread::current().name().unwrap_or("test"), path.display());
    // Output of passing tests is swallowed, so `make test` counts the lines of this file.
    if let Some(log) = std::env::var_os("SWORN_SKIP_LOG") {
        use std::io::Write;
        if let Ok(mut log) = std::fs::OpenOptions::new().create(true).append(true).open(log) {
            let _ = writeln!(log, "{}: no test data at {}", std::thread::current().name().unwrap_or("test"), path.display());
        }
    }
    None
}
