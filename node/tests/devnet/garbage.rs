//! Nothing a client sends takes the chain down.

use alloy::primitives::Address;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::common::{devnet, fails, ok};

const METHODS: &[&str] = &[
    "eth_chainId",
    "eth_blockNumber",
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getBlockReceipts",
    "eth_getBlockTransactionCountByNumber",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getTransactionByHash",
    "eth_getRawTransactionByHash",
    "eth_getTransactionReceipt",
    "eth_feeHistory",
    "eth_getBalance",
    "eth_getCode",
    "eth_getStorageAt",
    "eth_getTransactionCount",
    "eth_getProof",
    "eth_call",
    "eth_estimateGas",
    "eth_gasPrice",
    "eth_sendRawTransaction",
    "eth_sendTransaction",
    "eth_signTransaction",
    "txpool_status",
    "txpool_content",
    "eth_accounts",
    "personal_sign",
    "eth_sign",
    "eth_signTypedData_v4",
    "eth_getLogs",
    "eth_newFilter",
    "eth_newBlockFilter",
    "eth_newPendingTransactionFilter",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_uninstallFilter",
    "eth_subscribe",
    "web3_sha3",
    "evm_mine",
    "anvil_mine",
    "evm_snapshot",
    "evm_revert",
    "evm_increaseTime",
    "evm_setNextBlockTimestamp",
    "evm_setTime",
    "anvil_setBlockTimestampInterval",
    "anvil_removeBlockTimestampInterval",
    "evm_setAutomine",
    "anvil_setBalance",
    "anvil_setCode",
    "anvil_setNonce",
    "anvil_setStorageAt",
    "anvil_impersonateAccount",
    "anvil_stopImpersonatingAccount",
    "anvil_autoImpersonateAccount",
    "anvil_setCoinbase",
    "anvil_setNextBlockBaseFeePerGas",
    "anvil_setPrevRandao",
    "evm_setBlockGasLimit",
    "anvil_dropTransaction",
    "anvil_dropAllTransactions",
    "no_such_method",
];

/// JSON that is nearly right: hex of odd lengths, extreme numbers, real addresses, known keys.
fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "0x[0-9a-f]{0,70}",
        Just("latest".to_owned()),
        Just("pending".to_owned()),
        Just("earliest".to_owned()),
        Just("0x0".to_owned()),
        Just("0x1".to_owned()),
        Just("0xffffffffffffffff".to_owned()),
        Just(format!("0x{}", "f".repeat(64))),
        Just("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".to_owned()),
        Just("0x0000F90827F1C53a10cb7A02335B175320002935".to_owned()),
        ".{0,12}",
    ];
    let key = prop::sample::select(vec![
        "from",
        "to",
        "data",
        "input",
        "value",
        "gas",
        "gasPrice",
        "maxFeePerGas",
        "nonce",
        "maxPriorityFeePerGas",
        "accessList",
        "type",
        "chainId",
        "authorizationList",
        "blobVersionedHashes",
        "fromBlock",
        "toBlock",
        "blockHash",
        "address",
        "topics",
        "blockNumber",
        "types",
        "primaryType",
        "domain",
        "message",
        "EIP712Domain",
        "name",
        "state",
        "stateDiff",
        "code",
        "balance",
        "number",
        "time",
        "baseFee",
        "timestamp",
        "blocks",
    ]);
    let leaf = prop_oneof![
        4 => text.prop_map(Value::String),
        1 => prop_oneof![Just(0u64), Just(1), Just(u64::MAX), any::<u64>()].prop_map(|n| json!(n)),
        1 => any::<i64>().prop_map(|n| json!(n)),
        1 => any::<f64>().prop_map(|n| json!(n)),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..7).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

#[test]
fn random_parameters_in_every_method() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let devnet = runtime.block_on(devnet());
    let mut runner = TestRunner::new(Config {
        cases: 6_000,
        failure_persistence: None,
        ..Config::default()
    });
    let request = (
        prop::sample::select(METHODS),
        prop::collection::vec(value(), 0..4),
        prop::bool::weighted(0.95),
    );
    runner
        .run(&request, |(method, params, array)| {
            let params = match (array, params.first()) {
                (false, Some(first)) => first.clone(),
                _ => Value::Array(params),
            };
            // A million empty blocks would be a legal answer; a panic is -32603.
            if let Err(error) = runtime.block_on(devnet.request(method, params)) {
                prop_assert_ne!(error.code, -32603, "{}: {}", method, error);
            }
            Ok(())
        })
        .unwrap();
    // Still alive, and still making blocks.
    runtime.block_on(async {
        ok(&devnet, "evm_mine", json!([])).await;
        ok(&devnet, "eth_getBlockByNumber", json!(["latest", true])).await;
    });
}

#[test]
fn random_bodies() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let devnet = runtime.block_on(devnet());
    let client = reqwest::Client::new();
    let mut runner = TestRunner::new(Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    });
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        value().prop_map(|v| v.to_string().into_bytes()),
        "[\\[{\"a-z:,0-9\\]}]{0,80}".prop_map(String::into_bytes),
        (1usize..3000).prop_map(|n| "[".repeat(n).into_bytes()),
    ];
    runner
        .run(&body, |body| {
            let reply = runtime.block_on(async {
                let response = client
                    .post(devnet.http_url())
                    .body(body)
                    .send()
                    .await
                    .unwrap();
                response.text().await.unwrap()
            });
            let reply: Value = serde_json::from_str(&reply).expect("an answer in JSON");
            let items = match reply {
                Value::Array(items) => items,
                one => vec![one],
            };
            for item in items {
                let code = item["error"]["code"].as_i64();
                prop_assert!(
                    matches!(code, Some(-32700 | -32600 | -32601 | -32602)),
                    "{}",
                    item
                );
            }
            Ok(())
        })
        .unwrap();
}

/// Balances, values and fees at the edges of their types.
#[tokio::test(flavor = "multi_thread")]
async fn extreme_amounts() {
    let devnet = devnet().await;
    let (rich, other) = (devnet.accounts()[0].address, devnet.accounts()[1].address);
    let max = format!("0x{}", "f".repeat(64));
    let fees: Vec<String> = [0u128, 1, 1 << 56, 1 << 80, (1 << 80) + 1, u128::MAX]
        .iter()
        .map(|f| format!("{f:#x}"))
        .collect();
    for poor_coinbase in [true, false] {
        ok(&devnet, "anvil_setBalance", json!([rich, max])).await;
        ok(&devnet, "anvil_setBalance", json!([other, max])).await;
        let coinbase = if poor_coinbase {
            Address::repeat_byte(1)
        } else {
            other
        };
        ok(&devnet, "anvil_setCoinbase", json!([coinbase])).await;
        for fee in &fees {
            for tip in &fees {
                for value in ["0x0", "0x1", &max] {
                    let request = json!([{ "from": rich, "to": other, "value": value,
                        "maxFeePerGas": fee, "maxPriorityFeePerGas": tip }]);
                    for method in ["eth_call", "eth_estimateGas", "eth_sendTransaction"] {
                        if let Err(error) = devnet.request(method, request.clone()).await {
                            assert_ne!(error.code, -32603, "{method} {request}: {error}");
                        }
                    }
                }
            }
        }
    }
    let too_high = json!([format!("{:#x}", (1u64 << 56) + 1)]);
    assert_eq!(
        fails(&devnet, "anvil_setNextBlockBaseFeePerGas", too_high)
            .await
            .code,
        -32602
    );
    let highest = json!([format!("{:#x}", 1u64 << 56)]);
    ok(&devnet, "anvil_setNextBlockBaseFeePerGas", highest).await;
    ok(&devnet, "evm_mine", json!([])).await;
    ok(&devnet, "eth_feeHistory", json!(["0x400", "latest", [50]])).await;
}
