//! Inner loops. Each lane is one row of weights, one position or one element, so that no lane's sum is reordered; everything here stores the bits of
//! its definition in [`crate::numeric`].

use super::isa::Loop;
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
    for k in 0..8 {
        let bytes = simd.bytes(chunk(block, k));
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
        for k in 0..4 {
            let bytes = simd.bytes(chunk(block, k));
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
mod tests {
    use super::super::isa::Isa;
    use super::*;
    use crate::numeric;

    struct Halves(u16);

    impl Loop for Halves {
        type Output = [u32; LANES];

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> [u32; LANES] {
            let halves: [u16; LANES] = std::array::from_fn(|i| self.0 + i as u16);
            let mut out = [[0.0; LANES]; 2];
            simd.store(simd.load_halves(&halves), &mut out[0]);
            let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            simd.store(simd.load_half_bytes(chunk(&bytes, 0)), &mut out[1]);
            assert_eq!(out[0].map(f32::to_bits), out[1].map(f32::to_bits));
            out[0].map(|x| canonical(x).to_bits())
        }
    }

    #[test]
    fn halves_equal_their_definition() {
        for isa in Isa::all() {
            for first in (0..=0xfff0u16).step_by(LANES) {
                let expected = std::array::from_fn(|i| {
                    canonical(numeric::f16_to_f32(first + i as u16)).to_bits()
                });
                assert_eq!(isa.run(Halves(first)), expected, "{}", isa.name());
            }
        }
    }

    struct Dots([u8; 64], [i8; 4]);

    impl Loop for Dots {
        type Output = [[f32; LANES]; 3];

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> [[f32; LANES]; 3] {
            let bytes = simd.bytes(&self.0);
            let mut out = [[0.0; LANES]; 3];
            for (bytes, out) in [bytes, simd.low(bytes), simd.high(bytes)]
                .into_iter()
                .zip(&mut out)
            {
                simd.store(
                    simd.to_float(simd.dot(simd.splat_int(-7), bytes, self.1)),
                    out,
                );
            }
            out
        }
    }

    #[test]
    fn dots_are_exact_at_the_extremes() {
        for isa in Isa::all() {
            for x in [
                [127; 4],
                [-127; 4],
                [-128; 4],
                [127, -127, 1, 0],
                [-1, 2, -3, 4],
            ] {
                for bytes in [[255; 64], [0; 64], std::array::from_fn(|i| (i * 37) as u8)] {
                    let found = isa.run(Dots(bytes, x));
                    for lane in 0..LANES {
                        let dot = |f: fn(u8) -> u8| {
                            (0..4)
                                .map(|j| i32::from(f(bytes[4 * lane + j])) * i32::from(x[j]))
                                .sum::<i32>()
                                - 7
                        };
                        let expected = [dot(|b| b), dot(|b| b & 15), dot(|b| b >> 4)];
                        assert_eq!(
                            found.map(|row| row[lane]),
                            expected.map(|dot| dot as f32),
                            "{}",
                            isa.name()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn elements_equal_their_definitions() {
        let borders = [
            0u32,
            1,
            EXP_MIN,
            EXP_MIN + 1,
            0x8000_0000,
            0x8000_0001,
            0x7f80_0000,
            0xff80_0000,
            0x7fc0_0000,
            0xffc0_0000,
        ];
        let all = (0..=u32::MAX)
            .step_by(397)
            .chain(borders)
            .chain((0xc000_0000..EXP_MIN).step_by(5));
        let x: Vec<f32> = all.map(f32::from_bits).collect();
        for isa in Isa::all() {
            let mut out = vec![(0.0, 0.0); x.len()];
            isa.each(
                #[inline(always)]
                || {
                    for (x, out) in x.iter().zip(&mut out) {
                        *out = (exp(*x), silu(*x));
                    }
                },
            );
            for (x, out) in x.iter().zip(&out) {
                assert_eq!(out.0.to_bits(), numeric::exp(*x).to_bits(), "exp {x:e}");
                assert_eq!(out.1.to_bits(), numeric::silu(*x).to_bits(), "silu {x:e}");
            }
        }
    }

    #[test]
    fn blocks_equal_their_definition() {
        let mut state = 1u32;
        for round in 0..20_000u32 {
            let x: [f32; 32] = std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                match round % 4 {
                    0 => f32::from_bits(state),
                    1 => f32::from_bits(state & 0x81ff_ffff | 0x0300_0000),
                    2 => f32::from_bits(state & 0x83ff_ffff | 0x3c00_0000),
                    _ => (state >> 24) as f32 - 127.5,
                }
            });
            let mut quants = [1; 32];
            let d = quantise_block(&x, &mut quants);
            let (expected, expected_quants) = numeric::quantise_block(&x);
            assert_eq!((d.to_bits(), quants), (expected.to_bits(), expected_quants));
        }
    }
}
