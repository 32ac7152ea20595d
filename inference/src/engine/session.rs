//! The interpreter of programs: one for prefill, decode and traces.

use crate::Error;
use crate::backend::{AttentionOut, AttentionRow, Backend, FloatMode, MatmulInput, Quantised};
use crate::engine::cache::Sequence;
use crate::engine::value::Value;
use crate::format::packed::Weights;
use crate::program::{AttentionShape, CARRY, Entry, Op, Part, Program};

/// Rows of a chunk of a prefill: enough to read weights rarely, few enough to keep activations small.
pub const CHUNK_ROWS: usize = 64;

/// A program with its weights.
#[derive(Debug, Clone, Copy)]
pub struct Network<'a> {
    /// The program.
    pub program: &'a Program,
    /// Its packed weights.
    pub weights: &'a Weights,
}

/// A token to run: the next one of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The sequence, from [`Session::start`] or [`Session::fork`].
    pub sequence: usize,
    /// The token.
    pub token: u32,
}

/// Which operation gave an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The layer; 0 outside the body.
    pub layer: u32,
    /// The entry's number.
    pub entry: usize,
}

/// Receives the output rows of every operation, in program order.
pub trait Sink {
    /// `positions` are those of the rows of `value`.
    fn output(&mut self, place: Place, positions: &[u32], value: &Value);
}

/// Token sequences with their caches, and the room for one chunk of activations.
#[derive(Debug)]
pub struct Session<'a> {
    network: Network<'a>,
    backend: &'a dyn Backend,
    sequences: Vec<Sequence>,
    /// Number of each entry's attention among those of its layer.
    attention_numbers: Vec<usize>,
    attentions: usize,
    /// Outputs by entry number; those of the body are of the current layer.
    values: Vec<Value>,
    /// The last output of the layer before.
    carry: Value,
    /// What tail entries see of other parts: (input number, the rows that are wanted).
    gathered: Vec<(u16, Value)>,
}

/// Where the interpreter is.
#[derive(Clone, Copy)]
struct At<'r> {
    layer: u32,
    rows: &'r [Row],
    tokens: &'r [u32],
    positions: &'r [u32],
}

impl<'a> Session<'a> {
    /// A session without sequences.
    pub fn new(network: Network<'a>, backend: &'a dyn Backend) -> Session<'a> {
        let program = network.program;
        let mut attentions = 0;
        let mut attention_numbers = Vec::new();
        for number in 0..program.entry_count() {
            if program
                .entry(number)
                .is_some_and(|entry| entry.op == Op::AttnMax)
            {
                attentions += 1;
            }
            attention_numbers.push(attentions - usize::from(attentions > 0));
        }
        Session {
            network,
            backend,
            sequences: Vec::new(),
            attention_numbers,
            attentions,
            values: (0..program.entry_count())
                .map(|number| Value::empty(program.value_shape(number)))
                .collect(),
            carry: Value::default(),
            gathered: Vec::new(),
        }
    }

    /// Starts an empty sequence.
    pub fn start(&mut self) -> usize {
        self.sequences.push(Sequence::new(
            self.attentions * self.network.program.layers() as usize,
        ));
        self.sequences.len() - 1
    }

    /// Starts a sequence that has the tokens of another one; their cache is shared.
    ///
    /// # Panics
    /// When there is no such sequence.
    pub fn fork(&mut self, sequence: usize) -> usize {
        self.sequences.push(self.sequences[sequence].clone());
        self.sequences.len() - 1
    }

    /// Tokens that a sequence has.
    ///
    /// # Panics
    /// When there is no such sequence.
    pub fn length(&self, sequence: usize) -> usize {
        self.sequences[sequence].length
    }

    /// Runs the tokens of a sequence in chunks and gives the logits, `[1, vocab]`, after the last one.
    ///
    /// # Errors
    /// As [`Session::forward`].
    pub fn prefill(&mut self, sequence: usize, tokens: &[u32]) -> Result<&[f32], Error> {
        let chunks = tokens.chunks(CHUNK_ROWS);
        let last = chunks.len().saturating_sub(1);
        for (i, chunk) in chunks.enumerate() {
            let rows: Vec<Row> = chunk
                .iter()
                .map(|token| Row {
                    sequence,
                    token: *token,
                })
                .collect();
            let wanted = [rows.len() - 1];
            self.forward(&rows, if i == last { &wanted } else { &[] }, None)?;
        }
        Ok(self.logits())
    }

    /// Runs one token of each row; several rows of a sequence are its next tokens in order. Gives the logits, `[wanted, vocab]`, of the rows
    /// whose indices are in `wanted`; the tail runs for those only.
    ///
    /// # Errors
    /// A token that is not in the vocabulary, a sequence that would become longer than the context. Nothing was run then.
    pub fn forward(
        &mut self,
        rows: &[Row],
        wanted: &[usize],
        mut sink: Option<&mut dyn Sink>,
    ) -> Result<&[f32], Error> {
        let _mode = FloatMode::set();
        let positions = self.positions(rows)?;
        let tokens: Vec<u32> = rows.iter().map(|row| row.token).collect();
        let program = self.network.program;
        let mut at = At {
            layer: 0,
            rows,
            tokens: &tokens,
            positions: &positions,
        };
        self.part(Part::Head, at, &mut sink);
        for layer in 0..program.layers() {
            at.layer = layer;
            self.part(Part::Body, at, &mut sink);
            std::mem::swap(
                &mut self.carry,
                &mut self.values[program.first_entry(Part::Tail) - 1],
            );
        }
        for row in rows {
            self.sequences[row.sequence].length += 1;
        }
        if !wanted.is_empty() {
            self.gather(wanted, rows.len());
            let rows: Vec<Row> = wanted.iter().map(|i| rows[*i]).collect();
            let tokens: Vec<u32> = wanted.iter().map(|i| tokens[*i]).collect();
            let positions: Vec<u32> = wanted.iter().map(|i| positions[*i]).collect();
            self.part(
                Part::Tail,
                At {
                    layer: 0,
                    rows: &rows,
                    tokens: &tokens,
                    positions: &positions,
                },
                &mut sink,
            );
        }
        Ok(self.logits())
    }

    /// The logits of the latest chunk that wanted some.
    fn logits(&self) -> &[f32] {
        self.values.last().map_or(&[], Value::f32)
    }

    /// The rows' positions, after the checks of [`Session::forward`].
    fn positions(&self, rows: &[Row]) -> Result<Vec<u32>, Error> {
        let (context, vocab) = (
            self.network.program.context(),
            self.network.program.vocab_size(),
        );
        let mut lengths: Vec<usize> = self
            .sequences
            .iter()
            .map(|sequence| sequence.length)
            .collect();
        let mut positions = Vec::with_capacity(rows.len());
        for row in rows {
            let bad = |what: &str, found: String, expected: String| Error::BadParameter {
                what: what.to_owned(),
                found,
                expected,
            };
            if row.token >= vocab {
                return Err(bad(
                    "token",
                    row.token.to_string(),
                    format!("below the vocabulary size {vocab}"),
                ));
            }
            let Some(length) = lengths.get_mut(row.sequence) else {
                return Err(bad(
                    "sequence",
                    row.sequence.to_string(),
                    "one that was started".to_owned(),
                ));
            };
            if *length >= context as usize {
                return Err(bad(
                    "tokens of a sequence",
                    format!("{}", *length + 1),
                    format!("at most {context}, the context"),
                ));
            }
            positions.push(*length as u32);
            *length += 1;
        }
        Ok(positions)
    }

    /// Keeps, for the tail, the wanted rows of what its entries take from other parts.
    fn gather(&mut self, wanted: &[usize], count: usize) {
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
    fn part(&mut self, part: Part, at: At<'_>, sink: &mut Option<&mut dyn Sink>) {
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
