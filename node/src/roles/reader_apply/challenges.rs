//! What the events of challenges change in the store.

use alloy::primitives::B256;

use super::RoleError;
use crate::chain::{Event, Located};
use crate::store::tables::{CLAIMS, DISPUTED, FALLS, NODES, OPEN_LANES, REWARDS};
use crate::store::{
    Opening, Reveal, StoredFall, StoredNode, StoredReward, StoredSettlement, Writes,
};

/// Applies an event of the challenges; others change nothing.
pub(super) fn apply(writes: &mut Writes<'_>, located: &Located) -> Result<(), RoleError> {
    let Located {
        block,
        log_index,
        transaction,
        ..
    } = *located;
    match &located.event {
        Event::Opened {
            claim,
            key,
            opener,
            record,
        } => {
            tracing::info!(%claim, node = %key, %opener, "node opened");
            let revealed = writes
                .read(NODES, &(*claim, *key))?
                .and_then(|old| old.revealed);
            writes.put(
                NODES,
                &(*claim, *key),
                &StoredNode {
                    claim: *claim,
                    key: *key,
                    opened: Opening {
                        record: record.into(),
                        block,
                        log_index,
                        transaction,
                    },
                    revealed,
                    reclaimed: None,
                },
            )?;
            wake(writes, *claim)?;
        }
        Event::Revealed {
            claim,
            key,
            revealer,
            record,
            contents,
        } => {
            tracing::info!(%claim, node = %key, %revealer, bytes = contents.len(), "node revealed");
            if let Some(mut node) = writes.read(NODES, &(*claim, *key))? {
                node.revealed = Some(Reveal {
                    record: record.into(),
                    contents: contents.clone(),
                    revealer: *revealer,
                    block,
                    log_index,
                    transaction,
                });
                writes.put(NODES, &(*claim, *key), &node)?;
            }
            wake(writes, *claim)?;
        }
        Event::Reclaimed { claim, key, .. } => {
            if let Some(mut node) = writes.read(NODES, &(*claim, *key))? {
                node.reclaimed = Some(block);
                writes.put(NODES, &(*claim, *key), &node)?;
            }
        }
        Event::Toppled {
            claim,
            key,
            sender,
            fault,
            verdict,
        } => {
            tracing::warn!(%claim, node = %key, %sender, ?fault, "a claim was shown to be wrong");
            let old = writes.read(FALLS, claim)?;
            writes.put(
                FALLS,
                claim,
                &StoredFall {
                    claim: *claim,
                    key: *key,
                    sender: *sender,
                    fault: *fault,
                    verdict: verdict.into(),
                    block,
                    log_index,
                    transaction,
                    redeemed: old
                        .as_ref()
                        .map(|old| old.redeemed.clone())
                        .unwrap_or_default(),
                    settled: old.and_then(|old| old.settled),
                },
            )?;
            wake(writes, *claim)?;
        }
        Event::Redeemed { claim, verdict } => {
            if let Some(mut fall) = writes.read(FALLS, claim)? {
                let after = (block, verdict.into());
                if !fall.redeemed.contains(&after) {
                    fall.redeemed.push(after);
                }
                writes.put(FALLS, claim, &fall)?;
            }
        }
        Event::FallSettled {
            claim,
            refunded_wei,
            rewarded_wei,
            burned_wei,
        } => {
            if let Some(mut fall) = writes.read(FALLS, claim)? {
                fall.settled = Some(StoredSettlement {
                    block,
                    transaction,
                    refunded_wei: *refunded_wei,
                    rewarded_wei: *rewarded_wei,
                    burned_wei: *burned_wei,
                });
                writes.put(FALLS, claim, &fall)?;
            }
        }
        Event::Rewarded {
            claim,
            account,
            amount_wei,
        } => {
            tracing::info!(%claim, %account, %amount_wei, "reward paid");
            // Blocks have fewer than 2^20 logs: their gas allows no more.
            writes.put(
                REWARDS,
                &(*claim, block << 20 | log_index),
                &StoredReward {
                    account: *account,
                    amount_wei: *amount_wei,
                    block,
                    transaction,
                },
            )?;
        }
        _ => {}
    }
    Ok(())
}

/// A claim in dispute keeps its lane open.
fn wake(writes: &mut Writes<'_>, claim: B256) -> Result<(), RoleError> {
    writes.put(DISPUTED, &claim, &())?;
    if let Some(stored) = writes.read(CLAIMS, &claim)? {
        writes.put(OPEN_LANES, &stored.lane, &())?;
    }
    Ok(())
}
