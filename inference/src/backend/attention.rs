//! Attention of one row and one head, vectorised over positions (scores) and elements (mix).

use super::kernels::{LANES, exp, half};
use super::{AttentionRow, PAGE_POSITIONS};
use crate::numeric::constants::TILE_ELEMENTS;
use crate::numeric::{canonical, key, tile_sum};
use crate::program::AttentionShape;

/// Maximum, its position and the sum; the mix goes into `mix`, `[head_dim]`. `scores` is scratch.
#[inline(always)]
pub(super) fn head(
    shape: &AttentionShape,
    q: &[f32],
    row: &AttentionRow<'_>,
    head: usize,
    scores: &mut Vec<f32>,
    mix: &mut [f32],
) -> (f32, u32, f32) {
    let group = head / (shape.heads / shape.kv_heads);
    let count = row.position as usize + 1;
    let pages = &row.pages[..count.div_ceil(PAGE_POSITIONS)];

    scores.clear();
    for page in pages {
        for keys in page.head_keys(group).chunks_exact(LANES * shape.head_dim) {
            scores.extend(block_scores(q, keys).map(|score| canonical(score * shape.scale)));
        }
    }
    scores.truncate(count);

    // Scores are canonical, so the key puts NaN above everything.
    let max_key = scores
        .iter()
        .map(|score| key(*score))
        .fold(i32::MIN, i32::max);
    let place = scores
        .iter()
        .position(|score| key(*score) == max_key)
        .unwrap_or(0);
    let max = scores[place];
    for score in scores.iter_mut() {
        *score = exp(*score - max);
    }
    let sum = tile_sum(scores.iter().copied());

    for (first, mix) in (0..shape.head_dim)
        .step_by(LANES)
        .zip(mix.chunks_mut(LANES))
    {
        let mut total = [0.0f32; LANES];
        for (tile, weights) in scores.chunks(TILE_ELEMENTS).enumerate() {
            let mut acc = [0.0f32; LANES];
            let pages = &pages[tile * (TILE_ELEMENTS / PAGE_POSITIONS)..];
            for (weights, page) in weights.chunks(PAGE_POSITIONS).zip(pages) {
                let padded = shape.head_dim.next_multiple_of(LANES);
                for (w, values) in weights
                    .iter()
                    .zip(page.head_values(group).chunks_exact(padded))
                {
                    let values = values[first..]
                        .first_chunk::<LANES>()
                        .unwrap_or(&[0; LANES]);
                    for lane in 0..LANES {
                        acc[lane] += w * half(values[lane]);
                    }
                }
            }
            for lane in 0..LANES {
                total[lane] += acc[lane];
            }
        }
        for (mix, total) in mix.iter_mut().zip(total) {
            *mix = canonical(total / sum);
        }
    }
    (max, place as u32, canonical(sum))
}

/// Dot products of `q` with the keys of 16 positions.
#[inline(always)]
fn block_scores(q: &[f32], keys: &[u16]) -> [f32; LANES] {
    let mut total = [0.0f32; LANES];
    for (q, keys) in q
        .chunks(TILE_ELEMENTS)
        .zip(keys.chunks(TILE_ELEMENTS * LANES))
    {
        let mut tile = [0.0f32; LANES];
        let (keys, _) = keys.as_chunks::<LANES>();
        for (q, keys) in q.iter().zip(keys) {
            for lane in 0..LANES {
                tile[lane] += q * half(keys[lane]);
            }
        }
        for lane in 0..LANES {
            total[lane] += tile[lane];
        }
    }
    total
}
