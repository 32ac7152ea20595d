//! Gives inputs their seed as soon as the chain allows it. Anybody may; one does.

use alloy::primitives::{Bytes, U256};

use super::{Context, Role, RoleError};
use crate::chain::ChainError;
use crate::chain::abi::inbox;
use crate::store::tables::UNSEALED;

/// The sealer.
#[derive(Debug, Default)]
pub struct Sealer;

impl Role for Sealer {
    fn name(&self) -> &'static str {
        "sealer"
    }

    async fn step(&mut self, context: &Context) -> Result<(), RoleError> {
        if context.store.scan(UNSEALED).next().transpose()?.is_none() {
            return Ok(());
        }
        loop {
            let d = &context.deployment;
            let next = context.client.sealed_count(d).await?;
            if next >= context.client.input_count(d).await? {
                return Ok(());
            }
            let armed = context.client.input(d, next).await?.submittedBlock;
            let target = armed + context.rules.seal_delay_blocks;
            // The transaction is mined after the newest block, which must be the target or a later one.
            if context.client.head().await?.number < target {
                return Ok(());
            }
            // A header that the chain no longer has is out of the contract's reach too: it arms the input again.
            let header = context
                .client
                .seal_header(target)
                .await?
                .map_or_else(Bytes::new, |h| h.rlp);
            let call = inbox::sealCall {
                header,
                limit: U256::from(context.settings.seal_limit),
            };
            match context.client.transact(d.inbox, &call, U256::ZERO).await {
                Ok(receipt) => {
                    tracing::info!(input = next, block = receipt.block_number, transaction = %receipt.transaction_hash, "sealing")
                }
                Err(err) if is_overtaken(&err) => {
                    tracing::debug!(input = next, %err, "somebody else sealed");
                    return Ok(());
                }
                Err(err) => return Err(err.into()),
            }
        }
    }
}

fn is_overtaken(err: &ChainError) -> bool {
    err.is_revert::<inbox::NothingToSeal>()
        || err.is_revert::<inbox::TooEarly>()
        || err.is_revert::<inbox::BadHeader>()
}
