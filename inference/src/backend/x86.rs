//! The sixteen lanes on x86-64: two AVX2 registers, or one AVX-512 register with VNNI.

use std::arch::x86_64::*;

use super::matmul::BlockOf;
use super::simd::{LANES, Simd};
use crate::numeric::constants::{BLOCK_ELEMENTS, CANONICAL_NAN};

/// Calls of intrinsics in the methods of the types below.
macro_rules! intrinsics {
    ($body:expr) => {
        // SAFETY: `self` exists, so the processor has the type's instructions (`detect`); loads and stores go through references
        // to arrays of exactly the register's size, without alignment; a prefetch of any address does no harm.
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
}

impl Simd for Avx2 {
    type F = [__m256; 2];
    type I = [__m256i; 2];
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    fn prefetch(self, bytes: &[u8], at: usize) {
        intrinsics!(_mm_prefetch::<_MM_HINT_T0>(
            bytes.as_ptr().wrapping_add(at).cast()
        ));
    }

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
    fn load(self, x: &[f32; LANES]) -> Self::F {
        intrinsics!([
            _mm256_loadu_ps(x.as_ptr()),
            _mm256_loadu_ps(x.as_ptr().add(8))
        ])
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
        intrinsics!([_mm256_add_ps(x[0], y[0]), _mm256_add_ps(x[1], y[1])])
    }

    #[inline(always)]
    fn mul(self, x: Self::F, y: Self::F) -> Self::F {
        intrinsics!([_mm256_mul_ps(x[0], y[0]), _mm256_mul_ps(x[1], y[1])])
    }

    #[inline(always)]
    fn div(self, x: Self::F, y: Self::F) -> Self::F {
        intrinsics!([_mm256_div_ps(x[0], y[0]), _mm256_div_ps(x[1], y[1])])
    }

    #[inline(always)]
    fn canonical(self, x: Self::F) -> Self::F {
        intrinsics!({
            let nan = _mm256_set1_ps(f32::from_bits(CANONICAL_NAN));
            [
                _mm256_blendv_ps(x[0], nan, _mm256_cmp_ps::<_CMP_UNORD_Q>(x[0], x[0])),
                _mm256_blendv_ps(x[1], nan, _mm256_cmp_ps::<_CMP_UNORD_Q>(x[1], x[1])),
            ]
        })
    }

    #[inline(always)]
    fn to_float(self, x: Self::I) -> Self::F {
        intrinsics!([_mm256_cvtepi32_ps(x[0]), _mm256_cvtepi32_ps(x[1])])
    }

    #[inline(always)]
    fn largest(self, x: &[f32; BLOCK_ELEMENTS]) -> u32 {
        intrinsics!({
            let x: *const __m256i = x.as_ptr().cast();
            let mask = _mm256_set1_epi32(i32::MAX);
            let mut largest = _mm256_setzero_si256();
            for i in 0..4 {
                let size = _mm256_and_si256(_mm256_loadu_si256(x.add(i)), mask);
                largest = _mm256_max_epi32(largest, size);
            }
            let half = _mm_max_epi32(
                _mm256_castsi256_si128(largest),
                _mm256_extracti128_si256::<1>(largest),
            );
            let pair = _mm_max_epi32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
            let one = _mm_max_epi32(pair, _mm_shuffle_epi32::<0b10_11_00_01>(pair));
            _mm_cvtsi128_si32(one) as u32
        })
    }

    #[inline(always)]
    fn round(self, x: &[f32; BLOCK_ELEMENTS], factor: f32, out: &mut [i8; BLOCK_ELEMENTS]) {
        intrinsics!({
            let factor = _mm256_set1_ps(factor);
            let mut q = [_mm256_setzero_si256(); 4];
            for i in 0..4 {
                let x = _mm256_loadu_ps(x.as_ptr().add(8 * i));
                q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(x, factor));
            }
            let bytes = _mm256_packs_epi16(
                _mm256_packs_epi32(q[0], q[1]),
                _mm256_packs_epi32(q[2], q[3]),
            );
            // Packing keeps to halves of registers: fours of elements come out as 0 2 4 6, 1 3 5 7.
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            let bytes = _mm256_permutevar8x32_epi32(bytes, order);
            _mm256_storeu_si256(out.as_mut_ptr().cast(), bytes);
        });
    }

    #[inline(always)]
    fn dot_bytes<const M: usize, const N: usize>(
        self,
        w: [&[[u8; 4 * LANES]; 8]; M],
        x: &BlockOf<N>,
        _starts: &[i32; N],
    ) -> [[Self::I; N]; M] {
        // |w| * (x with the sign of w): pair sums are at most 2 * 128 * 127 and fit 16 bits.
        intrinsics!({
            let ones = _mm256_set1_epi16(1);
            let flip = _mm256_set1_epi8(-128);
            by_halves(
                #[inline(always)]
                |m, half| {
                    let mut acc = [_mm256_setzero_si256(); N];
                    for k in 0..8 {
                        let bytes: *const __m256i = w[m][k].as_ptr().cast();
                        let w = _mm256_xor_si256(_mm256_loadu_si256(bytes.add(half)), flip);
                        let size = _mm256_abs_epi8(w);
                        for t in 0..N {
                            let x = _mm256_set1_epi32(int(x[k][t]));
                            let pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(x, w));
                            acc[t] = _mm256_add_epi32(acc[t], _mm256_madd_epi16(pairs, ones));
                        }
                    }
                    acc
                },
            )
        })
    }

    #[inline(always)]
    fn dot_nibbles<const M: usize, const N: usize>(
        self,
        w: [&[[u8; 4 * LANES]; 4]; M],
        x: &BlockOf<N>,
        starts: &[i32; N],
    ) -> [[Self::I; N]; M] {
        // Eight pair sums of at most 2 * 15 * 127 fit 16 bits.
        intrinsics!({
            let ones = _mm256_set1_epi16(1);
            let low = _mm256_set1_epi8(15);
            by_halves(
                #[inline(always)]
                |m, half| {
                    let mut acc = [_mm256_setzero_si256(); N];
                    for k in 0..4 {
                        let bytes: *const __m256i = w[m][k].as_ptr().cast();
                        let w = _mm256_loadu_si256(bytes.add(half));
                        let w_low = _mm256_and_si256(w, low);
                        let w_high = _mm256_and_si256(_mm256_srli_epi16::<4>(w), low);
                        for t in 0..N {
                            let x_low = _mm256_set1_epi32(int(x[k][t]));
                            let x_high = _mm256_set1_epi32(int(x[k + 4][t]));
                            let pairs = _mm256_add_epi16(
                                _mm256_maddubs_epi16(w_low, x_low),
                                _mm256_maddubs_epi16(w_high, x_high),
                            );
                            acc[t] = _mm256_add_epi16(acc[t], pairs);
                        }
                    }
                    for t in 0..N {
                        let sums = _mm256_madd_epi16(acc[t], ones);
                        acc[t] = _mm256_add_epi32(sums, _mm256_set1_epi32(starts[t]));
                    }
                    acc
                },
            )
        })
    }
}

/// The dot products of each group, half of its rows at a time, to spare registers.
#[inline(always)]
fn by_halves<const M: usize, const N: usize>(
    dots: impl Fn(usize, usize) -> [__m256i; N],
) -> [[[__m256i; 2]; N]; M] {
    // SAFETY: all bits of the type are valid.
    let mut out = [[[unsafe { std::mem::zeroed() }; 2]; N]; M];
    for half in 0..2 {
        for m in 0..M {
            let sums = dots(m, half);
            for t in 0..N {
                out[m][t][half] = sums[t];
            }
        }
    }
    out
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
    const MANY_REGISTERS: bool = true;

    #[inline(always)]
    fn prefetch(self, bytes: &[u8], at: usize) {
        intrinsics!(_mm_prefetch::<_MM_HINT_T0>(
            bytes.as_ptr().wrapping_add(at).cast()
        ));
    }

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
    fn load(self, x: &[f32; LANES]) -> Self::F {
        intrinsics!(_mm512_loadu_ps(x.as_ptr()))
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
    fn to_float(self, x: Self::I) -> Self::F {
        intrinsics!(_mm512_cvtepi32_ps(x))
    }

    #[inline(always)]
    fn largest(self, x: &[f32; BLOCK_ELEMENTS]) -> u32 {
        intrinsics!({
            let mask = _mm512_set1_epi32(i32::MAX);
            let low = _mm512_loadu_si512(x.as_ptr().cast());
            let high = _mm512_loadu_si512(x.as_ptr().add(LANES).cast());
            let largest =
                _mm512_max_epi32(_mm512_and_si512(low, mask), _mm512_and_si512(high, mask));
            _mm512_reduce_max_epi32(largest) as u32
        })
    }

    #[inline(always)]
    fn round(self, x: &[f32; BLOCK_ELEMENTS], factor: f32, out: &mut [i8; BLOCK_ELEMENTS]) {
        intrinsics!({
            let factor = _mm512_set1_ps(factor);
            for i in [0, LANES] {
                let x = _mm512_mul_ps(_mm512_loadu_ps(x.as_ptr().add(i)), factor);
                let bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x));
                _mm_storeu_si128(out.as_mut_ptr().add(i).cast(), bytes);
            }
        });
    }

    #[inline(always)]
    fn dot_bytes<const M: usize, const N: usize>(
        self,
        w: [&[[u8; 4 * LANES]; 8]; M],
        x: &BlockOf<N>,
        starts: &[i32; N],
    ) -> [[Self::I; N]; M] {
        intrinsics!({
            let mut acc = [[_mm512_setzero_si512(); N]; M];
            for t in 0..N {
                for m in 0..M {
                    acc[m][t] = _mm512_set1_epi32(starts[t]);
                }
            }
            for k in 0..8 {
                let mut bytes = [_mm512_setzero_si512(); M];
                for m in 0..M {
                    bytes[m] = _mm512_loadu_si512(w[m][k].as_ptr().cast());
                }
                for t in 0..N {
                    let x = _mm512_set1_epi32(int(x[k][t]));
                    for m in 0..M {
                        acc[m][t] = _mm512_dpbusd_epi32(acc[m][t], bytes[m], x);
                    }
                }
            }
            acc
        })
    }

    #[inline(always)]
    fn dot_nibbles<const M: usize, const N: usize>(
        self,
        w: [&[[u8; 4 * LANES]; 4]; M],
        x: &BlockOf<N>,
        starts: &[i32; N],
    ) -> [[Self::I; N]; M] {
        intrinsics!({
            let low = _mm512_set1_epi8(15);
            let mut acc = [[_mm512_setzero_si512(); N]; M];
            for t in 0..N {
                for m in 0..M {
                    acc[m][t] = _mm512_set1_epi32(starts[t]);
                }
            }
            for k in 0..4 {
                let mut w_low = [low; M];
                let mut w_high = [low; M];
                for m in 0..M {
                    let bytes = _mm512_loadu_si512(w[m][k].as_ptr().cast());
                    w_low[m] = _mm512_and_si512(bytes, low);
                    w_high[m] = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), low);
                }
                for t in 0..N {
                    let x_low = _mm512_set1_epi32(int(x[k][t]));
                    let x_high = _mm512_set1_epi32(int(x[k + 4][t]));
                    for m in 0..M {
                        let half = _mm512_dpbusd_epi32(acc[m][t], w_low[m], x_low);
                        acc[m][t] = _mm512_dpbusd_epi32(half, w_high[m], x_high);
                    }
                }
            }
            acc
        })
    }
}

/// Four activations as one lane.
#[inline(always)]
fn int(x: [i8; 4]) -> i32 {
    i32::from_le_bytes(x.map(|x| x as u8))
}
