//! Inner loops in plain Rust that compilers vectorise: each lane is one row (or one position, or one element), so that no lane's sum is
//! reordered. [`Isa::run`] compiles them once for every instruction set and picks at run time; Rust never fuses or reassociates, so all
//! versions store the same bits.

use crate::format::packed::{scale_area, tile_bytes};
use crate::numeric::constants::{
    BLOCK_ELEMENTS, CANONICAL_NAN, EXP_C2, EXP_C3, EXP_C4, EXP_C5, EXP_C6, EXP_LN2_LO_NEG,
    EXP_LOG2E, EXP_MIN, EXP_NEG_LN2_HI, TILE_ELEMENTS,
};
use crate::numeric::{block_value, canonical};
use crate::program::WeightFormat;

/// Rows of a group of packed weights, and lanes of all loops here.
pub(super) const LANES: usize = crate::format::packed::GROUP_ROWS;

/// An instruction set that this processor has; only [`Isa::all`] makes values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Isa(Set);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The sets that this processor has, the plainest first.
    pub(super) fn all() -> Vec<Isa> {
        let mut sets = vec![Isa(Set::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx2") {
                sets.push(Isa(Set::Avx2));
            }
            if std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("avx512dq")
                && std::arch::is_x86_feature_detected!("avx512vl")
            {
                sets.push(Isa(Set::Avx512));
            }
        }
        sets
    }

    /// Name for reports.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
        }
    }

    /// Runs `f`, compiled for this instruction set as far as `f` is inlined.
    #[inline(always)]
    pub(super) fn run<R>(self, f: impl FnOnce() -> R) -> R {
        match self.0 {
            Set::Portable => f(),
            // SAFETY: `Isa::all` found the feature, and nothing else makes this value.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { avx2(f) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { avx512(f) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
fn avx512<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// A row of quantised activations, with the sum of every block of 32.
#[derive(Debug, Clone, Copy)]
pub(super) struct QuantRow<'a> {
    pub(super) scales: &'a [f32],
    pub(super) quants: &'a [i8],
    pub(super) sums: &'a [i32],
}

/// How a quantised format's records are read.
pub(super) trait QuantFormat {
    const FORMAT: WeightFormat;
    /// Bytes of the quants of a block for 16 rows.
    const BLOCK_BYTES: usize;
    /// What the stored integers have added to them.
    const OFFSET: i32;

    /// The 16 scales of a block.
    fn scales(area: &[u8], block: usize) -> [f32; LANES];

    /// The 16 dot products of the stored integers with a block of activations, added to `acc`.
    fn dot(block: &[u8], x: &[i8; BLOCK_ELEMENTS], acc: &mut [i32; LANES]);
}

#[inline(always)]
fn half_scales(area: &[u8], block: usize) -> [f32; LANES] {
    let (bytes, _) = area[block * LANES * 2..][..LANES * 2].as_chunks::<2>();
    std::array::from_fn(|lane| half(u16::from_le_bytes(bytes[lane])))
}

#[inline(always)]
fn dot_bytes(block: &[u8], x: &[i8; BLOCK_ELEMENTS], acc: &mut [i32; LANES]) {
    let (quads, _) = block.as_chunks::<64>();
    let (x, _) = x.as_chunks::<4>();
    for (quad, x) in quads.iter().zip(x) {
        let (words, _) = quad.as_chunks::<4>();
        for lane in 0..LANES {
            let word = u32::from_le_bytes(words[lane]);
            for j in 0..4 {
                acc[lane] += ((word >> (8 * j)) & 0xff) as i32 * i32::from(x[j]);
            }
        }
    }
}

pub(super) struct Q8_0;
pub(super) struct Q8F;
pub(super) struct Q4_0;

impl QuantFormat for Q8_0 {
    const FORMAT: WeightFormat = WeightFormat::Q8_0;
    const BLOCK_BYTES: usize = 512;
    const OFFSET: i32 = 128;

    #[inline(always)]
    fn scales(area: &[u8], block: usize) -> [f32; LANES] {
        half_scales(area, block)
    }

    #[inline(always)]
    fn dot(block: &[u8], x: &[i8; BLOCK_ELEMENTS], acc: &mut [i32; LANES]) {
        dot_bytes(block, x, acc);
    }
}

impl QuantFormat for Q8F {
    const FORMAT: WeightFormat = WeightFormat::Q8F;
    const BLOCK_BYTES: usize = 512;
    const OFFSET: i32 = 128;

    #[inline(always)]
    fn scales(area: &[u8], block: usize) -> [f32; LANES] {
        let (bytes, _) = area[block * LANES * 4..][..LANES * 4].as_chunks::<4>();
        std::array::from_fn(|lane| f32::from_le_bytes(bytes[lane]))
    }

    #[inline(always)]
    fn dot(block: &[u8], x: &[i8; BLOCK_ELEMENTS], acc: &mut [i32; LANES]) {
        dot_bytes(block, x, acc);
    }
}

impl QuantFormat for Q4_0 {
    const FORMAT: WeightFormat = WeightFormat::Q4_0;
    const BLOCK_BYTES: usize = 256;
    const OFFSET: i32 = 8;

    #[inline(always)]
    fn scales(area: &[u8], block: usize) -> [f32; LANES] {
        half_scales(area, block)
    }

    #[inline(always)]
    fn dot(block: &[u8], x: &[i8; BLOCK_ELEMENTS], acc: &mut [i32; LANES]) {
        let (quads, _) = block.as_chunks::<64>();
        let (x, _) = x.as_chunks::<4>();
        for (k, quad) in quads.iter().enumerate() {
            let (low, high) = (x[k], x[k + 4]);
            let (words, _) = quad.as_chunks::<4>();
            for lane in 0..LANES {
                let word = u32::from_le_bytes(words[lane]);
                for j in 0..4 {
                    acc[lane] += ((word >> (8 * j)) & 15) as i32 * i32::from(low[j]);
                    acc[lane] += ((word >> (8 * j + 4)) & 15) as i32 * i32::from(high[j]);
                }
            }
        }
    }
}

/// Outputs of one group of quantised weights for `N` rows of activations of `cols` elements.
#[inline(always)]
pub(super) fn quantised_group<F: QuantFormat, const N: usize>(
    cols: usize,
    group: &[u8],
    x: &[QuantRow<'_>; N],
) -> [[f32; LANES]; N] {
    let mut total = [[0.0f32; LANES]; N];
    let mut rest = group;
    for first in (0..cols).step_by(TILE_ELEMENTS) {
        let n = TILE_ELEMENTS.min(cols - first);
        let (record, after) = rest.split_at(tile_bytes(F::FORMAT, n));
        let (scales, quants) = record.split_at(scale_area(F::FORMAT, n));
        rest = after;
        let mut tile = [[0.0f32; LANES]; N];
        for (i, block) in quants.chunks_exact(F::BLOCK_BYTES).enumerate() {
            let at = first / BLOCK_ELEMENTS + i;
            let d_w = F::scales(scales, i);
            for t in 0..N {
                let q = x[t].quants[at * BLOCK_ELEMENTS..]
                    .first_chunk()
                    .unwrap_or(&[0; BLOCK_ELEMENTS]);
                let mut acc = [-F::OFFSET * x[t].sums[at]; LANES];
                F::dot(block, q, &mut acc);
                let d_x = x[t].scales[at];
                for lane in 0..LANES {
                    tile[t][lane] += block_value(d_w[lane], d_x, acc[lane]);
                }
            }
        }
        add_tile(&mut total, &tile);
    }
    total.map(|row| row.map(canonical))
}

/// Outputs of one group of F32 or F16 weights for `N` rows of activations of `cols` elements.
#[inline(always)]
pub(super) fn number_group<const HALF: bool, const N: usize>(
    cols: usize,
    group: &[u8],
    x: &[&[f32]; N],
) -> [[f32; LANES]; N] {
    let format = if HALF {
        WeightFormat::F16
    } else {
        WeightFormat::F32
    };
    let size = if HALF { 2 } else { 4 };
    let mut total = [[0.0f32; LANES]; N];
    let mut rest = group;
    for first in (0..cols).step_by(TILE_ELEMENTS) {
        let n = TILE_ELEMENTS.min(cols - first);
        let (record, after) = rest.split_at(tile_bytes(format, n));
        rest = after;
        let x: [&[f32]; N] = std::array::from_fn(|t| &x[t][first..first + n]);
        let mut tile = [[0.0f32; LANES]; N];
        for (col, column) in record.chunks_exact(LANES * size).take(n).enumerate() {
            let w: [f32; LANES] = if HALF {
                half_scales(column, 0)
            } else {
                let (words, _) = column.as_chunks::<4>();
                std::array::from_fn(|lane| f32::from_le_bytes(words[lane]))
            };
            for t in 0..N {
                let value = x[t][col];
                for lane in 0..LANES {
                    tile[t][lane] += w[lane] * value;
                }
            }
        }
        add_tile(&mut total, &tile);
    }
    total.map(|row| row.map(canonical))
}

#[inline(always)]
fn add_tile<const N: usize>(total: &mut [[f32; LANES]; N], tile: &[[f32; LANES]; N]) {
    for (total, tile) in total.iter_mut().zip(tile) {
        for lane in 0..LANES {
            total[lane] += tile[lane];
        }
    }
}

/// [`crate::numeric::f16_to_f32`] without branches.
#[inline(always)]
pub(super) fn half(h: u16) -> f32 {
    let h = u32::from(h);
    let (sign, magnitude) = ((h & 0x8000) << 16, h & 0x7fff);
    let normal = (magnitude << 13) + (112 << 23);
    let small = ((magnitude as i32) as f32 * f32::from_bits(0x3380_0000)).to_bits();
    let huge = (magnitude << 13) | 0x7f80_0000;
    let bits = if magnitude < 0x400 { small } else { normal };
    f32::from_bits(sign | if magnitude >= 0x7c00 { huge } else { bits })
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
    let mut largest = 0u32;
    for x in x {
        largest = largest.max(x.to_bits() & 0x7fff_ffff);
    }
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
    use super::*;
    use crate::numeric;

    #[test]
    fn lanes_equal_their_definitions() {
        for isa in Isa::all() {
            isa.run(
                #[inline(always)]
                || {
                    for h in 0..=u16::MAX {
                        assert_eq!(
                            half(h).to_bits(),
                            numeric::f16_to_f32(h).to_bits(),
                            "half {h:#x}"
                        );
                    }
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
                    for bits in (0..=u32::MAX)
                        .step_by(397)
                        .chain(borders)
                        .chain((0xc000_0000..EXP_MIN).step_by(5))
                    {
                        let x = f32::from_bits(bits);
                        assert_eq!(exp(x).to_bits(), numeric::exp(x).to_bits(), "exp {bits:#x}");
                        assert_eq!(
                            silu(x).to_bits(),
                            numeric::silu(x).to_bits(),
                            "silu {bits:#x}"
                        );
                    }
                },
            );
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
