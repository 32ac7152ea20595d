//! Openings of tokens and of the tokenizer's tables, as the contract checks them.

use alloy_primitives::B256;
use sworn_inference::tokenizer::TokenType;

use super::super::abi::{Entry, Leaf, Tokenizer};
use super::Refusal;
use crate::constants as c;
use crate::record::TokenizerRecord;
use crate::{Digest, merkle};

pub(super) fn verify(
    digest: Digest,
    index: u64,
    leaves: u64,
    path: &[B256],
    root: Digest,
    what: &'static str,
) -> Result<(), Refusal> {
    let path: Vec<Digest> = path.iter().map(|word| Digest(word.0)).collect();
    merkle::verify(what, digest, index, merkle::depth(leaves), &path, root)
        .map_err(|_| Refusal(what))
}

pub(super) fn check_tokenizer(t: &Tokenizer, root: Digest) -> Result<(), Refusal> {
    let record = TokenizerRecord {
        kind: t.kind,
        flags: t.flags,
        bos: t.bos,
        vocabulary: t.vocabulary,
        table_root: Digest(t.tableRoot.0),
        merges_root: Digest(t.mergesRoot.0),
        merge_count: t.mergeCount,
    };
    if record.digest() == root {
        Ok(())
    } else {
        Err(Refusal("tokenizer"))
    }
}

pub(super) fn open_token(t: &Tokenizer, id: u32, entry: &Entry) -> Result<(), Refusal> {
    if id >= t.vocabulary {
        return Err(Refusal("token"));
    }
    let length = u16::try_from(entry.piece.len()).map_err(|_| Refusal("piece length"))?;
    let mut leaf = vec![entry.kind];
    for number in [entry.left, entry.right, entry.rank] {
        leaf.extend(number.to_be_bytes());
    }
    leaf.extend(length.to_be_bytes());
    leaf.extend_from_slice(&entry.piece);
    let (digest, root) = (Digest::of(&leaf), Digest(t.tableRoot.0));
    verify(
        digest,
        id.into(),
        t.vocabulary.into(),
        &entry.path,
        root,
        "token path",
    )
}

/// What an opened token reads as.
pub(super) fn reading(entry: &Entry) -> Result<Vec<u8>, Refusal> {
    if entry.kind == TokenType::Byte as u8 {
        let digits = entry
            .piece
            .strip_prefix(b"<0x")
            .and_then(|rest| rest.strip_suffix(b">"));
        let digit = |byte: &u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'A'..=b'F' => Ok(byte - b'A' + 10),
            _ => Err(Refusal("byte token")),
        };
        return match digits {
            Some([high, low]) => Ok(vec![16 * digit(high)? + digit(low)?]),
            _ => Err(Refusal("byte token")),
        };
    }
    if ![TokenType::Normal as u8, TokenType::UserDefined as u8].contains(&entry.kind) {
        return Ok(Vec::new());
    }
    let (mut text, mut rest) = (Vec::new(), &entry.piece[..]);
    while let [first, others @ ..] = rest {
        (text, rest) = match rest.strip_prefix("\u{2581}".as_bytes()) {
            Some(after) => ([text, vec![b' ']].concat(), after),
            None => ([text, vec![*first]].concat(), others),
        };
    }
    Ok(text)
}

pub(super) fn open_merge(
    t: &Tokenizer,
    leaf: &Leaf,
    index: u32,
    left: u32,
    right: u32,
) -> Result<u32, Refusal> {
    if index >= t.mergeCount {
        return Err(Refusal("merge"));
    }
    let per_leaf = c::MERGE_LEAF_ENTRIES as u32;
    let leaves = u64::from(t.mergeCount).div_ceil(per_leaf.into());
    let (digest, at) = (Digest::of(&leaf.data), u64::from(index / per_leaf));
    verify(
        digest,
        at,
        leaves,
        &leaf.path,
        Digest(t.mergesRoot.0),
        "merges path",
    )?;
    let number = |field: u32| {
        let start = (16 * (index % per_leaf) + 4 * field) as usize;
        let bytes = leaf
            .data
            .get(start..)
            .and_then(|bytes| bytes.first_chunk::<4>());
        bytes
            .map(|bytes| u32::from_be_bytes(*bytes))
            .ok_or(Refusal("merges leaf"))
    };
    if (number(0)?, number(1)?) != (left, right) {
        return Err(Refusal("merge of other tokens"));
    }
    number(2)
}

/// Token `index` of a run of `count` tokens.
pub(super) fn open_tokens(
    leaf: &Leaf,
    root: Digest,
    count: u32,
    index: u64,
) -> Result<u32, Refusal> {
    if index >= u64::from(count) {
        return Err(Refusal("token index"));
    }
    let per_leaf = c::TOKEN_LEAF_ELEMENTS as u64;
    let leaves = u64::from(count).div_ceil(per_leaf);
    verify(
        Digest::of(&leaf.data),
        index / per_leaf,
        leaves,
        &leaf.path,
        root,
        "tokens path",
    )?;
    let start = 4 * (index % per_leaf) as usize;
    match leaf
        .data
        .get(start..)
        .and_then(|bytes| bytes.first_chunk::<4>())
    {
        Some(bytes) if leaf.data.len() == 4 * c::TOKEN_LEAF_ELEMENTS => {
            Ok(u32::from_le_bytes(*bytes))
        }
        _ => Err(Refusal("tokens leaf")),
    }
}
