//! What is known of a claimed tree: what was revealed, and all that equals one's own.

use std::collections::HashMap;
use std::sync::Arc;

use super::view::ClaimView;
use crate::dispute::abi::Leaf;
use crate::dispute::contents::Contents;
use crate::dispute::results::{TraceNodes, word};
use crate::dispute::shape::{Opened, TreeShape};
use crate::dispute::source::TraceSource;
use crate::dispute::trace::TraceLayout;
use crate::merkle::{self, Tree};
use crate::{Digest, Error};

/// One's own tree of the same kind.
pub(crate) trait OwnTree {
    /// A node; none when the own tree has no such place.
    fn node(&mut self, height: u32, index: u64) -> Result<Option<Digest>, Error>;

    /// A leaf; none when there is no such one.
    fn leaf(&mut self, index: u64) -> Result<Option<Vec<u8>>, Error>;
}

/// A list of a run.
pub(crate) struct OwnList<'a> {
    leaves: &'a [Vec<u8>],
    tree: Tree,
}

impl<'a> OwnList<'a> {
    pub(crate) fn new(leaves: &'a [Vec<u8>]) -> OwnList<'a> {
        OwnList {
            leaves,
            tree: crate::dispute::results::RunLeaves::tree(leaves),
        }
    }
}

impl OwnTree for OwnList<'_> {
    fn node(&mut self, height: u32, index: u64) -> Result<Option<Digest>, Error> {
        Ok(Some(self.tree.node(height, index)))
    }

    fn leaf(&mut self, index: u64) -> Result<Option<Vec<u8>>, Error> {
        let leaf = usize::try_from(index).ok().and_then(|i| self.leaves.get(i));
        Ok(leaf.cloned())
    }
}

/// The claim tree.
pub(crate) struct OwnClaim(pub(crate) Tree);

impl OwnTree for OwnClaim {
    fn node(&mut self, height: u32, index: u64) -> Result<Option<Digest>, Error> {
        Ok(Some(self.0.node(height, index)))
    }

    fn leaf(&mut self, _index: u64) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }
}

/// A trace.
pub(crate) struct OwnTrace<'a> {
    pub(crate) layout: Arc<TraceLayout>,
    pub(crate) trace: &'a mut dyn TraceNodes,
}

impl OwnTree for OwnTrace<'_> {
    fn node(&mut self, height: u32, index: u64) -> Result<Option<Digest>, Error> {
        let depth = self.trace.depth();
        if height > depth || index >> (depth - height) > 0 {
            return Ok(None);
        }
        self.trace.node(height, index).map(Some)
    }

    fn leaf(&mut self, index: u64) -> Result<Option<Vec<u8>>, Error> {
        let (row, leaf) = self.layout.place(index);
        let n_prompt = self.trace.n_prompt();
        if row >= self.trace.rows() || leaf >= self.layout.leaves_at(row, n_prompt) {
            return Ok(None);
        }
        self.trace.leaf(row, leaf).map(Some)
    }
}

/// A claimed tree. A node is known when it was revealed, is absent, or is below a node that is known and equals one's own.
pub(crate) struct Claimed<'a> {
    shape: TreeShape,
    own: &'a mut dyn OwnTree,
    digests: HashMap<(u32, u64), Digest>,
    leaves: HashMap<u64, Vec<u8>>,
}

impl<'a> Claimed<'a> {
    /// The tree with that root, and what is known of it without opening a node.
    pub(crate) fn new(
        view: &ClaimView,
        shape: TreeShape,
        root: Digest,
        published: Option<&Opened>,
        own: &'a mut dyn OwnTree,
    ) -> Claimed<'a> {
        let mut digests = HashMap::from([((shape.depth(), 0), root)]);
        let mut leaves = HashMap::new();
        if let Some(opened) = published {
            insert(&mut digests, opened);
        }
        for node in view.nodes() {
            let (height, index) = (u32::from(node.position.height), node.position.index);
            if node.position != shape.position(height, index) {
                continue;
            }
            let (opened, bytes) = match &node.contents {
                Some(Contents::Digests(digests)) => {
                    let levels = shape.levels(height).unwrap_or(0);
                    (Opened::of(&shape, height, index, levels, digests), &[][..])
                }
                Some(Contents::Leaves(bytes)) => {
                    let digests: Vec<Digest> = bytes.iter().map(|leaf| Digest::of(leaf)).collect();
                    (
                        Opened::of(&shape, height, index, height, &digests),
                        &bytes[..],
                    )
                }
                _ => continue,
            };
            // The contract checked this when the node was revealed.
            let Some(opened) = opened.filter(|opened| opened.root() == node.value) else {
                continue;
            };
            insert(&mut digests, &opened);
            for (index, leaf) in shape.below(height, index, height).zip(bytes) {
                leaves.insert(index, leaf.clone());
            }
        }
        Claimed {
            shape,
            own,
            digests,
            leaves,
        }
    }

    /// A node's digest.
    pub(crate) fn node(&mut self, height: u32, index: u64) -> Result<Digest, Error> {
        if height > self.shape.depth() || !self.shape.exists(height, index) {
            return Ok(merkle::empty(height));
        }
        if let Some(digest) = self.digests.get(&(height, index)) {
            return Ok(*digest);
        }
        for above in height + 1..=self.shape.depth() {
            let at = index >> (above - height);
            if let Some(digest) = self.digests.get(&(above, at)) {
                if self.own.node(above, at)? == Some(*digest)
                    && let Some(own) = self.own.node(height, index)?
                {
                    return Ok(own);
                }
                break;
            }
        }
        Err(Error::Unproven {
            reason: format!(
                "node {:?} of the claim was not revealed",
                self.shape.position(height, index)
            ),
        })
    }

    /// A leaf's bytes.
    pub(crate) fn leaf(&mut self, index: u64) -> Result<Vec<u8>, Error> {
        if let Some(bytes) = self.leaves.get(&index) {
            return Ok(bytes.clone());
        }
        let digest = self.node(0, index)?;
        if self.shape.exists(0, index)
            && let Some(own) = self.own.leaf(index)?
            && Digest::of(&own) == digest
        {
            return Ok(own);
        }
        Err(Error::Unproven {
            reason: format!("leaf {index} of the claim was not revealed"),
        })
    }

    /// The siblings from a node up to one at `top`.
    pub(crate) fn path(&mut self, height: u32, index: u64, top: u32) -> Result<Vec<Digest>, Error> {
        (height..top)
            .map(|level| self.node(level, (index >> (level - height)) ^ 1))
            .collect()
    }

    /// A leaf with its path up to a height.
    pub(crate) fn open(&mut self, index: u64, top: u32) -> Result<Leaf, Error> {
        Ok(Leaf {
            data: self.leaf(index)?.into(),
            path: self.path(0, index, top)?.into_iter().map(word).collect(),
        })
    }

    /// A leaf with its path to the root.
    pub(crate) fn open_to_root(&mut self, index: u64) -> Result<Leaf, Error> {
        self.open(index, self.shape.depth())
    }
}

fn insert(digests: &mut HashMap<(u32, u64), Digest>, opened: &Opened) {
    for (k, level) in (0u32..).zip(&opened.levels) {
        for (i, digest) in (0u64..).zip(level) {
            digests.insert((opened.base + k, (opened.first >> k) + i), *digest);
        }
    }
}

/// A claimed trace, up to the first leaf that differs: leaves are one's own, digests are the claim's.
pub(crate) struct ClaimedTrace<'a> {
    tree: Claimed<'a>,
    layout: Arc<TraceLayout>,
}

impl<'a> ClaimedTrace<'a> {
    pub(crate) fn new(tree: Claimed<'a>, layout: Arc<TraceLayout>) -> ClaimedTrace<'a> {
        ClaimedTrace { tree, layout }
    }
}

impl TraceSource for ClaimedTrace<'_> {
    fn leaf(&mut self, row: u32, leaf: u32) -> Result<Vec<u8>, Error> {
        let index = self.layout.index(row, leaf);
        match self.tree.own.leaf(index)? {
            Some(own) => Ok(own),
            None => self.tree.leaf(index),
        }
    }

    fn leaf_path(&mut self, row: u32, leaf: u32) -> Result<Vec<Digest>, Error> {
        let index = self.layout.index(row, leaf);
        self.tree.path(0, index, self.layout.row_depth())
    }

    fn row(&mut self, row: u32) -> Result<(Digest, Vec<Digest>), Error> {
        let (base, depth) = (self.layout.row_depth(), self.tree.shape.depth());
        let digest = self.tree.node(base, row.into())?;
        Ok((digest, self.tree.path(base, row.into(), depth)?))
    }
}
