//! Challenges wrong claims, expires what was not revealed in time, and stands up for right claims of others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use sworn_prover::Digest;
use sworn_prover::dispute::strategy::{self, ClaimView};

use super::super::{Context, LaneView, Role, RoleError};
use super::book::{Book, Turn};
use super::declarer::{self, Before};
use super::responder;
use super::rests::Rests;
use crate::chain::Move;
use crate::store::StoredClaim;
use crate::store::tables::{CLAIMS, DISPUTED, OPEN_LANES};

/// A move that was mined and is not seen in the events for so long is made again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The challenger.
#[derive(Debug, Default)]
pub struct Challenger {
    moves: Rests<B256>,
    reveals: Rests<B256>,
    expiries: Rests<B256>,
    told: BTreeSet<B256>,
    /// The last move made against each claim, and when.
    made: BTreeMap<B256, Move>,
    made_at: BTreeMap<B256, Instant>,
}

impl Role for Challenger {
    fn name(&self) -> &'static str {
        "challenger"
    }

    async fn step(&mut self, context: &Context) -> Result<(), RoleError> {
        self.expire(context).await?;
        self.challenge(context).await?;
        responder::answer(context, &mut self.reveals, false).await
    }
}

impl Challenger {
    /// Expires nodes whose proposer is out of time, of whatever claim: silence is a lie too.
    async fn expire(&mut self, context: &Context) -> Result<(), RoleError> {
        let now = context.now()?;
        let budget = context.rules.challenges.budget_seconds;
        for item in context.store.scan(DISPUTED) {
            let (id, ()) = item?;
            let Some(claim) = context.store.read(CLAIMS, &id)? else {
                continue;
            };
            if !context.is_live(&claim)? {
                continue;
            }
            let overdue = context
                .store
                .nodes_of(id)?
                .into_iter()
                .find(|node| node.is_pending() && node.proposer_seconds_at(now) > budget);
            // A right claim is left alone: its openings are answered below if its proposer sleeps, as far as anybody can.
            if let Some(node) = overdue
                && self.expiries.allows(&node.key)
                && !self.is_right(context, &claim)?
            {
                let what = Move::Expire {
                    record: node.record(),
                };
                let outcome = context.play(id, &what).await;
                self.expiries
                    .note(node.key, "expire", outcome.map(|_| false));
            }
        }
        Ok(())
    }

    /// Whether this node knows that a claim is right.
    fn is_right(&self, context: &Context, claim: &StoredClaim) -> Result<bool, RoleError> {
        let view = LaneView::load(&context.store, claim.lane)?;
        Ok(view.root == Some(claim.root))
    }

    /// Goes on with the dispute of each standing claim that states another root than this node's results.
    async fn challenge(&mut self, context: &Context) -> Result<(), RoleError> {
        for item in context.store.scan(OPEN_LANES) {
            let (lane, ()) = item?;
            if !context.serves(&lane.model) {
                continue;
            }
            let view = LaneView::load(&context.store, lane)?;
            let Some(root) = view.root else {
                continue;
            };
            for claim in &view.claims {
                if claim.root == root
                    || context.client.account() == Some(claim.proposer)
                    || !context.is_live(claim)?
                {
                    continue;
                }
                if self.told.insert(claim.id) {
                    tracing::error!(claim = %claim.id, proposer = %claim.proposer, found = %claim.root, expected = %root, "a claim states another root than this node computed; challenging it");
                }
                self.dispute(context, &view, claim).await;
            }
        }
        Ok(())
    }

    /// Makes the next move against a claim; failures rest, so that one lost dispute never stops the others.
    async fn dispute(&mut self, context: &Context, view: &LaneView, claim: &StoredClaim) {
        if !self.moves.allows(&claim.id) {
            return;
        }
        let outcome = self.next_move(context, view, claim).await;
        self.moves.note(claim.id, "challenge", outcome);
    }

    /// True when something was done or only waiting is left.
    async fn next_move(
        &mut self,
        context: &Context,
        view: &LaneView,
        claim: &StoredClaim,
    ) -> Result<bool, RoleError> {
        let Some(desk) = context.desk(view)? else {
            return Ok(true);
        };
        let Some(us) = context.client.account() else {
            return Ok(true);
        };
        let nodes = context.store.nodes_of(claim.id)?;
        let mut book = Book::new(claim.id, us, &nodes);
        let what = loop {
            let mut shown = claim_view(view, claim);
            book.show(&mut shown)?;
            let next = desk
                .run(move |results| strategy::next(&shown, results))
                .await?;
            match book.turn(next)? {
                Turn::Play(what) => break *what,
                Turn::Wait => return Ok(true),
                Turn::Await(node) => match declarer::of_silence(context, claim, &node).await? {
                    Some(what) => break what,
                    None => return Ok(true),
                },
                // Each time one more node is hidden, so this ends.
                Turn::Again => {}
            }
        };
        let what = match declarer::before_proof(context, claim, what).await? {
            Before::Declare(what) | Before::Prove(what) => *what,
            Before::Wait => return Ok(true),
        };
        // A move that was made shows in the events of its block; what is derived before they are read is the same move again.
        if self.made.get(&claim.id) == Some(&what) && !self.repeat(claim.id) {
            return Ok(true);
        }
        let is_made = context.play(claim.id, &what).await?;
        if is_made {
            self.made.insert(claim.id, what);
            self.made_at.insert(claim.id, Instant::now());
        }
        Ok(is_made)
    }

    /// Whether a move that was made is to be made again: the chain may have forgotten it.
    fn repeat(&self, claim: B256) -> bool {
        self.made_at
            .get(&claim)
            .is_none_or(|at| at.elapsed() > PATIENCE)
    }
}

/// A claim as the strategy takes it, before anything was opened.
fn claim_view(view: &LaneView, claim: &StoredClaim) -> ClaimView {
    let jobs = u32::try_from(view.inputs.len()).unwrap_or(u32::MAX);
    let digests = claim.digests.iter().map(|d| Digest(d.0)).collect();
    ClaimView::new(jobs, Digest(claim.root.0), digests)
}
