//! Token sequences on a device.

mod chunk;

use std::collections::HashMap;
use std::sync::Arc;

use sworn_inference::Error;
use sworn_inference::backend::PAGE_POSITIONS;
use sworn_inference::engine::{Row, Runner, Sampling};
use sworn_inference::numeric::constants::TILE_ELEMENTS;

use crate::arena::{Arena, ROWS};
use crate::device::{Kernel, Launch, Memory, Params, Queue};
use crate::loaded::Loaded;
use crate::pages::{Page, Pool};
use crate::plan::{Plan, Step};

#[derive(Debug, Clone, Default)]
struct Sequence {
    length: usize,
    pages: Vec<Arc<Page>>,
}

/// See [`Runner`].
#[derive(Debug)]
pub(crate) struct GpuRunner<'d> {
    // Dropped in this order: what waits for the device, then what it uses.
    queue: Box<dyn Queue + 'd>,
    loaded: &'d Loaded,
    plan: Plan<'d>,
    sequences: Vec<Option<Sequence>>,
    pool: Pool<'d>,
    /// How often each step came, and its recording.
    recorded: HashMap<Step, (u32, Option<usize>)>,
    /// Best tokens of the wanted rows and the bits of their logits.
    best: Vec<[u32; 2]>,
    /// Where the logits of the wanted rows lie, one after another, in the order that `order` says.
    logits_at: u64,
    order: Vec<usize>,
    logits: Vec<f32>,
    /// Logits of a run of several chunks, and how many rows there is room for.
    many: Option<(Memory<'d>, usize)>,
    _arena: Memory<'d>,
}

impl<'d> GpuRunner<'d> {
    pub(crate) fn new(loaded: &'d Loaded) -> Result<GpuRunner<'d>, Error> {
        let program = loaded.program();
        if program.context().div_ceil(TILE_ELEMENTS as u32) > 1 << 15 {
            return Err(failure(loaded, "a context of more than 8,388,608 tokens"));
        }
        let arena = Arena::new(program);
        let device = loaded.device();
        let memory = Memory::new(device, arena.bytes)?;
        let plan = Plan::new(loaded, arena, memory.address);
        Ok(GpuRunner {
            queue: device.queue()?,
            loaded,
            pool: Pool::new(device, plan.pages.bytes),
            logits_at: plan.logits(),
            plan,
            sequences: Vec::new(),
            recorded: HashMap::new(),
            best: Vec::new(),
            order: Vec::new(),
            logits: Vec::new(),
            many: None,
            _arena: memory,
        })
    }

    fn insert(&mut self, sequence: Sequence) -> usize {
        let free = self.sequences.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.sequences.push(None);
            self.sequences.len() - 1
        });
        self.sequences[place] = Some(sequence);
        place
    }

    fn vocab(&self) -> usize {
        self.loaded.program().vocab_size() as usize
    }

    /// Room for the logits of so many rows.
    fn room(&mut self, rows: usize) -> Result<u64, Error> {
        if let Some((memory, room)) = &self.many
            && *room >= rows
        {
            return Ok(memory.address);
        }
        self.many = None;
        let bytes = rows as u64 * self.vocab() as u64 * 4;
        let memory = Memory::new(self.loaded.device(), bytes)?;
        let address = memory.address;
        self.many = Some((memory, rows));
        Ok(address)
    }

    /// Where in memory the logits of wanted row `index` lie.
    fn row_at(&self, index: usize) -> u64 {
        self.logits_at + (self.order[index] * self.vocab() * 4) as u64
    }
}

/// Tiles that a sequence of some length has, as a power of two, so that few steps differ by it.
fn tiles(length: usize) -> usize {
    length.div_ceil(TILE_ELEMENTS).max(1).next_power_of_two()
}

fn failure(loaded: &Loaded, what: &str) -> Error {
    Error::Device {
        device: loaded.device().name(),
        what: what.to_owned(),
    }
}

impl Runner for GpuRunner<'_> {
    fn start(&mut self) -> usize {
        self.insert(Sequence::default())
    }

    fn fork(&mut self, sequence: usize) -> usize {
        let copy = self.sequences.get(sequence).cloned().flatten();
        self.insert(copy.unwrap_or_default())
    }

    fn end(&mut self, sequence: usize) {
        if let Some(place) = self.sequences.get_mut(sequence) {
            *place = None;
        }
    }

    fn truncate(&mut self, sequence: usize, length: usize) {
        if let Some(Some(sequence)) = self.sequences.get_mut(sequence)
            && length < sequence.length
        {
            sequence.length = length;
            sequence.pages.truncate(length.div_ceil(PAGE_POSITIONS));
        }
    }

    fn length(&self, sequence: usize) -> usize {
        let known = self.sequences.get(sequence).and_then(Option::as_ref);
        known.map_or(0, |sequence| sequence.length)
    }

    fn run(&mut self, rows: &[Row], wanted: &[usize]) -> Result<(), Error> {
        self.best.clear();
        self.order.clear();
        self.check(rows, wanted)?;
        // Chunks in order of rows; the wanted rows of each lie together.
        let mut by_row: Vec<usize> = (0..wanted.len()).collect();
        by_row.sort_by_key(|index| wanted[*index]);
        self.order = vec![0; wanted.len()];
        for (place, index) in by_row.iter().enumerate() {
            self.order[*index] = place;
        }
        let mut sorted = by_row.iter().map(|index| wanted[*index]).peekable();
        let lengths = rows.iter().map(|row| {
            let known = self.sequences[row.sequence].as_ref();
            known.map_or(0, |sequence| sequence.length)
        });
        let longest = lengths.max().unwrap_or(0) + rows.len();
        let most = self.plan.arena.rows(tiles(longest));
        let (mut first, mut done) = (0, 0);
        let mut gathered = None;
        while first < rows.len() {
            let mut chunk = Vec::new();
            let mut end = first;
            while end < rows.len() && end < first + most {
                // A row that is wanted twice runs in the tail twice; so a chunk may end early.
                while chunk.len() < ROWS && sorted.peek() == Some(&end) {
                    chunk.push((end - first) as u32);
                    sorted.next();
                }
                if sorted.peek() == Some(&end) {
                    return Err(Error::BadParameter {
                        what: "wanted row".to_owned(),
                        found: format!("{end} many times"),
                        expected: "each once".to_owned(),
                    });
                }
                end += 1;
            }
            self.chunk(&rows[first..end], &chunk)?;
            let several = first > 0 || end < rows.len();
            if several && !chunk.is_empty() {
                let row = self.vocab() as u64 * 4;
                let to = match gathered {
                    Some(to) => to,
                    None => self.room(wanted.len())?,
                };
                gathered = Some(to);
                let from = self.plan.logits();
                self.queue
                    .copy(to + done as u64 * row, from, chunk.len() as u64 * row)?;
            }
            done += chunk.len();
            first = end;
        }
        self.logits_at = gathered.unwrap_or_else(|| self.plan.logits());
        Ok(())
    }

    fn logits(&mut self) -> Result<&[f32], Error> {
        let vocab = self.vocab();
        let mut bytes = vec![0; self.order.len() * vocab * 4];
        if !bytes.is_empty() {
            self.queue.download(self.logits_at, &mut bytes)?;
        }
        self.logits.clear();
        for place in &self.order {
            let row = &bytes[place * vocab * 4..][..vocab * 4];
            let (numbers, _) = row.as_chunks::<4>();
            self.logits
                .extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }
        Ok(&self.logits)
    }

    fn select(
        &mut self,
        index: usize,
        sampling: &Sampling,
        draw: &mut dyn FnMut() -> u64,
    ) -> Result<u32, Error> {
        let vocab = self.vocab() as u32;
        let [best, bits] = self.best[self.order[index]];
        let logit = f32::from_bits(bits);
        let drawn = if sampling.temperature_milli == 0 || !logit.is_finite() {
            best
        } else {
            let h64 = draw();
            let arena = &self.plan.arena;
            let out = self.plan.at(arena.chosen + ROWS as u64 * 8);
            let mut params = Params::default();
            params.p[..3].copy_from_slice(&[self.row_at(index), self.plan.at(arena.masses), out]);
            params.n[..6].copy_from_slice(&[
                vocab,
                sampling.top_k,
                sampling.top_p_ppm,
                sampling.min_p_ppm,
                h64 as u32,
                (h64 >> 32) as u32,
            ]);
            params.f[..2].copy_from_slice(&[logit, sampling.temperature_milli as f32 / 1000.0]);
            self.queue.launch(&[Launch {
                kernel: Kernel::Choose,
                grid: [1, 1, 1],
                shared: 8 * 1024,
                params,
            }])?;
            let mut token = [0; 4];
            self.queue.download(out, &mut token)?;
            u32::from_le_bytes(token)
        };
        if drawn >= vocab {
            return Err(failure(self.loaded, "it selected a token that is none"));
        }
        Ok(drawn)
    }
}
