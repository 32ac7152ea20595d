//! A program as launches: operations that stand together become one kernel where there is one.

mod attention;
mod fused;
mod single;

use sworn_inference::numeric::constants::BLOCK_ELEMENTS;
use sworn_inference::program::{CARRY, Entry, Op, Part, Program, WeightFormat};

use crate::arena::{Arena, Place, ROWS};
use crate::device::{Kernel, Launch, Params};
use crate::loaded::Loaded;
use crate::pages::PageShape;

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
}

/// Every format's block is the same.
const _: () = assert!(BLOCK_ELEMENTS == 32 && WeightFormat::Q8F as u32 == 4);
/// A row of the program's activations is never longer than a launch's numbers hold.
const _: () = assert!((ROWS as u64) << 20 < 1 << 32);
