//! Digests and addresses: byte strings of fixed length that print as hexadecimal.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::Error;

/// A SHA-256 digest, or another 32-byte word of the chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

/// An account or contract of the chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(pub [u8; 20]);

impl Digest {
    /// 32 zero bytes: the empty digest of level 0.
    pub const ZERO: Digest = Digest([0; 32]);

    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The digest of an inner node.
    #[must_use]
    pub fn of_pair(left: Digest, right: Digest) -> Digest {
        let mut hasher = Sha256::new();
        hasher.update(left.0);
        hasher.update(right.0);
        Digest(hasher.finalize().into())
    }
}

macro_rules! hexadecimal {
    ($name:ident, $what:literal, $bytes:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                parse(text).map($name).ok_or_else(|| Error::BadHex {
                    what: $what,
                    found: text.to_owned(),
                    digits: 2 * $bytes,
                })
            }
        }

        impl From<[u8; $bytes]> for $name {
            fn from(bytes: [u8; $bytes]) -> Self {
                $name(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
    };
}

hexadecimal!(Digest, "digest", 32);
hexadecimal!(Address, "address", 20);

/// `N` bytes from exactly `2 N` digits.
fn parse<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(16 * high + low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_empty_string_has_its_known_digest() {
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b""), expected.parse().unwrap());
        assert_eq!(Digest::of(b"").to_string(), format!("0x{expected}"));
    }

    #[test]
    fn a_pair_is_its_concatenation() {
        let (left, right) = (Digest::of(b"l"), Digest::of(b"r"));
        assert_eq!(
            Digest::of_pair(left, right),
            Digest::of(&[left.0, right.0].concat())
        );
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: [u8; 32], account: [u8; 20]) {
            prop_assert_eq!(Digest(bytes).to_string().parse(), Ok(Digest(bytes)));
            prop_assert_eq!(Digest(bytes).to_string()[2..].to_uppercase().parse(), Ok(Digest(bytes)));
            prop_assert_eq!(Address(account).to_string().parse(), Ok(Address(account)));
        }

        #[test]
        fn other_text_is_refused(text in ".{0,70}") {
            let digits = text.strip_prefix("0x").unwrap_or(&text);
            let good = digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            prop_assert_eq!(text.parse::<Digest>().is_ok(), good);
        }
    }
}
