//! Faults of tokens, offsets and text: which one a difference shows.

use super::Move;
use super::run::{ListLeaf, RunDispute, number};
use super::step::nothing;
use crate::Error;
use crate::constants::{FINISH_LENGTH, FINISH_STOP, TEXT_LEAF_BYTES, TOKEN_LEAF_ELEMENTS};
use crate::dispute::position::NodeKind;

/// Numbers of a leaf.
const EACH: u32 = TOKEN_LEAF_ELEMENTS as u32;

/// A fault of a revealed leaf of a list, by the number that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListFault {
    /// 32: a token that is not in the vocabulary, or bytes past the last token.
    Token(u32),
    /// 33: at this token.
    Stop(u32),
    /// 34: bytes past the last offset.
    OffsetPadding,
    /// 35: at this new token, from 0; the next offset, or the text's length, does not follow. None: the first offset is not 0.
    Offset(Option<u32>),
    /// 36: bytes past the text's end.
    TextPadding,
    /// 37: this byte is not that of this new token, from 0.
    Text {
        /// In the text.
        byte: u64,
        /// Whose piece it is of.
        token: u32,
    },
}

/// A fault that a differing leaf of tokens shows by itself.
pub(super) fn token_fault(
    dispute: &RunDispute<'_>,
    leaf: &ListLeaf<'_>,
) -> Result<Option<Move>, Error> {
    let program = dispute.model.model.program();
    let record = &dispute.record;
    let first = u32::try_from(leaf.index)
        .unwrap_or(u32::MAX)
        .saturating_mul(EACH);
    let tokens = (first..).zip(leaf.bytes.chunks(4).map(number));
    for (place, token) in tokens.clone() {
        let outside = token >= program.vocab_size();
        if if place < record.n_tokens {
            outside
        } else {
            token != 0
        } {
            return dispute.list_fault(leaf, ListFault::Token(place)).map(Some);
        }
    }
    for (place, token) in tokens {
        if place < record.n_prompt || place >= record.n_tokens {
            continue;
        }
        let stop = program.stop_tokens().binary_search(&token).is_ok();
        let wrong = if place + 1 < record.n_tokens {
            stop
        } else {
            (stop && record.finish == FINISH_LENGTH) || (!stop && record.finish == FINISH_STOP)
        };
        if wrong {
            return dispute.list_fault(leaf, ListFault::Stop(place)).map(Some);
        }
    }
    Ok(None)
}

/// One list of tokens ends where the other goes on: there is a stop token, or there should be one.
pub(super) fn end_fault(dispute: &RunDispute<'_>) -> Result<Move, Error> {
    let last = dispute.record.n_tokens.min(dispute.own.n_tokens);
    stop_at(dispute, last)
}

/// A stop fault at the token before `end`.
fn stop_at(dispute: &RunDispute<'_>, end: u32) -> Result<Move, Error> {
    let place = end
        .checked_sub(1)
        .ok_or_else(|| nothing("a run without tokens"))?;
    match dispute.list_leaf(NodeKind::Tokens, u64::from(place / EACH))? {
        Err(act) => Ok(act),
        Ok(leaf) => dispute.list_fault(&leaf, ListFault::Stop(place)),
    }
}

/// The tokens are the same: what else of the run differs.
pub(super) fn after_tokens(dispute: &RunDispute<'_>) -> Result<Move, Error> {
    let (record, own) = (&dispute.record, &dispute.own);
    if record.finish != own.finish {
        return stop_at(dispute, record.n_tokens);
    }
    let new_tokens = record.n_tokens - record.n_prompt;
    match dispute.first_difference(NodeKind::Offsets)? {
        Err(act) => return Ok(act),
        Ok(Some(leaf)) => {
            let first = leaf.index as u32 * EACH;
            let own = dispute
                .own_leaves(NodeKind::Offsets)?
                .get(leaf.index as usize);
            let own = own.map_or(&[][..], Vec::as_slice);
            let differs = leaf
                .bytes
                .chunks(4)
                .zip(own.chunks(4))
                .position(|(a, b)| a != b);
            let place = first + differs.unwrap_or(0) as u32;
            let fault = match place.checked_sub(1) {
                _ if place >= new_tokens => ListFault::OffsetPadding,
                None => ListFault::Offset(None),
                before => ListFault::Offset(before),
            };
            return dispute.list_fault(&leaf, fault);
        }
        Ok(None) => {}
    }
    if record.text_length != own.text_length {
        let last = new_tokens
            .checked_sub(1)
            .ok_or_else(|| nothing("text without tokens"))?;
        return match dispute.list_leaf(NodeKind::Offsets, u64::from(last / EACH))? {
            Err(act) => Ok(act),
            Ok(leaf) => dispute.list_fault(&leaf, ListFault::Offset(Some(last))),
        };
    }
    match dispute.first_difference(NodeKind::Text)? {
        Err(act) => Ok(act),
        Ok(None) => Err(nothing("no field of the run differs")),
        Ok(Some(leaf)) => {
            let first = leaf.index * TEXT_LEAF_BYTES as u64;
            let own = dispute.own_leaves(NodeKind::Text)?.get(leaf.index as usize);
            let own = own.map_or(&[][..], Vec::as_slice);
            let differs = leaf.bytes.iter().zip(own).position(|(a, b)| a != b);
            let byte = first + differs.unwrap_or(0) as u64;
            if byte >= record.text_length {
                return dispute.list_fault(&leaf, ListFault::TextPadding);
            }
            let offsets = &dispute.answer.runs[usize::from(dispute.run)].offsets;
            // Pieces may be empty: the last that starts there has the byte.
            let token = offsets.partition_point(|offset| u64::from(*offset) <= byte);
            let token = token.saturating_sub(1) as u32;
            dispute.list_fault(&leaf, ListFault::Text { byte, token })
        }
    }
}

impl RunDispute<'_> {
    /// The proof of a fault of a list, at the node that holds the leaf.
    fn list_fault(&self, _leaf: &ListLeaf<'_>, fault: ListFault) -> Result<Move, Error> {
        Err(nothing(&format!("{fault:?}")))
    }
}
