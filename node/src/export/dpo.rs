//! Pairs for direct preference optimisation.

use super::record::{PromptExport, ranker_hash};

/// One pair. Field order is column order.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DpoRow {
    /// The prompt.
    pub prompt: String,
    /// The better response.
    pub chosen: String,
    /// The worse response.
    pub rejected: String,
    /// Where the pair comes from; left out with strict columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<DpoMetadata>,
}

/// Provenance of a pair.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DpoMetadata {
    /// Number of the input.
    pub input_id: u64,
    /// Run of the better response.
    pub chosen_run: u32,
    /// Run of the worse response.
    pub rejected_run: u32,
    /// Place of the better response.
    pub chosen_place: u8,
    /// Place of the worse response.
    pub rejected_place: u8,
    /// Pseudonym of the ranker.
    pub ranker_hash: String,
    /// Seconds since 1970.
    pub ranked_at: u64,
    /// The model's id.
    pub model_id: String,
    /// The model's name.
    pub model_name: String,
    /// The model's version.
    pub model_version: String,
    /// SPDX identifier.
    pub license: String,
    /// Where the licence can be read.
    pub license_uri: String,
    /// Temperature in 1/1000.
    pub temperature_milli: u32,
    /// The chain.
    pub chain_id: u64,
    /// The application contract.
    pub prompts: String,
    /// The final claim that the responses stand on.
    pub claim_id: String,
    /// Transaction that asked.
    pub ask_tx: String,
    /// Transaction that ranked.
    pub rank_tx: String,
}

/// Why possible pairs gave no row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DpoSkipped {
    pub(super) ties: u64,
    pub(super) all_bad_rankings: u64,
    pub(super) equal_texts: u64,
    pub(super) ill_formed: u64,
}

/// All pairs of a prompt, by ranker, then by run.
pub fn dpo_rows(record: &PromptExport, strict_columns: bool) -> Vec<DpoRow> {
    pairs(record, strict_columns).0
}

pub(super) fn pairs(record: &PromptExport, strict_columns: bool) -> (Vec<DpoRow>, DpoSkipped) {
    let mut rows = Vec::new();
    let mut skipped = DpoSkipped::default();
    let prompt = record.prompt_text();
    for ranking in &record.rankings {
        if ranking.all_bad {
            skipped.all_bad_rankings += 1;
            continue;
        }
        // Places are by run; a response that is not on the chain has no text to pair.
        let placed = || {
            record.responses.iter().filter_map(|response| {
                Some((response, *ranking.places.get(response.run as usize)?))
            })
        };
        for (chosen, chosen_place) in placed() {
            for (rejected, rejected_place) in placed() {
                if chosen_place == rejected_place && chosen.run < rejected.run {
                    skipped.ties += 1;
                }
                if chosen_place >= rejected_place {
                    continue;
                }
                if chosen.text == rejected.text {
                    skipped.equal_texts += 1;
                    continue;
                }
                let texts = (
                    &prompt,
                    std::str::from_utf8(&chosen.text),
                    std::str::from_utf8(&rejected.text),
                );
                let (Some(prompt), Ok(chosen_text), Ok(rejected_text)) = texts else {
                    skipped.ill_formed += 1;
                    continue;
                };
                let metadata = || DpoMetadata {
                    input_id: record.input_id,
                    chosen_run: chosen.run,
                    rejected_run: rejected.run,
                    chosen_place,
                    rejected_place,
                    ranker_hash: ranker_hash(&record.provenance, &ranking.ranker),
                    ranked_at: ranking.ranked_at,
                    model_id: record.model.id.clone(),
                    model_name: record.model.name.clone(),
                    model_version: record.model.version.clone(),
                    license: record.model.license.clone(),
                    license_uri: record.model.license_uri.clone(),
                    temperature_milli: record.params.temperature_milli,
                    chain_id: record.provenance.chain_id,
                    prompts: record.provenance.prompts.clone(),
                    claim_id: record.provenance.claim_id.clone(),
                    ask_tx: record.provenance.ask_tx.clone(),
                    rank_tx: ranking.tx.clone(),
                };
                rows.push(DpoRow {
                    prompt: prompt.clone(),
                    chosen: chosen_text.to_owned(),
                    rejected: rejected_text.to_owned(),
                    metadata: (!strict_columns).then(metadata),
                });
            }
        }
    }
    (rows, skipped)
}
