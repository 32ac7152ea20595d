//! What somebody says about the jobs of a lane: a challenger's own results, a proposer's, or a liar's.

use std::sync::Arc;

use alloy_primitives::{B256, U256};
use sworn_inference::engine::RunResult;
use sworn_inference::format::packed::Model;

use super::abi;
use super::position::{NodeKind, Position};
use super::source::TraceSource;
use super::trace::{ModelWeights, Trace, TraceLayout};
use crate::constants::{TEXT_LEAF_BYTES, TOKEN_LEAF_ELEMENTS};
use crate::merkle::Tree;
use crate::params::Params;
use crate::record::RunRecord;
use crate::result::JobCommitment;
use crate::{Digest, Error};

/// A model with what disputes about it need.
#[derive(Debug, Clone)]
pub struct DisputeModel {
    /// The model.
    pub model: Arc<Model>,
    /// Where everything stands in its traces.
    pub layout: Arc<TraceLayout>,
    /// Its weights, to be opened.
    pub weights: ModelWeights,
}

/// A sealed input, as the chain has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneInput {
    /// Its number in the inbox.
    pub input_id: u64,
    /// Its parameters.
    pub params: Params,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Its seed.
    pub seed: Digest,
}

/// The leaves of the trees of a run's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLeaves {
    /// Of the tokens.
    pub tokens: Vec<Vec<u8>>,
    /// Of the offsets.
    pub offsets: Vec<Vec<u8>>,
    /// Of the text.
    pub text: Vec<Vec<u8>>,
}

impl RunLeaves {
    /// The leaves of a run (section 5).
    #[must_use]
    pub fn of(run: &RunResult) -> RunLeaves {
        let numbers = |numbers: &[u32]| {
            let leaf = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            filled(
                numbers.chunks(TOKEN_LEAF_ELEMENTS).map(leaf),
                4 * TOKEN_LEAF_ELEMENTS,
            )
        };
        RunLeaves {
            tokens: numbers(&run.tokens),
            offsets: numbers(&run.offsets),
            text: filled(
                run.text.chunks(TEXT_LEAF_BYTES).map(<[u8]>::to_vec),
                TEXT_LEAF_BYTES,
            ),
        }
    }

    /// The leaves of a tree; none for a kind of node that is no list of a run.
    #[must_use]
    pub fn list(&self, kind: NodeKind) -> Option<&[Vec<u8>]> {
        match kind {
            NodeKind::Tokens => Some(&self.tokens),
            NodeKind::Offsets => Some(&self.offsets),
            NodeKind::Text => Some(&self.text),
            _ => None,
        }
    }

    /// The tree over leaves.
    #[must_use]
    pub fn tree(leaves: &[Vec<u8>]) -> Tree {
        Tree::new(leaves.iter().map(|leaf| Digest::of(leaf)).collect())
    }
}

fn filled(leaves: impl Iterator<Item = Vec<u8>>, size: usize) -> Vec<Vec<u8>> {
    leaves
        .map(|mut leaf| {
            leaf.resize(size, 0);
            leaf
        })
        .collect()
}

/// What is said about one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The input.
    pub input: LaneInput,
    /// Its runs.
    pub runs: Vec<RunResult>,
    /// Their commitment.
    pub commitment: JobCommitment,
    /// The leaves behind the commitment.
    pub leaves: Vec<RunLeaves>,
}

impl Answer {
    /// What results say about an input.
    ///
    /// # Errors
    /// As [`JobCommitment::of`].
    pub fn new(input: LaneInput, runs: Vec<RunResult>) -> Result<Answer, Error> {
        Ok(Answer {
            commitment: JobCommitment::of(input.input_id, &runs)?,
            leaves: runs.iter().map(RunLeaves::of).collect(),
            input,
            runs,
        })
    }

    /// Whether a run has a trace: it has a new token.
    #[must_use]
    pub fn has_trace(&self, run: u32) -> bool {
        let record = self.commitment.runs.get(run as usize);
        record.is_some_and(|run| run.n_tokens > run.n_prompt)
    }
}

/// A trace of which every node is known.
pub trait TraceNodes: TraceSource {
    /// R.
    fn rows(&self) -> u32;

    /// Tokens of the prompt.
    fn n_prompt(&self) -> u32;

    /// Levels above the leaves.
    fn depth(&self) -> u32;

    /// Node `index` at `height`; leaves have height 0. Absent nodes are `Z(height)`.
    ///
    /// # Errors
    /// No such node, or it can't be made.
    fn node(&mut self, height: u32, index: u64) -> Result<Digest, Error>;
}

impl TraceNodes for Trace {
    fn rows(&self) -> u32 {
        Trace::rows(self)
    }

    fn n_prompt(&self) -> u32 {
        Trace::n_prompt(self)
    }

    fn depth(&self) -> u32 {
        Trace::depth(self)
    }

    fn node(&mut self, height: u32, index: u64) -> Result<Digest, Error> {
        Trace::node(self, height, index)
    }
}

/// All that somebody says about a lane.
pub trait LaneResults {
    /// The lane's model.
    fn model(&self) -> &DisputeModel;

    /// Jobs of the lane.
    fn jobs(&self) -> u32;

    /// What is said about a job.
    ///
    /// # Errors
    /// No such job, or its result can't be had.
    fn answer(&mut self, lane: u32) -> Result<Arc<Answer>, Error>;

    /// The trace of a run that has one.
    ///
    /// # Errors
    /// No such run, or its trace can't be made.
    fn trace(&mut self, lane: u32, run: u32) -> Result<&mut dyn TraceNodes, Error>;

    /// Posted contents that are not what they should be. Of honest results there are none.
    fn posted(&mut self, position: &Position) -> Option<Vec<u8>> {
        let _ = position;
        None
    }
}

/// A run's record as the contracts have it.
#[must_use]
pub fn abi_run(run: &RunRecord) -> abi::Run {
    abi::Run {
        nPrompt: run.n_prompt,
        nTokens: run.n_tokens,
        finish: run.finish,
        tokensRoot: word(run.tokens_root),
        offsetsRoot: word(run.offsets_root),
        textRoot: word(run.text_root),
        textLength: run.text_length,
        score: run.score,
        greedy: run.greedy,
    }
}

/// The record of a run that a job's contents state.
#[must_use]
pub fn run_record(run: &abi::Run) -> RunRecord {
    RunRecord {
        n_prompt: run.nPrompt,
        n_tokens: run.nTokens,
        finish: run.finish,
        tokens_root: Digest(run.tokensRoot.0),
        offsets_root: Digest(run.offsetsRoot.0),
        text_root: Digest(run.textRoot.0),
        text_length: run.textLength,
        score: run.score,
        greedy: run.greedy,
    }
}

/// The contents of a job with these trace roots, one a run.
pub(crate) fn job_of(answer: &Answer, trace_roots: Vec<Digest>) -> abi::Job {
    abi::Job {
        inputId: U256::from(answer.commitment.record.input_id),
        scoreRoot: word(answer.commitment.record.score_root),
        runs: answer.commitment.runs.iter().map(abi_run).collect(),
        traceRoots: trace_roots.into_iter().map(word).collect(),
    }
}

/// A digest as the contracts have it.
#[must_use]
pub fn word(digest: Digest) -> B256 {
    B256::from(digest.0)
}
