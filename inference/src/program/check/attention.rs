//! The rules of attention, whose three operations stand together.

use super::{Checker, range};
use crate::numeric::constants::MAX_HEAD_DIM;
use crate::program::{Op, Part, ProgramError};

impl Checker<'_> {
    /// The three entries of an attention stand together and agree.
    pub(super) fn attention(
        &self,
        number: usize,
        at: &dyn Fn(&str) -> String,
    ) -> Result<(), ProgramError> {
        let entry = self.entries[number];
        range(at("size of a head"), entry.dims[2], 1, MAX_HEAD_DIM as u32)?;
        let first = match entry.op {
            Op::AttnMax => number,
            Op::AttnSum => number.wrapping_sub(1),
            _ => number.wrapping_sub(2),
        };
        let whole = (0..3).all(|i| {
            self.entries
                .get(first.wrapping_add(i))
                .is_some_and(|other| {
                    other.op == [Op::AttnMax, Op::AttnSum, Op::AttnMix][i]
                        && self.part(first + i) == Part::Body
                        && (&other.inputs[..2], other.dims, other.constants[0])
                            == (&entry.inputs[..2], entry.dims, entry.constants[0])
                })
        });
        if !whole {
            let expected = "attn_max, attn_sum and attn_mix in a row in the body, with the same q, k, dimensions and scale";
            return Err(ProgramError::new(
                at("place"),
                format!("{entry:?}"),
                expected,
            ));
        }
        let cached = match entry.op {
            Op::AttnMix => &entry.inputs[1..3],
            _ => &entry.inputs[1..2],
        };
        for input in cached {
            // CARRY and UNUSED are never to_f16 entries of the body: their part is Tail or they are beyond the entries.
            let number = usize::from(*input);
            if self.part(number) != Part::Body || self.entries[number].op != Op::ToF16 {
                return Err(ProgramError::new(
                    at("keys and values"),
                    input,
                    "to_f16 entries of the body",
                ));
            }
        }
        match entry.op {
            Op::AttnSum if usize::from(entry.inputs[2]) != first => Err(ProgramError::new(
                at("maximum"),
                entry.inputs[2],
                format!("entry {first}"),
            )),
            Op::AttnMix if entry.constants[1] != 1 => {
                Err(ProgramError::new(at("c1"), entry.constants[1], "1"))
            }
            _ => Ok(()),
        }
    }
}
