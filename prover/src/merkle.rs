//! Binary SHA-256 trees (`prover/SPEC.md` section 2): leaf digests padded with empty digests to a power of two.
//!
//! A tree may stand on a *base* level above 0: its leaves are then roots of smaller trees, and it is padded with the empty
//! digest of that level.

use std::sync::OnceLock;

use crate::{Digest, Error};

/// No tree is deeper than this: indices are 64-bit numbers.
pub const MAX_DEPTH: u32 = 64;

/// The empty digest of a level: `Z(0)` is zero, `Z(k+1) = H(Z(k) || Z(k))`. Levels above [`MAX_DEPTH`] read as that one.
#[must_use]
pub fn empty(level: u32) -> Digest {
    static TABLE: OnceLock<Vec<Digest>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let below = |digest: &Digest| Some(Digest::of_pair(*digest, *digest));
        std::iter::successors(Some(Digest::ZERO), below)
            .take(MAX_DEPTH as usize + 1)
            .collect()
    });
    table[level.min(MAX_DEPTH) as usize]
}

/// Depth of a tree over `count` leaves: the base-2 logarithm of the smallest power of two that is at least `max(count, 1)`.
#[must_use]
pub const fn depth(count: u64) -> u32 {
    match count {
        0 | 1 => 0,
        _ => u64::BITS - (count - 1).leading_zeros(),
    }
}

/// Takes leaf digests one after another and gives the root, holding one digest a level.
#[derive(Debug, Clone)]
pub struct RootBuilder {
    base: u32,
    /// `pending[k]` waits for its right sibling at height k; the last one is the finished root.
    pending: Vec<Option<Digest>>,
    count: u64,
}

impl RootBuilder {
    /// A tree of `depth` levels above leaves of level 0.
    #[must_use]
    pub fn new(depth: u32) -> RootBuilder {
        RootBuilder::on(0, depth)
    }

    /// A tree of `depth` levels above nodes of level `base`.
    #[must_use]
    pub fn on(base: u32, depth: u32) -> RootBuilder {
        RootBuilder {
            base,
            pending: vec![None; depth.min(MAX_DEPTH) as usize + 1],
            count: 0,
        }
    }

    /// Adds the next leaf.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`] when the tree is full.
    pub fn push(&mut self, leaf: Digest) -> Result<(), Error> {
        let depth = self.pending.len() as u32 - 1;
        if self.count.checked_shr(depth).is_some_and(|full| full > 0) {
            return Err(Error::IndexOutOfRange {
                what: "tree",
                found: self.count,
                expected: 1 << depth,
            });
        }
        self.count += 1;
        let mut digest = leaf;
        for slot in &mut self.pending {
            match slot.take() {
                Some(left) => digest = Digest::of_pair(left, digest),
                None => {
                    *slot = Some(digest);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Pads with empty digests and gives the root.
    #[must_use]
    pub fn finish(self) -> Digest {
        // `right` is the digest, at the current height, of what stands right of the pending nodes; None while that is all empty.
        let mut right: Option<Digest> = None;
        let mut level = self.base;
        let height = self.pending.len() - 1;
        for (k, left) in self.pending.into_iter().enumerate() {
            if k == height {
                return left.or(right).unwrap_or_else(|| empty(level));
            }
            right = match (left, right) {
                (None, None) => None,
                (None, Some(digest)) => Some(Digest::of_pair(digest, empty(level))),
                (Some(left), right) => {
                    Some(Digest::of_pair(left, right.unwrap_or_else(|| empty(level))))
                }
            };
            level += 1;
        }
        empty(level)
    }
}

/// The root over `leaves`, padded to the next power of two.
#[must_use]
pub fn root(leaves: &[Digest]) -> Digest {
    Tree::new(leaves.to_vec()).root()
}

/// A tree that keeps its nodes, for paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    base: u32,
    /// `levels[0]` are the leaves; every level holds only the nodes that stand over a leaf. The last has at most one.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// The tree over `leaves`, padded to the next power of two.
    #[must_use]
    pub fn new(leaves: Vec<Digest>) -> Tree {
        Tree::on(0, leaves)
    }

    /// The tree over nodes of level `base`.
    #[must_use]
    pub fn on(base: u32, leaves: Vec<Digest>) -> Tree {
        let depth = depth(leaves.len() as u64);
        let mut levels = vec![leaves];
        for k in 0..depth {
            let filler = empty(base + k);
            let pair = |nodes: &[Digest]| {
                Digest::of_pair(nodes[0], nodes.get(1).copied().unwrap_or(filler))
            };
            let above = levels[k as usize].chunks(2).map(pair).collect();
            levels.push(above);
        }
        Tree { base, levels }
    }

    /// The leaves that are not padding.
    #[must_use]
    pub fn leaves(&self) -> &[Digest] {
        &self.levels[0]
    }

    /// The nodes at a height that stand over a leaf; none above the root.
    #[must_use]
    pub fn level(&self, height: u32) -> &[Digest] {
        self.levels.get(height as usize).map_or(&[], Vec::as_slice)
    }

    /// How many leaves are not padding.
    #[must_use]
    pub fn len(&self) -> usize {
        self.levels[0].len()
    }

    /// Whether all leaves are padding.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels[0].is_empty()
    }

    /// Levels above the leaves.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.levels.len() as u32 - 1
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.node(self.depth(), 0)
    }

    /// The siblings from leaf `index` upwards. Padding has paths too.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`] when the padded tree has no such leaf.
    pub fn path(&self, index: u64) -> Result<Vec<Digest>, Error> {
        let capacity = 1 << self.depth();
        if index >= capacity {
            return Err(Error::IndexOutOfRange {
                what: "tree",
                found: index,
                expected: capacity,
            });
        }
        Ok((0..self.depth())
            .map(|k| self.node(k, (index >> k) ^ 1))
            .collect())
    }

    /// The node `height` levels above the leaves. Above the root the tree goes on as one that is padded further; where nothing stands is an empty
    /// digest.
    #[must_use]
    pub fn node(&self, height: u32, index: u64) -> Digest {
        if let Some(level) = self.levels.get(height as usize) {
            let known = usize::try_from(index).ok().and_then(|i| level.get(i));
            return known.copied().unwrap_or_else(|| empty(self.base + height));
        }
        if index > 0 {
            return empty(self.base + height);
        }
        (self.depth()..height).fold(self.root(), |digest, level| {
            Digest::of_pair(digest, empty(self.base + level))
        })
    }
}

/// The root that a leaf and its path lead to.
#[must_use]
pub fn root_of(leaf: Digest, index: u64, path: &[Digest]) -> Digest {
    let mut node = leaf;
    let mut index = index;
    for sibling in path {
        node = if index & 1 == 0 {
            Digest::of_pair(node, *sibling)
        } else {
            Digest::of_pair(*sibling, node)
        };
        index >>= 1;
    }
    node
}

/// Checks that `leaf` stands at `index` in the tree of `depth` levels whose root is `root`; `what` names the tree in errors.
///
/// # Errors
/// [`Error::PathLength`], [`Error::IndexOutOfRange`] or [`Error::WrongRoot`].
pub fn verify(
    what: &'static str,
    leaf: Digest,
    index: u64,
    depth: u32,
    path: &[Digest],
    root: Digest,
) -> Result<(), Error> {
    if path.len() != depth as usize {
        return Err(Error::PathLength {
            what,
            found: path.len(),
            expected: depth,
        });
    }
    if let Some(capacity) = 1u64.checked_shl(depth)
        && index >= capacity
    {
        return Err(Error::IndexOutOfRange {
            what,
            found: index,
            expected: capacity,
        });
    }
    let found = root_of(leaf, index, path);
    if found == root {
        Ok(())
    } else {
        Err(Error::WrongRoot {
            what,
            found,
            expected: root,
        })
    }
}

#[cfg(test)]
mod tests;
