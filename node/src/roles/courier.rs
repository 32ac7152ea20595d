//! Delivers final results: executes vouchers with their proofs.

use alloy::primitives::{B256, U256};
use alloy::sol_types::SolEvent;

use super::clock::unix_now;
use super::lane::is_overtaken;
use super::patience::Patience;
use super::{Context, LaneStep, LaneView, Role, RoleError};
use crate::chain::abi::vouchers;
use crate::chain::{ChainError, Gas, Sent};
use crate::machine::VoucherCall;
use crate::store::tables::{ATTEMPTS, DELIVERIES};
use crate::store::{Attempt, VoucherKey};

/// Vouchers on their way at the same time.
const BATCH: usize = 16;
/// The longest pause between attempts.
const LONGEST_PAUSE_SECONDS: u64 = 3_600;
/// After so many vain attempts a voucher is left to whom it matters: a recipient that always fails must not cost this node
/// gas, and its lane attention, for ever.
const MOST_ATTEMPTS: u32 = 12;

const CALLBACK_FAILS: &str = "the recipient's callback fails; the voucher stays valid";

/// The courier (voucher executor).
#[derive(Debug, Default)]
pub struct Courier {
    patience: Patience,
}

impl Role for Courier {
    fn name(&self) -> &'static str {
        "courier"
    }

    async fn step(&mut self, context: &Context) -> Result<(), RoleError> {
        for (view, step) in context.open_lanes()? {
            if !self.patience.allows(view.lane) {
                continue;
            }
            let outcome = match step {
                LaneStep::Collect(collect)
                    if !collect.vouchers.is_empty()
                        && context.may_help(collect.ours, collect.window_end)? =>
                {
                    deliver(context, &view, collect.claim, false).await
                }
                LaneStep::Finalise { claim, .. }
                    if context.settings.eager_vouchers && context.finalising.contains(&claim) =>
                {
                    deliver(context, &view, claim, true).await
                }
                _ => Ok(()),
            };
            self.patience.note(view.lane, self.name(), outcome);
        }
        Ok(())
    }
}

/// Sends what is due. `eager`: the finalisation is on its way in an earlier transaction of this account, so nothing can be estimated.
async fn deliver(
    context: &Context,
    view: &LaneView,
    claim: B256,
    eager: bool,
) -> Result<(), RoleError> {
    let Some(tree) = view.tree()? else {
        return Ok(());
    };
    let now = unix_now();
    let mut due = Vec::new();
    for input in &view.inputs {
        let (Some(seal), Some(result)) = (input.seal, view.results.get(&input.id)) else {
            continue;
        };
        // Only the application is known to take what it is given; another recipient's callback is tried out before it is paid for.
        if eager && input.recipient != context.deployment.prompts {
            continue;
        }
        for call in tree.vouchers(claim, seal.lane_index, input.id, result)? {
            let key = VoucherKey {
                input: input.id,
                run: call.run,
                chunk: call.chunk,
            };
            let waiting = context
                .store
                .read(ATTEMPTS, &key)?
                .is_some_and(|attempt| attempt.next_at > now);
            if !waiting && !context.store.contains(DELIVERIES, &key)? {
                due.push((key, call));
            }
        }
    }
    for batch in due.chunks(BATCH) {
        let mut sent = Vec::new();
        for (key, call) in batch {
            if context
                .client
                .is_executed(&context.deployment, key.input, key.run, key.chunk)
                .await?
            {
                continue;
            }
            match send(context, call, eager).await {
                Ok(Some(one)) => sent.push((*key, one)),
                Ok(None) => put_off(context, *key, CALLBACK_FAILS.into())?,
                Err(err) if is_overtaken(&err) => {}
                Err(err) if err.revert().is_some() => put_off(context, *key, err.to_string())?,
                Err(err) => return Err(err.into()),
            }
        }
        for (key, one) in sent {
            confirm(context, key, one).await?;
        }
    }
    Ok(())
}

/// Sends a voucher, or nothing when its recipient would fail: such a transaction succeeds and is paid for like any other.
async fn send(
    context: &Context,
    call: &VoucherCall,
    eager: bool,
) -> Result<Option<Sent>, ChainError> {
    let (client, to) = (&context.client, context.deployment.vouchers);
    let gas = if eager {
        Gas::Limit(gas_limit(context.rules.callback_gas, call))
    } else {
        if !client.view(to, call.call.clone()).await? {
            return Ok(None);
        }
        Gas::Estimate
    };
    let sent = client.send(to, &call.call, U256::ZERO, gas).await?;
    Ok(Some(sent))
}

/// What a voucher may need: the callback with its reserve, the calldata at its dearest, hashing and copying the text, the proof.
fn gas_limit(callback_gas: u64, call: &VoucherCall) -> u64 {
    let bytes = (call.call.text.len()
        + 32 * (call.call.proof.jobPath.len()
            + call.call.proof.runPath.len()
            + call.call.proof.chunkPath.len())) as u64;
    callback_gas + callback_gas / 60 + 400_000 + 60 * bytes
}

async fn confirm(context: &Context, key: VoucherKey, sent: Sent) -> Result<(), RoleError> {
    match context.client.confirm(sent).await {
        Ok(receipt) => {
            let failed = receipt
                .logs()
                .iter()
                .any(|log| log.topic0() == Some(&vouchers::VoucherFailed::SIGNATURE_HASH));
            if failed {
                return put_off(context, key, CALLBACK_FAILS.into());
            }
            tracing::info!(input = key.input, run = key.run, chunk = key.chunk, transaction = %receipt.transaction_hash, "delivered");
            Ok(())
        }
        Err(err) if is_overtaken(&err) => Ok(()),
        // The finalisation that this one counted on did not make it in time.
        Err(err) if err.is_revert::<vouchers::ClaimNotFinal>() => Ok(()),
        Err(err) if err.revert().is_some() => put_off(context, key, err.to_string()),
        Err(err) => Err(err.into()),
    }
}

fn put_off(context: &Context, key: VoucherKey, reason: String) -> Result<(), RoleError> {
    let count = context
        .store
        .read(ATTEMPTS, &key)?
        .map_or(0, |attempt| attempt.count)
        + 1;
    let gives_up = count >= MOST_ATTEMPTS;
    let pause = pause_seconds(context.settings.voucher_retry_seconds, count);
    let reason = if gives_up {
        format!("{reason}; given up after {count} attempts, tried again when the node restarts")
    } else {
        reason
    };
    tracing::warn!(
        input = key.input,
        run = key.run,
        chunk = key.chunk,
        count,
        pause,
        reason,
        "voucher put off"
    );
    context.store.put(
        ATTEMPTS,
        &key,
        &Attempt {
            count,
            next_at: if gives_up {
                Attempt::NEVER
            } else {
                unix_now() + pause
            },
            reason,
        },
    )?;
    Ok(())
}

fn pause_seconds(first: u64, count: u32) -> u64 {
    first
        .saturating_mul(1 << count.saturating_sub(1).min(20))
        .min(LONGEST_PAUSE_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        assert_eq!([1, 2, 3].map(|n| pause_seconds(5, n)), [5, 10, 20]);
        assert_eq!(pause_seconds(5, 40), LONGEST_PAUSE_SECONDS);
        assert_eq!(pause_seconds(u64::MAX, 3), LONGEST_PAUSE_SECONDS);
    }
}
