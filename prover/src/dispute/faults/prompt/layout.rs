//! Payloads with the places of their segments, and the texts that tokens are of.

use std::ops::Range;

use sworn_inference::tokenizer::{self, FLAG_ADD_SPACE};

use super::Place;
use crate::{Error, payload};

/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 5;

/// What a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text of so many bytes.
    Text(u32),
    /// A control token.
    Control(u32),
}

/// A segment of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Offset of its header.
    pub header: u32,
    /// What it holds.
    pub kind: Kind,
}

/// A payload that an inbox takes.
#[derive(Debug, Clone)]
pub struct Layout<'a> {
    payload: &'a [u8],
    segments: Vec<Segment>,
    spaces: bool,
}

impl<'a> Layout<'a> {
    /// Reads a payload; `flags` are the tokenizer's.
    ///
    /// # Errors
    /// [`Error::MalformedPayload`], but for control tokens.
    pub fn of(payload: &'a [u8], flags: u32) -> Result<Layout<'a>, Error> {
        let mut header = 1;
        let mut segments = Vec::new();
        for segment in payload::decode(payload)? {
            let (kind, length) = match segment {
                tokenizer::Segment::Text(text) => (Kind::Text(text.len() as u32), text.len()),
                tokenizer::Segment::Control(id) => (Kind::Control(id), 0),
            };
            segments.push(Segment { header, kind });
            header = u32::try_from(header as usize + HEADER_BYTES + length).map_err(|_| {
                Error::TooLong {
                    what: "payload",
                    found: payload.len(),
                    maximum: u32::MAX as usize,
                }
            })?;
        }
        Ok(Layout {
            payload,
            segments,
            spaces: flags & FLAG_ADD_SPACE != 0,
        })
    }

    /// The segments in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The first segment with a token from segment `from` on, and the place of that token.
    pub(super) fn first(&self, from: usize) -> Option<(usize, Place)> {
        let rest = self.segments.iter().enumerate().skip(from);
        let (index, segment) = { rest }.find(|(_, segment)| segment.kind != Kind::Text(0))?;
        let before = index
            .checked_sub(1)
            .map(|before| self.segments[before].kind);
        let is_text = matches!(segment.kind, Kind::Text(_));
        let space = self.spaces && is_text && !matches!(before, Some(Kind::Text(_)));
        let within = if space { Place::SPACE } else { 0 };
        let header = segment.header;
        Some((index, Place { header, within }))
    }

    /// The text of a segment, as a place in it says; nothing for a control segment.
    pub(super) fn text(&self, index: usize, place: Place) -> Option<Text<'a>> {
        let segment = self.segments.get(index)?;
        let Kind::Text(length) = segment.kind else {
            return None;
        };
        let start = segment.header as usize + HEADER_BYTES;
        Some(Text {
            space: place.has_space(),
            bytes: self.payload.get(start..start + length as usize)?,
        })
    }
}

/// A segment's text with the space put before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) space: bool,
    pub(super) bytes: &'a [u8],
}

impl Text<'_> {
    pub(super) fn len(&self) -> usize {
        usize::from(self.space) + self.bytes.len()
    }

    pub(super) fn byte(&self, index: usize) -> Option<u8> {
        match (self.space, index) {
            (true, 0) => Some(b' '),
            (true, index) => self.bytes.get(index - 1).copied(),
            (false, index) => self.bytes.get(index).copied(),
        }
    }

    /// The bytes of a range, as far as they are there.
    pub(super) fn slice(&self, range: Range<usize>) -> Vec<u8> {
        range.map_while(|index| self.byte(index)).collect()
    }

    /// The character that byte `index` belongs to; a single byte where there is no well-formed sequence.
    pub(super) fn character(&self, index: usize) -> Range<usize> {
        let starts = (index.saturating_sub(3)..=index).map(|start| {
            let bytes = self.slice(start..start + 4);
            start..start + character_length(&bytes)
        });
        { starts }
            .find(|range| range.contains(&index))
            .unwrap_or(index..index + 1)
    }
}

/// Bytes of the character that some text starts with; 0 for none.
pub(super) fn character_length(bytes: &[u8]) -> usize {
    let one = |length: &usize| {
        let text = bytes
            .get(..*length)
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.is_some_and(|text| text.chars().count() == 1)
    };
    (2..=4).find(one).unwrap_or(bytes.len().min(1))
}
