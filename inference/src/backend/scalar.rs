//! The naive twin: every operation element by element, straight from the specification. No other backend may differ from it by a bit.

use super::{AttentionOut, AttentionRow, Backend, MatmulInput, PAGE_POSITIONS};
use crate::format::packed::PackedTensor;
use crate::numeric::constants::BLOCK_ELEMENTS;
use crate::numeric::{
    block_dot, block_value, canonical, exp, f16_to_f32, f32_to_f16, inverse_root, quantise_block,
    rope_pair, silu, softmax_key, tile_sum,
};
use crate::program::AttentionShape;

/// The reference backend; slow, one thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scalar;

impl Backend for Scalar {
    fn name(&self) -> String {
        "scalar".to_owned()
    }

    fn embed(&self, weights: PackedTensor<'_>, tokens: &[u32], out: &mut [f32]) {
        let dim = weights.shape().cols as usize;
        for (token, out) in tokens.iter().zip(out.chunks_exact_mut(dim)) {
            weights.read_row(*token as usize, out);
            for value in out {
                *value = canonical(*value);
            }
        }
    }

    fn norm_stat(&self, x: &[f32], dim: usize, eps: f32, out: &mut [f32]) {
        for (x, out) in x.chunks_exact(dim).zip(out) {
            *out = inverse_root(tile_sum(x.iter().map(|x| x * x)), dim as u32, eps);
        }
    }

    fn norm_apply(&self, x: &[f32], r: &[f32], weights: PackedTensor<'_>, out: &mut [f32]) {
        let dim = weights.shape().cols as usize;
        for (t, r) in r.iter().enumerate() {
            for i in 0..dim {
                out[t * dim + i] = canonical((x[t * dim + i] * r) * weights.number(0, i));
            }
        }
    }

    fn quantise(&self, x: &[f32], scales: &mut [f32], quants: &mut [i8]) {
        let (blocks, _) = x.as_chunks::<BLOCK_ELEMENTS>();
        for (b, block) in blocks.iter().enumerate() {
            let (d, q) = quantise_block(block);
            scales[b] = d;
            quants[b * BLOCK_ELEMENTS..][..BLOCK_ELEMENTS].copy_from_slice(&q);
        }
    }

    fn matmul(&self, weights: PackedTensor<'_>, x: MatmulInput<'_>, out: &mut [f32]) {
        let (outputs, inner) = (weights.shape().rows as usize, weights.shape().cols as usize);
        for (t, out) in out.chunks_exact_mut(outputs).enumerate() {
            for (j, out) in out.iter_mut().enumerate() {
                *out = canonical(match x {
                    MatmulInput::F32(x) => {
                        tile_sum((0..inner).map(|i| weights.number(j, i) * x[t * inner + i]))
                    }
                    MatmulInput::Quantised(x) => {
                        // A tile sum of 256 elements is a sum of 8 block values, so eight blocks make a tile.
                        let blocks = inner / BLOCK_ELEMENTS;
                        let mut total = 0.0f32;
                        for tile in (0..blocks).step_by(8) {
                            let mut sum = 0.0f32;
                            for b in tile..blocks.min(tile + 8) {
                                let q: &[i8; 32] = x.quants[(t * blocks + b) * 32..]
                                    .first_chunk()
                                    .unwrap_or(&[0; 32]);
                                let s = block_dot(&weights.quants(j, b * 32), q);
                                sum += block_value(
                                    weights.scale(j, b * 32),
                                    x.scales[t * blocks + b],
                                    s,
                                );
                            }
                            total += sum;
                        }
                        total
                    }
                });
            }
        }
    }

    fn rope(
        &self,
        x: &[f32],
        head_dim: usize,
        table: PackedTensor<'_>,
        positions: &[u32],
        out: &mut [f32],
    ) {
        let (width, rotated) = (
            x.len() / positions.len().max(1),
            table.shape().cols as usize,
        );
        for (t, position) in positions.iter().enumerate() {
            for head in (t * width..(t + 1) * width).step_by(head_dim) {
                for i in (0..head_dim).step_by(2) {
                    if i < rotated {
                        let (c, s) = (
                            table.number(*position as usize, i),
                            table.number(*position as usize, i + 1),
                        );
                        let (y0, y1) = rope_pair(x[head + i], x[head + i + 1], c, s);
                        (out[head + i], out[head + i + 1]) = (canonical(y0), canonical(y1));
                    } else {
                        let end = head + head_dim.min(i + 2);
                        out[head + i..end].copy_from_slice(&x[head + i..end]);
                    }
                }
            }
        }
    }

    fn to_f16(&self, x: &[f32], out: &mut [u16]) {
        for (x, out) in x.iter().zip(out) {
            *out = f32_to_f16(*x);
        }
    }

    fn attention(
        &self,
        shape: &AttentionShape,
        q: &[f32],
        rows: &[AttentionRow<'_>],
        out: AttentionOut<'_>,
    ) {
        let (heads, head_dim) = (shape.heads, shape.head_dim);
        for (t, row) in rows.iter().enumerate() {
            let page = |j: usize| &row.pages[j / PAGE_POSITIONS];
            for h in 0..heads {
                let (g, at) = (h / (heads / shape.kv_heads), t * heads + h);
                let q = &q[at * head_dim..][..head_dim];
                let positions = 0..=row.position as usize;
                let score = |j: usize| {
                    let key = |e: usize| f16_to_f32(page(j).key(g, j % PAGE_POSITIONS, e));
                    canonical(tile_sum((0..head_dim).map(|e| q[e] * key(e))) * shape.scale)
                };
                let (mut max, mut place) = (score(0), 0);
                for j in positions.clone() {
                    if softmax_key(score(j)) > softmax_key(max) {
                        (max, place) = (score(j), j as u32);
                    }
                }
                let weights: Vec<f32> = positions.map(|j| exp(score(j) - max)).collect();
                let sum = tile_sum(weights.iter().copied());
                (out.maxima[at], out.places[at], out.sums[at]) = (max, place, canonical(sum));
                for e in 0..head_dim {
                    let value = |j: usize| f16_to_f32(page(j).value(g, j % PAGE_POSITIONS, e));
                    let mix = tile_sum(weights.iter().enumerate().map(|(j, w)| w * value(j)));
                    out.mix[at * head_dim + e] = canonical(mix / sum);
                }
            }
        }
    }

    fn add(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        for ((x, y), out) in x.iter().zip(y).zip(out) {
            *out = canonical(x + y);
        }
    }

    fn silu_mul(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        for ((x, y), out) in x.iter().zip(y).zip(out) {
            *out = canonical(silu(*x) * y);
        }
    }
}
