//! The tree over a trace's leaves, kept without its lowest levels.

use super::layout::TraceLayout;
use crate::merkle::{self, RootBuilder};
use crate::{Digest, Error};

/// Levels below the lowest kept nodes: these are digests of 16 leaves, and 64 bytes of tree are kept for 16 leaves.
pub const CUT: u32 = 4;

/// A tree of a fixed depth whose rightmost leaves may be absent; it keeps all present nodes.
#[derive(Debug, Clone)]
struct Levels {
    base: u32,
    levels: Vec<Vec<Digest>>,
}

impl Levels {
    fn new(base: u32, depth: u32, leaves: Vec<Digest>) -> Levels {
        let mut levels = vec![leaves];
        for k in 0..depth {
            let filler = merkle::empty(base + k);
            let pair = |nodes: &[Digest]| {
                Digest::of_pair(nodes[0], nodes.get(1).copied().unwrap_or(filler))
            };
            let above = levels[k as usize].chunks(2).map(pair).collect();
            levels.push(above);
        }
        Levels { base, levels }
    }

    /// The node `height` levels above the leaves of the whole tree; the caller knows that it is one of this tree.
    fn node(&self, height: u32, index: u64) -> Digest {
        let level = self.levels.get((height - self.base) as usize);
        let known = level.and_then(|level| level.get(usize::try_from(index).ok()?));
        known.copied().unwrap_or_else(|| merkle::empty(height))
    }
}

/// A trace's tree from [`CUT`] levels (or the row's depth, if that is less) above the leaves.
#[derive(Debug, Clone)]
pub(super) struct TraceTree {
    row_depth: u32,
    depth: u32,
    rows: Vec<Levels>,
    top: Levels,
}

impl TraceTree {
    pub(super) fn root(&self) -> Digest {
        self.node(self.depth, 0).unwrap_or_default()
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    /// The height of the lowest kept nodes.
    pub(super) fn cut(&self) -> u32 {
        CUT.min(self.row_depth)
    }

    /// A node that is kept, or absent; none when it is below the cut.
    pub(super) fn node(&self, height: u32, index: u64) -> Option<Digest> {
        if height < self.cut() {
            return None;
        }
        if height >= self.row_depth {
            return Some(self.top.node(height, index));
        }
        let within = self.row_depth - height;
        let row = usize::try_from(index >> within).ok();
        Some(match row.and_then(|row| self.rows.get(row)) {
            Some(row) => row.node(height, index & ((1 << within) - 1)),
            None => merkle::empty(height),
        })
    }
}

/// Takes the digests of every row's leaves, in any order of rows, each row's in order.
#[derive(Debug)]
pub(super) struct TreeBuilder {
    row_depth: u32,
    rows: Vec<PendingRow>,
}

/// A row whose leaves are not all there yet.
#[derive(Debug, Clone, Default)]
pub(super) struct PendingRow {
    groups: Vec<Digest>,
    /// Leaves of the group that is being filled.
    open: Vec<Digest>,
}

impl PendingRow {
    /// Adds the row's next leaves.
    pub(super) fn push(&mut self, cut: u32, leaves: &[Digest]) {
        let size = 1 << cut;
        let mut rest = leaves;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(size - self.open.len()));
            self.open.extend_from_slice(now);
            rest = later;
            if self.open.len() == size {
                self.close(cut);
            }
        }
    }

    fn close(&mut self, cut: u32) {
        let mut builder = RootBuilder::new(cut);
        for leaf in self.open.drain(..) {
            // A group never has more leaves than the builder takes.
            if builder.push(leaf).is_err() {
                break;
            }
        }
        self.groups.push(builder.finish());
    }
}

impl TreeBuilder {
    pub(super) fn new(layout: &TraceLayout, rows: u32) -> TreeBuilder {
        TreeBuilder {
            row_depth: layout.row_depth(),
            rows: vec![PendingRow::default(); rows as usize],
        }
    }

    /// The rows, with the height of a group.
    pub(super) fn rows(&mut self) -> (u32, &mut [PendingRow]) {
        (CUT.min(self.row_depth), &mut self.rows)
    }

    pub(super) fn finish(self, layout: &TraceLayout) -> TraceTree {
        let row_depth = self.row_depth;
        let cut = CUT.min(row_depth);
        let rows: Vec<Levels> = self
            .rows
            .into_iter()
            .map(|mut row| {
                if !row.open.is_empty() {
                    row.close(cut);
                }
                Levels::new(cut, row_depth - cut, row.groups)
            })
            .collect();
        let depth = layout.depth(rows.len() as u32);
        let roots = rows.iter().map(|row| row.node(row_depth, 0)).collect();
        TraceTree {
            row_depth,
            depth,
            top: Levels::new(row_depth, depth - row_depth, roots),
            rows,
        }
    }
}

/// An error for a node that the tree does not have.
pub(super) fn no_node(index: u64, expected: u64) -> Error {
    Error::IndexOutOfRange {
        what: "nodes of a trace",
        found: index,
        expected,
    }
}
