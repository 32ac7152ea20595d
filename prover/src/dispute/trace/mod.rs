//! Traces of runs (`prover/SPEC.md` section 10.1): made once, layer by layer; opened anywhere.
//!
//! A trace is far larger than a run, so almost none of it is kept. For R rows, L layers of width `dim`, keys and values of `kv` elements a layer and rows of
//! `2^d` leaves it holds
//! ```text
//! R * (4 L dim       outputs of the layers, from which any layer is made again
//!    + 4 L kv        keys and values, binary16
//!    + 64 * 2^(d-4)) digests of groups of 16 leaves, and all nodes above
//! ```
//! bytes; and, while it is made, one chunk of rows of one layer's activations with their digests. For 22 layers of width 2048 with 256 key/value elements, `d = 14` and
//! 512 rows that is 92 + 12 + 34 = 138 MB. Leaves and the nodes below groups are made again on demand by running one layer for 16 rows; 32 such blocks are
//! kept, for the same model 85 MB.

mod build;
mod hash;
pub mod layout;
mod leaf;
mod replay;
mod tree;
mod weights;

use std::sync::Arc;

use sworn_inference::engine::Cache;

pub use build::TraceOptions;
pub use layout::{LeafKind, Step, TraceLayout, program_code};
pub use tree::CUT;
pub use weights::ModelWeights;

use crate::dispute::source::TraceSource;
use crate::merkle::{self, RootBuilder};
use crate::{Digest, Error};
use replay::Replay;
use tree::TraceTree;

/// What the layers are made again from.
#[derive(Debug)]
struct Checkpoints {
    /// All tokens of the run.
    tokens: Vec<u32>,
    n_prompt: u32,
    /// The output of every layer, `[rows, width]`.
    carries: Vec<Vec<f32>>,
    cache: Cache,
}

impl Checkpoints {
    /// The tokens that rows take.
    fn inputs(&self) -> &[u32] {
        &self.tokens[..self.tokens.len() - 1]
    }
}

/// The trace of a run.
#[derive(Debug)]
pub struct Trace {
    layout: Arc<TraceLayout>,
    tree: TraceTree,
    replay: Replay,
    checkpoints: Checkpoints,
}

impl Trace {
    /// Where everything stands.
    #[must_use]
    pub fn layout(&self) -> &Arc<TraceLayout> {
        &self.layout
    }

    /// All tokens of the run.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.checkpoints.tokens
    }

    /// Tokens of the prompt.
    #[must_use]
    pub fn n_prompt(&self) -> u32 {
        self.checkpoints.n_prompt
    }

    /// R.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.checkpoints.inputs().len() as u32
    }

    /// Levels above the leaves.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.tree.depth()
    }

    /// The trace root.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// Node `index` at `height`; leaves have height 0. Absent nodes are `Z(height)`. From [`CUT`] on this is a look-up.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`]; the engine's.
    pub fn node(&mut self, height: u32, index: u64) -> Result<Digest, Error> {
        let depth = self.depth();
        if height > depth || index >> (depth - height) > 0 {
            return Err(tree::no_node(
                index,
                depth.checked_sub(height).map_or(0, |levels| 1 << levels),
            ));
        }
        if let Some(digest) = self.tree.node(height, index) {
            return Ok(digest);
        }
        // Below a group, so of one row.
        let mut builder = RootBuilder::new(height);
        let (row, first) = self.layout.place(index << height);
        if row < self.rows() {
            let end = self.layout.leaves_at(row, self.n_prompt());
            for leaf in first..end.min(first + (1 << height)) {
                builder.push(Digest::of(&TraceSource::leaf(self, row, leaf)?))?;
            }
        }
        Ok(builder.finish())
    }
}

impl TraceSource for Trace {
    fn leaf(&mut self, row: u32, leaf: u32) -> Result<Vec<u8>, Error> {
        let expected = if row < self.rows() {
            self.layout.leaves_at(row, self.n_prompt())
        } else {
            0
        };
        if leaf >= expected {
            return Err(Error::IndexOutOfRange {
                what: "leaves of a trace's row",
                found: leaf.into(),
                expected: expected.into(),
            });
        }
        let step = self.layout.step_at(leaf)?;
        let (value, at) = self.replay.value(&self.checkpoints, &step, row)?;
        let mut bytes = Vec::with_capacity(step.kind.bytes());
        leaf::write(&step, value, at, leaf - step.first_leaf, &mut bytes);
        Ok(bytes)
    }

    fn leaf_path(&mut self, row: u32, leaf: u32) -> Result<Vec<Digest>, Error> {
        let index = self.layout.index(row, leaf);
        (0..self.layout.row_depth())
            .map(|height| self.node(height, (index >> height) ^ 1))
            .collect()
    }

    fn row(&mut self, row: u32) -> Result<(Digest, Vec<Digest>), Error> {
        if row >= self.rows() {
            return Err(Error::IndexOutOfRange {
                what: "rows of a trace",
                found: row.into(),
                expected: self.rows().into(),
            });
        }
        let base = self.layout.row_depth();
        let levels = merkle::depth(self.rows().into());
        let path = (0..levels)
            .map(|k| self.node(base + k, (u64::from(row) >> k) ^ 1))
            .collect::<Result<_, _>>()?;
        Ok((self.node(base, row.into())?, path))
    }
}
