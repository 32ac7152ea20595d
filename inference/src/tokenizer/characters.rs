//! Splits bytes into characters: a well-formed UTF-8 sequence is one, any other byte is one of its own.

/// A character: its code point, or `ILL_FORMED + byte`.
pub(super) type Character = u32;

/// Keys of bytes that belong to no well-formed sequence start here, above every code point.
const ILL_FORMED: Character = 0x11_0000;

/// The character at the start of `bytes` and its length, or nothing at the end.
pub(super) fn first(bytes: &[u8]) -> Option<(Character, usize)> {
    let continuation = |byte: u8| (byte & 0xc0 == 0x80).then_some(u32::from(byte & 0x3f));
    let lead = u32::from(*bytes.first()?);
    let decoded = match *bytes {
        [0..=0x7f, ..] => Some((lead, 1)),
        [0xc2..=0xdf, b, ..] => continuation(b).map(|b| ((lead & 0x1f) << 6 | b, 2)),
        [0xe0..=0xef, b, c, ..] => continuation(b).zip(continuation(c)).and_then(|(b, c)| {
            let code = (lead & 0x0f) << 12 | b << 6 | c;
            (code >= 0x800 && !(0xd800..=0xdfff).contains(&code)).then_some((code, 3))
        }),
        [0xf0..=0xf4, b, c, d, ..] => continuation(b)
            .zip(continuation(c))
            .zip(continuation(d))
            .and_then(|((b, c), d)| {
                let code = (lead & 0x07) << 18 | b << 12 | c << 6 | d;
                (0x1_0000..=0x10_ffff).contains(&code).then_some((code, 4))
            }),
        _ => None,
    };
    Some(decoded.unwrap_or((ILL_FORMED + lead, 1)))
}

/// The characters of `bytes`, each with its bytes.
pub(super) fn split(mut bytes: &[u8]) -> impl Iterator<Item = (Character, &[u8])> {
    std::iter::from_fn(move || {
        let (character, length) = first(bytes)?;
        let (head, rest) = bytes.split_at(length);
        bytes = rest;
        Some((character, head))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by the standard library.
    fn naive(bytes: &[u8]) -> Vec<(Character, Vec<u8>)> {
        let mut out = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let found = (1..=4).find_map(|length| {
                let text = std::str::from_utf8(bytes.get(at..at + length)?).ok()?;
                Some((u32::from(text.chars().next()?), length))
            });
            let (character, length) = found.unwrap_or((ILL_FORMED + u32::from(bytes[at]), 1));
            out.push((character, bytes[at..at + length].to_vec()));
            at += length;
        }
        out
    }

    fn fast(bytes: &[u8]) -> Vec<(Character, Vec<u8>)> {
        split(bytes)
            .map(|(character, bytes)| (character, bytes.to_vec()))
            .collect()
    }

    #[test]
    fn every_sequence_of_three_bytes_that_starts_high() {
        for lead in 0xc0..=0xff_u8 {
            for b in 0..=255_u8 {
                for c in [0, 0x41, 0x7f, 0x80, 0xa0, 0xbf, 0xc0, 0xff] {
                    let bytes = [lead, b, c, 0x80];
                    assert_eq!(fast(&bytes), naive(&bytes));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn as_the_standard_library(bytes in prop::collection::vec(any::<u8>(), 0..40), text in ".{0,20}") {
            prop_assert_eq!(fast(&bytes), naive(&bytes));
            prop_assert_eq!(fast(text.as_bytes()), naive(text.as_bytes()));
        }
    }
}
