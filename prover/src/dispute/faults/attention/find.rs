//! What to prove, or to open next, when contents of attention are not the own ones.
//!
//! A challenger takes the first leaf of the trace that differs from its own, so all that goes into it is as in its own trace. Then one of these
//! functions finds a fault in whatever was revealed: a wrong element has wrong totals or totals that do not give it, a wrong total has wrong
//! addends or addends that do not give it, and each addend is judged by itself.

use sworn_inference::numeric::softmax_key;
use sworn_inference::program::Op;

use super::contents::{combine, read_tile, read_totals, run_sum, same, total_of, write_tile};
use super::witness::Place;
use super::{Site, pair, tiles};
use crate::Error;
use crate::constants::{
    FAULT_ADDENDS, FAULT_COMBINE, FAULT_STEP, FAULT_VALUE, FAULT_WEIGHT, RUN_ADDENDS,
};
use crate::dispute::abi::Leaf;
use crate::dispute::faults::span::f32_le;
use crate::dispute::position::NodeKind;
use crate::dispute::source::TraceSource;

/// What to do about something revealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is as it should be.
    Nothing,
    /// Prove this.
    Fault {
        /// The fault's code.
        code: u8,
        /// Its witness.
        witness: Vec<u8>,
    },
    /// Open the totals of an element.
    OpenTotals {
        /// The element of the step's output.
        element: u32,
    },
    /// Open a tile of an element.
    OpenTile {
        /// The element of the step's output.
        element: u32,
        /// The tile.
        tile: u32,
    },
}

impl Finding {
    fn fault(code: u8, witness: Vec<u8>) -> Finding {
        Finding::Fault { code, witness }
    }
}

/// What a tile has to give.
#[derive(Debug, Clone, Copy)]
pub enum TileParent<'a> {
    /// A total: the contents of the totals node.
    Totals(&'a [u8]),
    /// The element itself: its leaf in the trace node.
    Element(&'a Leaf),
}

impl Site {
    /// About leaf `k` of the step's leaves at a row, as it was revealed in a trace node.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`]; no such leaf.
    pub fn find_in_leaf(
        &self,
        source: &mut dyn TraceSource,
        row: u32,
        k: u32,
        claimed: &Leaf,
    ) -> Result<Finding, Error> {
        if k >= self.step.leaf_count {
            return Err(Error::IndexOutOfRange {
                what: "leaves of the step",
                found: k.into(),
                expected: self.step.leaf_count.into(),
            });
        }
        let each = self.step.kind.elements();
        let start = k * each;
        if claimed.data.len() != self.step.kind.bytes() {
            let at = Place {
                row,
                element: start,
            };
            return self.found_in_leaf(source, at, claimed, None);
        }
        let own = source.leaf(row, self.step.first_leaf + k)?;
        let width = self.step.kind.bytes() / each as usize;
        let pairs = own.chunks(width).zip(claimed.data.chunks(width));
        for (element, (own, found)) in (start..).zip(pairs) {
            if own == found {
                continue;
            }
            let at = Place { row, element };
            return if element >= self.step.elements {
                self.found_in_leaf(source, at, claimed, None)
            } else if self.step.op == Op::AttnMax {
                self.find_in_maximum(source, at, own, claimed)
            } else if tiles(row) > 1 {
                Ok(Finding::OpenTotals { element })
            } else {
                Ok(Finding::OpenTile { element, tile: 0 })
            };
        }
        Ok(Finding::Nothing)
    }

    fn find_in_maximum(
        &self,
        source: &mut dyn TraceSource,
        at: Place,
        own: &[u8],
        claimed: &Leaf,
    ) -> Result<Finding, Error> {
        let within = (at.element % self.step.kind.elements()) as usize;
        let (Some((_, own_place)), Some((max, place))) =
            (pair(own, 0), pair(&claimed.data, within))
        else {
            return Ok(Finding::Nothing);
        };
        let position = if place > at.row {
            None
        } else {
            let query = self.query_of(source, at.row, at.element)?;
            let score = self.score(source, &query, at.element, place)?;
            // If the claimed place has the claimed score, the true place beats it.
            let right = score.to_bits() == max.to_bits();
            Some(if right { own_place } else { place })
        };
        self.found_in_leaf(source, at, claimed, position)
    }

    fn found_in_leaf(
        &self,
        source: &mut dyn TraceSource,
        at: Place,
        claimed: &Leaf,
        position: Option<u32>,
    ) -> Result<Finding, Error> {
        let witness = self.element_witness(source, at, claimed.clone(), position)?;
        Ok(Finding::fault(FAULT_STEP, witness))
    }

    /// About the totals of an element, whose leaf in the parent is `claimed`.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`]; contents of a wrong length, which no reveal has.
    pub fn find_in_totals(
        &self,
        source: &mut dyn TraceSource,
        at: Place,
        contents: &[u8],
        claimed: &Leaf,
    ) -> Result<Finding, Error> {
        let found = read_totals(contents)
            .filter(|totals| totals.len() == tiles(at.row) as usize)
            .ok_or_else(|| length("contents of totals", contents, 4 * tiles(at.row)))?;
        if self.differs(source, at, &found, claimed)? {
            let kind = NodeKind::Totals;
            let witness = self.combine_witness(source, at, kind, contents, claimed.clone())?;
            return Ok(Finding::fault(FAULT_COMBINE, witness));
        }
        for (tile, found) in (0..).zip(&found) {
            let own = total_of(&self.addends(source, at.row, at.element, tile)?);
            if !same(own, *found) {
                return Ok(Finding::OpenTile {
                    element: at.element,
                    tile,
                });
            }
        }
        Ok(Finding::Nothing)
    }

    /// About a tile of an element.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`]; contents of a wrong length, which no reveal has.
    pub fn find_in_tile(
        &self,
        source: &mut dyn TraceSource,
        at: Place,
        tile: u32,
        contents: &[u8],
        parent: TileParent<'_>,
    ) -> Result<Finding, Error> {
        let own = self.addends(source, at.row, at.element, tile)?;
        let expected = (write_tile(&own).len()) as u32;
        let found = read_tile(contents, self.addend_bytes())
            .filter(|found| found.addends.len() == own.len())
            .ok_or_else(|| length("contents of a tile", contents, expected))?;
        let mut total = 0.0;
        let runs = found.addends.chunks(RUN_ADDENDS).zip(&found.sums);
        for (index, (run, sum)) in (0..).zip(runs) {
            total = run_sum(total, run);
            if !same(total, *sum) {
                let witness = self.run_witness(at.row, tile, contents, index)?;
                return Ok(Finding::fault(FAULT_ADDENDS, witness));
            }
        }
        match parent {
            TileParent::Totals(totals) => {
                let claimed = read_totals(totals)
                    .and_then(|totals| totals.get(tile as usize).copied())
                    .ok_or_else(|| length("contents of totals", totals, 4 * tiles(at.row)))?;
                if !same(total, claimed) {
                    let witness = self.last_sum_witness(at.row, tile, contents, totals)?;
                    return Ok(Finding::fault(FAULT_ADDENDS, witness));
                }
            }
            TileParent::Element(claimed) => {
                if self.differs(source, at, &[total], claimed)? {
                    let kind = NodeKind::Tile;
                    let witness =
                        self.combine_witness(source, at, kind, contents, claimed.clone())?;
                    return Ok(Finding::fault(FAULT_COMBINE, witness));
                }
            }
        }
        for (index, (own, found)) in (0..).zip(own.iter().zip(&found.addends)) {
            if !same(own.weight, found.weight) {
                let witness = self.weight_witness(source, at, tile, contents, index)?;
                return Ok(Finding::fault(FAULT_WEIGHT, witness));
            }
            if own.value != found.value {
                let witness = self.value_witness(source, at, tile, contents, index)?;
                return Ok(Finding::fault(FAULT_VALUE, witness));
            }
        }
        Ok(Finding::Nothing)
    }

    /// Whether totals do not give the claimed element.
    fn differs(
        &self,
        source: &mut dyn TraceSource,
        at: Place,
        totals: &[f32],
        claimed: &Leaf,
    ) -> Result<bool, Error> {
        let within = self.step.leaf_of(at.element)?.1 as usize;
        let element = f32_le(&claimed.data, within)
            .ok_or_else(|| length("leaf of the element", &claimed.data, 256))?;
        let sum = match self.values {
            Some(_) => {
                let (leaf, within) = self.sums.leaf_of(self.head_of(at.element))?;
                let data = source.leaf(at.row, leaf)?;
                f32_le(&data, within as usize)
            }
            None => None,
        };
        Ok(combine(totals, sum).to_bits() != element.to_bits())
    }
}

fn length(what: &'static str, found: &[u8], expected: u32) -> Error {
    Error::Mismatch {
        what,
        found: found.len() as u64,
        expected: expected.into(),
    }
}

/// Whether a score beats a maximum at `place`: a higher key (NaN highest), or the same at a lower position.
pub(super) fn beats(score: f32, position: u32, max: f32, place: u32) -> bool {
    let (score, max) = (softmax_key(score), softmax_key(max));
    score > max || score == max && position < place
}
