//! The bytes of a step's leaves (`prover/SPEC.md` sections 2 and 10.1).

use sworn_inference::engine::Value;

use super::layout::Step;
use crate::constants::{BLOCK_ELEMENTS, TILE_ELEMENTS};

/// Puts the step's leaf `k`, from 0, of row `row` of `value` into `out`, which it clears. A row has the step's elements; what is past them is 0.
pub(super) fn write(step: &Step, value: &Value, row: usize, k: u32, out: &mut Vec<u8>) {
    let width = step.elements as usize;
    let held = step.elements_of(k);
    let range = row * width + held.start as usize..row * width + held.end as usize;
    out.clear();
    match value {
        Value::F32(values) => range.for_each(|i| out.extend(values[i].to_le_bytes())),
        Value::F16(values) => range.for_each(|i| out.extend(values[i].to_le_bytes())),
        Value::Quantised { scales, quants } => {
            for scale in &scales[range.start / BLOCK_ELEMENTS..range.end / BLOCK_ELEMENTS] {
                out.extend(scale.to_le_bytes());
            }
            out.resize(4 * TILE_ELEMENTS / BLOCK_ELEMENTS, 0);
            out.extend(quants[range].iter().map(|q| q.to_le_bytes()[0]));
        }
        Value::Maxima { maxima, places } => range.for_each(|i| {
            out.extend(maxima[i].to_le_bytes());
            out.extend(places[i].to_le_bytes());
        }),
    }
    out.resize(step.kind.bytes(), 0);
}
