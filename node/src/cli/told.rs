//! What events say about prompts: their texts, and the transactions of it all.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEvent;
use sworn_node::chain::ChainError;
use sworn_node::chain::abi::{inbox, prompts};

use super::failure::{Failure, Kind};
use super::session::{Session, chain};

/// What events say about a prompt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) payload: Bytes,
    pub(crate) ask_tx: B256,
    /// Chunks by run: text and transaction.
    pub(crate) chunks: BTreeMap<(u32, u32), (Bytes, B256)>,
    /// Transaction of each ranking by ranker and sequence.
    pub(crate) rank_txs: BTreeMap<(Address, u32), B256>,
}

/// What events say about one prompt, or about all of them.
pub(crate) async fn read(
    session: &Session,
    only: Option<u64>,
) -> Result<BTreeMap<u64, Told>, Failure> {
    let d = &session.deployment;
    let signatures = vec![
        inbox::InputSubmitted::SIGNATURE_HASH,
        prompts::ResponsePosted::SIGNATURE_HASH,
        prompts::Ranked::SIGNATURE_HASH,
    ];
    let mut filter = Filter::new()
        .address(vec![d.inbox, d.prompts])
        .event_signature(signatures);
    if let Some(id) = only {
        filter = filter.topic1(U256::from(id));
    }
    let mut all: BTreeMap<u64, Told> = BTreeMap::new();
    for log in logs(session, &filter).await? {
        let Some((id, tx)) = log
            .topics()
            .get(1)
            .and_then(|topic| u64::try_from(U256::from_be_bytes(topic.0)).ok())
            .zip(log.transaction_hash)
        else {
            continue;
        };
        let told = all.entry(id).or_default();
        let bad = |error: alloy::sol_types::Error| {
            Failure::new(
                Kind::Chain,
                format!(
                    "event of {}: found {error}, expected an event of the deployment",
                    log.address()
                ),
            )
        };
        match log.topic0() {
            Some(&inbox::InputSubmitted::SIGNATURE_HASH) if log.address() == d.inbox => {
                let event = inbox::InputSubmitted::decode_log(&log.inner).map_err(bad)?;
                told.payload = event.data.payload;
                told.ask_tx = tx;
            }
            Some(&prompts::ResponsePosted::SIGNATURE_HASH) if log.address() == d.prompts => {
                let event = prompts::ResponsePosted::decode_log(&log.inner)
                    .map_err(bad)?
                    .data;
                told.chunks
                    .insert((event.run, event.chunk), (event.text, tx));
            }
            Some(&prompts::Ranked::SIGNATURE_HASH) if log.address() == d.prompts => {
                let event = prompts::Ranked::decode_log(&log.inner).map_err(bad)?.data;
                told.rank_txs.insert((event.ranker, event.sequence), tx);
            }
            _ => {}
        }
    }
    Ok(all)
}

/// Logs from the deployment's block to the newest, in ranges that public endpoints accept.
async fn logs(session: &Session, filter: &Filter) -> Result<Vec<Log>, Failure> {
    let client = &session.client;
    let head = client.head().await.map_err(chain)?.number;
    let step = client.options().log_range_blocks.max(1);
    let mut found = Vec::new();
    let mut from = session.deployment.block;
    while from <= head {
        let mut to = head.min(from.saturating_add(step - 1));
        loop {
            let filter = filter.clone().from_block(from).to_block(to);
            let answer = client.request("eth_getLogs", |p| {
                let filter = filter.clone();
                async move { p.get_logs(&filter).await }
            });
            match answer.await {
                Ok(logs) => {
                    found.extend(logs.into_iter().filter(|log| !log.removed));
                    break;
                }
                // Endpoints limit ranges and answers differently: halve until it fits.
                Err(ChainError::Refused { .. }) if to > from => to = from + (to - from) / 2,
                Err(error) => return Err(chain(error)),
            }
        }
        from = to + 1;
    }
    Ok(found)
}
