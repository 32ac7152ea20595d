//! The one place that maps files into memory.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use crate::Error;

/// A read-only file in memory.
///
/// Assumption: nobody changes or shortens the file while it is mapped. A file that shrinks under a running process ends
/// that process with SIGBUS (the system's answer, not undefined results of ours); imported models are therefore written
/// once, to a fresh file, and renamed into place.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
}

impl MappedFile {
    /// Maps a whole regular file.
    pub fn open(path: &Path) -> Result<MappedFile, Error> {
        let io = |source| Error::Io {
            path: path.to_path_buf(),
            source,
        };
        // Looked at before it is opened: opening a pipe would wait for its writer.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(Error::bad_file(
                "file",
                "a folder or a special file",
                "a regular file",
                "name the file itself",
            )
            .at(path));
        }
        let file = File::open(path).map_err(io)?;
        // SAFETY: the mapping is read-only and private to this value; that the file is not changed by others while it is
        // mapped is the documented assumption of this type.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Ok(MappedFile { map })
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
