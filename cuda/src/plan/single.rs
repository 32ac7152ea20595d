//! Operations that are launched alone.

use sworn_inference::numeric::constants::TILE_ELEMENTS;
use sworn_inference::program::{Entry, Op, Part};

use super::{At, Plan, launch};
use crate::device::{Kernel, Launch};

impl Plan<'_> {
    /// One operation.
    pub(super) fn plain(&self, at: At, number: usize, entry: &Entry, out: &mut Vec<Launch>) {
        let place = self.output(number, at.layer);
        let to = self.at(place.data);
        let data = |i: usize| self.data(at, entry.inputs[i]);
        let (tokens, positions) = match at.part {
            Part::Tail => (self.list(3), self.list(4)),
            _ => (self.list(0), self.list(1)),
        };
        let dim = entry.dims[0];
        let by_row = [at.rows, dim.div_ceil(256), 1];
        let elements = at.rows * dim;
        let flat = [elements.div_ceil(256), 1, 1];
        match entry.op {
            Op::Embed => {
                let p = [self.weight(at, entry), tokens, to];
                let n = [dim, entry.format as u32];
                out.push(launch(Kernel::Embed, by_row, 0, &p, &n, &[]));
            }
            Op::NormStat => {
                let partial = self.at(self.arena.norm_tiles);
                let tiles = dim.div_ceil(TILE_ELEMENTS as u32);
                let grid = [at.rows, tiles.div_ceil(256), 1];
                let eps = f32::from_bits(entry.constants[0]);
                let (p, n) = ([data(0), partial], [dim]);
                out.push(launch(Kernel::NormTiles, grid, 0, &p, &n, &[]));
                let (grid, n) = ([at.rows.div_ceil(256), 1, 1], [dim, at.rows]);
                out.push(launch(Kernel::NormSum, grid, 0, &[partial, to], &n, &[eps]));
            }
            Op::NormApply => {
                let p = [data(0), data(1), self.weight(at, entry), to];
                out.push(launch(Kernel::NormApply, by_row, 0, &p, &[dim], &[]));
            }
            Op::Quantise => {
                let p = [data(0), self.at(place.scales), to, self.at(place.sums)];
                let grid = [(elements / 4).div_ceil(256), 1, 1];
                out.push(launch(Kernel::Quantise, grid, 0, &p, &[elements], &[]));
            }
            Op::Rope => {
                let p = [data(0), self.weight(at, entry), positions, to];
                out.push(launch(Kernel::Rope, by_row, 0, &p, &entry.dims, &[]));
            }
            Op::ToF16 => {
                let p = [data(0), to];
                out.push(launch(Kernel::ToF16, flat, 0, &p, &[elements], &[]));
            }
            Op::Add => {
                let p = [data(0), data(1), to];
                out.push(launch(Kernel::Add, flat, 0, &p, &[elements], &[]));
            }
            Op::AttnMax => {
                self.store(at, number, out);
                self.attention(at, number, out);
            }
            // Part of the launches at AttnMax; the other two have kernels of their own.
            Op::AttnSum | Op::AttnMix | Op::SiluMul | Op::Matmul => {}
        }
    }
}
