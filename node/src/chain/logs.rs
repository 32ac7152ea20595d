//! Reading events in bounded ranges of blocks.

use alloy::primitives::B256;
use alloy::providers::Provider;
use alloy::rpc::types::Filter;

use super::{ChainClient, ChainError, Deployment, Located};

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
        Ok(found)
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
