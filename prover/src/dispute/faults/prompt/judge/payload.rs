//! Reads an opened payload.

use std::ops::Range;

use super::super::abi::Leaves;
use super::super::layout::{HEADER_BYTES, character_length};
use super::super::places::Place;
use super::opened::verify;
use super::{Facts, Refusal};
use crate::Digest;
use crate::constants as c;

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
