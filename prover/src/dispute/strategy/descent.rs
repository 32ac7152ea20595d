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

/// Where a descent begins.
pub(crate) enum Top<'v> {
    /// At a node that is there.
    Node(&'v NodeView),
    /// At the root of a tree, which is a child of the job with that key and has that digest.
    Root(Digest, Digest),
    /// At digests that came with the job of that key.
    Published(Digest, Opened),
}

/// Goes down a tree from its top.
pub(crate) fn descend<'v>(
    view: &'v ClaimView,
    shape: &TreeShape,
    top: Top<'v>,
    goal: &mut Goal<'_>,
) -> Result<Descent<'v>, Error> {
    let mut at = (shape.depth(), 0);
    let (mut node, mut opening) = match top {
        Top::Node(node) => (Some(node), Move::Nothing),
        Top::Root(parent, value) => {
            let position = shape.position(at.0, 0);
            let opening = Move::Open {
                parent,
                position,
                value,
                path: Vec::new(),
            };
            (view.child(parent, &position), opening)
        }
        Top::Published(parent, opened) => match step_down(view, shape, parent, &opened, goal)? {
            Some(down) => {
                at = down.at;
                (down.node, down.opening)
            }
            None => return Ok(Descent::Same),
        },
    };
    loop {
        let Some(found) = node else {
            return Ok(Descent::Act(opening));
        };
        let (height, index) = at;
        match &found.contents {
            None => return Ok(Descent::Act(Move::Wait { node: found.key })),
            Some(Contents::Job(..)) => return Ok(Descent::Job(found)),
            Some(Contents::Digests(digests)) => {
                let levels = shape.levels(height).unwrap_or(0);
                let opened = Opened::of(shape, height, index, levels, digests)
                    .filter(|opened| opened.root() == found.value)
                    .ok_or_else(|| unreadable(found))?;
                let Some(down) = step_down(view, shape, found.key, &opened, goal)? else {
                    return Ok(Descent::Same);
                };
                (at, node, opening) = (down.at, down.node, down.opening);
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

/// A child that a descent goes into.
struct Down<'v> {
    at: (u32, u64),
    node: Option<&'v NodeView>,
    opening: Move,
}

/// The first of the digests below a node that is to be gone into.
fn step_down<'v>(
    view: &'v ClaimView,
    shape: &TreeShape,
    parent: Digest,
    opened: &Opened,
    goal: &mut Goal<'_>,
) -> Result<Option<Down<'v>>, Error> {
    for (child, digest) in (opened.first..).zip(&opened.levels[0]) {
        if !shape.exists(opened.base, child) || !goal.takes(opened.base, child, *digest)? {
            continue;
        }
        let position = shape.position(opened.base, child);
        return Ok(Some(Down {
            at: (opened.base, child),
            node: view.child(parent, &position),
            opening: Move::Open {
                parent,
                position,
                value: *digest,
                path: opened.path(child)?,
            },
        }));
    }
    Ok(None)
}

fn unreadable(node: &NodeView) -> Error {
    let kind: NodeKind = node.position.kind;
    Error::Unproven {
        reason: format!("the contents of a {kind:?} node are not what its digest says"),
    }
}
