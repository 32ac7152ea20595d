//! What the chain has of a claim.

use crate::Digest;
use crate::dispute::abi;
use crate::dispute::contents::Contents;
use crate::dispute::position::{NodeKind, Position};
use crate::dispute::shape::TreeShape;

/// A node that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// Its key.
    pub key: Digest,
    /// Its parent's key; [`Digest::ZERO`] when that is the claim itself.
    pub parent: Digest,
    /// Where it stands.
    pub position: Position,
    /// Of nodes of trees and jobs their digest; of posted contents nothing.
    pub value: Digest,
    /// What it holds; none until it is revealed.
    pub contents: Option<Contents>,
}

impl NodeView {
    /// The contents of a revealed job.
    #[must_use]
    pub fn job(&self) -> Option<&abi::Job> {
        match &self.contents {
            Some(Contents::Job(job, _)) => Some(job),
            _ => None,
        }
    }

    /// The digests of traces that came with a revealed job.
    pub(crate) fn digests(&self) -> &[Digest] {
        match &self.contents {
            Some(Contents::Job(_, digests)) => digests,
            _ => &[],
        }
    }

    /// Posted contents that were revealed.
    #[must_use]
    pub fn posted(&self) -> Option<&[u8]> {
        match &self.contents {
            Some(Contents::Posted(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

/// A claim with all that one opened, and had revealed, in lines of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimView {
    /// The claim itself, with the digests that it was published with.
    root: NodeView,
    nodes: Vec<NodeView>,
}

impl ClaimView {
    /// A claim about a lane of `jobs` jobs.
    #[must_use]
    pub fn new(jobs: u32, root: Digest, digests: Vec<Digest>) -> ClaimView {
        let shape = TreeShape::claim(jobs);
        ClaimView {
            root: NodeView {
                key: Digest::ZERO,
                parent: Digest::ZERO,
                position: Position::tree(NodeKind::Claim, 0, 0, shape.depth() as u8, 0),
                value: root,
                contents: Some(Contents::Digests(digests)),
            },
            nodes: Vec::new(),
        }
    }

    /// The claim itself, as if it were a node.
    #[must_use]
    pub fn root(&self) -> &NodeView {
        &self.root
    }

    /// Adds a node, or puts a newer view of it in place of the older.
    pub fn put(&mut self, node: NodeView) {
        match self.nodes.iter_mut().find(|known| known.key == node.key) {
            Some(known) => *known = node,
            None => self.nodes.push(node),
        }
    }

    /// All nodes that were opened.
    #[must_use]
    pub fn nodes(&self) -> &[NodeView] {
        &self.nodes
    }

    /// The node with a key.
    #[must_use]
    pub fn node(&self, key: Digest) -> Option<&NodeView> {
        if key == Digest::ZERO {
            return Some(&self.root);
        }
        self.nodes.iter().find(|node| node.key == key)
    }

    /// The node at a position under a parent.
    #[must_use]
    pub fn child(&self, parent: Digest, position: &Position) -> Option<&NodeView> {
        self.nodes
            .iter()
            .find(|node| node.parent == parent && node.position == *position)
    }
}
