//! Witnesses of a choice's faults, as `SelectionFaults.sol` takes them, and how they are made.
#![allow(missing_docs)] // the macro's

use alloy_sol_types::{SolValue, sol};

use super::Site;
use crate::Error;
use crate::constants::{PART_GROUPS, PART_SUMS};
use crate::dispute::abi::{Leaf, Row};
use crate::dispute::faults::span;
use crate::dispute::parts::Parts;
use crate::dispute::source::TraceSource;

sol! {
    /// 80.
    #[derive(Debug, PartialEq, Eq)]
    struct Argmax {
        uint32 place; // of the claimed token
        uint32 beater; // the token that beats it
        Leaf tokens; // in the node
        Row row; // of the logits: the one before the place
        Leaf beaterLogits; // to the row's root
        Leaf claimedLogits; // beside it
    }

    /// 81.
    #[derive(Debug, PartialEq, Eq)]
    struct Best {
        bytes contents; // of the node: its head and the root of its groups
        uint32 beater; // the rest is empty when best is not below the vocabulary size
        Row row;
        Leaf beaterLogits;
        Leaf bestLogits; // beside it
    }

    /// 82.
    #[derive(Debug, PartialEq, Eq)]
    struct Choice {
        bytes contents; // of the node
        Leaf tokens; // with the claimed token, to the run's tokens root
        Row row;
        Leaf bestLogits;
        Leaf claimedLogits; // beside it
    }

    /// 83.
    #[derive(Debug, PartialEq, Eq)]
    struct GroupSum {
        bytes contents; // of the node
        Leaf selection; // head and group of the parent
    }

    /// 84.
    #[derive(Debug, PartialEq, Eq)]
    struct LeafSum {
        Leaf contents; // part of the node
        bytes selection; // of the parent: its head and the root of its groups
        uint32 index; // of the sum in the group
        Leaf tokens; // with the claimed token, to the run's tokens root; component 6 only, else empty
        Row row;
        Leaf bestLogits;
        Leaf logits; // beside it
    }
}

impl Site {
    fn leaf_with(&self, source: &mut dyn TraceSource, token: u32) -> Result<Leaf, Error> {
        let (leaf, _) = self.logits.leaf_of(token)?;
        span::open(source, self.row, leaf, 1)
    }

    fn leaf_beside(
        &self,
        source: &mut dyn TraceSource,
        token: u32,
        other: u32,
    ) -> Result<Leaf, Error> {
        let (leaf, _) = self.logits.leaf_of(token)?;
        let (other, _) = self.logits.leaf_of(other)?;
        span::open_beside(source, self.row, leaf, 1, other)
    }

    /// Fault 80: `beater` beats `claimed`, whose leaf in the node is `tokens`.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn argmax_witness(
        &self,
        source: &mut dyn TraceSource,
        tokens: Leaf,
        claimed: u32,
        beater: u32,
    ) -> Result<Vec<u8>, Error> {
        Ok(Argmax {
            place: self.row + 1,
            beater,
            tokens,
            row: span::open_row(source, self.row)?,
            beaterLogits: self.leaf_with(source, beater)?,
            claimedLogits: self.leaf_beside(source, claimed, beater)?,
        }
        .abi_encode())
    }

    /// Fault 81.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn best_witness(
        &self,
        source: &mut dyn TraceSource,
        contents: &[u8],
        best: u32,
        beater: u32,
    ) -> Result<Vec<u8>, Error> {
        let (row, beater_logits, best_logits) = if best < self.groups.vocabulary {
            (
                span::open_row(source, self.row)?,
                self.leaf_with(source, beater)?,
                self.leaf_beside(source, best, beater)?,
            )
        } else {
            (span::no_row(), span::no_leaf(), span::no_leaf())
        };
        Ok(Best {
            contents: Parts::SELECTION.head_and_root(contents).into(),
            beater,
            row,
            beaterLogits: beater_logits,
            bestLogits: best_logits,
        }
        .abi_encode())
    }

    /// Fault 82; `tokens` is the claimed token's leaf, to the run's tokens root.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn choice_witness(
        &self,
        source: &mut dyn TraceSource,
        contents: &[u8],
        tokens: Leaf,
        best: u32,
        claimed: u32,
    ) -> Result<Vec<u8>, Error> {
        Ok(Choice {
            contents: contents.to_vec().into(),
            tokens,
            row: span::open_row(source, self.row)?,
            bestLogits: self.leaf_with(source, best)?,
            claimedLogits: self.leaf_beside(source, claimed, best)?,
        }
        .abi_encode())
    }

    /// Fault 84 of sum `index` of a group; `tokens` as for fault 82, used for component 6 only.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn leaf_sum_witness(
        &self,
        source: &mut dyn TraceSource,
        (contents, selection): (&[u8], &[u8]),
        (which, group, index): (u32, u32, u32),
        tokens: Leaf,
        best: u32,
    ) -> Result<Vec<u8>, Error> {
        let token = self.groups.summed(group, index).start;
        Ok(LeafSum {
            contents: Parts::GROUP.open(contents, index as usize / PART_SUMS)?,
            selection: Parts::SELECTION.head_and_root(selection).into(),
            index,
            tokens: if which == 6 { tokens } else { span::no_leaf() },
            row: span::open_row(source, self.row)?,
            bestLogits: self.leaf_with(source, best)?,
            logits: self.leaf_beside(source, token, best)?,
        }
        .abi_encode())
    }
}

/// Fault 83 of a group.
///
/// # Errors
/// The selection has no such group.
pub fn group_sum_witness(group: u32, contents: &[u8], selection: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(GroupSum {
        contents: contents.to_vec().into(),
        selection: Parts::SELECTION.open(selection, group as usize / PART_GROUPS)?,
    }
    .abi_encode())
}
