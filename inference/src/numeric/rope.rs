//! Rotary position embedding: the table that is made at import, and the rotation (section 3, operation 6).

/// Row `position` of the table: `cos` and `sin` of `position * theta^(-2i / dims)` alternating, `dims` elements, in binary64 by the
/// pinned `libm` and rounded once to binary32.
pub fn rope_table(position: u32, dims: u32, theta: f32) -> Vec<f32> {
    let mut row = Vec::with_capacity(dims as usize);
    for i in 0..dims / 2 {
        let frequency = libm::pow(f64::from(theta), -2.0 * f64::from(i) / f64::from(dims));
        let angle = f64::from(position) * frequency;
        row.push(libm::cos(angle) as f32);
        row.push(libm::sin(angle) as f32);
    }
    row
}

/// Rotates the pair `(x0, x1)` by the angle with cosine `c` and sine `s`. The caller stores through [`super::canonical`].
#[inline(always)]
pub fn rope_pair(x0: f32, x1: f32, c: f32, s: f32) -> (f32, f32) {
    (x0 * c - x1 * s, x0 * s + x1 * c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_on_the_unit_circle() {
        assert_eq!(
            rope_table(0, 8, 10_000.0),
            [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
        );
        for position in [1u32, 77, 511, 131_071] {
            let row = rope_table(position, 48, 10_000.0);
            for (i, pair) in row.chunks(2).enumerate() {
                let angle = f64::from(position) * 10_000f64.powf(-(i as f64) / 24.0);
                assert!(
                    (f64::from(pair[0]) - angle.cos()).abs() < 1e-7
                        && (f64::from(pair[1]) - angle.sin()).abs() < 1e-7
                );
            }
        }
    }

    #[test]
    fn rotation_by_a_quarter() {
        assert_eq!(rope_pair(2.0, 3.0, 0.0, 1.0), (-3.0, 2.0));
        assert_eq!(rope_pair(2.0, 3.0, 1.0, 0.0), (2.0, 3.0));
    }
}
