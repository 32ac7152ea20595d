//! A proposer of lies, and an opener of what needs no opening.

use std::collections::BTreeSet;

use alloy::primitives::{B256, U256};

use super::super::lane::is_overtaken;
use super::super::{Context, LaneView, Role, RoleError};
use super::rests::Rests;
use super::sabotage::{Sabotage, Told};
use crate::chain::Move;
use crate::chain::abi::claims;
use crate::store::tables::OPEN_LANES;
use crate::store::{Lines, StoredClaim};

/// Claims lies, or floods.
#[derive(Debug, Default)]
pub struct Saboteur {
    claimed: BTreeSet<(u64, B256, u64)>,
    rests: Rests<(u64, B256)>,
    opened: BTreeSet<B256>,
}

impl Role for Saboteur {
    fn name(&self) -> &'static str {
        "saboteur"
    }

    async fn step(&mut self, context: &Context) -> Result<(), RoleError> {
        let Some(sabotage) = context.settings.sabotage else {
            return Ok(());
        };
        let Some(cursor) = context.cursor()? else {
            return Ok(());
        };
        for item in context.store.scan(OPEN_LANES) {
            let (lane, ()) = item?;
            if !context.serves(&lane.model)
                || cursor.number + 1 < context.rules.epoch_end(lane.epoch)
                || !self.rests.allows(&(lane.epoch, lane.model))
            {
                continue;
            }
            let view = LaneView::load(&context.store, lane)?;
            if view.root.is_none() || view.claims.iter().any(|claim| claim.end.is_some()) {
                continue;
            }
            let outcome = match sabotage {
                Sabotage::Flood(n) => self.flood(context, &view, n).await,
                _ => self.lie(context, &view, &sabotage).await,
            };
            self.rests
                .note((lane.epoch, lane.model), "sabotage", outcome.map(|()| true));
        }
        Ok(())
    }
}

impl Saboteur {
    async fn lie(
        &mut self,
        context: &Context,
        view: &LaneView,
        sabotage: &Sabotage,
    ) -> Result<(), RoleError> {
        for told in sabotage.lies() {
            let key = (view.lane.epoch, view.lane.model, told.seed);
            if !self.claimed.contains(&key) {
                self.claim(context, view, told).await?;
                self.claimed.insert(key);
            }
        }
        Ok(())
    }

    async fn claim(&self, context: &Context, view: &LaneView, told: Told) -> Result<(), RoleError> {
        let Some((root, digests, _)) = context.lie(view, told).await? else {
            tracing::warn!(lie = %told.lie, epoch = view.lane.epoch, "this lane has no place for the lie; nothing is claimed");
            return Ok(());
        };
        let (client, d) = (&context.client, &context.deployment);
        let call = claims::claimCall {
            epoch: view.lane.epoch,
            modelId: view.lane.model,
            accumulator: client.accumulator_at(d, view.lane.epoch).await?,
            digests,
        };
        let bond: U256 = client.bond_wei(d).await?;
        match client.transact(d.claims, &call, bond).await {
            Ok(receipt) => {
                tracing::warn!(lie = %told.lie, epoch = view.lane.epoch, %root, transaction = %receipt.transaction_hash, "claiming a lie");
                Ok(())
            }
            Err(err) if is_overtaken(&err) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }

    /// Opens jobs and traces of right claims of others, as long as it may.
    async fn flood(&mut self, context: &Context, view: &LaneView, n: u32) -> Result<(), RoleError> {
        let Some(root) = view.root else { return Ok(()) };
        for claim in &view.claims {
            if claim.root != root
                || context.client.account() == Some(claim.proposer)
                || !context.is_live(claim)?
            {
                continue;
            }
            self.open_what_there_is(context, view, claim, n).await?;
        }
        Ok(())
    }

    async fn open_what_there_is(
        &mut self,
        context: &Context,
        view: &LaneView,
        claim: &StoredClaim,
        n: u32,
    ) -> Result<(), RoleError> {
        let nodes = context.store.nodes_of(claim.id)?;
        let mut left = (n as usize).saturating_sub(nodes.len());
        // Each in a line of its own, so that what it was opened under stays where it is.
        let us = context.client.account().unwrap_or_default();
        let lines = Lines::of(&nodes);
        let used: BTreeSet<u16> = lines.owned(us).map(|line| line.number).collect();
        let mut free = (0..=u16::MAX).filter(|number| !used.contains(number));
        for mut what in super::openings::of(context, view, claim, &nodes)? {
            if left == 0 {
                break;
            }
            let (Move::Open { position, line, .. } | Move::OpenInJob { position, line, .. }) =
                &mut what
            else {
                continue;
            };
            let key = [claim.id.as_slice(), position.as_slice()].concat();
            if !self.opened.insert(alloy::primitives::keccak256(key)) {
                continue;
            }
            let Some(number) = free.next() else { break };
            *line = number;
            match context.play(claim.id, &what).await {
                Ok(true) => left -= 1,
                Ok(false) => {}
                Err(err) => {
                    tracing::warn!(claim = %claim.id, %err, "this opening is not possible");
                }
            }
        }
        Ok(())
    }
}
