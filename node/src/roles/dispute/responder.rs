//! Answers openings: of this node's own claims at once; of others' claims that state the right root when their proposer has let half of its time pass.

use alloy::primitives::B256;
use futures::StreamExt;
use sworn_prover::dispute::Position;

use super::super::{Context, LaneView, Role, RoleError};
use super::rests::Rests;
use super::sabotage::Sabotage;
use super::{PARALLEL, reveal};
use crate::chain::Move;
use crate::store::tables::{CLAIMS, DISPUTED};
use crate::store::{StoredClaim, StoredNode};

/// The proposer's responder.
#[derive(Debug, Default)]
pub struct Responder {
    rests: Rests<B256>,
}

impl Role for Responder {
    fn name(&self) -> &'static str {
        "responder"
    }

    async fn step(&mut self, context: &Context) -> Result<(), RoleError> {
        answer(context, &mut self.rests, true).await
    }
}

/// Reveals the pending nodes of this node's claims, or those of others' right claims that anybody can reveal.
pub(super) async fn answer(
    context: &Context,
    rests: &mut Rests<B256>,
    own: bool,
) -> Result<(), RoleError> {
    let now = context.now()?;
    let budget = context.rules.challenges.budget_seconds;
    let sabotage = context.settings.sabotage;
    if matches!(sabotage, Some(Sabotage::Silent(_))) {
        return Ok(());
    }
    // Who is late on purpose lets all but an eighth of its time pass.
    let least = match sabotage {
        Some(Sabotage::Late) if own => budget - budget.div_ceil(8),
        _ if own => 0,
        _ => budget / 2 + 1,
    };
    for item in context.store.scan(DISPUTED) {
        let (id, ()) = item?;
        let Some(claim) = context.store.read(CLAIMS, &id)? else {
            continue;
        };
        let is_ours = context.client.account() == Some(claim.proposer);
        if is_ours != own || !context.is_live(&claim)? {
            continue;
        }
        let mut due: Vec<StoredNode> = context.store.nodes_of(id)?;
        due.retain(|node| {
            let used = node.proposer_seconds_at(now);
            node.is_pending() && used <= budget && rests.allows(&node.key) && used >= least
        });
        if due.is_empty() {
            continue;
        }
        // Oldest clock first: a flood must not bury the one that is about to run out.
        due.sort_by_key(|node| std::cmp::Reverse(node.proposer_seconds_at(now)));
        if let Err(err) = reveal_all(context, rests, &claim, &due, own).await {
            tracing::warn!(claim = %id, %err, "openings of this claim have to wait");
        }
    }
    Ok(())
}

async fn reveal_all(
    context: &Context,
    rests: &mut Rests<B256>,
    claim: &StoredClaim,
    due: &[StoredNode],
    own: bool,
) -> Result<(), RoleError> {
    let view = LaneView::load(&context.store, claim.lane)?;
    let Some(desk) = context.stance(&view, claim.root).await? else {
        if own && let Some(root) = view.root.filter(|root| *root != claim.root) {
            tracing::error!(claim = %claim.id, found = %claim.root, expected = %root, "this node's own claim does not state its results and cannot be answered");
        }
        return Ok(());
    };
    for batch in due.chunks(PARALLEL) {
        let mut moves = Vec::new();
        for node in batch {
            let record = node.record();
            let Some(position) = Position::from_word(&record.position.0) else {
                rests.note(node.key, "reveal", Ok(false));
                continue;
            };
            match desk.reveal(position).await {
                Ok(None) => rests.note(node.key, "reveal", Ok(false)),
                Ok(Some(contents)) => {
                    let what = reveal(record, contents);
                    if own || is_bound(&what) {
                        moves.push((node.key, what));
                    }
                }
                Err(err) => rests.note(node.key, "reveal", Err(err)),
            }
        }
        let outcomes: Vec<_> = futures::stream::iter(moves)
            .map(|(key, what)| async move {
                let outcome = context.play(claim.id, &what).await;
                (key, outcome)
            })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        for (key, outcome) in outcomes {
            // A made move is seen in the events a moment later; until then it need not be tried again.
            rests.note(key, "reveal", outcome.map(|_| false));
        }
    }
    Ok(())
}

/// Whether hashes bind what a move reveals, so that it needs no signature of the proposer.
fn is_bound(what: &Move) -> bool {
    match what {
        Move::RevealDigests { .. } | Move::RevealLeaves { .. } => true,
        Move::RevealJob { job, .. } => job.traceRoots.iter().all(B256::is_zero),
        _ => false,
    }
}
