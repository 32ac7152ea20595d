//! Sixteen lanes: the few vector operations that the inner loops need, one implementation for each instruction set.
//!
//! Every operation rounds like its scalar one, lane by lane, so a loop written with [`Simd`] stores the same bits whichever set runs it. A value of
//! an implementing type proves that the processor has the instructions: only [`super::isa::Isa::all`] makes them, after looking.

use crate::numeric::{canonical, f16_to_f32};

/// Lanes of all vectors: rows of a group of packed weights.
pub(super) const LANES: usize = crate::format::packed::GROUP_ROWS;

/// An instruction set.
pub(super) trait Simd: Copy {
    /// 16 binary32.
    type F: Copy;
    /// 16 int32.
    type I: Copy;
    /// 16 times 4 bytes.
    type B: Copy;

    fn splat(self, x: f32) -> Self::F;
    /// From little-endian bytes.
    fn load_bytes(self, x: &[u8; 4 * LANES]) -> Self::F;
    /// From binary16, exactly.
    fn load_halves(self, x: &[u16; LANES]) -> Self::F;
    /// From binary16 in little-endian bytes, exactly.
    fn load_half_bytes(self, x: &[u8; 2 * LANES]) -> Self::F;
    fn store(self, x: Self::F, out: &mut [f32; LANES]);
    fn add(self, x: Self::F, y: Self::F) -> Self::F;
    fn mul(self, x: Self::F, y: Self::F) -> Self::F;
    fn div(self, x: Self::F, y: Self::F) -> Self::F;
    /// [`canonical`] of each lane.
    fn canonical(self, x: Self::F) -> Self::F;

    fn splat_int(self, x: i32) -> Self::I;
    /// Each lane rounded to binary32.
    fn to_float(self, x: Self::I) -> Self::F;

    fn bytes(self, x: &[u8; 4 * LANES]) -> Self::B;
    /// The low nibble of each byte.
    fn low(self, x: Self::B) -> Self::B;
    /// The high nibble of each byte.
    fn high(self, x: Self::B) -> Self::B;
    /// `acc` plus, in each lane, the sum of its four bytes (unsigned) times the four `x`; exact, the caller's numbers are small.
    fn dot(self, acc: Self::I, bytes: Self::B, x: [i8; 4]) -> Self::I;
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
    type B = [u8; 4 * LANES];

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
    fn splat_int(self, x: i32) -> Self::I {
        [x; LANES]
    }

    #[inline(always)]
    fn to_float(self, x: Self::I) -> Self::F {
        x.map(|x| x as f32)
    }

    #[inline(always)]
    fn bytes(self, x: &[u8; 4 * LANES]) -> Self::B {
        *x
    }

    #[inline(always)]
    fn low(self, x: Self::B) -> Self::B {
        x.map(|x| x & 15)
    }

    #[inline(always)]
    fn high(self, x: Self::B) -> Self::B {
        x.map(|x| x >> 4)
    }

    #[inline(always)]
    fn dot(self, acc: Self::I, bytes: Self::B, x: [i8; 4]) -> Self::I {
        lanes(
            |i| {
                acc[i]
                    + (0..4)
                        .map(|j| i32::from(bytes[4 * i + j]) * i32::from(x[j]))
                        .sum::<i32>()
            },
            &acc,
        )
    }
}
