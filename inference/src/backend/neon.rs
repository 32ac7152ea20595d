//! The sixteen lanes on AArch64: four NEON registers.
//!
//! Dot products of bytes are an extension (FEAT_DotProd), so there are two sets. Instructions whose intrinsics are not stable are written out.

use std::arch::aarch64::*;
use std::arch::asm;

use super::matmul::BlockOf;
use super::simd::{LANES, Simd};
use crate::numeric::constants::{BLOCK_ELEMENTS, CANONICAL_NAN};

/// Calls of intrinsics.
macro_rules! intrinsics {
    ($body:expr) => {
        // SAFETY: NEON is part of AArch64, and where `DOT` the processor has dot products (`detect`); loads and stores stay within
        // the arrays whose references are given, and need no alignment.
        unsafe { $body }
    };
}

/// An array of what the four registers give; unlike closures it is inlined for certain.
macro_rules! four {
    ($i:ident => $each:expr) => {
        [
            {
                const $i: usize = 0;
                $each
            },
            {
                const $i: usize = 1;
                $each
            },
            {
                const $i: usize = 2;
                $each
            },
            {
                const $i: usize = 3;
                $each
            },
        ]
    };
}

mod dots;

/// NEON, which every AArch64 processor has; with dot products where `DOT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Neon<const DOT: bool>(());

impl Neon<false> {
    pub(super) fn new() -> Self {
        Neon(())
    }
}

impl Neon<true> {
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Neon(()))
    }

    /// Runs `f`, compiled with dot products as far as it is inlined.
    #[inline(always)]
    pub(super) fn run<R>(self, f: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "dotprod")]
        fn with<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        // SAFETY: `self` exists, so the processor has the instructions (`detect`).
        unsafe { with(f) }
    }
}

/// Eight halves as numbers, exactly.
#[inline(always)]
fn numbers(halves: uint8x16_t) -> [float32x4_t; 2] {
    let (low, high);
    // SAFETY: works on registers alone; the instructions are part of NEON. Signalling NaNs set a flag of FPSR.
    unsafe {
        asm!("fcvtl {0:v}.4s, {1:v}.4h", lateout(vreg) low, in(vreg) halves, options(pure, nomem, nostack));
        asm!("fcvtl2 {0:v}.4s, {1:v}.8h", lateout(vreg) high, in(vreg) halves, options(pure, nomem, nostack));
    }
    [low, high]
}

/// Sixteen halves as numbers, exactly.
#[inline(always)]
fn halves(first: uint8x16_t, last: uint8x16_t) -> [float32x4_t; 4] {
    let ([a, b], [c, d]) = (numbers(first), numbers(last));
    [a, b, c, d]
}

impl<const DOT: bool> Simd for Neon<DOT> {
    type F = [float32x4_t; 4];
    type I = [int32x4_t; 4];
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    fn prefetch(self, bytes: &[u8], at: usize) {
        let address = bytes.as_ptr().addr().wrapping_add(at);
        // SAFETY: a prefetch of any address does no harm.
        unsafe {
            asm!("prfm pldl1keep, [{}]", in(reg) address, options(nomem, nostack, preserves_flags));
        }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        intrinsics!([vdupq_n_f32(x); 4])
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8; 4 * LANES]) -> Self::F {
        intrinsics!(four!(I => vreinterpretq_f32_u8(dots::rows(x, I))))
    }

    #[inline(always)]
    fn load_halves(self, x: &[u16; LANES]) -> Self::F {
        intrinsics!({
            let x: *const u8 = x.as_ptr().cast();
            halves(vld1q_u8(x), vld1q_u8(x.add(16)))
        })
    }

    #[inline(always)]
    fn load_half_bytes(self, x: &[u8; 2 * LANES]) -> Self::F {
        intrinsics!({
            let x = x.as_ptr();
            halves(vld1q_u8(x), vld1q_u8(x.add(16)))
        })
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::F {
        intrinsics!({
            let x = x.as_ptr();
            four!(I => vld1q_f32(x.add(4 * I)))
        })
    }

    #[inline(always)]
    fn store(self, x: Self::F, out: &mut [f32; LANES]) {
        intrinsics!({
            let out = out.as_mut_ptr();
            four!(I => vst1q_f32(out.add(4 * I), x[I]));
        })
    }

    #[inline(always)]
    fn add(self, x: Self::F, y: Self::F) -> Self::F {
        intrinsics!(four!(I => vaddq_f32(x[I], y[I])))
    }

    #[inline(always)]
    fn mul(self, x: Self::F, y: Self::F) -> Self::F {
        intrinsics!(four!(I => vmulq_f32(x[I], y[I])))
    }

    #[inline(always)]
    fn div(self, x: Self::F, y: Self::F) -> Self::F {
        intrinsics!(four!(I => vdivq_f32(x[I], y[I])))
    }

    #[inline(always)]
    fn canonical(self, x: Self::F) -> Self::F {
        intrinsics!({
            // On the bits, as in `numeric::canonical`.
            let nan = vdupq_n_f32(f32::from_bits(CANONICAL_NAN));
            four!(I => {
                let size = vandq_u32(vreinterpretq_u32_f32(x[I]), vdupq_n_u32(0x7fff_ffff));
                vbslq_f32(vcgtq_u32(size, vdupq_n_u32(0x7f80_0000)), nan, x[I])
            })
        })
    }

    #[inline(always)]
    fn to_float(self, x: Self::I) -> Self::F {
        intrinsics!(four!(I => vcvtq_f32_s32(x[I])))
    }

    #[inline(always)]
    fn largest(self, x: &[f32; BLOCK_ELEMENTS]) -> u32 {
        intrinsics!({
            let mut largest = vdupq_n_u32(0);
            for i in 0..BLOCK_ELEMENTS / 4 {
                let x = vreinterpretq_u32_f32(vld1q_f32(x.as_ptr().add(4 * i)));
                largest = vmaxq_u32(largest, vandq_u32(x, vdupq_n_u32(0x7fff_ffff)));
            }
            vmaxvq_u32(largest)
        })
    }

    #[inline(always)]
    fn round(self, x: &[f32; BLOCK_ELEMENTS], factor: f32, out: &mut [i8; BLOCK_ELEMENTS]) {
        intrinsics!({
            let factor = vdupq_n_f32(factor);
            for i in [0, LANES] {
                let x = x.as_ptr().add(i);
                let q = four!(I => vmovn_s32(vcvtnq_s32_f32(vmulq_f32(vld1q_f32(x.add(4 * I)), factor))));
                let low = vmovn_s16(vcombine_s16(q[0], q[1]));
                let high = vmovn_s16(vcombine_s16(q[2], q[3]));
                vst1q_s8(out.as_mut_ptr().add(i), vcombine_s8(low, high));
            }
        })
    }

    #[inline(always)]
    fn dot_bytes<const M: usize, const N: usize>(
        self,
        w: [&[[u8; 4 * LANES]; 8]; M],
        x: &BlockOf<N>,
        _starts: &[i32; N],
    ) -> [[Self::I; N]; M] {
        if DOT {
            intrinsics!(dots::bytes(w, x))
        } else {
            dots::bytes_without(w, x)
        }
    }

    #[inline(always)]
    fn dot_nibbles<const M: usize, const N: usize>(
        self,
        w: [&[[u8; 4 * LANES]; 4]; M],
        x: &BlockOf<N>,
        starts: &[i32; N],
    ) -> [[Self::I; N]; M] {
        if DOT {
            intrinsics!(dots::nibbles(w, x, starts))
        } else {
            dots::nibbles_without(w, x, starts)
        }
    }
}
