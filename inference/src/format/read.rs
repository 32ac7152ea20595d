//! A cursor over the bytes of a file that nobody vouches for.

use crate::Error;

/// Reads little-endian values and never past the end.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, position: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The next `count` bytes; `what` names them in the error.
    pub(crate) fn take(&mut self, count: u64, what: &str) -> Result<&'a [u8], Error> {
        let count = usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.remaining())
            .ok_or_else(|| self.truncated(what, count))?;
        let start = self.position;
        self.position += count;
        Ok(&self.bytes[start..self.position])
    }

    fn truncated(&self, what: &str, count: u64) -> Error {
        Error::bad_file(
            what,
            format!(
                "{} bytes left at offset {}",
                self.remaining(),
                self.position
            ),
            format!("{count} bytes"),
            "the file is truncated or damaged: get it again",
        )
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Error> {
        let bytes = self.take(N as u64, what)?;
        let mut out = [0; N];
        out.copy_from_slice(bytes);
        Ok(out)
    }

    pub(crate) fn u8(&mut self, what: &str) -> Result<u8, Error> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(crate) fn u16(&mut self, what: &str) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn i32(&mut self, what: &str) -> Result<i32, Error> {
        Ok(i32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn f32(&mut self, what: &str) -> Result<f32, Error> {
        Ok(f32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn f64(&mut self, what: &str) -> Result<f64, Error> {
        Ok(f64::from_le_bytes(self.array(what)?))
    }
}

/// Text of a file as it may stand in a message: short, and without control characters.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]);
    let mut out: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    if text.chars().nth(64).is_some() || bytes.len() > 256 {
        out.push_str("...");
    }
    format!("\"{out}\"")
}
