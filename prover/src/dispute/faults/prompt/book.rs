//! A tokenizer's committed tables, for openings.

use std::collections::HashMap;

use sworn_inference::tokenizer::{NONE, TokenType, Tokenizer};

use super::abi;
use crate::commitment::{merge_leaf, token_leaf, tokenizer_record};
use crate::constants::MERGE_LEAF_ENTRIES;
use crate::merkle::Tree;
use crate::record::TokenizerRecord;
use crate::{Digest, Error};

/// A tokenizer with the trees over its tables.
#[derive(Debug)]
pub struct TokenizerBook<'a> {
    tokenizer: &'a Tokenizer,
    record: TokenizerRecord,
    table: Tree,
    merges: Tree,
    /// NORMAL tokens by what they read as; of equal ones the lowest id.
    normal: HashMap<Vec<u8>, u32>,
    /// The token of each byte; of equal ones the lowest id.
    bytes: Vec<u32>,
}

impl<'a> TokenizerBook<'a> {
    /// Hashes the tables.
    ///
    /// # Errors
    /// As [`tokenizer_record`].
    pub fn of(tokenizer: &'a Tokenizer) -> Result<TokenizerBook<'a>, Error> {
        let mut table = Vec::new();
        let mut normal = HashMap::new();
        let mut bytes = vec![NONE; 256];
        for id in 0..tokenizer.vocab_size() {
            let entry = tokenizer.token(id);
            table.push(Digest::of(&token_leaf(&entry)?));
            let text = tokenizer.piece(None, id);
            match (entry.token_type, &text[..]) {
                (TokenType::Normal, text) => {
                    normal.entry(text.to_vec()).or_insert(id);
                }
                (TokenType::Byte, [byte]) => {
                    let slot = &mut bytes[usize::from(*byte)];
                    *slot = id.min(*slot);
                }
                _ => {}
            }
        }
        let merges = tokenizer.merges().chunks(MERGE_LEAF_ENTRIES);
        Ok(TokenizerBook {
            tokenizer,
            record: tokenizer_record(tokenizer)?,
            table: Tree::new(table),
            merges: Tree::new(
                merges
                    .map(|merges| Digest::of(&merge_leaf(merges)))
                    .collect(),
            ),
            normal,
            bytes,
        })
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &'a Tokenizer {
        self.tokenizer
    }

    /// Its record.
    #[must_use]
    pub fn record(&self) -> &TokenizerRecord {
        &self.record
    }

    /// What a token reads as, without the rule of flag 3.
    pub(super) fn reading(&self, token: u32) -> Vec<u8> {
        self.tokenizer.piece(None, token).into_owned()
    }

    /// The NORMAL token with this text; of equal ones the lowest id.
    pub(super) fn normal(&self, text: &[u8]) -> Option<u32> {
        self.normal.get(text).copied()
    }

    /// The byte token of a byte; of equal ones the lowest id.
    pub(super) fn byte(&self, byte: u8) -> u32 {
        self.bytes[usize::from(byte)]
    }

    /// The number of a pair in the merge table.
    pub(super) fn merge(&self, left: u32, right: u32) -> Option<u32> {
        let merges = self.tokenizer.merges();
        let found = merges.binary_search_by_key(&(left, right), |merge| (merge.left, merge.right));
        found.ok().map(|index| index as u32)
    }

    /// The record's fields, as witnesses have them.
    #[must_use]
    pub fn fields(&self) -> abi::Tokenizer {
        let record = &self.record;
        abi::Tokenizer {
            kind: record.kind,
            flags: record.flags,
            bos: record.bos,
            vocabulary: record.vocabulary,
            tableRoot: record.table_root.0.into(),
            mergesRoot: record.merges_root.0.into(),
            mergeCount: record.merge_count,
        }
    }

    /// The opening of a token.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`].
    pub fn entry(&self, token: u32) -> Result<abi::Entry, Error> {
        // The tree may have room for more.
        if token >= self.record.vocabulary {
            return Err(Error::IndexOutOfRange {
                what: "tokens",
                found: token.into(),
                expected: self.record.vocabulary.into(),
            });
        }
        let path = self.table.path(token.into())?;
        let entry = self.tokenizer.token(token);
        Ok(abi::Entry {
            kind: entry.token_type as u8,
            left: entry.left,
            right: entry.right,
            rank: entry.rank,
            piece: entry.bytes.to_vec().into(),
            path: words(&path),
        })
    }

    /// The opening of the leaf of merge number `index`.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`].
    pub fn merges_leaf(&self, index: u32) -> Result<abi::Leaf, Error> {
        let leaf = index as usize / MERGE_LEAF_ENTRIES;
        let path = self.merges.path(leaf as u64)?;
        let merges = self.tokenizer.merges().chunks(MERGE_LEAF_ENTRIES).nth(leaf);
        Ok(abi::Leaf {
            data: merge_leaf(merges.unwrap_or_default()).to_vec().into(),
            path: words(&path),
        })
    }
}

/// Digests as ABI words.
pub(super) fn words(path: &[Digest]) -> Vec<alloy_primitives::B256> {
    path.iter().map(|digest| digest.0.into()).collect()
}
