//! Attention, with what stands before it.

use sworn_inference::numeric::constants::TILE_ELEMENTS;
use sworn_inference::program::{Entry, Op, Part};

use super::{At, Plan, launch};
use crate::arena::TILE_PAGES;
use crate::device::{Kernel, Launch};

/// Query heads that the kernels take together.
const HEADS: u32 = 4;

impl Plan<'_> {
    /// Offsets of an attention's keys and values in a page, in halves, low and high words, behind the stride of the table.
    pub(super) fn offsets(&self, at: At, number: usize) -> [u32; 5] {
        let (keys, values) = self.pages.offsets(at.layer, self.attentions[number]);
        let split = |offset: u64| [offset as u32, (offset >> 32) as u32];
        let ([k0, k1], [v0, v1]) = (split(keys), split(values));
        [at.step.tiles * TILE_PAGES as u32, k0, k1, v0, v1]
    }

    /// Keys and values of the attention at entry `number` into their pages.
    pub(super) fn store(&self, at: At, number: usize, out: &mut Vec<Launch>) {
        let Some(entry) = self.program().entry(number + 2) else {
            return;
        };
        let width = entry.dims[1] * entry.dims[2];
        let data = |i: usize| self.data(at, entry.inputs[i]);
        let p = [data(1), data(2), self.list(1), self.list(2), self.list(6)];
        let mut n = [width, entry.dims[2], 0, 0, 0, 0, 0];
        n[2..].copy_from_slice(&self.offsets(at, number));
        let grid = [at.rows, width.div_ceil(256), 1];
        out.push(launch(Kernel::Store, grid, 0, &p, &n, &[]));
    }

    /// An attention with the rotations and roundings before it, if they are those of an ordinary layer.
    pub(super) fn heads(
        &self,
        at: At,
        number: usize,
        entries: &[Entry],
        out: &mut Vec<Launch>,
    ) -> usize {
        let [q, k, k_half, v_half, max, _, mix, ..] = entries else {
            return 0;
        };
        let names =
            |entry: &Entry, slot: usize, i: usize| usize::from(entry.inputs[slot]) == number + i;
        let ordinary = at.part == Part::Body
            && k.op == Op::Rope
            && (k.weights, k.dims[1..].to_vec()) == (q.weights, q.dims[1..].to_vec())
            && k_half.op == Op::ToF16
            && names(k_half, 0, 1)
            && v_half.op == Op::ToF16
            && !names(v_half, 0, 0)
            && !names(v_half, 0, 1)
            && max.op == Op::AttnMax
            && names(mix, 0, 0)
            && names(mix, 1, 2)
            && names(mix, 2, 3);
        // The attention's three entries take the keys, one takes the values: nobody else may need what is not written.
        if !ordinary || self.uses[number + 1..number + 4] != [1, 3, 1] {
            return 0;
        }
        let width = k.dims[0];
        let p = [
            self.data(at, q.inputs[0]),
            self.data(at, k.inputs[0]),
            self.data(at, v_half.inputs[0]),
            self.weight(at, q),
            self.list(1),
            self.at(self.output(number, at.layer).data),
            self.list(2),
            self.list(6),
        ];
        let mut n = [
            q.dims[0],
            width,
            q.dims[1],
            q.dims[2],
            mix.dims[2],
            0,
            0,
            0,
            0,
            0,
        ];
        n[5..].copy_from_slice(&self.offsets(at, number + 4));
        let grid = [at.rows, (q.dims[0] + 2 * width).div_ceil(256), 1];
        out.push(launch(Kernel::Heads, grid, 0, &p, &n, &[]));
        self.attention(at, number + 4, out);
        7
    }

    /// Entries `number` (attn_max), the next (attn_sum) and the one after (attn_mix), whose keys and values are stored.
    pub(super) fn attention(&self, at: At, number: usize, out: &mut Vec<Launch>) {
        let Some(entry) = self.program().entry(number + 2) else {
            return;
        };
        let [heads, kv_heads, head_dim] = entry.dims;
        let [stride, k0, k1, v0, v1] = self.offsets(at, number);
        let tiles = at.step.tiles;
        let (positions, sequences, table) = (self.list(1), self.list(2), self.list(6));
        let arena = &self.arena;
        let [scores, mixes, bests, sums] =
            [arena.scores, arena.mixes, arena.bests, arena.tile_sums].map(|place| self.at(place));
        let data = |i: usize| self.data(at, entry.inputs[i]);
        let grid = [at.rows, kv_heads, tiles];
        let p = [data(0), positions, sequences, table, scores, bests];
        let n = [heads, kv_heads, head_dim, stride, k0, k1];
        let scale = f32::from_bits(entry.constants[0]);
        let shared = 8 * HEADS * 8 + HEADS * head_dim * 4;
        out.push(launch(Kernel::Scores, grid, shared, &p, &n, &[scale]));

        let p = [scores, positions, sequences, table, bests, sums, mixes];
        let n = [heads, kv_heads, head_dim, stride, v0, v1];
        let shared = (HEADS * TILE_ELEMENTS as u32 + HEADS) * 4;
        out.push(launch(Kernel::Mix, grid, shared, &p, &n, &[]));

        let [sum, mix] = [1, 2].map(|i| self.at(self.output(number + i, at.layer).data));
        let p = [positions, bests, sums, mixes, sum, mix];
        let n = [heads, head_dim, tiles];
        let grid = [at.rows, heads, 1];
        out.push(launch(Kernel::Combine, grid, 0, &p, &n, &[]));
    }
}
