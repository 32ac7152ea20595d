//! Reads the chain's events into the store, and un-reads blocks that are no longer part of it.

use std::collections::HashMap;

use super::reader_apply::{Reading, apply};
use super::{Context, Role, RoleError};
use crate::chain::{ChainError, Event, Head};
use crate::store::tables::{BLOCKS, CURSOR};
use crate::store::{Cursor, Writes};

/// Every block of the last so many keeps its hash; older ones thin out.
const DENSE_BLOCKS: u64 = 256;
/// Of older blocks every so-manieth keeps its hash.
const SPARSE_STEP: u64 = 256;

/// The reader.
#[derive(Debug, Default)]
pub struct Reader;

impl Role for Reader {
    fn name(&self) -> &'static str {
        "reader"
    }

    async fn step(&mut self, context: &Context) -> Result<(), RoleError> {
        let head = context.client.head().await?;
        while self.advance(context, head).await? {}
        Ok(())
    }
}

impl Reader {
    /// Reads one range of blocks, or rewinds. Returns whether there may be more to do.
    async fn advance(&mut self, context: &Context, head: Head) -> Result<bool, RoleError> {
        let cursor = match context.cursor()? {
            Some(cursor) => cursor,
            None => self.first_cursor(context).await?,
        };
        let target = head
            .number
            .saturating_sub(context.settings.confirmations_blocks);
        if target <= cursor.number {
            // Nothing new, or a chain that became shorter: look whether our last block is still there.
            let there = context
                .client
                .block(cursor.number)
                .await?
                .is_some_and(|b| b.hash == cursor.hash);
            if there {
                return Ok(false);
            }
            self.rewind(context, cursor).await?;
            return Ok(true);
        }
        let from = cursor.number + 1;
        let to = target.min(cursor.number + context.client.options().log_range_blocks.max(1));
        let Some(first) = context.client.block(from).await? else {
            return Ok(false);
        };
        if first.parent != cursor.hash {
            self.rewind(context, cursor).await?;
            return Ok(true);
        }
        let last = if to == from {
            first
        } else {
            match context.client.block(to).await? {
                Some(last) => last,
                None => return Ok(false),
            }
        };
        let events = if to == from {
            let d = &context.deployment;
            context.client.events_of(d, last.hash).await?
        } else {
            context.client.events(&context.deployment, from, to).await?
        };
        // The chain may have turned while we asked. If the last block is still the same, all before it are.
        let still = context
            .client
            .block(to)
            .await?
            .is_some_and(|b| b.hash == last.hash);
        if !still {
            tracing::info!(
                from,
                to,
                "the chain turned while it was read; reading again"
            );
            return Ok(true);
        }
        let reading = Reading {
            chain_id: context.deployment.chain_id,
            inbox: context.deployment.inbox,
            account: context.client.account(),
            times: block_times(context, &events).await?,
        };
        let mut writes = context.store.begin();
        for located in &events {
            apply(&mut writes, &reading, located)?;
        }
        let news = !events.is_empty();
        advance_cursor(context, &mut writes, last)?;
        writes.commit()?;
        if news {
            context.store.flush()?;
        }
        context.announce();
        Ok(to < target)
    }

    async fn first_cursor(&self, context: &Context) -> Result<Cursor, RoleError> {
        let number = context.deployment.block.saturating_sub(1);
        let head = context
            .client
            .block(number)
            .await?
            .ok_or_else(|| missing_block(number))?;
        let cursor = Cursor {
            number,
            hash: head.hash,
            timestamp: head.timestamp,
        };
        context.store.put(BLOCKS, &number, &head.hash)?;
        context.store.put(CURSOR, &(), &cursor)?;
        Ok(cursor)
    }

    /// Goes back to the newest block that the store and the chain share.
    async fn rewind(&self, context: &Context, cursor: Cursor) -> Result<(), RoleError> {
        let mut ancestor = None;
        for item in context.store.scan(BLOCKS).rev() {
            let (number, hash) = item?;
            if number > cursor.number {
                continue;
            }
            if let Some(block) = context
                .client
                .block(number)
                .await?
                .filter(|block| block.hash == hash)
            {
                ancestor = Some(Cursor {
                    number,
                    hash,
                    timestamp: block.timestamp,
                });
                break;
            }
        }
        let to = match ancestor {
            Some(to) => to,
            None => {
                // Not even the block before the deployment: another chain at the same address, or a reset one.
                context.client.check(&context.deployment).await?;
                let number = context.deployment.block.saturating_sub(1);
                let block = context
                    .client
                    .block(number)
                    .await?
                    .ok_or_else(|| missing_block(number))?;
                Cursor {
                    number,
                    hash: block.hash,
                    timestamp: block.timestamp,
                }
            }
        };
        tracing::warn!(
            from = cursor.number,
            to = to.number,
            blocks = cursor.number - to.number,
            "the chain was reorganised; rewinding"
        );
        context.store.rewind(to)?;
        context.client.forget_nonces().await;
        context.announce();
        Ok(())
    }
}

fn missing_block(number: u64) -> ChainError {
    ChainError::BadAnswer {
        what: format!("block {number}"),
        found: "nothing".into(),
        expected: "the block at which the deployment begins; are these addresses of this chain?"
            .into(),
    }
}

async fn block_times(
    context: &Context,
    events: &[crate::chain::Located],
) -> Result<HashMap<u64, u64>, RoleError> {
    let mut times = HashMap::new();
    for located in events {
        if matches!(located.event, Event::InputSubmitted { .. })
            && !times.contains_key(&located.block)
        {
            let time = context
                .client
                .block(located.block)
                .await?
                .map_or(0, |b| b.timestamp);
            times.insert(located.block, time);
        }
    }
    Ok(times)
}

fn advance_cursor(context: &Context, writes: &mut Writes<'_>, last: Head) -> Result<(), RoleError> {
    writes.put(BLOCKS, &last.number, &last.hash)?;
    writes.put(
        CURSOR,
        &(),
        &Cursor {
            number: last.number,
            hash: last.hash,
            timestamp: last.timestamp,
        },
    )?;
    // Thin out: one block leaves the dense part for each that enters it.
    let leaving = last.number.saturating_sub(DENSE_BLOCKS);
    for number in leaving.saturating_sub(4)..=leaving {
        if number % SPARSE_STEP != 0 && number > context.deployment.block {
            writes.remove(BLOCKS, &number);
        }
    }
    Ok(())
}
