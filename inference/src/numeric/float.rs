//! Order, canonical NaN, exp and silu of binary32.

use super::constants::{
    CANONICAL_NAN, EXP_C2, EXP_C3, EXP_C4, EXP_C5, EXP_C6, EXP_LN2_LO_NEG, EXP_LOG2E, EXP_MIN,
    EXP_NEG_LN2_HI, INFINITY,
};

/// What an operation stores for `x`: every NaN becomes the canonical one (section 1.2).
#[inline(always)]
pub fn canonical(x: f32) -> f32 {
    // On the bits: compilers may choose a NaN's payload themselves, and then drop a test of the float.
    if x.to_bits() & 0x7fff_ffff > INFINITY {
        f32::from_bits(CANONICAL_NAN)
    } else {
        x
    }
}

/// The order of floats as integers, -0 below +0 (section 1.3).
#[inline(always)]
pub fn key(x: f32) -> i32 {
    let bits = x.to_bits() as i32;
    bits ^ ((bits >> 31) & 0x7fff_ffff)
}

/// [`key`], with every NaN above everything: the order of a softmax maximum.
#[inline(always)]
pub fn softmax_key(x: f32) -> i32 {
    if x.is_nan() { i32::MAX } else { key(x) }
}

/// [`key`], with every NaN below everything: the order in selection.
#[inline(always)]
pub fn selection_key(x: f32) -> i32 {
    if x.is_nan() { i32::MIN } else { key(x) }
}

/// e to the power `x` for `x <= 0`; NaN for NaN and for `x > 0`, +0 below -87 (section 1.5). Never above 1.
#[inline]
pub fn exp(x: f32) -> f32 {
    if x.is_nan() || x > 0.0 {
        return f32::from_bits(CANONICAL_NAN);
    }
    if x < f32::from_bits(EXP_MIN) {
        return 0.0;
    }
    let n = (x * f32::from_bits(EXP_LOG2E)).round_ties_even() as i32;
    let q =
        (x + n as f32 * f32::from_bits(EXP_NEG_LN2_HI)) + n as f32 * f32::from_bits(EXP_LN2_LO_NEG);
    let mut p = f32::from_bits(EXP_C6);
    for c in [EXP_C5, EXP_C4, EXP_C3, EXP_C2] {
        p = p * q + f32::from_bits(c);
    }
    p = p * q + 1.0;
    p = p * q + 1.0;
    // p lies in [0.7, 1.42) and n in -126..=0, and p >= 1 where n = -126: the exponent stays in range.
    f32::from_bits((p.to_bits() as i32 + (n << 23)) as u32)
}

/// `x * sigmoid(x)` (section 1.6).
#[inline]
pub fn silu(x: f32) -> f32 {
    let e = exp(-x.abs());
    let numerator = if x.is_sign_negative() { x * e } else { x };
    canonical(numerator / (1.0 + e))
}

/// The statistic of RMSNorm from a sum of squares: `1 / sqrt(sum / f32(n) + eps)` (section 3, operation 2).
#[inline]
pub fn inverse_root(sum_of_squares: f32, n: u32, eps: f32) -> f32 {
    canonical(1.0 / (sum_of_squares / n as f32 + eps).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_and_never_above_one() {
        // Every 61st bit pattern of [-87, -0], against binary64.
        let mut worst = 0.0f64;
        for bits in (0x8000_0000..=EXP_MIN).step_by(61) {
            let x = f32::from_bits(bits);
            let y = exp(x);
            let exact = f64::from(x).exp();
            let ulp =
                f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            worst = worst.max((f64::from(y) - exact).abs() / ulp);
            assert!((f32::MIN_POSITIVE..=1.0).contains(&y), "exp({x:e}) = {y:e}");
        }
        assert!(worst < 3.0, "worst error {worst} ulp");
    }

    #[test]
    fn exp_at_its_borders() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(f32::from_bits(0x8000_0001)), 1.0);
        assert!(exp(f32::from_bits(EXP_MIN)) > 0.0);
        assert_eq!(exp(f32::from_bits(EXP_MIN + 1)).to_bits(), 0);
        assert_eq!(exp(f32::NEG_INFINITY).to_bits(), 0);
        for x in [f32::from_bits(1), 1.0, f32::INFINITY, f32::NAN, -f32::NAN] {
            assert_eq!(exp(x).to_bits(), CANONICAL_NAN);
        }
    }

    #[test]
    fn order_of_keys() {
        let rising = [
            f32::NEG_INFINITY,
            f32::MIN,
            -1.0,
            -1e-45,
            -0.0,
            0.0,
            1e-45,
            1.0,
            f32::MAX,
            f32::INFINITY,
        ];
        for pair in rising.windows(2) {
            assert!(key(pair[0]) < key(pair[1]));
        }
        for nan in [f32::NAN, -f32::NAN] {
            assert!(softmax_key(nan) > key(f32::INFINITY));
            assert!(selection_key(nan) < key(f32::NEG_INFINITY));
        }
    }

    #[test]
    fn silu_is_accurate() {
        for bits in (0..=u32::MAX).step_by(9973) {
            let x = f32::from_bits(bits);
            let y = silu(x);
            if x.is_nan() {
                assert_eq!(y.to_bits(), CANONICAL_NAN);
            } else if x == f32::NEG_INFINITY {
                assert!(y.is_nan(), "-inf * +0");
            } else if x < -87.0 {
                assert_eq!(y.to_bits(), 0x8000_0000);
            } else {
                let exact = f64::from(x) / (1.0 + (-f64::from(x)).exp());
                assert!(
                    (f64::from(y) - exact).abs() <= exact.abs() * 4e-7 + 1e-45,
                    "silu({x:e}) = {y:e}, exact {exact:e}"
                );
            }
        }
    }
}
