//! Checking runs that somebody else made: the tokens are given, so all rows of a chunk run at once instead of one after another.

use std::ops::ControlFlow;

use super::generate::check;
use super::{CHUNK_ROWS, Engine, Job, Row, Runner};
use crate::Error;
use crate::numeric::draw;

/// A token that the selection rule does not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongToken {
    /// Its index in the run.
    pub position: u32,
    /// The token found there.
    pub found: u32,
    /// The token that is selected after the tokens before it.
    pub expected: u32,
}

/// Receives (rows done, rows in all); stops the check by breaking.
pub type OnRows<'a> = &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>;

/// A row that runs, and what must follow it.
struct Pending {
    run: usize,
    position: u32,
}

impl Engine {
    /// Checks the new tokens of the runs of a job by one teacher-forced pass over them: each must be the one that is selected after the tokens
    /// before it. `runs` are the runs' new tokens. Gives the first wrong token of each run, if it has one. Lengths, stop tokens and limits are
    /// not looked at.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for a parameter outside its range, a token that is not in the vocabulary, more tokens than the context or another
    /// number of runs; [`Error::Cancelled`] when `on_rows` breaks.
    pub fn check_tokens(
        &self,
        job: &Job,
        runs: &[&[u32]],
        on_rows: OnRows<'_>,
    ) -> Result<Vec<Option<WrongToken>>, Error> {
        let program = self.model().program();
        check(job, program.vocab_size())?;
        if runs.len() != job.n_runs as usize {
            return Err(Error::BadParameter {
                what: "runs".to_owned(),
                found: runs.len().to_string(),
                expected: job.n_runs.to_string(),
            });
        }
        let mut wrong = vec![None; runs.len()];
        if runs.iter().all(|run| run.is_empty()) {
            return Ok(wrong);
        }
        let n_prompt = job.prompt.len() as u32;
        let total = u64::from(n_prompt)
            + runs
                .iter()
                .map(|run| run.len().saturating_sub(1) as u64)
                .sum::<u64>();
        let mut done = 0;
        let mut report = |rows: usize| {
            done += rows as u64;
            match on_rows(done, total) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(Error::Cancelled),
            }
        };
        // Whether the token after `position` is the one that these logits give.
        let judge = |runner: &mut dyn Runner,
                     wanted: usize,
                     run: usize,
                     position: u32|
         -> Result<Option<WrongToken>, Error> {
            let place = position + 1;
            let Some(found) = runs[run].get((place - n_prompt) as usize).copied() else {
                return Ok(None);
            };
            let mut draw = || draw(&job.seed, run as u32, place);
            let expected = runner.select(wanted, &job.sampling, &mut draw)?;
            Ok((found != expected).then_some(WrongToken {
                position: place,
                found,
                expected,
            }))
        };

        let mut session = self.runner();
        let prompt = session.start();
        let chunks = job.prompt.chunks(CHUNK_ROWS);
        let last = chunks.len().saturating_sub(1);
        for (i, chunk) in chunks.enumerate() {
            let rows: Vec<Row> = chunk
                .iter()
                .map(|token| Row {
                    sequence: prompt,
                    token: *token,
                })
                .collect();
            let wanted = [rows.len() - 1];
            session.run(&rows, if i == last { &wanted } else { &[] })?;
            if i == last {
                for (run, wrong) in wrong.iter_mut().enumerate() {
                    *wrong = judge(&mut *session, 0, run, n_prompt - 1)?;
                }
            }
            report(chunk.len())?;
        }
        let sequences: Vec<usize> = (0..runs.len())
            .map(|run| {
                if run == 0 {
                    prompt
                } else {
                    session.fork(prompt)
                }
            })
            .collect();
        // Where each run goes on: the index among its new tokens. The last one is never an input.
        let mut next = vec![0usize; runs.len()];
        loop {
            let (mut rows, mut pending) = (Vec::new(), Vec::new());
            for (run, tokens) in runs.iter().enumerate() {
                while wrong[run].is_none()
                    && rows.len() < CHUNK_ROWS
                    && next[run] + 1 < tokens.len()
                {
                    rows.push(Row {
                        sequence: sequences[run],
                        token: tokens[next[run]],
                    });
                    pending.push(Pending {
                        run,
                        position: n_prompt + next[run] as u32,
                    });
                    next[run] += 1;
                }
            }
            if rows.is_empty() {
                return Ok(wrong);
            }
            let wanted: Vec<usize> = (0..rows.len()).collect();
            session.run(&rows, &wanted)?;
            for (wanted, row) in pending.iter().enumerate() {
                if wrong[row.run].is_none() {
                    wrong[row.run] = judge(&mut *session, wanted, row.run, row.position)?;
                }
            }
            report(rows.len())?;
        }
    }
}
