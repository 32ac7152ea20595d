//! The chain's newest block: by subscription where the endpoint has one, else by looking.

use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::B256;
use alloy::providers::Provider;
use futures::StreamExt;
use tokio::sync::watch;

use super::{ChainClient, ChainError};

/// A block as far as following the chain needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Parent's hash.
    pub parent: B256,
    /// Time stamp, in seconds.
    pub timestamp: u64,
}

impl ChainClient {
    /// The newest block.
    pub async fn head(&self) -> Result<Head, ChainError> {
        self.block_at(BlockNumberOrTag::Latest)
            .await?
            .ok_or_else(|| ChainError::BadAnswer {
                what: "eth_getBlockByNumber latest".into(),
                found: "null".into(),
                expected: "a block".into(),
            })
    }

    /// A block of the chain as it is now.
    pub async fn block(&self, number: u64) -> Result<Option<Head>, ChainError> {
        self.block_at(BlockNumberOrTag::Number(number)).await
    }

    async fn block_at(&self, tag: BlockNumberOrTag) -> Result<Option<Head>, ChainError> {
        let block = self
            .request("eth_getBlockByNumber", |p| async move {
                p.get_block_by_number(tag).await
            })
            .await?;
        Ok(block.map(|b| Head {
            number: b.header.inner.number,
            hash: b.header.hash,
            parent: b.header.inner.parent_hash,
            timestamp: b.header.inner.timestamp,
        }))
    }
}

/// Follows the chain until all receivers are gone. Errors are logged and tried again.
pub async fn watch_heads(client: ChainClient, heads: watch::Sender<Option<Head>>) {
    let poll = client.options().poll_interval;
    let mut pause = poll;
    while !heads.is_closed() {
        // Over HTTP this fails at once and the interval alone drives the loop.
        let mut news = match client.provider().subscribe_blocks().await {
            Ok(subscription) => subscription.into_stream().map(|_| ()).boxed(),
            Err(_) => futures::stream::pending().boxed(),
        };
        loop {
            match client.head().await {
                Ok(head) => {
                    pause = poll;
                    heads.send_if_modified(|old| {
                        let changed = *old != Some(head);
                        *old = Some(head);
                        changed
                    });
                }
                Err(err) => {
                    tracing::warn!(%err, "cannot see the chain's head; trying again");
                    pause = (pause * 2).min(Duration::from_secs(10));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                item = news.next() => if item.is_none() { break },
                () = heads.closed() => return,
            }
        }
    }
}
