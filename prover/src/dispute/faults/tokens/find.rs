//! The fault that a revealed leaf of a list shows, if any.
//!
//! Whoever goes on from here knows that everything before is right: of tokens that the trace chose them, of offsets the tokens, of a text both.

use super::witness::{filling, leaf_of, offset, stop, text};
use super::{EACH, LEAF_BYTES, Lists, ends, fresh, in_node, number};
use crate::Error;
use crate::constants::{
    FAULT_OFFSET, FAULT_OFFSET_PADDING, FAULT_STOP, FAULT_TEXT, FAULT_TEXT_PADDING, FAULT_TOKEN,
};
use crate::dispute::abi::{Leaf, Run};
use crate::dispute::faults::prompt::TokenizerBook;
use crate::dispute::position::NodeKind;

/// A run, and the tables that its pieces are from.
#[derive(Debug, Clone, Copy)]
pub struct Lister<'a> {
    /// What the claim says.
    pub run: &'a Run,
    /// The tokenizer.
    pub book: &'a TokenizerBook<'a>,
    /// Tokens of the program's vocabulary.
    pub vocabulary: u32,
    /// The program's stop tokens.
    pub stop_tokens: &'a [u32],
}

impl Lister<'_> {
    /// Of leaf `index` of the tokens: fault 32 or 33. `leaf` has its path to the node.
    #[must_use]
    pub fn find_in_tokens(&self, index: u32, leaf: &Leaf) -> Option<(u8, Vec<u8>)> {
        let first = index.checked_mul(EACH as u32)?;
        let end = self.run.nTokens.min(first.saturating_add(EACH as u32));
        let unfilled = not_filled(leaf, u64::from(index), 4 * u64::from(self.run.nTokens));
        let outside =
            |place| number(&leaf.data, place).is_none_or(|token| token >= self.vocabulary);
        if unfilled || (first..end).any(outside) {
            return Some((FAULT_TOKEN, filling(index, leaf.clone())));
        }
        let place = (first.max(self.run.nPrompt)..end).find(|place| {
            let token = number(&leaf.data, *place);
            let stops = token.is_some_and(|token| self.stop_tokens.contains(&token));
            *place > 0 && stops != ends(self.run, *place)
        })?;
        Some((FAULT_STOP, stop(place, leaf.clone())))
    }

    /// Of leaf `index` of the offsets: fault 34 or 35. `height` is the node's.
    ///
    /// # Errors
    /// As [`Lists::open`].
    pub fn find_in_offsets(
        &self,
        lists: &mut dyn Lists,
        index: u32,
        height: u8,
    ) -> Result<Option<(u8, Vec<u8>)>, Error> {
        let leaf = lists.open(NodeKind::Offsets, index.into())?;
        let count = fresh(self.run).unwrap_or(0);
        if not_filled(&leaf, index.into(), 4 * u64::from(count)) {
            let witness = filling(index, in_node(&leaf, height));
            return Ok(Some((FAULT_OFFSET_PADDING, witness)));
        }
        let first = index.saturating_mul(EACH as u32);
        for i in first..count.min(first.saturating_add(EACH as u32)) {
            let start = number(&leaf.data, i).unwrap_or(u32::MAX);
            let next = if i + 1 == count {
                self.run.textLength
            } else {
                let other;
                let holder = if leaf_of(i + 1) == u64::from(index) {
                    &leaf
                } else {
                    other = lists.open(NodeKind::Offsets, leaf_of(i + 1))?;
                    &other
                };
                // A leaf of another length is a fault of its own.
                match number(&holder.data, i + 1) {
                    Some(next) => next.into(),
                    None => continue,
                }
            };
            let length = self.piece(lists, i)?.len() as u64;
            if (i == 0 && start != 0) || u64::from(start) + length != next {
                let witness = offset(self.run, lists, self.book, i, height)?;
                return Ok(Some((FAULT_OFFSET, witness)));
            }
        }
        Ok(None)
    }

    /// Of leaf `index` of the text: fault 36 or 37, when the offsets are right. `height` is the node's.
    ///
    /// # Errors
    /// As [`Lists::open`].
    pub fn find_in_text(
        &self,
        lists: &mut dyn Lists,
        index: u32,
        height: u8,
    ) -> Result<Option<(u8, Vec<u8>)>, Error> {
        let leaf = lists.open(NodeKind::Text, index.into())?;
        if not_filled(&leaf, index.into(), self.run.textLength) {
            let witness = filling(index, in_node(&leaf, height));
            return Ok(Some((FAULT_TEXT_PADDING, witness)));
        }
        let first = u64::from(index) * LEAF_BYTES as u64;
        let end = self.run.textLength.min(first + LEAF_BYTES as u64);
        let mut i = self.first_at(lists, first)?;
        let count = fresh(self.run).unwrap_or(0);
        while i < count {
            let start = u64::from(self.offset(lists, i)?);
            if start >= end {
                break;
            }
            let piece = self.piece(lists, i)?;
            let wrong = (start..).zip(&piece).any(|(at, byte)| {
                let claimed = at
                    .checked_sub(first)
                    .and_then(|at| leaf.data.get(at as usize));
                at < end && claimed.is_some_and(|claimed| claimed != byte)
            });
            if wrong {
                let witness = text(self.run, lists, self.book, i, index, height)?;
                return Ok(Some((FAULT_TEXT, witness)));
            }
            i += 1;
        }
        Ok(None)
    }

    /// The last new token whose piece starts at `at` or before it, by bisection of the offsets, which rise.
    fn first_at(&self, lists: &mut dyn Lists, at: u64) -> Result<u32, Error> {
        let (mut low, mut high) = (0, fresh(self.run).unwrap_or(0));
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if u64::from(self.offset(lists, middle)?) <= at {
                low = middle;
            } else {
                high = middle;
            }
        }
        // Empty pieces may stand at the same byte before it; they have nothing there.
        Ok(low)
    }

    fn offset(&self, lists: &mut dyn Lists, i: u32) -> Result<u32, Error> {
        let leaf = lists.open(NodeKind::Offsets, leaf_of(i))?;
        Ok(number(&leaf.data, i).unwrap_or(u32::MAX))
    }

    /// What new token `i` adds to the text.
    fn piece(&self, lists: &mut dyn Lists, i: u32) -> Result<Vec<u8>, Error> {
        let place = self.run.nPrompt.saturating_add(i);
        if ends(self.run, place) {
            return Ok(Vec::new());
        }
        let mut token = |place: u32| -> Result<u32, Error> {
            let leaf = lists.open(NodeKind::Tokens, leaf_of(place))?;
            Ok(number(&leaf.data, place).unwrap_or(u32::MAX))
        };
        let previous = token(place.saturating_sub(1))?;
        let tokenizer = self.book.tokenizer();
        Ok(tokenizer.piece(Some(previous), token(place)?).into_owned())
    }
}

/// Whether leaf `index` of a list of `length` bytes has another length than 256, or bytes past the list's end.
fn not_filled(leaf: &Leaf, index: u64, length: u64) -> bool {
    let used = length.saturating_sub(index * LEAF_BYTES as u64);
    let used = usize::try_from(used).unwrap_or(usize::MAX);
    leaf.data.len() != LEAF_BYTES || leaf.data.iter().skip(used).any(|byte| *byte != 0)
}
