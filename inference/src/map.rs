//! The one place that maps files into memory.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use crate::Error;

/// A file mapped read-only into memory.
///
/// Assumption: nobody changes or shortens the file while it is mapped. Imported models are written once under another name and
/// renamed, and model files are read during an import only. A file that shrinks all the same ends the process with SIGBUS.
#[derive(Debug)]
pub struct Map {
    map: memmap2::Mmap,
}

impl Map {
    /// Maps a whole file.
    ///
    /// # Errors
    /// [`Error::Io`] when the file can't be opened or mapped, or is no regular file.
    pub fn open(path: &Path) -> Result<Map, Error> {
        let io = |source| Error::Io {
            path: path.to_path_buf(),
            source,
        };
        // Looked at before it is opened: opening a pipe would wait for its writer.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(io(std::io::Error::other("not a regular file")));
        }
        let file = File::open(path).map_err(io)?;
        // SAFETY: the mapping is read-only and private to this process; the bytes are plain data for which every value is valid.
        // Nobody changes the file while it is mapped (the type's documented assumption).
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
        // Huge pages where the system has them for this file; without them it works too.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Map { map })
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
