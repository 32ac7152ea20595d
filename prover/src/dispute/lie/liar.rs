//! A proposer whose results hold one lie.

use std::collections::HashMap;
use std::sync::Arc;

use sworn_inference::engine::RunResult;

use super::Lie;
use super::tampered::TamperedTrace;
use crate::dispute::contents::{Contents, at, contents_of, job_contents};
use crate::dispute::own::OwnResults;
use crate::dispute::position::{NodeKind, Position};
use crate::dispute::results::{Answer, DisputeModel, LaneResults, TraceNodes};
use crate::result::JobCommitment;
use crate::{Digest, Error};

/// Results with a lie, and the answers to openings that go with it.
#[derive(Debug)]
pub struct Liar {
    pub(super) base: OwnResults,
    pub(super) lane: u32,
    pub(super) run: u32,
    /// What is said about the job.
    pub(super) answer: Answer,
    /// Posted contents that are not the true ones.
    pub(super) posted: HashMap<Position, Vec<u8>>,
    pub(super) silent: Option<NodeKind>,
    /// A leaf of the trace: (row, leaf, bytes).
    pub(super) tamper: Option<(u32, u32, Vec<u8>)>,
    trace: Option<TamperedTrace>,
    random: u64,
}

impl Liar {
    pub(super) fn new(base: OwnResults, lane: u32, run: u32, answer: Answer, seed: u64) -> Liar {
        Liar {
            base,
            lane,
            run,
            answer,
            posted: HashMap::new(),
            silent: None,
            tamper: None,
            trace: None,
            random: seed,
        }
    }

    /// What the liar reveals of a node; none when it stays silent.
    ///
    /// # Errors
    /// As [`contents_of`].
    pub fn reveal(&mut self, position: &Position) -> Result<Option<Contents>, Error> {
        if self.silent == Some(position.kind) {
            return Ok(None);
        }
        if position.kind == NodeKind::Job {
            // Of tokens that no run has there is no trace either: any digests will do.
            let any = |count, _| Ok(vec![Digest::of(b"no trace"); count]);
            return job_contents(self, position.lane, any).map(Some);
        }
        contents_of(self, position).map(Some)
    }

    /// A number below `end`, which is not 0; the same for the same seed and calls.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_add(1);
        let digest = Digest::of(&self.random.to_be_bytes());
        let [a, b, c, d, ..] = digest.0;
        u64::from(u32::from_be_bytes([a, b, c, d])) % end.max(1)
    }

    pub(super) fn result(&self) -> Result<&RunResult, Error> {
        at(&self.answer.runs, self.run)
    }

    /// Changes the run and states what follows from it.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut RunResult)) -> Result<(), Error> {
        let mut runs = self.answer.runs.clone();
        if let Some(run) = runs.get_mut(self.run as usize) {
            change(run);
        }
        self.answer = Answer::new(self.answer.input.clone(), runs)?;
        self.state();
        Ok(())
    }

    /// Changes what is said about the run's record or its leaves, and states the job's record anew.
    pub(super) fn restate(&mut self, change: impl FnOnce(&mut Answer)) -> Result<(), Error> {
        change(&mut self.answer);
        let (input_id, score_root) = {
            let record = &self.answer.commitment.record;
            (record.input_id, record.score_root)
        };
        let runs = self.answer.commitment.runs.clone();
        self.answer.commitment = JobCommitment::of_records(input_id, runs)?;
        self.answer.commitment.record.score_root = score_root;
        self.state();
        Ok(())
    }

    fn state(&mut self) {
        self.trace = None;
        self.base.replace(self.lane, Arc::new(self.answer.clone()));
    }

    /// A place of a new token that is no stop token; often the last one.
    pub(super) fn place(&mut self) -> Result<Option<u32>, Error> {
        let run = self.result()?;
        let stops = self.base.model().model.program().stop_tokens();
        let places: Vec<u32> = (run.n_prompt..)
            .zip(&run.tokens[run.n_prompt as usize..])
            .filter(|(_, token)| stops.binary_search(token).is_err())
            .map(|(place, _)| place)
            .collect();
        let Some(last) = places.last().copied() else {
            return Ok(None);
        };
        let pick = self.below(2 * places.len() as u64) as usize;
        Ok(Some(places.get(pick).copied().unwrap_or(last)))
    }

    /// Puts another token, which is no stop token, at a place.
    pub(super) fn put_token(&mut self, place: u32, token: u32) -> Result<(), Error> {
        let model = self.base.model().model.clone();
        self.change(|run| {
            if let Some(known) = run.tokens.get_mut(place as usize) {
                *known = token;
            }
            retell(&model, run);
        })
    }

    /// A token that is not `not`, and no stop token.
    pub(super) fn other_token(&mut self, not: u32) -> u32 {
        let model = self.base.model().model.clone();
        let vocabulary = model.program().vocab_size();
        loop {
            let token = self.below(vocabulary.into()) as u32;
            let stop = model.program().stop_tokens().binary_search(&token).is_ok();
            if token != not && !stop {
                return token;
            }
        }
    }

    /// Changes a new token somewhere and gives its place.
    pub(super) fn change_token(&mut self) -> Result<Option<u32>, Error> {
        let Some(place) = self.place()? else {
            return Ok(None);
        };
        let token = *at(&self.result()?.tokens, place)?;
        let other = self.other_token(token);
        self.put_token(place, other)?;
        Ok(Some(place))
    }

    /// The trace is that of other tokens.
    pub(super) fn trace_other_tokens(&mut self) -> Result<bool, Error> {
        let vocabulary = self.base.model().model.program().vocab_size();
        let run = self.run as usize;
        self.restate(|answer| {
            if let Some(run) = answer.runs.get_mut(run) {
                for token in &mut run.tokens {
                    *token = (*token + 1) % vocabulary;
                }
            }
        })?;
        Ok(true)
    }

    /// A lie that has nodes of a kind opened, and no answer to that.
    pub(super) fn fall_silent(&mut self, kind: NodeKind) -> Result<bool, Error> {
        use super::Hiding;
        use sworn_inference::program::Op;
        self.silent = Some(kind);
        Ok(match kind {
            NodeKind::Claim => false,
            NodeKind::Job | NodeKind::Tokens => self.change_token()?.is_some(),
            NodeKind::Trace => self.bend_element(Op::Embed, Hiding::None)?,
            NodeKind::Totals => self.bend_element(Op::Matmul, Hiding::Totals)?,
            NodeKind::Tile => self.bend_element(Op::AttnSum, Hiding::Weights)?,
            NodeKind::Selection => self.bend_choice(Hiding::Totals)?,
            NodeKind::Group => self.bend_choice(Hiding::Weights)?,
            NodeKind::Offsets => self.bend_lists(Lie::Offset)?,
            NodeKind::Text => self.bend_lists(Lie::TextByte)?,
            NodeKind::Prompt | NodeKind::Starts => {
                self.bend_lists(Lie::PromptToken(Hiding::None))?
            }
            NodeKind::Malformed => self.bend_lists(Lie::Malformed)?,
        })
    }
}

/// Text and offsets of a run's tokens.
pub(super) fn retell(model: &sworn_inference::format::packed::Model, run: &mut RunResult) {
    run.text.clear();
    run.offsets.clear();
    let mut before = run.tokens[..run.n_prompt as usize].last().copied();
    for token in &run.tokens[run.n_prompt as usize..] {
        run.offsets.push(run.text.len() as u32);
        if model.program().stop_tokens().binary_search(token).is_err() {
            run.text
                .extend_from_slice(&model.tokenizer().piece(before, *token));
        }
        before = Some(*token);
    }
}

impl LaneResults for Liar {
    fn model(&self) -> &DisputeModel {
        self.base.model()
    }

    fn jobs(&self) -> u32 {
        self.base.jobs()
    }

    fn answer(&mut self, lane: u32) -> Result<Arc<Answer>, Error> {
        self.base.answer(lane)
    }

    fn trace(&mut self, lane: u32, run: u32) -> Result<&mut dyn TraceNodes, Error> {
        if (lane, run) != (self.lane, self.run) {
            return self.base.trace(lane, run);
        }
        let trace = match self.trace.take() {
            Some(trace) => trace,
            None => TamperedTrace {
                layout: self.base.model().layout.clone(),
                inner: self.base.make_trace(lane, run)?,
                tamper: None,
            },
        };
        let trace = self.trace.insert(trace);
        trace.tamper.clone_from(&self.tamper);
        Ok(trace)
    }

    fn posted(&mut self, position: &Position) -> Option<Vec<u8>> {
        self.posted.get(position).cloned()
    }
}
