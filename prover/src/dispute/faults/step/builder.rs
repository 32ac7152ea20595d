//! Makes witnesses, and a proposer's totals.

use alloy_primitives::B256;
use alloy_sol_types::SolValue;

use super::needs::{Needs, TraceRange, WeightRange, needs, tile_needs};
use super::recompute::{Opened, recompute_tile};
use super::stored::Place;
use super::witness::{CombineWitness, SHAPE, StepWitness, TotalWitness};
use crate::constants::{PART_SUMS, TOKEN_LEAF_ELEMENTS};
use crate::dispute::abi::{Leaf, Row};
use crate::dispute::faults::range::range_path;
use crate::dispute::parts::Parts;
use crate::dispute::source::{TraceSource, WeightSource};
use crate::dispute::trace::{Step, TraceLayout};
use crate::merkle::{self, Tree};
use crate::{Digest, Error};

/// Makes witnesses from a challenger's trace and weights.
pub struct Builder<'a> {
    layout: &'a TraceLayout,
    trace: &'a mut dyn TraceSource,
    weights: &'a dyn WeightSource,
    tokens: &'a [u32],
}

impl std::fmt::Debug for Builder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("tokens", &self.tokens.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Builder<'a> {
    /// A builder for a run with the claimed `tokens`.
    pub fn new(
        layout: &'a TraceLayout,
        trace: &'a mut dyn TraceSource,
        weights: &'a dyn WeightSource,
        tokens: &'a [u32],
    ) -> Builder<'a> {
        Builder {
            layout,
            trace,
            weights,
            tokens,
        }
    }

    /// Fault 64: the element at `place` differs. `claimed` is the claimed leaf, with its path to the node ([`leaf_in_node`]).
    ///
    /// # Errors
    /// As [`needs`], and what the sources do not have.
    pub fn step(
        &mut self,
        row: u32,
        step: &Step,
        place: Place,
        claimed: Leaf,
    ) -> Result<Vec<u8>, Error> {
        let token = self.token(row)?;
        let needs = needs(self.layout, step, place, row, token)?;
        let (opened, paths) = self.open(row, &needs)?;
        let [mut inputs, weights] = leaves(opened, paths);
        let trace = if inputs.is_empty() {
            inputs.push(token_leaf(self.tokens, row)?);
            empty_row()
        } else {
            self.row(row)?
        };
        let witness = StepWitness {
            row,
            step: step.number,
            leaf: place.leaf,
            lane: place.lane,
            claimed,
            trace,
            inputs,
            weights,
        };
        Ok(witness.abi_encode())
    }

    /// Fault 64: the claimed leaf has a wrong shape ([`super::well_shaped`]).
    #[must_use]
    pub fn shape(row: u32, step: u32, leaf: u32, claimed: Leaf) -> Vec<u8> {
        let witness = StepWitness {
            row,
            step,
            leaf,
            lane: SHAPE,
            claimed,
            trace: empty_row(),
            inputs: Vec::new(),
            weights: Vec::new(),
        };
        witness.abi_encode()
    }

    /// Fault 65: the totals do not give the element. `claimed` is its leaf, with its path to the totals' parent.
    #[must_use]
    pub fn combine(contents: &[u8], claimed: Leaf) -> Vec<u8> {
        let witness = CombineWitness {
            contents: contents.to_vec().into(),
            claimed,
        };
        witness.abi_encode()
    }

    /// Fault 66: the total of `tile` differs.
    ///
    /// # Errors
    /// As [`tile_needs`], and what the sources do not have.
    pub fn total(
        &mut self,
        row: u32,
        step: &Step,
        element: u32,
        tile: u32,
        contents: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let needs = tile_needs(self.layout, step, element, tile)?;
        let (opened, paths) = self.open(row, &needs)?;
        let [inputs, weights] = leaves(opened, paths);
        let witness = TotalWitness {
            tile,
            contents: Parts::TOTALS.open(contents, tile as usize / PART_SUMS)?,
            trace: self.row(row)?,
            input: inputs.into_iter().next().unwrap_or_else(empty_leaf),
            weights,
        };
        Ok(witness.abi_encode())
    }

    /// The contents of the totals node of an element, as this trace and these weights give them.
    ///
    /// # Errors
    /// As [`tile_needs`], and what the sources do not have.
    pub fn totals(&mut self, row: u32, step: &Step, element: u32) -> Result<Vec<u8>, Error> {
        let mut contents = Vec::new();
        for tile in 0..step.sum_tiles().unwrap_or(0) {
            let needs = tile_needs(self.layout, step, element, tile)?;
            let opened = self.read(row, &needs)?;
            contents.extend(recompute_tile(step, tile, &opened)?.to_be_bytes());
        }
        Ok(contents)
    }

    /// The bytes of the leaves that an element needs.
    ///
    /// # Errors
    /// What the sources do not have.
    pub fn read(&mut self, row: u32, needs: &Needs) -> Result<Opened, Error> {
        let mut opened = Opened::default();
        for range in &needs.inputs {
            let mut bytes = Vec::new();
            for leaf in range.first..range.first + range.count {
                bytes.extend(self.trace.leaf(row, leaf)?);
            }
            opened.inputs.push(bytes);
        }
        for range in &needs.weights {
            let mut bytes = Vec::new();
            for tile in range.first..range.first + range.count {
                bytes.extend(self.weights.leaf(range.tensor, range.row, tile)?);
            }
            opened.weights.push(bytes);
        }
        Ok(opened)
    }

    fn open(&mut self, row: u32, needs: &Needs) -> Result<(Opened, Opening), Error> {
        let opened = self.read(row, needs)?;
        let mut paths = [Vec::new(), Vec::new()];
        for range in &needs.inputs {
            paths[0].push(self.trace_path(row, *range)?);
        }
        for range in &needs.weights {
            paths[1].push(self.weight_path(*range)?);
        }
        Ok((opened, paths))
    }

    fn trace_path(&mut self, row: u32, range: TraceRange) -> Result<Vec<Digest>, Error> {
        let last = range.first + range.count - 1;
        let low = self.trace.leaf_path(row, range.first)?;
        let high = self.trace.leaf_path(row, last)?;
        Ok(range_path(range.first.into(), last.into(), [&low, &high]))
    }

    /// A tensor's row starts at a multiple of its padded tiles, so the tile alone says the sides up to where the range is one node.
    fn weight_path(&self, range: WeightRange) -> Result<Vec<Digest>, Error> {
        let last = range.first + range.count - 1;
        let low = self.weights.path(range.tensor, range.row, range.first)?;
        let high = self.weights.path(range.tensor, range.row, last)?;
        let within = merkle::depth(u64::from(last) + 1) as usize;
        let (low, rest) = low.split_at(within.min(low.len()));
        let high = &high[..within.min(high.len())];
        let mut path = range_path(range.first.into(), last.into(), [low, high]);
        path.extend(rest);
        Ok(path)
    }

    fn row(&mut self, row: u32) -> Result<Row, Error> {
        let (root, path) = self.trace.row(row)?;
        Ok(Row {
            root: B256::from(root.0),
            path: words(&path),
        })
    }

    fn token(&self, row: u32) -> Result<u32, Error> {
        let token = self.tokens.get(row as usize).copied();
        token.ok_or(Error::IndexOutOfRange {
            what: "tokens",
            found: row.into(),
            expected: self.tokens.len() as u64,
        })
    }
}

/// Paths of the inputs and of the weights.
type Opening = [Vec<Vec<Digest>>; 2];

fn leaves(opened: Opened, paths: Opening) -> [Vec<Leaf>; 2] {
    let [inputs, weights] = paths;
    [(opened.inputs, inputs), (opened.weights, weights)].map(|(leaves, paths)| {
        let pairs = leaves.into_iter().zip(paths);
        pairs.map(|(bytes, path)| leaf(bytes, &path)).collect()
    })
}

fn leaf(bytes: Vec<u8>, path: &[Digest]) -> Leaf {
    Leaf {
        data: bytes.into(),
        path: words(path),
    }
}

fn words(path: &[Digest]) -> Vec<B256> {
    path.iter().map(|digest| B256::from(digest.0)).collect()
}

fn empty_row() -> Row {
    Row {
        root: B256::ZERO,
        path: Vec::new(),
    }
}

fn empty_leaf() -> Leaf {
    leaf(Vec::new(), &[])
}

/// The leaf of the token at `row`, with its path to the tokens root.
fn token_leaf(tokens: &[u32], row: u32) -> Result<Leaf, Error> {
    let leaves: Vec<Vec<u8>> = tokens
        .chunks(TOKEN_LEAF_ELEMENTS)
        .map(|tokens| {
            let mut bytes: Vec<u8> = tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
            bytes.resize(4 * TOKEN_LEAF_ELEMENTS, 0);
            bytes
        })
        .collect();
    let index = row as usize / TOKEN_LEAF_ELEMENTS;
    let tree = Tree::new(leaves.iter().map(|bytes| Digest::of(bytes)).collect());
    let path = tree.path(index as u64)?;
    Ok(leaf(leaves.get(index).cloned().unwrap_or_default(), &path))
}

/// A leaf of a revealed node of a tree, with its path to the node: `leaves` are the node's revealed contents, those that exist, the first of them
/// at index `index << height` of the tree; `at` counts from it.
///
/// # Errors
/// [`Error::IndexOutOfRange`] for a leaf that the node does not have.
pub fn leaf_in_node(leaves: &[Vec<u8>], height: u32, at: usize) -> Result<Leaf, Error> {
    let bytes = leaves.get(at).ok_or(Error::IndexOutOfRange {
        what: "leaves of a node",
        found: at as u64,
        expected: leaves.len() as u64,
    })?;
    let tree = Tree::new(leaves.iter().map(|bytes| Digest::of(bytes)).collect());
    let mut path = tree.path(at as u64)?;
    path.extend((tree.depth()..height).map(merkle::empty));
    Ok(leaf(bytes.clone(), &path))
}
