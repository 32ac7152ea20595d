//! Walks through the tokens of a prompt along its payload up to the first that can't be.

use sworn_inference::tokenizer::{FLAG_ADD_BOS, FLAG_TRUSTED, NONE, TokenType};

use super::layout::{Kind, Layout, Text, character_length};
use super::pairs::{WrongPair, wrong_pair};
use super::{Place, TokenizerBook};

/// What is wrong with a token whose place is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is not BOS.
    Bos,
    /// It is not the control segment's.
    Control,
    /// Its piece differs at this byte, or is none of text, or goes past the segment's end.
    Piece(u32),
    /// It does not encode to itself.
    Canonical,
    /// This lower token reads the same.
    Duplicate(u32),
    /// It starts or ends inside a character.
    Torn,
    /// It is a byte of a character that is this NORMAL piece.
    Byte(u32),
    /// It and the next token.
    Pair(WrongPair),
    /// It is the last and should not, or is not and should.
    Last,
}

/// How a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Every token is right.
    Right,
    /// This token is not known.
    Unknown(u32),
    /// The token of this index is wrong.
    Wrong(u32, Wrong),
}

/// A walk: the places of all tokens up to its end.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    pub(super) places: Vec<Place>,
    pub(super) end: End,
}

/// The piece of a token that stands in a text, or what is wrong with it.
fn text_token(
    book: &TokenizerBook<'_>,
    text: Text<'_>,
    offset: usize,
    token: u32,
) -> Result<(usize, TokenType), Wrong> {
    if token >= book.record().vocabulary {
        return Err(Wrong::Piece(0));
    }
    let entry = book.tokenizer().token(token);
    let piece = book.reading(token);
    let lowest = match (entry.token_type, &piece[..]) {
        (TokenType::Normal, _) => book.normal(&piece),
        (TokenType::Byte, [byte]) => Some(book.byte(*byte)),
        _ => return Err(Wrong::Piece(0)),
    };
    let end = offset + piece.len();
    if end > text.len() {
        return Err(Wrong::Piece(0));
    }
    let differs = (0..piece.len()).find(|at| text.byte(offset + at) != Some(piece[*at]));
    if let Some(at) = differs {
        return Err(Wrong::Piece(at as u32));
    }
    let is_character = !piece.is_empty() && character_length(&piece) == piece.len();
    if entry.token_type == TokenType::Normal && !is_character && entry.left == NONE {
        return Err(Wrong::Canonical);
    }
    if let Some(lower) = lowest.filter(|lowest| *lowest < token) {
        return Err(Wrong::Duplicate(lower));
    }
    let character = text.character(offset);
    if entry.token_type == TokenType::Normal {
        let torn = |at: usize| at < text.len() && text.character(at).start != at;
        if torn(offset) || torn(end) {
            return Err(Wrong::Torn);
        }
    } else if let Some(normal) = book.normal(&text.slice(character)) {
        return Err(Wrong::Byte(normal));
    }
    Ok((piece.len(), entry.token_type))
}

/// Walks; `token` gives the token of an index, if it is known.
pub(super) fn walk(
    book: &TokenizerBook<'_>,
    layout: &Layout<'_>,
    n_prompt: u32,
    token: &dyn Fn(u32) -> Option<u32>,
) -> Walk {
    let mut places = Vec::new();
    let end = walk_on(book, layout, n_prompt, token, &mut places);
    Walk { places, end }
}

fn walk_on(
    book: &TokenizerBook<'_>,
    layout: &Layout<'_>,
    n_prompt: u32,
    token: &dyn Fn(u32) -> Option<u32>,
    places: &mut Vec<Place>,
) -> End {
    let record = book.record();
    let mut cursor = layout.first(0);
    let mut before: Option<(u32, Place)> = None;
    for index in 0..n_prompt {
        let Some(found) = token(index) else {
            return End::Unknown(index);
        };
        if index == 0 && (record.flags & FLAG_ADD_BOS != 0 || cursor.is_none()) {
            places.push(Place::BOS);
            if found != record.bos {
                return End::Wrong(0, Wrong::Bos);
            }
            continue;
        }
        let Some((segment, place)) = cursor else {
            return End::Wrong(index - 1, Wrong::Last);
        };
        places.push(place);
        if let Kind::Control(id) = layout.segments()[segment].kind {
            if found != id || !book.tokenizer().is_control(id) {
                return End::Wrong(index, Wrong::Control);
            }
            before = None;
            cursor = layout.first(segment + 1);
            continue;
        }
        // The segment is a text, as it is no control token.
        let Some(text) = layout.text(segment, place) else {
            return End::Wrong(index, Wrong::Piece(0));
        };
        let (length, token_type) = match text_token(book, text, place.offset(), found) {
            Ok(fits) => fits,
            Err(wrong) => return End::Wrong(index, wrong),
        };
        if let Some((left, _)) = before.filter(|(_, left)| left.header == place.header)
            && token_type == TokenType::Normal
            && record.flags & FLAG_TRUSTED == 0
            && let Some(wrong) = wrong_pair(book, left, found)
        {
            return End::Wrong(index - 1, Wrong::Pair(wrong));
        }
        before = (token_type == TokenType::Normal).then_some((found, place));
        cursor = if place.offset() + length < text.len() {
            let within = place.within + length as u32;
            Some((segment, Place { within, ..place }))
        } else {
            layout.first(segment + 1)
        };
    }
    match (cursor, n_prompt) {
        (Some(_), 1..) => End::Wrong(n_prompt - 1, Wrong::Last),
        _ => End::Right,
    }
}
