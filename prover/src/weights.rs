//! The tree over a model's weights (`prover/SPEC.md` section 2): made once in parallel, kept without its lower levels.
//!
//! Of every tensor the digests of groups of up to 64 rows are kept, less than a thousandth of the weights. A leaf is opened by hashing
//! its group again.
//!
//! ```text
//!            weights root               kept: computed from the groups
//!           /     ...      \
//!     tensor root    ...     Z0
//!      /      \
//!   group     group  ...                kept in the file
//!   /   \
//! row   row ...                         hashed again for an opening
//! / \
//! leaves: one tile of 256 elements
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use sworn_inference::program::WeightShape;

use crate::constants::TILE_ELEMENTS;
use crate::merkle::{self, RootBuilder, Tree};
use crate::{Digest, Error};

/// Levels of rows in a group: 64 rows.
const GROUP_DEPTH: u32 = 6;
/// First bytes of a stored tree, with the version of the format.
const MAGIC: &[u8; 8] = b"SWTREE\x00\x01";

/// Appends the bytes of a leaf: `(tensor, row, tile, out)`.
pub type LeafWriter<'a> = &'a (dyn Fn(usize, u32, u32, &mut Vec<u8>) + Sync);

/// Depths and counts that follow from a tensor's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    /// Tiles of a row that hold elements.
    tiles: u32,
    /// Levels above the leaves of a row.
    row_depth: u32,
    /// Levels above the rows of a group.
    group_depth: u32,
    /// Groups that hold rows.
    groups: u32,
}

impl Layout {
    fn of(shape: &WeightShape) -> Layout {
        let tiles = shape.cols.div_ceil(TILE_ELEMENTS as u32);
        let group_depth = merkle::depth(u64::from(shape.rows)).min(GROUP_DEPTH);
        Layout {
            tiles,
            row_depth: merkle::depth(u64::from(tiles)),
            group_depth,
            groups: shape.rows.div_ceil(1 << group_depth),
        }
    }
}

/// The tree over a model's weights, without its lower levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightsTree {
    tensors: Vec<Tensor>,
    /// Over the tensors' roots.
    top: Tree,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tensor {
    shape: WeightShape,
    groups: Tree,
}

impl WeightsTree {
    /// Hashes all weights with `threads` threads. `write_leaf(tensor, row, tile, out)` appends a leaf's bytes to `out`; `progress` gets
    /// the rows that are done and all rows.
    ///
    /// # Errors
    /// [`Error::BadWeightsTree`] when a tensor has no element.
    pub fn build(
        shapes: &[WeightShape],
        threads: usize,
        write_leaf: LeafWriter<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<WeightsTree, Error> {
        for (i, shape) in shapes.iter().enumerate() {
            check_shape(i, shape)?;
        }
        let work: Vec<(usize, u32)> = shapes
            .iter()
            .enumerate()
            .flat_map(|(i, shape)| (0..Layout::of(shape).groups).map(move |g| (i, g)))
            .collect();
        let mut groups: Vec<Vec<Digest>> = shapes
            .iter()
            .map(|shape| vec![Digest::ZERO; Layout::of(shape).groups as usize])
            .collect();
        let total: u64 = shapes.iter().map(|shape| u64::from(shape.rows)).sum();
        let mut done = 0;
        progress(done, total);

        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..threads.clamp(1, work.len().max(1)) {
                let (sender, next, work) = (sender.clone(), &next, &work);
                scope.spawn(move || {
                    let mut leaf = Vec::new();
                    while let Some(&(tensor, group)) =
                        work.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        let leaf_of =
                            |row, tile, out: &mut Vec<u8>| write_leaf(tensor, row, tile, out);
                        let digest = hash_group(&shapes[tensor], group, &leaf_of, &mut leaf);
                        // The receiver only goes when this scope ends.
                        if sender.send((tensor, group, digest)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for (tensor, group, digest) in receiver {
                groups[tensor][group as usize] = digest;
                done += u64::from(rows_of(&shapes[tensor], group).len() as u32);
                progress(done, total);
            }
        });
        let tensors = shapes
            .iter()
            .zip(groups)
            .map(|(shape, groups)| Tensor::new(*shape, groups))
            .collect();
        Ok(WeightsTree::over(tensors))
    }

    fn over(tensors: Vec<Tensor>) -> WeightsTree {
        let top = Tree::new(tensors.iter().map(|tensor| tensor.groups.root()).collect());
        WeightsTree { tensors, top }
    }

    /// The weights root.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.top.root()
    }

    /// The root of one tensor, if there is such a one.
    #[must_use]
    pub fn tensor_root(&self, tensor: usize) -> Option<Digest> {
        self.tensors.get(tensor).map(|tensor| tensor.groups.root())
    }

    /// Tensors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is no tensor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The path of leaf (row, tile) of a tensor up to the tensor's root, then up to the weights root. Hashes up to 64 rows again.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`] for an element that the tensor does not have.
    pub fn path(
        &self,
        tensor: usize,
        row: u32,
        tile: u32,
        write_leaf: LeafWriter<'_>,
    ) -> Result<Vec<Digest>, Error> {
        let count = self.tensors.len() as u64;
        let Some(Tensor { shape, groups }) = self.tensors.get(tensor) else {
            return Err(Error::IndexOutOfRange {
                what: "tensor",
                found: tensor as u64,
                expected: count,
            });
        };
        let layout = Layout::of(shape);
        for (what, found, expected) in [("row", row, shape.rows), ("tile", tile, layout.tiles)] {
            if found >= expected {
                return Err(Error::IndexOutOfRange {
                    what,
                    found: u64::from(found),
                    expected: u64::from(expected),
                });
            }
        }
        let mut buffer = Vec::new();
        let leaf_of = |row, tile, out: &mut Vec<u8>| write_leaf(tensor, row, tile, out);
        let leaves = (0..layout.tiles)
            .map(|tile| hash_leaf(row, tile, &leaf_of, &mut buffer))
            .collect();
        let mut path = Tree::new(leaves).path(u64::from(tile))?;

        let group = row >> layout.group_depth;
        let rows = rows_of(shape, group)
            .map(|row| hash_row(shape, row, &leaf_of, &mut buffer))
            .collect();
        let row_tree = Tree::on(layout.row_depth, rows);
        let within = row_tree.path(u64::from(row & ((1 << layout.group_depth) - 1)))?;
        path.extend(&within);
        // The last group may hold fewer rows than a full one: empty rows fill it.
        path.extend(
            (row_tree.depth()..layout.group_depth)
                .map(|level| merkle::empty(layout.row_depth + level)),
        );
        path.extend(groups.path(u64::from(group))?);
        path.extend(self.top.path(tensor as u64)?);
        Ok(path)
    }

    /// A stored form: the digests of the groups. [`WeightsTree::from_bytes`] reads it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for group in self
            .tensors
            .iter()
            .flat_map(|tensor| tensor.groups.leaves())
        {
            bytes.extend(group.0);
        }
        bytes
    }

    /// Reads the stored tree of a model with weights of these shapes and checks that it is the one with root `expected`.
    ///
    /// # Errors
    /// [`Error::BadWeightsTree`] naming what differs.
    pub fn from_bytes(
        bytes: &[u8],
        shapes: &[WeightShape],
        expected: Digest,
    ) -> Result<WeightsTree, Error> {
        let digests = bytes.strip_prefix(MAGIC).ok_or_else(|| {
            let start = &bytes[..bytes.len().min(MAGIC.len())];
            bad("magic", format!("{start:02x?}"), format!("{MAGIC:02x?}"))
        })?;
        let groups: u64 = shapes
            .iter()
            .map(|shape| u64::from(Layout::of(shape).groups))
            .sum();
        let (found, length) = (digests.len() as u64, 32 * groups);
        if found != length {
            return Err(bad(
                "length",
                format!("{found} bytes of digests"),
                length.to_string(),
            ));
        }
        let mut digests = digests.chunks_exact(32).map(|bytes| {
            let mut digest = Digest::ZERO;
            digest.0.copy_from_slice(bytes);
            digest
        });
        let tensor = |(i, shape): (usize, &WeightShape)| {
            check_shape(i, shape)?;
            let groups = digests
                .by_ref()
                .take(Layout::of(shape).groups as usize)
                .collect();
            Ok(Tensor::new(*shape, groups))
        };
        let tree = WeightsTree::over(
            shapes
                .iter()
                .enumerate()
                .map(tensor)
                .collect::<Result<_, Error>>()?,
        );
        if tree.root() != expected {
            return Err(bad("root", tree.root().to_string(), expected.to_string()));
        }
        Ok(tree)
    }
}

impl Tensor {
    fn new(shape: WeightShape, groups: Vec<Digest>) -> Tensor {
        let layout = Layout::of(&shape);
        Tensor {
            shape,
            groups: Tree::on(layout.row_depth + layout.group_depth, groups),
        }
    }
}

/// Checks that `leaf` is the leaf (row, tile) of a tensor of shape `shape` with root `tensor_root`.
///
/// # Errors
/// [`Error::IndexOutOfRange`], [`Error::PathLength`] or [`Error::WrongRoot`].
pub fn verify_leaf(
    shape: &WeightShape,
    row: u32,
    tile: u32,
    leaf: &[u8],
    path: &[Digest],
    tensor_root: Digest,
) -> Result<(), Error> {
    let layout = Layout::of(shape);
    for (what, found, expected) in [("row", row, shape.rows), ("tile", tile, layout.tiles)] {
        if found >= expected {
            return Err(Error::IndexOutOfRange {
                what,
                found: u64::from(found),
                expected: u64::from(expected),
            });
        }
    }
    let depth = layout.row_depth + merkle::depth(u64::from(shape.rows));
    let index = (u64::from(row) << layout.row_depth) + u64::from(tile);
    merkle::verify("tensor", Digest::of(leaf), index, depth, path, tensor_root)
}

fn rows_of(shape: &WeightShape, group: u32) -> std::ops::Range<u32> {
    let depth = Layout::of(shape).group_depth;
    let start = u64::from(group) << depth;
    // Both ends are at most `rows`.
    start as u32..u64::from(shape.rows).min(start + (1 << depth)) as u32
}

/// Appends the leaf (row, tile) of one tensor.
type WriteLeaf<'a> = &'a dyn Fn(u32, u32, &mut Vec<u8>);

fn hash_leaf(row: u32, tile: u32, write_leaf: WriteLeaf<'_>, buffer: &mut Vec<u8>) -> Digest {
    buffer.clear();
    write_leaf(row, tile, buffer);
    Digest::of(buffer)
}

fn hash_row(
    shape: &WeightShape,
    row: u32,
    write_leaf: WriteLeaf<'_>,
    buffer: &mut Vec<u8>,
) -> Digest {
    let layout = Layout::of(shape);
    let leaves = (0..layout.tiles).map(|tile| hash_leaf(row, tile, write_leaf, buffer));
    root_of_full(RootBuilder::new(layout.row_depth), leaves)
}

fn hash_group(
    shape: &WeightShape,
    group: u32,
    write_leaf: WriteLeaf<'_>,
    buffer: &mut Vec<u8>,
) -> Digest {
    let layout = Layout::of(shape);
    let rows = rows_of(shape, group).map(|row| hash_row(shape, row, write_leaf, buffer));
    root_of_full(RootBuilder::on(layout.row_depth, layout.group_depth), rows)
}

/// The root over nodes that fit into the builder.
fn root_of_full(mut builder: RootBuilder, nodes: impl Iterator<Item = Digest>) -> Digest {
    for node in nodes {
        if builder.push(node).is_err() {
            break;
        }
    }
    builder.finish()
}

fn check_shape(tensor: usize, shape: &WeightShape) -> Result<(), Error> {
    if shape.rows == 0 || shape.cols == 0 {
        let found = format!(
            "{} x {} elements in tensor {tensor}",
            shape.rows, shape.cols
        );
        return Err(bad("shape", found, "at least one".to_owned()));
    }
    Ok(())
}

fn bad(what: &'static str, found: String, expected: String) -> Error {
    Error::BadWeightsTree {
        what,
        found,
        expected,
    }
}

#[cfg(test)]
mod tests;
