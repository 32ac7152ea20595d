//! All nodes of a claim that could be opened now, whether that makes sense or not.

use alloy::primitives::B256;
use alloy::sol_types::SolValue;
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
use crate::chain::Move;
use crate::chain::abi::challenges::Job;
use crate::machine::MachineError;
use crate::store::{StoredClaim, StoredNode};

/// The moves that open them, those near the root first.
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
    let mut moves = children(&shape, &top, &published, None);
    for node in nodes {
        let record = node.record();
        let (Some(position), Some(revealed)) =
            (Position::from_word(&record.position.0), &node.revealed)
        else {
            continue;
        };
        match Contents::from_bytes(&position, &revealed.contents).map_err(MachineError::from)? {
            Contents::Job(job) => moves.extend(of_job(&position, &job, node, &parts.model.layout)),
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
                    moves.extend(children(&shape, &position, &digests, Some(node)));
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
        let contents = &node.revealed.as_ref()?.contents;
        (position.kind == NodeKind::Job && position.lane == lane)
            .then(|| abi::Job::abi_decode(contents).ok())?
    })
}

fn of_job(
    position: &Position,
    job: &abi::Job,
    node: &StoredNode,
    layout: &Arc<TraceLayout>,
) -> Vec<Move> {
    let Some(contents) = node
        .revealed
        .as_ref()
        .and_then(|revealed| Job::abi_decode(&revealed.contents).ok())
    else {
        return Vec::new();
    };
    let mut moves = Vec::new();
    for (index, run) in (0u8..).zip(&job.runs) {
        for kind in [
            NodeKind::Tokens,
            NodeKind::Text,
            NodeKind::Offsets,
            NodeKind::Trace,
        ] {
            let shape = TreeShape::of_run(kind, position.lane, index, &run_record(run), layout);
            let Some(shape) = shape.filter(|shape| shape.exists(shape.depth(), 0)) else {
                continue;
            };
            moves.push(Move::OpenInJob {
                parent: node.record(),
                job: contents.clone(),
                position: B256::from(shape.position(shape.depth(), 0).to_word()),
            });
        }
    }
    moves
}

/// The children of a node whose digests are known.
fn children(
    shape: &TreeShape,
    position: &Position,
    digests: &[Digest],
    parent: Option<&StoredNode>,
) -> Vec<Move> {
    let height = u32::from(position.height);
    let Some(levels) = shape.levels(height) else {
        return Vec::new();
    };
    let base = height - levels;
    let first = position.index << levels;
    // Absent nodes are left out of the contents; in the tree they are empty.
    let known: Vec<(u64, Digest)> = shape
        .below(height, position.index, levels)
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
    known
        .iter()
        .map(|(index, digest)| Move::Open {
            parent: parent.map(StoredNode::record),
            position: B256::from(shape.position(base, *index).to_word()),
            value: B256::from(digest.0),
            path: (0..levels)
                .map(|k| B256::from(tree.node(k, ((index - first) >> k) ^ 1).0))
                .collect(),
        })
        .collect()
}
