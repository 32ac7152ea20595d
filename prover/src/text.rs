//! Texts, prompt payloads and number lists as trees (`prover/SPEC.md` section 5), and the chunks that vouchers carry (section 8).

use std::ops::Range;

use crate::constants::{CHUNK_BYTES, TEXT_LEAF_BYTES, TOKEN_LEAF_ELEMENTS};
use crate::merkle::{self, RootBuilder, Tree};
use crate::{Digest, Error};

/// Levels of the subtree that a full chunk is.
pub const CHUNK_DEPTH: u32 = merkle::depth((CHUNK_BYTES / TEXT_LEAF_BYTES) as u64);

/// Root over 256-byte leaves, the last filled with zeros; `Z0` for no bytes. Payloads and texts of runs.
#[must_use]
pub fn root(text: &[u8]) -> Digest {
    merkle::root(&leaves(text))
}

/// Root over leaves of 64 little-endian numbers, the last filled with zeros; `Z0` for none. Tokens and offsets of runs.
#[must_use]
pub fn numbers_root(numbers: &[u32]) -> Digest {
    let leaf = |numbers: &[u32]| {
        let mut bytes = [0; 4 * TOKEN_LEAF_ELEMENTS];
        for (to, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        Digest::of(&bytes)
    };
    merkle::root(
        &numbers
            .chunks(TOKEN_LEAF_ELEMENTS)
            .map(leaf)
            .collect::<Vec<_>>(),
    )
}

/// The tree of a text, for paths.
#[must_use]
pub fn tree(text: &[u8]) -> Tree {
    Tree::new(leaves(text))
}

fn leaves(text: &[u8]) -> Vec<Digest> {
    let leaf = |bytes: &[u8]| match bytes.len() {
        TEXT_LEAF_BYTES => Digest::of(bytes),
        length => {
            let mut filled = [0; TEXT_LEAF_BYTES];
            filled[..length].copy_from_slice(bytes);
            Digest::of(&filled)
        }
    };
    text.chunks(TEXT_LEAF_BYTES).map(leaf).collect()
}

/// How many chunks deliver a text of `length` bytes; at least 1.
#[must_use]
pub const fn chunk_count(length: u64) -> u64 {
    let chunks = length.div_ceil(CHUNK_BYTES as u64);
    if chunks == 0 { 1 } else { chunks }
}

/// The bytes of chunk `chunk` of a text of `length` bytes.
///
/// # Errors
/// [`Error::IndexOutOfRange`].
pub fn chunk_range(length: u64, chunk: u32) -> Result<Range<u64>, Error> {
    let (index, count) = (u64::from(chunk), chunk_count(length));
    if index >= count {
        return Err(Error::IndexOutOfRange {
            what: "chunk",
            found: index,
            expected: count,
        });
    }
    let start = index * CHUNK_BYTES as u64;
    Ok(start..length.min(start.saturating_add(CHUNK_BYTES as u64)))
}

/// Levels between the chunks and the root of a text of `length` bytes; 0 when there is one chunk.
#[must_use]
pub const fn chunk_path_depth(length: u64) -> u32 {
    merkle::depth(length.div_ceil(TEXT_LEAF_BYTES as u64)).saturating_sub(CHUNK_DEPTH)
}

/// The digests of a text's chunks as a tree: its root is the text's root, its paths are chunk paths.
#[must_use]
pub fn chunk_tree(text: &[u8]) -> Tree {
    if chunk_count(text.len() as u64) == 1 {
        return Tree::new(vec![root(text)]);
    }
    Tree::on(
        CHUNK_DEPTH,
        text.chunks(CHUNK_BYTES).map(chunk_of_many).collect(),
    )
}

/// The root of one chunk of several: the last is padded to the depth of a full one.
fn chunk_of_many(bytes: &[u8]) -> Digest {
    let mut builder = RootBuilder::new(CHUNK_DEPTH);
    for leaf in leaves(bytes) {
        // A chunk has at most as many leaves as the builder takes; callers cut texts by CHUNK_BYTES.
        if builder.push(leaf).is_err() {
            break;
        }
    }
    builder.finish()
}

/// Checks that `bytes` are chunk `chunk` of the text of `length` bytes with root `root`, as `Vouchers` does.
///
/// # Errors
/// [`Error::IndexOutOfRange`], [`Error::Mismatch`] (of lengths), [`Error::PathLength`] or [`Error::WrongRoot`].
pub fn verify_chunk(
    length: u64,
    chunk: u32,
    bytes: &[u8],
    path: &[Digest],
    root: Digest,
) -> Result<(), Error> {
    let range = chunk_range(length, chunk)?;
    let (found, expected) = (bytes.len() as u64, range.end - range.start);
    if found != expected {
        return Err(Error::Mismatch {
            what: "bytes of the chunk",
            found,
            expected,
        });
    }
    let digest = if chunk_count(length) == 1 {
        self::root(bytes)
    } else {
        chunk_of_many(bytes)
    };
    merkle::verify(
        "text",
        digest,
        u64::from(chunk),
        chunk_path_depth(length),
        path,
        root,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(length: usize) -> Vec<u8> {
        (0..length as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect()
    }

    #[test]
    fn short_texts() {
        assert_eq!(root(b""), Digest::ZERO);
        assert_eq!(root(&pattern(256)), Digest::of(&pattern(256)));
        let mut filled = [0; 256];
        filled[..2].copy_from_slice(b"hi");
        assert_eq!(root(b"hi"), Digest::of(&filled));
        assert_eq!(root(&pattern(257)), tree(&pattern(257)).root());
    }

    #[test]
    fn number_lists() {
        assert_eq!(numbers_root(&[]), Digest::ZERO);
        let numbers: Vec<u32> = (0..65).map(|i| i * 0x0101_0101).collect();
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        bytes.resize(512, 0);
        assert_eq!(numbers_root(&numbers), root(&bytes));
        assert_eq!(
            numbers_root(&numbers[..3]),
            root(&[&bytes[..12], &[0; 244]].concat())
        );
    }

    #[test]
    fn chunk_arithmetic() {
        const C: u64 = CHUNK_BYTES as u64;
        for (length, count, depth) in [
            (0, 1, 0),
            (1, 1, 0),
            (C, 1, 0),
            (C + 1, 2, 1),
            (2 * C, 2, 1),
            (2 * C + 1, 3, 2),
        ] {
            assert_eq!(
                (chunk_count(length), chunk_path_depth(length)),
                (count, depth),
                "{length}"
            );
        }
        assert_eq!(chunk_range(C + 5, 1), Ok(C..C + 5));
        assert_eq!(chunk_range(0, 0), Ok(0..0));
        assert!(chunk_range(C, 1).is_err());
        assert_eq!(chunk_count(u64::MAX), 1 << 47);
        assert!(chunk_range(u64::MAX, u32::MAX).is_ok());
    }

    #[test]
    fn chunks_prove_the_whole_text() {
        for length in [
            0,
            1,
            300,
            CHUNK_BYTES,
            CHUNK_BYTES + 1,
            2 * CHUNK_BYTES + 513,
            4 * CHUNK_BYTES,
        ] {
            let text = pattern(length);
            let (chunks, root) = (chunk_tree(&text), root(&text));
            assert_eq!(chunks.root(), root, "{length}");
            for chunk in 0..chunk_count(length as u64) as u32 {
                let range = chunk_range(length as u64, chunk).unwrap();
                let bytes = &text[range.start as usize..range.end as usize];
                let path = chunks.path(u64::from(chunk)).unwrap();
                assert_eq!(
                    verify_chunk(length as u64, chunk, bytes, &path, root),
                    Ok(())
                );
                // The path is the top of the path of the chunk's first leaf.
                let full = tree(&text).path(u64::from(chunk) << CHUNK_DEPTH).unwrap();
                assert_eq!(path, full[full.len() - path.len()..]);
                assert!(verify_chunk(length as u64, chunk + 1, bytes, &path, root).is_err());
                if let Some((_, fewer)) = bytes.split_last() {
                    assert!(verify_chunk(length as u64, chunk, fewer, &path, root).is_err());
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_changed_byte_is_noticed(length in 1usize..400_000, at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let text = pattern(length);
            let root = root(&text);
            let at = at.index(length);
            let chunk = at / CHUNK_BYTES;
            let range = chunk_range(length as u64, chunk as u32).unwrap();
            let mut bytes = text[range.start as usize..range.end as usize].to_vec();
            let mut path = chunk_tree(&text).path(chunk as u64).unwrap();
            bytes[at % CHUNK_BYTES] ^= 1 << bit;
            prop_assert!(verify_chunk(length as u64, chunk as u32, &bytes, &path, root).is_err());
            bytes[at % CHUNK_BYTES] ^= 1 << bit;
            for k in 0..path.len() {
                path[k].0[at % 32] ^= 1 << bit;
                prop_assert!(verify_chunk(length as u64, chunk as u32, &bytes, &path, root).is_err());
                path[k].0[at % 32] ^= 1 << bit;
            }
            prop_assert!(verify_chunk(length as u64, chunk as u32, &bytes, &path, root).is_ok());
        }
    }
}
