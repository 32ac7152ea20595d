//! Openings as the contract checks them.

use std::ops::Range;

use alloy_primitives::B256;
use sworn_inference::tokenizer::TokenType;

use super::super::abi::{Entry, Leaf, Leaves, Tokenizer};
use super::super::layout::{HEADER_BYTES, character_length};
use super::super::places::Place;
use super::{Facts, Refusal};
use crate::constants as c;
use crate::record::TokenizerRecord;
use crate::{Digest, merkle};

fn verify(
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

/// Opened leaves of a payload.
pub(super) struct Opened<'a> {
    leaves: &'a Leaves,
    length: u64,
}

/// A segment as its header says.
pub(super) struct Segment {
    header: u64,
    pub(super) is_text: bool,
    pub(super) number: u32,
}

impl Segment {
    /// Where the next header is.
    pub(super) fn end(&self) -> u64 {
        let length = if self.is_text { self.number.into() } else { 0 };
        self.header + HEADER_BYTES as u64 + length
    }
}

/// A text segment's text with the space put before it.
pub(super) struct OpenedText<'a> {
    payload: &'a Opened<'a>,
    start: u64,
    space: bool,
    pub(super) length: usize,
}

impl<'a> Opened<'a> {
    pub(super) fn of(leaves: &'a Leaves, facts: &Facts) -> Result<Opened<'a>, Refusal> {
        let count = facts.payload_length.div_ceil(c::TEXT_LEAF_BYTES as u64);
        if leaves.indices.len() != leaves.leaves.len() {
            return Err(Refusal("payload leaves"));
        }
        for (index, leaf) in leaves.indices.iter().zip(&leaves.leaves) {
            let index = u64::from(*index);
            if index >= count || leaf.data.len() != c::TEXT_LEAF_BYTES {
                return Err(Refusal("payload leaf"));
            }
            let digest = Digest::of(&leaf.data);
            verify(
                digest,
                index,
                count,
                &leaf.path,
                facts.payload_root,
                "payload path",
            )?;
        }
        Ok(Opened {
            leaves,
            length: facts.payload_length,
        })
    }

    fn byte(&self, offset: u64) -> Result<u8, Refusal> {
        let (leaf, at) = (
            offset / c::TEXT_LEAF_BYTES as u64,
            offset as usize % c::TEXT_LEAF_BYTES,
        );
        let found = self
            .leaves
            .indices
            .iter()
            .position(|index| u64::from(*index) == leaf);
        let found = found.and_then(|found| self.leaves.leaves.get(found)?.data.get(at));
        found.copied().ok_or(Refusal("payload byte"))
    }

    pub(super) fn segment(&self, header: u64) -> Result<Segment, Refusal> {
        if header == 0 || header + HEADER_BYTES as u64 > self.length {
            return Err(Refusal("segment"));
        }
        let is_text = match self.byte(header)? {
            c::PAYLOAD_TEXT => true,
            c::PAYLOAD_CONTROL => false,
            _ => return Err(Refusal("segment type")),
        };
        let mut number = 0;
        for at in 1..HEADER_BYTES as u64 {
            number = number << 8 | u32::from(self.byte(header + at)?);
        }
        Ok(Segment {
            header,
            is_text,
            number,
        })
    }

    /// The place of the first token of the segments from `offset` on.
    pub(super) fn first(
        &self,
        mut offset: u64,
        mut after_text: bool,
        spaces: bool,
    ) -> Result<Option<Place>, Refusal> {
        while offset < self.length {
            let segment = self.segment(offset)?;
            if !segment.is_text || segment.number > 0 {
                let space = segment.is_text && spaces && !after_text;
                return Ok(Some(Place {
                    header: offset as u32,
                    within: if space { Place::SPACE } else { 0 },
                }));
            }
            after_text = true;
            offset += HEADER_BYTES as u64;
        }
        Ok(None)
    }

    /// The text that a place is in.
    pub(super) fn text(&'a self, place: Place) -> Result<OpenedText<'a>, Refusal> {
        let segment = self.segment(place.header.into())?;
        if !segment.is_text {
            return Err(Refusal("no text segment"));
        }
        if segment.end() > self.length {
            return Err(Refusal("text segment"));
        }
        Ok(OpenedText {
            payload: self,
            start: segment.header + HEADER_BYTES as u64,
            space: place.has_space(),
            length: segment.number as usize + usize::from(place.has_space()),
        })
    }
}

impl OpenedText<'_> {
    pub(super) fn byte(&self, index: usize) -> Result<u8, Refusal> {
        match (self.space, index) {
            (true, 0) => Ok(b' '),
            (true, index) => self.payload.byte(self.start + index as u64 - 1),
            (false, index) => self.payload.byte(self.start + index as u64),
        }
    }

    /// The character that byte `index` belongs to, reading no byte that need not be opened.
    pub(super) fn character(&self, index: usize) -> Result<Range<usize>, Refusal> {
        let mut start = index;
        while start > 0 && index - start < 3 && self.byte(start)? & 0xc0 == 0x80 {
            start -= 1;
        }
        let most = match self.byte(start)? {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        let bytes = (start..self.length.min(start + most)).map(|at| self.byte(at));
        let length = character_length(&bytes.collect::<Result<Vec<u8>, Refusal>>()?);
        Ok(if index - start < length {
            start..start + length
        } else {
            index..index + 1
        })
    }
}
