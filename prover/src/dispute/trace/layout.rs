//! Where everything of a trace stands (`prover/SPEC.md` section 10.1), from the program alone.
//!
//! ```text
//! trace   row 0 | row 1 | ... | row R-1 | absent rows        ceil_pow2(R) rows of 2^row_depth leaves
//! row     step 0's leaves | step 1's | ... | absent leaves   N = first(number of steps) leaves
//! step    head entries, then the body's once a layer, then the tail's (at rows >= n_prompt - 1 only)
//! ```

use sworn_inference::program::{CARRY, Op, Part, Program, UNUSED, ValueShape, WeightFormat};

use crate::constants::{
    BLOCK_ELEMENTS, F16_LEAF_ELEMENTS, F32_LEAF_ELEMENTS, MAXIMA_LEAF_ELEMENTS, TILE_ELEMENTS,
};
use crate::{Error, merkle};

/// How the leaves of a step's output are written (section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeafKind {
    /// 64 x f32_le.
    F32,
    /// 128 x f16_le.
    F16,
    /// 8 x f32_le scales, then 256 x i8.
    Quantised,
    /// 32 x (f32_le maximum, u32_le position).
    Maxima,
}

impl LeafKind {
    /// Elements of a full leaf.
    #[must_use]
    pub const fn elements(self) -> u32 {
        match self {
            LeafKind::F32 => F32_LEAF_ELEMENTS as u32,
            LeafKind::F16 => F16_LEAF_ELEMENTS as u32,
            LeafKind::Quantised => TILE_ELEMENTS as u32,
            LeafKind::Maxima => MAXIMA_LEAF_ELEMENTS as u32,
        }
    }

    /// Bytes of every leaf.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            LeafKind::Quantised => TILE_ELEMENTS + 4 * TILE_ELEMENTS / BLOCK_ELEMENTS,
            _ => 256,
        }
    }
}

/// A step of a row: an entry at its layer, with everything resolved. What the entry does not use is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 0.
    pub number: u32,
    /// The entry's number in the program.
    pub entry: u32,
    /// The table that it is of.
    pub part: Part,
    /// The layer; 0 outside the body.
    pub layer: u32,
    /// The operation.
    pub op: Op,
    /// Format of the weights of `embed` and `matmul`.
    pub format: WeightFormat,
    /// Numbers of the steps whose outputs it takes.
    pub inputs: [Option<u32>; 3],
    /// Global numbers of its weight tensors.
    pub weights: [Option<u32>; 2],
    /// d0, d1, d2.
    pub dims: [u32; 3],
    /// c0, c1.
    pub constants: [u32; 2],
    /// How its leaves are written.
    pub kind: LeafKind,
    /// Elements of its output at a row; heads for `attn_max`.
    pub elements: u32,
    /// Its first leaf in a row.
    pub first_leaf: u32,
    /// Its leaves in a row.
    pub leaf_count: u32,
}

impl Step {
    /// The leaf of the row that holds element `element`, and the element's place in the leaf.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`].
    pub fn leaf_of(&self, element: u32) -> Result<(u32, u32), Error> {
        if element >= self.elements {
            return Err(Error::IndexOutOfRange {
                what: "element of a step",
                found: element.into(),
                expected: self.elements.into(),
            });
        }
        let each = self.kind.elements();
        Ok((self.first_leaf + element / each, element % each))
    }

    /// The elements that the step's leaf `k`, from 0, holds.
    #[must_use]
    pub fn elements_of(&self, k: u32) -> std::ops::Range<u32> {
        let each = self.kind.elements();
        let start = k.saturating_mul(each).min(self.elements);
        start..start.saturating_add(each).min(self.elements)
    }

    /// Tiles of the long sum over `inner` elements of the step's input (`matmul`, `norm_stat`); none for other operations.
    #[must_use]
    pub fn sum_tiles(&self) -> Option<u32> {
        match self.op {
            Op::Matmul => Some(self.dims[1].div_ceil(TILE_ELEMENTS as u32)),
            Op::NormStat => Some(self.dims[0].div_ceil(TILE_ELEMENTS as u32)),
            _ => None,
        }
    }
}

/// The layout of a model's traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceLayout {
    program: Program,
    /// Leaves before each entry in its table, by entry number.
    before: Vec<u32>,
    /// Leaves of the head, of one layer, of the tail.
    leaves: [u32; 3],
    row_leaves: u32,
    steps: u32,
}

impl TraceLayout {
    /// The layout of a program's traces.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a program whose rows have 2^32 leaves or more.
    pub fn new(program: &Program) -> Result<TraceLayout, Error> {
        let mut before = Vec::with_capacity(program.entry_count());
        let mut leaves = [0u64; 3];
        for (table, part) in [Part::Head, Part::Body, Part::Tail].into_iter().enumerate() {
            for i in 0..program.entries(part).len() {
                before.push(narrow(leaves[table])?);
                let shape = program.value_shape(program.first_entry(part) + i);
                leaves[table] += u64::from(leaves_of(shape));
            }
        }
        let row_leaves = narrow(leaves[0] + leaves[1] * u64::from(program.layers()) + leaves[2])?;
        let entries = |part| program.entries(part).len() as u32;
        Ok(TraceLayout {
            before,
            leaves: [narrow(leaves[0])?, narrow(leaves[1])?, narrow(leaves[2])?],
            row_leaves,
            // At most 1024 entries a table and 4096 layers.
            steps: entries(Part::Head)
                + entries(Part::Body) * program.layers()
                + entries(Part::Tail),
            program: program.clone(),
        })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Steps of a row.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// N: the leaves of a row that has a tail.
    #[must_use]
    pub fn row_leaves(&self) -> u32 {
        self.row_leaves
    }

    /// Levels above the leaves of a row.
    #[must_use]
    pub fn row_depth(&self) -> u32 {
        merkle::depth(self.row_leaves.into())
    }

    /// Levels above the leaves of a trace of `rows` rows.
    #[must_use]
    pub fn depth(&self, rows: u32) -> u32 {
        self.row_depth() + merkle::depth(rows.into())
    }

    /// The first step of the tail.
    #[must_use]
    pub fn tail_start(&self) -> u32 {
        self.steps - self.program.entries(Part::Tail).len() as u32
    }

    /// The first leaf of the tail.
    #[must_use]
    pub fn tail_leaf(&self) -> u32 {
        self.row_leaves - self.leaves[2]
    }

    /// The leaves of a part of a row, at a layer, which is ignored outside the body.
    #[must_use]
    pub fn leaves_of(&self, part: Part, layer: u32) -> std::ops::Range<u32> {
        let (start, table) = match part {
            Part::Head => (0, 0),
            Part::Body => (self.leaves[0] + layer * self.leaves[1], 1),
            Part::Tail => (self.tail_leaf(), 2),
        };
        start..start + self.leaves[table]
    }

    /// Leaves of a row that exist: all but the tail's in rows that select nothing.
    #[must_use]
    pub fn leaves_at(&self, row: u32, n_prompt: u32) -> u32 {
        if row.saturating_add(1) >= n_prompt {
            self.row_leaves
        } else {
            self.tail_leaf()
        }
    }

    /// Whether node `index` at `height` of a trace of `rows` rows stands over a leaf that exists. Only such nodes are not `Z(height)` by rule.
    #[must_use]
    pub fn exists(&self, height: u32, index: u64, rows: u32, n_prompt: u32) -> bool {
        if height > self.depth(rows) {
            return false;
        }
        let row_depth = self.row_depth();
        if height >= row_depth {
            // Every row has leaves.
            let first = u128::from(index) << (height - row_depth);
            return first < u128::from(rows);
        }
        let (row, within) = (
            index >> (row_depth - height),
            index & ((1 << (row_depth - height)) - 1),
        );
        row < u64::from(rows)
            && (within << height) < u64::from(self.leaves_at(row as u32, n_prompt))
    }

    /// The index of a row's leaf in the trace tree.
    #[must_use]
    pub fn index(&self, row: u32, leaf: u32) -> u64 {
        (u64::from(row) << self.row_depth()) + u64::from(leaf)
    }

    /// The row and its leaf at an index of the trace tree.
    #[must_use]
    pub fn place(&self, index: u64) -> (u32, u32) {
        let depth = self.row_depth();
        (
            u32::try_from(index >> depth).unwrap_or(u32::MAX),
            (index & ((1u64 << depth) - 1)) as u32,
        )
    }

    /// Number of the step that the entry `entry` is in layer `layer`, which is ignored outside the body.
    #[must_use]
    pub fn step_of(&self, entry: u32, layer: u32) -> u32 {
        let head = self.program.entries(Part::Head).len() as u32;
        let body = self.program.entries(Part::Body).len() as u32;
        if entry < head {
            entry
        } else if entry < head + body {
            entry + layer * body
        } else {
            entry + (self.program.layers() - 1) * body
        }
    }

    /// Step `number`.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`].
    pub fn step(&self, number: u32) -> Result<Step, Error> {
        let head = self.program.entries(Part::Head).len() as u32;
        let body = self.program.entries(Part::Body).len() as u32;
        let tail_start = self.tail_start();
        let (entry, part, layer, base) = if number < head {
            (number, Part::Head, 0, 0)
        } else if number < tail_start {
            let layer = (number - head) / body;
            let base = self.leaves[0] + layer * self.leaves[1];
            (head + (number - head) % body, Part::Body, layer, base)
        } else {
            let entry = head + body + (number - tail_start);
            (entry, Part::Tail, 0, self.tail_leaf())
        };
        let Some(found) = self.program.entry(entry as usize) else {
            return Err(Error::IndexOutOfRange {
                what: "steps of a row",
                found: number.into(),
                expected: self.steps.into(),
            });
        };
        let input = |input: u16| match input {
            UNUSED => None,
            CARRY if part == Part::Tail => Some(tail_start - 1),
            CARRY => Some(head + layer * body - 1),
            _ => Some(self.step_of(input.into(), layer)),
        };
        let weight = |weight: u16| {
            (weight != UNUSED).then(|| self.program.global_weight(weight, layer) as u32)
        };
        let shape = self.program.value_shape(entry as usize);
        let (kind, elements) = kind_of(shape);
        Ok(Step {
            number,
            entry,
            part,
            layer,
            op: found.op,
            format: found.format,
            inputs: found.inputs.map(input),
            weights: found.weights.map(weight),
            dims: found.dims,
            constants: found.constants,
            kind,
            elements,
            first_leaf: base + self.before[entry as usize],
            leaf_count: leaves_of(shape),
        })
    }

    /// The step that leaf `leaf` of a row is of.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`].
    pub fn step_at(&self, leaf: u32) -> Result<Step, Error> {
        if leaf >= self.row_leaves {
            return Err(Error::IndexOutOfRange {
                what: "leaves of a row",
                found: leaf.into(),
                expected: self.row_leaves.into(),
            });
        }
        let head = self.program.entries(Part::Head).len();
        let body = self.program.entries(Part::Body).len();
        let (layer, table, within) = if leaf < self.leaves[0] {
            (0, 0..head, leaf)
        } else if leaf < self.tail_leaf() {
            let leaf = leaf - self.leaves[0];
            (
                leaf / self.leaves[1],
                head..head + body,
                leaf % self.leaves[1],
            )
        } else {
            (0, head + body..self.before.len(), leaf - self.tail_leaf())
        };
        let start = table.start;
        // Every entry has a leaf, so the first of the table starts at 0.
        let i = self.before[table].partition_point(|first| *first <= within) - 1;
        self.step(self.step_of((start + i) as u32, layer))
    }
}

/// The code that the registry stores for a program: `0x00 || program || index`, where the index is, for every entry, the number of leaves
/// before it in its table, then the leaves of the head, of one layer and of the tail; each a u32, big-endian.
///
/// # Errors
/// Bytes that are no valid program, or one with rows that are too long.
pub fn program_code(program_bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let program = Program::decode(program_bytes).map_err(|error| Error::BadProgram {
        reason: error.to_string(),
    })?;
    let layout = TraceLayout::new(&program)?;
    let mut code = Vec::with_capacity(1 + program_bytes.len() + 4 * layout.before.len() + 12);
    code.push(0);
    code.extend_from_slice(program_bytes);
    for leaves in layout.before.iter().chain(&layout.leaves) {
        code.extend_from_slice(&leaves.to_be_bytes());
    }
    Ok(code)
}

fn kind_of(shape: ValueShape) -> (LeafKind, u32) {
    match shape {
        ValueShape::F32(n) => (LeafKind::F32, n),
        ValueShape::F16(n) => (LeafKind::F16, n),
        ValueShape::Quantised(n) => (LeafKind::Quantised, n),
        ValueShape::Maxima(n) => (LeafKind::Maxima, n),
    }
}

fn leaves_of(shape: ValueShape) -> u32 {
    let (kind, elements) = kind_of(shape);
    elements.div_ceil(kind.elements())
}

fn narrow(leaves: u64) -> Result<u32, Error> {
    u32::try_from(leaves).map_err(|_| Error::TooLong {
        what: "leaves of a trace's row",
        found: usize::try_from(leaves).unwrap_or(usize::MAX),
        maximum: u32::MAX as usize,
    })
}

#[cfg(test)]
mod tests;
