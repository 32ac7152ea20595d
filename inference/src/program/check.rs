//! The rules of a valid program, and the shapes that follow from it.
//!
//! Beyond the table of section 3: attention stands in the body and its keys and values are `to_f16` entries of the same layer (they are what
//! a cache holds); unused fields have their one unused value, so that a program has one encoding; sizes are within [`CAPS`].

mod attention;
mod header;
#[cfg(test)]
mod tests;

use super::{
    CARRY, Entry, Op, Part, Parts, ProgramError, UNUSED, ValueShape, WeightFormat, WeightShape,
};
use crate::numeric::constants::{
    BLOCK_ELEMENTS, MAX_CONTEXT, MAX_DIMENSION, MAX_LAYERS, MAX_TABLE_ENTRIES, MAX_TABLE_WEIGHTS,
};

/// Largest sizes of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Entries of a table.
    pub entries: usize,
    /// Layers.
    pub layers: u16,
    /// Weight tensors of the head, of a layer, of the tail.
    pub weights: u16,
    /// Tokens of a run.
    pub context: u32,
    /// Any dimension, and the vocabulary.
    pub dimension: u32,
}

/// The sizes that this version accepts.
pub const CAPS: Caps = Caps {
    entries: MAX_TABLE_ENTRIES,
    layers: MAX_LAYERS as u16,
    weights: MAX_TABLE_WEIGHTS as u16,
    context: MAX_CONTEXT as u32,
    dimension: MAX_DIMENSION as u32,
};

type Shapes = (Vec<ValueShape>, Vec<WeightShape>);

pub(super) fn check(parts: &Parts) -> Result<Shapes, ProgramError> {
    header::check(parts)?;
    let mut checker = Checker {
        parts,
        entries: parts
            .head
            .iter()
            .chain(&parts.body)
            .chain(&parts.tail)
            .collect(),
        values: Vec::new(),
        weights: vec![None; parts.weight_counts.iter().map(|n| usize::from(*n)).sum()],
    };
    for number in 0..checker.entries.len() {
        let shape = checker.entry(number)?;
        checker.values.push(shape);
    }
    checker.ends()?;
    checker.leaves()?;
    let weights = checker.weights.iter().enumerate().map(|(number, shape)| {
        shape.ok_or_else(|| {
            ProgramError::new(
                format!("weight {number}"),
                "no entry that uses it",
                "every weight used",
            )
        })
    });
    let weights = weights.collect::<Result<_, _>>()?;
    Ok((checker.values, weights))
}

fn range(at: impl ToString, found: u32, low: u32, high: u32) -> Result<(), ProgramError> {
    if (low..=high).contains(&found) {
        return Ok(());
    }
    Err(ProgramError::new(at, found, format!("{low} to {high}")))
}

struct Checker<'a> {
    parts: &'a Parts,
    entries: Vec<&'a Entry>,
    values: Vec<ValueShape>,
    weights: Vec<Option<WeightShape>>,
}

impl Checker<'_> {
    /// Checks entry `number` and gives the shape of its output.
    fn entry(&mut self, number: usize) -> Result<ValueShape, ProgramError> {
        use ValueShape::{F16, F32, Maxima, Quantised};
        let entry = *self.entries[number];
        let [d0, d1, d2] = entry.dims;
        // (inputs, weights, dims, constants) in use
        let (inputs, weights, dims, constants) = match entry.op {
            Op::Embed => (0, 1, 1, 0),
            Op::NormStat => (1, 0, 1, 1),
            Op::NormApply => (2, 1, 1, 0),
            Op::Quantise | Op::ToF16 => (1, 0, 1, 0),
            Op::Matmul => (1, 1, 2, 0),
            Op::Rope => (1, 1, 3, 0),
            Op::AttnMax => (2, 0, 3, 1),
            Op::AttnSum => (3, 0, 3, 1),
            Op::AttnMix => (3, 0, 3, 2),
            Op::Add | Op::SiluMul => (2, 0, 1, 0),
        };
        let at = |what: &str| format!("entry {number} ({:?}): {what}", entry.op);
        if entry.inputs[inputs..]
            .iter()
            .chain(&entry.weights[weights..])
            .any(|unused| *unused != UNUSED)
        {
            return Err(ProgramError::new(
                at("inputs and weights"),
                format!("{entry:?}"),
                "0xffff where unused",
            ));
        }
        if entry.dims[dims..]
            .iter()
            .chain(&entry.constants[constants..])
            .any(|unused| *unused != 0)
        {
            return Err(ProgramError::new(
                at("dimensions and constants"),
                format!("{entry:?}"),
                "0 where unused",
            ));
        }
        if !matches!(entry.op, Op::Embed | Op::Matmul) && entry.format != WeightFormat::F32 {
            return Err(ProgramError::new(
                at("weight format"),
                entry.format as u8,
                "0 where unused",
            ));
        }
        for dim in &entry.dims[..dims] {
            range(at("dimension"), *dim, 1, CAPS.dimension)?;
        }
        let given: Vec<ValueShape> = entry.inputs[..inputs]
            .iter()
            .map(|input| self.input(number, *input))
            .collect::<Result<_, _>>()?;
        let expect = |shapes: &[ValueShape]| -> Result<(), ProgramError> {
            for (i, (found, expected)) in given.iter().zip(shapes).enumerate() {
                if found != expected {
                    return Err(ProgramError::new(
                        at(&format!("input {i}")),
                        found,
                        expected,
                    ));
                }
            }
            Ok(())
        };
        match entry.op {
            Op::Embed => {
                self.weight(
                    number,
                    WeightShape {
                        format: entry.format,
                        rows: self.parts.vocab_size,
                        cols: d0,
                    },
                )?;
                Ok(F32(d0))
            }
            Op::NormStat => expect(&[F32(d0)]).map(|()| F32(1)),
            Op::NormApply => {
                expect(&[F32(d0), F32(1)])?;
                self.weight(
                    number,
                    WeightShape {
                        format: WeightFormat::F32,
                        rows: 1,
                        cols: d0,
                    },
                )?;
                Ok(F32(d0))
            }
            Op::Quantise => {
                self.blocks(at("d0"), d0)?;
                expect(&[F32(d0)]).map(|()| Quantised(d0))
            }
            Op::Matmul => {
                if entry.format.is_quantised() {
                    self.blocks(at("d1"), d1)?;
                    expect(&[Quantised(d1)])?;
                } else {
                    expect(&[F32(d1)])?;
                }
                self.weight(
                    number,
                    WeightShape {
                        format: entry.format,
                        rows: d0,
                        cols: d1,
                    },
                )?;
                Ok(F32(d0))
            }
            Op::Rope => {
                if d0 % d1 != 0 || d2 > d1 || d2 % 2 != 0 {
                    let found = format!("{:?}", entry.dims);
                    return Err(ProgramError::new(
                        at("dimensions"),
                        found,
                        "d1 a divisor of d0, d2 even and at most d1",
                    ));
                }
                expect(&[F32(d0)])?;
                self.weight(
                    number,
                    WeightShape {
                        format: WeightFormat::F32,
                        rows: self.parts.context,
                        cols: d2,
                    },
                )?;
                Ok(F32(d0))
            }
            Op::ToF16 => expect(&[F32(d0)]).map(|()| F16(d0)),
            Op::AttnMax | Op::AttnSum | Op::AttnMix => {
                if d0 % d1 != 0 {
                    return Err(ProgramError::new(
                        at("heads and key/value heads"),
                        format!("{d0} and {d1}"),
                        "d1 a divisor of d0",
                    ));
                }
                let (width, kv_width) = (
                    self.product(at("heads"), d0, d2)?,
                    self.product(at("heads"), d1, d2)?,
                );
                match entry.op {
                    Op::AttnMax => expect(&[F32(width), F16(kv_width)])?,
                    Op::AttnSum => expect(&[F32(width), F16(kv_width), Maxima(d0)])?,
                    _ => expect(&[F32(width), F16(kv_width), F16(kv_width)])?,
                }
                self.attention(number, &at)?;
                Ok(match entry.op {
                    Op::AttnMax => Maxima(d0),
                    Op::AttnSum => F32(d0),
                    _ => F32(width),
                })
            }
            Op::Add | Op::SiluMul => expect(&[F32(d0), F32(d0)]).map(|()| F32(d0)),
        }
    }

    fn part(&self, number: usize) -> Part {
        let (head, body) = (self.parts.head.len(), self.parts.body.len());
        match number {
            n if n < head => Part::Head,
            n if n < head + body => Part::Body,
            _ => Part::Tail,
        }
    }

    /// Shape of the value that entry `number` names as `input`.
    fn input(&self, number: usize, input: u16) -> Result<ValueShape, ProgramError> {
        let (part, last_head) = (self.part(number), self.parts.head.len() - 1);
        if input == CARRY && part != Part::Head {
            // That the body keeps the shape of its carry is checked when all shapes are known.
            return Ok(self.values[last_head]);
        }
        let allowed = usize::from(input) < number
            && match part {
                Part::Head | Part::Body => true,
                Part::Tail => self.part(usize::from(input)) != Part::Body,
            };
        if !allowed {
            let found = if input == CARRY {
                "the carry".to_string()
            } else {
                input.to_string()
            };
            return Err(ProgramError::new(
                format!("inputs of entry {number}"),
                found,
                "an earlier entry within reach",
            ));
        }
        Ok(self.values[usize::from(input)])
    }

    /// Notes the shape that entry `number` gives its weight.
    fn weight(&mut self, number: usize, shape: WeightShape) -> Result<(), ProgramError> {
        let weight = usize::from(self.entries[number].weights[0]);
        let [head, body, tail] = self.parts.weight_counts.map(usize::from);
        let own = match self.part(number) {
            Part::Head => 0..head,
            Part::Body => head..head + body,
            Part::Tail => head + body..head + body + tail,
        };
        if weight >= head && !own.contains(&weight) {
            let expected = format!("below {head} or in {own:?}");
            return Err(ProgramError::new(
                format!("weight of entry {number}"),
                weight,
                expected,
            ));
        }
        match &mut self.weights[weight] {
            Some(known) if *known != shape => {
                let (found, expected) = (
                    format!("{shape:?}"),
                    format!("{known:?} as in another entry"),
                );
                Err(ProgramError::new(
                    format!("weight {weight} in entry {number}"),
                    found,
                    expected,
                ))
            }
            slot => {
                *slot = Some(shape);
                Ok(())
            }
        }
    }

    fn blocks(&self, at: String, dim: u32) -> Result<(), ProgramError> {
        if (dim as usize).is_multiple_of(BLOCK_ELEMENTS) {
            return Ok(());
        }
        Err(ProgramError::new(
            at,
            dim,
            format!("a multiple of {BLOCK_ELEMENTS}"),
        ))
    }

    fn product(&self, at: String, a: u32, b: u32) -> Result<u32, ProgramError> {
        a.checked_mul(b)
            .filter(|product| *product <= CAPS.dimension)
            .ok_or_else(|| {
                ProgramError::new(
                    at,
                    format!("{a} x {b}"),
                    format!("a product of at most {}", CAPS.dimension),
                )
            })
    }

    /// The carry keeps its shape, and the last entry gives the logits.
    fn ends(&self) -> Result<(), ProgramError> {
        let (head, body) = (self.parts.head.len(), self.parts.body.len());
        let (carry, after) = (self.values[head - 1], self.values[head + body - 1]);
        if after != carry {
            return Err(ProgramError::new(
                "output of the body",
                after,
                format!("{carry}, as the head gives it"),
            ));
        }
        if !matches!(carry, ValueShape::F32(_)) {
            return Err(ProgramError::new(
                "output of the head",
                carry,
                "f32 numbers",
            ));
        }
        let (logits, expected) = (
            self.values[self.values.len() - 1],
            ValueShape::F32(self.parts.vocab_size),
        );
        if logits != expected {
            return Err(ProgramError::new(
                "output of the tail",
                logits,
                format!("{expected}, one logit a token"),
            ));
        }
        Ok(())
    }

    /// The leaves of a row can be counted in 32 bits (section 10.1), so that every index of a trace fits in 63.
    fn leaves(&self) -> Result<(), ProgramError> {
        let leaves: u64 = (0..self.values.len())
            .map(|number| {
                let times = match self.part(number) {
                    Part::Body => u64::from(self.parts.layers),
                    Part::Head | Part::Tail => 1,
                };
                times * u64::from(self.values[number].leaves())
            })
            .sum();
        if leaves > u64::from(u32::MAX) {
            return Err(ProgramError::new(
                "leaves of a row",
                leaves,
                "less than 2^32",
            ));
        }
        Ok(())
    }
}
