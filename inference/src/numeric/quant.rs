//! Blocks of 32 small integers with one scale (sections 1.8 and 2).

use super::constants::{BLOCK_ELEMENTS, CANONICAL_NAN};

/// Scale and integers of a block of 32 activations (section 1.8). The integers lie in -127..=127.
pub fn quantise_block(x: &[f32; BLOCK_ELEMENTS]) -> (f32, [i8; BLOCK_ELEMENTS]) {
    let largest = x
        .iter()
        .map(|v| v.to_bits() & 0x7fff_ffff)
        .max()
        .unwrap_or(0);
    if largest < 0x0400_0000 {
        return (0.0, [0; BLOCK_ELEMENTS]);
    }
    if largest >= 0x7f80_0000 {
        return (f32::from_bits(CANONICAL_NAN), [0; BLOCK_ELEMENTS]);
    }
    let d = f32::from_bits(largest) / 127.0;
    let i = 1.0 / d;
    (d, x.map(|v| (v * i).round_ties_even() as i8))
}

/// The exact integer dot product of two blocks; at most 32 * 127 * 127 in absolute value.
pub fn block_dot(w: &[i8; BLOCK_ELEMENTS], x: &[i8; BLOCK_ELEMENTS]) -> i32 {
    w.iter()
        .zip(x)
        .map(|(&w, &x)| i32::from(w) * i32::from(x))
        .sum()
}

/// What a block adds to its tile: `(d_w * d_x) * f32(s)`, two roundings (section 3, matmul).
#[inline(always)]
pub fn block_value(d_w: f32, d_x: f32, s: i32) -> f32 {
    (d_w * d_x) * s as f32
}

/// The value of a weight byte in Q8_0 and Q8F: `0x80` reads as -127.
#[inline(always)]
pub fn clamp_weight(q: i8) -> i8 {
    q.max(-127)
}

/// The 32 integers of a Q4_0 block: byte j holds element j in its low and element j + 16 in its high nibble, less 8.
pub fn nibbles(bytes: &[u8; BLOCK_ELEMENTS / 2]) -> [i8; BLOCK_ELEMENTS] {
    std::array::from_fn(|e| {
        let nibble = if e < 16 {
            bytes[e] & 15
        } else {
            bytes[e - 16] >> 4
        };
        nibble as i8 - 8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn borders_of_quantise() {
        let mut x = [0.0f32; 32];
        assert_eq!(quantise_block(&x), (0.0, [0; 32]));
        x[3] = f32::from_bits(0x03ff_ffff);
        assert_eq!(quantise_block(&x), (0.0, [0; 32]));
        x[3] = -f32::from_bits(0x0400_0000);
        let (d, q) = quantise_block(&x);
        assert!(d > 0.0 && q[3] == -127);
        for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN] {
            x[3] = bad;
            let (d, q) = quantise_block(&x);
            assert_eq!((d.to_bits(), q), (CANONICAL_NAN, [0; 32]));
        }
        x[3] = f32::MAX;
        assert_eq!(quantise_block(&x).1[3], 127);
    }

    #[test]
    fn the_largest_value_is_always_127() {
        // Section 1.8 promises -127..=127: the largest value's product is within an ulp of 127 for every exponent.
        for exponent in 8..255u32 {
            for fraction in (0..1 << 23).step_by(1009) {
                let a = f32::from_bits(exponent << 23 | fraction);
                let product = a * (1.0 / (a / 127.0));
                assert!(
                    (126.5..=127.000_01).contains(&product),
                    "{a:e} gives {product}"
                );
            }
        }
    }

    #[test]
    fn nibbles_of_a_block() {
        let q = nibbles(&std::array::from_fn(|j| (j as u8) | ((15 - j as u8) << 4)));
        for j in 0..16 {
            assert_eq!((q[j], q[j + 16]), (j as i8 - 8, 7 - j as i8));
        }
        assert_eq!(
            (clamp_weight(-128), clamp_weight(-127), clamp_weight(127)),
            (-127, -127, 127)
        );
    }

    proptest! {
        #[test]
        fn quantised_values_are_near(x in proptest::array::uniform32(-1e4f32..1e4)) {
            let (d, q) = quantise_block(&x);
            for (v, q) in x.iter().zip(q) {
                prop_assert!((-127..=127).contains(&q));
                prop_assert!((f64::from(*v) - f64::from(d) * f64::from(q)).abs() <= f64::from(d) * 0.5001);
            }
        }

        #[test]
        fn any_bits_quantise(bits in proptest::array::uniform32(any::<u32>())) {
            let (_, q) = quantise_block(&bits.map(f32::from_bits));
            prop_assert!(q.iter().all(|q| *q != -128));
        }

        #[test]
        fn dot_is_exact(w in proptest::array::uniform32(-127i8..=127), x in proptest::array::uniform32(-127i8..=127)) {
            let exact: i64 = (0..32).map(|i| i64::from(w[i]) * i64::from(x[i])).sum();
            prop_assert_eq!(i64::from(block_dot(&w, &x)), exact);
        }
    }
}
