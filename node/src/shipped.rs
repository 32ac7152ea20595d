//! The model that comes with the program.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::library::{CardFields, Library, LibraryError, Phase, StoredModel};

/// Its name in the library.
pub const NAME: &str = "fable-2m";

/// Where its licence can be read.
pub const LICENSE_URI: &str = "https://www.apache.org/licenses/LICENSE-2.0";

/// The GGUF file.
pub const GGUF: &[u8] = include_bytes!("../../models/fable/fable-2m.q8_0.gguf");

/// The shipped model in the library; imported first when it is not there.
pub fn stored(
    library: &Library,
    progress: &mut dyn FnMut(Phase, u64, u64),
) -> Result<StoredModel, LibraryError> {
    match library.find(NAME) {
        Ok(model) => return Ok(model),
        Err(LibraryError::Unknown { .. }) => {}
        Err(error) => return Err(error),
    }
    let scratch = Scratch::new()?;
    let fields = CardFields {
        license_uri: Some(LICENSE_URI.to_owned()),
        ..CardFields::default()
    };
    Ok(library
        .add(&scratch.file, None, &fields, progress)?
        .model()
        .clone())
}

/// The model file on disk, where the reader can map it, for as long as the import takes.
struct Scratch {
    dir: PathBuf,
    file: PathBuf,
}

impl Scratch {
    fn new() -> Result<Scratch, LibraryError> {
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let dir = std::env::temp_dir().join(format!("sworn-{}-{nanos}", std::process::id()));
        let file = dir.join("fable-2m.q8_0.gguf");
        // `create_dir` fails on what is there already: nobody else can have put a file in our way.
        let written = std::fs::create_dir(&dir).and_then(|()| std::fs::write(&file, GGUF));
        written.map_err(|source| LibraryError::Io {
            path: file.clone(),
            source,
        })?;
        Ok(Scratch { dir, file })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
