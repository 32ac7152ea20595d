//! Where the data of tests lies. Tests on data that is not there skip with a message.

#![allow(dead_code, reason = "each test file uses its part")]

use std::path::{Path, PathBuf};

use sworn_inference::format::ModelSource;
use sworn_inference::{Error, testing};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn data_root() -> PathBuf {
    std::env::var_os("SWORN_DATA")
        .map_or_else(|| repository().join("../shared/data"), PathBuf::from)
}

fn present(test: &str, path: PathBuf) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    testing::skip(&format!("{test}: data not found at {}", path.display()));
    None
}

/// A folder beside the foreign test data.
pub(crate) fn beside(test: &str, name: &str) -> Option<PathBuf> {
    present(test, data_root().join("..").join(name))
}

/// The folder of the shipped model.
pub(crate) fn shipped_model() -> PathBuf {
    repository().join("models/fable")
}

/// A folder or file of the foreign test data.
pub(crate) fn data(test: &str, name: &str) -> Option<PathBuf> {
    present(test, data_root().join(name))
}

/// A file of the shipped model: in the repository, or beside the data.
pub(crate) fn fable(test: &str, name: &str) -> Option<PathBuf> {
    let shipped = repository().join("models/fable").join(name);
    if shipped.exists() {
        return Some(shipped);
    }
    present(test, data_root().join("../fable").join(name))
}

/// The text of a file.
pub(crate) fn read_text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A folder for model files of a test, with a tokenizer that fits vocabularies of 320.
pub(crate) struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = testing::tokenizer_bin(&testing::vocabulary(320));
        std::fs::write(folder.path().join("tokenizer.bin"), tokenizer).unwrap();
        Files { folder }
    }

    /// Opens these bytes as a model file.
    pub(crate) fn open(&self, bytes: &[u8]) -> Result<ModelSource, Error> {
        // A new file each time: what an earlier call opened stays mapped.
        let path = self.folder.path().join("model.bin");
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, bytes).unwrap();
        let tokenizer = self.folder.path().join("tokenizer.bin");
        ModelSource::open(&path, (!bytes.starts_with(b"GGUF")).then_some(&tokenizer))
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}
