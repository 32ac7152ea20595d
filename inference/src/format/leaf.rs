//! Tiles of a tensor in the layout that commitments hash (`prover/SPEC.md` section 2).

use super::SourceTensor;
use crate::program::WeightFormat;

/// Columns of a tile.
const TILE: usize = 256;
/// Elements of a quantisation block.
const BLOCK: usize = 32;

impl SourceTensor<'_> {
    /// Appends the tile `tile` (256 columns) of row `row` in the commitment's leaf layout (`prover/SPEC.md` section 2):
    /// scales first, then quants; what lies past the last column is zero.
    ///
    /// # Panics
    /// If the tensor has no such row or tile.
    pub fn write_leaf(&self, row: u32, tile: u32, out: &mut Vec<u8>) {
        let (row, cols) = (row as usize, self.cols as usize);
        let first = tile as usize * TILE;
        assert!(
            row < self.rows as usize && first < cols,
            "the tensor has no tile {tile} in row {row}"
        );
        let count = TILE.min(cols - first);
        let start = out.len();
        match self.format {
            WeightFormat::F32 => self.plain(4, row * cols + first, count, out),
            WeightFormat::F16 => self.plain(2, row * cols + first, count, out),
            WeightFormat::Q8_0 => self.blocks(32, (row * cols + first) / BLOCK, count / BLOCK, out),
            WeightFormat::Q4_0 => self.blocks(16, (row * cols + first) / BLOCK, count / BLOCK, out),
            WeightFormat::Q8F => self.grouped(row * cols + first, count, out),
        }
        out.resize(start + self.format.leaf_bytes(), 0);
    }

    fn plain(&self, size: usize, first: usize, count: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[first * size..(first + count) * size]);
    }

    /// Blocks of a binary16 scale and `quants` bytes, which the file interleaves.
    fn blocks(&self, quants: usize, first: usize, count: usize, out: &mut Vec<u8>) {
        let size = 2 + quants;
        let blocks = &self.bytes[first * size..(first + count) * size];
        let start = out.len();
        for block in blocks.chunks_exact(size) {
            out.extend_from_slice(&block[..2]);
        }
        out.resize(start + TILE / BLOCK * 2, 0);
        for block in blocks.chunks_exact(size) {
            out.extend_from_slice(&block[2..]);
        }
    }

    /// All quants, then a binary32 scale for each group of 32 or 64; a group of 64 gives its scale to two blocks.
    fn grouped(&self, first: usize, count: usize, out: &mut Vec<u8>) {
        let (quants, scales) = self.bytes.split_at(self.rows as usize * self.cols as usize);
        let start = out.len();
        for element in (first..first + count).step_by(BLOCK) {
            let group = element / self.group as usize;
            out.extend_from_slice(&scales[group * 4..group * 4 + 4]);
        }
        out.resize(start + TILE / BLOCK * 4, 0);
        out.extend_from_slice(&quants[first..first + count]);
    }
}
