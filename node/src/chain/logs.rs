//! Reading events in bounded ranges of blocks.

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
            let addresses = vec![
                deployment.models,
                deployment.inbox,
                deployment.claims,
                deployment.vouchers,
            ];
            let filter = Filter::new()
                .address(addresses)
                .from_block(first)
                .to_block(last);
            let answer = self
                .request("eth_getLogs", |p| {
                    let filter = filter.clone();
                    async move { p.get_logs(&filter).await }
                })
                .await;
            match answer {
                Ok(logs) => {
                    for log in &logs {
                        if !log.removed {
                            found.extend(Located::read(deployment, log)?);
                        }
                    }
                }
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
