//! The prompt on the command line.

use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use clap::Args;

use super::failure::{Failure, Kind};

/// Where a prompt comes from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Prompt")]
pub(crate) struct PromptArgs {
    /// Read the prompt from a file (`-` is stdin); one line end at its end is left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) prompt_file: Option<PathBuf>,
    /// Take the bytes as they are: any bytes, and with the last line end.
    #[arg(long)]
    pub(crate) bytes: bool,
}

impl PromptArgs {
    /// The prompt's bytes: `text`, else the file, else stdin.
    pub(crate) fn read(&self, text: Option<&OsString>) -> Result<Vec<u8>, Failure> {
        let (bytes, origin) = match (text, &self.prompt_file) {
            (Some(_), Some(_)) => {
                return Err(Failure::usage(
                    "found a prompt and --prompt-file, expected one of them; leave one out",
                ));
            }
            (Some(text), None) => (text.clone().into_encoded_bytes(), "the prompt".to_owned()),
            (None, Some(path)) if path.as_os_str() != "-" => {
                let bytes = std::fs::read(path).map_err(|error| {
                    Failure::new(
                        Kind::Input,
                        format!("{}: {error}; give a readable file", path.display()),
                    )
                })?;
                (self.without_line_end(bytes), path.display().to_string())
            }
            (None, file) => {
                let mut stdin = std::io::stdin();
                if file.is_none() && stdin.is_terminal() {
                    return Err(Failure::usage(
                        "found no prompt, expected a text, --prompt-file FILE or text on stdin",
                    ));
                }
                let mut bytes = Vec::new();
                stdin
                    .read_to_end(&mut bytes)
                    .map_err(|error| Failure::new(Kind::Input, format!("stdin: {error}")))?;
                (self.without_line_end(bytes), "stdin".to_owned())
            }
        };
        check(&bytes, self.bytes, &origin)?;
        Ok(bytes)
    }

    fn without_line_end(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if !self.bytes && bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        bytes
    }
}

/// Refuses empty prompts, and ill-formed UTF-8 unless asked for.
fn check(bytes: &[u8], any_bytes: bool, origin: &str) -> Result<(), Failure> {
    if bytes.is_empty() {
        return Err(Failure::input(format!(
            "{origin}: found an empty prompt, expected at least one byte; give some text"
        )));
    }
    match std::str::from_utf8(bytes) {
        Err(error) if !any_bytes => {
            let at = error.valid_up_to();
            let found = bytes.get(at).copied().unwrap_or_default();
            Err(Failure::input(format!(
                "{origin}: found byte 0x{found:02x} at offset {at}, expected well-formed UTF-8; correct the text, or give --bytes to send any bytes"
            )))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(bytes: bool) -> PromptArgs {
        PromptArgs {
            prompt_file: None,
            bytes,
        }
    }

    #[test]
    fn prompts_are_text_unless_bytes_are_asked_for() {
        let ill = std::ffi::OsStr::from_bytes(b"ab\xff").to_owned();
        let failure = args(false).read(Some(&ill)).unwrap_err();
        assert_eq!(failure.kind, Kind::Input);
        assert!(
            failure.error.to_string().contains("0xff at offset 2"),
            "{}",
            failure.error
        );
        assert_eq!(args(true).read(Some(&ill)).unwrap(), b"ab\xff");
        assert_eq!(
            args(false).read(Some(&"".into())).unwrap_err().kind,
            Kind::Input
        );
    }

    #[test]
    fn files_lose_one_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("prompt");
        std::fs::write(&path, "a\r\n\r\n").unwrap();
        let from_file = |bytes| {
            PromptArgs {
                prompt_file: Some(path.clone()),
                bytes,
            }
            .read(None)
            .unwrap()
        };
        assert_eq!(from_file(false), b"a\r\n");
        assert_eq!(from_file(true), b"a\r\n\r\n");
    }

    use std::os::unix::ffi::OsStrExt;
}
