//! Tab-separated files. Fields with tabs, line ends or quotes are quoted, quotes are doubled; structs and lists become JSON text.

use std::io::Write;

use serde::Serialize;

use super::conversations::ConversationRow;
use super::dpo::DpoRow;
use super::{ExportError, Kind};

pub(super) const CONVERSATION_COLUMNS: [&str; 11] = [
    "input_id",
    "author",
    "asked_at",
    "prompt",
    "prompt_hex",
    "segments",
    "params",
    "model",
    "responses",
    "rankings",
    "provenance",
];

pub(super) fn header<W: Write>(
    csv: &mut csv::Writer<W>,
    kind: Kind,
    strict_columns: bool,
) -> Result<(), ExportError> {
    match (kind, strict_columns) {
        (Kind::Dpo, true) => csv.write_record(["prompt", "chosen", "rejected"])?,
        (Kind::Dpo, false) => csv.write_record(["prompt", "chosen", "rejected", "metadata"])?,
        (Kind::Conversations, _) => csv.write_record(CONVERSATION_COLUMNS)?,
    }
    Ok(())
}

pub(super) fn dpo<W: Write>(csv: &mut csv::Writer<W>, row: &DpoRow) -> Result<(), ExportError> {
    match &row.metadata {
        None => csv.write_record([&row.prompt, &row.chosen, &row.rejected])?,
        Some(metadata) => {
            csv.write_record([&row.prompt, &row.chosen, &row.rejected, &json(metadata)?])?
        }
    }
    Ok(())
}

pub(super) fn conversation<W: Write>(
    csv: &mut csv::Writer<W>,
    row: &ConversationRow,
) -> Result<(), ExportError> {
    let fields: [String; 11] = [
        row.input_id.to_string(),
        row.author.clone(),
        row.asked_at.to_string(),
        row.prompt.clone(),
        row.prompt_hex.clone(),
        json(&row.segments)?,
        json(&row.params)?,
        json(&row.model)?,
        json(&row.responses)?,
        json(&row.rankings)?,
        json(&row.provenance)?,
    ];
    csv.write_record(&fields)?;
    Ok(())
}

fn json(value: &impl Serialize) -> Result<String, ExportError> {
    Ok(serde_json::to_string(value)?)
}
