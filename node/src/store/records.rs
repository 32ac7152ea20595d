//! The stored records.

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

/// How far the chain was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The last block whose events are in the store.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its time stamp, in seconds.
    pub timestamp: u64,
}

/// A lane: the inputs of one model in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneKey {
    /// The epoch in which the inputs were sealed.
    pub epoch: u64,
    /// The model.
    pub model: B256,
}

impl std::fmt::Display for LaneKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "epoch {} of model {}", self.epoch, self.model)
    }
}

/// One voucher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VoucherKey {
    /// The input.
    pub input: u64,
    /// The run of its job.
    pub run: u32,
    /// The chunk of the run's text.
    pub chunk: u32,
}

/// An input as its events tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredInput {
    /// Id.
    pub id: u64,
    /// Who called the inbox.
    pub sender: Address,
    /// Where vouchers go.
    pub recipient: Address,
    /// Model.
    pub model: B256,
    /// Packed parameters.
    pub params: B256,
    /// Root of the payload's bytes, checked against them.
    pub payload_root: B256,
    /// Payload.
    pub payload: Bytes,
    /// Transaction that submitted it.
    pub transaction: B256,
    /// Block of that transaction.
    pub block: u64,
    /// Its time stamp, in seconds.
    pub submitted_at: u64,
    /// Re-armings, in order.
    pub rearms: Vec<RearmRecord>,
    /// The seal, once it has one.
    pub seal: Option<Seal>,
}

impl StoredInput {
    /// The block from which the seal's delay counts.
    pub fn armed_block(&self) -> u64 {
        self.rearms.last().map_or(self.block, |r| r.armed_block)
    }

    /// Its lane, once sealed.
    pub fn lane(&self) -> Option<LaneKey> {
        self.seal.as_ref().map(|seal| LaneKey {
            epoch: seal.epoch,
            model: self.model,
        })
    }
}

/// An input whose seal was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RearmRecord {
    /// Block of the event.
    pub block: u64,
    /// From where the delay counts now.
    pub armed_block: u64,
}

/// What sealing gave an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Block of the event.
    pub block: u64,
    /// Epoch.
    pub epoch: u64,
    /// Leaf of its lane.
    pub lane_index: u32,
    /// Seed.
    pub seed: B256,
    /// The inbox's running hash after it.
    pub accumulator: B256,
}

/// A claim as its events tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredClaim {
    /// Id.
    pub id: B256,
    /// Lane.
    pub lane: LaneKey,
    /// Who bonded it.
    pub proposer: Address,
    /// Claim tree's root.
    pub root: B256,
    /// The inbox's running hash it names.
    pub accumulator: B256,
    /// End of its window, in seconds.
    pub window_end: u64,
    /// Bond.
    pub bond_wei: U256,
    /// The claim tree's nodes some levels below its root, as the claim was made with.
    pub digests: Vec<B256>,
    /// Block of the claim.
    pub block: u64,
    /// Transaction of the claim.
    pub transaction: B256,
    /// How and in which block it ended.
    pub end: Option<(ClaimEnd, u64)>,
    /// Block in which its bond was released or burned.
    pub bond_gone: Option<u64>,
}

/// How a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimEnd {
    /// Undefeated.
    Final,
    /// Proven wrong, or its proposer was silent.
    Fallen,
}

/// A result that this node computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResult {
    /// The seed it was computed with; a result of another seed is of another chain.
    pub seed: B256,
    /// The job's record: the leaf of the claim tree.
    pub job: B256,
    /// Root over the runs' records.
    pub runs_root: B256,
    /// Score root (zero for `generate`).
    pub score_root: B256,
    /// The runs.
    pub runs: Vec<StoredRun>,
    /// How long it took.
    pub millis: u64,
}

/// One run of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRun {
    /// Tokens of the prompt.
    pub n_prompt: u32,
    /// All tokens: the prompt's, then the new ones.
    pub tokens: Vec<u32>,
    /// Finish code of `prover/SPEC.md` section 5.
    pub finish: u8,
    /// Text.
    pub text: Bytes,
    /// Byte at which each new token's piece starts.
    pub offsets: Vec<u32>,
}

/// A voucher that the chain executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Block.
    pub block: u64,
    /// Transaction.
    pub transaction: B256,
    /// The final claim that proved it.
    pub claim: B256,
    /// Where it went.
    pub recipient: Address,
}

/// Vain attempts at a voucher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// How many.
    pub count: u32,
    /// Not again before this Unix time.
    pub next_at: u64,
    /// Why the last one failed.
    pub reason: String,
}

impl Attempt {
    /// [`Attempt::next_at`] of a voucher that was given up.
    pub const NEVER: u64 = u64::MAX;
}

/// What became of an input's fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Block.
    pub block: u64,
    /// What happened.
    pub kind: SettlementKind,
}

/// Where a fee went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettlementKind {
    /// To who served it.
    Paid(Address),
    /// Back to the payer.
    Refunded,
}

/// A note about an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// What sort of note.
    pub kind: ReportKind,
    /// For people: found, expected, remedy.
    pub message: String,
    /// Unix time.
    pub at: u64,
}

/// Sorts of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// This node does not serve the model.
    NotServed,
    /// The payload is no payload; answered as the machine says.
    Malformed,
    /// The prompt does not fit into the context; answered as the machine says.
    TooLong,
    /// The engine failed; it is tried again after a restart.
    EngineFailed,
    /// The events of this input do not fit together.
    Inconsistent,
    /// Another root than this node's became final: its responses are not the chain's.
    Overruled,
}

/// A registered model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredModel {
    /// Id.
    pub id: B256,
    /// Who registered it.
    pub publisher: Address,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// SPDX identifier.
    pub license: String,
    /// A mirror of the weights.
    pub weights_uri: String,
    /// The model it was made from, or zero.
    pub parent: B256,
    /// Block of its registration.
    pub block: u64,
}
