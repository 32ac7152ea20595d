//! The rules for one token and for spines.

use sworn_inference::tokenizer::{NONE, TokenType};

use super::super::abi::{Entry, TokenWitness, Tokenizer};
use super::super::layout::character_length;
use super::super::places::Place;
use super::Refusal;
use super::opened::{open_token, reading};
use super::payload::Opened;

pub(super) fn is_control(entry: &Entry) -> bool {
    [TokenType::Control as u8, TokenType::UserDefined as u8].contains(&entry.kind)
}

/// The place after a token's, if another token follows.
pub(super) fn step(
    payload: &Opened<'_>,
    stands: Place,
    spaces: bool,
    entry: &Entry,
) -> Result<Option<Place>, Refusal> {
    let segment = payload.segment(stands.header.into())?;
    if segment.is_text {
        let length = u64::from(segment.number) + u64::from(stands.has_space());
        let end = (stands.offset() + reading(entry)?.len()) as u64;
        if end > length {
            return Err(Refusal("piece past the segment"));
        }
        if end < length {
            let within = stands.within - stands.offset() as u32 + end as u32;
            return Ok(Some(Place { within, ..stands }));
        }
    }
    payload.first(segment.end(), segment.is_text, spaces)
}

pub(super) fn control(
    payload: &Opened<'_>,
    stands: Place,
    token: u32,
    w: &TokenWitness,
) -> Result<bool, Refusal> {
    let segment = payload.segment(stands.header.into())?;
    if segment.is_text {
        return Err(Refusal("no control segment"));
    }
    if token != segment.number || token >= w.tokenizer.vocabulary {
        return Ok(true);
    }
    open_token(&w.tokenizer, token, &w.entry)?;
    Ok(!is_control(&w.entry))
}

pub(super) fn piece(
    payload: &Opened<'_>,
    stands: Place,
    w: &TokenWitness,
) -> Result<bool, Refusal> {
    let text = payload.text(stands)?;
    if ![TokenType::Normal as u8, TokenType::Byte as u8].contains(&w.entry.kind) {
        return Ok(true);
    }
    let piece = reading(&w.entry)?;
    if stands.offset() + piece.len() > text.length {
        return Ok(true);
    }
    let byte = piece
        .get(w.which as usize)
        .ok_or(Refusal("byte of the piece"))?;
    Ok(*byte != text.byte(stands.offset() + w.which as usize)?)
}

pub(super) fn canonical(token: u32, w: &TokenWitness) -> Result<bool, Refusal> {
    let piece = reading(&w.entry)?;
    if w.entry.kind == TokenType::Normal as u8 {
        let is_character = !piece.is_empty() && character_length(&piece) == piece.len();
        if !is_character && w.entry.left == NONE {
            return Ok(true);
        }
    } else if w.entry.kind != TokenType::Byte as u8 {
        return Err(Refusal("token of no text"));
    }
    if w.which >= token {
        return Err(Refusal("no lower token"));
    }
    open_token(&w.tokenizer, w.which, &w.other)?;
    Ok(w.other.kind == w.entry.kind && reading(&w.other)? == piece)
}

pub(super) fn character(
    payload: &Opened<'_>,
    stands: Place,
    w: &TokenWitness,
) -> Result<bool, Refusal> {
    let text = payload.text(stands)?;
    let start = stands.offset();
    if start >= text.length {
        return Err(Refusal("past the segment"));
    }
    let found = text.character(start)?;
    if w.entry.kind == TokenType::Normal as u8 {
        if found.start != start {
            return Ok(true);
        }
        let end = start + reading(&w.entry)?.len();
        if end > text.length {
            return Err(Refusal("piece past the segment"));
        }
        return Ok(end < text.length && text.character(end)?.start != end);
    }
    if w.entry.kind != TokenType::Byte as u8 {
        return Err(Refusal("token of no text"));
    }
    open_token(&w.tokenizer, w.which, &w.other)?;
    if w.other.kind != TokenType::Normal as u8 {
        return Ok(false);
    }
    let piece = reading(&w.other)?;
    if piece.len() != found.len() {
        return Ok(false);
    }
    for (at, byte) in found.zip(piece) {
        if text.byte(at)? != byte {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The last token of a spine, one plus the rank of its merge (0 for none), one plus the rank of the merge that it goes into.
pub(super) fn spine(
    tokenizer: &Tokenizer,
    token: u32,
    entries: &[Entry],
    part: impl Fn(&Entry) -> u32,
) -> Result<(u32, u64, u64), Refusal> {
    let first = entries.first().ok_or(Refusal("empty spine"))?;
    if first.kind != TokenType::Normal as u8 {
        return Err(Refusal("pair of no text"));
    }
    let (mut last, mut end, mut birth) = (token, u64::MAX, 0);
    for (i, entry) in entries.iter().enumerate() {
        if let Some(parent) = i.checked_sub(1).and_then(|before| entries.get(before)) {
            last = part(parent);
            end = u64::from(parent.rank) + 1;
        }
        open_token(tokenizer, last, entry)?;
        birth = match entry.rank {
            NONE => 0,
            rank => u64::from(rank) + 1,
        };
    }
    Ok((last, birth, end))
}
