//! Trees of true size without their leaves: a few leaves are given, what lies beside their paths is made from a seed when asked for.
//!
//! A liar's tree may hold anything, so a dispute over such a tree costs what a dispute over a real one of that shape costs.

use std::collections::BTreeMap;

use sworn_prover::Digest;
use sworn_prover::constants::CONTENT_LEVELS;
use sworn_prover::dispute::shape::{levels_down, levels_in_job};
use sworn_prover::merkle::empty;

/// A complete binary tree of which few leaves are known.
pub struct SparseTree {
    seed: u64,
    depth: u32,
    leaves: BTreeMap<u64, Digest>,
    /// (height, index, levels): nodes whose digests that many levels below will be asked for.
    opened: Vec<(u32, u64, u32)>,
    /// Whether any leaf of `[first, end)` exists; what does not has the empty digest.
    exists: Box<dyn Fn(u64, u64) -> bool>,
}

impl std::fmt::Debug for SparseTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SparseTree of depth {}, {} leaves known",
            self.depth,
            self.leaves.len()
        )
    }
}

impl SparseTree {
    /// A tree of `2^depth` leaves, of which those exist for whose range `exists(first, end)` says so.
    pub fn new(seed: u64, depth: u32, exists: impl Fn(u64, u64) -> bool + 'static) -> SparseTree {
        SparseTree {
            seed,
            depth,
            leaves: BTreeMap::new(),
            opened: Vec::new(),
            exists: Box::new(exists),
        }
    }

    /// A tree whose first `count` leaves exist.
    pub fn of_count(seed: u64, count: u64) -> SparseTree {
        let depth = count.max(1).next_power_of_two().trailing_zeros();
        SparseTree::new(seed, depth, move |first, _| first < count)
    }

    /// Levels above the leaves.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Gives a leaf its digest.
    pub fn set(&mut self, index: u64, digest: Digest) {
        self.leaves.insert(index, digest);
    }

    /// Says that the nodes over leaf `index` of a trace are opened one after another, from the digests that come with a job of one run to a content node.
    pub fn open_along(&mut self, index: u64) {
        let content = CONTENT_LEVELS as u32;
        let mut height = self.depth;
        let mut levels = levels_in_job(height, 1);
        while levels > 0 {
            self.opened.push((height, index >> height, levels));
            height -= levels;
            levels = levels_down(height.saturating_sub(content));
        }
    }

    /// Whether the node's own children must be made, because digests below it are asked for.
    fn is_seen_through(&self, height: u32, index: u64) -> bool {
        let over = |(top, node, levels): &(u32, u64, u32)| {
            height <= *top && height > top - levels && index >> (top - height) == *node
        };
        self.opened.iter().any(over)
    }

    /// The node of that height and index.
    pub fn node(&self, height: u32, index: u64) -> Digest {
        let (first, end) = (index << height, (index + 1) << height);
        if !(self.exists)(first, end) {
            return empty(height);
        }
        if self.leaves.range(first..end).next().is_none() && !self.is_seen_through(height, index) {
            let mut bytes = Vec::from(*b"sparse");
            bytes.extend(self.seed.to_be_bytes());
            bytes.extend(height.to_be_bytes());
            bytes.extend(index.to_be_bytes());
            return Digest::of(&bytes);
        }
        match height {
            0 => self.leaves[&index],
            _ => Digest::of_pair(
                self.node(height - 1, 2 * index),
                self.node(height - 1, 2 * index + 1),
            ),
        }
    }

    /// The root.
    pub fn root(&self) -> Digest {
        self.node(self.depth, 0)
    }

    /// The siblings of a node from its height up to height `top`.
    pub fn path(&self, height: u32, index: u64, top: u32) -> Vec<Digest> {
        (height..top)
            .map(|level| self.node(level, (index >> (level - height)) ^ 1))
            .collect()
    }

    /// The digests `levels` below a node, absent ones left out.
    pub fn children(&self, height: u32, index: u64, levels: u32) -> Vec<Digest> {
        let (at, below) = (height - levels, index << levels);
        (below..below + (1 << levels))
            .filter(|child| (self.exists)(child << at, (child + 1) << at))
            .map(|child| self.node(at, child))
            .collect()
    }
}
