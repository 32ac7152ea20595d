//! Tells model files apart by their first bytes.

use super::llama2c;
use super::read::shown;
use crate::Error;

/// The kinds of model files that are read.
pub(super) enum Kind {
    Gguf,
    Llama2c,
}

/// Tells the kinds of files apart, and names a few that people take for models.
pub(super) fn kind(bytes: &[u8]) -> Result<Kind, Error> {
    let foreign = |found: &str, remedy: &str| {
        Err(Error::bad_file(
            "kind of file",
            found,
            "a GGUF file or a llama2.c checkpoint",
            remedy,
        ))
    };
    let convert = "convert it to GGUF";
    match bytes {
        [] => foreign("an empty file", "get the file again"),
        [b'G', b'G', b'U', b'F', ..] => Ok(Kind::Gguf),
        // Before the guesses: a checkpoint without a magic number may start with almost any byte.
        _ if llama2c::looks_like(bytes) => Ok(Kind::Llama2c),
        [b'F', b'U', b'G', b'G', ..] => foreign(
            "GGUF in big-endian byte order",
            "convert the model for little-endian machines",
        ),
        [b'P', b'K', 3, 4, ..] => foreign("a zip archive, such as a PyTorch checkpoint", convert),
        [_, _, _, _, _, _, _, 0, b'{', ..] => foreign("a safetensors file", convert),
        _ if [b"lmgg", b"tjgg", b"fmgg"]
            .iter()
            .any(|magic| bytes.starts_with(*magic)) =>
        {
            foreign("a GGML file from before GGUF", convert)
        }
        _ if bytes.starts_with(b"version https://git-lfs") => foreign(
            "a Git LFS pointer",
            "fetch the file itself with git lfs pull",
        ),
        _ if bytes.starts_with(b"<") => foreign("a web page", "download the file itself"),
        _ => foreign(
            &format!(
                "a file that starts with {}",
                shown(&bytes[..bytes.len().min(8)])
            ),
            "give a model file",
        ),
    }
}
