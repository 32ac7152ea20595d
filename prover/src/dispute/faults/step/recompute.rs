//! One element of a step from the leaves that it depends on: the naive twin, which shares no code with the backends. Total: every bit pattern
//! of the leaves gives a result.

use sworn_inference::backend::FloatMode;
use sworn_inference::numeric::{
    block_dot, block_value, canonical, clamp_weight, f16_to_f32, f32_to_f16, inverse_root, nibbles,
    quantise_block, rope_pair, silu, tile_sum,
};
use sworn_inference::program::{Op, WeightFormat};

use super::needs::pair;
use super::stored::{Place, SCALES, byte, float, half};
use crate::Error;
use crate::constants::{BLOCK_ELEMENTS, F32_LEAF_ELEMENTS, TILE_ELEMENTS};
use crate::dispute::trace::{LeafKind, Step};

/// Blocks of a tile.
const BLOCKS: usize = TILE_ELEMENTS / BLOCK_ELEMENTS;

/// The bytes of the leaves of [`super::Needs`], those of one range one after another, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opened {
    /// Of the trace.
    pub inputs: Vec<Vec<u8>>,
    /// Of the weights.
    pub weights: Vec<Vec<u8>>,
}

impl Opened {
    fn input(&self, i: usize) -> Result<&[u8], Error> {
        get(&self.inputs, i)
    }

    fn weight(&self) -> Result<&[u8], Error> {
        get(&self.weights, 0)
    }
}

fn get(leaves: &[Vec<u8>], i: usize) -> Result<&[u8], Error> {
    leaves.get(i).map(Vec::as_slice).ok_or(Error::Mismatch {
        what: "opened leaves",
        found: leaves.len() as u64,
        expected: i as u64 + 1,
    })
}

/// The bits of the element at `place` of a step's row, as [`super::stored()`] reads them.
///
/// # Errors
/// A place that holds nothing, leaves that are missing or too short, an operation of attention.
pub fn recompute(step: &Step, place: Place, opened: &Opened) -> Result<u32, Error> {
    let _mode = FloatMode::set();
    let element = place.element(step)?;
    let at = element as usize % F32_LEAF_ELEMENTS;
    let column = element as usize % TILE_ELEMENTS;
    let x = |i: usize| float(opened.input(i)?, 4 * at);
    let stored = |value: f32| Ok(canonical(value).to_bits());
    match step.op {
        Op::Embed => stored(weight_value(step.format, opened.weight()?, column)?),
        Op::NormStat | Op::Matmul => {
            let tiles = step.sum_tiles().unwrap_or(0);
            let totals: Vec<u32> = (0..tiles)
                .map(|tile| tile_of(step, tile, tile, opened).map(f32::to_bits))
                .collect::<Result<_, _>>()?;
            Ok(combine(step, &totals))
        }
        Op::NormApply => {
            let weight = weight_value(WeightFormat::F32, opened.weight()?, column)?;
            stored((x(0)? * float(opened.input(1)?, 0)?) * weight)
        }
        Op::Quantise => quantised(opened.input(0)?, at, place),
        Op::Rope => rotated(step, element, opened),
        Op::ToF16 => Ok(u32::from(f32_to_f16(x(0)?))),
        Op::Add => stored(x(0)? + x(1)?),
        Op::SiluMul => stored(silu(x(0)?) * x(1)?),
        Op::AttnMax | Op::AttnSum | Op::AttnMix => Err(Error::Mismatch {
            what: "operation, of attention",
            found: u64::from(step.op as u8),
            expected: u64::from(Op::Matmul as u8),
        }),
    }
}

/// The sum of one tile of a long sum (`matmul`, `norm_stat`); `opened` holds that tile's leaves alone. Any NaN is the canonical one.
///
/// # Errors
/// As [`recompute`].
pub fn recompute_tile(step: &Step, tile: u32, opened: &Opened) -> Result<u32, Error> {
    let _mode = FloatMode::set();
    Ok(canonical(tile_of(step, tile, 0, opened)?).to_bits())
}

/// The bits of the element whose tile sums are `totals`.
#[must_use]
pub fn combine(step: &Step, totals: &[u32]) -> u32 {
    let _mode = FloatMode::set();
    let sum = totals
        .iter()
        .fold(0.0, |sum, bits| sum + f32::from_bits(*bits));
    let value = match step.op {
        Op::NormStat => inverse_root(sum, step.dims[0], f32::from_bits(step.constants[0])),
        _ => sum,
    };
    canonical(value).to_bits()
}

/// The sum of tile `tile`, whose leaves are the ones at place `at` of those opened.
fn tile_of(step: &Step, tile: u32, at: u32, opened: &Opened) -> Result<f32, Error> {
    let matmul = step.op == Op::Matmul;
    let inner = step.dims[usize::from(matmul)] as usize;
    let count = inner
        .saturating_sub(tile as usize * TILE_ELEMENTS)
        .min(TILE_ELEMENTS);
    let at = at as usize;
    let x = opened.input(0)?;
    if !matmul {
        return sum_of(count, |i| {
            float(x, 4 * (at * TILE_ELEMENTS + i)).map(|x| x * x)
        });
    }
    let each = step.format.leaf_bytes();
    let weights = cut(opened.weight()?, at * each, each)?;
    if !step.format.is_quantised() {
        return sum_of(count, |i| {
            let weight = weight_value(step.format, weights, i)?;
            Ok(weight * float(x, 4 * (at * TILE_ELEMENTS + i))?)
        });
    }
    let each = LeafKind::Quantised.bytes();
    let x = cut(x, at * each, each)?;
    sum_of(count / BLOCK_ELEMENTS, |b| {
        let mut q = [0; BLOCK_ELEMENTS];
        for (i, q) in q.iter_mut().enumerate() {
            *q = byte(x, 4 * BLOCKS + BLOCK_ELEMENTS * b + i)? as i8;
        }
        let s = block_dot(&quants(step.format, weights, b)?, &q);
        let scale = weight_scale(step.format, weights, b)?;
        Ok(block_value(scale, float(x, 4 * b)?, s))
    })
}

/// A tile sum; its addends are at most 256, so it is one tile.
fn sum_of(count: usize, addend: impl Fn(usize) -> Result<f32, Error>) -> Result<f32, Error> {
    let addends: Vec<f32> = (0..count).map(addend).collect::<Result<_, _>>()?;
    Ok(tile_sum(addends))
}

fn cut(bytes: &[u8], at: usize, length: usize) -> Result<&[u8], Error> {
    bytes.get(at..at + length).ok_or(Error::IndexOutOfRange {
        what: "leaf",
        found: (at + length) as u64,
        expected: bytes.len() as u64,
    })
}

/// The scale of block `b` of a leaf of weights.
fn weight_scale(format: WeightFormat, leaf: &[u8], b: usize) -> Result<f32, Error> {
    match format {
        WeightFormat::Q8F => float(leaf, 4 * b),
        _ => half(leaf, 2 * b).map(f16_to_f32),
    }
}

/// The integers of block `b` of a leaf of weights.
fn quants(format: WeightFormat, leaf: &[u8], b: usize) -> Result<[i8; BLOCK_ELEMENTS], Error> {
    let mut out = [0; BLOCK_ELEMENTS];
    match format {
        WeightFormat::Q4_0 => {
            let mut bytes = [0; BLOCK_ELEMENTS / 2];
            for (i, to) in bytes.iter_mut().enumerate() {
                *to = byte(leaf, 2 * BLOCKS + BLOCK_ELEMENTS / 2 * b + i)?;
            }
            out = nibbles(&bytes);
        }
        _ => {
            let width = if format == WeightFormat::Q8F { 4 } else { 2 };
            for (i, to) in out.iter_mut().enumerate() {
                *to = clamp_weight(byte(leaf, width * BLOCKS + BLOCK_ELEMENTS * b + i)? as i8);
            }
        }
    }
    Ok(out)
}

/// The value of the weight at column `i` of a leaf.
fn weight_value(format: WeightFormat, leaf: &[u8], i: usize) -> Result<f32, Error> {
    match format {
        WeightFormat::F32 => float(leaf, 4 * i),
        WeightFormat::F16 => half(leaf, 2 * i).map(f16_to_f32),
        _ => {
            let b = i / BLOCK_ELEMENTS;
            let q = quants(format, leaf, b)?[i % BLOCK_ELEMENTS];
            Ok(weight_scale(format, leaf, b)? * f32::from(q))
        }
    }
}

/// The scale, or an integer as a byte, of the block that element `at` of an f32 leaf is in.
fn quantised(x: &[u8], at: usize, place: Place) -> Result<u32, Error> {
    let mut block = [0.0; BLOCK_ELEMENTS];
    let first = at - at % BLOCK_ELEMENTS;
    for (i, to) in block.iter_mut().enumerate() {
        *to = float(x, 4 * (first + i))?;
    }
    let (scale, q) = quantise_block(&block);
    Ok(if place.lane >= SCALES {
        scale.to_bits()
    } else {
        u32::from(q[at % BLOCK_ELEMENTS] as u8)
    })
}

fn rotated(step: &Step, element: u32, opened: &Opened) -> Result<u32, Error> {
    let [_, d1, d2] = step.dims;
    let within = element % d1;
    let x = opened.input(0)?;
    let leaf = F32_LEAF_ELEMENTS;
    if within >= d2 {
        return float(x, 4 * (element as usize % leaf)).map(f32::to_bits);
    }
    // The opened leaves start at the one that the pair's first element is in.
    let first = pair(element, within).start as usize % leaf;
    let column = 4 * ((within - (within & 1)) as usize % TILE_ELEMENTS);
    let table = opened.weight()?;
    let (y0, y1) = rope_pair(
        float(x, 4 * first)?,
        float(x, 4 * first + 4)?,
        float(table, column)?,
        float(table, column + 4)?,
    );
    Ok(canonical(if within & 1 == 0 { y0 } else { y1 }).to_bits())
}
