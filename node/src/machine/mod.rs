//! Where the node meets the machine: running jobs, committing results, proving vouchers.

mod answering;
mod commit;
mod memory;
mod served;
mod service;

use std::ops::ControlFlow;
use std::sync::Arc;

use alloy::primitives::B256;
use sworn_inference::backend::Backend;
use sworn_prover::dispute::results::DisputeModel;

pub use answering::{Answering, Event};
pub use commit::{
    LaneTree, VoucherCall, accumulate, chunk_count, claim_root, commit, payload_root, run_count,
    run_results,
};
pub use memory::{Available, Bytes, MemoryLimit, Need};
pub use served::{ServeOptions, ServedModel, cache_room, no_gpu};

use crate::store::{ReportKind, StoredInput, StoredRun};

/// What can go wrong with a machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// The engine or a model file.
    #[error(transparent)]
    Inference(#[from] sworn_inference::Error),
    /// A commitment or a proof.
    #[error(transparent)]
    Prover(#[from] sworn_prover::Error),
    /// Models that do not fit into memory.
    #[error("memory: found {found} ({source_of}), needed {needed} ({parts}); {remedy}")]
    Memory {
        /// Memory there is.
        found: Bytes,
        /// What says so.
        source_of: &'static str,
        /// Memory needed.
        needed: Bytes,
        /// What for.
        parts: String,
        /// What the user can change.
        remedy: &'static str,
    },
    /// The engine panicked, which is a mistake in this program.
    #[error("the engine stopped in the middle; please report this with the model and the input")]
    Died,
    /// Something of the store is not what the machine makes.
    #[error("{what}: found {found}, expected {expected}")]
    Unexpected {
        /// What.
        what: &'static str,
        /// Found.
        found: String,
        /// Expected.
        expected: String,
    },
}

impl MachineError {
    /// Whether the caller asked for it.
    pub fn is_cancelled(&self) -> bool {
        matches!(
            self,
            MachineError::Inference(sworn_inference::Error::Cancelled)
        )
    }
}

/// What a machine made of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// One result a run.
    pub runs: Vec<StoredRun>,
    /// What the asker should know.
    pub note: Option<(ReportKind, String)>,
}

/// What people read about a served model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ServedCard {
    /// Id.
    pub id: B256,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// SPDX identifier.
    pub license: Option<String>,
    /// Weight formats.
    pub quantisation: String,
    /// Number of weights.
    pub parameters: u64,
    /// The largest number of tokens of a run.
    pub context_tokens: u32,
    /// Vocabulary size.
    pub vocabulary: u32,
}

/// Receives (rows done, rows in all); stops a check by breaking.
pub type OnRows<'a> = &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>;

/// Receives (run, token, piece); stops the job by breaking.
pub type OnToken<'a> = &'a mut dyn FnMut(u32, u32, &[u8]) -> ControlFlow<()>;

/// A model with what disputes about its answers need.
#[derive(Debug, Clone)]
pub struct Disputable {
    /// The model, its layout, its weights.
    pub model: DisputeModel,
    /// What computes.
    pub backend: Arc<dyn Backend>,
}

/// A model that can answer. Its answers depend on nothing but the input and its seed.
pub trait Machine: Send + Sync + 'static {
    /// What it is.
    fn card(&self) -> &ServedCard;

    /// Answers an input. Total for whatever the inbox accepts: a malformed or too long prompt has a result as well.
    fn answer(
        &self,
        input: &StoredInput,
        seed: B256,
        on_token: OnToken<'_>,
    ) -> Result<Answer, MachineError>;

    /// How many inputs it answers at once.
    fn at_once(&self) -> usize {
        1
    }

    /// Begins to answer an input, beside others that are being answered. Dropping what is given ends it.
    fn submit(self: Arc<Self>, input: StoredInput, seed: B256) -> Answering {
        let (events, answering) = Answering::channel();
        std::thread::spawn(move || {
            let result = self.answer(&input, seed, &mut |run, token, piece| {
                let piece = piece.to_vec();
                match events.send(Event::Token { run, token, piece }) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            });
            // Nobody may wait any longer.
            let _ = events.send(Event::Done(result));
        });
        answering
    }

    /// Checks results that somebody else made; says what is wrong first, or nothing. A machine that has no cheaper way answers and compares.
    fn check(
        &self,
        input: &StoredInput,
        seed: B256,
        claimed: &[StoredRun],
        on_rows: OnRows<'_>,
    ) -> Result<Option<String>, MachineError> {
        let mut done = 0;
        let answer = self.answer(input, seed, &mut |_, _, _| {
            done += 1;
            on_rows(done, done)
        })?;
        Ok(
            (answer.runs != claimed)
                .then(|| "the runs differ from those of the machine".to_owned()),
        )
    }

    /// What disputes about its answers need; none for machines without a program, whose claims nobody can dispute.
    fn dispute(&self) -> Option<Disputable> {
        None
    }
}
