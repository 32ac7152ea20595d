//! One's own results of a lane, with traces made on demand.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use sworn_inference::backend::Backend;

use super::contents::at;
use super::results::{Answer, DisputeModel, LaneResults, TraceNodes};
use super::trace::{Trace, TraceOptions};
use crate::Error;

/// Traces that are kept.
const KEPT_TRACES: usize = 2;

/// Results that were computed here.
pub struct OwnResults {
    model: DisputeModel,
    backend: Arc<dyn Backend>,
    answers: Vec<Arc<Answer>>,
    options: TraceOptions,
    traces: VecDeque<((u32, u32), Trace)>,
    progress: Box<dyn FnMut(u64, u64) + Send>,
}

impl fmt::Debug for OwnResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnResults")
            .field("answers", &self.answers.len())
            .field("traces", &self.traces.len())
            .finish_non_exhaustive()
    }
}

impl OwnResults {
    /// The answers to a lane's inputs, in its order. `progress` gets the rows of layers that are done and all while a trace is made.
    #[must_use]
    pub fn new(
        model: DisputeModel,
        backend: Arc<dyn Backend>,
        answers: Vec<Arc<Answer>>,
        options: TraceOptions,
        progress: Box<dyn FnMut(u64, u64) + Send>,
    ) -> OwnResults {
        OwnResults {
            model,
            backend,
            answers,
            options,
            traces: VecDeque::new(),
            progress,
        }
    }

    /// Puts another answer in place of one, if there is one.
    pub(crate) fn replace(&mut self, lane: u32, answer: Arc<Answer>) {
        self.traces.retain(|((at, _), _)| *at != lane);
        if let Some(known) = self.answers.get_mut(lane as usize) {
            *known = answer;
        }
    }

    /// Makes a trace.
    pub(crate) fn make_trace(&mut self, lane: u32, run: u32) -> Result<Trace, Error> {
        let answer = self.answer(lane)?;
        let result = at(&answer.runs, run)?;
        Trace::build(
            self.model.model.clone(),
            self.backend.clone(),
            &result.tokens,
            result.n_prompt,
            self.options,
            &mut self.progress,
        )
    }
}

impl LaneResults for OwnResults {
    fn model(&self) -> &DisputeModel {
        &self.model
    }

    fn jobs(&self) -> u32 {
        self.answers.len() as u32
    }

    fn answer(&mut self, lane: u32) -> Result<Arc<Answer>, Error> {
        let answer = self.answers.get(lane as usize);
        answer.cloned().ok_or(Error::IndexOutOfRange {
            what: "lane",
            found: lane.into(),
            expected: self.answers.len() as u64,
        })
    }

    fn trace(&mut self, lane: u32, run: u32) -> Result<&mut dyn TraceNodes, Error> {
        let known = self.traces.iter().position(|(at, _)| *at == (lane, run));
        let trace = match known.and_then(|i| self.traces.remove(i)) {
            Some((_, trace)) => trace,
            None => self.make_trace(lane, run)?,
        };
        self.traces.truncate(KEPT_TRACES - 1);
        self.traces.push_front(((lane, run), trace));
        Ok(&mut self.traces[0].1)
    }
}
