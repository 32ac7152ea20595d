//! Operations that become one launch with their neighbours.

use sworn_inference::numeric::constants::TILE_ELEMENTS;
use sworn_inference::program::{Entry, Op};

use super::{At, Plan, launch};
use crate::arena::Place;
use crate::device::{Kernel, Launch, SHARED_BYTES};

/// Weight rows of a group.
const GROUP: u32 = 16;

impl Plan<'_> {
    /// Whether entry `number` is used by more than the entry that is fused with it.
    pub(super) fn elsewhere(&self, number: usize) -> bool {
        self.uses[number] > 1
    }

    /// A norm with a sum before it and quantising after it, as far as they are there: how many entries became one launch.
    pub(super) fn norm(
        &self,
        at: At,
        number: usize,
        entries: &[Entry],
        out: &mut Vec<Launch>,
    ) -> usize {
        let sum = usize::from(entries[0].op == Op::Add);
        let names =
            |entry: &Entry, slot: usize, number: usize| usize::from(entry.inputs[slot]) == number;
        let Some(stat) = entries.get(sum).filter(|e| e.op == Op::NormStat) else {
            return 0;
        };
        let dim = stat.dims[0];
        let shared = (dim.div_ceil(TILE_ELEMENTS as u32) + 1 + dim) * 4;
        if (sum == 1 && !names(stat, 0, number)) || shared > SHARED_BYTES {
            return 0;
        }
        let stat_number = number + sum;
        let apply = entries.get(sum + 1).filter(|apply| {
            apply.op == Op::NormApply
                && apply.inputs[0] == stat.inputs[0]
                && names(apply, 1, stat_number)
        });
        let quantise = entries.get(sum + 2).filter(|quantise| {
            quantise.op == Op::Quantise && apply.is_some() && names(quantise, 0, stat_number + 1)
        });
        let added = self.output(number, at.layer);
        let (x, y) = match sum {
            1 => (
                self.data(at, entries[0].inputs[0]),
                self.data(at, entries[0].inputs[1]),
            ),
            _ => (self.data(at, stat.inputs[0]), 0),
        };
        let place = |number: usize| self.output(number, at.layer);
        let mut p = [
            x,
            y,
            self.at(added.data),
            self.at(place(stat_number).data),
            0,
            0,
            0,
            0,
            0,
        ];
        let mut flags = sum as u32;
        if let Some(apply) = apply {
            flags |= 2;
            (p[4], p[5]) = (self.weight(at, apply), self.at(place(stat_number + 1).data));
        }
        if quantise.is_some() {
            let quants = place(stat_number + 2);
            flags |= 4 | (8 * u32::from(self.elsewhere(stat_number + 1)));
            (p[6], p[7], p[8]) = (
                self.at(quants.scales),
                self.at(quants.data),
                self.at(quants.sums),
            );
        }
        let eps = f32::from_bits(stat.constants[0]);
        let grid = [at.rows, 1, 1];
        out.push(launch(
            Kernel::Norm,
            grid,
            shared,
            &p,
            &[dim, flags],
            &[eps],
        ));
        sum + 1 + usize::from(apply.is_some()) + usize::from(quantise.is_some())
    }

    pub(super) fn silu(
        &self,
        at: At,
        number: usize,
        entries: &[Entry],
        out: &mut Vec<Launch>,
    ) -> usize {
        let silu = &entries[0];
        let elements = at.rows * silu.dims[0];
        let quantise = entries
            .get(1)
            .is_some_and(|e| e.op == Op::Quantise && usize::from(e.inputs[0]) == number);
        let quants = if quantise {
            self.output(number + 1, at.layer)
        } else {
            Place::default()
        };
        let p = [
            self.data(at, silu.inputs[0]),
            self.data(at, silu.inputs[1]),
            self.at(self.output(number, at.layer).data),
            self.at(quants.scales),
            self.at(quants.data),
            self.at(quants.sums),
        ];
        let store = !quantise || self.elsewhere(number);
        let threads = if quantise { elements / 4 } else { elements };
        out.push(launch(
            Kernel::SiluMul,
            [threads.div_ceil(256), 1, 1],
            0,
            &p,
            &[elements, u32::from(quantise), u32::from(store)],
            &[],
        ));
        1 + usize::from(quantise)
    }

    /// Up to three products with the same input.
    pub(super) fn matmuls(
        &self,
        at: At,
        number: usize,
        entries: &[Entry],
        out: &mut Vec<Launch>,
    ) -> usize {
        let first = &entries[0];
        let same = entries.iter().take(3).take_while(|entry| {
            entry.op == Op::Matmul
                && entry.inputs[0] == first.inputs[0]
                && entry.format == first.format
        });
        let (mut p, mut n) = ([0u64; 9], [0u32; 8]);
        let (mut count, mut groups) = (0, 0);
        for entry in same {
            p[count] = self.weight(at, entry);
            p[3 + count] = self.at(self.output(number + count, at.layer).data);
            n[2 + count] = entry.dims[0];
            groups += entry.dims[0].div_ceil(GROUP);
            if count < 2 {
                n[count] = groups;
            }
            count += 1;
        }
        for border in &mut n[count.min(2)..2] {
            *border = groups;
        }
        let x = self.input(at, first.inputs[0]);
        (n[5], n[6], n[7]) = (first.dims[1], first.format as u32, at.rows);
        if !first.format.is_quantised() {
            p[6] = self.at(x.data);
            let grid = [groups, at.rows.div_ceil(4), 1];
            let shared = 16 * 4 * GROUP * 4;
            out.push(launch(Kernel::MatmulFloat, grid, shared, &p, &n, &[]));
            return count;
        }
        (p[6], p[7], p[8]) = (self.at(x.scales), self.at(x.data), self.at(x.sums));
        let mma = |kernel, width: u32| {
            (
                kernel,
                at.rows.div_ceil(8 * width),
                8 * GROUP * 8 * width * 4,
            )
        };
        let (kernel, chunks, shared) = match at.rows {
            1 => (Kernel::MatmulDot, 1, 2 * 16 * GROUP * 4),
            rows if !self.loaded.device().tensor_cores() => {
                (Kernel::MatmulDot, rows, 2 * 16 * GROUP * 4)
            }
            2..=8 => mma(Kernel::MatmulMma1, 1),
            9..=16 => mma(Kernel::MatmulMma2, 2),
            _ => mma(Kernel::MatmulMma4, 4),
        };
        out.push(launch(kernel, [groups, chunks, 1], shared, &p, &n, &[]));
        count
    }
}
