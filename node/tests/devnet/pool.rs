//! Transactions on their way into a block: kinds, order, replacement, refusal.

use std::time::Duration;

use crate::common::{devnet, fails, height, http, ok, probe, spawn};
use alloy::consensus::{SignableTransaction, TxEip7702, TxEnvelope, TxLegacy};
use alloy::eips::eip7702::Authorization;
use alloy::eips::{BlockId, Encodable2718};
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::providers::{DynProvider, Provider};
use alloy::rpc::types::{AccessList, AccessListItem, TransactionRequest};
use alloy::signers::SignerSync;
use serde_json::{Value, json};
use sworn_node::devnet::{DevnetConfig, DevnetHandle};

const GWEI: u128 = 1_000_000_000;

/// A plain transfer of account 0.
fn transfer(nonce: u64, tip_gwei: u128) -> TransactionRequest {
    TransactionRequest::default()
        .with_to(Address::repeat_byte(0x77))
        .with_value(U256::from(1))
        .with_nonce(nonce)
        .with_gas_limit(21_000)
        .with_max_fee_per_gas(100 * GWEI)
        .with_max_priority_fee_per_gas(tip_gwei * GWEI)
        .with_chain_id(31337)
}

/// Signs with an account and submits; the hash or the error's text.
async fn submit(
    devnet: &DevnetHandle,
    account: usize,
    request: TransactionRequest,
) -> Result<B256, String> {
    let account = &devnet.accounts()[account];
    let transaction = request
        .with_from(account.address)
        .build_consensus_tx()
        .expect("complete");
    let signature = account
        .signer
        .sign_hash_sync(&transaction.signature_hash())
        .expect("signs");
    send(devnet, &transaction.into_signed(signature).into()).await
}

async fn send(devnet: &DevnetHandle, transaction: &TxEnvelope) -> Result<B256, String> {
    let raw = Bytes::from(transaction.encoded_2718());
    match devnet.request("eth_sendRawTransaction", json!([raw])).await {
        Ok(hash) => Ok(serde_json::from_value(hash).expect("a hash")),
        Err(error) => {
            assert!(matches!(error.code, -32000 | -32602), "{error}");
            Err(error.message)
        }
    }
}

async fn block_of(provider: &DynProvider, hash: B256) -> Option<(u64, u64)> {
    let receipt = provider.get_transaction_receipt(hash).await.unwrap()?;
    Some((
        receipt.block_number.unwrap(),
        receipt.transaction_index.unwrap(),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_waits_until_it_is_filled() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let sender = devnet.accounts()[0].address;
    let third = submit(&devnet, 0, transfer(2, 1)).await.unwrap();
    let second = submit(&devnet, 0, transfer(1, 1)).await.unwrap();
    assert_eq!(height(&provider).await, 0, "nothing is executable");
    assert_eq!(block_of(&provider, third).await, None);
    let waiting = provider
        .get_transaction_by_hash(third)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (waiting.block_number, waiting.inner.signer()),
        (None, sender)
    );
    let status = ok(&devnet, "txpool_status", json!([])).await;
    assert_eq!(status, json!({ "pending": "0x0", "queued": "0x2" }));
    assert_eq!(
        provider
            .get_transaction_count(sender)
            .pending()
            .await
            .unwrap(),
        0
    );

    let first = submit(&devnet, 0, transfer(0, 1)).await.unwrap();
    for (index, hash) in [first, second, third].into_iter().enumerate() {
        assert_eq!(block_of(&provider, hash).await, Some((1, index as u64)));
    }
    assert_eq!(provider.get_transaction_count(sender).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_nonce_is_replaced_only_for_a_better_price() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    ok(&devnet, "evm_setAutomine", json!([false])).await;
    let old = submit(&devnet, 0, transfer(0, 10)).await.unwrap();
    assert_eq!(
        submit(&devnet, 0, transfer(0, 10)).await.unwrap_err(),
        "already known"
    );
    let error = submit(&devnet, 0, transfer(0, 12)).await.unwrap_err();
    assert!(
        error.starts_with("replacement transaction underpriced"),
        "{error}"
    );
    let better = transfer(0, 11).with_max_fee_per_gas(110 * GWEI);
    let new = submit(&devnet, 0, better).await.unwrap();
    ok(&devnet, "evm_mine", json!([])).await;
    assert_eq!(block_of(&provider, new).await, Some((1, 0)));
    assert_eq!(provider.get_transaction_by_hash(old).await.unwrap(), None);
    assert_eq!(
        submit(&devnet, 0, transfer(0, 99)).await.unwrap_err(),
        "nonce too low: next nonce 1, tx nonce 0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_takes_the_best_tips_first_and_keeps_each_senders_order() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    ok(&devnet, "evm_setAutomine", json!([false])).await;
    let hashes = [
        submit(&devnet, 0, transfer(0, 1)).await.unwrap(),
        submit(&devnet, 0, transfer(1, 50)).await.unwrap(),
        submit(&devnet, 1, transfer(0, 20)).await.unwrap(),
        submit(&devnet, 2, transfer(0, 30)).await.unwrap(),
        submit(&devnet, 3, transfer(0, 20)).await.unwrap(),
    ];
    let pending = provider
        .get_block(BlockId::pending())
        .await
        .unwrap()
        .unwrap();
    ok(&devnet, "evm_mine", json!([])).await;
    let expected = [hashes[3], hashes[2], hashes[4], hashes[0], hashes[1]];
    let block = provider
        .get_block(BlockId::latest())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(block.transactions.hashes().collect::<Vec<_>>(), expected);
    assert_eq!(
        pending.transactions.hashes().collect::<Vec<_>>(),
        expected,
        "as announced"
    );
    // Tips went to the coinbase: none here, it is the zero address; the base fee burnt.
    let tips: u128 = [30, 20, 20, 1, 50]
        .iter()
        .map(|gwei| gwei * GWEI * 21_000)
        .sum();
    assert_eq!(
        provider.get_balance(Address::ZERO).await.unwrap(),
        U256::from(tips)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_block_leaves_the_rest_waiting() {
    let config = DevnetConfig {
        port: 0,
        gas_limit: 1_000_000,
        ..Default::default()
    };
    let devnet = spawn(config).await;
    ok(&devnet, "evm_setAutomine", json!([false])).await;
    for nonce in 0..60 {
        submit(&devnet, 0, transfer(nonce, 1)).await.unwrap();
    }
    ok(&devnet, "evm_mine", json!([])).await;
    let count = ok(
        &devnet,
        "eth_getBlockTransactionCountByNumber",
        json!(["latest"]),
    )
    .await;
    assert_eq!(
        count,
        json!("0x2f"),
        "47 transfers of 21000 fit into a million"
    );
    ok(&devnet, "evm_setAutomine", json!([true])).await;
    let count = ok(
        &devnet,
        "eth_getBlockTransactionCountByNumber",
        json!(["latest"]),
    )
    .await;
    assert_eq!(
        count,
        json!("0xd"),
        "turning automining on mines what waits"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_read_like_other_clients() {
    let devnet = devnet().await;
    let zero = |t: TransactionRequest| submit(&devnet, 0, t);
    let cases = [
        (
            zero(transfer(0, 1).with_chain_id(1)).await,
            "invalid chain id for signer: have 1 want 31337",
        ),
        (
            zero(transfer(0, 1).with_gas_limit(20_999)).await,
            "intrinsic gas too low",
        ),
        (
            zero(transfer(0, 1).with_gas_limit(70_000_000)).await,
            "transaction gas limit too high",
        ),
        (
            zero(transfer(0, 101)).await,
            "max priority fee per gas higher than max fee per gas",
        ),
        (
            zero(transfer(0, 0).with_max_fee_per_gas(1)).await,
            "max fee per gas less than block base fee",
        ),
        (
            zero(transfer(0, 1).with_value(U256::MAX)).await,
            "insufficient funds for gas * price + value",
        ),
        (
            zero(
                transfer(0, 1)
                    .with_deploy_code(vec![0u8; 49_153])
                    .with_gas_limit(16_000_000),
            )
            .await,
            "max initcode size exceeded",
        ),
    ];
    for (found, expected) in cases {
        let found = found.unwrap_err();
        assert!(
            found.starts_with(expected),
            "{found:?} does not begin with {expected:?}"
        );
    }
    for garbage in ["0x", "0x02", "0xc0", "0x03f8"] {
        let error = fails(&devnet, "eth_sendRawTransaction", json!([garbage])).await;
        assert_eq!(error.code, -32602, "{error}");
    }
    assert_eq!(
        ok(&devnet, "txpool_status", json!([])).await["queued"],
        json!("0x0")
    );
    let stranger = json!([{ "from": Address::repeat_byte(3), "to": Address::ZERO }]);
    let error = fails(&devnet, "eth_sendTransaction", stranger).await;
    assert!(error.message.starts_with("unknown account"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_transaction_types_execute_and_recover_their_sender() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    let base = || {
        TransactionRequest::default()
            .with_to(*contract.address())
            .with_input(contract.set(U256::from(3), Bytes::new()).calldata().clone())
            .with_gas_limit(200_000)
            .with_chain_id(31337)
    };
    let access = AccessList(vec![AccessListItem {
        address: *contract.address(),
        storage_keys: vec![B256::ZERO],
    }]);
    let requests = [
        base().with_nonce(0).with_gas_price(5 * GWEI),
        base()
            .with_nonce(1)
            .with_gas_price(5 * GWEI)
            .with_access_list(access),
        base()
            .with_nonce(2)
            .with_max_fee_per_gas(9 * GWEI)
            .with_max_priority_fee_per_gas(GWEI),
    ];
    for (kind, request) in requests.into_iter().enumerate() {
        let hash = submit(&devnet, 5, request).await.unwrap();
        let receipt = provider
            .get_transaction_receipt(hash)
            .await
            .unwrap()
            .unwrap();
        assert!(receipt.status());
        assert_eq!(receipt.transaction_type() as usize, kind);
        assert_eq!(receipt.from, devnet.accounts()[5].address);
        let found = provider
            .get_transaction_by_hash(hash)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.inner.signer(), devnet.accounts()[5].address);
        assert_eq!(found.effective_gas_price, Some(receipt.effective_gas_price));
        let base_fee = provider
            .get_block(BlockId::number(receipt.block_number.unwrap()))
            .await
            .unwrap()
            .unwrap()
            .header
            .base_fee_per_gas
            .unwrap();
        let price = if kind < 2 {
            5 * GWEI
        } else {
            u128::from(base_fee) + GWEI
        };
        assert_eq!(receipt.effective_gas_price, price);
    }

    // EIP-7702: account 6 lets the probe's code run as its own.
    let authority = &devnet.accounts()[6];
    let authorization = Authorization {
        chain_id: U256::from(31337),
        address: *contract.address(),
        nonce: 0,
    };
    let signature = authority
        .signer
        .sign_hash_sync(&authorization.signature_hash())
        .unwrap();
    let transaction = TxEip7702 {
        chain_id: 31337,
        nonce: 3,
        gas_limit: 500_000,
        max_fee_per_gas: 9 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: authority.address,
        authorization_list: vec![authorization.into_signed(signature)],
        input: contract
            .set(U256::from(77), Bytes::new())
            .calldata()
            .clone(),
        ..Default::default()
    };
    let signature = devnet.accounts()[5]
        .signer
        .sign_hash_sync(&transaction.signature_hash())
        .unwrap();
    let hash = send(&devnet, &transaction.into_signed(signature).into())
        .await
        .unwrap();
    assert!(
        provider
            .get_transaction_receipt(hash)
            .await
            .unwrap()
            .unwrap()
            .status()
    );
    let stored = provider
        .get_storage_at(authority.address, U256::ZERO)
        .await
        .unwrap();
    assert_eq!(stored, U256::from(77));
    let code = provider.get_code_at(authority.address).await.unwrap();
    assert_eq!(code[..3], [0xef, 0x01, 0x00]);
    // A delegated account still sends transactions.
    submit(&devnet, 6, transfer(1, 1)).await.unwrap();

    // Before EIP-155: no chain id in the signature.
    let transaction = TxLegacy {
        chain_id: None,
        gas_price: 5 * GWEI,
        gas_limit: 21_000,
        to: TxKind::Call(Address::repeat_byte(1)),
        ..Default::default()
    };
    let signature = devnet.accounts()[7]
        .signer
        .sign_hash_sync(&transaction.signature_hash())
        .unwrap();
    let hash = send(&devnet, &transaction.into_signed(signature).into())
        .await
        .unwrap();
    let receipt = provider
        .get_transaction_receipt(hash)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(receipt.from, devnet.accounts()[7].address);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_come_at_intervals_with_or_without_transactions() {
    let block_time = Some(Duration::from_millis(100));
    let devnet = spawn(DevnetConfig {
        port: 0,
        block_time,
        ..Default::default()
    })
    .await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    let pending: Vec<_> = {
        let mut pending = Vec::new();
        for i in 0..4 {
            pending.push(
                contract
                    .set(U256::from(i), Bytes::new())
                    .send()
                    .await
                    .unwrap(),
            );
        }
        pending
    };
    for transaction in pending {
        assert!(transaction.get_receipt().await.unwrap().status());
    }
    let before = height(&provider).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let after = height(&provider).await;
    assert!(
        (before + 3..=before + 9).contains(&after),
        "{before} to {after}"
    );

    ok(&devnet, "evm_setIntervalMining", json!([0])).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    let paused = height(&provider).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(height(&provider).await, paused);
    assert_eq!(
        ok(&devnet, "anvil_getIntervalMining", json!([])).await,
        Value::Null
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_base_fee_follows_eip_1559() {
    let devnet = spawn(DevnetConfig {
        port: 0,
        gas_limit: 2_000_000,
        ..Default::default()
    })
    .await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    contract
        .burn(U256::from(8_000))
        .gas(1_900_000)
        .send()
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    ok(&devnet, "anvil_mine", json!([3])).await;
    let mut rose = false;
    for number in 1..=height(&provider).await {
        let parent = provider
            .get_block(BlockId::number(number - 1))
            .await
            .unwrap()
            .unwrap()
            .header;
        let block = provider
            .get_block(BlockId::number(number))
            .await
            .unwrap()
            .unwrap()
            .header;
        let (fee, target) = (i128::from(parent.base_fee_per_gas.unwrap()), 1_000_000i128);
        let delta = fee * (i128::from(parent.gas_used) - target) / target / 8;
        assert_eq!(
            i128::from(block.base_fee_per_gas.unwrap()),
            fee + delta,
            "block {number}"
        );
        rose |= delta > 0;
    }
    assert!(rose);
    ok(
        &devnet,
        "anvil_setNextBlockBaseFeePerGas",
        json!(["0x1234567"]),
    )
    .await;
    ok(&devnet, "evm_mine", json!([])).await;
    let block = provider
        .get_block(BlockId::latest())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(block.header.base_fee_per_gas, Some(0x1234567));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_get_different_nonces() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let sender = devnet.accounts()[4].address;
    let request = json!([{ "from": sender, "to": Address::repeat_byte(8), "value": "0x1" }]);
    let all = (0..40).map(|_| devnet.request("eth_sendTransaction", request.clone()));
    for result in futures::future::join_all(all).await {
        result.unwrap();
    }
    assert_eq!(provider.get_transaction_count(sender).await.unwrap(), 40);
    assert_eq!(
        provider.get_balance(Address::repeat_byte(8)).await.unwrap(),
        U256::from(40)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn impersonated_senders_need_no_key_and_may_be_contracts() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    let other = probe(&provider, 1).await;
    let from = *contract.address();
    ok(
        &devnet,
        "anvil_setBalance",
        json!([from, "0xde0b6b3a7640000"]),
    )
    .await;
    let request = json!([{ "from": from, "to": other.address(), "gas": "0x30d40",
        "data": other.set(U256::from(5), Bytes::new()).calldata() }]);
    fails(&devnet, "eth_sendTransaction", request.clone()).await;
    ok(&devnet, "hardhat_impersonateAccount", json!([from])).await;
    let hash: B256 =
        serde_json::from_value(ok(&devnet, "eth_sendTransaction", request.clone()).await).unwrap();
    let receipt = provider
        .get_transaction_receipt(hash)
        .await
        .unwrap()
        .unwrap();
    assert!(receipt.status());
    assert_eq!(receipt.from, from);
    assert_eq!(other.value().call().await.unwrap(), U256::from(5));
    ok(&devnet, "hardhat_stopImpersonatingAccount", json!([from])).await;
    fails(&devnet, "eth_sendTransaction", request).await;
}
