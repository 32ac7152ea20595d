//! Many jobs at once: every step runs the next token of every run and a part of the prompts that wait, so that weights are read once for all.

mod plan;
mod running;

use std::ops::ControlFlow;
use std::time::Instant;

use super::draft::Drafter;
use super::generate::check;
use super::prefix::Prefixes;
use super::{Engine, Job, RunResult, Runner, TokenEvent};
use crate::Error;
use running::Running;

/// A job that ended: its number, and its runs or why there are none.
pub type Ended = (u64, Result<Vec<RunResult>, Error>);

/// Receives the number of a job and a token of it; cancels that job by breaking.
pub type OnToken<'a> = &'a mut dyn FnMut(u64, TokenEvent<'_>) -> ControlFlow<()>;

/// Jobs that run together. They come and go at any time; what they give does not depend on the others.
///
/// Prompts that begin alike run that beginning once: of the prompts of jobs that ended, the latest are kept for that, up to as many tokens as the
/// model's context.
#[derive(Debug)]
pub struct Batch<'e> {
    engine: &'e Engine,
    session: Box<dyn Runner + 'e>,
    drafter: Option<Drafter<'e>>,
    jobs: Vec<Running>,
    prefixes: Prefixes,
    next: u64,
    guessed: u64,
    right: u64,
    shared: u64,
}

impl<'e> Batch<'e> {
    /// No jobs.
    pub fn new(engine: &'e Engine) -> Batch<'e> {
        let draft = engine.draft();
        Batch {
            session: engine.runner(),
            drafter: draft.map(|draft| Drafter::new(draft, &**engine.backend())),
            engine,
            jobs: Vec::new(),
            prefixes: Prefixes::default(),
            next: 0,
            guessed: 0,
            right: 0,
            shared: 0,
        }
    }

    /// Whether no job is left.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// How many tokens were guessed, and how many of them were right.
    pub fn guesses(&self) -> (u64, u64) {
        (self.guessed, self.right)
    }

    /// How many tokens of prompts did not have to run, because another prompt began alike.
    pub fn shared(&self) -> u64 {
        self.shared
    }

    /// Takes a job; gives its number.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for a parameter outside its range.
    pub fn submit(&mut self, job: Job) -> Result<u64, Error> {
        let program = self.engine.model().program();
        check(&job, program.vocab_size())?;
        let sequence = self.session.start();
        let running = Running::new(self.next, job, program.context(), sequence);
        self.jobs.push(running);
        self.next += 1;
        Ok(self.next - 1)
    }

    /// Takes a job out; whether there was one of that number.
    pub fn cancel(&mut self, number: u64) -> bool {
        let found = self.jobs.iter_mut().find(|job| job.number == number);
        found.map(|job| job.cancelled = true).is_some()
    }

    /// Runs one step of all jobs and gives those that ended. `on_token` gets every new token when it is selected, jobs and runs taking turns.
    ///
    /// # Errors
    /// What [`Runner::run`] reports; the batch is of no use then. A job that is cancelled ends with [`Error::Cancelled`] and harms no other.
    pub fn step(&mut self, on_token: OnToken<'_>) -> Result<Vec<Ended>, Error> {
        let guesses = self.guess()?;
        let (rows, wanted, plans) = self.plan(guesses);
        let started = Instant::now();
        self.session.run(&rows, &wanted)?;
        if plans.iter().all(|plan| plan.run.is_some()) && rows.len() == wanted.len() {
            let seconds = started.elapsed().as_secs_f32();
            self.engine
                .note_costs(|costs| costs.note(rows.len(), seconds));
        }
        let session: &mut dyn Runner = &mut *self.session;
        let mut lengths = Vec::new();
        let mut forks = Vec::new();
        for plan in plans {
            let running = &mut self.jobs[plan.job];
            let Some((index, guesses)) = plan.run else {
                // The first tokens of all runs come from the same logits.
                for index in 0..running.runs.len() {
                    running.take(self.engine, session, plan.wanted, index, on_token)?;
                }
                forks.push(plan.job);
                continue;
            };
            let mut kept = 0;
            loop {
                let wanted = plan.wanted + kept;
                let token = running.take(self.engine, session, wanted, index, on_token)?;
                let right = guesses.get(kept) == Some(&token);
                kept += usize::from(right);
                if !right || running.cancelled || running.runs[index].ended {
                    break;
                }
            }
            if guesses.is_empty() {
                continue;
            }
            // The last token has not run yet.
            let run = &mut running.runs[index];
            run.speculation.note(guesses.len(), kept);
            self.guessed += guesses.len() as u64;
            self.right += kept as u64;
            lengths.extend(
                run.sequence
                    .map(|sequence| (sequence, run.result.tokens.len() - 1)),
            );
        }
        for (sequence, length) in lengths {
            self.session.truncate(sequence, length);
        }
        for job in forks {
            let prompt = self.jobs[job].prompt;
            let mut going = self.jobs[job].runs.iter_mut().filter(|run| !run.ended);
            // The first run that goes on keeps the prompt's sequence.
            if let Some(run) = going.next() {
                run.sequence = Some(prompt);
            }
            for run in going {
                run.sequence = Some(self.session.fork(prompt));
            }
        }
        Ok(self.sweep())
    }

    /// Takes ended runs' sequences and ended jobs out.
    fn sweep(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        let (done, going): (Vec<Running>, Vec<Running>) = std::mem::take(&mut self.jobs)
            .into_iter()
            .partition(|job| !job.goes_on());
        self.jobs = going;
        for job in &mut self.jobs {
            for run in job.runs.iter_mut().filter(|run| run.ended) {
                // The prompt's own sequence stays until the job ends, as others may be forked from it.
                if let Some(sequence) = run.sequence.take().filter(|s| *s != job.prompt) {
                    self.session.end(sequence);
                }
            }
        }
        for mut job in done {
            for run in &job.runs {
                if let Some(sequence) = run.sequence.filter(|sequence| *sequence != job.prompt) {
                    self.session.end(sequence);
                }
            }
            self.session.truncate(job.prompt, job.prefilled);
            job.job.prompt.truncate(job.prefilled);
            let room = self.engine.model().program().context() as usize;
            for sequence in self.prefixes.keep(job.job.prompt, job.prompt, room) {
                self.session.end(sequence);
            }
            let result = if job.cancelled {
                Err(Error::Cancelled)
            } else {
                Ok(job.runs.into_iter().map(|run| run.result).collect())
            };
            ended.push((job.number, result));
        }
        if let Some(drafter) = &mut self.drafter {
            let jobs = &self.jobs;
            drafter.retain(|(number, run)| {
                let job = jobs.iter().find(|job| job.number == number);
                job.is_some_and(|job| !job.runs[run as usize].ended)
            });
        }
        ended
    }
}
