//! Running a chunk of rows.

use std::collections::HashMap;

use sworn_inference::Error;
use sworn_inference::engine::Row;

use super::{GpuRunner, tiles};
use crate::arena::{ROWS, TILE_PAGES};
use crate::plan::Step;

/// Rows of a step up to which its launches are recorded: they are many and small then.
const RECORDED_ROWS: u32 = 16;
/// Steps that are recorded at most.
const RECORDINGS: usize = 64;

impl GpuRunner<'_> {
    /// The checks that a session makes.
    pub(super) fn check(&self, rows: &[Row], wanted: &[usize]) -> Result<(), Error> {
        let program = self.loaded.program();
        let bad = |what: &str, found: String, expected: String| {
            Err(Error::BadParameter {
                what: what.to_owned(),
                found,
                expected,
            })
        };
        let mut lengths: HashMap<usize, usize> = HashMap::new();
        for row in rows {
            if row.token >= program.vocab_size() {
                let expected = format!("below the vocabulary size {}", program.vocab_size());
                return bad("token", row.token.to_string(), expected);
            }
            let Some(Some(sequence)) = self.sequences.get(row.sequence) else {
                let expected = "one that was started".to_owned();
                return bad("sequence", row.sequence.to_string(), expected);
            };
            let length = lengths.entry(row.sequence).or_insert(sequence.length);
            *length += 1;
            if *length > program.context() as usize {
                let expected = format!("at most {}, the context", program.context());
                return bad("tokens of a sequence", length.to_string(), expected);
            }
        }
        match wanted.iter().find(|index| **index >= rows.len()) {
            None => Ok(()),
            Some(index) => bad(
                "wanted row",
                index.to_string(),
                format!("below {}", rows.len()),
            ),
        }
    }

    /// Runs some rows, with pages of their own; `wanted` are indices of them.
    pub(super) fn chunk(&mut self, rows: &[Row], wanted: &[u32]) -> Result<(), Error> {
        let mut lists = [[0u32; ROWS]; 6];
        // The sequences of the step, each once.
        let mut present: Vec<usize> = Vec::new();
        let mut longest = 0;
        for (i, row) in rows.iter().enumerate() {
            let Some(Some(sequence)) = self.sequences.get_mut(row.sequence) else {
                continue;
            };
            let position = sequence.length;
            self.pool
                .own(&mut *self.queue, &mut sequence.pages, position)?;
            sequence.length += 1;
            longest = longest.max(sequence.length);
            let place = present.iter().position(|one| *one == row.sequence);
            let place = place.unwrap_or_else(|| {
                present.push(row.sequence);
                present.len() - 1
            });
            (lists[0][i], lists[1][i], lists[2][i]) = (row.token, position as u32, place as u32);
        }
        for (i, index) in wanted.iter().enumerate() {
            let at = *index as usize;
            (lists[3][i], lists[4][i], lists[5][i]) = (lists[0][at], lists[1][at], *index);
        }
        let step = Step {
            rows: rows.len() as u32,
            wanted: wanted.len() as u32,
            tiles: tiles(longest) as u32,
        };
        let mut bytes: Vec<u8> = lists
            .iter()
            .flatten()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        let stride = step.tiles as usize * TILE_PAGES;
        for sequence in present {
            let pages = self.sequences[sequence].iter().flat_map(|one| &one.pages);
            let addresses = pages.map(|page| page.address);
            // Pages past the longest sequence of the step were left by a truncation.
            let row = addresses.chain(std::iter::repeat(0)).take(stride);
            bytes.extend(row.flat_map(u64::to_le_bytes));
        }
        self.queue.upload(self.plan.list(0), &bytes)?;
        self.launch(step)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let mut chosen = vec![0; wanted.len() * 8];
        let from = self.plan.at(self.plan.arena.chosen);
        self.queue.download(from, &mut chosen)?;
        let (numbers, _) = chosen.as_chunks::<4>();
        let numbers: Vec<u32> = numbers.iter().map(|b| u32::from_le_bytes(*b)).collect();
        self.best.extend_from_slice(numbers.as_chunks::<2>().0);
        Ok(())
    }

    /// Launches a step, from its recording if it comes often.
    fn launch(&mut self, step: Step) -> Result<(), Error> {
        if step.rows > RECORDED_ROWS {
            return self.queue.launch(&self.plan.launches(step));
        }
        let full = self.recorded.len() >= RECORDINGS;
        let Some((count, recording)) = self.recorded.get_mut(&step) else {
            if !full {
                self.recorded.insert(step, (1, None));
            }
            return self.queue.launch(&self.plan.launches(step));
        };
        *count += 1;
        if recording.is_none() && *count > 2 {
            *recording = Some(self.queue.record(&self.plan.launches(step))?);
        }
        match recording {
            Some(number) => self.queue.replay(*number),
            None => self.queue.launch(&self.plan.launches(step)),
        }
    }
}
