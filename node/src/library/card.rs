//! What stands beside a packed model.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CARD_FILE, LibraryError};

/// A stored model's card. Digests are `0x` hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its id: a record over machine version and the three roots.
    pub model_id: String,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// SPDX identifier.
    pub license: String,
    /// Where the licence can be read, or empty.
    pub license_uri: String,
    /// Where the model file can be fetched, or empty.
    pub weights_uri: String,
    /// Architecture, such as `llama`.
    pub architecture: String,
    /// Weight formats of the matrices, such as `Q8_0`.
    pub quantisation: String,
    /// Number of weights.
    pub parameters: u64,
    /// Largest number of tokens of a run.
    pub context: u32,
    /// Tokens in the vocabulary.
    pub vocab_size: u32,
    /// Machine version of the id.
    pub machine_version: u32,
    /// Root of the program.
    pub program_root: String,
    /// Root of all weights.
    pub weights_root: String,
    /// Root of the tokenizer.
    pub tokenizer_root: String,
    /// SHA-256 of the model file.
    pub source_sha256: String,
    /// Name of the model file.
    pub source_file: String,
}

/// Fields that a person gives; the file's own serve where they are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CardFields {
    /// Name.
    pub name: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// SPDX identifier.
    pub license: Option<String>,
    /// Where the licence can be read.
    pub license_uri: Option<String>,
    /// Where the model file can be fetched.
    pub weights_uri: Option<String>,
}

impl Card {
    /// The model id that a folder of the library states; none for a folder without a card.
    pub(crate) fn id_of(dir: &Path) -> Option<String> {
        Card::read(dir).ok().map(|card| card.model_id)
    }

    pub(super) fn read(dir: &Path) -> Result<Card, LibraryError> {
        let path = dir.join(CARD_FILE);
        let text = std::fs::read_to_string(&path).map_err(LibraryError::io(&path))?;
        serde_json::from_str(&text).map_err(|error| LibraryError::BadCard {
            path,
            reason: error.to_string(),
        })
    }

    /// Writes the card so that a reader sees the old or the new one, never half of it.
    pub(super) fn write(&self, dir: &Path) -> Result<(), LibraryError> {
        let path = dir.join(CARD_FILE);
        let new = dir.join(".card.json.new");
        let text = serde_json::to_string_pretty(self).map_err(|error| LibraryError::BadCard {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let mut file = std::fs::File::create(&new).map_err(LibraryError::io(&new))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(LibraryError::io(&new))?;
        std::fs::rename(&new, &path).map_err(LibraryError::io(&path))
    }

    /// Overwrites what `fields` name; true when anything changed.
    pub(super) fn apply(&mut self, fields: &CardFields) -> bool {
        let before = self.clone();
        let set = |field: &mut String, value: &Option<String>| {
            if let Some(value) = value {
                field.clone_from(value);
            }
        };
        set(&mut self.name, &fields.name);
        set(&mut self.version, &fields.version);
        set(&mut self.license, &fields.license);
        set(&mut self.license_uri, &fields.license_uri);
        set(&mut self.weights_uri, &fields.weights_uri);
        *self != before
    }
}
