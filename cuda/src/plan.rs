//! A program as launches: operations that stand together become one kernel where there is one.

use sworn_inference::numeric::constants::{BLOCK_ELEMENTS, TILE_ELEMENTS};
use sworn_inference::program::{CARRY, Entry, Op, Part, Program, WeightFormat};

use crate::arena::{Arena, Place, ROWS, TILE_PAGES};
use crate::device::{Kernel, Launch, Params, SHARED_BYTES};
use crate::loaded::Loaded;
use crate::pages::PageShape;

/// Weight rows of a group.
const GROUP: u32 = 16;
/// Query heads that the attention kernels take together.
const HEADS: u32 = 4;

/// What launches depend on; all else is in the device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Step {
    pub(crate) rows: u32,
    pub(crate) wanted: u32,
    /// Tiles of 256 positions that the longest sequence may have: a power of two.
    pub(crate) tiles: u32,
}

/// Everything that launches of one runner are made of.
#[derive(Debug)]
pub(crate) struct Plan<'d> {
    loaded: &'d Loaded,
    /// Address of the arena.
    base: u64,
    pub(crate) arena: Arena,
    pub(crate) pages: PageShape,
    /// How many entries take each entry's output.
    uses: Vec<u32>,
    /// Number of each entry's attention among those of its layer.
    attentions: Vec<usize>,
}

/// Where the emission is.
#[derive(Clone, Copy)]
struct At {
    part: Part,
    layer: u32,
    rows: u32,
    step: Step,
}

fn launch(kernel: Kernel, grid: [u32; 3], shared: u32, p: &[u64], n: &[u32], f: &[f32]) -> Launch {
    let mut params = Params::default();
    params.p[..p.len()].copy_from_slice(p);
    params.n[..n.len()].copy_from_slice(n);
    params.f[..f.len()].copy_from_slice(f);
    Launch {
        kernel,
        grid,
        shared,
        params,
    }
}

impl<'d> Plan<'d> {
    pub(crate) fn new(loaded: &'d Loaded, arena: Arena, base: u64) -> Plan<'d> {
        let program = loaded.program();
        let entries = || (0..program.entry_count()).filter_map(|number| program.entry(number));
        let mut uses = vec![0; program.entry_count()];
        for entry in entries() {
            for input in entry.inputs {
                if let Some(uses) = uses.get_mut(usize::from(input)) {
                    *uses += 1;
                }
            }
        }
        // The last entries of the parts are taken by what comes after them.
        for part in [Part::Head, Part::Body, Part::Tail] {
            uses[program.first_entry(part) + program.entries(part).len() - 1] += 1;
        }
        let mut attention = 0;
        let attentions = entries()
            .map(|entry| {
                attention += usize::from(entry.op == Op::AttnMax);
                attention - usize::from(attention > 0)
            })
            .collect();
        Plan {
            loaded,
            base,
            pages: PageShape::new(program),
            arena,
            uses,
            attentions,
        }
    }

    fn program(&self) -> &'d Program {
        self.loaded.program()
    }

    /// The address of an offset in the arena.
    pub(crate) fn at(&self, offset: u64) -> u64 {
        self.base + offset
    }

    /// Address of the lists of a step: 0 tokens, 1 positions, 2 sequences of the rows; 3 tokens, 4 positions, 5 indices of the wanted rows.
    pub(crate) fn list(&self, list: u64) -> u64 {
        self.at(self.arena.step + list * ROWS as u64 * 4)
    }

    /// Address of the logits.
    pub(crate) fn logits(&self) -> u64 {
        self.at(self.arena.values.last().map_or(0, |place| place.data))
    }

    fn output(&self, number: usize, layer: u32) -> Place {
        let last = self.program().first_entry(Part::Tail) - 1;
        if number == last && layer % 2 == 1 {
            self.arena.other
        } else {
            self.arena.values[number]
        }
    }

    /// Where the value lies that an entry names.
    fn input(&self, at: At, input: u16) -> Place {
        let program = self.program();
        let tail = program.first_entry(Part::Tail);
        if at.part == Part::Tail && (input == CARRY || usize::from(input) < tail) {
            let found = self.arena.gathered.iter().find(|(one, ..)| *one == input);
            let data = found.map_or(0, |(_, place, _)| *place);
            return Place {
                data,
                ..Place::default()
            };
        }
        match input {
            CARRY if at.layer == 0 => self.arena.values[program.first_entry(Part::Body) - 1],
            CARRY => self.output(tail - 1, at.layer - 1),
            _ => self.output(usize::from(input), at.layer),
        }
    }

    fn data(&self, at: At, input: u16) -> u64 {
        self.at(self.input(at, input).data)
    }

    fn weight(&self, at: At, entry: &Entry) -> u64 {
        let global = self.program().global_weight(entry.weights[0], at.layer);
        self.loaded.tensor(global)
    }

    /// All launches of a step.
    pub(crate) fn launches(&self, step: Step) -> Vec<Launch> {
        let program = self.program();
        let mut out = Vec::new();
        let mut at = At {
            part: Part::Head,
            layer: 0,
            rows: step.rows,
            step,
        };
        self.part(at, &mut out);
        at.part = Part::Body;
        for layer in 0..program.layers() {
            self.part(At { layer, ..at }, &mut out);
        }
        if step.wanted == 0 {
            return out;
        }
        let last = program.layers() - 1;
        for (input, place, width) in &self.arena.gathered {
            let tail = program.first_entry(Part::Tail);
            let source = match *input {
                CARRY => self.output(tail - 1, last),
                input => self.arena.values[usize::from(input)],
            };
            out.push(launch(
                Kernel::Gather,
                [step.wanted, width.div_ceil(256), 1],
                0,
                &[self.at(source.data), self.list(5), self.at(*place)],
                &[*width],
                &[],
            ));
        }
        at.part = Part::Tail;
        at.rows = step.wanted;
        self.part(at, &mut out);
        let chosen = self.at(self.arena.chosen);
        let best = &[self.logits(), chosen];
        let vocab = program.vocab_size();
        out.push(launch(
            Kernel::Best,
            [step.wanted, 1, 1],
            256,
            best,
            &[vocab],
            &[],
        ));
        out
    }

    fn part(&self, at: At, out: &mut Vec<Launch>) {
        let program = self.program();
        let (entries, first) = (program.entries(at.part), program.first_entry(at.part));
        let mut i = 0;
        while i < entries.len() {
            let rest = &entries[i..];
            let taken = match rest[0].op {
                Op::Add | Op::NormStat => self.norm(at, first + i, rest, out),
                Op::SiluMul => self.silu(at, first + i, rest, out),
                Op::Matmul => self.matmuls(at, first + i, rest, out),
                Op::Rope => self.heads(at, first + i, rest, out),
                _ => 0,
            };
            if taken == 0 {
                self.plain(at, first + i, &rest[0], out);
            }
            i += taken.max(1);
        }
    }

    /// Whether entry `number` is used by more than the entry that is fused with it.
    fn elsewhere(&self, number: usize) -> bool {
        self.uses[number] > 1
    }

    /// A norm with a sum before it and quantising after it, as far as they are there: how many entries became one launch.
    fn norm(&self, at: At, number: usize, entries: &[Entry], out: &mut Vec<Launch>) -> usize {
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

    fn silu(&self, at: At, number: usize, entries: &[Entry], out: &mut Vec<Launch>) -> usize {
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
    fn matmuls(&self, at: At, number: usize, entries: &[Entry], out: &mut Vec<Launch>) -> usize {
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

    /// One operation.
    fn plain(&self, at: At, number: usize, entry: &Entry, out: &mut Vec<Launch>) {
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

    /// Offsets of an attention's keys and values in a page, in halves, low and high words, behind the stride of the table.
    fn offsets(&self, at: At, number: usize) -> [u32; 5] {
        let (keys, values) = self.pages.offsets(at.layer, self.attentions[number]);
        let split = |offset: u64| [offset as u32, (offset >> 32) as u32];
        let ([k0, k1], [v0, v1]) = (split(keys), split(values));
        [at.step.tiles * TILE_PAGES as u32, k0, k1, v0, v1]
    }

    /// Keys and values of the attention at entry `number` into their pages.
    fn store(&self, at: At, number: usize, out: &mut Vec<Launch>) {
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
    fn heads(&self, at: At, number: usize, entries: &[Entry], out: &mut Vec<Launch>) -> usize {
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
    fn attention(&self, at: At, number: usize, out: &mut Vec<Launch>) {
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

/// Every format's block is the same.
const _: () = assert!(BLOCK_ELEMENTS == 32 && WeightFormat::Q8F as u32 == 4);
/// A row of the program's activations is never longer than a launch's numbers hold.
const _: () = assert!((ROWS as u64) << 20 < 1 << 32);
