//! Model files into the library.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use alloy::hex;
use sha2::{Digest as _, Sha256};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_prover::commitment::Commitments;

use super::{Card, CardFields, Library, LibraryError, StoredModel};

/// What an import is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Hashing the file.
    Reading,
    /// Checking and packing the weights.
    Packing,
    /// Building the commitments.
    Committing,
}

/// Outcome of [`Library::add`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// A new model.
    New(StoredModel),
    /// The same model was there; its card may have new fields.
    Known(StoredModel),
}

impl Added {
    /// The model.
    pub fn model(&self) -> &StoredModel {
        match self {
            Added::New(model) | Added::Known(model) => model,
        }
    }
}

/// Reports progress: phase, bytes or leaves done, total.
pub type OnProgress<'a> = &'a mut dyn FnMut(Phase, u64, u64);

impl Library {
    /// Imports a model file. Importing it again does nothing but set the card fields that are given.
    pub fn add(
        &self,
        file: &Path,
        tokenizer: Option<&Path>,
        fields: &CardFields,
        progress: OnProgress<'_>,
    ) -> Result<Added, LibraryError> {
        let source = ModelSource::open(file, tokenizer)?;
        let license = fields
            .license
            .clone()
            .or_else(|| source.card.license.clone())
            .filter(|text| !text.trim().is_empty());
        let Some(license) = license else {
            return Err(LibraryError::MissingField {
                what: "licence",
                file: file.to_owned(),
                expected: "an SPDX identifier such as Apache-2.0 or MIT",
                flag: "--license ID",
            });
        };
        let source_sha256 = hash_file(file, progress)?;
        let _lock = self.lock(&self.models)?;
        let temporary = self.temporary()?;
        let packed = temporary.path.join("model");
        let model = Model::import(&source, &packed, &mut |done, total| {
            progress(Phase::Packing, done, total)
        })
        .map_err(|error| error.at(file))?;
        let (commitments, _) = Commitments::of(&model, &mut |done, total| {
            progress(Phase::Committing, done, total)
        })?;
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.trim().is_empty());
        let card = Card {
            model_id: commitments.model_id.to_string(),
            name: fields
                .name
                .clone()
                .unwrap_or_else(|| source.card.name.clone()),
            version: fields
                .version
                .clone()
                .or_else(|| some(&source.card.version))
                .unwrap_or_else(|| "1".to_owned()),
            license,
            license_uri: fields.license_uri.clone().unwrap_or_default(),
            weights_uri: fields.weights_uri.clone().unwrap_or_default(),
            architecture: source.card.architecture.clone(),
            quantisation: source.card.quantisation.clone(),
            parameters: source.card.parameters,
            context: source.config.context,
            vocab_size: source.config.vocab_size,
            machine_version: sworn_prover::constants::MACHINE_VERSION,
            program_root: commitments.program_root.to_string(),
            weights_root: commitments.weights_root.to_string(),
            tokenizer_root: commitments.tokenizer_root.to_string(),
            source_sha256,
            source_file: file
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        };
        drop(model);
        let dir = self.models.join(&card.model_id);
        if dir.is_dir() {
            let mut known = StoredModel {
                card: Card::read(&dir)?,
                dir,
            };
            if known.card.apply(fields) {
                known.card.write(&known.dir)?;
            }
            return Ok(Added::Known(known));
        }
        card.write(&packed)?;
        std::fs::rename(&packed, &dir).map_err(LibraryError::io(&dir))?;
        Ok(Added::New(StoredModel { dir, card }))
    }

    /// Opens a stored model.
    pub fn open(&self, stored: &StoredModel) -> Result<Model, LibraryError> {
        Ok(Model::open(&stored.dir)?)
    }

    /// Opens a model file without adding it: packed once, then found again by its contents.
    pub fn open_file(
        &self,
        file: &Path,
        tokenizer: Option<&Path>,
        progress: OnProgress<'_>,
    ) -> Result<Model, LibraryError> {
        let mut key = hash_file(file, progress)?;
        if let Some(tokenizer) = tokenizer {
            let both = format!("{key}{}", hash_file(tokenizer, progress)?);
            key = hex::encode_prefixed(Sha256::digest(both));
        }
        let dir = self.cache.join(&key);
        if dir.is_dir() {
            return Ok(Model::open(&dir)?);
        }
        let source = ModelSource::open(file, tokenizer)?;
        let _lock = self.lock(&self.cache)?;
        if dir.is_dir() {
            return Ok(Model::open(&dir)?);
        }
        Ok(Model::import(&source, &dir, &mut |done, total| {
            progress(Phase::Packing, done, total)
        })
        .map_err(|error| error.at(file))?)
    }

    /// Hashes every chunk of a stored model and compares with its card and id.
    pub fn verify(
        &self,
        stored: &StoredModel,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Commitments, LibraryError> {
        let model = self.open(stored)?;
        let (found, _) = Commitments::of(&model, progress)?;
        let name = stored
            .dir
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let card = &stored.card;
        let checks = [
            (
                "program root",
                found.program_root.to_string(),
                &card.program_root,
            ),
            (
                "weights root",
                found.weights_root.to_string(),
                &card.weights_root,
            ),
            (
                "tokenizer root",
                found.tokenizer_root.to_string(),
                &card.tokenizer_root,
            ),
            ("model id", found.model_id.to_string(), &card.model_id),
            ("model id", found.model_id.to_string(), &name),
        ];
        for (what, found, expected) in checks {
            if found != *expected {
                return Err(LibraryError::Corrupt {
                    path: stored.dir.clone(),
                    what,
                    found,
                    expected: expected.clone(),
                });
            }
        }
        Ok(found)
    }

    /// One import at a time in each folder; waits for the other.
    fn lock(&self, dir: &Path) -> Result<File, LibraryError> {
        std::fs::create_dir_all(dir).map_err(LibraryError::io(dir))?;
        let path = dir.join(".lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(LibraryError::io(&path))?;
        file.lock().map_err(LibraryError::io(&path))?;
        Ok(file)
    }

    /// A folder for an import. Needs the lock: what other imports left is swept.
    fn temporary(&self) -> Result<Temporary, LibraryError> {
        for entry in std::fs::read_dir(&self.models).map_err(LibraryError::io(&self.models))? {
            let path = entry.map_err(LibraryError::io(&self.models))?.path();
            if path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(".import-"))
            {
                std::fs::remove_dir_all(&path).map_err(LibraryError::io(&path))?;
            }
        }
        let path = self.models.join(format!(".import-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(LibraryError::io(&path))?;
        Ok(Temporary { path })
    }
}

/// Removed when dropped, also when the import fails.
struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// SHA-256 of a file as `0x` hexadecimal.
fn hash_file(path: &Path, progress: OnProgress<'_>) -> Result<String, LibraryError> {
    let mut file = File::open(path).map_err(LibraryError::io(path))?;
    let total = file.metadata().map_err(LibraryError::io(path))?.len();
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut done = 0;
    loop {
        let n = file.read(&mut buffer).map_err(LibraryError::io(path))?;
        if n == 0 {
            return Ok(hex::encode_prefixed(hasher.finalize()));
        }
        hasher.update(&buffer[..n]);
        done += n as u64;
        progress(Phase::Reading, done, total);
    }
}
