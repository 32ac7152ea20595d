//! Inner loops. Each lane is one row of weights, one position or one element, so that no lane's sum is reordered; everything here stores the bits of
//! its definition in [`crate::numeric`].

use super::isa::{Isa, Loop};
use super::simd::{LANES, Simd};
use crate::format::packed::{scale_area, tile_bytes};
use crate::numeric::canonical;
use crate::numeric::constants::{
    BLOCK_ELEMENTS, CANONICAL_NAN, EXP_C2, EXP_C3, EXP_C4, EXP_C5, EXP_C6, EXP_LN2_LO_NEG,
    EXP_LOG2E, EXP_MIN, EXP_NEG_LN2_HI, TILE_ELEMENTS,
};
use crate::program::WeightFormat;

/// A row of quantised activations, with the sum of every block of 32.
#[derive(Debug, Clone, Copy)]
pub(super) struct QuantRow<'a> {
    pub(super) scales: &'a [f32],
    pub(super) quants: &'a [i8],
    pub(super) sums: &'a [i32],
}

/// How a quantised format's records are read.
pub(super) trait QuantFormat: Sync {
    const FORMAT: WeightFormat;
    /// Bytes of the quants of a block for 16 rows.
    const BLOCK_BYTES: usize;
    /// What the stored integers have added to them.
    const OFFSET: i32;

    /// The 16 scales of a block.
    fn scales<S: Simd>(simd: S, area: &[u8], block: usize) -> S::F;

    /// `acc` plus the 16 dot products of a block's stored integers with each of `N` blocks of activations.
    fn dot<S: Simd, const N: usize>(
        simd: S,
        block: &[u8],
        x: [&[[i8; 4]; 8]; N],
        acc: [S::I; N],
    ) -> [S::I; N];
}

#[inline(always)]
fn half_scales<S: Simd>(simd: S, area: &[u8], block: usize) -> S::F {
    simd.load_half_bytes(chunk(area, block))
}

/// A block's quants, four columns of 16 rows at a time.
#[inline(always)]
fn quads<const N: usize>(block: &[u8]) -> &[[u8; 4 * LANES]; N] {
    match block.as_chunks().0.first_chunk() {
        Some(quads) => quads,
        None => unreachable!("records have the size of their layout"),
    }
}

/// The `at`-th array of a slice.
#[inline(always)]
fn chunk<const N: usize>(bytes: &[u8], at: usize) -> &[u8; N] {
    match bytes[at * N..].first_chunk() {
        Some(chunk) => chunk,
        None => unreachable!("records have the size of their layout"),
    }
}

#[inline(always)]
fn dot_bytes<S: Simd, const N: usize>(
    simd: S,
    block: &[u8],
    x: [&[[i8; 4]; 8]; N],
    mut acc: [S::I; N],
) -> [S::I; N] {
    for (k, bytes) in quads::<8>(block).iter().enumerate() {
        let bytes = simd.bytes(bytes);
        for t in 0..N {
            acc[t] = simd.dot(acc[t], bytes, x[t][k]);
        }
    }
    acc
}

pub(super) struct Q8_0;
pub(super) struct Q8F;
pub(super) struct Q4_0;

impl QuantFormat for Q8_0 {
    const FORMAT: WeightFormat = WeightFormat::Q8_0;
    const BLOCK_BYTES: usize = 512;
    const OFFSET: i32 = 128;

    #[inline(always)]
    fn scales<S: Simd>(simd: S, area: &[u8], block: usize) -> S::F {
        half_scales(simd, area, block)
    }

    #[inline(always)]
    fn dot<S: Simd, const N: usize>(
        simd: S,
        block: &[u8],
        x: [&[[i8; 4]; 8]; N],
        acc: [S::I; N],
    ) -> [S::I; N] {
        dot_bytes(simd, block, x, acc)
    }
}

impl QuantFormat for Q8F {
    const FORMAT: WeightFormat = WeightFormat::Q8F;
    const BLOCK_BYTES: usize = 512;
    const OFFSET: i32 = 128;

    #[inline(always)]
    fn scales<S: Simd>(simd: S, area: &[u8], block: usize) -> S::F {
        simd.load_bytes(chunk(area, block))
    }

    #[inline(always)]
    fn dot<S: Simd, const N: usize>(
        simd: S,
        block: &[u8],
        x: [&[[i8; 4]; 8]; N],
        acc: [S::I; N],
    ) -> [S::I; N] {
        dot_bytes(simd, block, x, acc)
    }
}

impl QuantFormat for Q4_0 {
    const FORMAT: WeightFormat = WeightFormat::Q4_0;
    const BLOCK_BYTES: usize = 256;
    const OFFSET: i32 = 8;

    #[inline(always)]
    fn scales<S: Simd>(simd: S, area: &[u8], block: usize) -> S::F {
        half_scales(simd, area, block)
    }

    #[inline(always)]
    fn dot<S: Simd, const N: usize>(
        simd: S,
        block: &[u8],
        x: [&[[i8; 4]; 8]; N],
        mut acc: [S::I; N],
    ) -> [S::I; N] {
        for (k, bytes) in quads::<4>(block).iter().enumerate() {
            let bytes = simd.bytes(bytes);
            let (low, high) = (simd.low(bytes), simd.high(bytes));
            for t in 0..N {
                acc[t] = simd.dot(simd.dot(acc[t], low, x[t][k]), high, x[t][k + 4]);
            }
        }
        acc
    }
}

/// Outputs of one group of quantised weights for `N` rows of activations of `cols` elements.
pub(super) struct QuantisedGroup<'a, F, const N: usize> {
    pub(super) cols: usize,
    pub(super) group: &'a [u8],
    pub(super) x: &'a [QuantRow<'a>; N],
    pub(super) format: std::marker::PhantomData<F>,
}

impl<F: QuantFormat, const N: usize> Loop for QuantisedGroup<'_, F, N> {
    type Output = [[f32; LANES]; N];

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> [[f32; LANES]; N] {
        let mut total = [simd.splat(0.0); N];
        let mut rest = self.group;
        for first in (0..self.cols).step_by(TILE_ELEMENTS) {
            let n = TILE_ELEMENTS.min(self.cols - first);
            let (record, after) = rest.split_at(tile_bytes(F::FORMAT, n));
            let (scales, quants) = record.split_at(scale_area(F::FORMAT, n));
            rest = after;
            let mut tile = [simd.splat(0.0); N];
            for (i, block) in quants.chunks_exact(F::BLOCK_BYTES).enumerate() {
                let at = first / BLOCK_ELEMENTS + i;
                let x: [_; N] = std::array::from_fn(|t| {
                    let (quads, _) = self.x[t].quants[at * BLOCK_ELEMENTS..].as_chunks::<4>();
                    quads.first_chunk::<8>().unwrap_or(&[[0; 4]; 8])
                });
                let start =
                    std::array::from_fn(|t| simd.splat_int(-F::OFFSET * self.x[t].sums[at]));
                let dots = F::dot(simd, block, x, start);
                let d_w = F::scales(simd, scales, i);
                for t in 0..N {
                    // (d_w * d_x) * f32(s)
                    let scale = simd.mul(d_w, simd.splat(self.x[t].scales[at]));
                    tile[t] = simd.add(tile[t], simd.mul(scale, simd.to_float(dots[t])));
                }
            }
            for t in 0..N {
                total[t] = simd.add(total[t], tile[t]);
            }
        }
        store(simd, total)
    }
}

/// Outputs of one group of F32 or F16 weights for `N` rows of activations of `cols` elements.
pub(super) struct NumberGroup<'a, const HALF: bool, const N: usize> {
    pub(super) cols: usize,
    pub(super) group: &'a [u8],
    pub(super) x: &'a [&'a [f32]; N],
}

impl<const HALF: bool, const N: usize> Loop for NumberGroup<'_, HALF, N> {
    type Output = [[f32; LANES]; N];

    #[inline(always)]
    #[allow(
        clippy::needless_range_loop,
        reason = "the column indexes the record too"
    )]
    fn run<S: Simd>(self, simd: S) -> [[f32; LANES]; N] {
        let format = if HALF {
            WeightFormat::F16
        } else {
            WeightFormat::F32
        };
        let mut total = [simd.splat(0.0); N];
        let mut rest = self.group;
        for first in (0..self.cols).step_by(TILE_ELEMENTS) {
            let n = TILE_ELEMENTS.min(self.cols - first);
            let (record, after) = rest.split_at(tile_bytes(format, n));
            rest = after;
            let x: [&[f32]; N] = std::array::from_fn(|t| &self.x[t][first..first + n]);
            let mut tile = [simd.splat(0.0); N];
            for col in 0..n {
                let w = if HALF {
                    simd.load_half_bytes(chunk(record, col))
                } else {
                    simd.load_bytes(chunk(record, col))
                };
                for t in 0..N {
                    tile[t] = simd.add(tile[t], simd.mul(w, simd.splat(x[t][col])));
                }
            }
            for t in 0..N {
                total[t] = simd.add(total[t], tile[t]);
            }
        }
        store(simd, total)
    }
}

#[inline(always)]
fn store<S: Simd, const N: usize>(simd: S, total: [S::F; N]) -> [[f32; LANES]; N] {
    let mut out = [[0.0; LANES]; N];
    for t in 0..N {
        simd.store(simd.canonical(total[t]), &mut out[t]);
    }
    out
}

/// Adding it to a number of absolute value below 2^22 rounds that to an integer, ties to even.
const ROUNDER: f32 = 12_582_912.0;

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

/// [`crate::numeric::mass`] of every logit.
pub(crate) fn masses(logits: &[f32], best: f32, temperature_milli: u32, out: &mut Vec<u32>) {
    let temperature = temperature_milli as f32 / 1000.0;
    out.clear();
    out.resize(logits.len(), 0);
    Isa::best().each(
        #[inline(always)]
        || {
            for (logit, out) in logits.iter().zip(out) {
                // At most 2^30; NaN becomes 0.
                *out = (exp((logit - best) / temperature) * 1_073_741_824.0) as i32 as u32;
            }
        },
    );
}

/// [`crate::numeric::quantise_block`] without branches inside the block.
#[inline(always)]
pub(super) fn quantise_block(x: &[f32; BLOCK_ELEMENTS], quants: &mut [i8; BLOCK_ELEMENTS]) -> f32 {
    let largest = x
        .iter()
        .fold(0, |largest: u32, x| largest.max(x.to_bits() & 0x7fff_ffff));
    if !(0x0400_0000..0x7f80_0000).contains(&largest) {
        *quants = [0; BLOCK_ELEMENTS];
        return if largest < 0x0400_0000 {
            0.0
        } else {
            f32::from_bits(CANONICAL_NAN)
        };
    }
    let d = f32::from_bits(largest) / 127.0;
    let i = 1.0 / d;
    for (q, x) in quants.iter_mut().zip(x) {
        // The integer stands in the low bits, in two's complement.
        *q = (x * i + ROUNDER).to_bits() as i8;
    }
    d
}

#[cfg(test)]
mod tests;
