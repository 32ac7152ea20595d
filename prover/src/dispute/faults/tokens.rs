//! Faults of a run's tokens, offsets and text (`prover/SPEC.md` sections 5, 7 and 10.3).
//!
//! | fault | node | witness |
//! |---|---|---|
//! | 32 token, 34 offset_padding, 36 text_padding | tokens, offsets, text | [`witness::Filling`] |
//! | 33 stop | tokens | [`witness::Stop`] |
//! | 35 offset | offsets | [`witness::Offset`] |
//! | 37 text | text | [`witness::Text`] |

pub mod find;
pub mod judge;
pub mod witness;

use crate::Error;
use crate::constants::{FINISH_STOP, TEXT_LEAF_BYTES, TOKEN_LEAF_ELEMENTS};
use crate::dispute::abi::{Leaf, Run};
use crate::dispute::position::NodeKind;
use crate::dispute::results::{RunLeaves, word};

/// Numbers of a leaf.
pub(crate) const EACH: usize = TOKEN_LEAF_ELEMENTS;
/// Bytes of a leaf of any of the three lists.
pub(crate) const LEAF_BYTES: usize = TEXT_LEAF_BYTES;

/// The lists of a run, to be opened.
pub trait Lists {
    /// Leaf `index` of the tokens, offsets or text, with its path to the list's root.
    ///
    /// # Errors
    /// No such leaf, or it is not known.
    fn open(&mut self, kind: NodeKind, index: u64) -> Result<Leaf, Error>;
}

/// Lists that are known as a whole.
impl Lists for RunLeaves {
    fn open(&mut self, kind: NodeKind, index: u64) -> Result<Leaf, Error> {
        let leaves = self.list(kind).unwrap_or_default();
        let data = usize::try_from(index).ok().and_then(|i| leaves.get(i));
        let data = data.ok_or(Error::IndexOutOfRange {
            what: "leaves of a list",
            found: index,
            expected: leaves.len() as u64,
        })?;
        let path = RunLeaves::tree(leaves).path(index)?;
        Ok(Leaf {
            data: data.clone().into(),
            path: path.into_iter().map(word).collect(),
        })
    }
}

/// The leaf with its path up to a node of that height only.
#[must_use]
pub fn in_node(leaf: &Leaf, height: u8) -> Leaf {
    let path = leaf.path.iter().take(height.into()).copied().collect();
    Leaf {
        data: leaf.data.clone(),
        path,
    }
}

/// New tokens of a run; none when its record contradicts itself.
#[must_use]
pub fn fresh(run: &Run) -> Option<u32> {
    run.nTokens.checked_sub(run.nPrompt)
}

/// Number `i` of a list, by its leaf; none for a leaf of another length.
pub(crate) fn number(leaf: &[u8], i: u32) -> Option<u32> {
    let (words, _) = leaf.as_chunks::<4>();
    let word = words.get(i as usize % EACH)?;
    (leaf.len() == LEAF_BYTES).then(|| u32::from_le_bytes(*word))
}

/// Whether the token at `place` is the stop token that ended the run, which has no text.
pub(crate) fn ends(run: &Run, place: u32) -> bool {
    run.finish == FINISH_STOP && place.checked_add(1) == Some(run.nTokens)
}
