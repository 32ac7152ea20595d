//! Sixteen lanes: the few vector operations that the inner loops need, one implementation for each instruction set.
//!
//! Every operation rounds like its scalar one, lane by lane, so a loop written with [`Simd`] stores the same bits whichever set runs it. A value of
//! an implementing type proves that the processor has the instructions: only [`super::isa::Isa::all`] makes them, after looking.

use super::kernels::ROUNDER;
use super::matmul::BlockOf;
use crate::numeric::constants::BLOCK_ELEMENTS;
use crate::numeric::{canonical, f16_to_f32};

/// Lanes of all vectors: rows of a group of packed weights.
pub(super) const LANES: usize = crate::format::packed::GROUP_ROWS;

/// An instruction set.
pub(super) trait Simd: Copy {
    /// 16 binary32.
    type F: Copy;
    /// 16 int32.
    type I: Copy;
    /// Whether there are 32 registers of 16 lanes, rather than 16 of 8.
    const MANY_REGISTERS: bool;

    /// Asks for the cache line that is `at` bytes after the start, which may lie past the end.
    fn prefetch(self, bytes: &[u8], at: usize);

    fn splat(self, x: f32) -> Self::F;
    /// From little-endian bytes.
    fn load_bytes(self, x: &[u8; 4 * LANES]) -> Self::F;
    /// From binary16, exactly.
    fn load_halves(self, x: &[u16; LANES]) -> Self::F;
    /// From binary16 in little-endian bytes, exactly.
    fn load_half_bytes(self, x: &[u8; 2 * LANES]) -> Self::F;
    fn load(self, x: &[f32; LANES]) -> Self::F;
    fn store(self, x: Self::F, out: &mut [f32; LANES]);
    fn add(self, x: Self::F, y: Self::F) -> Self::F;
    fn mul(self, x: Self::F, y: Self::F) -> Self::F;
    fn div(self, x: Self::F, y: Self::F) -> Self::F;
    /// [`canonical`] of each lane.
    fn canonical(self, x: Self::F) -> Self::F;

    /// Each lane rounded to binary32.
    fn to_float(self, x: Self::I) -> Self::F;

    /// The largest absolute value of a block, as bits; a NaN's are above those of all numbers.
    fn largest(self, x: &[f32; BLOCK_ELEMENTS]) -> u32;
    /// `x * factor`, whose absolute values are below 128, rounded to the nearest integers, ties to even.
    fn round(self, x: &[f32; BLOCK_ELEMENTS], factor: f32, out: &mut [i8; BLOCK_ELEMENTS]);

    /// For `M` groups of 16 rows and `N` rows of activations the 16 exact dot products of 32 bytes less 128 with 32 activations, which are never -128.
    /// `starts` are -128 times the sums of the activations.
    fn dot_bytes<const M: usize, const N: usize>(
        self,
        w: [&[[u8; 4 * LANES]; 8]; M],
        x: &BlockOf<N>,
        starts: &[i32; N],
    ) -> [[Self::I; N]; M];

    /// The same of nibbles less 8: in the bytes of `w` columns 0..16 stand low, 16..32 high. `starts` are -8 times the sums.
    fn dot_nibbles<const M: usize, const N: usize>(
        self,
        w: [&[[u8; 4 * LANES]; 4]; M],
        x: &BlockOf<N>,
        starts: &[i32; N],
    ) -> [[Self::I; N]; M];
}

/// Plain Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portable;

#[inline(always)]
fn lanes<T, R>(f: impl FnMut(usize) -> R, _: &T) -> [R; LANES] {
    std::array::from_fn(f)
}

impl Simd for Portable {
    type F = [f32; LANES];
    type I = [i32; LANES];
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    fn prefetch(self, _: &[u8], _: usize) {}

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; LANES]
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8; 4 * LANES]) -> Self::F {
        lanes(
            |i| f32::from_le_bytes([x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]]),
            x,
        )
    }

    #[inline(always)]
    fn load_halves(self, x: &[u16; LANES]) -> Self::F {
        x.map(f16_to_f32)
    }

    #[inline(always)]
    fn load_half_bytes(self, x: &[u8; 2 * LANES]) -> Self::F {
        lanes(
            |i| f16_to_f32(u16::from_le_bytes([x[2 * i], x[2 * i + 1]])),
            x,
        )
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::F {
        *x
    }

    #[inline(always)]
    fn store(self, x: Self::F, out: &mut [f32; LANES]) {
        *out = x;
    }

    #[inline(always)]
    fn add(self, x: Self::F, y: Self::F) -> Self::F {
        lanes(|i| x[i] + y[i], &x)
    }

    #[inline(always)]
    fn mul(self, x: Self::F, y: Self::F) -> Self::F {
        lanes(|i| x[i] * y[i], &x)
    }

    #[inline(always)]
    fn div(self, x: Self::F, y: Self::F) -> Self::F {
        lanes(|i| x[i] / y[i], &x)
    }

    #[inline(always)]
    fn canonical(self, x: Self::F) -> Self::F {
        x.map(canonical)
    }

    #[inline(always)]
    fn to_float(self, x: Self::I) -> Self::F {
        x.map(|x| x as f32)
    }

    #[inline(always)]
    fn largest(self, x: &[f32; BLOCK_ELEMENTS]) -> u32 {
        x.iter()
            .fold(0, |largest, x| largest.max(x.to_bits() & 0x7fff_ffff))
    }

    #[inline(always)]
    fn round(self, x: &[f32; BLOCK_ELEMENTS], factor: f32, out: &mut [i8; BLOCK_ELEMENTS]) {
        for (out, x) in out.iter_mut().zip(x) {
            // The integer stands in the low bits, in two's complement.
            *out = (x * factor + ROUNDER).to_bits() as i8;
        }
    }

    #[inline(always)]
    fn dot_bytes<const M: usize, const N: usize>(
        self,
        w: [&[[u8; 4 * LANES]; 8]; M],
        x: &BlockOf<N>,
        starts: &[i32; N],
    ) -> [[Self::I; N]; M] {
        let mut acc = [starts.map(|start| [start; LANES]); M];
        for (w, acc) in w.into_iter().zip(&mut acc) {
            for (w, x) in w.iter().zip(x) {
                for (acc, x) in acc.iter_mut().zip(x) {
                    dot(acc, w, |byte| byte, x);
                }
            }
        }
        acc
    }

    #[inline(always)]
    fn dot_nibbles<const M: usize, const N: usize>(
        self,
        w: [&[[u8; 4 * LANES]; 4]; M],
        x: &BlockOf<N>,
        starts: &[i32; N],
    ) -> [[Self::I; N]; M] {
        let mut acc = [starts.map(|start| [start; LANES]); M];
        for (w, acc) in w.into_iter().zip(&mut acc) {
            for (k, w) in w.iter().enumerate() {
                for (t, acc) in acc.iter_mut().enumerate() {
                    dot(acc, w, |byte| byte & 15, &x[k][t]);
                    dot(acc, w, |byte| byte >> 4, &x[k + 4][t]);
                }
            }
        }
        acc
    }
}

/// Adds to each lane the sum of its four bytes, seen through `f`, times the four `x`.
#[inline(always)]
fn dot(acc: &mut [i32; LANES], w: &[u8; 4 * LANES], f: impl Fn(u8) -> u8, x: &[i8; 4]) {
    let (w, _) = w.as_chunks::<4>();
    for (acc, w) in acc.iter_mut().zip(w) {
        for (w, x) in w.iter().zip(x) {
            *acc += i32::from(f(*w)) * i32::from(*x);
        }
    }
}
