//! Rows to files.

use std::io::Write;

use serde::Serialize;

use super::conversations::conversation_row;
use super::dpo::{DpoSkipped, pairs};
use super::record::PromptExport;
use super::{ExportError, Format, Kind, tsv};

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What a row is.
    pub kind: Kind,
    /// How rows are written.
    pub format: Format,
    /// DPO rows with exactly `prompt`, `chosen`, `rejected`.
    pub strict_columns: bool,
}

/// What was written and what was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Prompts seen.
    pub prompts: u64,
    /// Rows written.
    pub rows: u64,
    /// Rankings seen.
    pub rankings: u64,
    /// Pairs left out because their ranker placed both equally.
    pub skipped_ties: u64,
    /// Rankings left out because their ranker found every response bad.
    pub skipped_all_bad: u64,
    /// Pairs left out because both responses have the same text.
    pub skipped_equal_texts: u64,
    /// Pairs left out because a text is no UTF-8, or the prompt holds control tokens.
    pub skipped_ill_formed: u64,
}

/// Writes an export record by record.
#[derive(Debug)]
pub struct Writer<W: Write> {
    output: Output<W>,
    options: Options,
    summary: Summary,
}

#[derive(Debug)]
enum Output<W: Write> {
    Json(W),
    Tsv(Box<csv::Writer<W>>),
}

impl<W: Write> Writer<W> {
    /// Starts an export.
    pub fn new(mut output: W, options: Options) -> Result<Writer<W>, ExportError> {
        let output = match options.format {
            Format::Jsonl => Output::Json(output),
            Format::Json => {
                output.write_all(b"[")?;
                Output::Json(output)
            }
            Format::Tsv => {
                let mut csv = csv::WriterBuilder::new()
                    .delimiter(b'\t')
                    .from_writer(output);
                tsv::header(&mut csv, options.kind, options.strict_columns)?;
                Output::Tsv(Box::new(csv))
            }
        };
        Ok(Writer {
            output,
            options,
            summary: Summary::default(),
        })
    }

    /// Writes the rows of one prompt.
    pub fn push(&mut self, record: &PromptExport) -> Result<(), ExportError> {
        self.summary.prompts += 1;
        self.summary.rankings += record.rankings.len() as u64;
        match self.options.kind {
            Kind::Conversations => {
                let row = conversation_row(record);
                match &mut self.output {
                    Output::Tsv(csv) => tsv::conversation(csv, &row)?,
                    Output::Json(output) => {
                        json_row(output, self.options.format, self.summary.rows == 0, &row)?
                    }
                }
                self.summary.rows += 1;
            }
            Kind::Dpo => {
                let (rows, skipped) = pairs(record, self.options.strict_columns);
                self.count_skipped(skipped);
                for row in &rows {
                    match &mut self.output {
                        Output::Tsv(csv) => tsv::dpo(csv, row)?,
                        Output::Json(output) => {
                            json_row(output, self.options.format, self.summary.rows == 0, row)?
                        }
                    }
                    self.summary.rows += 1;
                }
            }
        }
        Ok(())
    }

    fn count_skipped(&mut self, skipped: DpoSkipped) {
        self.summary.skipped_ties += skipped.ties;
        self.summary.skipped_all_bad += skipped.all_bad_rankings;
        self.summary.skipped_equal_texts += skipped.equal_texts;
        self.summary.skipped_ill_formed += skipped.ill_formed;
    }

    /// Ends the export and flushes it.
    pub fn finish(self) -> Result<Summary, ExportError> {
        match self.output {
            Output::Json(mut output) => {
                if self.options.format == Format::Json {
                    output.write_all(if self.summary.rows == 0 {
                        b"]\n"
                    } else {
                        b"\n]\n"
                    })?;
                }
                output.flush()?;
            }
            Output::Tsv(mut csv) => csv.flush()?,
        }
        Ok(self.summary)
    }
}

fn json_row<W: Write>(
    output: &mut W,
    format: Format,
    first: bool,
    row: &impl Serialize,
) -> Result<(), ExportError> {
    if format == Format::Json {
        output.write_all(if first { b"\n  " } else { b",\n  " })?;
    }
    serde_json::to_writer(&mut *output, row)?;
    if format == Format::Jsonl {
        output.write_all(b"\n")?;
    }
    Ok(())
}

/// Sorts prompts for an export: ranked ones first, then by number. A reader that infers its schema from the beginning of a large file
/// so sees the type of `rankings` before it meets an empty list.
pub fn sort(records: &mut [PromptExport]) {
    records.sort_by_key(|record| (record.rankings.is_empty(), record.input_id));
}
