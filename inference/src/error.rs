//! The errors of this crate.

use std::path::PathBuf;

/// What can go wrong between a model file and its tokens. Every message says what was found, what was expected and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A model or tokenizer file is not what it should be.
    #[error("{path}: {what}: found {found}, expected {expected}; {remedy}")]
    BadFile {
        /// The file.
        path: PathBuf,
        /// The field, tensor or key.
        what: String,
        /// What the file has.
        found: String,
        /// What a good file has.
        expected: String,
        /// What the user can do.
        remedy: String,
    },
    /// A parameter of a job is outside its range.
    #[error("{what}: found {found}, expected {expected}")]
    BadParameter {
        /// The parameter.
        what: String,
        /// Its value.
        found: String,
        /// Its range.
        expected: String,
    },
    /// A program breaks a rule of `prover/SPEC.md` section 3.
    #[error(transparent)]
    Program(#[from] crate::program::ProgramError),
    /// The system gives no thread.
    #[error("a thread could not be started: {source}; use fewer threads")]
    Threads {
        /// The system's reason.
        source: std::io::Error,
    },
    /// An accelerator failed.
    #[error("{device}: {what}")]
    Device {
        /// The device.
        device: String,
        /// What failed.
        what: String,
    },
    /// An accelerator has too little memory.
    #[error(
        "{device}: {what} needs {} MiB, {} MiB are free; use a smaller model, or the processor",
        needed.div_ceil(1 << 20), free >> 20
    )]
    DeviceMemory {
        /// The device.
        device: String,
        /// What needs memory.
        what: String,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The caller stopped a generation.
    #[error("the generation was cancelled")]
    Cancelled,
}

impl Error {
    /// A [`Error::BadFile`] of bytes whose file the caller names with [`Error::at`].
    pub(crate) fn bad_file(
        what: impl std::fmt::Display,
        found: impl std::fmt::Display,
        expected: impl std::fmt::Display,
        remedy: impl std::fmt::Display,
    ) -> Error {
        Error::BadFile {
            path: PathBuf::from("(bytes)"),
            what: what.to_string(),
            found: found.to_string(),
            expected: expected.to_string(),
            remedy: remedy.to_string(),
        }
    }

    /// Names the file that a [`Error::BadFile`] is about.
    #[must_use]
    pub fn at(mut self, file: &std::path::Path) -> Error {
        if let Error::BadFile { path, .. } = &mut self {
            *path = file.to_path_buf();
        }
        self
    }
}
