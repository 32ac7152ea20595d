//! Builds witnesses.

use alloy_sol_types::SolValue;

use super::abi::{Leaf, MalformedWitness, PairWitness, TokenWitness};
use super::book::words;
use super::layout::{HEADER_BYTES, Layout};
use super::needed::Needed;
use super::pairs::WrongPair;
use super::places::Place;
use super::walk::Wrong;
use super::{TokenLeaves, TokenizerBook};
use crate::Error;
use crate::constants::{self as c, PART_PLACES, TOKEN_LEAF_ELEMENTS};
use crate::dispute::parts::Parts;

/// What witnesses are made from.
pub(super) struct Maker<'a> {
    pub(super) book: &'a TokenizerBook<'a>,
    pub(super) layout: &'a Layout<'a>,
    pub(super) tokens: &'a dyn TokenLeaves,
    /// Contents of `prompt`, if it is revealed.
    pub(super) prompt: &'a [u8],
}

impl Maker<'_> {
    fn tokens_leaf(&self, leaf: u32) -> Result<Leaf, Error> {
        let missing = || Error::IndexOutOfRange {
            what: "known token leaves",
            found: leaf.into(),
            expected: leaf.into(),
        };
        Ok(Leaf {
            data: self.tokens.leaf(leaf).ok_or_else(missing)?.into(),
            path: words(&self.tokens.path(leaf).ok_or_else(missing)?),
        })
    }

    /// The part of the contents of `prompt` that has the place of a leaf.
    fn prompt_part(&self, leaf: u32) -> Result<Leaf, Error> {
        let part = Parts::PROMPT.open(self.prompt, leaf as usize / PART_PLACES)?;
        Ok(Leaf {
            data: part.data,
            path: part.path,
        })
    }

    fn segment(&self, header: u32) -> Option<usize> {
        let segments = self.layout.segments();
        segments
            .binary_search_by_key(&header, |segment| segment.header)
            .ok()
    }

    fn blank(&self) -> TokenWitness {
        TokenWitness {
            tokenizer: self.book.fields(),
            ..TokenWitness::default()
        }
    }

    /// 48 at a tokens node.
    pub(super) fn bos_token(&self) -> Result<Vec<u8>, Error> {
        let mut needed = Needed::default();
        needed.first(self.layout, 0);
        Ok(TokenWitness {
            tokens: self.tokens_leaf(0)?,
            payload: needed.open(self.layout.payload())?,
            ..self.blank()
        }
        .abi_encode())
    }

    /// 48 or 49 at the node `prompt`.
    pub(super) fn first_place(&self) -> Result<Vec<u8>, Error> {
        let mut needed = Needed::default();
        needed.first(self.layout, 0);
        Ok(TokenWitness {
            prompt: self.prompt_part(0)?,
            payload: needed.open(self.layout.payload())?,
            ..self.blank()
        }
        .abi_encode())
    }

    /// 49 at a node `starts`.
    pub(super) fn prompt_place(
        &self,
        starts: &[u8],
        leaf: u32,
        of_bos: bool,
    ) -> Result<Vec<u8>, Error> {
        let mut needed = Needed::default();
        if of_bos {
            needed.first(self.layout, 0);
        }
        Ok(TokenWitness {
            prompt: self.prompt_part(leaf)?,
            starts: starts.to_vec().into(),
            payload: needed.open(self.layout.payload())?,
            ..self.blank()
        }
        .abi_encode())
    }

    /// 50, for the token of number `slot` of a leaf, whose place is right.
    pub(super) fn step(
        &self,
        starts: &[u8],
        leaf: u32,
        slot: usize,
        place: Place,
    ) -> Result<Vec<u8>, Error> {
        let mut needed = Needed::default();
        let mut witness = TokenWitness {
            slot: slot as u32,
            starts: starts.to_vec().into(),
            ..self.blank()
        };
        match self.segment(place.header) {
            None => needed.first(self.layout, 0),
            Some(segment) => {
                needed.header(place.header);
                needed.first(self.layout, segment + 1);
                witness.tokens = self.tokens_leaf(leaf)?;
                witness.entry = self
                    .book
                    .entry(token_of(&witness.tokens, slot).unwrap_or(u32::MAX))?;
            }
        }
        // After the last token of all there is no place.
        if slot + 1 == TOKEN_LEAF_ELEMENTS && (leaf as usize + 1) * 8 < self.prompt.len() {
            witness.prompt = self.prompt_part(leaf + 1)?;
        }
        witness.payload = needed.open(self.layout.payload())?;
        Ok(witness.abi_encode())
    }

    /// 51 to 53 and 55: the fault's code and its witness.
    pub(super) fn token(
        &self,
        starts: &[u8],
        leaf: u32,
        slot: usize,
        place: Place,
        wrong: &Wrong,
    ) -> Result<(u8, Vec<u8>), Error> {
        let tokens = self.tokens_leaf(leaf)?;
        let token = token_of(&tokens, slot).unwrap_or(u32::MAX);
        let mut needed = Needed::default();
        let mut witness = TokenWitness {
            slot: slot as u32,
            starts: starts.to_vec().into(),
            tokens,
            ..self.blank()
        };
        // A token outside the vocabulary has no entry; faults 51 and 52 need none then.
        if token < self.book.record().vocabulary {
            witness.entry = self.book.entry(token)?;
        }
        let text = place.header as usize + HEADER_BYTES;
        let start = text + place.offset() - usize::from(place.has_space() && place.offset() > 0);
        let fault = match *wrong {
            Wrong::Control => {
                needed.header(place.header);
                c::FAULT_CONTROL
            }
            Wrong::Piece(at) => {
                needed.header(place.header);
                needed.bytes(start..start + at as usize + 1);
                if needed.0.len() > 2 {
                    // Only the segment's header and the byte that differs.
                    needed = Needed::default();
                    needed.header(place.header);
                    needed.bytes(start + at as usize - 1..start + at as usize + 1);
                }
                witness.which = at;
                c::FAULT_PIECE
            }
            Wrong::Duplicate(lower) => {
                witness.which = lower;
                witness.other = self.book.entry(lower)?;
                c::FAULT_CANONICAL
            }
            Wrong::Torn => {
                let end = start + self.book.reading(token).len();
                needed.header(place.header);
                needed.bytes(start.saturating_sub(3).max(text)..start + 4);
                needed.bytes(end.saturating_sub(4).max(text)..end + 4);
                c::FAULT_BYTE
            }
            Wrong::Byte(normal) => {
                needed.header(place.header);
                needed.bytes(start.saturating_sub(3).max(text)..start + 4);
                witness.which = normal;
                witness.other = self.book.entry(normal)?;
                c::FAULT_BYTE
            }
            _ => c::FAULT_CANONICAL,
        };
        witness.payload = needed.open(self.layout.payload())?;
        Ok((fault, witness.abi_encode()))
    }

    /// 54, for the token of number `slot` of a leaf and the next.
    pub(super) fn pair(
        &self,
        starts: &[u8],
        leaf: u32,
        slot: usize,
        pair: &WrongPair,
    ) -> Result<Vec<u8>, Error> {
        let entries = |tokens: &[u32]| {
            tokens
                .iter()
                .map(|token| self.book.entry(*token))
                .collect::<Result<Vec<_>, _>>()
        };
        let mut witness = PairWitness {
            tokenizer: self.book.fields(),
            slot: slot as u32,
            starts: starts.to_vec().into(),
            tokens: self.tokens_leaf(leaf)?,
            left: entries(&pair.left)?,
            right: entries(&pair.right)?,
            merge: pair.merge,
            merges: self.book.merges_leaf(pair.merge)?,
            ..PairWitness::default()
        };
        if slot + 1 == TOKEN_LEAF_ELEMENTS {
            witness.prompt = self.prompt_part(leaf + 1)?;
            witness.nextTokens = self.tokens_leaf(leaf + 1)?;
        }
        Ok(witness.abi_encode())
    }

    /// 56 for header number `slot` of the contents' list, or 57.
    pub(super) fn malformed(
        &self,
        contents: &[u8],
        slot: usize,
        control: Option<u32>,
    ) -> Result<Vec<u8>, Error> {
        let segments = self.layout.segments();
        let mut needed = Needed::default();
        for segment in segments.iter().take(slot + 1).skip(slot.saturating_sub(1)) {
            needed.header(segment.header);
        }
        let mut witness = MalformedWitness {
            contents: contents.to_vec().into(),
            slot: slot as u32,
            payload: needed.open(self.layout.payload())?,
            ..MalformedWitness::default()
        };
        if let Some(token) = control {
            witness.tokenizer = self.book.fields();
            witness.entry = self.book.entry(token)?;
        }
        Ok(witness.abi_encode())
    }
}

/// A token of an opened leaf.
fn token_of(leaf: &Leaf, slot: usize) -> Option<u32> {
    let bytes = leaf.data.get(4 * slot..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}
