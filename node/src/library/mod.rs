//! Imported models on disk.
//!
//! ```text
//! <datadir>/models/<model id>/    a packed model (see the inference crate) and its card.json
//! <datadir>/models/.import-*/     an import under way; swept by the next one when it died
//! <datadir>/cache/<key>/          packed models of files that were only named by path; key = hash of the files
//! ```
//!
//! An import appears by one rename, so a process killed at any moment leaves either the whole model or none.

mod card;
mod find;
mod import;

use std::path::{Path, PathBuf};

pub use card::{Card, CardFields};
pub use find::looks_like_path;
pub use import::{Added, OnProgress, Phase};

/// Name of the card in a model's folder.
const CARD_FILE: &str = "card.json";

/// What can go wrong with stored models.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}; check that it exists and that this account may use it")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The inference crate refused a file.
    #[error(transparent)]
    Model(#[from] sworn_inference::Error),
    /// The prover crate refused a model.
    #[error(transparent)]
    Commitment(#[from] sworn_prover::Error),
    /// A card is not what this program writes.
    #[error(
        "{path}: found {reason}, expected a card written by `sworn model add`; remove the folder and add the model again"
    )]
    BadCard {
        /// The card.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A field of the card is missing.
    #[error("{what}: found none in {file}, expected {expected}; give {flag}")]
    MissingField {
        /// The field.
        what: &'static str,
        /// The model file.
        file: PathBuf,
        /// A good value.
        expected: &'static str,
        /// The flag that sets it.
        flag: &'static str,
    },
    /// No model has this reference.
    #[error(
        "found no model `{reference}`, expected {expected}; see `sworn model list`, or add one with `sworn model add FILE`"
    )]
    Unknown {
        /// What was asked for.
        reference: String,
        /// What there is.
        expected: String,
    },
    /// Several models have this reference.
    #[error("found {count} models for `{reference}` ({ids}), expected one; give more of the id")]
    Ambiguous {
        /// What was asked for.
        reference: String,
        /// How many there are.
        count: usize,
        /// Their ids.
        ids: String,
    },
    /// A stored model is not what its id says.
    #[error(
        "{path}: found {what} {found}, expected {expected}; remove the folder and add the model again"
    )]
    Corrupt {
        /// The model's folder.
        path: PathBuf,
        /// Which commitment differs.
        what: &'static str,
        /// What the files hash to.
        found: String,
        /// What the card says.
        expected: String,
    },
}

impl LibraryError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> LibraryError + '_ {
        move |source| LibraryError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// A model in the library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredModel {
    /// Its folder.
    pub dir: PathBuf,
    /// What people read about it, and its commitments.
    pub card: Card,
}

/// The models of a data directory.
#[derive(Debug, Clone)]
pub struct Library {
    models: PathBuf,
    cache: PathBuf,
}

impl Library {
    /// The library of a data directory; nothing is created before the first import.
    pub fn new(datadir: &Path) -> Library {
        Library {
            models: datadir.join("models"),
            cache: datadir.join("cache"),
        }
    }

    /// All models, by name and version.
    pub fn list(&self) -> Result<Vec<StoredModel>, LibraryError> {
        let entries = match std::fs::read_dir(&self.models) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(LibraryError::io(&self.models)(error)),
        };
        let mut models = Vec::new();
        for entry in entries {
            let dir = entry.map_err(LibraryError::io(&self.models))?.path();
            if dir.join(CARD_FILE).is_file() && !is_temporary(&dir) {
                models.push(StoredModel {
                    card: Card::read(&dir)?,
                    dir,
                });
            }
        }
        models.sort_by(|a, b| {
            (&a.card.name, &a.card.version, &a.card.model_id).cmp(&(
                &b.card.name,
                &b.card.version,
                &b.card.model_id,
            ))
        });
        Ok(models)
    }
}

fn is_temporary(dir: &Path) -> bool {
    dir.file_name()
        .and_then(|name| name.to_str())
        .is_none_or(|name| name.starts_with('.'))
}
