//! Claims the results of ended lanes under bond.

use super::clock::unix_now;
use super::lane::is_overtaken;
use super::patience::Patience;
use super::{Context, LaneStep, LaneView, Role, RoleError};
use crate::chain::abi::claims;
use crate::store::tables::REPORTS;
use crate::store::{NodeReport, ReportKind};
use alloy::primitives::{B256, U256};

/// The proposer.
#[derive(Debug, Default)]
pub struct Proposer {
    bond: Option<U256>,
    patience: Patience,
    /// Lanes whose claim was sent and not yet seen in the events.
    claimed: std::collections::BTreeMap<crate::store::LaneKey, B256>,
}

impl Role for Proposer {
    fn name(&self) -> &'static str {
        "proposer"
    }

    async fn step(&mut self, context: &Context) -> Result<(), RoleError> {
        for (view, step) in context.open_lanes()? {
            match step {
                LaneStep::Claim { root, rivals } if self.patience.allows(view.lane) => {
                    for rival in &rivals {
                        tracing::error!(claim = %rival, epoch = view.lane.epoch, model = %view.lane.model, expected = %root, "a standing claim states another root than this node computed");
                    }
                    let outcome = self.claim(context, &view, root).await;
                    self.patience.note(view.lane, self.name(), outcome);
                }
                LaneStep::Lost {
                    claim,
                    found,
                    expected,
                } => {
                    tracing::error!(%claim, %found, %expected, epoch = view.lane.epoch, model = %view.lane.model, "a root that this node holds for wrong became final");
                    report_overruled(context, &view, claim, found, expected)?;
                    context
                        .store
                        .remove(crate::store::tables::OPEN_LANES, &view.lane)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Proposer {
    async fn claim(
        &mut self,
        context: &Context,
        view: &LaneView,
        root: B256,
    ) -> Result<(), RoleError> {
        let lane = view.lane;
        // The event may not have been read yet: ask the chain before paying for nothing.
        if self.claimed.get(&lane) == Some(&root)
            && context
                .client
                .lane_claims(&context.deployment, lane.epoch, lane.model)
                .await?
                .len()
                > view.claims.len()
        {
            return Ok(());
        }
        let accumulator = check_lane(context, view).await?;
        let bond = match self.bond {
            Some(bond) => bond,
            None => *self
                .bond
                .insert(context.client.bond_wei(&context.deployment).await?),
        };
        refill(context, bond).await?;
        // Everything the claim rests on is on the disk before money follows.
        context.store.flush()?;
        let Some(tree) = view.tree()? else {
            return Ok(());
        };
        let call = claims::claimCall {
            epoch: lane.epoch,
            modelId: lane.model,
            accumulator,
            digests: tree.digests(),
        };
        match context
            .client
            .transact(context.deployment.claims, &call, bond)
            .await
        {
            Ok(receipt) => {
                self.claimed.insert(lane, root);
                tracing::info!(epoch = lane.epoch, model = %lane.model, inputs = view.inputs.len(), %root, %accumulator, bond_wei = %bond, transaction = %receipt.transaction_hash, "claiming");
                Ok(())
            }
            Err(err) if is_overtaken(&err) => {
                tracing::debug!(epoch = lane.epoch, model = %lane.model, %err, "no claim needed");
                Ok(())
            }
            Err(err) => Err(err.into()),
        }
    }
}

/// Notes at every input of the lane that this node's responses are not what became final.
fn report_overruled(
    context: &Context,
    view: &LaneView,
    claim: B256,
    found: B256,
    expected: B256,
) -> Result<(), RoleError> {
    for input in &view.inputs {
        let report = NodeReport {
            kind: ReportKind::Overruled,
            message: format!(
                "claim {claim} with root {found} became final, expected {expected}; the responses shown are this node's and not the chain's"
            ),
            at: unix_now(),
        };
        context.store.put(REPORTS, &input.id, &report)?;
    }
    Ok(())
}

/// Takes released bonds back when the account runs out of coins for the next ones.
async fn refill(context: &Context, bond: U256) -> Result<(), RoleError> {
    let (client, d) = (&context.client, &context.deployment);
    let Some(account) = client.account() else {
        return Ok(());
    };
    if client.balance(account).await? >= bond.saturating_mul(U256::from(2)) {
        return Ok(());
    }
    let (released, _) = client.withdrawable(d, account).await?;
    if !released.is_zero() {
        let call = claims::withdrawCall { to: account };
        let receipt = client.transact(d.claims, &call, U256::ZERO).await?;
        tracing::info!(released_wei = %released, transaction = %receipt.transaction_hash, "released bonds taken back");
    }
    Ok(())
}

/// Compares what the store holds of a lane with the chain, and returns the running hash at the epoch's end.
async fn check_lane(context: &Context, view: &LaneView) -> Result<B256, RoleError> {
    let (d, lane) = (&context.deployment, view.lane);
    for input in &view.inputs {
        if let Some(report) = context
            .store
            .read(REPORTS, &input.id)?
            .filter(|r| r.kind == ReportKind::Inconsistent)
        {
            return Err(disagreement(
                format!("input {}", input.id),
                report.message,
                "events that fit together".into(),
            ));
        }
    }
    let count = context.client.lane_count(d, lane.epoch, lane.model).await?;
    if usize::try_from(count).ok() != Some(view.inputs.len()) {
        return Err(disagreement(
            format!("inputs of {lane}"),
            view.inputs.len().to_string(),
            count.to_string(),
        ));
    }
    let ours = accumulator_at(context, lane.epoch)?;
    let theirs = context.client.accumulator_at(d, lane.epoch).await?;
    if ours != Some(theirs) {
        return Err(disagreement(
            format!("running hash after epoch {}", lane.epoch),
            format!("{ours:?}"),
            theirs.to_string(),
        ));
    }
    Ok(theirs)
}

fn disagreement(what: String, found: String, expected: String) -> RoleError {
    RoleError::Disagreement {
        what,
        found,
        expected,
        remedy: "nothing is claimed until they agree; if this lasts, remove the store and let the node read again",
    }
}

/// The running hash after the last input sealed in or before an epoch; every step of it was recomputed while reading.
fn accumulator_at(context: &Context, epoch: u64) -> Result<Option<B256>, RoleError> {
    for item in context.store.scan(crate::store::tables::INPUTS).rev() {
        let (_, input) = item?;
        if let Some(seal) = input.seal.filter(|seal| seal.epoch <= epoch) {
            return Ok(Some(seal.accumulator));
        }
    }
    Ok(None)
}
