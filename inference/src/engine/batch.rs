//! Many jobs at once: every step runs the next token of every run and a part of the prompts that wait, so that weights are read once for all.

use std::ops::ControlFlow;

use super::generate::check;
use super::speculate::{GUESSES, Speculation};
use super::{CHUNK_ROWS, Engine, Finish, Job, Row, RunResult, Runner, TokenEvent};
use crate::Error;
use crate::numeric::draw;

/// A job that ended: its number, and its runs or why there are none.
pub type Ended = (u64, Result<Vec<RunResult>, Error>);

/// Receives the number of a job and a token of it; cancels that job by breaking.
pub type OnToken<'a> = &'a mut dyn FnMut(u64, TokenEvent<'_>) -> ControlFlow<()>;

/// Jobs that run together. They come and go at any time; what they give does not depend on the others.
#[derive(Debug)]
pub struct Batch<'e> {
    engine: &'e Engine,
    session: Box<dyn Runner + 'e>,
    jobs: Vec<Running>,
    next: u64,
    guessed: u64,
    right: u64,
}

#[derive(Debug)]
struct Running {
    number: u64,
    job: Job,
    /// New tokens of a run at most.
    limit: u32,
    /// The prompt's sequence, which becomes that of run 0, and its tokens that ran.
    prompt: usize,
    prefilled: usize,
    runs: Vec<Run>,
    cancelled: bool,
}

#[derive(Debug)]
struct Run {
    result: RunResult,
    /// None before the prompt is through and after the end.
    sequence: Option<usize>,
    ended: bool,
    speculation: Speculation,
}

/// Rows of a step that one job gave.
#[derive(Debug)]
struct Plan {
    /// Its index.
    job: usize,
    /// The run, with its guesses; none for the end of a prompt.
    run: Option<(usize, Vec<u32>)>,
    /// The first of its wanted rows.
    wanted: usize,
}

impl<'e> Batch<'e> {
    /// No jobs.
    pub fn new(engine: &'e Engine) -> Batch<'e> {
        Batch {
            session: engine.runner(),
            engine,
            jobs: Vec::new(),
            next: 0,
            guessed: 0,
            right: 0,
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

    /// Takes a job; gives its number.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for a parameter outside its range.
    pub fn submit(&mut self, job: Job) -> Result<u64, Error> {
        let program = self.engine.model().program();
        check(&job, program.vocab_size())?;
        let too_long = job.prompt.len() > program.context() as usize;
        let limit = if too_long {
            0
        } else {
            job.limit(program.context())
        };
        let run = Run {
            result: RunResult {
                n_prompt: job.prompt.len() as u32,
                tokens: job.prompt.clone(),
                finish: if too_long {
                    Finish::TooLong
                } else {
                    Finish::Length
                },
                text: Vec::new(),
                offsets: Vec::new(),
            },
            sequence: None,
            ended: limit == 0,
            speculation: Speculation::default(),
        };
        self.jobs.push(Running {
            number: self.next,
            limit,
            prompt: self.session.start(),
            prefilled: 0,
            runs: (0..job.n_runs).map(|_| run.clone()).collect(),
            cancelled: false,
            job,
        });
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
    /// What [`Runner::run`] reports. A job that is cancelled ends with [`Error::Cancelled`] and harms no other.
    pub fn step(&mut self, on_token: OnToken<'_>) -> Result<Vec<Ended>, Error> {
        let (rows, wanted, plans) = self.plan();
        self.session.run(&rows, &wanted)?;
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
                if running.cancelled
                    || running.runs[index].ended
                    || guesses.get(kept) != Some(&token)
                {
                    break;
                }
                kept += 1;
            }
            if guesses.is_empty() {
                continue;
            }
            // The last token has not run yet.
            let run = &mut running.runs[index];
            run.speculation.note(kept);
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

    /// The rows of the next step, which of them are wanted, and what they are for.
    fn plan(&mut self) -> (Vec<Row>, Vec<usize>, Vec<Plan>) {
        let (mut rows, mut wanted, mut plans) = (Vec::new(), Vec::new(), Vec::new());
        let going = self.jobs.iter().flat_map(|job| &job.runs);
        let going = going.filter(|run| run.sequence.is_some()).count();
        let guesses = match going {
            0 => 0,
            _ if !self.engine.speculation() => 0,
            n => (GUESSES + 1) / n - usize::from(n <= GUESSES + 1),
        };
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
                // The last new token never runs.
                let left = running.limit as usize - run.result.offsets.len() - 1;
                let guesses = run.speculation.guess(&run.result.tokens, guesses.min(left));
                plans.push(Plan {
                    job,
                    run: Some((index, guesses.to_vec())),
                    wanted: wanted.len(),
                });
                for token in std::iter::once(last).chain(guesses) {
                    wanted.push(rows.len());
                    rows.push(Row {
                        sequence,
                        token: *token,
                    });
                }
            }
        }
        for (job, running) in self.jobs.iter_mut().enumerate() {
            let prompt = &running.job.prompt;
            let waits = !running.cancelled && running.runs.iter().any(|run| !run.ended);
            let count =
                (prompt.len() - running.prefilled).min(CHUNK_ROWS.saturating_sub(rows.len()));
            if !waits || count == 0 {
                continue;
            }
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

    /// Takes ended runs' sequences and ended jobs out.
    fn sweep(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        let (done, going): (Vec<Running>, Vec<Running>) = std::mem::take(&mut self.jobs)
            .into_iter()
            .partition(|job| job.cancelled || job.runs.iter().all(|run| run.ended));
        self.jobs = going;
        for job in &mut self.jobs {
            for run in job.runs.iter_mut().filter(|run| run.ended) {
                // The prompt's own sequence stays until the job ends, as others may be forked from it.
                if let Some(sequence) = run.sequence.take().filter(|s| *s != job.prompt) {
                    self.session.end(sequence);
                }
            }
        }
        for job in done {
            for run in &job.runs {
                if let Some(sequence) = run.sequence.filter(|sequence| *sequence != job.prompt) {
                    self.session.end(sequence);
                }
            }
            self.session.end(job.prompt);
            let runs = job.runs.into_iter().map(|run| run.result).collect();
            let result = if job.cancelled {
                Err(Error::Cancelled)
            } else {
                Ok(runs)
            };
            ended.push((job.number, result));
        }
        ended
    }
}

impl Clone for Run {
    fn clone(&self) -> Run {
        Run {
            result: self.result.clone(),
            ..*self
        }
    }
}

impl Running {
    /// Selects the next token of a run from a wanted row of the session's latest run.
    fn take(
        &mut self,
        engine: &Engine,
        session: &mut dyn Runner,
        wanted: usize,
        index: usize,
        on_token: OnToken<'_>,
    ) -> Result<u32, Error> {
        let run = &mut self.runs[index];
        let result = &mut run.result;
        let position = result.tokens.len() as u32;
        let mut draw = || draw(&self.job.seed, index as u32, position);
        let token = session.select(wanted, &self.job.sampling, &mut draw)?;
        if self.cancelled {
            return Ok(token);
        }
        let model = engine.model();
        let stop = model.program().stop_tokens().binary_search(&token).is_ok();
        let piece = if stop {
            Default::default()
        } else {
            model
                .tokenizer()
                .piece(result.tokens.last().copied(), token)
        };
        result.offsets.push(result.text.len() as u32);
        result.text.extend_from_slice(&piece);
        result.tokens.push(token);
        if stop {
            result.finish = Finish::Stop;
        }
        run.ended = stop || result.offsets.len() == self.limit as usize;
        let event = TokenEvent {
            run: index as u32,
            token,
            piece: &piece,
        };
        self.cancelled = on_token(self.number, event).is_break();
        Ok(token)
    }
}
