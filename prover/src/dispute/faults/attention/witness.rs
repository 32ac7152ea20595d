//! Witnesses of attention's faults, as `AttentionFaults.sol` takes them, and how they are made.
#![allow(missing_docs)] // the macro's

use alloy_sol_types::{SolValue, sol};

use super::{Site, TILE, positions_of};
use crate::Error;
use crate::constants::{PART_SUMS, RUN_ADDENDS};
use crate::dispute::abi::{Leaf, Row};
use crate::dispute::faults::span;
use crate::dispute::parts::Parts;
use crate::dispute::position::NodeKind;
use crate::dispute::source::TraceSource;

sol! {
    /// What a score is made from.
    #[derive(Debug, PartialEq, Eq)]
    struct Score {
        Row row; // of the query
        Leaf query; // span of the leaves with the head's query, to the row's root
        Row keyRow; // of the position; empty if that is the query's row
        Leaf keys; // span of the leaves with the head's keys, to that row's root
    }

    /// 64 of any attention leaf: it has not 256 bytes, or `element`, past the last, is not 0; or of `attn_max`: a head's maximum is not that of the scores.
    #[derive(Debug, PartialEq, Eq)]
    struct Element {
        uint32 row;
        uint32 step;
        uint32 element;
        Leaf leaf; // in the node
        uint32 position; // where the score is; the rest serves maxima whose position is not past the row, and is empty else
        Score score;
    }

    /// 65.
    #[derive(Debug, PartialEq, Eq)]
    struct Combine {
        bytes contents; // of the node; of a tile its running sums and the root of its runs
        Leaf element; // in the parent
        Row row; // attn_mix only, else empty
        Leaf sum; // attn_mix only, to the row's root, else empty
    }

    /// 67.
    #[derive(Debug, PartialEq, Eq)]
    struct Addends {
        Leaf contents; // running sums and a run; for the last sum the running sums and the root, and no path
        uint32 index; // of the run; the number of runs for the last sum, which is to be the total
        Leaf totals; // part of the parent; for the last sum only, else empty
    }

    /// 68.
    #[derive(Debug, PartialEq, Eq)]
    struct Weight {
        Leaf contents; // running sums and the run
        uint32 index; // in the tile
        Leaf maxima; // to the root of the score's row
        Score score; // the query beside the maxima
    }

    /// 69.
    #[derive(Debug, PartialEq, Eq)]
    struct Value {
        Leaf contents; // running sums and the run
        uint32 index; // in the tile
        Row row; // of the position
        Leaf values; // to that row's root
    }
}

/// Where an element stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The row.
    pub row: u32,
    /// The element of the step's output.
    pub element: u32,
}

impl Site {
    fn span(
        &self,
        source: &mut dyn TraceSource,
        row: u32,
        step: &super::Step,
        start: u32,
        count: u32,
    ) -> Result<Leaf, Error> {
        let (first, _) = step.leaf_of(start)?;
        let (last, _) = step.leaf_of(start + count - 1)?;
        span::open(source, row, first, last - first + 1)
    }

    /// What the score of a head at `position` is made from; the query is opened beside leaf `other` of its row.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn open_score(
        &self,
        source: &mut dyn TraceSource,
        row: u32,
        head: u32,
        position: u32,
        other: Option<u32>,
    ) -> Result<Score, Error> {
        let dim = self.head_dim();
        let query = match other {
            Some(other) => {
                let (first, _) = self.query.leaf_of(head * dim)?;
                let (last, _) = self.query.leaf_of(head * dim + dim - 1)?;
                span::open_beside(source, row, first, last - first + 1, other)?
            }
            None => self.span(source, row, &self.query, head * dim, dim)?,
        };
        Ok(Score {
            row: span::open_row(source, row)?,
            query,
            keyRow: if position == row {
                span::no_row()
            } else {
                span::open_row(source, position)?
            },
            keys: self.span(source, position, &self.keys, self.key_start(head), dim)?,
        })
    }

    /// Fault 64. `claimed` is the leaf in its node; `position` is where to make a score, none for bytes that hold no element and for a maximum
    /// whose position is past the row.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn element_witness(
        &self,
        source: &mut dyn TraceSource,
        at: Place,
        claimed: Leaf,
        position: Option<u32>,
    ) -> Result<Vec<u8>, Error> {
        let score = match position {
            Some(position) => self.open_score(source, at.row, at.element, position, None)?,
            None => Score {
                row: span::no_row(),
                query: span::no_leaf(),
                keyRow: span::no_row(),
                keys: span::no_leaf(),
            },
        };
        Ok(Element {
            row: at.row,
            step: self.step.number,
            element: at.element,
            leaf: claimed,
            position: position.unwrap_or(0),
            score,
        }
        .abi_encode())
    }

    /// How a tile's contents are cut.
    #[must_use]
    pub fn tile_parts(&self, row: u32, tile: u32) -> Parts {
        Parts::tile(positions_of(row, tile).len(), self.addend_bytes())
    }

    fn run_with(&self, row: u32, tile: u32, contents: &[u8], index: u32) -> Result<Leaf, Error> {
        let parts = self.tile_parts(row, tile);
        parts.open(contents, index as usize / RUN_ADDENDS)
    }

    /// Fault 65; `claimed` is the element's leaf in the parent. The contents are those of the totals or of the one tile.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn combine_witness(
        &self,
        source: &mut dyn TraceSource,
        at: Place,
        kind: NodeKind,
        contents: &[u8],
        claimed: Leaf,
    ) -> Result<Vec<u8>, Error> {
        let (row, sum) = if self.values.is_some() {
            let head = self.head_of(at.element);
            (
                span::open_row(source, at.row)?,
                self.span(source, at.row, &self.sums, head, 1)?,
            )
        } else {
            (span::no_row(), span::no_leaf())
        };
        let contents = match kind {
            NodeKind::Tile => self.tile_parts(at.row, 0).head_and_root(contents),
            _ => contents.to_vec(),
        };
        Ok(Combine {
            contents: contents.into(),
            element: claimed,
            row,
            sum,
        }
        .abi_encode())
    }

    /// Fault 67 of a run, whose sum does not follow from the one before.
    ///
    /// # Errors
    /// The tile has no such run.
    pub fn run_witness(
        &self,
        row: u32,
        tile: u32,
        contents: &[u8],
        run: u32,
    ) -> Result<Vec<u8>, Error> {
        let parts = self.tile_parts(row, tile);
        Ok(Addends {
            contents: parts.open(contents, run as usize)?,
            index: run,
            totals: span::no_leaf(),
        }
        .abi_encode())
    }

    /// Fault 67 of the last running sum, which is not the total.
    ///
    /// # Errors
    /// The totals have no such tile.
    pub fn last_sum_witness(
        &self,
        row: u32,
        tile: u32,
        contents: &[u8],
        totals: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let parts = self.tile_parts(row, tile);
        Ok(Addends {
            contents: Leaf {
                data: parts.head_and_root(contents).into(),
                path: Vec::new(),
            },
            index: (parts.head / 4) as u32,
            totals: Parts::TOTALS.open(totals, tile as usize / PART_SUMS)?,
        }
        .abi_encode())
    }

    /// Fault 68 of addend `index` of a tile.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn weight_witness(
        &self,
        source: &mut dyn TraceSource,
        at: Place,
        tile: u32,
        contents: &[u8],
        index: u32,
    ) -> Result<Vec<u8>, Error> {
        let head = self.head_of(at.element);
        let (maxima, _) = self.maxima.leaf_of(head)?;
        Ok(Weight {
            contents: self.run_with(at.row, tile, contents, index)?,
            index,
            maxima: self.span(source, at.row, &self.maxima, head, 1)?,
            score: self.open_score(source, at.row, head, tile * TILE + index, Some(maxima))?,
        }
        .abi_encode())
    }

    /// Fault 69 of addend `index` of a tile.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`]; the step is no `attn_mix`.
    pub fn value_witness(
        &self,
        source: &mut dyn TraceSource,
        at: Place,
        tile: u32,
        contents: &[u8],
        index: u32,
    ) -> Result<Vec<u8>, Error> {
        let values = self.values.ok_or(Error::Mismatch {
            what: "operation of the step",
            found: self.step.op as u64,
            expected: super::Op::AttnMix as u64,
        })?;
        let position = tile * TILE + index;
        Ok(Value {
            contents: self.run_with(at.row, tile, contents, index)?,
            index,
            row: span::open_row(source, position)?,
            values: self.span(source, position, &values, self.value_of(at.element), 1)?,
        }
        .abi_encode())
    }
}
