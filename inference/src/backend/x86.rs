//! The sixteen lanes on x86-64: two AVX2 registers, or one AVX-512 register with VNNI.

use std::arch::x86_64::*;

use super::simd::{LANES, Simd};
use crate::numeric::constants::CANONICAL_NAN;

/// Calls of intrinsics in the methods of the types below.
macro_rules! intrinsics {
    ($body:expr) => {
        // SAFETY: `self` exists, so the processor has the type's instructions (`detect`); loads and stores go through references
        // to arrays of exactly the register's size, without alignment.
        unsafe { $body }
    };
}

/// AVX2 with F16C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c")).then_some(Avx2(()))
    }

    /// Runs `f`, compiled with these instructions as far as it is inlined.
    #[inline(always)]
    pub(super) fn run<R>(self, f: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,f16c")]
        fn with<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        intrinsics!(with(f))
    }

    #[inline(always)]
    fn both<A: Copy, R>(self, x: [A; 2], f: impl Fn(A) -> R) -> [R; 2] {
        [f(x[0]), f(x[1])]
    }

    #[inline(always)]
    fn pair<A: Copy, R>(self, x: [A; 2], y: [A; 2], f: impl Fn(A, A) -> R) -> [R; 2] {
        [f(x[0], y[0]), f(x[1], y[1])]
    }
}

impl Simd for Avx2 {
    type F = [__m256; 2];
    type I = [__m256i; 2];
    type B = [__m256i; 2];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        intrinsics!([_mm256_set1_ps(x); 2])
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8; 4 * LANES]) -> Self::F {
        intrinsics!([
            _mm256_loadu_ps(x.as_ptr().cast()),
            _mm256_loadu_ps(x.as_ptr().add(32).cast())
        ])
    }

    #[inline(always)]
    fn load_halves(self, x: &[u16; LANES]) -> Self::F {
        intrinsics!({
            let x: *const __m128i = x.as_ptr().cast();
            [
                _mm256_cvtph_ps(_mm_loadu_si128(x)),
                _mm256_cvtph_ps(_mm_loadu_si128(x.add(1))),
            ]
        })
    }

    #[inline(always)]
    fn load_half_bytes(self, x: &[u8; 2 * LANES]) -> Self::F {
        intrinsics!({
            let x: *const __m128i = x.as_ptr().cast();
            [
                _mm256_cvtph_ps(_mm_loadu_si128(x)),
                _mm256_cvtph_ps(_mm_loadu_si128(x.add(1))),
            ]
        })
    }

    #[inline(always)]
    fn store(self, x: Self::F, out: &mut [f32; LANES]) {
        intrinsics!({
            _mm256_storeu_ps(out.as_mut_ptr(), x[0]);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), x[1]);
        });
    }

    #[inline(always)]
    fn add(self, x: Self::F, y: Self::F) -> Self::F {
        self.pair(x, y, |x, y| intrinsics!(_mm256_add_ps(x, y)))
    }

    #[inline(always)]
    fn mul(self, x: Self::F, y: Self::F) -> Self::F {
        self.pair(x, y, |x, y| intrinsics!(_mm256_mul_ps(x, y)))
    }

    #[inline(always)]
    fn div(self, x: Self::F, y: Self::F) -> Self::F {
        self.pair(x, y, |x, y| intrinsics!(_mm256_div_ps(x, y)))
    }

    #[inline(always)]
    fn canonical(self, x: Self::F) -> Self::F {
        self.both(x, |x| {
            intrinsics!({
                let nan = _mm256_set1_ps(f32::from_bits(CANONICAL_NAN));
                _mm256_blendv_ps(x, nan, _mm256_cmp_ps::<_CMP_UNORD_Q>(x, x))
            })
        })
    }

    #[inline(always)]
    fn splat_int(self, x: i32) -> Self::I {
        intrinsics!([_mm256_set1_epi32(x); 2])
    }

    #[inline(always)]
    fn to_float(self, x: Self::I) -> Self::F {
        self.both(x, |x| intrinsics!(_mm256_cvtepi32_ps(x)))
    }

    #[inline(always)]
    fn bytes(self, x: &[u8; 4 * LANES]) -> Self::B {
        intrinsics!({
            let x: *const __m256i = x.as_ptr().cast();
            [_mm256_loadu_si256(x), _mm256_loadu_si256(x.add(1))]
        })
    }

    #[inline(always)]
    fn low(self, x: Self::B) -> Self::B {
        self.both(x, |x| {
            intrinsics!(_mm256_and_si256(x, _mm256_set1_epi8(15)))
        })
    }

    #[inline(always)]
    fn high(self, x: Self::B) -> Self::B {
        self.both(x, |x| {
            intrinsics!(_mm256_and_si256(
                _mm256_srli_epi16::<4>(x),
                _mm256_set1_epi8(15)
            ))
        })
    }

    #[inline(always)]
    fn dot(self, acc: Self::I, bytes: Self::B, x: [i8; 4]) -> Self::I {
        // Even and odd bytes as 16-bit lanes: products of 255 * 127 and their pair sums fit 32 bits, where maddubs would saturate.
        intrinsics!({
            let x = _mm256_set1_epi32(i32::from_le_bytes(x.map(|x| x as u8)));
            let (even_x, odd_x) = (
                _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(x)),
                _mm256_srai_epi16::<8>(x),
            );
            self.pair(acc, bytes, |acc, bytes| {
                let even = _mm256_and_si256(bytes, _mm256_set1_epi16(255));
                let odd = _mm256_srli_epi16::<8>(bytes);
                _mm256_add_epi32(
                    acc,
                    _mm256_add_epi32(
                        _mm256_madd_epi16(even, even_x),
                        _mm256_madd_epi16(odd, odd_x),
                    ),
                )
            })
        })
    }
}

/// AVX-512 F, BW, DQ, VL and VNNI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Avx512> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && Avx2::detect().is_some();
        all.then_some(Avx512(()))
    }

    /// Runs `f`, compiled with these instructions as far as it is inlined.
    #[inline(always)]
    pub(super) fn run<R>(self, f: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        fn with<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        intrinsics!(with(f))
    }
}

impl Simd for Avx512 {
    type F = __m512;
    type I = __m512i;
    type B = __m512i;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        intrinsics!(_mm512_set1_ps(x))
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8; 4 * LANES]) -> Self::F {
        intrinsics!(_mm512_loadu_ps(x.as_ptr().cast()))
    }

    #[inline(always)]
    fn load_halves(self, x: &[u16; LANES]) -> Self::F {
        intrinsics!(_mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())))
    }

    #[inline(always)]
    fn load_half_bytes(self, x: &[u8; 2 * LANES]) -> Self::F {
        intrinsics!(_mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())))
    }

    #[inline(always)]
    fn store(self, x: Self::F, out: &mut [f32; LANES]) {
        intrinsics!(_mm512_storeu_ps(out.as_mut_ptr(), x));
    }

    #[inline(always)]
    fn add(self, x: Self::F, y: Self::F) -> Self::F {
        intrinsics!(_mm512_add_ps(x, y))
    }

    #[inline(always)]
    fn mul(self, x: Self::F, y: Self::F) -> Self::F {
        intrinsics!(_mm512_mul_ps(x, y))
    }

    #[inline(always)]
    fn div(self, x: Self::F, y: Self::F) -> Self::F {
        intrinsics!(_mm512_div_ps(x, y))
    }

    #[inline(always)]
    fn canonical(self, x: Self::F) -> Self::F {
        intrinsics!({
            let nan = _mm512_set1_ps(f32::from_bits(CANONICAL_NAN));
            _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x), nan)
        })
    }

    #[inline(always)]
    fn splat_int(self, x: i32) -> Self::I {
        intrinsics!(_mm512_set1_epi32(x))
    }

    #[inline(always)]
    fn to_float(self, x: Self::I) -> Self::F {
        intrinsics!(_mm512_cvtepi32_ps(x))
    }

    #[inline(always)]
    fn bytes(self, x: &[u8; 4 * LANES]) -> Self::B {
        intrinsics!(_mm512_loadu_si512(x.as_ptr().cast()))
    }

    #[inline(always)]
    fn low(self, x: Self::B) -> Self::B {
        intrinsics!(_mm512_and_si512(x, _mm512_set1_epi8(15)))
    }

    #[inline(always)]
    fn high(self, x: Self::B) -> Self::B {
        intrinsics!(_mm512_and_si512(
            _mm512_srli_epi16::<4>(x),
            _mm512_set1_epi8(15)
        ))
    }

    #[inline(always)]
    fn dot(self, acc: Self::I, bytes: Self::B, x: [i8; 4]) -> Self::I {
        intrinsics!(_mm512_dpbusd_epi32(
            acc,
            bytes,
            _mm512_set1_epi32(i32::from_le_bytes(x.map(|x| x as u8)))
        ))
    }
}
