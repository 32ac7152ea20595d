//! From the root of a claimed tree down to the first leaf that is not one's own.

use super::Move;
use super::known::OwnTree;
use super::view::{ClaimView, NodeView};
use crate::dispute::contents::Contents;
use crate::dispute::position::NodeKind;
use crate::dispute::shape::{Opened, TreeShape};
use crate::{Digest, Error};

/// Where a descent is.
#[derive(Debug)]
pub(crate) enum Descent<'v> {
    /// This has to be done first.
    Act(Move),
    /// A leaf differs; the revealed node that holds it has these leaves.
    Leaf {
        /// The node.
        node: &'v NodeView,
        /// The leaf's index in the tree.
        index: u64,
        /// The leaves of the node that exist.
        leaves: &'v [Vec<u8>],
    },
    /// A job differs; it was revealed.
    Job(&'v NodeView),
    /// Nothing differs.
    Same,
}

/// What a descent looks for.
pub(crate) enum Goal<'o> {
    /// The first leaf below `limit` that differs from one's own.
    Difference {
        own: &'o mut dyn OwnTree,
        limit: u64,
    },
    /// That leaf, whatever it holds.
    Leaf(u64),
}

impl Goal<'_> {
    /// Whether to go into a node.
    fn takes(&mut self, height: u32, index: u64, digest: Digest) -> Result<bool, Error> {
        match self {
            Goal::Difference { own, limit } => {
                let first = u128::from(index) << height;
                Ok(first < u128::from(*limit) && own.node(height, index)? != Some(digest))
            }
            Goal::Leaf(leaf) => Ok(*leaf >> height == index),
        }
    }
}

/// Goes down from `top`, a node of the tree that was revealed or is to be opened under `parent` with the digest `value`.
pub(crate) fn descend<'v>(
    view: &'v ClaimView,
    shape: &TreeShape,
    parent: Digest,
    value: Digest,
    goal: &mut Goal<'_>,
) -> Result<Descent<'v>, Error> {
    let mut at = (shape.depth(), 0);
    let mut opening = Move::Open {
        parent,
        position: shape.position(at.0, 0),
        value,
        path: Vec::new(),
    };
    let mut node = if shape.is_claim() {
        Some(view.root())
    } else {
        view.child(parent, &shape.position(at.0, 0))
    };
    'down: loop {
        let Some(found) = node else {
            return Ok(Descent::Act(opening));
        };
        let (height, index) = at;
        match &found.contents {
            None => return Ok(Descent::Act(Move::Wait { node: found.key })),
            Some(Contents::Job(_)) => return Ok(Descent::Job(found)),
            Some(Contents::Digests(digests)) => {
                let levels = shape.levels(height).unwrap_or(0);
                let opened = Opened::of(shape, height, index, levels, digests)
                    .filter(|opened| opened.root() == found.value)
                    .ok_or_else(|| unreadable(found))?;
                for child in shape.below(height, index, levels) {
                    let digest = opened.levels[0][(child - opened.first) as usize];
                    if !goal.takes(opened.base, child, digest)? {
                        continue;
                    }
                    at = (opened.base, child);
                    let position = shape.position(opened.base, child);
                    opening = Move::Open {
                        parent: found.key,
                        position,
                        value: digest,
                        path: opened.path(child)?,
                    };
                    node = view.child(found.key, &position);
                    continue 'down;
                }
                return Ok(Descent::Same);
            }
            Some(Contents::Leaves(leaves)) => {
                for (index, leaf) in shape.below(height, index, height).zip(leaves) {
                    if goal.takes(0, index, Digest::of(leaf))? {
                        return Ok(Descent::Leaf {
                            node: found,
                            index,
                            leaves,
                        });
                    }
                }
                return Ok(Descent::Same);
            }
            Some(Contents::Posted(_)) => return Err(unreadable(found)),
        }
    }
}

fn unreadable(node: &NodeView) -> Error {
    let kind: NodeKind = node.position.kind;
    Error::Unproven {
        reason: format!("the contents of a {kind:?} node are not what its digest says"),
    }
}
