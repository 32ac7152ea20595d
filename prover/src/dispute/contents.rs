//! What a node holds (`prover/SPEC.md` section 10.2), for who answers openings.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes};
use alloy_sol_types::SolValue;
use sworn_inference::program::Op;

use super::abi;
use super::faults::prompt::places::{malformed_contents, prompt_contents, starts_contents};
use super::faults::prompt::{TokenizerBook, honest_places};
use super::faults::selection::contents::{Masses, Selection, write_sums};
use super::faults::{attention, selection, step};
use super::position::{NodeKind, Position};
use super::results::{LaneResults, RunLeaves, TraceNodes, job_of, word};
use super::shape::{TraceInJob, TreeShape};
use super::source::TraceSource;
use super::trace::TraceLayout;
use crate::constants::CONTENT_LEVELS;
use crate::merkle::Tree;
use crate::{Digest, Error};

/// The contents of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Digests below a node of a tree.
    Digests(Vec<Digest>),
    /// Leaves of a low node of a tree.
    Leaves(Vec<Vec<u8>>),
    /// A job, with the digests of its traces.
    Job(abi::Job, Vec<Digest>),
    /// Posted bytes.
    Posted(Vec<u8>),
}

impl Contents {
    /// As the event of a reveal has them, or would if the transaction's data did not.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Contents::Digests(digests) => words(digests).abi_encode(),
            Contents::Leaves(leaves) => leaves
                .iter()
                .map(|leaf| Bytes::copy_from_slice(leaf))
                .collect::<Vec<Bytes>>()
                .abi_encode(),
            Contents::Job(job, digests) => (job.clone(), words(digests)).abi_encode_params(),
            Contents::Posted(bytes) => bytes.clone(),
        }
    }

    /// Reads the contents of a node at a position.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for bytes that are no such contents.
    pub fn from_bytes(position: &Position, bytes: &[u8]) -> Result<Contents, Error> {
        let bad = |_| Error::Mismatch {
            what: "bytes of a node's contents that can be read",
            found: 0,
            expected: bytes.len() as u64,
        };
        Ok(match position.kind {
            NodeKind::Job => {
                let (job, digests) =
                    <(abi::Job, Vec<B256>)>::abi_decode_params(bytes).map_err(bad)?;
                Contents::Job(job, digests.iter().map(|digest| Digest(digest.0)).collect())
            }
            kind if kind.is_tree() => {
                if kind == NodeKind::Claim || position.height > CONTENT_LEVELS as u8 {
                    let digests = Vec::<B256>::abi_decode(bytes).map_err(bad)?;
                    Contents::Digests(digests.iter().map(|digest| Digest(digest.0)).collect())
                } else {
                    let leaves = Vec::<Bytes>::abi_decode(bytes).map_err(bad)?;
                    Contents::Leaves(leaves.iter().map(|leaf| leaf.to_vec()).collect())
                }
            }
            _ => Contents::Posted(bytes.to_vec()),
        })
    }
}

/// What somebody with these results reveals of a node.
///
/// # Errors
/// A position that no node of the lane has; results that can't be had.
pub fn contents_of(results: &mut dyn LaneResults, position: &Position) -> Result<Contents, Error> {
    let (lane, run) = (position.lane, u32::from(position.run));
    match position.kind {
        NodeKind::Claim => {
            let tree = claim_tree(results)?;
            let shape = TreeShape::claim(results.jobs());
            of_tree(&shape, position, &mut ListNodes(&tree, &[]))
        }
        NodeKind::Job => job_contents(results, lane, |_, err| Err(err)),
        kind if kind.is_tree() => {
            let answer = results.answer(lane)?;
            let record = at(&answer.commitment.runs, run)?;
            let layout = results.model().layout.clone();
            let shape = TreeShape::of_run(kind, lane, position.run, record, &layout)
                .ok_or_else(|| no_node(position))?;
            if kind == NodeKind::Trace {
                let trace = results.trace(lane, run)?;
                return of_tree(&shape, position, &mut TraceLeaves { layout, trace });
            }
            let leaves = at(&answer.leaves, run)?.list(kind);
            let leaves = leaves.ok_or_else(|| no_node(position))?;
            of_tree(
                &shape,
                position,
                &mut ListNodes(&RunLeaves::tree(leaves), leaves),
            )
        }
        _ => match results.posted(position) {
            Some(bytes) => Ok(Contents::Posted(bytes)),
            None => posted(results, position).map(Contents::Posted),
        },
    }
}

/// What is revealed of a job; `instead` says the digests of a trace that can't be had, by their number.
pub(crate) fn job_contents(
    results: &mut dyn LaneResults,
    lane: u32,
    instead: impl Fn(usize, Error) -> Result<Vec<Digest>, Error>,
) -> Result<Contents, Error> {
    let answer = results.answer(lane)?;
    let layout = results.model().layout.clone();
    let runs = &answer.commitment.runs;
    let (mut roots, mut all) = (vec![Digest::ZERO; runs.len()], Vec::new());
    for trace in TraceInJob::all(lane, runs, &layout) {
        let digests = trace_digests(results, lane, &trace)
            .or_else(|err| instead(trace.below().count(), err))?;
        if let (Some(root), Some(opened)) = (
            roots.get_mut(usize::from(trace.run)),
            trace.opened(&digests),
        ) {
            *root = opened.root();
        }
        all.extend(digests);
    }
    Ok(Contents::Job(job_of(&answer, roots), all))
}

fn trace_digests(
    results: &mut dyn LaneResults,
    lane: u32,
    of: &TraceInJob,
) -> Result<Vec<Digest>, Error> {
    let trace = results.trace(lane, of.run.into())?;
    let depth = of.shape.depth();
    if trace.depth() != depth {
        return Err(Error::Mismatch {
            what: "levels of a trace",
            found: trace.depth().into(),
            expected: depth.into(),
        });
    }
    of.below()
        .map(|index| trace.node(depth - of.levels, index))
        .collect()
}

fn words(digests: &[Digest]) -> Vec<B256> {
    digests.iter().copied().map(word).collect()
}

/// The claim tree of a lane's results.
///
/// # Errors
/// As [`LaneResults::answer`].
pub fn claim_tree(results: &mut dyn LaneResults) -> Result<Tree, Error> {
    let digests: Vec<Digest> = (0..results.jobs())
        .map(|lane| Ok(results.answer(lane)?.commitment.record.digest()))
        .collect::<Result<_, Error>>()?;
    Ok(Tree::new(digests))
}

/// The digests that a claim of these results is published with.
///
/// # Errors
/// As [`LaneResults::answer`].
pub fn published(results: &mut dyn LaneResults) -> Result<Vec<Digest>, Error> {
    let depth = TreeShape::claim(results.jobs()).depth();
    let root = Position::tree(NodeKind::Claim, 0, 0, depth as u8, 0);
    match contents_of(results, &root)? {
        Contents::Digests(digests) => Ok(digests),
        _ => Err(no_node(&root)),
    }
}

/// Nodes of a tree, to be revealed.
trait Nodes {
    fn digest(&mut self, height: u32, index: u64) -> Result<Digest, Error>;
    fn leaf(&mut self, index: u64) -> Result<Vec<u8>, Error>;
}

struct ListNodes<'a>(&'a Tree, &'a [Vec<u8>]);

impl Nodes for ListNodes<'_> {
    fn digest(&mut self, height: u32, index: u64) -> Result<Digest, Error> {
        Ok(self.0.node(height, index))
    }

    fn leaf(&mut self, index: u64) -> Result<Vec<u8>, Error> {
        at(self.1, u32::try_from(index).unwrap_or(u32::MAX)).cloned()
    }
}

struct TraceLeaves<'a> {
    layout: Arc<TraceLayout>,
    trace: &'a mut dyn TraceNodes,
}

impl Nodes for TraceLeaves<'_> {
    fn digest(&mut self, height: u32, index: u64) -> Result<Digest, Error> {
        self.trace.node(height, index)
    }

    fn leaf(&mut self, index: u64) -> Result<Vec<u8>, Error> {
        let (row, leaf) = self.layout.place(index);
        self.trace.leaf(row, leaf)
    }
}

fn of_tree(
    shape: &TreeShape,
    position: &Position,
    nodes: &mut dyn Nodes,
) -> Result<Contents, Error> {
    let (height, index) = (u32::from(position.height), position.index);
    if !shape.exists(height, index) {
        return Err(no_node(position));
    }
    match shape.levels(height) {
        Some(levels) => shape
            .below(height, index, levels)
            .map(|index| nodes.digest(height - levels, index))
            .collect::<Result<_, _>>()
            .map(Contents::Digests),
        None => shape
            .below(height, index, height)
            .map(|index| nodes.leaf(index))
            .collect::<Result<_, _>>()
            .map(Contents::Leaves),
    }
}

/// Contents that no hash binds, as they should be.
fn posted(results: &mut dyn LaneResults, position: &Position) -> Result<Vec<u8>, Error> {
    let (lane, run) = (position.lane, u32::from(position.run));
    let model = results.model().clone();
    let answer = results.answer(lane)?;
    let tokens = &at(&answer.runs, run)?.tokens;
    let index = u32::try_from(position.index).map_err(|_| no_node(position))?;
    match position.kind {
        NodeKind::Totals | NodeKind::Tile => {
            let step = model.layout.step(position.a)?;
            let source: &mut dyn TraceSource = results.trace(lane, run)?;
            if is_attention(step.op) {
                let site = attention::Site::of(&model.layout, position.a)?;
                return if position.kind == NodeKind::Totals {
                    site.totals(source, index, position.b)
                } else {
                    site.tile(source, index, position.b, position.c)
                };
            }
            if position.kind == NodeKind::Tile || step.sum_tiles().is_none() {
                return Err(no_node(position));
            }
            step::Builder::new(&model.layout, source, &model.weights, tokens)
                .totals(index, &step, position.b)
        }
        NodeKind::Selection | NodeKind::Group => {
            let claimed = *at(tokens, index)?;
            let site = selection::Site::of(&model.layout, index)?;
            let logits = site.all(results.trace(lane, run)?)?;
            let params = answer.input.params;
            let honest = Selection::honest(site.groups, &logits, params, claimed);
            if position.kind == NodeKind::Selection {
                return Ok(honest.write());
            }
            let masses = Masses::new(site.groups, &logits, honest.best, params, claimed);
            let sums = masses.group(position.a, position.b, honest.thresholds(&params));
            Ok(write_sums(&sums))
        }
        NodeKind::Prompt | NodeKind::Starts => {
            let book = TokenizerBook::of(model.model.tokenizer())?;
            let n_prompt = at(&answer.runs, run)?.n_prompt as usize;
            let prompt = tokens.get(..n_prompt).ok_or_else(|| no_node(position))?;
            let places = honest_places(&book, &answer.input.payload, prompt)?;
            Ok(match position.kind {
                NodeKind::Prompt => prompt_contents(&places),
                _ => starts_contents(&places, index),
            })
        }
        NodeKind::Malformed => {
            let tokenizer = model.model.tokenizer();
            malformed_contents(&answer.input.payload, &|id| tokenizer.is_control(id))
        }
        _ => Err(no_node(position)),
    }
}

/// Whether an operation is one of attention's three.
pub(crate) fn is_attention(op: Op) -> bool {
    matches!(op, Op::AttnMax | Op::AttnSum | Op::AttnMix)
}

pub(crate) fn at<T>(list: &[T], index: u32) -> Result<&T, Error> {
    list.get(index as usize).ok_or(Error::IndexOutOfRange {
        what: "runs or leaves",
        found: index.into(),
        expected: list.len() as u64,
    })
}

fn no_node(position: &Position) -> Error {
    Error::Unproven {
        reason: format!("there is no node at {position:?}"),
    }
}
