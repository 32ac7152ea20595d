//! Running the entries of a program's part.

use super::{At, Place, Session, Sink};
use crate::backend::{AttentionOut, AttentionRow, MatmulInput, Quantised};
use crate::engine::value::Value;
use crate::program::{AttentionShape, CARRY, Entry, Op, Part};

impl Session<'_> {
    /// Keeps, for the tail, the wanted rows of what its entries take from other parts.
    pub(super) fn gather(&mut self, wanted: &[usize], count: usize) {
        let program = self.network.program;
        let first = program.first_entry(Part::Tail) as u16;
        let inputs = program
            .entries(Part::Tail)
            .iter()
            .flat_map(|entry| entry.inputs);
        let mut outer: Vec<u16> = inputs
            .filter(|input| *input < first || *input == CARRY)
            .collect();
        outer.sort_unstable();
        outer.dedup();
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.resize(outer.len(), (0, Value::default()));
        for (input, (number, value)) in outer.into_iter().zip(&mut gathered) {
            let source = if input == CARRY {
                &self.carry
            } else {
                &self.values[usize::from(input)]
            };
            *number = input;
            if let Value::F32(out) = value {
                source.gather(wanted, count, out);
            }
        }
        self.gathered = gathered;
    }

    /// Runs the entries of a part.
    pub(super) fn part(&mut self, part: Part, at: At<'_>, sink: &mut Option<&mut dyn Sink>) {
        let program = self.network.program;
        let first = program.first_entry(part);
        for (i, entry) in program.entries(part).iter().enumerate() {
            let number = first + i;
            match entry.op {
                // The three operations of an attention are one call, at the first of them.
                Op::AttnMax => self.attention(number, at),
                Op::AttnSum | Op::AttnMix => {}
                _ => {
                    let mut out = std::mem::take(&mut self.values[number]);
                    out.resize(program.value_shape(number), at.rows.len());
                    self.operation(part, entry, at, &mut out);
                    self.values[number] = out;
                }
            }
            if let Some(sink) = sink {
                sink.output(
                    Place {
                        layer: at.layer,
                        entry: number,
                    },
                    at.positions,
                    &self.values[number],
                );
            }
        }
    }

    /// The value that an entry of `part` names.
    fn input(&self, part: Part, layer: u32, input: u16) -> &Value {
        let program = self.network.program;
        if part == Part::Tail
            && (input == CARRY || usize::from(input) < program.first_entry(Part::Tail))
        {
            let found = self.gathered.iter().find(|(number, _)| *number == input);
            return found.map_or(&self.carry, |(_, value)| value);
        }
        match input {
            CARRY if layer == 0 => &self.values[program.first_entry(Part::Body) - 1],
            CARRY => &self.carry,
            _ => &self.values[usize::from(input)],
        }
    }

    fn operation(&self, part: Part, entry: &Entry, at: At<'_>, out: &mut Value) {
        let (backend, network) = (self.backend, self.network);
        let x = |i: usize| self.input(part, at.layer, entry.inputs[i]);
        let weights = || {
            network
                .weights
                .tensor(network.program.global_weight(entry.weights[0], at.layer))
        };
        let dim = entry.dims[0] as usize;
        match (entry.op, out) {
            (Op::Embed, Value::F32(out)) => backend.embed(weights(), at.tokens, out),
            (Op::NormStat, Value::F32(out)) => {
                backend.norm_stat(x(0).f32(), dim, f32::from_bits(entry.constants[0]), out)
            }
            (Op::NormApply, Value::F32(out)) => {
                backend.norm_apply(x(0).f32(), x(1).f32(), weights(), out)
            }
            (Op::Quantise, Value::Quantised { scales, quants }) => {
                backend.quantise(x(0).f32(), scales, quants)
            }
            (Op::Matmul, Value::F32(out)) => {
                let input = match x(0) {
                    Value::Quantised { scales, quants } => {
                        MatmulInput::Quantised(Quantised { scales, quants })
                    }
                    other => MatmulInput::F32(other.f32()),
                };
                backend.matmul(weights(), input, out);
            }
            (Op::Rope, Value::F32(out)) => backend.rope(
                x(0).f32(),
                entry.dims[1] as usize,
                weights(),
                at.positions,
                out,
            ),
            (Op::ToF16, Value::F16(out)) => backend.to_f16(x(0).f32(), out),
            (Op::Add, Value::F32(out)) => backend.add(x(0).f32(), x(1).f32(), out),
            (Op::SiluMul, Value::F32(out)) => backend.silu_mul(x(0).f32(), x(1).f32(), out),
            (op, _) => unreachable!("{op:?} has the output that its program's check gave it"),
        }
    }

    /// Stores the rows' keys and values, and runs entries `number` (attn_max), the next (attn_sum) and the one after (attn_mix).
    fn attention(&mut self, number: usize, at: At<'_>) {
        let program = self.network.program;
        let Some(entry) = program.entry(number + 2) else {
            return;
        };
        let [heads, kv_heads, head_dim] = entry.dims.map(|dim| dim as usize);
        let shape = AttentionShape {
            heads,
            kv_heads,
            head_dim,
            scale: f32::from_bits(entry.constants[0]),
        };
        let cache = at.layer as usize * self.attentions + self.attention_numbers[number];
        let width = kv_heads * head_dim;
        let (keys, values) = (
            self.values[usize::from(entry.inputs[1])].f16(),
            self.values[usize::from(entry.inputs[2])].f16(),
        );
        for (i, row) in at.rows.iter().enumerate() {
            let range = i * width..(i + 1) * width;
            let position = at.positions[i] as usize;
            self.sequences[row.sequence].store(
                cache,
                position,
                kv_heads,
                &keys[range.clone()],
                &values[range],
            );
        }
        let mut outputs = [number, number + 1, number + 2].map(|number| {
            let mut value = std::mem::take(&mut self.values[number]);
            value.resize(program.value_shape(number), at.rows.len());
            value
        });
        if let [
            Value::Maxima { maxima, places },
            Value::F32(sums),
            Value::F32(mix),
        ] = &mut outputs
        {
            let rows: Vec<_> = at
                .rows
                .iter()
                .zip(at.positions)
                .map(|(row, position)| AttentionRow {
                    pages: self.sequences[row.sequence].pages(cache),
                    position: *position,
                })
                .collect();
            let q = self.input(Part::Body, at.layer, entry.inputs[0]).f32();
            self.backend.attention(
                &shape,
                q,
                &rows,
                AttentionOut {
                    maxima,
                    places,
                    sums,
                    mix,
                },
            );
        }
        for (value, number) in outputs.into_iter().zip(number..) {
            self.values[number] = value;
        }
    }
}
