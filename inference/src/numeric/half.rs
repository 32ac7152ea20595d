//! Conversions between binary16 and binary32 (section 1.7).

/// The exact value of a binary16; a NaN keeps its sign and payload.
#[inline(always)]
pub fn f16_to_f32(h: u16) -> f32 {
    let sign = u32::from(h & 0x8000) << 16;
    let exponent = u32::from(h >> 10) & 31;
    let fraction = u32::from(h & 0x3ff);
    match exponent {
        // Zero or subnormal: fraction * 2^-24, exact.
        0 => f32::from_bits(sign | (fraction as f32 * f32::from_bits(0x3380_0000)).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | (fraction << 13)),
        _ => f32::from_bits(sign | ((exponent + 112) << 23) | (fraction << 13)),
    }
}

/// Rounds to the nearest binary16, ties to even, after clamping to [-65504, 65504]; NaN gives `0x7e00`.
#[inline(always)]
pub fn f32_to_f16(x: f32) -> u16 {
    if x.is_nan() {
        return 0x7e00;
    }
    let sign = (x.to_bits() >> 16) as u16 & 0x8000;
    let magnitude = x.abs().min(65504.0);
    let bits = magnitude.to_bits();
    if bits < 0x3880_0000 {
        // Below 2^-14: adding 0.5 rounds to a multiple of 2^-24, which is the step of binary16's subnormals.
        return sign | ((magnitude + 0.5).to_bits() - 0x3f00_0000) as u16;
    }
    // Round the 13 bits that fall away to nearest even, then move the exponent's bias from 127 to 15.
    let rounded = bits + 0xfff + ((bits >> 13) & 1);
    sign | ((rounded - (112 << 23)) >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value by the definition of the format, in binary64.
    fn value(h: u16) -> f64 {
        let sign = if h & 0x8000 == 0 { 1.0 } else { -1.0 };
        let (exponent, fraction) = (i32::from((h >> 10) & 31), f64::from(h & 0x3ff));
        match exponent {
            0 => sign * fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => sign * f64::INFINITY,
            31 => f64::NAN,
            _ => sign * (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
        }
    }

    #[test]
    fn all_halves_are_exact_and_return() {
        for h in 0..=u16::MAX {
            let (x, exact) = (f16_to_f32(h), value(h));
            if exact.is_nan() {
                assert!(x.is_nan());
                assert_eq!(f32_to_f16(x), 0x7e00);
                continue;
            }
            assert_eq!(f64::from(x), exact);
            assert_eq!(x.is_sign_negative(), h & 0x8000 != 0);
            if exact.is_finite() {
                assert_eq!(f32_to_f16(x), h);
            } else {
                assert_eq!(f32_to_f16(x), (h & 0x8000) | 0x7bff, "clamped");
            }
        }
    }

    #[test]
    fn rounds_to_nearest_even() {
        for h in 0..0x7bffu16 {
            let (low, high) = (value(h), value(h + 1));
            let middle = (low + high) / 2.0;
            let even = if h & 1 == 0 { h } else { h + 1 };
            let bits = (middle as f32).to_bits();
            assert_eq!(f64::from(f32::from_bits(bits)), middle);
            for sign in [0u16, 0x8000] {
                let flip = u32::from(sign) << 16;
                assert_eq!(f32_to_f16(f32::from_bits(bits | flip)), even | sign);
                assert_eq!(f32_to_f16(f32::from_bits((bits - 1) | flip)), h | sign);
                assert_eq!(
                    f32_to_f16(f32::from_bits((bits + 1) | flip)),
                    (h + 1) | sign
                );
            }
        }
        for (x, h) in [
            (65520.0, 0x7bff),
            (1e30, 0x7bff),
            (f32::NEG_INFINITY, 0xfbff),
            (1e-45, 0),
            (-1e-45, 0x8000),
        ] {
            assert_eq!(f32_to_f16(x), h);
        }
    }
}
