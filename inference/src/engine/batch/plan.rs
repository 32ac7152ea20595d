//! What a step runs: the next token of every run with its guesses, and of the prompts, first come first served, what fits into a chunk.

use std::collections::HashMap;
use std::time::Instant;

use super::Batch;
use crate::Error;
use crate::engine::draft::Ask;
use crate::engine::prefix::{LEAST, common};
use crate::engine::speculate::{look_up, most};
use crate::engine::{CHUNK_ROWS, Row};

/// Rows of a step that one job gave.
#[derive(Debug)]
pub(super) struct Plan {
    /// Its index.
    pub(super) job: usize,
    /// The run, with its guesses; none for the end of a prompt.
    pub(super) run: Option<(usize, Vec<u32>)>,
    /// The first of its wanted rows.
    pub(super) wanted: usize,
}

/// Guesses by the indices of job and run.
type Guesses = HashMap<(usize, usize), Vec<u32>>;

impl Batch<'_> {
    /// The guesses that runs go on with.
    pub(super) fn guess(&mut self) -> Result<Guesses, Error> {
        let (policy, costs) = (self.engine.policy(), self.engine.costs());
        let mut guesses = Guesses::new();
        let runs = self.jobs.iter().flat_map(|job| &job.runs);
        let going = runs.filter(|run| run.sequence.is_some()).count();
        let most = most(going);
        if most == 0 {
            return Ok(guesses);
        }
        // (job, run, guesses wanted of the draft)
        let mut wanted = Vec::new();
        for (j, job) in self.jobs.iter_mut().enumerate() {
            for (r, run) in job.runs.iter_mut().enumerate() {
                if run.sequence.is_none() {
                    continue;
                }
                // The last new token never runs.
                let left = (job.limit as usize).saturating_sub(run.result.offsets.len() + 1);
                let most = most.min(left);
                if self.drafter.is_some() {
                    let count = run.speculation.count(policy, &costs, going, most, true);
                    wanted.push((j, r, count));
                    continue;
                }
                let found = look_up(&run.result.tokens, most);
                let worth = run
                    .speculation
                    .count(policy, &costs, going, found.len(), false);
                guesses.insert((j, r), found[..worth].to_vec());
            }
        }
        let Some(drafter) = &mut self.drafter else {
            return Ok(guesses);
        };
        let steps = wanted.iter().map(|(.., count)| *count).max().unwrap_or(0);
        if steps == 0 {
            return Ok(guesses);
        }
        let asks: Vec<Ask<'_>> = wanted
            .iter()
            .map(|&(j, r, count)| {
                let job = &self.jobs[j];
                Ask {
                    key: (job.number, r as u32),
                    tokens: &job.runs[r].result.tokens,
                    count,
                    sampling: &job.job.sampling,
                    seed: &job.job.seed,
                }
            })
            .collect();
        let started = Instant::now();
        let drafted = drafter.guess(&asks)?;
        let seconds = started.elapsed().as_secs_f32() / steps as f32;
        self.engine.note_costs(|costs| costs.note_draft(seconds));
        guesses.extend({ wanted.iter() }.map(|&(j, r, _)| (j, r)).zip(drafted));
        Ok(guesses)
    }

    /// The rows of the next step, which of them are wanted, and what they are for.
    pub(super) fn plan(&mut self, mut guesses: Guesses) -> (Vec<Row>, Vec<usize>, Vec<Plan>) {
        let (mut rows, mut wanted, mut plans) = (Vec::new(), Vec::new(), Vec::new());
        for (job, running) in self
            .jobs
            .iter()
            .enumerate()
            .filter(|(_, job)| !job.cancelled)
        {
            for (index, run) in running.runs.iter().enumerate() {
                let (Some(sequence), Some(last)) = (run.sequence, run.result.tokens.last()) else {
                    continue;
                };
                let guesses = guesses.remove(&(job, index)).unwrap_or_default();
                let first = wanted.len();
                for token in std::iter::once(last).chain(&guesses) {
                    wanted.push(rows.len());
                    rows.push(Row {
                        sequence,
                        token: *token,
                    });
                }
                plans.push(Plan {
                    job,
                    run: Some((index, guesses)),
                    wanted: first,
                });
            }
        }
        for job in 0..self.jobs.len() {
            let room = CHUNK_ROWS.saturating_sub(rows.len());
            if room == 0 || !self.jobs[job].waits() || !self.share(job) {
                continue;
            }
            let running = &mut self.jobs[job];
            let prompt = &running.job.prompt;
            let count = (prompt.len() - running.prefilled).min(room);
            let sequence = running.prompt;
            let tokens = &prompt[running.prefilled..][..count];
            rows.extend(tokens.iter().map(|token| Row {
                sequence,
                token: *token,
            }));
            running.prefilled += count;
            if running.prefilled == prompt.len() {
                plans.push(Plan {
                    job,
                    run: None,
                    wanted: wanted.len(),
                });
                wanted.push(rows.len() - 1);
            }
        }
        (rows, wanted, plans)
    }

    /// Lets a prompt that has not begun begin after what it has in common with one that ran. False when it should wait: a job before it is about to
    /// run what both begin with.
    fn share(&mut self, job: usize) -> bool {
        let running = &self.jobs[job];
        if running.prefilled > 0 {
            return true;
        }
        let prompt = &running.job.prompt;
        // The last token runs in any case: the first new one comes from its logits.
        let most = prompt.len() - 1;
        let kept = self.prefixes.find(prompt);
        let mut best = kept.map(|(sequence, length)| (length.min(most), sequence));
        let mut awaited = 0;
        for (i, other) in self.jobs.iter().enumerate().filter(|(i, _)| *i != job) {
            let alike = common(&other.job.prompt, prompt).min(most);
            // Rows of this step have not run yet.
            let ready = alike.min(self.session.length(other.prompt));
            if i < job && ready < alike && other.goes_on() {
                awaited = awaited.max(alike);
            }
            best = best.max(Some((ready, other.prompt)));
        }
        let (length, sequence) = best.unwrap_or_default();
        if awaited >= LEAST && awaited > length {
            return false;
        }
        if length >= LEAST {
            let fork = self.session.fork(sequence);
            self.session.truncate(fork, length);
            let running = &mut self.jobs[job];
            self.session
                .end(std::mem::replace(&mut running.prompt, fork));
            running.prefilled = length;
            self.shared += length as u64;
        }
        true
    }
}
