//! What a leaf of a trace holds: its shape, and the element at a place.

use crate::Error;
use crate::constants::{BLOCK_ELEMENTS, TILE_ELEMENTS};
use crate::dispute::trace::{LeafKind, Step};

/// Scales of a quantised leaf come after its elements in the numbering of places.
pub const SCALES: u32 = TILE_ELEMENTS as u32;

/// Where an element stands: a leaf of the step's output at a row, and a place in it. In a quantised leaf places 0..256 are the integers,
/// [`SCALES`]` + b` is the scale of block b.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The leaf, from 0 for the step's first.
    pub leaf: u32,
    /// The place in the leaf.
    pub lane: u32,
}

impl Place {
    /// The place of an element of a step's row; of a quantised one the integer's.
    #[must_use]
    pub fn of(step: &Step, element: u32) -> Place {
        let each = step.kind.elements();
        Place {
            leaf: element / each,
            lane: element % each,
        }
    }

    /// The element's number in the row; of a scale that of its block's first element.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`] for a place that holds nothing.
    pub fn element(self, step: &Step) -> Result<u32, Error> {
        let each = step.kind.elements();
        let lane = match step.kind {
            LeafKind::Quantised if self.lane >= SCALES => {
                (self.lane - SCALES).saturating_mul(BLOCK_ELEMENTS as u32)
            }
            _ => self.lane,
        };
        let element = u64::from(self.leaf) * u64::from(each) + u64::from(lane);
        if lane >= each || element >= u64::from(step.elements) {
            return Err(Error::IndexOutOfRange {
                what: "place of an element",
                found: element.max(lane.into()),
                expected: step.elements.into(),
            });
        }
        Ok(element as u32)
    }
}

/// Whether a leaf has the shape that its place gives it: its length, and zeros past its elements.
#[must_use]
pub fn well_shaped(step: &Step, leaf: u32, bytes: &[u8]) -> bool {
    let n = step.elements_of(leaf).len();
    let zero = |range: &[u8]| range.iter().all(|byte| *byte == 0);
    if bytes.len() != step.kind.bytes() {
        return false;
    }
    match step.kind {
        LeafKind::F32 => zero(&bytes[4 * n..]),
        LeafKind::F16 => zero(&bytes[2 * n..]),
        LeafKind::Maxima => zero(&bytes[8 * n..]),
        LeafKind::Quantised => {
            let scales = 4 * TILE_ELEMENTS / BLOCK_ELEMENTS;
            zero(&bytes[4 * n / BLOCK_ELEMENTS..scales]) && zero(&bytes[scales + n..])
        }
    }
}

/// The bits at a place of a leaf: of an f32, an f16, or a byte. Of maxima lanes 0..32 are the maxima alone.
///
/// # Errors
/// [`Error::IndexOutOfRange`] for a leaf that ends before.
pub fn stored(kind: LeafKind, bytes: &[u8], lane: u32) -> Result<u32, Error> {
    let at = lane as usize;
    let scales = 4 * TILE_ELEMENTS / BLOCK_ELEMENTS;
    match kind {
        LeafKind::F32 => word(bytes, 4 * at),
        LeafKind::Maxima => word(bytes, 8 * at),
        LeafKind::F16 => Ok(u32::from(half(bytes, 2 * at)?)),
        LeafKind::Quantised if lane >= SCALES => word(bytes, 4 * (at - SCALES as usize)),
        LeafKind::Quantised => byte(bytes, scales + at).map(u32::from),
    }
}

/// The first place at which two well-shaped leaves differ.
#[must_use]
pub fn first_difference(step: &Step, leaf: u32, a: &[u8], b: &[u8]) -> Option<Place> {
    let n = step.elements_of(leaf).len() as u32;
    let scales = match step.kind {
        LeafKind::Quantised => SCALES..SCALES + n / BLOCK_ELEMENTS as u32,
        _ => 0..0,
    };
    let differs = |lane: &u32| stored(step.kind, a, *lane) != stored(step.kind, b, *lane);
    // Scales first: integers follow from them.
    let lane = scales.chain(0..n).find(differs)?;
    Some(Place { leaf, lane })
}

pub(super) fn byte(bytes: &[u8], at: usize) -> Result<u8, Error> {
    bytes.get(at).copied().ok_or(Error::IndexOutOfRange {
        what: "leaf",
        found: at as u64,
        expected: bytes.len() as u64,
    })
}

pub(super) fn half(bytes: &[u8], at: usize) -> Result<u16, Error> {
    Ok(u16::from_le_bytes([byte(bytes, at)?, byte(bytes, at + 1)?]))
}

pub(super) fn word(bytes: &[u8], at: usize) -> Result<u32, Error> {
    let [low, high] = [half(bytes, at)?, half(bytes, at + 2)?];
    Ok(u32::from(low) | u32::from(high) << 16)
}

pub(super) fn float(bytes: &[u8], at: usize) -> Result<f32, Error> {
    word(bytes, at).map(f32::from_bits)
}

#[cfg(test)]
mod tests {
    use sworn_inference::program::WeightFormat;
    use sworn_inference::program::llama::{MatrixFormats, compile};
    use sworn_inference::testing::tiny_config;

    use super::*;
    use crate::dispute::trace::TraceLayout;

    #[test]
    fn places_and_elements_agree() {
        let program = compile(
            &tiny_config(),
            &MatrixFormats::all(WeightFormat::Q8_0),
            &[2],
        );
        let layout = TraceLayout::new(&program.unwrap()).unwrap();
        for number in 0..layout.steps() {
            let step = layout.step(number).unwrap();
            let mut bytes = vec![0; step.kind.bytes()];
            for element in 0..step.elements {
                let place = Place::of(&step, element);
                assert_eq!(place.element(&step), Ok(element));
                assert_eq!(stored(step.kind, &bytes, place.lane), Ok(0));
            }
            assert!(Place::of(&step, step.elements).element(&step).is_err());
            let lane = step.kind.elements();
            assert_eq!(
                Place { leaf: 0, lane }.element(&step).is_ok(),
                step.kind == LeafKind::Quantised,
                "only scales come after the elements"
            );
            let last = step.leaf_count - 1;
            assert!(well_shaped(&step, last, &bytes));
            assert_eq!(first_difference(&step, last, &bytes, &bytes), None);
            let other = bytes.clone();
            let at = match step.kind {
                LeafKind::Quantised => 32,
                _ => 0,
            };
            bytes[at] = 1;
            let found = first_difference(&step, last, &bytes, &other);
            assert_eq!(
                found,
                Some(Place {
                    leaf: last,
                    lane: 0
                })
            );
            bytes.push(0);
            assert!(!well_shaped(&step, last, &bytes));
        }
    }
}
