//! Makes right claims final when their time has come, and collects: fees of answered inputs, bonds of equal claims.

use alloy::primitives::U256;

use super::lane::{Collect, is_overtaken};
use super::patience::Patience;
use super::{Context, LaneStep, LaneView, Role, RoleError};
use crate::chain::abi::claims;
use crate::chain::{ChainError, Gas, Sent};

/// The finaliser.
#[derive(Debug, Default)]
pub struct Finaliser {
    patience: Patience,
}

impl Role for Finaliser {
    fn name(&self) -> &'static str {
        "finaliser"
    }

    async fn step(&mut self, context: &Context) -> Result<(), RoleError> {
        for (view, step) in context.open_lanes()? {
            if !self.patience.allows(view.lane) {
                continue;
            }
            let outcome = match step {
                LaneStep::Finalise {
                    claim,
                    ours,
                    window_end,
                } if context.may_help(ours, window_end)?
                    && !is_catching_a_rival(context, &view, claim)? =>
                {
                    finalise(context, claim).await
                }
                LaneStep::Collect(collect) => gather(context, &collect).await,
                _ => Ok(()),
            };
            self.patience.note(view.lane, self.name(), outcome);
        }
        Ok(())
    }
}

/// Whether this node is in the middle of toppling another claim of the lane. Finality would save the rival from its fall, and cost this node what it
/// has opened; it waits, but not longer than every claim takes to be decided.
fn is_catching_a_rival(
    context: &Context,
    view: &LaneView,
    right: alloy::primitives::B256,
) -> Result<bool, RoleError> {
    let now = context.now()?;
    let us = context.client.account();
    for rival in &view.claims {
        let until = rival
            .window_end
            .saturating_add(2 * context.rules.challenges.budget_seconds);
        if rival.id == right
            || Some(rival.root) == view.root
            || now > until
            || !context.is_live(rival)?
        {
            continue;
        }
        let nodes = context.store.nodes_of(rival.id)?;
        if nodes.iter().any(|node| Some(node.record().opener()) == us) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn finalise(context: &Context, claim: alloy::primitives::B256) -> Result<(), RoleError> {
    let call = claims::finaliseCall { claimId: claim };
    let sent = match context
        .client
        .send(context.deployment.claims, &call, U256::ZERO, Gas::Estimate)
        .await
    {
        Ok(sent) => sent,
        Err(err) if is_overtaken(&err) || err.is_revert::<claims::NotFinalYet>() => return Ok(()),
        Err(err) => return Err(err.into()),
    };
    tracing::info!(%claim, transaction = %sent.hash(), "finalising");
    context.finalising.insert(claim);
    context.announce();
    let outcome = context.client.confirm(sent).await;
    context.finalising.remove(&claim);
    match outcome {
        Err(err) if !is_overtaken(&err) => Err(err.into()),
        _ => Ok(()),
    }
}

async fn gather(context: &Context, collect: &Collect) -> Result<(), RoleError> {
    let (client, d) = (&context.client, &context.deployment);
    let mut sent = Vec::new();
    if context.may_help(collect.ours, collect.window_end)? {
        for input in &collect.unsettled {
            if client.is_settled(d, *input).await? {
                continue;
            }
            keep(
                &mut sent,
                client
                    .send(
                        d.claims,
                        &claims::settleCall {
                            inputId: U256::from(*input),
                        },
                        U256::ZERO,
                        Gas::Estimate,
                    )
                    .await,
            )?;
        }
    }
    for claim in &collect.locked {
        keep(
            &mut sent,
            client
                .send(
                    d.claims,
                    &claims::resolveRivalCall { claimId: *claim },
                    U256::ZERO,
                    Gas::Estimate,
                )
                .await,
        )?;
    }
    for one in sent {
        match client.confirm(one).await {
            Err(err) if !is_overtaken(&err) => return Err(err.into()),
            _ => {}
        }
    }
    Ok(())
}

fn keep(sent: &mut Vec<Sent>, outcome: Result<Sent, ChainError>) -> Result<(), RoleError> {
    match outcome {
        Ok(one) => sent.push(one),
        Err(err) if is_overtaken(&err) => {}
        Err(err) => return Err(err.into()),
    }
    Ok(())
}
