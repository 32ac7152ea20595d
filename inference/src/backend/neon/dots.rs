//! Exact dot products of a block's weights and activations: with the instructions for them, or with products of 16 bits.

use std::arch::aarch64::*;
use std::arch::asm;

use crate::backend::matmul::BlockOf;
use crate::backend::simd::LANES;

type Sums = [int32x4_t; 4];

/// Four rows of packed weights: 16 bytes of `line`, those from row `4 * part`.
#[inline(always)]
pub(super) fn rows(line: &[u8; 4 * LANES], part: usize) -> uint8x16_t {
    debug_assert!(part < 4);
    intrinsics!(vld1q_u8(line.as_ptr().add(16 * part)))
}

/// Four activations, four times.
#[inline(always)]
fn splat(x: [i8; 4]) -> int8x16_t {
    let quad = i32::from_le_bytes(x.map(|x| x as u8));
    intrinsics!(vreinterpretq_s8_s32(vdupq_n_s32(quad)))
}

/// Adds to each lane the products of its four bytes; `vdotq_s32` is not stable.
#[inline]
#[target_feature(enable = "dotprod")]
fn add_dots(mut acc: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: works on registers alone; the function's caller has the instruction.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) acc, in(vreg) w, in(vreg) x,
            options(pure, nomem, nostack, preserves_flags));
    }
    acc
}

/// Products of the bytes of four rows and four activations, two rows in each half.
#[inline(always)]
fn products(w: int8x16_t, x: int8x16_t) -> [int16x8_t; 2] {
    intrinsics!([
        vmull_s8(vget_low_s8(w), vget_low_s8(x)),
        vmull_high_s8(w, x),
    ])
}

/// Adds the [`products`].
#[inline(always)]
fn add_products(acc: [int16x8_t; 2], w: int8x16_t, x: int8x16_t) -> [int16x8_t; 2] {
    intrinsics!([
        vmlal_s8(acc[0], vget_low_s8(w), vget_low_s8(x)),
        vmlal_high_s8(acc[1], w, x),
    ])
}

/// Weights of four rows and four columns from bytes with 128 added.
#[inline(always)]
fn signed(line: &[u8; 4 * LANES], part: usize) -> int8x16_t {
    intrinsics!(vreinterpretq_s8_u8(veorq_u8(
        rows(line, part),
        vdupq_n_u8(0x80)
    )))
}

/// The low and the high nibbles of four rows and four bytes.
#[inline(always)]
fn halves(line: &[u8; 4 * LANES], part: usize) -> [int8x16_t; 2] {
    let both = rows(line, part);
    intrinsics!([
        vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15))),
        vreinterpretq_s8_u8(vshrq_n_u8::<4>(both)),
    ])
}

/// [`crate::backend::simd::Simd::dot_bytes`], half of the rows at a time: more sums don't fit the registers.
///
/// # Safety
/// The processor has dot products.
#[inline(always)]
pub(super) unsafe fn bytes<const M: usize, const N: usize>(
    w: [&[[u8; 4 * LANES]; 8]; M],
    x: &BlockOf<N>,
) -> [[Sums; N]; M] {
    intrinsics!({
        let mut out = [[[vdupq_n_s32(0); 4]; N]; M];
        for half in 0..2 {
            let mut acc = [[[vdupq_n_s32(0); 2]; N]; M];
            for k in 0..8 {
                let mut bytes = [[vdupq_n_s8(0); 2]; M];
                for m in 0..M {
                    bytes[m][0] = signed(&w[m][k], 2 * half);
                    bytes[m][1] = signed(&w[m][k], 2 * half + 1);
                }
                for t in 0..N {
                    let x = splat(x[k][t]);
                    for m in 0..M {
                        acc[m][t][0] = add_dots(acc[m][t][0], bytes[m][0], x);
                        acc[m][t][1] = add_dots(acc[m][t][1], bytes[m][1], x);
                    }
                }
            }
            for m in 0..M {
                for t in 0..N {
                    out[m][t][2 * half] = acc[m][t][0];
                    out[m][t][2 * half + 1] = acc[m][t][1];
                }
            }
        }
        out
    })
}

/// The same without the instructions, four rows at a time: sums of two products are at most 2 * 128 * 127 and fit 16 bits.
#[inline(always)]
pub(super) fn bytes_without<const M: usize, const N: usize>(
    w: [&[[u8; 4 * LANES]; 8]; M],
    x: &BlockOf<N>,
) -> [[Sums; N]; M] {
    intrinsics!({
        let mut out = [[[vdupq_n_s32(0); 4]; N]; M];
        for m in 0..M {
            for part in 0..4 {
                let mut acc = [[vdupq_n_s32(0); 2]; N];
                for k in 0..4 {
                    let first = signed(&w[m][2 * k], part);
                    let second = signed(&w[m][2 * k + 1], part);
                    for t in 0..N {
                        let pairs = products(first, splat(x[2 * k][t]));
                        let pairs = add_products(pairs, second, splat(x[2 * k + 1][t]));
                        acc[t][0] = vpadalq_s16(acc[t][0], pairs[0]);
                        acc[t][1] = vpadalq_s16(acc[t][1], pairs[1]);
                    }
                }
                for t in 0..N {
                    out[m][t][part] = vpaddq_s32(acc[t][0], acc[t][1]);
                }
            }
        }
        out
    })
}

/// [`crate::backend::simd::Simd::dot_nibbles`], half of the rows at a time.
///
/// # Safety
/// The processor has dot products.
#[inline(always)]
pub(super) unsafe fn nibbles<const M: usize, const N: usize>(
    w: [&[[u8; 4 * LANES]; 4]; M],
    x: &BlockOf<N>,
    starts: &[i32; N],
) -> [[Sums; N]; M] {
    intrinsics!({
        let mut out = [[[vdupq_n_s32(0); 4]; N]; M];
        for half in 0..2 {
            let mut acc = [[[vdupq_n_s32(0); 2]; N]; M];
            for t in 0..N {
                for m in 0..M {
                    acc[m][t] = [vdupq_n_s32(starts[t]); 2];
                }
            }
            for k in 0..4 {
                let mut bytes = [[[vdupq_n_s8(0); 2]; 2]; M];
                for m in 0..M {
                    bytes[m][0] = halves(&w[m][k], 2 * half);
                    bytes[m][1] = halves(&w[m][k], 2 * half + 1);
                }
                for t in 0..N {
                    let (low, high) = (splat(x[k][t]), splat(x[k + 4][t]));
                    for m in 0..M {
                        acc[m][t][0] = add_dots(acc[m][t][0], bytes[m][0][0], low);
                        acc[m][t][1] = add_dots(acc[m][t][1], bytes[m][1][0], low);
                        acc[m][t][0] = add_dots(acc[m][t][0], bytes[m][0][1], high);
                        acc[m][t][1] = add_dots(acc[m][t][1], bytes[m][1][1], high);
                    }
                }
            }
            for m in 0..M {
                for t in 0..N {
                    out[m][t][2 * half] = acc[m][t][0];
                    out[m][t][2 * half + 1] = acc[m][t][1];
                }
            }
        }
        out
    })
}

/// The same without the instructions, four rows at a time: sums of eight products are at most 8 * 15 * 127, and pairs of those fit 16 bits.
#[inline(always)]
pub(super) fn nibbles_without<const M: usize, const N: usize>(
    w: [&[[u8; 4 * LANES]; 4]; M],
    x: &BlockOf<N>,
    starts: &[i32; N],
) -> [[Sums; N]; M] {
    intrinsics!({
        let mut out = [[[vdupq_n_s32(0); 4]; N]; M];
        for m in 0..M {
            for part in 0..4 {
                let mut acc = [[vdupq_n_s16(0); 2]; N];
                for k in 0..4 {
                    let [low, high] = halves(&w[m][k], part);
                    for t in 0..N {
                        acc[t] = add_products(acc[t], low, splat(x[k][t]));
                        acc[t] = add_products(acc[t], high, splat(x[k + 4][t]));
                    }
                }
                for t in 0..N {
                    let pairs = vpaddq_s16(acc[t][0], acc[t][1]);
                    out[m][t][part] = vpadalq_s16(vdupq_n_s32(starts[t]), pairs);
                }
            }
        }
        out
    })
}
