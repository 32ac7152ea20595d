//! Results of a lane laid out to be opened, with the traces that were asked for.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::B256;
use sworn_prover::Digest;
use sworn_prover::dispute::Position;
use sworn_prover::dispute::contents::{Contents, claim_tree, contents_of, published};
use sworn_prover::dispute::lie::Liar;
use sworn_prover::dispute::own::OwnResults;
use sworn_prover::dispute::results::{Answer, LaneInput, LaneResults};
use sworn_prover::dispute::trace::TraceOptions;
use sworn_prover::params::Params;

use super::super::{Context, LaneView, RoleError};
use super::sabotage::Told;
use crate::machine::{MachineError, run_results};
use crate::store::LaneKey;

/// Lanes that are kept.
const KEPT: usize = 8;

/// What a node says about a lane.
enum Said {
    Honest(OwnResults),
    Lie(Box<Liar>),
}

impl Said {
    fn results(&mut self) -> &mut dyn LaneResults {
        match self {
            Said::Honest(results) => results,
            Said::Lie(liar) => &mut **liar,
        }
    }
}

/// Results that can be opened, shared by the roles.
#[derive(Clone)]
pub(super) struct Desk {
    said: Arc<Mutex<Said>>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    fn new(said: Said) -> Desk {
        Desk {
            said: Arc::new(Mutex::new(said)),
        }
    }

    /// Runs something in a thread that may block: a trace takes its time.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Said) -> Result<T, sworn_prover::Error> + Send + 'static,
    ) -> Result<T, RoleError> {
        let said = self.said.clone();
        let task = tokio::task::spawn_blocking(move || {
            // Whoever panicked left results that are made anew when they are asked for.
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut said)
        });
        let done = task.await.map_err(|err| RoleError::Died(err.to_string()))?;
        Ok(done.map_err(MachineError::from)?)
    }

    /// Runs something on the results.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn LaneResults) -> Result<T, sworn_prover::Error> + Send + 'static,
    ) -> Result<T, RoleError> {
        self.blocking(|said| work(said.results())).await
    }

    /// What is revealed of a node; a liar may stay silent.
    pub(super) async fn reveal(&self, position: Position) -> Result<Option<Contents>, RoleError> {
        self.blocking(move |said| match said {
            Said::Honest(results) => contents_of(results, &position).map(Some),
            Said::Lie(liar) => liar.reveal(&position),
        })
        .await
    }

    /// The claim on these results: its root, and the digests that it is made with.
    pub(super) async fn claim(&self) -> Result<(B256, Vec<B256>), RoleError> {
        self.run(|results| {
            let root = claim_tree(results)?.root();
            let digests = published(results)?;
            Ok((
                B256::from(root.0),
                digests.iter().map(|digest| B256::from(digest.0)).collect(),
            ))
        })
        .await
    }
}

/// The lanes last asked for, by the root that is said.
#[derive(Debug, Default)]
pub struct Desks(Mutex<VecDeque<(LaneKey, B256, Desk)>>);

impl Desks {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(LaneKey, B256, Desk)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, lane: LaneKey, root: B256) -> Option<Desk> {
        let kept = self.lock();
        let known = kept
            .iter()
            .find(|(key, known, _)| *key == lane && *known == root);
        known.map(|(_, _, desk)| desk.clone())
    }

    fn keep(&self, lane: LaneKey, root: B256, desk: &Desk) {
        let mut kept = self.lock();
        kept.retain(|(key, known, _)| *key != lane || *known != root);
        kept.truncate(KEPT - 1);
        kept.push_front((lane, root, desk.clone()));
    }
}

impl Context {
    /// This node's results of a lane, ready to be opened; none when it does not have them all or its machine has no program.
    pub(super) fn desk(&self, view: &LaneView) -> Result<Option<Desk>, RoleError> {
        let Some(root) = view.root else {
            return Ok(None);
        };
        if let Some(desk) = self.desks.find(view.lane, root) {
            return Ok(Some(desk));
        }
        let Some(results) = self.own_results(view)? else {
            return Ok(None);
        };
        let desk = Desk::new(Said::Honest(results));
        self.desks.keep(view.lane, root, &desk);
        Ok(Some(desk))
    }

    /// What stands behind a claim with that root, when it is this node's truth, or one of the lies that it was told to tell.
    pub(super) async fn stance(
        &self,
        view: &LaneView,
        root: B256,
    ) -> Result<Option<Desk>, RoleError> {
        if view.root == Some(root) {
            return self.desk(view);
        }
        if let Some(desk) = self.desks.find(view.lane, root) {
            return Ok(Some(desk));
        }
        for told in self.settings.sabotage.iter().flat_map(|s| s.lies()) {
            if let Some((said, _, desk)) = self.lie(view, told).await?
                && said == root
            {
                return Ok(Some(desk));
            }
        }
        Ok(None)
    }

    /// A lie about a lane: the root and the digests of its claim, and what stands behind it. None when this lane has no place for it.
    pub(super) async fn lie(
        &self,
        view: &LaneView,
        told: Told,
    ) -> Result<Option<(B256, Vec<B256>, Desk)>, RoleError> {
        let Some(honest) = self.own_results(view)? else {
            return Ok(None);
        };
        let task = tokio::task::spawn_blocking(move || {
            told.lie.tell(honest, told.lane, told.run, told.seed)
        });
        let liar = task
            .await
            .map_err(|err| RoleError::Died(err.to_string()))?
            .map_err(MachineError::from)?;
        let Some(liar) = liar else {
            return Ok(None);
        };
        let desk = Desk::new(Said::Lie(Box::new(liar)));
        let (root, digests) = desk.claim().await?;
        self.desks.keep(view.lane, root, &desk);
        Ok(Some((root, digests, desk)))
    }

    fn own_results(&self, view: &LaneView) -> Result<Option<OwnResults>, RoleError> {
        let (Some(_), Some(machine)) = (view.root, self.machines.get(&view.lane.model)) else {
            return Ok(None);
        };
        let Some(parts) = machine.dispute() else {
            return Ok(None);
        };
        let epoch = view.lane.epoch;
        Ok(Some(OwnResults::new(
            parts.model,
            parts.backend,
            answers(view)?,
            TraceOptions::default(),
            Box::new(move |done, total| tracing::trace!(epoch, done, total, "making a trace")),
        )))
    }
}

/// What this node says about a lane's inputs, in order.
fn answers(view: &LaneView) -> Result<Vec<Arc<Answer>>, RoleError> {
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
