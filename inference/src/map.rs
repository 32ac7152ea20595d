//! The one place that maps files into memory.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use crate::Error;

/// A file mapped read-only into memory.
///
/// The file must not be truncated or changed while it is mapped: imported models are written once under another name and renamed,
/// and model files are read during an import only.
#[derive(Debug)]
pub struct Map {
    map: memmap2::Mmap,
}

impl Map {
    /// Maps a whole file.
    ///
    /// # Errors
    /// [`Error::Io`] when the file can't be opened or mapped.
    pub fn open(path: &Path) -> Result<Map, Error> {
        let io = |source| Error::Io {
            path: path.to_path_buf(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        if !file.metadata().map_err(io)?.is_file() {
            return Err(io(std::io::Error::other("not a regular file")));
        }
        // SAFETY: the mapping is read-only and private to this process; the bytes are plain data for which every value is valid.
        // Nobody changes an imported folder in place (see the type's documentation).
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
        Ok(Map { map })
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
