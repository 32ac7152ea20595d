//! Where everything that a chunk of rows needs lies in one block of device memory.

use sworn_inference::engine::CHUNK_ROWS;
use sworn_inference::numeric::constants::{BLOCK_ELEMENTS, TILE_ELEMENTS};
use sworn_inference::program::{CARRY, Op, Part, Program, ValueShape};

/// Rows of a chunk at most.
pub(crate) const ROWS: usize = CHUNK_ROWS;
/// Bytes of attention scores that a chunk may need, unless one row alone needs more.
const SCORE_BYTES: u64 = 128 << 20;
/// Pages of a summation tile.
pub(crate) const TILE_PAGES: usize = TILE_ELEMENTS / sworn_inference::backend::PAGE_POSITIONS;

/// The next multiple of what device memory is aligned to.
pub(crate) fn aligned(bytes: u64) -> u64 {
    bytes.next_multiple_of(256)
}

/// The parts of a value; offsets in the arena.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// Numbers, or quants.
    pub(crate) data: u64,
    /// Scales and sums of quantised blocks.
    pub(crate) scales: u64,
    pub(crate) sums: u64,
}

/// Offsets in the arena, and its size.
#[derive(Debug, Clone)]
pub(crate) struct Arena {
    pub(crate) values: Vec<Place>,
    /// The last body entry's other output: layers take turns.
    pub(crate) other: Place,
    /// What tail entries see of other parts: (input number, place, width).
    pub(crate) gathered: Vec<(u16, u64, u32)>,
    /// Tokens, positions, sequences of the rows; tokens, positions, indices of the wanted rows: `[6][ROWS]` u32, then tables of pages.
    pub(crate) step: u64,
    pub(crate) scores: u64,
    pub(crate) mixes: u64,
    pub(crate) bests: u64,
    pub(crate) tile_sums: u64,
    pub(crate) norm_tiles: u64,
    pub(crate) masses: u64,
    /// `[ROWS][2]` u32: best tokens and their logits; then the token that was drawn.
    pub(crate) chosen: u64,
    /// Bytes of `scores` and of `mixes`.
    score_bytes: u64,
    heads: u64,
    pub(crate) bytes: u64,
}

impl Arena {
    pub(crate) fn new(program: &Program) -> Arena {
        let mut bytes = 0u64;
        let mut take = |size: u64| {
            let place = bytes;
            bytes = bytes.saturating_add(aligned(size));
            place
        };
        let rows = ROWS as u64;
        let mut value = |shape: ValueShape| match shape {
            ValueShape::F32(n) => Place {
                data: take(rows * u64::from(n) * 4),
                ..Place::default()
            },
            ValueShape::F16(n) => Place {
                data: take(rows * u64::from(n) * 2),
                ..Place::default()
            },
            ValueShape::Quantised(n) => {
                let blocks = u64::from(n) / BLOCK_ELEMENTS as u64;
                Place {
                    data: take(rows * u64::from(n)),
                    scales: take(rows * blocks * 4),
                    sums: take(rows * blocks * 4),
                }
            }
            // Maxima stay in the attention's own memory.
            ValueShape::Maxima(_) => Place::default(),
        };
        let values = (0..program.entry_count())
            .map(|number| value(program.value_shape(number)))
            .collect();
        let tail = program.first_entry(Part::Tail);
        let other = value(program.value_shape(tail - 1));
        let inputs = program.entries(Part::Tail).iter().flat_map(|e| e.inputs);
        let mut outer: Vec<u16> = inputs
            .filter(|input| usize::from(*input) < tail || *input == CARRY)
            .collect();
        outer.sort_unstable();
        outer.dedup();
        let gathered = outer
            .into_iter()
            .map(|input| {
                let number = if input == CARRY {
                    tail - 1
                } else {
                    usize::from(input)
                };
                let width = match program.value_shape(number) {
                    ValueShape::F32(width) => width,
                    _ => 0,
                };
                (input, take(rows * u64::from(width) * 4), width)
            })
            .collect();
        let attentions = program.entries(Part::Body).iter();
        let heads = attentions
            .filter(|entry| entry.op == Op::AttnMix)
            .map(|entry| u64::from(entry.dims[0]))
            .max()
            .unwrap_or(0);
        let tiles = u64::from(program.context())
            .div_ceil(TILE_ELEMENTS as u64)
            .next_power_of_two();
        // head_dim is at most a tile, so a tile's mixes need no more than its scores.
        let one_row = heads * tiles * TILE_ELEMENTS as u64 * 4;
        let score_bytes = (one_row * rows).min(SCORE_BYTES.max(one_row));
        let per_tile = score_bytes / (TILE_ELEMENTS as u64 * 4);
        let vocab = u64::from(program.vocab_size());
        let table = rows * tiles * TILE_PAGES as u64 * 8;
        let mut arena = Arena {
            values,
            other,
            gathered,
            step: take(6 * rows * 4 + table),
            scores: take(score_bytes),
            mixes: take(score_bytes),
            bests: take(per_tile * 8),
            tile_sums: take(per_tile * 4),
            norm_tiles: take(rows * (1 << 20) / TILE_ELEMENTS as u64 * 4),
            masses: take(vocab * 4),
            chosen: take(rows * 8 + 8),
            score_bytes,
            heads,
            bytes: 0,
        };
        arena.bytes = bytes;
        arena
    }

    /// Rows whose attention over so many tiles fits.
    pub(crate) fn rows(&self, tiles: usize) -> usize {
        let one_row = self.heads * tiles as u64 * TILE_ELEMENTS as u64 * 4;
        ((self.score_bytes / one_row.max(1)) as usize).clamp(1, ROWS)
    }
}
