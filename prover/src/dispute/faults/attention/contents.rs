//! Posted contents of `attn_sum` and `attn_mix` (section 10.2): totals and tiles, made from a trace and read.

use sworn_inference::backend::FloatMode;
use sworn_inference::numeric::{canonical, exp, f16_to_f32, tile_sum};

use super::{Site, positions_of, tiles};
use crate::Error;
use crate::constants::RUN_ADDENDS;
use crate::dispute::faults::span::{elements, f16_le};
use crate::dispute::parts::Parts;
use crate::dispute::source::TraceSource;

/// An addend of a tile: `w_j` and, in `attn_mix`, the bits of `v_j[e]`.
#[derive(Debug, Clone, Copy)]
pub struct Addend {
    /// `w_j`.
    pub weight: f32,
    /// The binary16 `v_j[e]`; none in `attn_sum`.
    pub value: Option<u16>,
}

impl Addend {
    /// What is added.
    #[must_use]
    pub fn product(self) -> f32 {
        match self.value {
            Some(value) => self.weight * f16_to_f32(value),
            None => self.weight,
        }
    }
}

impl Site {
    /// The addends of a tile of an element.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn addends(
        &self,
        source: &mut dyn TraceSource,
        row: u32,
        element: u32,
        tile: u32,
    ) -> Result<Vec<Addend>, Error> {
        let head = self.head_of(element);
        let query = self.query_of(source, row, head)?;
        let (max, _) = self.maximum(source, row, head)?;
        let mut addends = Vec::new();
        for position in positions_of(row, tile) {
            let weight = exp(self.score(source, &query, head, position)? - max);
            let value = match &self.values {
                Some(values) => {
                    let at = self.value_of(element);
                    let (first, each) = (values.first_leaf, values.kind.elements());
                    elements(source, position, first, each, at..at + 1, f16_le)?
                        .first()
                        .copied()
                }
                None => None,
            };
            addends.push(Addend { weight, value });
        }
        Ok(addends)
    }

    /// The contents of a `tile` node.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn tile(
        &self,
        source: &mut dyn TraceSource,
        row: u32,
        element: u32,
        tile: u32,
    ) -> Result<Vec<u8>, Error> {
        Ok(write_tile(&self.addends(source, row, element, tile)?))
    }

    /// The contents of a `totals` node.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn totals(
        &self,
        source: &mut dyn TraceSource,
        row: u32,
        element: u32,
    ) -> Result<Vec<u8>, Error> {
        let mut totals = Vec::new();
        for tile in 0..tiles(row) {
            totals.push(total_of(&self.addends(source, row, element, tile)?));
        }
        Ok(write_totals(&totals))
    }
}

/// The contents of a `tile` node.
#[derive(Debug, Clone)]
pub struct Tile {
    /// The sums of the first 32, 64, ... and of all addends.
    pub sums: Vec<f32>,
    /// In the order of positions.
    pub addends: Vec<Addend>,
}

/// A run's sum from the sum before it; of a tile's first run that is +0. A sum of -0, which no honest tile has, counts as +0.
#[must_use]
pub fn run_sum(before: f32, run: &[Addend]) -> f32 {
    let _mode = FloatMode::set();
    let sum = run
        .iter()
        .fold(before + 0.0, |sum, addend| sum + addend.product());
    canonical(sum)
}

/// The running sums of a tile.
#[must_use]
pub fn running_sums(addends: &[Addend]) -> Vec<f32> {
    let runs = addends.chunks(RUN_ADDENDS).scan(0.0, |sum, run| {
        *sum = run_sum(*sum, run);
        Some(*sum)
    });
    runs.collect()
}

/// A tile's total.
#[must_use]
pub fn total_of(addends: &[Addend]) -> f32 {
    canonical(tile_sum(addends.iter().map(|addend| addend.product())))
}

/// An element from its tiles' totals and, for `attn_mix`, the sum of the weights.
#[must_use]
pub fn combine(totals: &[f32], sum: Option<f32>) -> f32 {
    let total = totals.iter().fold(0.0f32, |a, b| a + b);
    canonical(match sum {
        Some(sum) => total / sum,
        None => total,
    })
}

/// Bytes of a tile of these addends, with their running sums.
#[must_use]
pub fn write_tile(addends: &[Addend]) -> Vec<u8> {
    write_tile_with(&running_sums(addends), addends)
}

/// Bytes of a tile.
#[must_use]
pub fn write_tile_with(sums: &[f32], addends: &[Addend]) -> Vec<u8> {
    let mut bytes = write_totals(sums);
    for addend in addends {
        bytes.extend(addend.weight.to_bits().to_be_bytes());
        if let Some(value) = addend.value {
            bytes.extend(value.to_be_bytes());
        }
    }
    bytes
}

/// Reads a tile; none for bytes of a length that no tile has.
#[must_use]
pub fn read_tile(bytes: &[u8], addend_bytes: usize) -> Option<Tile> {
    // Every full run takes its addends and a sum.
    let full = RUN_ADDENDS * addend_bytes + 4;
    let rest = (bytes.len() % full).saturating_sub(4);
    let count = bytes.len() / full * RUN_ADDENDS + rest.checked_div(addend_bytes)?;
    let parts = Parts::tile(count, addend_bytes);
    if bytes.len() != parts.head + count * addend_bytes {
        return None;
    }
    let (head, addends) = bytes.split_at(parts.head);
    Some(Tile {
        sums: read_totals(head)?,
        addends: read_addends(addends, addend_bytes)?,
    })
}

/// Addends of bytes; none when their number is not a whole one.
#[must_use]
pub fn read_addends(bytes: &[u8], addend_bytes: usize) -> Option<Vec<Addend>> {
    if addend_bytes != 4 && addend_bytes != 6 || !bytes.len().is_multiple_of(addend_bytes) {
        return None;
    }
    let addend = |bytes: &[u8]| {
        Some(Addend {
            weight: f32::from_bits(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?)),
            value: match bytes.get(4..) {
                Some([high, low]) => Some(u16::from_be_bytes([*high, *low])),
                _ => None,
            },
        })
    };
    bytes.chunks_exact(addend_bytes).map(addend).collect()
}

/// Bytes of totals.
#[must_use]
pub fn write_totals(totals: &[f32]) -> Vec<u8> {
    totals
        .iter()
        .flat_map(|total| total.to_bits().to_be_bytes())
        .collect()
}

/// Totals of bytes; none when their number is not a whole one.
#[must_use]
pub fn read_totals(bytes: &[u8]) -> Option<Vec<f32>> {
    let (words, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| {
        words
            .iter()
            .map(|word| f32::from_bits(u32::from_be_bytes(*word)))
            .collect()
    })
}

/// Whether two numbers are the same, all NaN being one.
#[must_use]
pub fn same(a: f32, b: f32) -> bool {
    canonical(a).to_bits() == canonical(b).to_bits()
}
