//! Challenges wrong claims, expires what was not revealed in time, and stands up for right claims of others.

use alloy::primitives::B256;

use super::super::{Context, LaneView, Role, RoleError};
use super::responder;
use super::rests::Rests;
use crate::chain::Move;
use crate::store::StoredClaim;
use crate::store::tables::{CLAIMS, DISPUTED, OPEN_LANES};

/// The challenger.
#[derive(Debug, Default)]
pub struct Challenger {
    moves: Rests<B256>,
    reveals: Rests<B256>,
    expiries: Rests<B256>,
    told: std::collections::BTreeSet<B256>,
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

    async fn dispute(&mut self, _context: &Context, _view: &LaneView, _claim: &StoredClaim) {}
}
