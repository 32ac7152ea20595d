//! Challenges: openings and proofs against wrong claims, answers for right ones, and the money of both.
//!
//! Nothing is remembered beside the chain's events and this node's own results: each step derives what is to be done from them again, so a node that
//! was killed anywhere goes on, and a move that was made already is refused by the contract before it costs anything.

mod book;
mod challenger;
mod declarer;
mod desk;
mod openings;
mod responder;
mod rests;
mod sabotage;
mod saboteur;
mod treasurer;

pub use challenger::Challenger;
pub use desk::Desks;

pub use responder::Responder;
pub use sabotage::{Sabotage, Told, name_of, names};
pub use saboteur::Saboteur;
pub use treasurer::Treasurer;

use alloy::primitives::{B256, Bytes};
use sworn_prover::Digest;
use sworn_prover::dispute::abi;
use sworn_prover::dispute::contents::Contents;

use super::{Context, RoleError};
use crate::chain::abi::challenges;
use crate::chain::{Move, is_no_longer_needed};
use crate::store::{StoredClaim, StoredRecord, tables};

/// Moves on their way at the same time.
const PARALLEL: usize = 8;

/// A job's contents as the contract's ABI has them; both are made from the same Solidity.
pub(crate) fn chain_job(job: &abi::Job) -> challenges::Job {
    challenges::Job {
        inputId: job.inputId,
        scoreRoot: job.scoreRoot,
        runs: job
            .runs
            .iter()
            .map(|run| challenges::Run {
                nPrompt: run.nPrompt,
                nTokens: run.nTokens,
                finish: run.finish,
                tokensRoot: run.tokensRoot,
                offsetsRoot: run.offsetsRoot,
                textRoot: run.textRoot,
                textLength: run.textLength,
                score: run.score,
                greedy: run.greedy,
            })
            .collect(),
        traceRoots: job.traceRoots.clone(),
    }
}

fn words(digests: &[Digest]) -> Vec<B256> {
    digests.iter().map(|digest| B256::from(digest.0)).collect()
}

/// The move that reveals a node.
pub(crate) fn reveal(record: StoredRecord, contents: Contents) -> Move {
    match contents {
        Contents::Digests(digests) => Move::RevealDigests {
            record,
            digests: words(&digests),
        },
        Contents::Leaves(leaves) => Move::RevealLeaves {
            record,
            leaves: leaves.into_iter().map(Bytes::from).collect(),
        },
        Contents::Job(job, digests) => Move::RevealJob {
            record,
            job: chain_job(&job),
            digests: words(&digests),
            signature: Bytes::new(),
        },
        Contents::Posted(contents) => Move::RevealPosted {
            record,
            contents: contents.into(),
            signature: Bytes::new(),
        },
    }
}

impl Context {
    /// Whether a claim can still fall or become final.
    pub(in crate::roles) fn is_live(&self, claim: &StoredClaim) -> Result<bool, RoleError> {
        if claim.end.is_some() || claim.bond_gone.is_some() {
            return Ok(false);
        }
        if self.store.contains(tables::FALLS, &claim.id)? {
            return Ok(false);
        }
        let rivals = self.store.claims_of(claim.lane)?;
        Ok(!rivals
            .iter()
            .any(|rival| matches!(rival.end, Some((crate::store::ClaimEnd::Final, _)))))
    }

    /// Makes a move; false when it is not needed any more.
    pub(super) async fn play(&self, claim: B256, what: &Move) -> Result<bool, RoleError> {
        match self.client.make(&self.deployment, claim, what).await {
            Ok(receipt) => {
                tracing::info!(%claim, what = what.name(), gas = receipt.gas_used, transaction = %receipt.transaction_hash, "move made");
                Ok(true)
            }
            Err(err) if is_no_longer_needed(&err) => {
                tracing::debug!(%claim, what = what.name(), %err, "move not needed");
                Ok(false)
            }
            Err(err) => Err(err.into()),
        }
    }
}
