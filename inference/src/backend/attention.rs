//! Attention of one row and one head: lanes are positions in the scores, elements in the mix.

use super::isa::Loop;
use super::kernels::exp;
use super::simd::{LANES, Simd};
use super::{AttentionRow, PAGE_POSITIONS};
use crate::numeric::constants::TILE_ELEMENTS;
use crate::numeric::{canonical, key, tile_sum};
use crate::program::AttentionShape;

/// One row's head. Gives the maximum, its position and the sum.
pub(super) struct Head<'a> {
    pub(super) shape: &'a AttentionShape,
    /// The head's query, `[head_dim]`.
    pub(super) q: &'a [f32],
    pub(super) row: &'a AttentionRow<'a>,
    /// The key/value head.
    pub(super) group: usize,
    /// Scratch.
    pub(super) scores: &'a mut Vec<f32>,
    /// Output, `[head_dim]`.
    pub(super) mix: &'a mut [f32],
}

impl Loop for Head<'_> {
    type Output = (f32, u32, f32);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (f32, u32, f32) {
        let Head {
            shape,
            q,
            row,
            group,
            scores,
            mix,
        } = self;
        let count = row.position as usize + 1;
        let pages = &row.pages[..count.div_ceil(PAGE_POSITIONS)];

        scores.clear();
        let scale = simd.splat(shape.scale);
        for page in pages {
            for keys in page.head_keys(group).chunks_exact(LANES * shape.head_dim) {
                if scores.len() >= count {
                    break;
                }
                let mut block = [0.0; LANES];
                simd.store(
                    simd.canonical(simd.mul(block_scores(simd, q, keys), scale)),
                    &mut block,
                );
                scores.extend_from_slice(&block);
            }
        }
        scores.truncate(count);

        // Scores are canonical, so the key puts NaN above everything.
        let max_key = scores
            .iter()
            .fold(i32::MIN, |max, score| max.max(key(*score)));
        let place = scores
            .iter()
            .position(|score| key(*score) == max_key)
            .unwrap_or(0);
        let max = scores[place];
        for score in scores.iter_mut() {
            *score = exp(*score - max);
        }
        let sum = tile_sum(scores.iter().copied());

        let padded = shape.head_dim.next_multiple_of(LANES);
        let mut first = 0;
        while first < padded {
            let out = &mut mix[first..];
            let job = Mix {
                padded,
                first,
                group,
                pages,
                weights: scores,
                sum,
            };
            first += LANES
                * match (padded - first) / LANES {
                    1 => job.run::<S, 1>(simd, out),
                    2 => job.run::<S, 2>(simd, out),
                    3 => job.run::<S, 3>(simd, out),
                    _ => job.run::<S, 4>(simd, out),
                };
        }
        (max, place as u32, canonical(sum))
    }
}

/// Dot products of `q` with the keys of 16 positions.
#[inline(always)]
fn block_scores<S: Simd>(simd: S, q: &[f32], keys: &[u16]) -> S::F {
    let mut total = simd.splat(0.0);
    for (q, keys) in q
        .chunks(TILE_ELEMENTS)
        .zip(keys.chunks(TILE_ELEMENTS * LANES))
    {
        let mut tile = simd.splat(0.0);
        let (keys, _) = keys.as_chunks::<LANES>();
        for (q, keys) in q.iter().zip(keys) {
            tile = simd.add(tile, simd.mul(simd.splat(*q), simd.load_halves(keys)));
        }
        total = simd.add(total, tile);
    }
    total
}

/// Elements of the weighted mean of the values.
struct Mix<'a> {
    padded: usize,
    first: usize,
    group: usize,
    pages: &'a [std::sync::Arc<super::KvPage>],
    weights: &'a [f32],
    sum: f32,
}

impl Mix<'_> {
    /// Elements `first..first + 16 N`, as far as there are; gives N.
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S, out: &mut [f32]) -> usize {
        let mut total = [simd.splat(0.0); N];
        for (weights, pages) in self
            .weights
            .chunks(TILE_ELEMENTS)
            .zip(self.pages.chunks(TILE_ELEMENTS / PAGE_POSITIONS))
        {
            let mut tile = [simd.splat(0.0); N];
            for (weights, page) in weights.chunks(PAGE_POSITIONS).zip(pages) {
                for (w, values) in weights
                    .iter()
                    .zip(page.head_values(self.group).chunks_exact(self.padded))
                {
                    let (values, _) = values[self.first..].as_chunks::<LANES>();
                    let w = simd.splat(*w);
                    for (tile, values) in tile.iter_mut().zip(values) {
                        *tile = simd.add(*tile, simd.mul(w, simd.load_halves(values)));
                    }
                }
            }
            for t in 0..N {
                total[t] = simd.add(total[t], tile[t]);
            }
        }
        for (total, out) in total.into_iter().zip(out.chunks_mut(LANES)) {
            let mut lanes = [0.0; LANES];
            simd.store(
                simd.canonical(simd.div(total, simd.splat(self.sum))),
                &mut lanes,
            );
            out.copy_from_slice(&lanes[..out.len()]);
        }
        N
    }
}
