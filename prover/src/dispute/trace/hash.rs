//! Hashing the leaves of a part's outputs as the engine gives them.

use std::thread;

use sworn_inference::engine::{Place, Sink, Value};

use super::layout::{Step, TraceLayout};
use super::leaf;
use super::tree::PendingRow;
use crate::Digest;

/// Fewer leaves than this are hashed on the calling thread: starting others costs more.
const LEAVES_A_THREAD: usize = 256;

/// Takes the outputs of one part at one layer over some rows and holds the digests of their leaves, `[row][leaf of the part]`.
pub(super) struct PartHasher<'a> {
    layout: &'a TraceLayout,
    threads: usize,
    first_leaf: u32,
    width: usize,
    digests: Vec<Digest>,
}

impl<'a> PartHasher<'a> {
    /// For `rows` rows of the leaves `first_leaf..end_leaf`.
    pub(super) fn new(
        layout: &'a TraceLayout,
        threads: usize,
        leaves: std::ops::Range<u32>,
        rows: usize,
    ) -> PartHasher<'a> {
        let width = leaves.len();
        PartHasher {
            layout,
            threads,
            first_leaf: leaves.start,
            width,
            digests: vec![Digest::ZERO; width * rows],
        }
    }

    /// Adds the rows' digests to the rows of the tree, the first of which is that of the first row here.
    pub(super) fn store(&self, cut: u32, rows: &mut [PendingRow]) {
        if self.width == 0 {
            return;
        }
        let each = part_size(rows.len(), self.width, self.threads);
        let store = |rows: &mut [PendingRow], digests: &[Digest]| {
            for (row, leaves) in rows.iter_mut().zip(digests.chunks_exact(self.width)) {
                row.push(cut, leaves);
            }
        };
        let mut parts = rows
            .chunks_mut(each)
            .zip(self.digests.chunks(each * self.width));
        let first = parts.next();
        thread::scope(|scope| {
            for (rows, digests) in parts {
                scope.spawn(move || store(rows, digests));
            }
            if let Some((rows, digests)) = first {
                store(rows, digests);
            }
        });
    }
}

impl Sink for PartHasher<'_> {
    fn output(&mut self, place: Place, _positions: &[u32], value: &Value) {
        let number = self.layout.step_of(place.entry as u32, place.layer);
        // Places are of the program that the layout is of.
        let Ok(step) = self.layout.step(number) else {
            return;
        };
        let at = (step.first_leaf - self.first_leaf) as usize;
        let rows = self.digests.len() / self.width.max(1);
        let each = part_size(rows, step.leaf_count as usize, self.threads);
        let width = self.width;
        let mut parts = self.digests.chunks_mut(each * width).enumerate();
        let first = parts.next();
        thread::scope(|scope| {
            for (i, digests) in parts {
                scope.spawn(move || hash_rows(&step, value, i * each, at, width, digests));
            }
            if let Some((_, digests)) = first {
                hash_rows(&step, value, 0, at, width, digests);
            }
        });
    }
}

/// Hashes a step's leaves of the rows from `first` on.
fn hash_rows(
    step: &Step,
    value: &Value,
    first: usize,
    at: usize,
    width: usize,
    digests: &mut [Digest],
) {
    let mut bytes = Vec::with_capacity(step.kind.bytes());
    for (row, digests) in digests.chunks_exact_mut(width).enumerate() {
        for (k, digest) in (0..step.leaf_count).zip(&mut digests[at..]) {
            leaf::write(step, value, first + row, k, &mut bytes);
            *digest = Digest::of(&bytes);
        }
    }
}

/// Rows of a thread's part.
fn part_size(rows: usize, leaves: usize, threads: usize) -> usize {
    let useful = (rows * leaves / LEAVES_A_THREAD).clamp(1, threads.max(1));
    rows.div_ceil(useful).max(1)
}
