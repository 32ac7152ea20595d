//! Reading events in bounded ranges of blocks.

use alloy::consensus::Transaction as _;
use alloy::primitives::B256;
use alloy::providers::Provider;
use alloy::rpc::types::Filter;
use futures::{StreamExt, TryStreamExt};

use super::contents::contents_in;
use super::{ChainClient, ChainError, Deployment, Event, Located};

/// Transactions asked for at the same time.
const PARALLEL: usize = 8;

impl ChainClient {
    /// The deployment's events of blocks `from..=to`, in order. The caller bounds the range; a range that the endpoint finds
    /// too large is halved until it does not.
    pub async fn events(
        &self,
        deployment: &Deployment,
        from: u64,
        to: u64,
    ) -> Result<Vec<Located>, ChainError> {
        let mut found = Vec::new();
        let mut ranges = vec![(from, to)];
        while let Some((first, last)) = ranges.pop() {
            let filter = Filter::new().from_block(first).to_block(last);
            match self.matching(deployment, filter).await {
                Ok(events) => found.extend(events),
                Err(ChainError::Refused { reason, .. })
                    if first < last && is_range_complaint(&reason) =>
                {
                    let middle = first + (last - first) / 2;
                    tracing::debug!(first, last, reason, "range of logs refused; halving it");
                    ranges.push((middle + 1, last));
                    ranges.push((first, middle));
                }
                Err(err) => return Err(err),
            }
        }
        found.sort_by_key(|located| (located.block, located.log_index));
        Ok(found)
    }

    /// The deployment's events of one block, named by its hash: an endpoint that does not have the block yet says so, where it
    /// would answer a range with no events at all.
    pub async fn events_of(
        &self,
        deployment: &Deployment,
        block: B256,
    ) -> Result<Vec<Located>, ChainError> {
        let mut found = self
            .matching(deployment, Filter::new().at_block_hash(block))
            .await?;
        found.sort_by_key(|located| located.log_index);
        Ok(found)
    }

    async fn matching(
        &self,
        deployment: &Deployment,
        filter: Filter,
    ) -> Result<Vec<Located>, ChainError> {
        let filter = filter.address(vec![
            deployment.models,
            deployment.inbox,
            deployment.claims,
            deployment.disputes,
            deployment.vouchers,
        ]);
        let logs = self
            .request("eth_getLogs", |p| {
                let filter = filter.clone();
                async move { p.get_logs(&filter).await }
            })
            .await?;
        let mut found = Vec::new();
        for log in &logs {
            if !log.removed {
                found.extend(Located::read(deployment, log)?);
            }
        }
        futures::stream::iter(found)
            .map(|located| self.with_contents(deployment, located))
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    /// An event with what it leaves out because the data of its transaction have it: the contents of a reveal.
    async fn with_contents(
        &self,
        deployment: &Deployment,
        mut located: Located,
    ) -> Result<Located, ChainError> {
        let hash = located.transaction;
        if let Event::Revealed {
            claim,
            record,
            contents,
            ..
        } = &mut located.event
            && contents.is_empty()
        {
            let what = "eth_getTransactionByHash";
            let found = self
                .request(
                    what,
                    |p| async move { p.get_transaction_by_hash(hash).await },
                )
                .await?
                .filter(|sent| sent.to() == Some(deployment.disputes))
                .ok_or_else(|| ChainError::BadAnswer {
                    what: what.to_owned(),
                    found: "no transaction, or one to another contract".to_owned(),
                    expected: format!("transaction {hash} with the contents of a reveal"),
                })?;
            match contents_in(found.input(), *claim, record.position) {
                Some(read) => *contents = read,
                // Other claims must not wait for this one.
                None => {
                    tracing::error!(%claim, transaction = %hash, "the contents of a reveal cannot be read")
                }
            }
        }
        Ok(located)
    }
}

fn is_range_complaint(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    [
        "range",
        "limit",
        "too many",
        "more than",
        "exceed",
        "too large",
    ]
    .iter()
    .any(|word| reason.contains(word))
}
