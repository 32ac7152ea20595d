//! Faults of a prompt's tokens (`prover/SPEC.md` section 10.5).
//!
//! ```text
//! payload --Layout--> segments with their texts      tokens --walk--> places, and the first token that can't be
//!   places --places--> contents of `prompt` and `starts`
//!   claim's contents --Dispute::next--> what to open, or a fault with its witness --judge--> what `PromptFaults` says of it
//! ```

pub mod abi;
pub mod book;
mod find;
pub mod judge;
pub mod layout;
mod needed;
mod pairs;
pub mod places;
mod walk;
mod witness;

pub use book::TokenizerBook;
pub use find::{Dispute, Next, TokenLeaves};
pub use judge::{Facts, Refusal, judge};
pub use layout::Layout;
pub use places::Place;

use sworn_inference::tokenizer::FLAG_ADD_BOS;

use crate::Error;
use crate::constants::FINISH_TOO_LONG;

/// Whether a run says that its payload is malformed: one prompt token, no other, and `too_long`.
#[must_use]
pub const fn claims_malformed(n_prompt: u32, n_tokens: u32, finish: u8) -> bool {
    n_prompt == 1 && n_tokens == 1 && finish == FINISH_TOO_LONG
}

/// Places of the tokens of a prompt that is right.
///
/// # Errors
/// [`Error::MalformedPayload`], [`Error::Mismatch`] when the tokens are not the payload's.
pub fn honest_places(
    book: &TokenizerBook<'_>,
    payload: &[u8],
    prompt: &[u32],
) -> Result<Vec<Place>, Error> {
    let layout = Layout::of(payload, book.record().flags)?;
    let n_prompt = u32::try_from(prompt.len()).map_err(|_| Error::TooLong {
        what: "prompt",
        found: prompt.len(),
        maximum: u32::MAX as usize,
    })?;
    let walked = walk::walk(book, &layout, n_prompt, &|index| {
        prompt.get(index as usize).copied()
    });
    match walked.end {
        walk::End::Right => Ok(walked.places),
        _ => Err(Error::Mismatch {
            what: "prompt tokens that are right",
            found: walked.places.len() as u64,
            expected: prompt.len() as u64,
        }),
    }
}

/// Places of the tokens of any prompt, as who claims it may give them: each from the length of the token before it, whatever its piece says. Where the payload's
/// text ends before the tokens the last place is repeated. Those of a right prompt are [`honest_places`].
///
/// # Errors
/// [`Error::MalformedPayload`], but for control tokens.
pub fn told_places(
    book: &TokenizerBook<'_>,
    payload: &[u8],
    prompt: &[u32],
) -> Result<Vec<Place>, Error> {
    let layout = Layout::of(payload, book.record().flags)?;
    let mut cursor = layout.first(0);
    let mut places: Vec<Place> = Vec::new();
    for token in prompt {
        let is_first = places.is_empty();
        if is_first && (book.record().flags & FLAG_ADD_BOS != 0 || cursor.is_none()) {
            places.push(Place::BOS);
            continue;
        }
        let Some((segment, place)) = cursor else {
            places.push(places.last().copied().unwrap_or(Place::BOS));
            continue;
        };
        places.push(place);
        // Of a control segment there is no text to go on in.
        let length = layout.text(segment, place).map_or(0, |text| text.len());
        let piece = book.reading(*token).len();
        cursor = if place.offset() + piece < length {
            let within = place.within + piece as u32;
            Some((segment, Place { within, ..place }))
        } else {
            layout.first(segment + 1)
        };
    }
    Ok(places)
}
