//! Attention of queries that see the same keys and values: lanes are positions in the scores, elements in the mix. Up to eight queries go together, so that
//! a key or value is converted once for all and the sums, each in its own order, don't wait for each other.

use std::sync::Arc;

use super::isa::Loop;
use super::kernels::{self, exp, tile_sums};
use super::shared::Shared;
use super::simd::{LANES, Simd};
use super::{AttentionRow, KvPage, PAGE_POSITIONS};
use crate::numeric::constants::TILE_ELEMENTS;
use crate::numeric::{canonical, key};
use crate::program::AttentionShape;

/// Queries that go together.
pub(super) const QUERIES: usize = 8;
/// The same where there are few registers, and of what remains.
const FEW_QUERIES: usize = 4;

/// Queries of one key/value head on the same pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bundle {
    /// The first row of those that share pages.
    row: usize,
    /// The key/value head.
    group: usize,
    /// The first pair of row and head of the group, counted from `row`.
    first: usize,
    count: usize,
}

/// All queries of some rows, in bundles.
pub(super) fn bundles(shape: &AttentionShape, rows: &[AttentionRow<'_>]) -> Vec<Bundle> {
    let per = shape.heads / shape.kv_heads;
    let mut out = Vec::new();
    let mut row = 0;
    for same in rows.chunk_by(|a, b| std::ptr::eq(a.pages, b.pages)) {
        let pairs = same.len() * per;
        for first in (0..pairs).step_by(QUERIES) {
            out.extend((0..shape.kv_heads).map(|group| Bundle {
                row,
                group,
                first,
                count: QUERIES.min(pairs - first),
            }));
        }
        row += same.len();
    }
    out
}

/// Where the outputs go; each bundle writes its own pairs of row and head.
#[derive(Clone, Copy)]
pub(super) struct Outputs<'a> {
    pub(super) maxima: Shared<'a, f32>,
    pub(super) places: Shared<'a, u32>,
    pub(super) sums: Shared<'a, f32>,
    pub(super) mix: Shared<'a, f32>,
}

/// Some bundles.
pub(super) struct Heads<'a> {
    pub(super) shape: &'a AttentionShape,
    /// `[rows, heads * head_dim]`
    pub(super) q: &'a [f32],
    pub(super) rows: &'a [AttentionRow<'a>],
    pub(super) bundles: &'a [Bundle],
    pub(super) out: Outputs<'a>,
}

impl Loop for Heads<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut scratch = Vec::new();
        for bundle in self.bundles {
            let mut done = 0;
            while done < bundle.count {
                let first = bundle.first + done;
                let left = bundle.count - done;
                done += match left {
                    1 => self.bundle::<S, 1, 4>(simd, bundle, first, &mut scratch),
                    2 => self.bundle::<S, 2, 2>(simd, bundle, first, &mut scratch),
                    3 => self.bundle::<S, 3, 1>(simd, bundle, first, &mut scratch),
                    QUERIES if S::MANY_REGISTERS => {
                        self.bundle::<S, QUERIES, 2>(simd, bundle, first, &mut scratch)
                    }
                    _ if S::MANY_REGISTERS => {
                        self.bundle::<S, FEW_QUERIES, 2>(simd, bundle, first, &mut scratch)
                    }
                    _ => self.bundle::<S, FEW_QUERIES, 1>(simd, bundle, first, &mut scratch),
                };
            }
        }
    }
}

/// A query.
#[derive(Clone, Copy)]
struct Query<'a> {
    /// Its pair of row and head.
    at: usize,
    q: &'a [f32],
    /// Positions that it sees.
    seen: usize,
}

impl Heads<'_> {
    /// `P` queries from the bundle's pair `first` on, with scores of `B` blocks of 16 positions at a time. Gives `P`.
    #[inline(always)]
    fn bundle<S: Simd, const P: usize, const B: usize>(
        &self,
        simd: S,
        bundle: &Bundle,
        first: usize,
        scratch: &mut Vec<f32>,
    ) -> usize {
        let (shape, head_dim) = (self.shape, self.shape.head_dim);
        let per = shape.heads / shape.kv_heads;
        let queries: [Query<'_>; P] = std::array::from_fn(|p| {
            let pair = first + p;
            let row = bundle.row + pair / per;
            let at = row * shape.heads + bundle.group * per + pair % per;
            Query {
                at,
                q: &self.q[at * head_dim..][..head_dim],
                seen: self.rows[row].position as usize + 1,
            }
        });
        let seen = queries.iter().map(|query| query.seen).max().unwrap_or(0);
        let pages = &self.rows[bundle.row].pages[..seen.div_ceil(PAGE_POSITIONS)];
        let padded = pages.len() * PAGE_POSITIONS;
        scratch.clear();
        scratch.resize(P * padded, 0.0);
        for (i, page) in pages.iter().enumerate() {
            let left = (seen - i * PAGE_POSITIONS).min(PAGE_POSITIONS);
            let keys = page.head_keys(bundle.group);
            for first in (0..left).step_by(B * LANES) {
                let blocks: [&[[u16; LANES]]; B] = std::array::from_fn(|b| {
                    let block = &keys[(first / LANES + b) * LANES * head_dim..];
                    &block.as_chunks().0[..head_dim]
                });
                let scores = scores(simd, queries.map(|query| query.q), blocks, shape.scale);
                for p in 0..P {
                    let out = &mut scratch[p * padded + i * PAGE_POSITIONS + first..];
                    for (score, out) in scores[p].iter().zip(out.as_chunks_mut().0) {
                        simd.store(*score, out);
                    }
                }
            }
        }

        for (p, query) in queries.iter().enumerate() {
            let (scores, beyond) = scratch[p * padded..][..padded].split_at_mut(query.seen);
            // Scores are canonical, so the key puts NaN above everything.
            let max_key = scores
                .iter()
                .fold(i32::MIN, |max, score| max.max(key(*score)));
            let place = kernels::first(scores, |score| key(score) == max_key);
            let max = scores[place];
            for score in scores.iter_mut() {
                *score = exp(*score - max);
            }
            // A sum does not change by adding +0 to it: it is never -0.
            beyond.fill(0.0);
            // SAFETY: each bundle has its own pairs of row and head.
            let (maxima, places) = unsafe {
                (
                    self.out.maxima.part(query.at..query.at + 1),
                    self.out.places.part(query.at..query.at + 1),
                )
            };
            (maxima[0], places[0]) = (max, place as u32);
        }
        let weights: [&[f32]; P] = std::array::from_fn(|p| &scratch[p * padded..][..seen]);
        let sums = tile_sums(weights, |weight| weight);
        for (query, sum) in queries.iter().zip(sums) {
            // SAFETY: each bundle has its own pairs of row and head.
            let sums = unsafe { self.out.sums.part(query.at..query.at + 1) };
            sums[0] = canonical(sum);
        }

        let width = head_dim.next_multiple_of(LANES);
        let mut first = 0;
        while first < width {
            let job = Mix {
                width,
                first,
                group: bundle.group,
                pages,
                weights: std::array::from_fn(|p| scratch[p * padded..][..padded].as_chunks().0),
                sums,
                seen: queries.map(|query| query.seen),
            };
            let left = (width - first) / LANES;
            // As many as registers hold the sums of, in equal steps.
            let most = match (P, S::MANY_REGISTERS) {
                (1, _) | (..=FEW_QUERIES, true) => 4,
                (_, true) => 3,
                (2, false) => 2,
                (_, false) => 1,
            };
            let n = left.div_ceil(left.div_ceil(most));
            let store = |p: usize, n: usize, values: [f32; LANES]| {
                let start = first + n * LANES;
                let count = LANES.min(head_dim - start);
                let start = queries[p].at * head_dim + start;
                // SAFETY: each bundle has its own pairs of row and head.
                let out = unsafe { self.out.mix.part(start..start + count) };
                out.copy_from_slice(&values[..count]);
            };
            match n {
                1 => job.run::<S, 1>(simd, store),
                2 => job.run::<S, 2>(simd, store),
                3 => job.run::<S, 3>(simd, store),
                _ => job.run::<S, 4>(simd, store),
            }
            first += n * LANES;
        }
        P
    }
}

/// Scores of `P` queries with `B` blocks of 16 positions.
#[inline(always)]
fn scores<S: Simd, const P: usize, const B: usize>(
    simd: S,
    q: [&[f32]; P],
    keys: [&[[u16; LANES]]; B],
    scale: f32,
) -> [[S::F; B]; P] {
    let head_dim = keys[0].len();
    let mut total = [[simd.splat(0.0); B]; P];
    for first in (0..head_dim).step_by(TILE_ELEMENTS) {
        let range = first..head_dim.min(first + TILE_ELEMENTS);
        let q = q.map(|q| &q[range.clone()]);
        let keys = keys.map(|keys| &keys[range.clone()]);
        let mut tile = [[simd.splat(0.0); B]; P];
        for e in 0..range.len() {
            let mut block = [simd.splat(0.0); B];
            for b in 0..B {
                block[b] = simd.load_halves(&keys[b][e]);
            }
            for p in 0..P {
                let q = simd.splat(q[p][e]);
                for b in 0..B {
                    tile[p][b] = simd.add(tile[p][b], simd.mul(q, block[b]));
                }
            }
        }
        for p in 0..P {
            for b in 0..B {
                total[p][b] = simd.add(total[p][b], tile[p][b]);
            }
        }
    }
    let scale = simd.splat(scale);
    for score in total.as_flattened_mut() {
        *score = simd.canonical(simd.mul(*score, scale));
    }
    total
}

/// `N` vectors of a row of values.
#[inline(always)]
fn load<S: Simd, const N: usize>(simd: S, row: &[u16], first: usize) -> [S::F; N] {
    let row = row[first..][..N * LANES].as_chunks::<LANES>().0;
    let mut values = [simd.splat(0.0); N];
    for (value, row) in values.iter_mut().zip(row) {
        *value = simd.load_halves(row);
    }
    values
}

/// Adds a row of values times a weight.
#[inline(always)]
fn add<S: Simd, const N: usize>(simd: S, tile: &mut [S::F; N], weight: f32, values: &[S::F; N]) {
    let weight = simd.splat(weight);
    for (tile, value) in tile.iter_mut().zip(values) {
        *tile = simd.add(*tile, simd.mul(weight, *value));
    }
}

/// Elements of the weighted means of the values.
struct Mix<'a, const P: usize> {
    /// `head_dim` padded to whole vectors.
    width: usize,
    /// The first element.
    first: usize,
    group: usize,
    pages: &'a [Arc<KvPage>],
    /// Of whole pages.
    weights: [&'a [[f32; PAGE_POSITIONS]]; P],
    sums: [f32; P],
    seen: [usize; P],
}

impl<const P: usize> Mix<'_, P> {
    /// `N` vectors of elements for each query.
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S, store: impl Fn(usize, usize, [f32; LANES])) {
        let shortest = self.seen.into_iter().min().unwrap_or(0);
        let longest = self.seen.into_iter().max().unwrap_or(0);
        let mut total = [[simd.splat(0.0); N]; P];
        const TILE_PAGES: usize = TILE_ELEMENTS / PAGE_POSITIONS;
        for (i, pages) in (0..).step_by(TILE_PAGES).zip(self.pages.chunks(TILE_PAGES)) {
            let mut tile = [[simd.splat(0.0); N]; P];
            for (page, i) in pages.iter().zip(i..) {
                let first = i * PAGE_POSITIONS;
                let mut rows = page.head_values(self.group).chunks_exact(self.width);
                let weights = self.weights.map(|weights| &weights[i]);
                // What all queries see, then the few positions that only some see: a value past a query's position is not its business even with
                // weight 0, as it may be NaN.
                let common = shortest.saturating_sub(first).min(PAGE_POSITIONS);
                let all = longest.saturating_sub(first).min(PAGE_POSITIONS);
                for (j, row) in (0..common).zip(&mut rows) {
                    let values = load::<S, N>(simd, row, self.first);
                    for p in 0..P {
                        add(simd, &mut tile[p], weights[p][j], &values);
                    }
                }
                for (j, row) in (common..all).zip(&mut rows) {
                    let values = load::<S, N>(simd, row, self.first);
                    for p in 0..P {
                        if first + j < self.seen[p] {
                            add(simd, &mut tile[p], weights[p][j], &values);
                        }
                    }
                }
            }
            for p in 0..P {
                for n in 0..N {
                    total[p][n] = simd.add(total[p][n], tile[p][n]);
                }
            }
        }
        for p in 0..P {
            let sum = simd.splat(self.sums[p]);
            for n in 0..N {
                let mut lanes = [0.0; LANES];
                simd.store(simd.canonical(simd.div(total[p][n], sum)), &mut lanes);
                store(p, n, lanes);
            }
        }
    }
}
