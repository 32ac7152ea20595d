//! The model that comes with the program.

use std::path::PathBuf;

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
    let file = scratch_file(library)?;
    let fields = CardFields {
        license_uri: Some(LICENSE_URI.to_owned()),
        ..CardFields::default()
    };
    let added = library.add(&file, None, &fields, progress);
    // The packed model is what stays; a leftover file would only take room.
    let _ = std::fs::remove_file(&file);
    Ok(added?.model().clone())
}

/// The model file on disk, where the reader can map it.
fn scratch_file(library: &Library) -> Result<PathBuf, LibraryError> {
    let dir = library
        .models_dir()
        .join(format!(".shipped-{}", std::process::id()));
    let io = |source| LibraryError::Io {
        path: dir.clone(),
        source,
    };
    std::fs::create_dir_all(&dir).map_err(io)?;
    let path = dir.join("fable-2m.q8_0.gguf");
    std::fs::write(&path, GGUF).map_err(io)?;
    Ok(path)
}
