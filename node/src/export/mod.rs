//! Preference data from the records of the chain: pure functions from [`PromptExport`] to rows, and rows to files.
//!
//! Two kinds of rows:
//!
//! - [`Kind::Dpo`]: `prompt`, `chosen`, `rejected` and one `metadata` struct, as TRL's DPO trainer takes them (its trainers want no
//!   other text columns). One row for every pair of responses of which a ranker placed one strictly above the other. Ties,
//!   "all bad" rankings, equal texts and texts that are no UTF-8 give no row; [`Summary`] counts them.
//! - [`Kind::Conversations`]: everything about a prompt: parameters, every response, every user's places, model, licence, provenance.
//!
//! All rows of a file have the same keys with the same types and no nulls, so that readers which infer a schema
//! (`datasets.load_dataset("json", ...)`) infer the same one from any part of the file. Text that is no UTF-8 appears with
//! U+FFFD in `text` and in full in `text_hex`, which is empty for all other text.

mod conversations;
mod dpo;
mod record;
mod tsv;
mod write;

pub use conversations::{ConversationRow, conversation_row};
pub use dpo::{DpoMetadata, DpoRow, dpo_rows};
pub use record::{
    Model, Params, Posted, PromptExport, PromptSegment, Provenance, Ranked, ranker_hash,
};
pub use write::{Options, Summary, Writer, sort};

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pairs of a better and a worse response.
    Dpo,
    /// Whole prompts.
    Conversations,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// One JSON array.
    Json,
    /// Tab-separated with a header line; structs become JSON text, so types are lost.
    Tsv,
}

/// What can go wrong while exporting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The output could not be written.
    #[error("the export could not be written: {0}; check the disk and the path")]
    Io(#[from] std::io::Error),
    /// A row could not be turned into JSON.
    #[error("a row could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A row could not be turned into TSV.
    #[error("a row could not be written as TSV: {0}")]
    Csv(#[from] csv::Error),
}

#[cfg(test)]
mod tests;
