//! Outputs of operations over a range of rows.

use crate::numeric::constants::BLOCK_ELEMENTS;
use crate::program::ValueShape;

/// The output of an entry, row-major, one row a position.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// binary32, `[rows, n]`.
    F32(Vec<f32>),
    /// binary16, `[rows, n]`.
    F16(Vec<u16>),
    /// Quantised, `[rows, n]`, with a scale for every 32.
    Quantised {
        /// `[rows, n / 32]`
        scales: Vec<f32>,
        /// `[rows, n]`
        quants: Vec<i8>,
    },
    /// Softmax maxima and their positions, `[rows, heads]`.
    Maxima {
        /// The maxima.
        maxima: Vec<f32>,
        /// Their positions.
        places: Vec<u32>,
    },
}

impl Default for Value {
    fn default() -> Value {
        Value::F32(Vec::new())
    }
}

impl Value {
    /// A value without rows.
    pub(super) fn empty(shape: ValueShape) -> Value {
        match shape {
            ValueShape::F32(_) => Value::F32(Vec::new()),
            ValueShape::F16(_) => Value::F16(Vec::new()),
            ValueShape::Quantised(_) => Value::Quantised {
                scales: Vec::new(),
                quants: Vec::new(),
            },
            ValueShape::Maxima(_) => Value::Maxima {
                maxima: Vec::new(),
                places: Vec::new(),
            },
        }
    }

    /// Makes room for that many rows; what they hold is not defined until it is written.
    pub(super) fn resize(&mut self, shape: ValueShape, rows: usize) {
        let (ValueShape::F32(n)
        | ValueShape::F16(n)
        | ValueShape::Quantised(n)
        | ValueShape::Maxima(n)) = shape;
        let n = n as usize * rows;
        match self {
            Value::F32(values) => values.resize(n, 0.0),
            Value::F16(values) => values.resize(n, 0),
            Value::Quantised { scales, quants } => {
                scales.resize(n / BLOCK_ELEMENTS, 0.0);
                quants.resize(n, 0);
            }
            Value::Maxima { maxima, places } => {
                maxima.resize(n, 0.0);
                places.resize(n, 0);
            }
        }
    }

    /// The numbers of a binary32 value; none for another kind, which a checked program never asks for.
    pub fn f32(&self) -> &[f32] {
        match self {
            Value::F32(values) => values,
            _ => &[],
        }
    }

    /// The numbers of a binary16 value; none for another kind.
    pub fn f16(&self) -> &[u16] {
        match self {
            Value::F16(values) => values,
            _ => &[],
        }
    }

    /// Copies the given rows, of `count` in all, of a binary32 value into `out`.
    pub(super) fn gather(&self, rows: &[usize], count: usize, out: &mut Vec<f32>) {
        let values = self.f32();
        let width = values.len() / count.max(1);
        out.clear();
        for row in rows {
            out.extend_from_slice(&values[row * width..][..width]);
        }
    }
}
