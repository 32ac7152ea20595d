//! Blocks, transactions, state and time of the embedded chain, seen through alloy.

use crate::common::{Probe, devnet, fails, height, http, ok, probe, spawn, ws};
use alloy::consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy::consensus::{ReceiptEnvelope, TxEnvelope, TxReceipt};
use alloy::eips::BlockId;
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, Bloom, Bytes, U256, keccak256};
use alloy::providers::Provider;
use alloy::rpc::types::{Filter, TransactionRequest};
use alloy::sol_types::SolEvent;
use serde_json::json;
use sworn_node::devnet::{Devnet, DevnetConfig, DevnetError};

#[tokio::test(flavor = "multi_thread")]
async fn deploy_send_call_and_logs_over_http_and_websocket() {
    let devnet = devnet().await;
    for provider in [http(&devnet), ws(&devnet).await] {
        let contract = probe(&provider, 7).await;
        assert_eq!(contract.value().call().await.unwrap(), U256::from(7));

        let note = Bytes::from_static(b"first");
        let receipt = contract
            .set(U256::from(42), note.clone())
            .send()
            .await
            .unwrap()
            .get_receipt()
            .await
            .unwrap();
        assert!(receipt.status());
        assert_eq!(receipt.from, devnet.accounts()[0].address);
        assert_eq!(contract.value().call().await.unwrap(), U256::from(42));

        let filter = Filter::new()
            .address(*contract.address())
            .event_signature(Probe::ValueSet::SIGNATURE_HASH)
            .topic2(U256::from(42))
            .from_block(0);
        let logs = provider.get_logs(&filter).await.unwrap();
        assert_eq!(logs.len(), 1);
        let event = Probe::ValueSet::decode_log(&logs[0].inner).unwrap();
        assert_eq!((event.value, &event.note), (U256::from(42), &note));
        assert_eq!(logs[0].transaction_hash, Some(receipt.transaction_hash));
        assert_eq!(logs[0].block_timestamp.unwrap(), {
            let block = provider
                .get_block(BlockId::latest())
                .await
                .unwrap()
                .unwrap();
            block.header.timestamp
        });
        let elsewhere = filter.clone().topic2(U256::from(43));
        assert_eq!(provider.get_logs(&elsewhere).await.unwrap(), []);
        let by_hash = filter.at_block_hash(receipt.block_hash.unwrap());
        assert_eq!(provider.get_logs(&by_hash).await.unwrap().len(), 1);
    }
}

/// A client can check every block from its parts alone.
#[tokio::test(flavor = "multi_thread")]
async fn headers_roots_and_blooms_are_real() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    ok(&devnet, "evm_setAutomine", json!([false])).await;
    let mut pending = Vec::new();
    for i in 0..5u64 {
        pending.push(
            contract
                .set(U256::from(i), vec![i as u8; 40].into())
                .send()
                .await
                .unwrap(),
        );
    }
    ok(&devnet, "evm_mine", json!([])).await;
    for transaction in pending {
        assert!(transaction.get_receipt().await.unwrap().status());
    }
    ok(&devnet, "anvil_mine", json!(["0x3"])).await;

    let mut parent = B256::ZERO;
    let mut randoms = std::collections::HashSet::new();
    let mut state_roots = std::collections::HashSet::new();
    for number in 0..=height(&provider).await {
        let block = provider
            .get_block(BlockId::number(number))
            .full()
            .await
            .unwrap()
            .unwrap();
        let header = &block.header.inner;
        assert_eq!(
            keccak256(alloy::rlp::encode(header)),
            block.header.hash,
            "block {number}"
        );
        assert_eq!((header.number, header.parent_hash), (number, parent));
        parent = block.header.hash;
        assert!(randoms.insert(header.mix_hash), "prevrandao repeats");
        assert!(
            state_roots.insert(header.state_root),
            "state root does not change"
        );

        let transactions: Vec<TxEnvelope> = block
            .transactions
            .txns()
            .map(|t| t.inner.inner().clone())
            .collect();
        assert_eq!(
            header.transactions_root,
            calculate_transaction_root(&transactions)
        );
        let receipts = provider
            .get_block_receipts(BlockId::number(number))
            .await
            .unwrap()
            .unwrap();
        let envelopes: Vec<ReceiptEnvelope> = receipts
            .iter()
            .map(|r| r.inner.clone().into_primitives_receipt())
            .collect();
        assert_eq!(header.receipts_root, calculate_receipt_root(&envelopes));
        let bloom = envelopes
            .iter()
            .fold(Bloom::ZERO, |bloom, r| bloom | r.bloom());
        assert_eq!(header.logs_bloom, bloom);
        let used: u64 = receipts.iter().map(|r| r.gas_used).sum();
        assert_eq!(header.gas_used, used);
        let mut log_index = 0;
        for receipt in &receipts {
            for log in receipt.inner.logs() {
                assert_eq!(log.log_index, Some(log_index));
                log_index += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blockhash_and_the_history_contract_agree_with_the_headers() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    ok(&devnet, "anvil_mine", json!([300])).await;
    let head = height(&provider).await;
    for number in [head - 1, head - 100, head - 256] {
        let block = provider
            .get_block(BlockId::number(number))
            .await
            .unwrap()
            .unwrap();
        let found = contract.hashOf(U256::from(number)).call().await.unwrap();
        assert_eq!(
            found.byOpcode, block.header.hash,
            "block {number} of {head}"
        );
        assert_eq!(
            found.byHistory, block.header.hash,
            "block {number} of {head}"
        );
    }
    // Beyond the opcode's 256 blocks the contract still knows; of the present, neither does.
    let old = provider
        .get_block(BlockId::number(3))
        .await
        .unwrap()
        .unwrap();
    let found = contract.hashOf(U256::from(3)).call().await.unwrap();
    assert_eq!(
        (found.byOpcode, found.byHistory),
        (B256::ZERO, old.header.hash)
    );
    let now = contract.hashOf(U256::from(head)).call().await.unwrap();
    assert_eq!((now.byOpcode, now.byHistory), (B256::ZERO, B256::ZERO));
    // On the pending block the latest has become history.
    let latest = provider
        .get_block(BlockId::latest())
        .await
        .unwrap()
        .unwrap();
    let next = contract
        .hashOf(U256::from(head))
        .block(BlockId::pending())
        .call()
        .await
        .unwrap();
    assert_eq!(
        (next.byOpcode, next.byHistory),
        (latest.header.hash, latest.header.hash)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn execution_sees_its_block_and_the_osaka_rules() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    let block = provider
        .get_block(BlockId::latest())
        .await
        .unwrap()
        .unwrap();
    let seen = contract.surroundings().call().await.unwrap();
    assert_eq!(seen.number, U256::from(block.header.number));
    assert_eq!(seen.time, U256::from(block.header.timestamp));
    assert_eq!(seen.random, U256::from_be_bytes(block.header.mix_hash.0));
    assert_eq!(seen.chain, U256::from(31337));
    assert_eq!(seen.fee, U256::ZERO, "nobody pays for a call");
    for (x, zeros) in [(U256::ZERO, 256), (U256::ONE, 255), (U256::MAX, 0)] {
        assert_eq!(
            contract.leadingZeros(x).call().await.unwrap(),
            U256::from(zeros)
        );
    }
    // EIP-7825: 2^24 gas per transaction.
    let request = |gas: u64| {
        TransactionRequest::default()
            .with_from(devnet.accounts()[1].address)
            .with_to(Address::repeat_byte(7))
            .with_gas_limit(gas)
    };
    let error = fails(
        &devnet,
        "eth_sendTransaction",
        json!([request((1 << 24) + 1)]),
    )
    .await;
    assert_eq!(error.code, -32000);
    assert!(
        error.message.contains("transaction gas limit too high"),
        "{error}"
    );
    ok(&devnet, "eth_sendTransaction", json!([request(1 << 24)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_can_be_queried() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 10).await;
    let deployed = height(&provider).await;
    for i in 11..15u64 {
        contract
            .set(U256::from(i), Bytes::new())
            .send()
            .await
            .unwrap()
            .get_receipt()
            .await
            .unwrap();
    }
    for (number, value) in (deployed..).zip(10..15u64) {
        let id = BlockId::number(number);
        let value = U256::from(value);
        assert_eq!(contract.value().block(id).call().await.unwrap(), value);
        let stored = provider
            .get_storage_at(*contract.address(), U256::ZERO)
            .block_id(id)
            .await
            .unwrap();
        assert_eq!(stored, value);
        let hash = provider.get_block(id).await.unwrap().unwrap().header.hash;
        assert_eq!(
            contract.value().block(hash.into()).call().await.unwrap(),
            value
        );
    }
    let sender = devnet.accounts()[0].address;
    let before = BlockId::number(deployed - 1);
    assert!(
        provider
            .get_code_at(*contract.address())
            .block_id(before)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        provider
            .get_transaction_count(sender)
            .block_id(before)
            .await
            .unwrap(),
        0
    );
    assert_eq!(provider.get_transaction_count(sender).await.unwrap(), 5);
    let rich = provider
        .get_balance(sender)
        .block_id(BlockId::earliest())
        .await
        .unwrap();
    assert_eq!(
        rich,
        U256::from(10_000) * U256::from(10).pow(U256::from(18))
    );
    assert!(provider.get_balance(sender).await.unwrap() < rich);
    for tag in ["latest", "safe", "finalized", "pending"] {
        let value = ok(
            &devnet,
            "eth_getStorageAt",
            json!([contract.address(), "0x0", tag]),
        )
        .await;
        assert_eq!(value, json!(B256::from(U256::from(14))));
    }
    let error = fails(&devnet, "eth_getBalance", json!([sender, "0x1000"])).await;
    assert!(error.message.contains("header not found"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_states_are_pruned_and_say_so() {
    let devnet = spawn(DevnetConfig {
        port: 0,
        history_blocks: 4,
        ..Default::default()
    })
    .await;
    ok(&devnet, "anvil_mine", json!([10])).await;
    let account = devnet.accounts()[0].address;
    ok(&devnet, "eth_getBalance", json!([account, "0x7"])).await;
    let error = fails(&devnet, "eth_getBalance", json!([account, "0x6"])).await;
    assert!(
        error
            .message
            .contains("no longer kept: the oldest with state is 7"),
        "{error}"
    );
    assert!(
        ok(&devnet, "eth_getBlockByNumber", json!(["0x6", false]))
            .await
            .is_object()
    );
    // A snapshot keeps its own state, however old its block is.
    let id = ok(&devnet, "evm_snapshot", json!([])).await;
    ok(&devnet, "anvil_mine", json!([10])).await;
    assert_eq!(ok(&devnet, "evm_revert", json!([id])).await, json!(true));
    assert_eq!(
        ok(&devnet, "eth_blockNumber", json!([])).await,
        json!("0xa")
    );
    ok(&devnet, "eth_getBalance", json!([account, "latest"])).await;
    ok(&devnet, "anvil_mine", json!([1])).await;
    ok(&devnet, "eth_getBalance", json!([account, "0xa"])).await;
    fails(&devnet, "eth_getBalance", json!([account, "0x9"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverts_carry_reason_and_data() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    for method in ["eth_call", "eth_estimateGas"] {
        let data = contract.failWithText().calldata().clone();
        let error = fails(
            &devnet,
            method,
            json!([{ "to": contract.address(), "data": data }]),
        )
        .await;
        assert_eq!(error.code, 3);
        assert_eq!(error.message, "execution reverted: no such luck");
        assert!(
            error
                .data
                .is_some_and(|data| data.starts_with(&[0x08, 0xc3, 0x79, 0xa0]))
        );
    }
    let error = contract
        .failWithError(U256::from(5))
        .call()
        .await
        .unwrap_err();
    let refused = error
        .as_decoded_error::<Probe::Refused>()
        .expect("custom error");
    assert_eq!(
        (refused.code, refused.why.as_str()),
        (U256::from(5), "because")
    );
    let error = contract
        .overflow(U256::ONE)
        .call()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("arithmetic underflow or overflow"),
        "{error}"
    );

    // Mined all the same when the sender insists: status 0, and the nonce is used.
    let receipt = contract
        .failWithText()
        .gas(100_000)
        .send()
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    assert!(!receipt.status());
    assert!(receipt.inner.logs().is_empty());
    let receipt = contract
        .burn(U256::from(9999))
        .gas(50_000)
        .send()
        .await
        .unwrap()
        .get_receipt()
        .await;
    assert_eq!(receipt.unwrap().gas_used, 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_moves_and_blocks_keep_order() {
    let genesis = 1_700_000_000;
    let devnet = spawn(DevnetConfig {
        port: 0,
        genesis_timestamp: Some(genesis),
        ..Default::default()
    })
    .await;
    let provider = http(&devnet);
    let time = async || {
        provider
            .get_block(BlockId::latest())
            .await
            .unwrap()
            .unwrap()
            .header
            .timestamp
    };
    assert_eq!(time().await, genesis);
    ok(&devnet, "evm_mine", json!([])).await;
    assert!((genesis + 1..genesis + 60).contains(&time().await));

    let before = time().await;
    ok(&devnet, "evm_increaseTime", json!(["0xe10"])).await;
    ok(&devnet, "evm_mine", json!([])).await;
    assert!((before + 3600..before + 3700).contains(&time().await));

    let next = time().await + 500;
    ok(&devnet, "evm_setNextBlockTimestamp", json!([next])).await;
    let contract = probe(&provider, 1).await;
    assert_eq!(time().await, next);
    let error = fails(&devnet, "evm_setNextBlockTimestamp", json!([next])).await;
    assert!(error.message.contains("not after the latest"), "{error}");

    ok(&devnet, "anvil_mine", json!(["0xa", "0x64"])).await;
    let after = time().await;
    assert!(
        (next + 900..next + 1000).contains(&after),
        "{after} from {next}"
    );
    // Ahead of the wall clock by a burst, time still moves when told to.
    ok(&devnet, "hardhat_mine", json!(["0x3e8"])).await;
    let burst = time().await;
    ok(&devnet, "evm_increaseTime", json!([100])).await;
    // An estimate or a pending call sees the coming time before any block is made.
    let seen = contract
        .surroundings()
        .block(BlockId::pending())
        .call()
        .await
        .unwrap();
    assert!(seen.time >= U256::from(burst + 100));
    ok(&devnet, "evm_mine", json!([])).await;
    assert!(time().await >= burst + 100);

    ok(&devnet, "anvil_setBlockTimestampInterval", json!([12])).await;
    let before = time().await;
    ok(&devnet, "anvil_mine", json!([3])).await;
    assert_eq!(time().await, before + 36);

    let mut last = 0;
    for number in 0..=height(&provider).await {
        let block = provider
            .get_block(BlockId::number(number))
            .await
            .unwrap()
            .unwrap();
        assert!(block.header.timestamp > last);
        last = block.header.timestamp;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_return_to_the_past_completely() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    let sender = devnet.accounts()[0].address;
    let snapshot = ok(&devnet, "evm_snapshot", json!([])).await;
    let (height_before, balance_before) = (
        height(&provider).await,
        provider.get_balance(sender).await.unwrap(),
    );

    let receipt = contract
        .set(U256::from(2), Bytes::new())
        .send()
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    let inner = ok(&devnet, "evm_snapshot", json!([])).await;
    ok(
        &devnet,
        "anvil_setBalance",
        json!([Address::repeat_byte(9), "0x10"]),
    )
    .await;
    ok(&devnet, "evm_increaseTime", json!([1_000_000])).await;
    assert_eq!(
        ok(&devnet, "evm_revert", json!([snapshot])).await,
        json!(true)
    );

    assert_eq!(height(&provider).await, height_before);
    assert_eq!(provider.get_balance(sender).await.unwrap(), balance_before);
    assert_eq!(
        provider.get_balance(Address::repeat_byte(9)).await.unwrap(),
        U256::ZERO
    );
    assert_eq!(contract.value().call().await.unwrap(), U256::ONE);
    let hash = receipt.transaction_hash;
    assert!(
        provider
            .get_transaction_receipt(hash)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        provider
            .get_block_by_hash(receipt.block_hash.unwrap())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(provider.get_transaction_count(sender).await.unwrap(), 1);
    let block = provider
        .get_block(BlockId::pending())
        .await
        .unwrap()
        .unwrap();
    let head = provider
        .get_block(BlockId::latest())
        .await
        .unwrap()
        .unwrap();
    assert!(
        block.header.timestamp < head.header.timestamp + 1_000,
        "the time moved back too"
    );

    // Used up, and later ones with it.
    assert_eq!(
        ok(&devnet, "evm_revert", json!([snapshot])).await,
        json!(false)
    );
    assert_eq!(
        ok(&devnet, "evm_revert", json!([inner])).await,
        json!(false)
    );
    // The same transaction can be mined again.
    ok(
        &devnet,
        "eth_sendTransaction",
        json!([{ "from": sender, "to": contract.address(),
        "data": contract.set(U256::from(3), Bytes::new()).calldata() }]),
    )
    .await;
    assert_eq!(contract.value().call().await.unwrap(), U256::from(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let first = devnet().await;
    let port = first.address().port();
    let config = DevnetConfig {
        port,
        ..Default::default()
    };
    let error = Devnet::spawn(config.clone()).await.unwrap_err();
    assert!(matches!(error, DevnetError::PortInUse { address } if address.port() == port));
    let text = error.to_string();
    assert!(
        text.contains(&port.to_string()) && text.contains("choose another port"),
        "{text}"
    );
    first.shutdown().await;
    Devnet::spawn(config)
        .await
        .expect("the port is free again")
        .shutdown()
        .await;

    let broken = DevnetConfig {
        port: 0,
        mnemonic: "no such words".to_owned(),
        ..Default::default()
    };
    assert!(matches!(
        Devnet::spawn(broken).await,
        Err(DevnetError::Mnemonic { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_the_usual_ones() {
    let devnet = devnet().await;
    let expected = [
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    ];
    assert_eq!(devnet.accounts().len(), 10);
    for (account, expected) in devnet.accounts().iter().zip(expected) {
        assert_eq!(account.address.to_string(), expected);
    }
}
