//! The sixteen lanes on AArch64: four NEON registers.
//!
//! Dot products of bytes are an extension (FEAT_DotProd), so there are two sets. Instructions whose intrinsics are not stable are written out.

use std::arch::aarch64::*;
use std::arch::asm;
use std::array::from_fn;

use super::matmul::BlockOf;
use super::simd::{LANES, Simd};
use crate::numeric::constants::{BLOCK_ELEMENTS, CANONICAL_NAN};

/// Calls of intrinsics.
macro_rules! intrinsics {
    ($body:expr) => {
        // SAFETY: NEON is part of AArch64, and where `DOT` the processor has dot products (`detect`); loads and stores go through references
        // to arrays of exactly the register's size, without alignment.
        unsafe { $body }
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
        let address = bytes.as_ptr().wrapping_add(at);
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
        intrinsics!(from_fn(|i| vreinterpretq_f32_u8(dots::rows(x, i))))
    }

    #[inline(always)]
    fn load_halves(self, x: &[u16; LANES]) -> Self::F {
        intrinsics!({
            let (x, _) = x.as_chunks::<8>();
            let [low, high] = [vld1q_u16(x[0].as_ptr()), vld1q_u16(x[1].as_ptr())];
            halves(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high))
        })
    }

    #[inline(always)]
    fn load_half_bytes(self, x: &[u8; 2 * LANES]) -> Self::F {
        intrinsics!({
            let (x, _) = x.as_chunks::<16>();
            let [low, high] = [vld1q_u8(x[0].as_ptr()), vld1q_u8(x[1].as_ptr())];
            halves(low, high)
        })
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::F {
        intrinsics!({
            let (x, _) = x.as_chunks::<4>();
            from_fn(|i| vld1q_f32(x[i].as_ptr()))
        })
    }

    #[inline(always)]
    fn store(self, x: Self::F, out: &mut [f32; LANES]) {
        intrinsics!({
            let (out, _) = out.as_chunks_mut::<4>();
            for (x, out) in x.into_iter().zip(out) {
                vst1q_f32(out.as_mut_ptr(), x);
            }
        })
    }

    #[inline(always)]
    fn add(self, x: Self::F, y: Self::F) -> Self::F {
        intrinsics!(from_fn(|i| vaddq_f32(x[i], y[i])))
    }

    #[inline(always)]
    fn mul(self, x: Self::F, y: Self::F) -> Self::F {
        intrinsics!(from_fn(|i| vmulq_f32(x[i], y[i])))
    }

    #[inline(always)]
    fn div(self, x: Self::F, y: Self::F) -> Self::F {
        intrinsics!(from_fn(|i| vdivq_f32(x[i], y[i])))
    }

    #[inline(always)]
    fn canonical(self, x: Self::F) -> Self::F {
        intrinsics!({
            // On the bits, as in `numeric::canonical`.
            let nan = vdupq_n_f32(f32::from_bits(CANONICAL_NAN));
            x.map(|x| {
                let size = vandq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(0x7fff_ffff));
                vbslq_f32(vcgtq_u32(size, vdupq_n_u32(0x7f80_0000)), nan, x)
            })
        })
    }

    #[inline(always)]
    fn to_float(self, x: Self::I) -> Self::F {
        intrinsics!(x.map(|x| vcvtq_f32_s32(x)))
    }

    #[inline(always)]
    fn largest(self, x: &[f32; BLOCK_ELEMENTS]) -> u32 {
        intrinsics!({
            let (x, _) = x.as_chunks::<LANES>();
            let (low, high) = (self.load(&x[0]), self.load(&x[1]));
            let mut largest = vdupq_n_u32(0);
            for x in low.into_iter().chain(high) {
                let size = vandq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(0x7fff_ffff));
                largest = vmaxq_u32(largest, size);
            }
            vmaxvq_u32(largest)
        })
    }

    #[inline(always)]
    fn round(self, x: &[f32; BLOCK_ELEMENTS], factor: f32, out: &mut [i8; BLOCK_ELEMENTS]) {
        intrinsics!({
            let factor = vdupq_n_f32(factor);
            let (x, _) = x.as_chunks::<LANES>();
            let (out, _) = out.as_chunks_mut::<LANES>();
            for (x, out) in x.iter().zip(out) {
                let q = self
                    .load(x)
                    .map(|x| vmovn_s32(vcvtnq_s32_f32(vmulq_f32(x, factor))));
                let low = vmovn_s16(vcombine_s16(q[0], q[1]));
                let high = vmovn_s16(vcombine_s16(q[2], q[3]));
                vst1q_s8(out.as_mut_ptr(), vcombine_s8(low, high));
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
            w.map(|w| dots::bytes_without(w, x))
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
            w.map(|w| dots::nibbles_without(w, x, starts))
        }
    }
}
