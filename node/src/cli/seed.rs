//! Seeds on the command line.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A number (big-endian in 32 bytes) or 64 hexadecimal digits with or without 0x.
pub(crate) fn parse(text: &str) -> Result<[u8; 32], String> {
    let mut seed = [0; 32];
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        for (byte, pair) in seed.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|error| error.to_string())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|error| error.to_string())?;
        }
        return Ok(seed);
    }
    let number: u128 = text.parse().map_err(|_| {
        format!("found `{text}`, expected a number below 2^128 or 64 hexadecimal digits")
    })?;
    seed[16..].copy_from_slice(&number.to_be_bytes());
    Ok(seed)
}

/// A seed that nobody chose. It only has to differ from run to run, so the randomness of the standard library's hash keys will do.
pub(crate) fn fresh() -> [u8; 32] {
    let mut seed = [0; 32];
    for word in seed.chunks_exact_mut(8) {
        word.copy_from_slice(&RandomState::new().build_hasher().finish().to_be_bytes());
    }
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_numbers_or_digests() {
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(parse("1"), Ok(one));
        assert_eq!(parse(&format!("0x{}01", "00".repeat(31))), Ok(one));
        assert_eq!(parse(&"ab".repeat(32)), Ok([0xab; 32]));
        assert!(parse("x").is_err() && parse("0xab").is_err() && parse("-1").is_err());
        assert_ne!(fresh(), fresh());
    }
}
