//! How packed weights lie in memory, for kernels that give each SIMD lane one row.
//!
//! A matrix is cut into groups of 16 rows (rows past the end are zero), a group into tiles of 256 columns. A tile is one sequential record:
//!
//! ```text
//! Q8_0, Q8F   scales  [block][16 rows]             f16 or f32, padded to 64 bytes
//!             quants  [block][8 quads][16 rows][4] u8 = weight + 128
//! Q4_0        scales  [block][16 rows]             f16, padded to 64 bytes
//!             quants  [block][4 quads][16 rows][4] byte 4 * quad + j of the block: elements 4 * quad + j (low) and that + 16 (high)
//! F32, F16    values  [column][16 rows]            padded to 64 bytes
//! ```
//! The last tile of a row may be narrower; its record is shorter. A group's records follow each other, groups follow each other, and every
//! record starts at a multiple of 64 bytes. Tensors that are only tables of numbers (norm weights, rotations) are plain row-major F32.

use crate::numeric::clamp_weight;
use crate::program::{WeightFormat, WeightShape};

/// Rows of a group.
pub const GROUP_ROWS: usize = 16;
pub(super) const TILE: usize = crate::numeric::constants::TILE_ELEMENTS;
pub(super) const BLOCK: usize = crate::numeric::constants::BLOCK_ELEMENTS;
pub(super) const TILE_BLOCKS: usize = TILE / BLOCK;

/// A packed tensor's shape and place-independent layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Format, rows and columns.
    pub shape: WeightShape,
    /// Whether it is cut into groups and tiles; else row-major F32.
    pub matrix: bool,
}

fn pad64(n: usize) -> usize {
    n.next_multiple_of(64)
}

/// Bytes of one scale; 0 for formats without.
pub(super) fn scale_bytes(format: WeightFormat) -> usize {
    match format {
        WeightFormat::F32 | WeightFormat::F16 => 0,
        WeightFormat::Q8_0 | WeightFormat::Q4_0 => 2,
        WeightFormat::Q8F => 4,
    }
}

/// Bytes of the scales at the head of a tile's record of `n` columns.
pub fn scale_area(format: WeightFormat, n: usize) -> usize {
    pad64(n / BLOCK * GROUP_ROWS * scale_bytes(format))
}

/// Bytes of a tile's record of `n` columns.
pub fn tile_bytes(format: WeightFormat, n: usize) -> usize {
    let values = match format {
        WeightFormat::F32 => n * 64,
        WeightFormat::F16 => pad64(n * 32),
        WeightFormat::Q8_0 | WeightFormat::Q8F => n * 16,
        WeightFormat::Q4_0 => n * 8,
    };
    scale_area(format, n) + values
}

impl Layout {
    /// Columns of tile `tile`.
    pub fn tile_cols(&self, tile: usize) -> usize {
        (self.shape.cols as usize - tile * TILE).min(TILE)
    }

    /// Tiles of a row.
    pub fn tiles(&self) -> usize {
        (self.shape.cols as usize).div_ceil(TILE)
    }

    /// Groups of 16 rows.
    pub fn groups(&self) -> usize {
        (self.shape.rows as usize).div_ceil(GROUP_ROWS)
    }

    /// Bytes of a group; a multiple of 64.
    pub fn group_bytes(&self) -> usize {
        (0..self.tiles())
            .map(|tile| tile_bytes(self.shape.format, self.tile_cols(tile)))
            .sum()
    }

    /// Bytes of the tensor; a multiple of 64.
    pub fn bytes(&self) -> usize {
        if self.matrix {
            self.groups() * self.group_bytes()
        } else {
            pad64(self.shape.rows as usize * self.shape.cols as usize * 4)
        }
    }

    /// Where tile `tile` of a group starts in the group.
    pub fn tile_offset(&self, tile: usize) -> usize {
        tile * tile_bytes(self.shape.format, TILE)
    }

    /// What a group holds where no row is: zero weights.
    pub fn empty_group(&self) -> Vec<u8> {
        let mut group = vec![0; self.group_bytes()];
        if matches!(self.shape.format, WeightFormat::Q8_0 | WeightFormat::Q8F) {
            for tile in 0..self.tiles() {
                let n = self.tile_cols(tile);
                let start = self.tile_offset(tile) + scale_area(self.shape.format, n);
                group[start..start + n * GROUP_ROWS].fill(128);
            }
        }
        group
    }

    /// Puts the commitment leaf of row `lane` of a group at tile `tile` into the group.
    pub fn pack_leaf(&self, group: &mut [u8], lane: usize, tile: usize, leaf: &[u8]) {
        let (format, n) = (self.shape.format, self.tile_cols(tile));
        let record = &mut group[self.tile_offset(tile)..][..tile_bytes(format, n)];
        let (scales, values) = record.split_at_mut(scale_area(format, n));
        let size = scale_bytes(format);
        let (leaf_scales, leaf_values) = leaf.split_at(TILE_BLOCKS * size);
        for block in 0..n / BLOCK * usize::from(size > 0) {
            scales[(block * GROUP_ROWS + lane) * size..][..size]
                .copy_from_slice(&leaf_scales[block * size..][..size]);
        }
        match format {
            WeightFormat::F32 | WeightFormat::F16 => {
                let size = if format == WeightFormat::F32 { 4 } else { 2 };
                for col in 0..n {
                    values[(col * GROUP_ROWS + lane) * size..][..size]
                        .copy_from_slice(&leaf_values[col * size..][..size]);
                }
            }
            WeightFormat::Q8_0 | WeightFormat::Q8F => {
                for (quad, bytes) in leaf_values[..n].chunks_exact(4).enumerate() {
                    for (j, byte) in bytes.iter().enumerate() {
                        values[(quad * GROUP_ROWS + lane) * 4 + j] =
                            clamp_weight(*byte as i8) as u8 ^ 0x80;
                    }
                }
            }
            WeightFormat::Q4_0 => {
                for (quad, bytes) in leaf_values[..n / 2].chunks_exact(4).enumerate() {
                    values[(quad * GROUP_ROWS + lane) * 4..][..4].copy_from_slice(bytes);
                }
            }
        }
    }
}
