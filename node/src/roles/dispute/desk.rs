//! A lane's results laid out to be opened, with the traces that were asked for.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::B256;
use sworn_prover::Digest;
use sworn_prover::dispute::own::OwnResults;
use sworn_prover::dispute::results::{Answer, LaneInput, LaneResults};
use sworn_prover::dispute::trace::TraceOptions;
use sworn_prover::params::Params;

use super::super::{Context, LaneView, RoleError};
use crate::machine::{MachineError, run_results};
use crate::store::LaneKey;

/// Lanes that are kept.
const KEPT: usize = 4;

/// Results that can be opened, shared by the roles.
#[derive(Clone)]
pub(super) struct Desk {
    results: Arc<Mutex<Box<dyn LaneResults + Send>>>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// Runs something on the results in a thread that may block: a trace takes its time.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn LaneResults) -> Result<T, sworn_prover::Error> + Send + 'static,
    ) -> Result<T, RoleError> {
        let results = self.results.clone();
        let task = tokio::task::spawn_blocking(move || {
            // Whoever panicked left results that are made anew when they are asked for.
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut **results)
        });
        let done = task.await.map_err(|err| RoleError::Died(err.to_string()))?;
        Ok(done.map_err(MachineError::from)?)
    }
}

/// The lanes last asked for, honest ones by their root.
#[derive(Debug, Default)]
pub struct Desks(Mutex<VecDeque<(LaneKey, B256, Desk)>>);

impl Desks {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(LaneKey, B256, Desk)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    /// This node's results of a lane, ready to be opened; none when it does not have them all or its machine has no program.
    pub(super) fn desk(&self, view: &LaneView) -> Result<Option<Desk>, RoleError> {
        let (Some(root), Some(machine)) = (view.root, self.machines.get(&view.lane.model)) else {
            return Ok(None);
        };
        let mut kept = self.desks.lock();
        if let Some((_, _, desk)) = kept
            .iter()
            .find(|(lane, known, _)| *lane == view.lane && *known == root)
        {
            return Ok(Some(desk.clone()));
        }
        let Some(parts) = machine.dispute() else {
            return Ok(None);
        };
        let answers = answers(view)?;
        let lane = view.lane;
        let results = OwnResults::new(
            parts.model,
            parts.backend,
            answers,
            TraceOptions::default(),
            Box::new(move |done, total| {
                tracing::trace!(epoch = lane.epoch, done, total, "making a trace");
            }),
        );
        let desk = Desk {
            results: Arc::new(Mutex::new(Box::new(results))),
        };
        kept.truncate(KEPT - 1);
        kept.push_front((view.lane, root, desk.clone()));
        Ok(Some(desk))
    }
}

impl Context {
    /// What this node stands for in a lane: its results and their root.
    pub(super) fn stance(&self, view: &LaneView) -> Result<Option<(Desk, B256)>, RoleError> {
        Ok(self.desk(view)?.zip(view.root))
    }
}

/// What this node says about a lane's inputs, in order.
pub(super) fn answers(view: &LaneView) -> Result<Vec<Arc<Answer>>, RoleError> {
    let mut answers = Vec::new();
    for input in &view.inputs {
        let (Some(seal), Some(result)) = (input.seal, view.results.get(&input.id)) else {
            continue;
        };
        let lane_input = LaneInput {
            input_id: input.id,
            params: Params::unpack(Digest(input.params.0)).map_err(MachineError::from)?,
            payload: input.payload.to_vec(),
            seed: Digest(seal.seed.0),
        };
        let answer =
            Answer::new(lane_input, run_results(&result.runs)?).map_err(MachineError::from)?;
        answers.push(Arc::new(answer));
    }
    Ok(answers)
}
