//! Sessions: token sequences that run through a program; one interpreter for prefill, decode and traces.

mod interpret;
mod parts;

pub use parts::{Cache, Span};

use crate::Error;
use crate::backend::{Backend, FloatMode};
use crate::engine::cache::Sequence;
use crate::engine::value::Value;
use crate::format::packed::Weights;
use crate::program::{Op, Part, Program};

/// Rows of a chunk of a prefill: enough to read weights rarely, few enough to keep activations small.
pub const CHUNK_ROWS: usize = 128;

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
    /// Places of sequences that ended.
    free: Vec<usize>,
    /// Number of each entry's attention among those of its layer.
    attention_numbers: Vec<usize>,
    attentions: usize,
    /// Outputs by entry number; those of the body are of the current layer.
    values: Vec<Value>,
    /// The last output of the layer before.
    carry: Value,
    /// What tail entries see of other parts: (input number, the rows that are wanted).
    gathered: Vec<(u16, Value)>,
    /// Rows of logits of the latest chunk.
    wanted: usize,
    /// Room for selection.
    scratch: Vec<u32>,
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
            free: Vec::new(),
            attention_numbers,
            attentions,
            values: (0..program.entry_count())
                .map(|number| Value::empty(program.value_shape(number)))
                .collect(),
            carry: Value::default(),
            gathered: Vec::new(),
            wanted: 0,
            scratch: Vec::new(),
        }
    }

    /// Starts an empty sequence.
    pub fn start(&mut self) -> usize {
        let caches = self.attentions * self.network.program.layers() as usize;
        self.insert(Sequence::new(caches))
    }

    /// Starts a sequence that has the tokens of another one; their cache is shared.
    ///
    /// # Panics
    /// When there is no such sequence.
    pub fn fork(&mut self, sequence: usize) -> usize {
        self.insert(self.sequences[sequence].clone())
    }

    /// Puts a sequence where one ended, or after the last.
    fn insert(&mut self, sequence: Sequence) -> usize {
        match self.free.pop() {
            Some(place) => {
                self.sequences[place] = sequence;
                place
            }
            None => {
                self.sequences.push(sequence);
                self.sequences.len() - 1
            }
        }
    }

    /// Ends a sequence and forgets its cache. Its number may be given to a later one.
    ///
    /// # Panics
    /// When there is no such sequence.
    pub fn end(&mut self, sequence: usize) {
        self.sequences[sequence] = Sequence::new(0);
        if !self.free.contains(&sequence) {
            self.free.push(sequence);
        }
    }

    /// Takes the last tokens of a sequence back, so that it has `length`.
    ///
    /// # Panics
    /// When there is no such sequence.
    pub fn truncate(&mut self, sequence: usize, length: usize) {
        self.sequences[sequence].truncate(length);
    }

    /// Tokens that a sequence has.
    ///
    /// # Panics
    /// When there is no such sequence.
    pub fn length(&self, sequence: usize) -> usize {
        self.sequences[sequence].length
    }

    /// Runs the tokens of a sequence in chunks and gives the logits, `[1, vocab]`, after the last one; nothing for no tokens.
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
        Ok(if tokens.is_empty() {
            &[]
        } else {
            self.logits()
        })
    }

    /// Runs one token of each row; several rows of a sequence are its next tokens in order. Gives the logits, `[wanted, vocab]`, of the rows
    /// whose indices are in `wanted`; the tail runs for those only.
    ///
    /// # Errors
    /// A token that is not in the vocabulary, a sequence that would become longer than the context, a wanted row that there is not. Nothing was
    /// run then.
    pub fn forward(
        &mut self,
        rows: &[Row],
        wanted: &[usize],
        mut sink: Option<&mut dyn Sink>,
    ) -> Result<&[f32], Error> {
        let _mode = FloatMode::set();
        let positions = self.positions(rows)?;
        self.wanted = 0;
        if let Some(index) = wanted.iter().find(|index| **index >= rows.len()) {
            return Err(Error::BadParameter {
                what: "wanted row".to_owned(),
                found: index.to_string(),
                expected: format!("below {}", rows.len()),
            });
        }
        if rows.is_empty() {
            return Ok(&[]);
        }
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
        if wanted.is_empty() {
            return Ok(&[]);
        }
        self.gather(wanted, rows.len());
        let rows: Vec<Row> = wanted.iter().map(|i| rows[*i]).collect();
        let tokens: Vec<u32> = wanted.iter().map(|i| tokens[*i]).collect();
        let positions: Vec<u32> = wanted.iter().map(|i| positions[*i]).collect();
        let at = At {
            layer: 0,
            rows: &rows,
            tokens: &tokens,
            positions: &positions,
        };
        self.part(Part::Tail, at, &mut sink);
        self.wanted = wanted.len();
        Ok(self.logits())
    }

    /// The logits of the latest chunk that wanted some.
    fn logits(&self) -> &[f32] {
        self.values.last().map_or(&[], Value::f32)
    }

    /// The logits of the latest chunk, `[wanted, vocab]`, how many rows these are, and room to select from them.
    pub(super) fn latest(&mut self) -> (&[f32], usize, &mut Vec<u32>) {
        let logits = self.values.last().map_or(&[][..], Value::f32);
        let logits = if self.wanted == 0 { &[] } else { logits };
        (logits, self.wanted, &mut self.scratch)
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
            let started = !self.free.contains(&row.sequence);
            let Some(length) = lengths.get_mut(row.sequence).filter(|_| started) else {
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
}
