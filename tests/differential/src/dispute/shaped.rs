//! Traces and weights of a shape: any leaf has bytes made from its place; trees hold those leaves that were asked for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sworn_inference::numeric::f32_to_f16;
use sworn_inference::program::{Program, WeightFormat};
use sworn_prover::dispute::source::{TraceSource, WeightSource};
use sworn_prover::dispute::trace::layout::{LeafKind, TraceLayout};
use sworn_prover::{Digest, Error, merkle};

use super::sparse::SparseTree;

/// Numbers from a place: xorshift of its hash.
#[derive(Debug)]
struct Numbers(u64);

impl Numbers {
    fn new(words: [u64; 4]) -> Numbers {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let [a, b, c, d, e, f, g, h, ..] = Digest::of(&bytes).0;
        Numbers(u64::from_be_bytes([a, b, c, d, e, f, g, h]) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// In -1..1.
    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A liar's trace: one that nobody computed.
#[derive(Debug)]
pub struct ShapedTrace {
    /// Where everything stands.
    pub layout: TraceLayout,
    rows: u32,
    tree: Option<SparseTree>,
    asked: BTreeSet<(u32, u32)>,
    along: Option<u64>,
    n_prompt: u32,
}

impl ShapedTrace {
    /// A trace of `rows` rows.
    pub fn new(layout: TraceLayout, rows: u32, n_prompt: u32) -> ShapedTrace {
        ShapedTrace {
            layout,
            rows,
            tree: None,
            asked: BTreeSet::new(),
            along: None,
            n_prompt,
        }
    }

    /// Bytes of a leaf by its index in the tree.
    pub fn bytes(&self, row: u32, leaf: u32) -> Result<Vec<u8>, Error> {
        let step = self.layout.step_at(leaf)?;
        let count = step.elements_of(leaf - step.first_leaf).len();
        let mut numbers = Numbers::new([1, row.into(), leaf.into(), 0]);
        let mut bytes = Vec::new();
        match step.kind {
            LeafKind::F32 => (0..count).for_each(|_| bytes.extend(numbers.float().to_le_bytes())),
            LeafKind::F16 => {
                (0..count).for_each(|_| bytes.extend(f32_to_f16(numbers.float()).to_le_bytes()))
            }
            LeafKind::Quantised => {
                (0..count / 32)
                    .for_each(|_| bytes.extend((numbers.float().abs() / 64.0).to_le_bytes()));
                bytes.resize(32, 0);
                bytes.extend((0..count).map(|_| ((numbers.next() % 255) as i16 - 127) as i8 as u8));
            }
            LeafKind::Maxima => {
                for _ in 0..count {
                    // Above every score, so that all weights are proper.
                    bytes.extend((40.0 + numbers.float()).to_le_bytes());
                    bytes.extend((numbers.next() as u32 % (row + 1)).to_le_bytes());
                }
            }
        }
        bytes.resize(step.kind.bytes(), 0);
        Ok(bytes)
    }

    /// Makes the tree over the leaves that were asked for so far.
    ///
    /// # Errors
    /// As [`ShapedTrace::bytes`].
    pub fn plant(&mut self) -> Result<Digest, Error> {
        let (layout, rows, n_prompt) = (self.layout.clone(), self.rows, self.n_prompt);
        let mut tree = SparseTree::new(7, layout.depth(rows), move |first, end| {
            let height = (end - first).trailing_zeros();
            layout.exists(height, first >> height, rows, n_prompt)
        });
        for (row, leaf) in &self.asked {
            tree.set(
                self.layout.index(*row, *leaf),
                Digest::of(&self.bytes(*row, *leaf)?),
            );
        }
        self.along
            .into_iter()
            .for_each(|index| tree.open_along(index));
        let root = tree.root();
        self.tree = Some(tree);
        Ok(root)
    }

    /// Says along which leaf the planted tree will be opened.
    pub fn open_along(&mut self, index: u64) {
        self.along = Some(index);
    }

    /// Asks for what another one was asked for.
    pub fn clone_asked(&mut self, other: &ShapedTrace) {
        self.asked.clone_from(&other.asked);
        self.along = other.along;
    }

    /// The planted tree.
    ///
    /// # Panics
    /// Nothing was planted.
    pub fn into_tree(self) -> SparseTree {
        self.tree.expect("a planted tree")
    }
}

impl TraceSource for ShapedTrace {
    fn leaf(&mut self, row: u32, leaf: u32) -> Result<Vec<u8>, Error> {
        self.asked.insert((row, leaf));
        self.bytes(row, leaf)
    }

    fn leaf_path(&mut self, row: u32, leaf: u32) -> Result<Vec<Digest>, Error> {
        self.asked.insert((row, leaf));
        let depth = self.layout.row_depth();
        Ok(match &self.tree {
            Some(tree) => tree.path(0, self.layout.index(row, leaf), depth),
            None => vec![Digest::ZERO; depth as usize],
        })
    }

    fn row(&mut self, row: u32) -> Result<(Digest, Vec<Digest>), Error> {
        let (low, high) = (self.layout.row_depth(), self.layout.depth(self.rows));
        Ok(match &self.tree {
            Some(tree) => (tree.node(low, row.into()), tree.path(low, row.into(), high)),
            None => (Digest::ZERO, vec![Digest::ZERO; (high - low) as usize]),
        })
    }
}

/// Weights that nobody trained, in Q8_0 and F32.
#[derive(Debug)]
pub struct ShapedWeights {
    program: Program,
    planted: Option<Planted>,
    asked: RefCell<BTreeSet<(u32, u32, u32)>>,
}

#[derive(Debug)]
struct Planted {
    tensors: BTreeMap<u32, SparseTree>,
    top: SparseTree,
}

impl ShapedWeights {
    /// Weights of a program.
    pub fn new(program: Program) -> ShapedWeights {
        ShapedWeights {
            program,
            planted: None,
            asked: RefCell::default(),
        }
    }

    /// Makes the trees over the leaves that were asked for so far.
    ///
    /// # Errors
    /// No such leaf.
    pub fn plant(&mut self) -> Result<Digest, Error> {
        let mut tensors = BTreeMap::new();
        for (tensor, row, tile) in self.asked.borrow().iter() {
            let shape = self.program.weight_shape(*tensor as usize);
            let tiles = u64::from(shape.cols.div_ceil(256));
            let depth = merkle::depth(tiles);
            let rows = u64::from(shape.rows);
            let tree = tensors.entry(*tensor).or_insert_with(|| {
                SparseTree::new(
                    u64::from(*tensor),
                    depth + merkle::depth(rows),
                    move |first, end| {
                        // The tiles of a row, or whole rows.
                        if end - first > 1 << depth {
                            first >> depth < rows
                        } else {
                            first >> depth < rows && first & ((1 << depth) - 1) < tiles
                        }
                    },
                )
            });
            tree.set(
                (u64::from(*row) << depth) | u64::from(*tile),
                Digest::of(&self.bytes(*tensor, *row, *tile)),
            );
        }
        let mut top = SparseTree::of_count(8, self.program.weight_count() as u64);
        for (tensor, tree) in &tensors {
            top.set(u64::from(*tensor), tree.root());
        }
        let root = top.root();
        self.planted = Some(Planted { tensors, top });
        Ok(root)
    }

    fn bytes(&self, tensor: u32, row: u32, tile: u32) -> Vec<u8> {
        let shape = self.program.weight_shape(tensor as usize);
        let count = (shape.cols - 256 * tile).min(256) as usize;
        let mut numbers = Numbers::new([2, tensor.into(), row.into(), tile.into()]);
        let mut bytes = Vec::new();
        if shape.format == WeightFormat::Q8_0 {
            (0..count / 32)
                .for_each(|_| bytes.extend(f32_to_f16(numbers.float().abs() / 64.0).to_le_bytes()));
            bytes.resize(16, 0);
            bytes.extend((0..count).map(|_| ((numbers.next() % 255) as i16 - 127) as i8 as u8));
        } else {
            (0..count).for_each(|_| bytes.extend(numbers.float().to_le_bytes()));
        }
        bytes.resize(shape.format.leaf_bytes(), 0);
        bytes
    }
}

impl WeightSource for ShapedWeights {
    fn leaf(&self, tensor: u32, row: u32, tile: u32) -> Result<Vec<u8>, Error> {
        self.asked.borrow_mut().insert((tensor, row, tile));
        Ok(self.bytes(tensor, row, tile))
    }

    fn path(&self, tensor: u32, row: u32, tile: u32) -> Result<Vec<Digest>, Error> {
        self.asked.borrow_mut().insert((tensor, row, tile));
        let shape = self.program.weight_shape(tensor as usize);
        let depth = merkle::depth(shape.cols.div_ceil(256).into());
        let top = merkle::depth(self.program.weight_count() as u64);
        Ok(match &self.planted {
            Some(Planted {
                tensors,
                top: roots,
            }) => {
                let tree = &tensors[&tensor];
                let mut path =
                    tree.path(0, (u64::from(row) << depth) | u64::from(tile), tree.depth());
                path.extend(roots.path(0, tensor.into(), top));
                path
            }
            None => vec![Digest::ZERO; (depth + merkle::depth(shape.rows.into()) + top) as usize],
        })
    }
}
