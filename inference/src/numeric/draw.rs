//! The integers of selection: a token's mass and the draw (section 4).

use sha2::{Digest, Sha256};

use super::constants::TAG_DRAW;
use super::float::exp;

/// Mass of the token with logit `logit` when the best has `best` (finite): `floor(exp((logit - best) / (f32(temp) / 1000)) * 2^30)`.
/// 0 for a NaN; at most 2^30.
#[inline]
pub fn mass(logit: f32, best: f32, temperature_milli: u32) -> u32 {
    let e = exp((logit - best) / (temperature_milli as f32 / 1000.0));
    // exp is at most 1 and 2^30 is a power of two: exact. The cast truncates and turns NaN into 0.
    (e * 1_073_741_824.0) as u32
}

/// 64 uniform bits for the token at index `position` of run `run`: the first 8 bytes, big-endian, of
/// `record("sworn/draw/1", seed, run, position)` (sections 4.5 and 6).
pub fn draw(seed: &[u8; 32], run: u32, position: u32) -> u64 {
    let mut words = [[0u8; 32]; 4];
    words[0][..TAG_DRAW.len()].copy_from_slice(TAG_DRAW.as_bytes());
    words[1] = *seed;
    words[2][28..].copy_from_slice(&run.to_be_bytes());
    words[3][28..].copy_from_slice(&position.to_be_bytes());
    let digest = Sha256::digest(words.as_flattened());
    digest[..8]
        .iter()
        .fold(0, |h, &byte| h << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draw_vector() {
        // printf of the 128 bytes | sha256sum, by hand.
        assert_eq!(draw(&[0; 32], 0, 0), DRAW_ZERO);
        assert_ne!(draw(&[0; 32], 1, 0), draw(&[0; 32], 0, 1));
    }
    const DRAW_ZERO: u64 = 0xe18d_3543_abc9_71cc;

    #[test]
    fn masses() {
        assert_eq!(mass(3.5, 3.5, 800), 1 << 30);
        assert_eq!(mass(f32::NAN, 3.5, 800), 0);
        assert_eq!(mass(f32::NEG_INFINITY, 3.5, 800), 0);
        let exact = f64::exp(-1.0) * f64::from(1 << 30);
        assert!((f64::from(mass(2.5, 3.5, 1000)) - exact).abs() < 100.0);
        // 2^-30 of the best is the last mass above zero.
        assert_eq!(mass(-20.79, 0.0, 1000), 1);
        assert_eq!(mass(-20.8, 0.0, 1000), 0);
    }
}
