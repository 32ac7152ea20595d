//! Shapes of values.

use crate::numeric::constants as c;

/// Shape of one row (one position) of an entry's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueShape {
    /// That many binary32.
    F32(u32),
    /// That many binary16.
    F16(u32),
    /// That many int8, with a binary32 scale for every 32.
    Quantised(u32),
    /// A binary32 maximum and its position for every head.
    Maxima(u32),
}

impl ValueShape {
    /// Leaves that one row takes in a trace (section 10.1).
    pub fn leaves(self) -> u32 {
        let (elements, leaf) = match self {
            ValueShape::F32(n) => (n, c::F32_LEAF_ELEMENTS),
            ValueShape::F16(n) => (n, c::F16_LEAF_ELEMENTS),
            ValueShape::Quantised(n) => (n, c::TILE_ELEMENTS),
            ValueShape::Maxima(n) => (n, c::MAXIMA_LEAF_ELEMENTS),
        };
        elements.div_ceil(leaf as u32)
    }
}

impl std::fmt::Display for ValueShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ValueShape::F32(n) => write!(f, "f32 [{n}]"),
            ValueShape::F16(n) => write!(f, "f16 [{n}]"),
            ValueShape::Quantised(n) => write!(f, "quantised [{n}]"),
            ValueShape::Maxima(n) => write!(f, "maxima [{n}]"),
        }
    }
}

/// Dimensions of an attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Factor of the scores.
    pub scale: f32,
}
