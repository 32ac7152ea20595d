//! Faults of attention: maxima, sums, mixes (`prover/SPEC.md` sections 3 and 10.2 to 10.4).
//!
//! | fault | node | witness |
//! |---|---|---|
//! | 64 step | trace | [`witness::Element`]: of `attn_max`, and of bytes of any attention leaf that hold no element |
//! | 65 combine | totals, or the one tile | [`witness::Combine`] |
//! | 67 addends | tile | [`witness::Addends`] |
//! | 68 weight | tile | [`witness::Weight`] |
//! | 69 value | tile | [`witness::Value`] |

pub mod contents;
pub mod find;
pub mod judge;
pub mod witness;

use sworn_inference::numeric::{canonical, f16_to_f32, tile_sum};
use sworn_inference::program::Op;

use crate::Error;
use crate::constants::TILE_ELEMENTS;
use crate::dispute::faults::span::{elements, f16_le, f32_le};
use crate::dispute::source::TraceSource;
use crate::dispute::trace::layout::{Step, TraceLayout};

/// Positions of a tile.
pub(crate) const TILE: u32 = TILE_ELEMENTS as u32;

/// A step of attention with the steps that it is made from.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// `attn_max`, `attn_sum` or `attn_mix`.
    pub step: Step,
    /// The `attn_max` beside it; itself for `attn_max`.
    pub maxima: Step,
    /// The `attn_sum` beside it.
    pub sums: Step,
    /// q.
    pub query: Step,
    /// k.
    pub keys: Step,
    /// v; for `attn_mix` only.
    pub values: Option<Step>,
}

impl Site {
    /// The site of a step.
    ///
    /// # Errors
    /// The step is none of attention.
    pub fn of(layout: &TraceLayout, number: u32) -> Result<Site, Error> {
        let step = layout.step(number)?;
        let wrong = || Error::Mismatch {
            what: "operation of the step",
            found: step.op as u64,
            expected: Op::AttnMix as u64,
        };
        // Attention's three entries stand in a row.
        let maxima = match step.op {
            Op::AttnMax => number,
            Op::AttnSum => number.wrapping_sub(1),
            Op::AttnMix => number.wrapping_sub(2),
            _ => return Err(wrong()),
        };
        let input = |i: usize| layout.step(step.inputs[i].ok_or_else(wrong)?);
        Ok(Site {
            step,
            maxima: layout.step(maxima)?,
            sums: layout.step(maxima.wrapping_add(1))?,
            query: input(0)?,
            keys: input(1)?,
            values: (step.op == Op::AttnMix).then(|| input(2)).transpose()?,
        })
    }

    /// Elements of a head.
    #[must_use]
    pub fn head_dim(&self) -> u32 {
        self.step.dims[2]
    }

    /// The head of an element of the step's output.
    #[must_use]
    pub fn head_of(&self, element: u32) -> u32 {
        match self.step.op {
            Op::AttnMix => element / self.head_dim(),
            _ => element,
        }
    }

    /// The first element of k and v for a head: its key/value head's.
    #[must_use]
    pub fn key_start(&self, head: u32) -> u32 {
        let [heads, kv_heads, head_dim] = self.step.dims;
        head / (heads / kv_heads) * head_dim
    }

    /// The element of v that goes into an element of the mix.
    #[must_use]
    pub fn value_of(&self, element: u32) -> u32 {
        self.key_start(self.head_of(element)) + element % self.head_dim()
    }

    /// Factor of the scores.
    #[must_use]
    pub fn scale(&self) -> f32 {
        f32::from_bits(self.step.constants[0])
    }

    /// Bytes of an addend in a tile's contents.
    #[must_use]
    pub fn addend_bytes(&self) -> usize {
        match self.step.op {
            Op::AttnMix => 6,
            _ => 4,
        }
    }

    /// Elements of the query of a head.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn query_of(
        &self,
        source: &mut dyn TraceSource,
        row: u32,
        head: u32,
    ) -> Result<Vec<f32>, Error> {
        let start = head * self.head_dim();
        let range = start..start + self.head_dim();
        let each = self.query.kind.elements();
        elements(source, row, self.query.first_leaf, each, range, f32_le)
    }

    /// The score of a head's query with the key at a position.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn score(
        &self,
        source: &mut dyn TraceSource,
        query: &[f32],
        head: u32,
        position: u32,
    ) -> Result<f32, Error> {
        let start = self.key_start(head);
        let range = start..start + self.head_dim();
        let each = self.keys.kind.elements();
        let keys = elements(source, position, self.keys.first_leaf, each, range, f16_le)?;
        Ok(score(query, &keys, self.scale()))
    }

    /// The maximum and its position that a row's trace has for a head.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn maximum(
        &self,
        source: &mut dyn TraceSource,
        row: u32,
        head: u32,
    ) -> Result<(f32, u32), Error> {
        let (leaf, at) = self.maxima.leaf_of(head)?;
        let data = source.leaf(row, leaf)?;
        pair(&data, at as usize).ok_or(Error::IndexOutOfRange {
            what: "heads of a leaf",
            found: at.into(),
            expected: data.len() as u64 / 8,
        })
    }
}

/// `(sum of q * k, a tile sum) * scale`.
#[must_use]
pub fn score(query: &[f32], keys: &[u16], scale: f32) -> f32 {
    let products = query.iter().zip(keys).map(|(q, k)| q * f16_to_f32(*k));
    canonical(tile_sum(products) * scale)
}

/// Pair `i` of a leaf of `attn_max`.
#[must_use]
pub fn pair(leaf: &[u8], i: usize) -> Option<(f32, u32)> {
    let position = leaf.get(8 * i + 4..8 * i + 8)?;
    Some((
        f32_le(leaf, 2 * i)?,
        u32::from_le_bytes(position.try_into().ok()?),
    ))
}

/// Tiles of the positions that row `row` attends to.
#[must_use]
pub fn tiles(row: u32) -> u32 {
    row / TILE + 1
}

/// Positions of tile `tile` of row `row`.
#[must_use]
pub fn positions_of(row: u32, tile: u32) -> std::ops::Range<u32> {
    let end = row.saturating_add(1);
    let start = tile.saturating_mul(TILE).min(end);
    start..start.saturating_add(TILE).min(end)
}
