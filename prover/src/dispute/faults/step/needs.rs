//! Which leaves an element is computed from.

use sworn_inference::program::{Op, WeightFormat};

use super::stored::Place;
use crate::Error;
use crate::constants::{DIRECT_TILES, TILE_ELEMENTS};
use crate::dispute::trace::{LeafKind, Step, TraceLayout};

/// Leaves `first..first + count` of a row of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceRange {
    /// The first, counted in the row.
    pub first: u32,
    /// How many; at least 1.
    pub count: u32,
}

/// Tiles `first..first + count` of a row of a weight tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightRange {
    /// The tensor's global number.
    pub tensor: u32,
    /// Its row.
    pub row: u32,
    /// The first tile.
    pub first: u32,
    /// How many; at least 1.
    pub count: u32,
}

/// What a witness opens, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Of the same row of the trace.
    pub inputs: Vec<TraceRange>,
    /// Of the weights.
    pub weights: Vec<WeightRange>,
}

/// Whether the elements of a step are long sums, which are proven by `totals` and not at once (section 10.2; attention is not meant here).
#[must_use]
pub fn is_long_sum(step: &Step) -> bool {
    let direct = match step.op {
        Op::Matmul if step.format.is_quantised() => DIRECT_TILES as u32,
        _ => 1,
    };
    step.sum_tiles().is_some_and(|tiles| tiles > direct)
}

/// What the element at `place` is computed from at `row` with `token`, that row's token.
///
/// # Errors
/// A place that holds nothing, a long sum, an operation of attention.
pub fn needs(
    layout: &TraceLayout,
    step: &Step,
    place: Place,
    row: u32,
    token: u32,
) -> Result<Needs, Error> {
    let element = place.element(step)?;
    if is_long_sum(step) {
        return Err(Error::Mismatch {
            what: "tiles of a sum that is proven at once",
            found: step.sum_tiles().unwrap_or(0).into(),
            expected: DIRECT_TILES as u64,
        });
    }
    let same = |i: usize| elements(layout, step, i, element..element + 1);
    let weight = |row: u32, column: u32| weights(step, row, column / TILE_ELEMENTS as u32, 1);
    let [d0, d1, d2] = step.dims;
    Ok(match step.op {
        Op::Embed => Needs {
            inputs: Vec::new(),
            weights: vec![weight(token, element)?],
        },
        Op::NormStat => Needs {
            inputs: vec![elements(layout, step, 0, 0..d0)?],
            weights: Vec::new(),
        },
        Op::NormApply => Needs {
            inputs: vec![same(0)?, elements(layout, step, 1, 0..1)?],
            weights: vec![weight(0, element)?],
        },
        Op::Matmul => Needs {
            inputs: vec![elements(layout, step, 0, 0..d1)?],
            weights: vec![weights(step, element, 0, step.sum_tiles().unwrap_or(1))?],
        },
        Op::Rope => match element % d1 {
            within if within < d2 => Needs {
                inputs: vec![elements(layout, step, 0, pair(element, within))?],
                weights: vec![weight(row, within)?],
            },
            _ => Needs {
                inputs: vec![same(0)?],
                weights: Vec::new(),
            },
        },
        Op::Quantise | Op::ToF16 => Needs {
            inputs: vec![same(0)?],
            weights: Vec::new(),
        },
        Op::Add | Op::SiluMul => Needs {
            inputs: vec![same(0)?, same(1)?],
            weights: Vec::new(),
        },
        Op::AttnMax | Op::AttnSum | Op::AttnMix => {
            return Err(Error::Mismatch {
                what: "operation, of attention",
                found: u64::from(step.op as u8),
                expected: u64::from(Op::Matmul as u8),
            });
        }
    })
}

/// What tile `tile` of the long sum of `element` is computed from.
///
/// # Errors
/// A tile or element that is not there, an operation without such sums.
pub fn tile_needs(
    layout: &TraceLayout,
    step: &Step,
    element: u32,
    tile: u32,
) -> Result<Needs, Error> {
    let tiles = step.sum_tiles().unwrap_or(0);
    for (what, found, expected) in [("tile", tile, tiles), ("element", element, step.elements)] {
        if found >= expected {
            return Err(Error::IndexOutOfRange {
                what,
                found: found.into(),
                expected: expected.into(),
            });
        }
    }
    let each = TILE_ELEMENTS as u32;
    let matmul = step.op == Op::Matmul;
    let inner = step.dims[usize::from(matmul)];
    let range = tile * each..inner.min((tile + 1) * each);
    Ok(Needs {
        inputs: vec![elements(layout, step, 0, range)?],
        weights: if matmul {
            vec![weights(step, element, tile, 1)?]
        } else {
            Vec::new()
        },
    })
}

/// The two elements of a rotated pair, of which `element` is one and stands at `within` of its head.
pub(super) fn pair(element: u32, within: u32) -> std::ops::Range<u32> {
    let first = element - (within & 1);
    first..first + 2
}

/// The leaves of input `i` that hold the given elements.
fn elements(
    layout: &TraceLayout,
    step: &Step,
    i: usize,
    range: std::ops::Range<u32>,
) -> Result<TraceRange, Error> {
    let input = layout.step(step.inputs[i].unwrap_or(u32::MAX))?;
    let each = input.kind.elements();
    let (first, last) = (range.start / each, (range.end - 1) / each);
    debug_assert!(matches!(input.kind, LeafKind::F32 | LeafKind::Quantised));
    Ok(TraceRange {
        first: input.first_leaf + first,
        count: last - first + 1,
    })
}

fn weights(step: &Step, row: u32, first: u32, count: u32) -> Result<WeightRange, Error> {
    let tensor = step.weights[0].ok_or(Error::Mismatch {
        what: "weight tensors of a step",
        found: 0,
        expected: 1,
    })?;
    Ok(WeightRange {
        tensor,
        row,
        first,
        count,
    })
}

/// Rows and columns of a step's weight tensor, and the format of its leaves.
#[must_use]
pub fn weight_shape(layout: &TraceLayout, step: &Step) -> Option<(u32, u32, WeightFormat)> {
    let [d0, d1, d2] = step.dims;
    let program = layout.program();
    match step.op {
        Op::Embed => Some((program.vocab_size(), d0, step.format)),
        Op::NormApply => Some((1, d0, WeightFormat::F32)),
        Op::Matmul => Some((d0, d1, step.format)),
        Op::Rope => Some((program.context(), d2, WeightFormat::F32)),
        _ => None,
    }
}
