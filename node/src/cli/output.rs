//! Output for people and for programs. Results go to stdout, everything else to stderr.

use std::io::{IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use sworn_node::chain::with_causes;

use super::failure::Failure;

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    json: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Out {
        Out { json }
    }

    /// Whether a program reads the output.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// A line for people.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        if !self.json {
            write_out(format!("{}\n", text.as_ref()).as_bytes());
        }
    }

    /// The one JSON document of a command.
    pub(crate) fn document(self, value: &impl Serialize) -> Result<(), Failure> {
        if self.json {
            write_out(format!("{}\n", serde_json::to_string_pretty(value)?).as_bytes());
        }
        Ok(())
    }

    /// One of several JSON lines.
    pub(crate) fn event(self, value: &impl Serialize) -> Result<(), Failure> {
        if self.json {
            write_out(format!("{}\n", serde_json::to_string(value)?).as_bytes());
        }
        Ok(())
    }

    /// A table for people.
    pub(crate) fn table<const N: usize>(
        self,
        header: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) {
        if self.json {
            return;
        }
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_header(header.map(|name| name.to_uppercase()));
        if std::io::stdout().is_terminal() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        for row in rows {
            table.add_row(row.map(|cell| printable(&cell)));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.line(table.trim_fmt());
    }

    /// Names and values for people.
    pub(crate) fn fields(self, rows: &[(&str, String)]) {
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in rows {
            self.line(format!("{name:width$}  {}", printable(value)));
        }
    }

    /// A failure, on stderr.
    pub(crate) fn failure(self, failure: &Failure) {
        let message = with_causes(failure.error.as_ref());
        if self.json {
            let value = serde_json::json!({ "error": { "code": failure.kind.code(), "kind": failure.kind.name(), "message": message } });
            eprintln!("{value}");
        } else {
            eprintln!("error: {}", printable(&message));
        }
    }
}

/// Text without control characters that could rewrite a terminal; line ends and tabs stay.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Wei as ETH without needless zeros.
pub(crate) fn ether(wei: alloy::primitives::U256) -> String {
    let text = alloy::primitives::utils::format_ether(wei);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Bytes as `0x` hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    alloy::hex::encode_prefixed(bytes)
}

/// Makes streamed model text safe for a terminal, byte by byte: control characters (but line ends and tabs) become `?`. Output that is no
/// terminal, and `--raw`, get every byte as it is.
#[derive(Debug)]
pub(crate) struct TerminalFilter {
    active: bool,
    /// A 0xC2 that waits for its second byte: with 0x80..0x9F it is a control character.
    held: bool,
}

impl TerminalFilter {
    pub(crate) fn new(raw: bool) -> TerminalFilter {
        TerminalFilter {
            active: !raw && std::io::stdout().is_terminal(),
            held: false,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        if !self.active {
            return bytes.to_vec();
        }
        let mut out = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            match (self.held, byte) {
                (true, 0x80..=0x9f) => {
                    self.held = false;
                    out.push(b'?');
                    continue;
                }
                (true, _) => {
                    self.held = false;
                    out.push(0xc2);
                }
                (false, _) => {}
            }
            match byte {
                0xc2 => self.held = true,
                b'\n' | b'\t' => out.push(byte),
                0..=0x1f | 0x7f => out.push(b'?'),
                _ => out.push(byte),
            }
        }
        out
    }

    pub(crate) fn end(&mut self) -> Vec<u8> {
        if std::mem::take(&mut self.held) {
            vec![0xc2]
        } else {
            Vec::new()
        }
    }
}

/// Text on one line, cut to `width` characters.
pub(crate) fn one_line(text: &str, width: usize) -> String {
    let flat: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let flat = flat.trim();
    if flat.chars().count() <= width {
        flat.to_owned()
    } else {
        format!(
            "{}…",
            flat.chars()
                .take(width.saturating_sub(1))
                .collect::<String>()
        )
    }
}

/// Writes to stdout. A reader that went away (`| head`) is no failure.
pub(crate) fn write_out(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("error: stdout: {error}");
            std::process::exit(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ether_has_no_needless_zeros() {
        let ether = |wei: u64| ether(alloy::primitives::U256::from(wei));
        assert_eq!(ether(30_022_000_000_000), "0.000030022");
        assert_eq!(ether(1_000_000_000_000_000_000), "1");
        assert_eq!(ether(10_000_000_000_000_000_000), "10");
        assert_eq!(ether(0), "0");
    }

    #[test]
    fn streamed_text_is_filtered_across_pieces() {
        let mut filter = TerminalFilter {
            active: true,
            held: false,
        };
        let mut out = filter.push(b"a\x1b[\n\xc2");
        out.extend(filter.push(b"\x9b2J\xc2"));
        out.extend(filter.push("é".as_bytes()));
        out.extend(filter.push(b"\xc2\xa9\xc2"));
        out.extend(filter.end());
        assert_eq!(
            out,
            [b"a?[\n?2J\xc2".as_slice(), "é©".as_bytes(), b"\xc2"].concat()
        );
        assert_eq!(
            TerminalFilter {
                active: false,
                held: false
            }
            .push(b"\x1b"),
            b"\x1b"
        );
    }

    #[test]
    fn terminals_are_safe_from_model_text() {
        assert_eq!(
            printable("a\x1b[2Jb\tc\n\u{9b}"),
            "a\u{fffd}[2Jb\tc\n\u{fffd}"
        );
        assert_eq!(one_line("one\ntwo three", 9), "one two …");
        assert_eq!(one_line(" short ", 9), "short");
    }
}
