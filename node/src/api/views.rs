//! What the API shows of a prompt.

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sworn_prover::params::Params;
use sworn_prover::{Digest, payload};

use super::text::Text;
use crate::machine::chunk_count;
use crate::roles::{Context, Stage, facts_of, stage};
use crate::store::{
    ClaimEnd, NodeReport, ReportKind, SettlementKind, StoreError, StoredClaim, StoredInput,
    StoredResult, VoucherKey, tables,
};

/// A prompt.
#[derive(Debug, Clone, Serialize)]
pub struct PromptView {
    /// Id of the input.
    pub id: u64,
    /// Where it stands.
    pub state: Stage,
    /// True until the responses are final: nothing but this node's word vouches for them.
    pub unfinal: bool,
    /// What went wrong or is worth knowing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<NodeReport>,
    /// The model asked.
    pub model: ModelRef,
    /// Who called the inbox.
    pub sender: Address,
    /// Where the responses go.
    pub recipient: Address,
    /// The prompt's segments; nothing when the payload is malformed.
    pub prompt: Option<Vec<Segment>>,
    /// Parameters.
    pub params: Option<ParamsView>,
    /// Transaction that submitted it.
    pub transaction: B256,
    /// Its block.
    pub block: u64,
    /// Its time, in seconds since 1970.
    pub submitted_at: u64,
    /// Seed, once sealed.
    pub seed: Option<B256>,
    /// Epoch, once sealed.
    pub epoch: Option<u64>,
    /// Leaf of its lane, once sealed.
    pub lane_index: Option<u32>,
    /// This node's results.
    pub responses: Vec<ResponseView>,
    /// The claim that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimView>,
    /// What became of the fee.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement: Option<SettlementView>,
}

/// A model by its id, with its card when it is registered.
#[derive(Debug, Clone, Serialize)]
pub struct ModelRef {
    /// Id.
    pub id: B256,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// SPDX identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}

/// A part of a prompt.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Segment {
    /// Bytes.
    Text(Text),
    /// A control token.
    Control {
        /// Its id.
        control: u32,
    },
}

/// Parameters of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the specification")]
pub struct ParamsView {
    pub kind: u8,
    pub n_runs: u16,
    pub max_new_tokens: u32,
    pub max_total_tokens: u32,
    pub temperature_milli: u32,
    pub top_k: u32,
    pub top_p_ppm: u32,
    pub min_p_ppm: u32,
}

/// One response.
#[derive(Debug, Clone, Serialize)]
pub struct ResponseView {
    /// Run.
    pub run: u32,
    /// Its text.
    #[serde(flatten)]
    pub text: Text,
    /// Why it ended: `length`, `stop`, `too_long` or `scored`.
    pub finish: &'static str,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// New tokens.
    pub new_tokens: u32,
    /// Whether all of its text was delivered.
    pub posted: bool,
    /// Transaction of the last delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<B256>,
    /// Why a delivery is late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_error: Option<String>,
}

/// A claim.
#[derive(Debug, Clone, Serialize)]
pub struct ClaimView {
    /// Id.
    pub id: B256,
    /// Epoch.
    pub epoch: u64,
    /// Root.
    pub root: B256,
    /// Who bonded it.
    pub proposer: Address,
    /// Bond in wei, decimal.
    pub bond_wei: String,
    /// End of its window, in seconds since 1970.
    pub window_end: u64,
    /// `standing`, `final` or `fallen`.
    pub status: &'static str,
    /// Transaction that made it.
    pub transaction: B256,
}

/// What became of a fee.
#[derive(Debug, Clone, Serialize)]
pub struct SettlementView {
    /// `paid` or `refunded`.
    pub kind: &'static str,
    /// Who was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Address>,
    /// Block.
    pub block: u64,
}

/// The name of a finish code.
pub(super) fn finish_name(code: u8) -> &'static str {
    match code {
        0 => "length",
        1 => "stop",
        2 => "too_long",
        3 => "scored",
        _ => "unknown",
    }
}

impl PromptView {
    /// Reads a prompt from the store.
    pub fn load(context: &Context, input: StoredInput) -> Result<PromptView, StoreError> {
        let store = &context.store;
        let (facts, claim) = facts_of(store, &input)?;
        let state = stage(&facts);
        let result = store
            .read(tables::RESULTS, &input.id)?
            .filter(|r| input.seal.is_some_and(|s| s.seed == r.seed));
        let report = store.read(tables::REPORTS, &input.id)?;
        // That this node does not serve a model matters no longer once somebody else's answer is claimed.
        let error = report.filter(|r| match r.kind {
            ReportKind::NotServed => state == Stage::Failed,
            // A reorganisation may have taken that finality back.
            ReportKind::Overruled => facts.is_final,
            _ => true,
        });
        let is_overruled = error
            .as_ref()
            .is_some_and(|r| r.kind == ReportKind::Overruled);
        let settlement = store
            .read(tables::SETTLEMENTS, &input.id)?
            .map(|s| SettlementView {
                kind: match s.kind {
                    SettlementKind::Paid(_) => "paid",
                    SettlementKind::Refunded => "refunded",
                },
                server: match s.kind {
                    SettlementKind::Paid(server) => Some(server),
                    SettlementKind::Refunded => None,
                },
                block: s.block,
            });
        Ok(PromptView {
            id: input.id,
            state,
            unfinal: !facts.is_final || is_overruled,
            error,
            model: model_ref(context, input.model)?,
            sender: input.sender,
            recipient: input.recipient,
            prompt: segments(&input.payload),
            params: params(input.params),
            transaction: input.transaction,
            block: input.block,
            submitted_at: input.submitted_at,
            seed: input.seal.map(|s| s.seed),
            epoch: input.seal.map(|s| s.epoch),
            lane_index: input.seal.map(|s| s.lane_index),
            responses: result
                .map(|r| responses(context, input.id, &r))
                .transpose()?
                .unwrap_or_default(),
            claim: claim.as_ref().map(claim_view),
            settlement,
        })
    }
}

fn model_ref(context: &Context, id: B256) -> Result<ModelRef, StoreError> {
    let model = context.store.read(tables::MODELS, &id)?;
    Ok(match model {
        Some(m) => ModelRef {
            id,
            name: Some(m.name),
            version: Some(m.version),
            license: Some(m.license),
        },
        None => ModelRef {
            id,
            name: None,
            version: None,
            license: None,
        },
    })
}

fn segments(bytes: &[u8]) -> Option<Vec<Segment>> {
    use sworn_inference::tokenizer::Segment as Part;
    let parts = payload::decode(bytes).ok()?;
    Some(
        parts
            .iter()
            .map(|part| match part {
                Part::Text(bytes) => Segment::Text(Text::of(bytes)),
                Part::Control(id) => Segment::Control { control: *id },
            })
            .collect(),
    )
}

fn params(word: B256) -> Option<ParamsView> {
    let p = Params::unpack(Digest(word.0)).ok()?;
    Some(ParamsView {
        kind: p.kind,
        n_runs: p.n_runs,
        max_new_tokens: p.max_new_tokens,
        max_total_tokens: p.max_total_tokens,
        temperature_milli: p.temperature_milli,
        top_k: p.top_k,
        top_p_ppm: p.top_p_ppm,
        min_p_ppm: p.min_p_ppm,
    })
}

fn responses(
    context: &Context,
    input: u64,
    result: &StoredResult,
) -> Result<Vec<ResponseView>, StoreError> {
    let mut views = Vec::new();
    for (run, stored) in (0u32..).zip(&result.runs) {
        let (mut posted, mut transaction, mut delivery_error) = (true, None, None);
        for chunk in 0..chunk_count(stored.text.len() as u64) {
            let key = VoucherKey { input, run, chunk };
            match context.store.read(tables::DELIVERIES, &key)? {
                Some(delivery) => transaction = Some(delivery.transaction),
                None => {
                    posted = false;
                    delivery_error = context
                        .store
                        .read(tables::ATTEMPTS, &key)?
                        .map(|attempt| attempt.reason);
                }
            }
        }
        views.push(ResponseView {
            run,
            text: Text::of(&stored.text),
            finish: finish_name(stored.finish),
            prompt_tokens: stored.n_prompt,
            new_tokens: u32::try_from(stored.offsets.len()).unwrap_or(u32::MAX),
            posted,
            transaction,
            delivery_error,
        });
    }
    Ok(views)
}

fn claim_view(claim: &StoredClaim) -> ClaimView {
    ClaimView {
        id: claim.id,
        epoch: claim.lane.epoch,
        root: claim.root,
        proposer: claim.proposer,
        bond_wei: claim.bond_wei.to_string(),
        window_end: claim.window_end,
        status: match claim.end {
            None => "standing",
            Some((ClaimEnd::Final, _)) => "final",
            Some((ClaimEnd::Fallen, _)) => "fallen",
        },
        transaction: claim.transaction,
    }
}
