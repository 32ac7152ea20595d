//! What the project's tests share: the generator of constants, the test vectors, and where things lie.
#![forbid(unsafe_code)]

use std::path::PathBuf;

pub mod constants;
#[cfg(feature = "machine")]
pub mod process;
#[cfg(feature = "machine")]
pub mod vectors;

/// The root of the repository.
#[must_use]
pub fn repository_root() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map_or_else(|| tests.clone(), PathBuf::from)
}
