//! Filters that are polled and subscriptions that push.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::Provider;
use alloy::rpc::types::Filter;
use alloy::sol_types::SolEvent;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::common::{Probe, devnet, fails, height, http, ok, probe, ws};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn polled_filters_deliver_each_thing_once() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    let set = async |value: u64| {
        let call = contract.set(U256::from(value), Bytes::new());
        call.send().await.unwrap().get_receipt().await.unwrap()
    };
    set(1).await;
    let logs = ok(
        &devnet,
        "eth_newFilter",
        json!([{ "address": contract.address() }]),
    )
    .await;
    let from_start = ok(
        &devnet,
        "eth_newFilter",
        json!([{ "address": contract.address(), "fromBlock": "0x0" }]),
    )
    .await;
    let blocks = ok(&devnet, "eth_newBlockFilter", json!([])).await;
    let pending = ok(&devnet, "eth_newPendingTransactionFilter", json!([])).await;
    let changes = async |id: &Value| match ok(&devnet, "eth_getFilterChanges", json!([id])).await {
        Value::Array(items) => items,
        other => panic!("{other}"),
    };
    assert_eq!(changes(&logs).await.len(), 0);
    assert_eq!(changes(&from_start).await.len(), 1);

    let (second, third) = (set(2).await, set(3).await);
    for id in [&logs, &from_start] {
        let found = changes(id).await;
        assert_eq!(found.len(), 2);
        assert_eq!(found[0]["topics"][2], json!(B256::from(U256::from(2))));
        assert_eq!(changes(id).await.len(), 0);
    }
    let all = ok(&devnet, "eth_getFilterLogs", json!([from_start])).await;
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(
        changes(&blocks).await,
        [json!(second.block_hash), json!(third.block_hash)]
    );
    let hashes = [
        json!(second.transaction_hash),
        json!(third.transaction_hash),
    ];
    assert_eq!(changes(&pending).await, hashes);

    assert_eq!(
        ok(&devnet, "eth_uninstallFilter", json!([logs])).await,
        json!(true)
    );
    assert_eq!(
        ok(&devnet, "eth_uninstallFilter", json!([logs])).await,
        json!(false)
    );
    let error = fails(&devnet, "eth_getFilterChanges", json!([logs])).await;
    assert_eq!(
        (error.code, error.message.starts_with("filter not found")),
        (-32000, true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn polled_filters_deliver_what_replaces_a_reverted_past() {
    let devnet = devnet().await;
    let snapshot = ok(&devnet, "evm_snapshot", json!([])).await;
    let blocks = ok(&devnet, "eth_newBlockFilter", json!([])).await;
    ok(&devnet, "anvil_mine", json!([3])).await;
    let first = ok(&devnet, "eth_getFilterChanges", json!([blocks])).await;
    assert_eq!(first.as_array().unwrap().len(), 3);
    ok(&devnet, "evm_revert", json!([snapshot])).await;
    ok(
        &devnet,
        "anvil_setPrevRandao",
        json!([B256::repeat_byte(1)]),
    )
    .await;
    ok(&devnet, "anvil_mine", json!([2])).await;
    let second = ok(&devnet, "eth_getFilterChanges", json!([blocks])).await;
    assert_eq!(second.as_array().unwrap().len(), 2);
    assert_ne!(first[0], second[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_questions_honour_ranges() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    for i in 0..4u64 {
        let call = contract.set(U256::from(i), Bytes::new());
        call.send().await.unwrap().get_receipt().await.unwrap();
    }
    let head = height(&provider).await;
    let count = async |filter: Filter| provider.get_logs(&filter).await.unwrap().len();
    assert_eq!(count(Filter::new()).await, 1, "the latest block by default");
    assert_eq!(count(Filter::new().from_block(0)).await, 4);
    assert_eq!(count(Filter::new().from_block(head - 1)).await, 2);
    assert_eq!(
        count(Filter::new().from_block(0).to_block(head - 1)).await,
        3
    );
    assert_eq!(
        count(Filter::new().from_block(0).to_block(head + 100)).await,
        4
    );
    assert_eq!(count(Filter::new().from_block(head + 1)).await, 0);
    assert_eq!(
        count(Filter::new().from_block(0).address(Address::ZERO)).await,
        0
    );
    let either = vec![B256::from(U256::from(1)), B256::from(U256::from(3))];
    assert_eq!(count(Filter::new().from_block(0).topic2(either)).await, 2);
    let error = fails(
        &devnet,
        "eth_getLogs",
        json!([{ "fromBlock": "0x3", "toBlock": "0x2" }]),
    );
    assert!(error.await.message.starts_with("invalid block range"));
    let error = fails(&devnet, "eth_getLogs", json!([{ "blockHash": B256::ZERO }])).await;
    assert!(error.message.starts_with("unknown block"));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_push_heads_logs_and_pending_transactions() {
    let devnet = devnet().await;
    let provider = ws(&devnet).await;
    let contract = probe(&provider, 1).await;
    let start = height(&provider).await;
    let filter = Filter::new()
        .address(*contract.address())
        .event_signature(Probe::ValueSet::SIGNATURE_HASH);
    let mut heads = provider.subscribe_blocks().await.unwrap().into_stream();
    let mut logs = provider
        .subscribe_logs(&filter)
        .await
        .unwrap()
        .into_stream();
    let mut none = provider
        .subscribe_logs(&filter.clone().topic2(U256::MAX))
        .await
        .unwrap()
        .into_stream();
    let mut pending = provider
        .subscribe_pending_transactions()
        .await
        .unwrap()
        .into_stream();

    // Mined through another connection: events cross connections.
    let other = http(&devnet);
    let contract = Probe::new(*contract.address(), other.clone());
    for value in 0..3u64 {
        let call = contract.set(U256::from(value), vec![1, 2, 3].into());
        let receipt = call.send().await.unwrap().get_receipt().await.unwrap();
        let head = timeout(SOON, heads.next()).await.unwrap().unwrap();
        assert_eq!(
            (head.number, head.hash),
            (start + 1 + value, receipt.block_hash.unwrap())
        );
        assert_eq!(head.inner.hash_slow(), head.hash);
        let log = timeout(SOON, logs.next()).await.unwrap().unwrap();
        let event = Probe::ValueSet::decode_log(&log.inner).unwrap();
        assert_eq!((event.value, log.removed), (U256::from(value), false));
        let hash = timeout(SOON, pending.next()).await.unwrap().unwrap();
        assert_eq!(hash, receipt.transaction_hash);
    }
    assert!(
        timeout(Duration::from_millis(200), none.next())
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_learn_of_removed_logs() {
    let devnet = devnet().await;
    let provider = ws(&devnet).await;
    let contract = probe(&provider, 1).await;
    let filter = Filter::new().address(*contract.address());
    let mut logs = provider
        .subscribe_logs(&filter)
        .await
        .unwrap()
        .into_stream();
    let snapshot = ok(&devnet, "evm_snapshot", json!([])).await;
    let call = contract.set(U256::from(5), Bytes::new());
    call.send().await.unwrap().get_receipt().await.unwrap();
    let added = timeout(SOON, logs.next()).await.unwrap().unwrap();
    ok(&devnet, "evm_revert", json!([snapshot])).await;
    let removed = timeout(SOON, logs.next()).await.unwrap().unwrap();
    assert!(removed.removed && !added.removed);
    assert_eq!(removed.transaction_hash, added.transaction_hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_need_a_websocket() {
    let devnet = devnet().await;
    let error = fails(&devnet, "eth_subscribe", json!(["newHeads"])).await;
    assert_eq!(error.code, -32601);
    assert!(error.message.contains("ws://"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_closes_connections() {
    let devnet = devnet().await;
    let provider = ws(&devnet).await;
    let keep_alive = http(&devnet);
    height(&keep_alive).await;
    let mut heads = provider.subscribe_blocks().await.unwrap().into_stream();
    let port = devnet.address();
    timeout(SOON, devnet.shutdown())
        .await
        .expect("within the grace period");
    assert!(tokio::net::TcpStream::connect(port).await.is_err());
    assert!(keep_alive.get_block_number().await.is_err());
    // The client retries in the background; what matters is that no more heads come.
    assert!(!matches!(
        timeout(Duration::from_millis(100), heads.next()).await,
        Ok(Some(_))
    ));
}
