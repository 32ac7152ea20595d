//! Witnesses, as `TokenFaults.sol` takes them, and how they are made.
#![allow(missing_docs)] // the macro's

use alloy_sol_types::{SolValue, sol};

use super::{EACH, Lists, fresh, in_node, number};
use crate::Error;
use crate::constants::TOKENIZER_FLAG_STRIP_AFTER_BOS;
use crate::dispute::abi::{Leaf, Run};
use crate::dispute::faults::prompt::TokenizerBook;
use crate::dispute::faults::prompt::abi::{Entry, Tokenizer};
use crate::dispute::faults::span::no_leaf;
use crate::dispute::position::NodeKind;

sol! {
    /// 32, 34, 36: a leaf of the node, whose elements or filling are wrong.
    #[derive(Debug, PartialEq, Eq)]
    struct Filling {
        uint32 index; // in its tree
        Leaf leaf; // in the node
    }

    /// 33.
    #[derive(Debug, PartialEq, Eq)]
    struct Stop {
        uint32 place; // of the token in the run
        Leaf tokens; // in the node
    }

    /// A new token with all that its piece depends on.
    #[derive(Debug, PartialEq, Eq)]
    struct Piece {
        uint32 place; // of the token in the run
        Leaf offsets; // with its offset
        Leaf tokens; // to the tokens root
        Leaf previous; // with the token before; used with flag 3 and when another leaf has it
        Tokenizer tokenizer;
        Entry entry; // of the token
    }

    /// 35. The offset's leaf is in the node; of a first offset that is not 0 nothing else is read.
    #[derive(Debug, PartialEq, Eq)]
    struct Offset {
        Piece piece;
        Leaf next; // with the next offset, to the offsets root; used when another leaf has it
    }

    /// 37. The offset's leaf leads to the offsets root.
    #[derive(Debug, PartialEq, Eq)]
    struct Text {
        Piece piece;
        uint32 index; // of the text's leaf
        Leaf text; // in the node
    }
}

/// Of faults 32, 34 and 36: a leaf with its path to the node.
#[must_use]
pub fn filling(index: u32, leaf: Leaf) -> Vec<u8> {
    Filling { index, leaf }.abi_encode()
}

/// Of fault 33: the token's leaf with its path to the node.
#[must_use]
pub fn stop(place: u32, tokens: Leaf) -> Vec<u8> {
    Stop { place, tokens }.abi_encode()
}

/// Of fault 35, for new token `i`; `height` is the node's.
///
/// # Errors
/// As [`Lists::open`].
pub fn offset(
    run: &Run,
    lists: &mut dyn Lists,
    book: &TokenizerBook<'_>,
    i: u32,
    height: u8,
) -> Result<Vec<u8>, Error> {
    let mut piece = piece(run, lists, book, i)?;
    piece.offsets = in_node(&piece.offsets, height);
    let last = fresh(run).is_none_or(|fresh| i + 1 >= fresh);
    let next = if !last && (i + 1).is_multiple_of(EACH as u32) {
        lists.open(NodeKind::Offsets, leaf_of(i + 1))?
    } else {
        no_leaf()
    };
    Ok(Offset { piece, next }.abi_encode())
}

/// Of fault 37, for new token `i` and leaf `index` of the text; `height` is the node's.
///
/// # Errors
/// As [`Lists::open`].
pub fn text(
    run: &Run,
    lists: &mut dyn Lists,
    book: &TokenizerBook<'_>,
    i: u32,
    index: u32,
    height: u8,
) -> Result<Vec<u8>, Error> {
    let text = in_node(&lists.open(NodeKind::Text, index.into())?, height);
    let piece = piece(run, lists, book, i)?;
    Ok(Text { piece, index, text }.abi_encode())
}

/// New token `i` with all leaves up to their roots.
fn piece(
    run: &Run,
    lists: &mut dyn Lists,
    book: &TokenizerBook<'_>,
    i: u32,
) -> Result<Piece, Error> {
    let place = run.nPrompt.saturating_add(i);
    let tokens = lists.open(NodeKind::Tokens, leaf_of(place))?;
    let strips = book.record().flags & TOKENIZER_FLAG_STRIP_AFTER_BOS != 0;
    let previous = if strips && place > 0 && place.is_multiple_of(EACH as u32) {
        lists.open(NodeKind::Tokens, leaf_of(place - 1))?
    } else {
        no_leaf()
    };
    // A token outside the vocabulary has no entry, and needs none.
    let token = number(&tokens.data, place).unwrap_or(u32::MAX);
    let entry = if token < book.record().vocabulary {
        book.entry(token)?
    } else {
        Entry::default()
    };
    Ok(Piece {
        place,
        offsets: lists.open(NodeKind::Offsets, leaf_of(i))?,
        tokens,
        previous,
        tokenizer: book.fields(),
        entry,
    })
}

/// The leaf that holds number `i` of a list.
pub(crate) fn leaf_of(i: u32) -> u64 {
    u64::from(i) / EACH as u64
}
