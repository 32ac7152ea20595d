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

use crate::numeric::{clamp_weight, f16_to_f32, nibbles};
use crate::program::{WeightFormat, WeightShape};

/// Rows of a group.
pub const GROUP_ROWS: usize = 16;
const TILE: usize = crate::numeric::constants::TILE_ELEMENTS;
const BLOCK: usize = crate::numeric::constants::BLOCK_ELEMENTS;
const TILE_BLOCKS: usize = TILE / BLOCK;

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
fn scale_bytes(format: WeightFormat) -> usize {
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

/// A packed tensor in memory.
#[derive(Debug, Clone, Copy)]
pub struct PackedTensor<'a> {
    layout: Layout,
    bytes: &'a [u8],
}

impl<'a> PackedTensor<'a> {
    /// A tensor of that layout in `bytes`.
    ///
    /// # Panics
    /// When the number of bytes is not the layout's.
    pub fn new(layout: Layout, bytes: &'a [u8]) -> PackedTensor<'a> {
        assert_eq!(bytes.len(), layout.bytes(), "bytes of a packed tensor");
        PackedTensor { layout, bytes }
    }

    /// Shape and layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Format, rows and columns.
    pub fn shape(&self) -> WeightShape {
        self.layout.shape
    }

    /// The records of a group of 16 rows of a matrix.
    pub fn group(&self, group: usize) -> &'a [u8] {
        let size = self.layout.group_bytes();
        &self.bytes[group * size..][..size]
    }

    /// Scales and values of the record that holds `col` of `row`, with the row's lane and the column in the tile.
    fn record(&self, row: usize, col: usize) -> (&'a [u8], &'a [u8], usize, usize) {
        let (tile, format) = (col / TILE, self.shape().format);
        let n = self.layout.tile_cols(tile);
        let record =
            &self.group(row / GROUP_ROWS)[self.layout.tile_offset(tile)..][..tile_bytes(format, n)];
        let (scales, values) = record.split_at(scale_area(format, n));
        (scales, values, row % GROUP_ROWS, col % TILE)
    }

    /// Scale of the block of 32 that holds column `col` of row `row`, in a matrix of a quantised format.
    pub fn scale(&self, row: usize, col: usize) -> f32 {
        let (scales, _, lane, col) = self.record(row, col);
        let at = col / BLOCK * GROUP_ROWS + lane;
        match self.shape().format {
            WeightFormat::Q8F => f32::from_bits(u32::from_le_bytes(bytes_at(scales, at))),
            _ => f16_to_f32(u16::from_le_bytes(bytes_at(scales, at))),
        }
    }

    /// The 32 integers of the block that starts at column `col` of row `row`, in a matrix of a quantised format.
    pub fn quants(&self, row: usize, col: usize) -> [i8; BLOCK] {
        let (_, values, lane, col) = self.record(row, col);
        let at = |quad: usize, j: usize| values[(quad * GROUP_ROWS + lane) * 4 + j];
        if self.shape().format == WeightFormat::Q4_0 {
            return nibbles(&std::array::from_fn(|j| at(col / 8 + j / 4, j % 4)));
        }
        std::array::from_fn(|i| (at(col / 4 + i / 4, i % 4) ^ 0x80) as i8)
    }

    /// The value at `row`, `col` of a matrix of format F32 or F16, or of a table.
    pub fn number(&self, row: usize, col: usize) -> f32 {
        if !self.layout.matrix {
            let at = row * self.shape().cols as usize + col;
            return f32::from_bits(u32::from_le_bytes(bytes_at(self.bytes, at)));
        }
        let (_, values, lane, col) = self.record(row, col);
        let at = col * GROUP_ROWS + lane;
        match self.shape().format {
            WeightFormat::F32 => f32::from_bits(u32::from_le_bytes(bytes_at(values, at))),
            _ => f16_to_f32(u16::from_le_bytes(bytes_at(values, at))),
        }
    }

    /// The values of a row, whatever the format: `scale * f32(q)` in quantised ones.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        if !self.shape().format.is_quantised() {
            for (col, out) in out.iter_mut().enumerate() {
                *out = self.number(row, col);
            }
            return;
        }
        for (block, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let (scale, quants) = (
                self.scale(row, block * BLOCK),
                self.quants(row, block * BLOCK),
            );
            for (out, q) in out.iter_mut().zip(quants) {
                *out = scale * f32::from(q);
            }
        }
    }

    /// Appends tile `tile` of row `row` in the commitment's leaf layout (section 2): scales, then values, zero-filled.
    ///
    /// # Panics
    /// When the tensor has no such row or tile.
    pub fn write_leaf(&self, row: u32, tile: u32, out: &mut Vec<u8>) {
        let (row, tile) = (row as usize, tile as usize);
        assert!(
            row < self.shape().rows as usize && tile < self.layout.tiles(),
            "no tile {tile} in row {row}"
        );
        let (format, n) = (self.shape().format, self.layout.tile_cols(tile));
        let end = out.len() + format.leaf_bytes();
        if !self.layout.matrix {
            let first = (row * self.shape().cols as usize + tile * TILE) * 4;
            out.extend_from_slice(&self.bytes[first..first + n * 4]);
            out.resize(end, 0);
            return;
        }
        let (scales, values, lane, _) = self.record(row, tile * TILE);
        let size = scale_bytes(format);
        if size > 0 {
            let head = out.len() + TILE_BLOCKS * size;
            for block in 0..n / BLOCK {
                out.extend_from_slice(&scales[(block * GROUP_ROWS + lane) * size..][..size]);
            }
            out.resize(head, 0);
        }
        let (step, flip) = match format {
            WeightFormat::F32 | WeightFormat::Q4_0 => (4, 0),
            WeightFormat::F16 => (2, 0),
            WeightFormat::Q8_0 | WeightFormat::Q8F => (4, 0x80),
        };
        for column in values.chunks_exact(GROUP_ROWS * step) {
            out.extend(column[lane * step..][..step].iter().map(|byte| byte ^ flip));
        }
        // An F16 record of an odd number of columns is padded by one column of zeros.
        out.resize(end, 0);
    }

    /// The bytes of a table as numbers: row-major F32.
    pub fn table_row(&self, row: usize) -> impl Iterator<Item = f32> + 'a {
        let cols = self.shape().cols as usize;
        let bytes = &self.bytes[row * cols * 4..][..cols * 4];
        bytes
            .chunks_exact(4)
            .map(|chunk| f32::from_bits(u32::from_le_bytes(bytes_at(chunk, 0))))
    }
}

/// The `at`-th group of N bytes.
#[inline(always)]
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at * N..][..N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Packs leaves made of `seed` and checks that they come back, and that the readers see the leaves' values.
    fn round_trip(format: WeightFormat, rows: u32, cols: u32, seed: u32) {
        let layout = Layout {
            shape: WeightShape { format, rows, cols },
            matrix: true,
        };
        let mut state = seed | 1;
        let mut byte = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            // 0x80 is rewritten at import; f16 and f32 exponents stay finite.
            let byte = (state >> 8) as u8 & 0x7b;
            byte | 1
        };
        let mut leaves = Vec::new();
        let mut packed = Vec::new();
        for group in 0..layout.groups() {
            let mut bytes = layout.empty_group();
            for row in (group * 16..rows as usize).take(16) {
                for tile in 0..layout.tiles() {
                    let n = layout.tile_cols(tile);
                    let mut leaf = vec![0; format.leaf_bytes()];
                    let scales = TILE_BLOCKS * scale_bytes(format);
                    leaf[..n / BLOCK * scale_bytes(format)].fill_with(&mut byte);
                    let bits = [32, 16, 8, 4, 8][format as usize];
                    leaf[scales..scales + n * bits / 8].fill_with(&mut byte);
                    layout.pack_leaf(&mut bytes, row % 16, tile, &leaf);
                    leaves.push((row, tile, leaf));
                }
            }
            packed.extend(bytes);
        }
        let tensor = PackedTensor::new(layout, &packed);
        for (row, tile, leaf) in &leaves {
            let mut back = Vec::new();
            tensor.write_leaf(*row as u32, *tile as u32, &mut back);
            assert_eq!(&back, leaf, "{format:?} row {row} tile {tile}");
            let mut values = vec![0.0; cols as usize];
            tensor.read_row(*row, &mut values);
            for (i, value) in values[tile * 256..][..layout.tile_cols(*tile)]
                .iter()
                .enumerate()
            {
                let f16 = |at: usize| f16_to_f32(u16::from_le_bytes([leaf[at], leaf[at + 1]]));
                let f32 = |at: usize| {
                    f32::from_le_bytes([leaf[at], leaf[at + 1], leaf[at + 2], leaf[at + 3]])
                };
                let expected = match format {
                    WeightFormat::F32 => f32(i * 4),
                    WeightFormat::F16 => f16(i * 2),
                    WeightFormat::Q8_0 => f16(i / 32 * 2) * f32::from(leaf[16 + i] as i8),
                    WeightFormat::Q8F => f32(i / 32 * 4) * f32::from(leaf[32 + i] as i8),
                    WeightFormat::Q4_0 => {
                        let byte = leaf[16 + i / 32 * 16 + i % 16];
                        f16(i / 32 * 2)
                            * (f32::from(if i % 32 < 16 { byte & 15 } else { byte >> 4 }) - 8.0)
                    }
                };
                assert_eq!(
                    value.to_bits(),
                    expected.to_bits(),
                    "{format:?} row {row} column {i}"
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn leaves_return(format in 0u8..5, rows in 1u32..40, cols in 1u32..600, seed: u32) {
            let format = WeightFormat::from_code(format).unwrap_or(WeightFormat::F32);
            let cols = if format.is_quantised() { cols.next_multiple_of(32) } else { cols };
            round_trip(format, rows, cols, seed);
        }
    }

    #[test]
    fn the_lowest_byte_reads_as_minus_127() {
        let layout = Layout {
            shape: WeightShape {
                format: WeightFormat::Q8_0,
                rows: 1,
                cols: 32,
            },
            matrix: true,
        };
        let mut group = layout.empty_group();
        layout.pack_leaf(&mut group, 0, 0, &[0x80; 272]);
        assert_eq!(PackedTensor::new(layout, &group).quants(0, 0), [-127; 32]);
        assert_eq!(
            PackedTensor::new(layout, &group).scale(15, 0),
            0.0,
            "rows past the end are zero"
        );
    }
}
