//! What an export knows about a prompt.

use alloy::hex;
use sha2::{Digest, Sha256};

/// Everything the chain says about one prompt. Digests, hashes and addresses are `0x` hexadecimal; unknown ones are empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptExport {
    /// Number of the input.
    pub input_id: u64,
    /// Account that asked.
    pub author: String,
    /// Seconds since 1970.
    pub asked_at: u64,
    /// The prompt.
    pub segments: Vec<PromptSegment>,
    /// Its parameters.
    pub params: Params,
    /// The model that answered.
    pub model: Model,
    /// Responses posted on the chain, by run.
    pub responses: Vec<Posted>,
    /// The latest ranking of each ranker.
    pub rankings: Vec<Ranked>,
    /// Where all of this stands.
    pub provenance: Provenance,
}

/// A part of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptSegment {
    /// Text: any bytes.
    Text(Vec<u8>),
    /// A control token of the model's vocabulary.
    Control(u32),
}

/// Parameters of a prompt, in the integers of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Params {
    /// Number of responses.
    pub n_runs: u32,
    /// Limit of new tokens; 0 is none.
    pub max_new_tokens: u32,
    /// Limit of prompt and new tokens; 0 is none.
    pub max_total_tokens: u32,
    /// Temperature in 1/1000.
    pub temperature_milli: u32,
    /// Candidates kept; 0 is all.
    pub top_k: u32,
    /// Probability mass kept, in millionths.
    pub top_p_ppm: u32,
    /// Least probability relative to the best, in millionths.
    pub min_p_ppm: u32,
}

/// A registered model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Model {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SPDX identifier.
    pub license: String,
    /// Where the licence can be read.
    pub license_uri: String,
}

/// A response that stands on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Number of the run.
    pub run: u32,
    /// Its text: any bytes.
    pub text: Vec<u8>,
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

/// The latest ranking by one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranked {
    /// The account.
    pub ranker: String,
    /// Seconds since 1970.
    pub ranked_at: u64,
    /// 1 for the account's first ranking of this prompt.
    pub sequence: u32,
    /// Whether the ranker found every response bad.
    pub all_bad: bool,
    /// Place of each response by run; 1 is best, ties share a place.
    pub places: Vec<u8>,
    /// Transaction that ranked.
    pub tx: String,
}

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Provenance {
    /// The chain.
    pub chain_id: u64,
    /// The inbox contract.
    pub inbox: String,
    /// The application contract.
    pub prompts: String,
    /// Transaction that asked.
    pub ask_tx: String,
    /// The final claim.
    pub claim_id: String,
    /// The claim's epoch.
    pub epoch: u64,
    /// What the claim states.
    pub claim_root: String,
    /// Who made the claim.
    pub proposer: String,
}

impl PromptExport {
    /// The prompt as one text; none when it holds control tokens or bytes that are no UTF-8.
    pub fn prompt_text(&self) -> Option<String> {
        let mut bytes = Vec::new();
        for segment in &self.segments {
            match segment {
                PromptSegment::Text(text) => bytes.extend_from_slice(text),
                PromptSegment::Control(_) => return None,
            }
        }
        String::from_utf8(bytes).ok()
    }
}

/// A pseudonym of a ranker that is the same in all rows of a deployment: the SHA-256 of `sworn/ranker/1`, the chain id, the application's and the
/// ranker's address in lower case, separated by spaces. It hides the address from a glance, not from a search over known addresses.
pub fn ranker_hash(provenance: &Provenance, ranker: &str) -> String {
    let text = format!(
        "sworn/ranker/1 {} {} {}",
        provenance.chain_id,
        provenance.prompts.to_lowercase(),
        ranker.to_lowercase()
    );
    hex::encode_prefixed(Sha256::digest(text))
}

/// Text for readers and, when the bytes are no UTF-8, all of them in hexadecimal; else empty.
pub(super) fn text_and_hex(bytes: &[u8]) -> (String, String) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), String::new()),
        Err(_) => (
            String::from_utf8_lossy(bytes).into_owned(),
            hex::encode(bytes),
        ),
    }
}
