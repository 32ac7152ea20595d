//! Programs: operations, shapes, and one compiler per architecture (`prover/SPEC.md` section 3).

mod check;
mod codec;
mod shape;

pub mod llama;

pub use check::{CAPS, Caps};
pub use llama::LlamaConfig;
pub use shape::{AttentionShape, ValueShape};

use crate::numeric::constants as c;

/// An input slot or weight slot of an entry that is not used.
pub const UNUSED: u16 = 0xffff;
/// The input that names the output of the layer before.
pub const CARRY: u16 = 0xfffe;

/// How the elements of a weight tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WeightFormat {
    /// binary32
    F32 = c::WEIGHT_FORMAT_F32,
    /// binary16
    F16 = c::WEIGHT_FORMAT_F16,
    /// Blocks of 32 int8 with a binary16 scale.
    Q8_0 = c::WEIGHT_FORMAT_Q8_0,
    /// Blocks of 32 nibbles with a binary16 scale.
    Q4_0 = c::WEIGHT_FORMAT_Q4_0,
    /// Blocks of 32 int8 with a binary32 scale (llama2.c version 2).
    Q8F = c::WEIGHT_FORMAT_Q8F,
}

impl WeightFormat {
    /// The format of a code.
    pub fn from_code(code: u8) -> Option<WeightFormat> {
        use WeightFormat::*;
        [F32, F16, Q8_0, Q4_0, Q8F]
            .into_iter()
            .find(|format| *format as u8 == code)
    }

    /// Whether a matmul with such weights takes quantised activations.
    pub fn is_quantised(self) -> bool {
        matches!(
            self,
            WeightFormat::Q8_0 | WeightFormat::Q4_0 | WeightFormat::Q8F
        )
    }

    /// Bytes of a full commitment leaf: 256 elements (section 2).
    pub fn leaf_bytes(self) -> usize {
        match self {
            WeightFormat::F32 => 1024,
            WeightFormat::F16 => 512,
            WeightFormat::Q8_0 => 272,
            WeightFormat::Q4_0 => 144,
            WeightFormat::Q8F => 288,
        }
    }
}

/// Shape and format of a weight tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightShape {
    /// How elements are stored.
    pub format: WeightFormat,
    /// Outputs of a matmul; entries of an embedding.
    pub rows: u32,
    /// Inner size.
    pub cols: u32,
}

/// An operation of the machine (section 3, "Operations").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Op {
    /// Values of the token's row of a weight tensor.
    Embed = c::OP_EMBED,
    /// Inverse root mean square.
    NormStat = c::OP_NORM_STAT,
    /// `(x * r) * w`.
    NormApply = c::OP_NORM_APPLY,
    /// Blocks of 32 int8 with a scale.
    Quantise = c::OP_QUANTISE,
    /// Product with a weight matrix.
    Matmul = c::OP_MATMUL,
    /// Rotary position embedding.
    Rope = c::OP_ROPE,
    /// Rounding to binary16.
    ToF16 = c::OP_TO_F16,
    /// Softmax maximum of each head, with its position.
    AttnMax = c::OP_ATTN_MAX,
    /// Softmax sum of each head.
    AttnSum = c::OP_ATTN_SUM,
    /// Softmax-weighted mean of the values.
    AttnMix = c::OP_ATTN_MIX,
    /// `x + y`.
    Add = c::OP_ADD,
    /// `silu(x) * y`.
    SiluMul = c::OP_SILU_MUL,
}

impl Op {
    /// All operations, by rising code.
    pub const ALL: [Op; 12] = [
        Op::Embed,
        Op::NormStat,
        Op::NormApply,
        Op::Quantise,
        Op::Matmul,
        Op::Rope,
        Op::ToF16,
        Op::AttnMax,
        Op::AttnSum,
        Op::AttnMix,
        Op::Add,
        Op::SiluMul,
    ];

    /// The operation of a code.
    pub fn from_code(code: u8) -> Option<Op> {
        Op::ALL.into_iter().find(|op| *op as u8 == code)
    }
}

/// One operation of a program with its inputs, weights, dimensions and constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The operation.
    pub op: Op,
    /// Format of the weights of `embed` and `matmul`; F32 (code 0) for all others.
    pub format: WeightFormat,
    /// Numbers of the entries whose outputs it takes; [`CARRY`], [`UNUSED`].
    pub inputs: [u16; 3],
    /// Numbers of weight tensors; [`UNUSED`].
    pub weights: [u16; 2],
    /// d0, d1, d2.
    pub dims: [u32; 3],
    /// c0, c1: f32 bits or integers.
    pub constants: [u32; 2],
}

/// Which of the three tables an entry is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Runs once, before the layers.
    Head,
    /// Runs once for every layer.
    Body,
    /// Runs after the layers, only at rows that select or score.
    Tail,
}

/// A valid program: every field within its range, every shape agreed ([`Program::new`] and [`Program::decode`] check).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    parts: Parts,
    value_shapes: Vec<ValueShape>,
    local_weights: Vec<WeightShape>,
}

/// What a program is made of, not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Largest number of tokens of a run.
    pub context: u32,
    /// Tokens in the vocabulary.
    pub vocab_size: u32,
    /// How often the body runs.
    pub layers: u16,
    /// Weight tensors of the head, of one layer, of the tail.
    pub weight_counts: [u16; 3],
    /// Tokens that end a run, rising, at most 16.
    pub stop_tokens: Vec<u32>,
    /// Entries of the head.
    pub head: Vec<Entry>,
    /// Entries of one layer.
    pub body: Vec<Entry>,
    /// Entries of the tail.
    pub tail: Vec<Entry>,
}

/// Why bytes or parts are no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("program: {at}: found {found}, expected {expected}")]
pub struct ProgramError {
    /// The header field or entry.
    pub at: String,
    /// What is there.
    pub found: String,
    /// What a good program has.
    pub expected: String,
}

impl ProgramError {
    fn new(at: impl ToString, found: impl ToString, expected: impl ToString) -> ProgramError {
        ProgramError {
            at: at.to_string(),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }
}

impl Program {
    /// Checks the parts and derives the shapes of all values and weights.
    ///
    /// # Errors
    /// The first rule of section 3 that the parts break.
    pub fn new(parts: Parts) -> Result<Program, ProgramError> {
        let (value_shapes, local_weights) = check::check(&parts)?;
        Ok(Program {
            parts,
            value_shapes,
            local_weights,
        })
    }

    /// Largest number of tokens of a run.
    pub fn context(&self) -> u32 {
        self.parts.context
    }

    /// Tokens in the vocabulary.
    pub fn vocab_size(&self) -> u32 {
        self.parts.vocab_size
    }

    /// How often the body runs.
    pub fn layers(&self) -> u32 {
        u32::from(self.parts.layers)
    }

    /// Tokens that end a run, rising.
    pub fn stop_tokens(&self) -> &[u32] {
        &self.parts.stop_tokens
    }

    /// The entries of a table.
    pub fn entries(&self, part: Part) -> &[Entry] {
        match part {
            Part::Head => &self.parts.head,
            Part::Body => &self.parts.body,
            Part::Tail => &self.parts.tail,
        }
    }

    /// Number of the first entry of a table: head, then body, then tail.
    pub fn first_entry(&self, part: Part) -> usize {
        match part {
            Part::Head => 0,
            Part::Body => self.parts.head.len(),
            Part::Tail => self.parts.head.len() + self.parts.body.len(),
        }
    }

    /// The table that entry `number` is in.
    pub fn part_of(&self, number: usize) -> Part {
        if number < self.first_entry(Part::Body) {
            Part::Head
        } else if number < self.first_entry(Part::Tail) {
            Part::Body
        } else {
            Part::Tail
        }
    }

    /// Entry `number`.
    pub fn entry(&self, number: usize) -> Option<&Entry> {
        let part = self.part_of(number);
        self.entries(part).get(number - self.first_entry(part))
    }

    /// Entries in all tables.
    pub fn entry_count(&self) -> usize {
        self.value_shapes.len()
    }

    /// Shape of one row of the output of entry `number`.
    ///
    /// # Panics
    /// When there is no such entry.
    pub fn value_shape(&self, number: usize) -> ValueShape {
        self.value_shapes[number]
    }

    /// Number of global weight tensors.
    pub fn weight_count(&self) -> usize {
        let [head, body, tail] = self.parts.weight_counts.map(usize::from);
        head + body * usize::from(self.parts.layers) + tail
    }

    /// The global number of weight `number` of an entry in `layer` (ignored outside the body).
    pub fn global_weight(&self, number: u16, layer: u32) -> usize {
        let [head, body, _] = self.parts.weight_counts.map(usize::from);
        let number = usize::from(number);
        if number < head {
            number
        } else if number < head + body {
            number + layer as usize * body
        } else {
            number + (usize::from(self.parts.layers) - 1) * body
        }
    }

    /// The number in the entries, and the layer, of a global weight tensor; the layer is `None` outside the body.
    pub fn local_weight(&self, global: usize) -> (usize, Option<u32>) {
        let [head, body, _] = self.parts.weight_counts.map(usize::from);
        let layers = usize::from(self.parts.layers);
        if global < head {
            (global, None)
        } else if global < head + body * layers {
            (
                head + (global - head) % body,
                Some(((global - head) / body) as u32),
            )
        } else {
            (global - body * (layers - 1), None)
        }
    }

    /// Shape of a global weight tensor.
    ///
    /// # Panics
    /// When there is no such tensor.
    pub fn weight_shape(&self, global: usize) -> WeightShape {
        self.local_weights[self.local_weight(global).0]
    }

    /// Whether the tensor is read as a matrix (by `matmul` or `embed`) and not only as a table of numbers (by `norm_apply` or `rope`).
    pub fn is_matrix(&self, global: usize) -> bool {
        let number = self.local_weight(global).0;
        let tables = [Part::Head, Part::Body, Part::Tail].map(|part| self.entries(part));
        tables.into_iter().flatten().any(|entry| {
            matches!(entry.op, Op::Matmul | Op::Embed) && usize::from(entry.weights[0]) == number
        })
    }
}
