//! Elements: everything here stores the bits of its definition in [`crate::numeric`], in a form that compilers vectorise.

use super::isa::{Isa, Loop};
use super::simd::Simd;
use crate::numeric::constants::{
    BLOCK_ELEMENTS, CANONICAL_NAN, EXP_C2, EXP_C3, EXP_C4, EXP_C5, EXP_C6, EXP_LN2_LO_NEG,
    EXP_LOG2E, EXP_MIN, EXP_NEG_LN2_HI, TILE_ELEMENTS,
};
use crate::numeric::{canonical, selection_key};

/// Adding it to a number of absolute value below 2^22 rounds that to an integer, ties to even.
pub(super) const ROUNDER: f32 = 12_582_912.0;

/// [`crate::numeric::exp`] without branches.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let rounded = x * f32::from_bits(EXP_LOG2E) + ROUNDER;
    let n = rounded - ROUNDER;
    let q = (x + n * f32::from_bits(EXP_NEG_LN2_HI)) + n * f32::from_bits(EXP_LN2_LO_NEG);
    let mut p = f32::from_bits(EXP_C6);
    p = p * q + f32::from_bits(EXP_C5);
    p = p * q + f32::from_bits(EXP_C4);
    p = p * q + f32::from_bits(EXP_C3);
    p = p * q + f32::from_bits(EXP_C2);
    p = p * q + 1.0;
    p = p * q + 1.0;
    // The integer n stands in the low bits of `rounded`, and its shift leaves only those.
    let y = f32::from_bits(p.to_bits().wrapping_add(rounded.to_bits() << 23));
    let y = if x < f32::from_bits(EXP_MIN) { 0.0 } else { y };
    if x <= 0.0 {
        y
    } else {
        f32::from_bits(CANONICAL_NAN)
    }
}

/// [`crate::numeric::silu`] without branches.
#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    let e = exp(-x.abs());
    let numerator = x * if x.is_sign_negative() { e } else { 1.0 };
    canonical(numerator / (1.0 + e))
}

/// The place of the logit with the highest [`crate::numeric::selection_key`], the first of those.
pub(crate) fn best(logits: &[f32]) -> usize {
    best_with(Isa::best(), logits)
}

fn best_with(isa: Isa, logits: &[f32]) -> usize {
    let mut place = 0;
    isa.each(
        #[inline(always)]
        || {
            let highest = logits.iter().fold(i32::MIN, |highest, logit| {
                highest.max(selection_key(*logit))
            });
            place = first(logits, |logit| selection_key(logit) == highest);
        },
    );
    place
}

/// Numbers that are searched together.
const SEARCH: usize = 256;

/// The place of the first number that `is` accepts; 0 if there is none. Whole chunks first: a search that may end at any number is not vectorised.
#[inline(always)]
pub(super) fn first(x: &[f32], is: impl Fn(f32) -> bool) -> usize {
    let has = |chunk: &[f32]| chunk.iter().fold(false, |has, x| has | is(*x));
    let chunk = x.chunks(SEARCH).position(has).unwrap_or(0) * SEARCH;
    let within = x[chunk.min(x.len())..].iter().position(|x| is(*x));
    chunk + within.unwrap_or(0)
}

/// [`crate::numeric::mass`] of every logit.
pub(crate) fn masses(logits: &[f32], best: f32, temperature_milli: u32, out: &mut Vec<u32>) {
    masses_with(Isa::best(), logits, best, temperature_milli, out);
}

fn masses_with(isa: Isa, logits: &[f32], best: f32, temperature_milli: u32, out: &mut Vec<u32>) {
    let temperature = temperature_milli as f32 / 1000.0;
    out.clear();
    out.resize(logits.len(), 0);
    isa.each(
        #[inline(always)]
        || {
            for (logit, out) in logits.iter().zip(out) {
                // At most 2^30; NaN becomes 0.
                *out = (exp((logit - best) / temperature) * 1_073_741_824.0) as i32 as u32;
            }
        },
    );
}

/// Blocks of which the divisions are done together.
const TOGETHER: usize = 16;

/// [`crate::numeric::quantise_block`] of every block.
pub(super) struct Quantise<'a> {
    pub(super) x: &'a [[f32; BLOCK_ELEMENTS]],
    pub(super) scales: &'a mut [f32],
    pub(super) quants: &'a mut [[i8; BLOCK_ELEMENTS]],
}

impl Loop for Quantise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let blocks = self.x.chunks(TOGETHER);
        let scales = self.scales.chunks_mut(TOGETHER);
        let quants = self.quants.chunks_mut(TOGETHER);
        for ((x, scales), quants) in blocks.zip(scales).zip(quants) {
            let mut largest = [0u32; TOGETHER];
            for (largest, x) in largest.iter_mut().zip(x) {
                *largest = simd.largest(x);
            }
            let d = largest.map(|largest| f32::from_bits(largest) / 127.0);
            let factors = d.map(|d| 1.0 / d);
            for (b, x) in x.iter().enumerate() {
                if (0x0400_0000..0x7f80_0000).contains(&largest[b]) {
                    scales[b] = d[b];
                    simd.round(x, factors[b], &mut quants[b]);
                } else {
                    let small = largest[b] < 0x0400_0000;
                    scales[b] = if small {
                        0.0
                    } else {
                        f32::from_bits(CANONICAL_NAN)
                    };
                    quants[b] = [0; BLOCK_ELEMENTS];
                }
            }
        }
    }
}

/// [`crate::numeric::tile_sum`] of the squares. The sums of tiles don't wait for each other.
#[inline(always)]
fn square_sum(x: &[f32]) -> f32 {
    let mut total = 0.0f32;
    for tiles in x.chunks(4 * TILE_ELEMENTS) {
        let mut parts: [&[f32]; 4] = [&[]; 4];
        for (part, tile) in parts.iter_mut().zip(tiles.chunks(TILE_ELEMENTS)) {
            *part = tile;
        }
        let common = parts.iter().map(|part| part.len()).min().unwrap_or(0);
        let heads = parts.map(|part| &part[..common]);
        let mut sums = [0.0f32; 4];
        for i in 0..common {
            for t in 0..4 {
                sums[t] += heads[t][i] * heads[t][i];
            }
        }
        for (part, sum) in parts.iter().zip(sums).filter(|(part, _)| !part.is_empty()) {
            total += part[common..].iter().fold(sum, |sum, x| sum + x * x);
        }
    }
    total
}

/// Sums that go together, as they don't wait for each other.
pub(super) const SUMS: usize = 8;

/// [`crate::numeric::tile_sum`] of `f` of the numbers of slices of one length.
#[inline(always)]
pub(super) fn tile_sums<const N: usize>(x: [&[f32]; N], f: impl Fn(f32) -> f32) -> [f32; N] {
    let mut total = [0.0; N];
    for start in (0..x[0].len()).step_by(TILE_ELEMENTS) {
        let x = x.map(|x| &x[start..x.len().min(start + TILE_ELEMENTS)]);
        let mut tile = [0.0; N];
        for i in 0..x[0].len() {
            for n in 0..N {
                tile[n] += f(x[n][i]);
            }
        }
        for n in 0..N {
            total[n] += tile[n];
        }
    }
    total
}

/// The sums of squares of rows of `dim` numbers.
#[inline(always)]
pub(super) fn square_sums(x: &[f32], dim: usize, out: &mut [f32]) {
    let (many, rest) = out.as_chunks_mut::<SUMS>();
    let (first, last) = x.split_at(many.len() * SUMS * dim);
    for (x, out) in first.chunks_exact(SUMS * dim).zip(many) {
        let rows: [&[f32]; SUMS] = std::array::from_fn(|t| &x[t * dim..][..dim]);
        *out = tile_sums(rows, |x| x * x);
    }
    for (x, out) in last.chunks_exact(dim).zip(rest) {
        *out = square_sum(x);
    }
}

/// [`crate::numeric::f32_to_f16`] without branches.
#[inline(always)]
pub(super) fn to_half(x: f32) -> u16 {
    let sign = x.to_bits() >> 16 & 0x8000;
    let magnitude = x.abs().min(65504.0);
    let bits = magnitude.to_bits();
    let normal = (bits + 0xfff + (bits >> 13 & 1)).wrapping_sub(112 << 23) >> 13;
    let subnormal = (magnitude + 0.5).to_bits().wrapping_sub(0x3f00_0000);
    let half = if bits < 0x3880_0000 {
        subnormal
    } else {
        normal
    };
    if x.is_nan() {
        0x7e00
    } else {
        (sign | half) as u16
    }
}

#[cfg(test)]
mod tests;
