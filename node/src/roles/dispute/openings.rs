//! All nodes of a claim that could be opened now, whether that makes sense or not.

use alloy::primitives::B256;
use sworn_prover::Digest;
use sworn_prover::dispute::Position;
use sworn_prover::dispute::abi;
use sworn_prover::dispute::contents::Contents;
use sworn_prover::dispute::position::NodeKind;
use sworn_prover::dispute::results::run_record;
use sworn_prover::dispute::shape::TreeShape;
use sworn_prover::dispute::trace::TraceLayout;
use sworn_prover::merkle::{Tree, empty};

use std::sync::Arc;

use super::super::{Context, LaneView, RoleError};
use super::book::job_in;
use super::chain_job;
use crate::chain::Move;
use crate::machine::MachineError;
use crate::store::{Line, Lines, StoredClaim, StoredNode, StoredRecord};

/// The moves that open them, those near the root first; the numbers of their lines are left to who makes them.
pub(super) fn of(
    context: &Context,
    view: &LaneView,
    claim: &StoredClaim,
    nodes: &[StoredNode],
) -> Result<Vec<Move>, RoleError> {
    let Some(parts) = context
        .machines
        .get(&view.lane.model)
        .and_then(|machine| machine.dispute())
    else {
        return Ok(Vec::new());
    };
    let jobs = u32::try_from(view.inputs.len()).unwrap_or(u32::MAX);
    let shape = TreeShape::claim(jobs);
    let top = Position::tree(NodeKind::Claim, 0, 0, shape.depth() as u8, 0);
    let published: Vec<Digest> = claim.digests.iter().map(|d| Digest(d.0)).collect();
    let mut moves: Vec<Move> = below(&shape, top.height.into(), 0, None, &published)
        .map(|child| child.open(None))
        .collect();
    let lines = Lines::of(nodes);
    // The contract knows the lowest node of each line only.
    for node in lines.all().iter().filter_map(Line::lowest) {
        let record = node.record();
        let (Some(position), Some(revealed)) =
            (Position::from_word(&record.position.0), &node.revealed)
        else {
            continue;
        };
        match Contents::from_bytes(&position, &revealed.contents).map_err(MachineError::from)? {
            Contents::Job(job, digests) => {
                moves.extend(of_job(
                    &position,
                    &job,
                    &digests,
                    record,
                    &parts.model.layout,
                ));
            }
            Contents::Digests(digests) => {
                let shape = match position.kind {
                    NodeKind::Claim => Some(TreeShape::claim(jobs)),
                    kind => job_of(nodes, position.lane).and_then(|job| {
                        let run = job.runs.get(usize::from(position.run))?;
                        TreeShape::of_run(
                            kind,
                            position.lane,
                            position.run,
                            &run_record(run),
                            &parts.model.layout,
                        )
                    }),
                };
                if let Some(shape) = shape {
                    let height = position.height.into();
                    let children = below(&shape, height, position.index, None, &digests);
                    moves.extend(children.map(|child| child.open(Some(record))));
                }
            }
            Contents::Leaves(_) | Contents::Posted(_) => {}
        }
    }
    let open: Vec<B256> = nodes.iter().map(|node| node.record().position).collect();
    moves.retain(|what| match what {
        Move::Open { position, .. } | Move::OpenInJob { position, .. } => !open.contains(position),
        _ => false,
    });
    Ok(moves)
}

fn job_of(nodes: &[StoredNode], lane: u32) -> Option<abi::Job> {
    nodes.iter().find_map(|node| {
        let position = Position::from_word(&node.record().position.0)?;
        (position.lane == lane).then(|| job_in(node))?
    })
}

/// The roots of a job's lists, and the nodes of its traces whose digests came with it.
fn of_job(
    position: &Position,
    job: &abi::Job,
    digests: &[Digest],
    parent: StoredRecord,
    layout: &Arc<TraceLayout>,
) -> Vec<Move> {
    let contents = chain_job(job);
    let runs = u32::try_from(job.runs.len()).unwrap_or(u32::MAX);
    let mut left = digests;
    let mut moves = Vec::new();
    for (index, run) in (0u8..).zip(&job.runs) {
        let of = |kind| {
            TreeShape::of_run(kind, position.lane, index, &run_record(run), layout)
                .filter(|shape| shape.exists(shape.depth(), 0))
        };
        for (kind, root) in [
            (NodeKind::Tokens, run.tokensRoot),
            (NodeKind::Text, run.textRoot),
            (NodeKind::Offsets, run.offsetsRoot),
        ] {
            let Some(shape) = of(kind) else { continue };
            moves.push(Move::OpenInJob {
                parent,
                job: contents.clone(),
                position: B256::from(shape.position(shape.depth(), 0).to_word()),
                value: root,
                path: Vec::new(),
                line: 0,
            });
        }
        // A run without new tokens has none.
        let Some(shape) = of(NodeKind::Trace).filter(|_| run.nTokens > run.nPrompt) else {
            continue;
        };
        let (depth, levels) = (shape.depth(), shape.levels_in_job(runs));
        let count = shape.below(depth, 0, levels).count().min(left.len());
        let (own, rest) = left.split_at(count);
        left = rest;
        moves.extend(
            below(&shape, depth, 0, Some(levels), own).map(|child| Move::OpenInJob {
                parent,
                job: contents.clone(),
                position: child.position,
                value: child.value,
                path: child.path,
                line: 0,
            }),
        );
    }
    moves
}

/// A node whose digest is known.
struct Child {
    position: B256,
    value: B256,
    path: Vec<B256>,
}

impl Child {
    fn open(self, parent: Option<StoredRecord>) -> Move {
        Move::Open {
            parent,
            position: self.position,
            value: self.value,
            path: self.path,
            line: 0,
        }
    }
}

/// The nodes below a node whose digests are known; `levels` below it, or as many as its own opening shows.
fn below(
    shape: &TreeShape,
    height: u32,
    index: u64,
    levels: Option<u32>,
    digests: &[Digest],
) -> impl Iterator<Item = Child> {
    let levels = levels.or_else(|| shape.levels(height));
    let k = levels.unwrap_or(0);
    let (base, first) = (height - k, index << k);
    // Absent nodes are left out of the contents; in the tree they are empty.
    let known: Vec<(u64, Digest)> = levels
        .into_iter()
        .flat_map(|levels| shape.below(height, index, levels))
        .zip(digests.iter().copied())
        .collect();
    let end = known.last().map_or(0, |(index, _)| index - first + 1);
    let mut nodes = vec![empty(base); usize::try_from(end).unwrap_or_default()];
    for (index, digest) in &known {
        if let Some(place) = nodes.get_mut((index - first) as usize) {
            *place = *digest;
        }
    }
    let tree = Tree::on(base, nodes);
    let children: Vec<Child> = known
        .iter()
        .map(|(index, digest)| Child {
            position: B256::from(shape.position(base, *index).to_word()),
            value: B256::from(digest.0),
            path: (0..k)
                .map(|level| B256::from(tree.node(level, ((index - first) >> level) ^ 1).0))
                .collect(),
        })
        .collect();
    children.into_iter()
}
