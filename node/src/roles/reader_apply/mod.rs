//! What each event changes in the store. Applying an event twice changes nothing.

mod challenges;

use std::collections::HashMap;

use alloy::primitives::{Address, B256};

use super::clock::unix_now;
use super::{Context, RoleError};
use crate::chain::{Event, Located};
use crate::machine;
use crate::store::tables::{
    ATTEMPTS, CLAIMS, DELIVERIES, INPUTS, LANE_CLAIMS, LANE_INPUTS, MODELS, OPEN_LANES, REPORTS,
    RESULTS, SETTLEMENTS, UNANSWERED, UNSEALED,
};
use crate::store::{
    Attempt, ClaimEnd, Delivery, LaneKey, NodeReport, RearmRecord, ReportKind, Seal, Settlement,
    SettlementKind, StoredClaim, StoredInput, StoredModel, VoucherKey, Writes,
};

/// What applying events needs to know beside them.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The chain.
    pub chain_id: u64,
    /// The inbox.
    pub inbox: Address,
    /// This node's account.
    pub account: Option<Address>,
    /// Time stamps of blocks that hold inputs.
    pub times: HashMap<u64, u64>,
}

/// Applies one event.
pub fn apply(
    writes: &mut Writes<'_>,
    reading: &Reading,
    located: &Located,
) -> Result<(), RoleError> {
    let Located {
        block,
        transaction,
        event,
        ..
    } = located;
    let block = *block;
    match event {
        Event::ModelRegistered {
            model,
            publisher,
            parent,
            name,
            version,
            license,
            weights_uri,
        } => {
            tracing::info!(%model, name, version, license, "model registered");
            writes.put(
                MODELS,
                model,
                &StoredModel {
                    id: *model,
                    publisher: *publisher,
                    name: name.clone(),
                    version: version.clone(),
                    license: license.clone(),
                    weights_uri: weights_uri.clone(),
                    parent: *parent,
                    block,
                },
            )?;
        }
        Event::InputSubmitted {
            id,
            sender,
            model,
            recipient,
            params,
            payload_root,
            payload,
        } => {
            let input = StoredInput {
                id: *id,
                sender: *sender,
                recipient: *recipient,
                model: *model,
                params: *params,
                payload_root: *payload_root,
                payload: payload.clone(),
                transaction: *transaction,
                block,
                submitted_at: reading.times.get(&block).copied().unwrap_or(0),
                rearms: Vec::new(),
                seal: None,
            };
            tracing::info!(input = id, %model, bytes = payload.len(), block, "input submitted");
            let found = machine::payload_root(payload);
            if found != *payload_root {
                report(
                    writes,
                    *id,
                    ReportKind::Inconsistent,
                    format!(
                        "payload: found bytes with root {found}, expected {payload_root}; the chain's events are not those of this protocol"
                    ),
                )?;
            }
            writes.put(INPUTS, id, &input)?;
            writes.put(UNSEALED, id, &())?;
        }
        Event::InputRearmed { id, armed_block } => {
            let Some(mut input) = known(writes, *id)? else {
                return Ok(());
            };
            let rearm = RearmRecord {
                block,
                armed_block: *armed_block,
            };
            if !input.rearms.contains(&rearm) {
                input.rearms.push(rearm);
            }
            tracing::warn!(
                input = id,
                armed_block,
                "the seal of this input was missed; armed again"
            );
            writes.put(INPUTS, id, &input)?;
        }
        Event::InputSealed {
            id,
            epoch,
            lane_index,
            seed,
            accumulator,
            ..
        } => {
            sealed(
                writes,
                reading,
                *id,
                Seal {
                    block,
                    epoch: *epoch,
                    lane_index: *lane_index,
                    seed: *seed,
                    accumulator: *accumulator,
                },
            )?;
        }
        Event::Claimed {
            claim,
            epoch,
            model,
            proposer,
            root,
            accumulator,
            window_end,
            bond_wei,
            digests,
        } => {
            let lane = LaneKey {
                epoch: *epoch,
                model: *model,
            };
            let ours = Some(*proposer) == reading.account;
            tracing::info!(%claim, epoch, %model, %proposer, ours, %root, window_end, "claimed");
            let end = writes.read(CLAIMS, claim)?.and_then(|old| old.end);
            writes.put(
                CLAIMS,
                claim,
                &StoredClaim {
                    id: *claim,
                    lane,
                    proposer: *proposer,
                    root: *root,
                    accumulator: *accumulator,
                    window_end: *window_end,
                    bond_wei: *bond_wei,
                    digests: digests.clone(),
                    block,
                    transaction: *transaction,
                    end,
                    bond_gone: None,
                },
            )?;
            writes.put(LANE_CLAIMS, &(lane, *claim), &())?;
            writes.put(OPEN_LANES, &lane, &())?;
        }
        Event::Finalised { claim } => {
            tracing::info!(%claim, "claim is final");
            end_claim(writes, *claim, ClaimEnd::Final, block)?;
        }
        Event::Fell { claim } => {
            tracing::warn!(%claim, "claim fell");
            end_claim(writes, *claim, ClaimEnd::Fallen, block)?;
        }
        Event::BondGone { claim, released } => {
            if let Some(mut stored) = writes.read(CLAIMS, claim)? {
                if !released {
                    tracing::warn!(%claim, proposer = %stored.proposer, "bond burned: the claim differs from the final one");
                }
                stored.bond_gone = Some(block);
                writes.put(CLAIMS, claim, &stored)?;
            }
        }
        Event::Settled { input, server } => {
            writes.put(
                SETTLEMENTS,
                input,
                &Settlement {
                    block,
                    kind: SettlementKind::Paid(*server),
                },
            )?;
        }
        Event::Refunded { input } => {
            tracing::info!(input, "fee refunded");
            writes.put(
                SETTLEMENTS,
                input,
                &Settlement {
                    block,
                    kind: SettlementKind::Refunded,
                },
            )?;
        }
        Event::VoucherExecuted {
            input,
            run,
            chunk,
            recipient,
            claim,
        } => {
            let key = VoucherKey {
                input: *input,
                run: *run,
                chunk: *chunk,
            };
            tracing::info!(input, run, chunk, %recipient, %claim, "voucher executed");
            writes.put(
                DELIVERIES,
                &key,
                &Delivery {
                    block,
                    transaction: *transaction,
                    claim: *claim,
                    recipient: *recipient,
                },
            )?;
            writes.remove(ATTEMPTS, &key);
        }
        Event::VoucherFailed {
            input,
            run,
            chunk,
            recipient,
        } => {
            tracing::warn!(input, run, chunk, %recipient, "the recipient of a voucher failed");
        }
        // Who declared asks the chain: nobody else can tell what of.
        Event::Declared { .. } => {}
        Event::Opened { .. }
        | Event::Revealed { .. }
        | Event::Toppled { .. }
        | Event::Redeemed { .. }
        | Event::Rewarded { .. }
        | Event::FallSettled { .. }
        | Event::Reclaimed { .. } => challenges::apply(writes, located)?,
    }
    Ok(())
}

fn sealed(
    writes: &mut Writes<'_>,
    reading: &Reading,
    id: u64,
    seal: Seal,
) -> Result<(), RoleError> {
    let Some(mut input) = known(writes, id)? else {
        return Ok(());
    };
    let before = match id.checked_sub(1) {
        None => Some(B256::ZERO),
        Some(previous) => writes
            .read(INPUTS, &previous)?
            .and_then(|input| input.seal)
            .map(|seal| seal.accumulator),
    };
    let ours = before
        .map(|before| {
            machine::accumulate(before, reading.chain_id, reading.inbox, &input, seal.seed)
        })
        .transpose();
    match ours {
        Ok(Some(found)) if found == seal.accumulator => consistent(writes, &input)?,
        Ok(found) => report(
            writes,
            id,
            ReportKind::Inconsistent,
            format!(
                "running hash: found {found:?}, expected {}; events before this one are missing: remove the store and read again",
                seal.accumulator
            ),
        )?,
        Err(err) => report(writes, id, ReportKind::Inconsistent, err.to_string())?,
    }
    let lane = LaneKey {
        epoch: seal.epoch,
        model: input.model,
    };
    input.seal = Some(seal);
    tracing::info!(
        input = id,
        epoch = seal.epoch,
        lane_index = seal.lane_index,
        block = seal.block,
        "input sealed"
    );
    writes.put(INPUTS, &id, &input)?;
    writes.remove(UNSEALED, &id);
    writes.put(LANE_INPUTS, &(lane, seal.lane_index), &id)?;
    writes.put(OPEN_LANES, &lane, &())?;
    let answered = writes
        .read(RESULTS, &id)?
        .is_some_and(|result| result.seed == seal.seed);
    // Nothing is computed from events that do not fit together: a claim on them would lose its bond.
    if !answered && !is_inconsistent(writes, id)? {
        writes.put(UNANSWERED, &id, &())?;
    }
    Ok(())
}

/// Withdraws an older complaint about an input that, read again after a rewind, fits.
fn consistent(writes: &mut Writes<'_>, input: &StoredInput) -> Result<(), RoleError> {
    if is_inconsistent(writes, input.id)?
        && machine::payload_root(&input.payload) == input.payload_root
    {
        writes.remove(REPORTS, &input.id);
    }
    Ok(())
}

fn is_inconsistent(writes: &Writes<'_>, id: u64) -> Result<bool, RoleError> {
    Ok(writes
        .read(REPORTS, &id)?
        .is_some_and(|report| report.kind == ReportKind::Inconsistent))
}

fn known(writes: &mut Writes<'_>, id: u64) -> Result<Option<StoredInput>, RoleError> {
    let input = writes.read(INPUTS, &id)?;
    if input.is_none() {
        report(writes, id, ReportKind::Inconsistent, "found an event of an input whose submission was never seen, expected the submission first; is the deployment's block right?".into())?;
    }
    Ok(input)
}

fn end_claim(
    writes: &mut Writes<'_>,
    claim: B256,
    end: ClaimEnd,
    block: u64,
) -> Result<(), RoleError> {
    if let Some(mut stored) = writes.read(CLAIMS, &claim)? {
        stored.end = Some((end, block));
        writes.put(OPEN_LANES, &stored.lane, &())?;
        writes.put(CLAIMS, &claim, &stored)?;
    }
    Ok(())
}

fn report(
    writes: &mut Writes<'_>,
    input: u64,
    kind: ReportKind,
    message: String,
) -> Result<(), RoleError> {
    tracing::error!(input, ?kind, message, "report");
    writes.put(
        REPORTS,
        &input,
        &NodeReport {
            kind,
            message,
            at: unix_now(),
        },
    )?;
    Ok(())
}

/// Brings the store in line with the models served now: inputs that were passed over because nobody here served their model
/// are taken up again, and so are failures of the engine and vouchers that were given up.
pub fn repair(context: &Context) -> Result<(), RoleError> {
    let mut writes = context.store.begin();
    for item in context.store.scan(REPORTS) {
        let (id, report) = item?;
        if !matches!(
            report.kind,
            ReportKind::NotServed | ReportKind::EngineFailed
        ) {
            continue;
        }
        let Some(input) = writes.read(INPUTS, &id)? else {
            writes.remove(REPORTS, &id);
            continue;
        };
        if let Some(lane) = input.lane().filter(|lane| context.serves(&lane.model)) {
            writes.remove(REPORTS, &id);
            writes.put(UNANSWERED, &id, &())?;
            writes.put(OPEN_LANES, &lane, &())?;
        }
    }
    for item in context.store.scan(ATTEMPTS) {
        let (key, attempt) = item?;
        if attempt.next_at == Attempt::NEVER {
            writes.remove(ATTEMPTS, &key);
            if let Some(lane) = writes.read(INPUTS, &key.input)?.and_then(|i| i.lane()) {
                writes.put(OPEN_LANES, &lane, &())?;
            }
        }
    }
    writes.commit()?;
    Ok(context.store.flush()?)
}

#[cfg(test)]
mod tests;
