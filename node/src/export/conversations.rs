//! Whole prompts with all that was said about them.

use super::record::{
    Model, Params, PromptExport, PromptSegment, Provenance, ranker_hash, text_and_hex,
};

/// One prompt. Field order is column order.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConversationRow {
    /// Number of the input.
    pub input_id: u64,
    /// Account that asked.
    pub author: String,
    /// Seconds since 1970.
    pub asked_at: u64,
    /// Text of the prompt without its control tokens.
    pub prompt: String,
    /// All bytes of that text when they are no UTF-8, else empty.
    pub prompt_hex: String,
    /// The prompt in its parts.
    pub segments: Vec<SegmentRow>,
    /// Parameters.
    pub params: Params,
    /// The model.
    pub model: Model,
    /// Responses by run.
    pub responses: Vec<ResponseRow>,
    /// The latest ranking of each ranker.
    pub rankings: Vec<RankingRow>,
    /// Where the record stands.
    pub provenance: Provenance,
}

/// A part of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SegmentRow {
    /// `text` or `control`.
    pub kind: &'static str,
    /// Text, empty for a control token.
    pub text: String,
    /// All bytes when they are no UTF-8, else empty.
    pub text_hex: String,
    /// The control token, -1 for text.
    pub control: i64,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ResponseRow {
    /// Number of the run.
    pub run: u32,
    /// Text.
    pub text: String,
    /// All bytes when they are no UTF-8, else empty.
    pub text_hex: String,
    /// `length`, `stop` or `too_long`.
    pub finish: String,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens of the response.
    pub new_tokens: u32,
    /// Seconds since 1970.
    pub posted_at: u64,
    /// Root of the text.
    pub text_root: String,
    /// Transaction that posted it.
    pub tx: String,
}

/// A ranking.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RankingRow {
    /// Account.
    pub ranker: String,
    /// Its pseudonym in DPO rows.
    pub ranker_hash: String,
    /// Seconds since 1970.
    pub ranked_at: u64,
    /// 1 for the account's first ranking of this prompt.
    pub sequence: u32,
    /// Whether the ranker found every response bad.
    pub all_bad: bool,
    /// Place of each response by run; 1 is best.
    pub places: Vec<u8>,
    /// Transaction that ranked.
    pub tx: String,
}

/// The complete record of a prompt.
pub fn conversation_row(record: &PromptExport) -> ConversationRow {
    let text: Vec<u8> = record
        .segments
        .iter()
        .filter_map(|segment| {
            if let PromptSegment::Text(text) = segment {
                Some(text.as_slice())
            } else {
                None
            }
        })
        .flatten()
        .copied()
        .collect();
    let (prompt, prompt_hex) = text_and_hex(&text);
    ConversationRow {
        input_id: record.input_id,
        author: record.author.clone(),
        asked_at: record.asked_at,
        prompt,
        prompt_hex,
        segments: record.segments.iter().map(segment_row).collect(),
        params: record.params,
        model: record.model.clone(),
        responses: record
            .responses
            .iter()
            .map(|response| {
                let (text, text_hex) = text_and_hex(&response.text);
                ResponseRow {
                    run: response.run,
                    text,
                    text_hex,
                    finish: response.finish.clone(),
                    prompt_tokens: response.prompt_tokens,
                    new_tokens: response.new_tokens,
                    posted_at: response.posted_at,
                    text_root: response.text_root.clone(),
                    tx: response.tx.clone(),
                }
            })
            .collect(),
        rankings: record
            .rankings
            .iter()
            .map(|ranking| RankingRow {
                ranker: ranking.ranker.clone(),
                ranker_hash: ranker_hash(&record.provenance, &ranking.ranker),
                ranked_at: ranking.ranked_at,
                sequence: ranking.sequence,
                all_bad: ranking.all_bad,
                places: ranking.places.clone(),
                tx: ranking.tx.clone(),
            })
            .collect(),
        provenance: record.provenance.clone(),
    }
}

fn segment_row(segment: &PromptSegment) -> SegmentRow {
    match segment {
        PromptSegment::Text(bytes) => {
            let (text, text_hex) = text_and_hex(bytes);
            SegmentRow {
                kind: "text",
                text,
                text_hex,
                control: -1,
            }
        }
        PromptSegment::Control(id) => SegmentRow {
            kind: "control",
            text: String::new(),
            text_hex: String::new(),
            control: i64::from(*id),
        },
    }
}
