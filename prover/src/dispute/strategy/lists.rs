//! Faults of tokens, offsets and text.

use super::Move;
use super::run::{ListLeaf, RunDispute};
use super::step::{nothing, prove};
use crate::Error;
use crate::constants::TOKEN_LEAF_ELEMENTS;
use crate::dispute::abi::Leaf;
use crate::dispute::faults::prompt::TokenizerBook;
use crate::dispute::faults::tokens::Lists;
use crate::dispute::faults::tokens::find::Lister;
use crate::dispute::position::NodeKind;
use crate::dispute::results::abi_run;

/// Numbers of a leaf.
const EACH: u32 = TOKEN_LEAF_ELEMENTS as u32;

/// The claim's lists as far as they are known, and the first leaf that was asked for and is not.
struct ClaimedLists<'d, 'v> {
    dispute: &'d RunDispute<'v>,
    missing: Option<(NodeKind, u64)>,
}

impl Lists for ClaimedLists<'_, '_> {
    fn open(&mut self, kind: NodeKind, index: u64) -> Result<Leaf, Error> {
        let opened = self
            .dispute
            .claimed_list(kind, |tree| tree.open_to_root(index));
        if opened.is_err() {
            self.missing.get_or_insert((kind, index));
        }
        opened
    }
}

/// What a finder says of a leaf.
type Found = Option<(u8, Vec<u8>)>;

impl RunDispute<'_> {
    /// A fault that a leaf of tokens shows by itself.
    pub(super) fn token_fault(&self, leaf: &ListLeaf<'_>) -> Result<Option<Move>, Error> {
        let found = self.lister(|lister| {
            let index = u32::try_from(leaf.index).unwrap_or(u32::MAX);
            Ok(lister.find_in_tokens(index, &leaf.in_node))
        })?;
        Ok(found.map(|(fault, witness)| prove(leaf.node.key, fault, witness)))
    }

    /// Of two lists of tokens one ends where the other goes on: there is a stop token, or there should be one. Or only the finish differs.
    pub(super) fn end_fault(&self) -> Result<Move, Error> {
        let end = self.record.n_tokens.min(self.own.n_tokens);
        let leaf = end.saturating_sub(1) / EACH;
        match self.list_leaf(NodeKind::Tokens, leaf.into())? {
            Err(act) => Ok(act),
            Ok(leaf) => self
                .token_fault(&leaf)?
                .ok_or_else(|| nothing("the tokens end rightly")),
        }
    }

    /// The tokens are the same: what else of the run differs.
    pub(super) fn after_tokens(&self) -> Result<Move, Error> {
        if self.record.finish != self.own.finish {
            return self.end_fault();
        }
        match self.first_difference(NodeKind::Offsets)? {
            Err(act) => return Ok(act),
            Ok(Some(leaf)) => {
                if let Some(found) = self.offset_fault(&leaf)? {
                    return Ok(found);
                }
                // All from the leaf's first offset on is moved: the one before shows it.
                let before = leaf
                    .index
                    .checked_sub(1)
                    .ok_or_else(|| nothing("the offsets are right"))?;
                return self.offsets_leaf(before);
            }
            Ok(None) => {}
        }
        if self.record.text_length != self.own.text_length {
            let last = self
                .record
                .n_tokens
                .saturating_sub(self.record.n_prompt + 1);
            return self.offsets_leaf(u64::from(last / EACH));
        }
        match self.first_difference(NodeKind::Text)? {
            Err(act) => Ok(act),
            Ok(None) => Err(nothing("no field of the run differs")),
            Ok(Some(leaf)) => self
                .text_fault(&leaf)?
                .ok_or_else(|| nothing("the text is right")),
        }
    }

    /// The fault of a leaf of offsets that has one.
    fn offsets_leaf(&self, index: u64) -> Result<Move, Error> {
        match self.list_leaf(NodeKind::Offsets, index)? {
            Err(act) => Ok(act),
            Ok(leaf) => self
                .offset_fault(&leaf)?
                .ok_or_else(|| nothing("the offsets are right")),
        }
    }

    fn offset_fault(&self, leaf: &ListLeaf<'_>) -> Result<Option<Move>, Error> {
        self.fault_in(leaf, |lister, lists, index, height| {
            lister.find_in_offsets(lists, index, height)
        })
    }

    fn text_fault(&self, leaf: &ListLeaf<'_>) -> Result<Option<Move>, Error> {
        self.fault_in(leaf, |lister, lists, index, height| {
            lister.find_in_text(lists, index, height)
        })
    }

    /// What a finder finds in a leaf; or what has to be opened for it.
    fn fault_in(
        &self,
        leaf: &ListLeaf<'_>,
        find: impl FnOnce(&Lister<'_>, &mut dyn Lists, u32, u8) -> Result<Found, Error>,
    ) -> Result<Option<Move>, Error> {
        let mut lists = ClaimedLists {
            dispute: self,
            missing: None,
        };
        let index = u32::try_from(leaf.index).unwrap_or(u32::MAX);
        let height = leaf.node.position.height;
        let found = self.lister(|lister| find(lister, &mut lists, index, height));
        if let (Err(_), Some((kind, index))) = (&found, lists.missing)
            && let Err(act) = self.list_leaf(kind, index)?
        {
            return Ok(Some(act));
        }
        Ok(found?.map(|(fault, witness)| prove(leaf.node.key, fault, witness)))
    }

    fn lister(
        &self,
        find: impl FnOnce(&Lister<'_>) -> Result<Found, Error>,
    ) -> Result<Found, Error> {
        let model = &self.model.model;
        find(&Lister {
            run: &abi_run(&self.record),
            book: &TokenizerBook::of(model.tokenizer())?,
            vocabulary: model.program().vocab_size(),
            stop_tokens: model.program().stop_tokens(),
        })
    }
}
