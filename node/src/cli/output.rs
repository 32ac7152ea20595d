//! Output for people and for programs. Results go to stdout, everything else to stderr.

use std::io::{IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

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
        let message = format!("{:#}", failure.error);
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
    fn terminals_are_safe_from_model_text() {
        assert_eq!(
            printable("a\x1b[2Jb\tc\n\u{9b}"),
            "a\u{fffd}[2Jb\tc\n\u{fffd}"
        );
        assert_eq!(one_line("one\ntwo three", 9), "one two …");
        assert_eq!(one_line(" short ", 9), "short");
    }
}
