//! A job of a batch and its runs.

use super::OnToken;
use crate::Error;
use crate::engine::speculate::Speculation;
use crate::engine::{Engine, Finish, Job, RunResult, Runner, TokenEvent};
use crate::numeric::draw;

/// A job that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) number: u64,
    pub(super) job: Job,
    /// New tokens of a run at most.
    pub(super) limit: u32,
    /// The prompt's sequence, which becomes that of the first run that goes on.
    pub(super) prompt: usize,
    /// Tokens of the prompt that ran.
    pub(super) prefilled: usize,
    pub(super) runs: Vec<Run>,
    pub(super) cancelled: bool,
}

/// A run of a job.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) result: RunResult,
    /// None before the prompt is through and after the end.
    pub(super) sequence: Option<usize>,
    pub(super) ended: bool,
    pub(super) speculation: Speculation,
}

impl Running {
    /// A job on a model with this context, none of whose tokens has run.
    pub(super) fn new(number: u64, job: Job, context: u32, prompt: usize) -> Running {
        let too_long = job.prompt.len() > context as usize;
        let limit = if too_long { 0 } else { job.limit(context) };
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
        Running {
            number,
            limit,
            prompt,
            prefilled: 0,
            runs: vec![run; job.n_runs as usize],
            cancelled: false,
            job,
        }
    }

    /// Whether a run of it has still to end.
    pub(super) fn goes_on(&self) -> bool {
        !self.cancelled && self.runs.iter().any(|run| !run.ended)
    }

    /// Whether a part of the prompt has still to run.
    pub(super) fn waits(&self) -> bool {
        self.goes_on() && self.prefilled < self.job.prompt.len()
    }

    /// Selects the next token of a run from a wanted row of the session's latest run.
    pub(super) fn take(
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
