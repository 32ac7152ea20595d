//! Reading packed tensors element by element, and back into commitment leaves.

use super::layout::{
    BLOCK, GROUP_ROWS, Layout, TILE, TILE_BLOCKS, scale_area, scale_bytes, tile_bytes,
};
use crate::numeric::{f16_to_f32, nibbles};
use crate::program::{WeightFormat, WeightShape};

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

    /// All its bytes, as [`Layout`] says.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
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

    /// A row of a table, whose numbers are little-endian binary32.
    pub fn table_row(&self, row: usize) -> &'a [[u8; 4]] {
        let cols = self.shape().cols as usize;
        self.bytes[row * cols * 4..][..cols * 4].as_chunks().0
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
