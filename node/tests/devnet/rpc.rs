//! The JSON-RPC surface: envelopes, estimates, fees, signatures, edits of the state.

use alloy::consensus::TrieAccount;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256, Bytes, Signature, U256, eip191_hash_message, keccak256};
use alloy::providers::Provider;
use alloy::rpc::types::EIP1186AccountProofResponse;
use serde_json::{Value, json};

use crate::common::{devnet, fails, height, http, ok, probe};

/// Posts a raw body; status and text.
async fn post(url: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
    let response = reqwest::Client::new()
        .post(url)
        .body(body)
        .send()
        .await
        .unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn post_json(url: &str, body: &str) -> Value {
    let (status, text) = post(url, body.to_owned()).await;
    assert_eq!(status, 200);
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn envelopes_batches_and_errors() {
    let devnet = devnet().await;
    let url = devnet.http_url();
    let reply = post_json(url, r#"{"jsonrpc":"2.0","id":"a","method":"eth_chainId"}"#).await;
    assert_eq!(
        reply,
        json!({ "jsonrpc": "2.0", "id": "a", "result": "0x7a69" })
    );

    let code = |reply: &Value| reply["error"]["code"].as_i64();
    assert_eq!(code(&post_json(url, "{").await), Some(-32700));
    assert_eq!(code(&post_json(url, "[]").await), Some(-32600));
    assert_eq!(code(&post_json(url, "7").await), Some(-32600));
    assert_eq!(code(&post_json(url, r#"{"id":1}"#).await), Some(-32600));
    let reply = post_json(url, r#"{"id":1,"method":"eth_coffee"}"#).await;
    assert_eq!((code(&reply), &reply["id"]), (Some(-32601), &json!(1)));
    for method in ["evm_x", "anvil_", "hardhat_reset"] {
        assert_eq!(fails(&devnet, method, json!([])).await.code, -32601);
    }
    let reply = post_json(
        url,
        r#"{"id":1,"method":"eth_getBalance","params":["0x12","latest"]}"#,
    )
    .await;
    assert_eq!(code(&reply), Some(-32602));
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("expected a 20-byte address, found \"0x12\""),
        "{message}"
    );

    let batch = r#"[{"id":1,"method":"eth_blockNumber"},5,{"method":"evm_mine"},
        {"id":2,"method":"nope"},{"id":3,"method":"eth_blockNumber","params":[]}]"#;
    let reply = post_json(url, batch).await;
    let items = reply.as_array().unwrap();
    assert_eq!(items.len(), 4, "the notification has no answer");
    assert_eq!(items[0]["result"], json!("0x0"));
    assert_eq!(code(&items[1]), Some(-32600));
    assert_eq!(code(&items[2]), Some(-32601));
    assert_eq!(items[3]["result"], json!("0x1"), "but it had its effect");
    assert_eq!(
        post(url, r#"{"method":"evm_mine"}"#).await,
        (204, String::new())
    );
    let many = format!("[{}]", vec!["1"; 1001].join(","));
    assert_eq!(code(&post_json(url, &many).await), Some(-32600));

    let (status, text) = post(url, vec![b' '; (32 << 20) + 1]).await;
    assert_eq!(status, 413);
    assert!(text.contains("expected at most"), "{text}");
    let page = reqwest::get(url).await.unwrap();
    assert_eq!(page.status().as_u16(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_may_ask() {
    let devnet = devnet().await;
    let client = reqwest::Client::new();
    let preflight = client
        .request(reqwest::Method::OPTIONS, devnet.http_url())
        .header("origin", "http://localhost:5173")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
        .send()
        .await
        .unwrap();
    assert!(preflight.status().is_success());
    let header = |name: &str| {
        preflight
            .headers()
            .get(name)
            .map(|v| v.to_str().unwrap().to_owned())
    };
    assert_eq!(header("access-control-allow-origin").as_deref(), Some("*"));
    assert!(header("access-control-allow-methods").is_some());
    assert!(header("access-control-allow-headers").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn estimates_suffice_and_are_close() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    let sender = devnet.accounts()[0].address;
    let gas = ok(
        &devnet,
        "eth_estimateGas",
        json!([{ "from": sender, "to": Address::ZERO }]),
    );
    assert_eq!(gas.await, json!("0x5208"));

    let fill = contract.fill(U256::ZERO, U256::from(50)).calldata().clone();
    let calls = [
        (
            contract
                .set(U256::from(9), vec![7; 500].into())
                .calldata()
                .clone(),
            1.1,
        ),
        (contract.burn(U256::from(500)).calldata().clone(), 1.1),
        (fill, 1.1),
        // Clearing slots is refunded after the fact, so the limit is well above what is paid.
        (
            contract
                .clear(U256::ZERO, U256::from(40))
                .calldata()
                .clone(),
            1.5,
        ),
        // Each level keeps back 1/64 of the gas and the innermost wants 50000 left.
        (contract.nested(U256::from(10)).calldata().clone(), 3.0),
    ];
    for (data, factor) in calls {
        let request = json!({ "from": sender, "to": contract.address(), "data": data });
        let gas = ok(&devnet, "eth_estimateGas", json!([request])).await;
        let estimate = u64::from_str_radix(&gas.as_str().unwrap()[2..], 16).unwrap();
        let snapshot = ok(&devnet, "evm_snapshot", json!([])).await;
        let too_little = (estimate as f64 * 0.97) as u64;
        let send = async |gas: u64| {
            let mut request = request.clone();
            request["gas"] = json!(format!("{gas:#x}"));
            let hash = devnet
                .request("eth_sendTransaction", json!([request]))
                .await
                .ok()?;
            let hash: B256 = serde_json::from_value(hash).unwrap();
            Some(
                provider
                    .get_transaction_receipt(hash)
                    .await
                    .unwrap()
                    .unwrap(),
            )
        };
        // Refused for the intrinsic gas, or failed for what execution needs.
        let failed = send(too_little)
            .await
            .is_none_or(|receipt| !receipt.status());
        assert!(failed, "{estimate} is too generous for {data}");
        ok(&devnet, "evm_revert", json!([snapshot])).await;
        let receipt = send(estimate).await.expect("accepted");
        assert!(receipt.status(), "{estimate} is too little for {data}");
        assert!(
            estimate as f64 <= receipt.gas_used as f64 * factor,
            "{estimate} {receipt:?}"
        );
    }

    let endless = contract.burn(U256::from(1_000_000)).calldata().clone();
    let request = json!([{ "to": contract.address(), "data": endless }]);
    let error = fails(&devnet, "eth_estimateGas", request).await;
    assert_eq!(error.message, "gas required exceeds allowance (16777216)");
    let poor = json!([{ "from": Address::repeat_byte(5), "to": Address::ZERO, "value": "0x1" }]);
    let error = fails(&devnet, "eth_estimateGas", poor).await;
    assert!(error.message.starts_with("insufficient funds"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_take_overrides() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    let (to, value) = (contract.address(), contract.value().calldata().clone());
    let call = json!({ "to": to, "data": value });
    let word = |n: u64| json!(B256::from(U256::from(n)));
    let diff = json!({ to.to_string(): { "stateDiff": { B256::ZERO.to_string(): word(99) } } });
    assert_eq!(
        ok(&devnet, "eth_call", json!([call, "latest", diff])).await,
        word(99)
    );
    let code = provider.get_code_at(*to).await.unwrap();
    let nowhere = Address::repeat_byte(0x55);
    let moved = json!({ nowhere.to_string(): { "code": code, "balance": "0x1" } });
    let call = json!({ "to": nowhere, "data": value });
    assert_eq!(
        ok(&devnet, "eth_call", json!([call, "latest", moved])).await,
        word(0)
    );
    let call = json!({ "to": to, "data": contract.surroundings().calldata() });
    let block = json!({ "number": "0x1234", "time": "0x77", "coinbase": nowhere });
    let result = ok(&devnet, "eth_call", json!([call, "latest", {}, block])).await;
    let words = result.as_str().unwrap().as_bytes()[2..]
        .chunks(64)
        .collect::<Vec<_>>();
    assert!(words[0].ends_with(b"1234") && words[1].ends_with(b"77") && words[5].ends_with(b"55"));
    assert_eq!(
        contract.value().call().await.unwrap(),
        U256::ONE,
        "nothing stays"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_are_reported() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    // A tip without a limit is completed by the client after the estimate.
    let call = contract
        .set(U256::ZERO, Bytes::new())
        .max_priority_fee_per_gas(3);
    call.send().await.unwrap().get_receipt().await.unwrap();
    for i in 0..3 {
        let call = contract
            .set(U256::from(i), Bytes::new())
            .max_fee_per_gas(5_000_000_000)
            .max_priority_fee_per_gas(1 + i);
        call.send().await.unwrap().get_receipt().await.unwrap();
    }
    let head = height(&provider).await;
    let history = provider
        .get_fee_history(3, BlockNumberOrTag::Latest, &[0.0, 50.0, 100.0])
        .await
        .unwrap();
    assert_eq!(history.oldest_block, head - 2);
    assert_eq!(
        (history.base_fee_per_gas.len(), history.gas_used_ratio.len()),
        (4, 3)
    );
    assert_eq!(history.reward.unwrap(), [[1, 1, 1], [2, 2, 2], [3, 3, 3]]);
    for (i, number) in (head - 2..=head).enumerate() {
        let block = provider
            .get_block(BlockId::number(number))
            .await
            .unwrap()
            .unwrap()
            .header;
        assert_eq!(
            history.base_fee_per_gas[i],
            u128::from(block.base_fee_per_gas.unwrap())
        );
        let ratio = block.gas_used as f64 / block.gas_limit as f64;
        assert!((history.gas_used_ratio[i] - ratio).abs() < 1e-12);
    }
    let pending = provider
        .get_block(BlockId::pending())
        .await
        .unwrap()
        .unwrap()
        .header;
    assert_eq!(
        history.base_fee_per_gas[3],
        u128::from(pending.base_fee_per_gas.unwrap())
    );
    let price = provider.get_gas_price().await.unwrap();
    assert_eq!(price, history.base_fee_per_gas[3] + 1_000_000_000);
    // Asked for more than there is: all there is.
    let history = provider
        .get_fee_history(500, BlockNumberOrTag::Latest, &[])
        .await
        .unwrap();
    assert_eq!(
        (history.oldest_block, history.gas_used_ratio.len() as u64),
        (0, head + 1)
    );
    fails(&devnet, "eth_feeHistory", json!(["0x1", "0x999", []])).await;
    fails(
        &devnet,
        "eth_feeHistory",
        json!(["0x1", "latest", [50, 10]]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_sign() {
    let devnet = devnet().await;
    let address = devnet.accounts()[2].address;
    let message = Bytes::from_static(b"as sworn");
    let hash = eip191_hash_message(&message);
    for (method, params) in [
        ("personal_sign", json!([message, address])),
        ("eth_sign", json!([address, message])),
    ] {
        let bytes: Bytes = serde_json::from_value(ok(&devnet, method, params).await).unwrap();
        let signature = Signature::from_raw(&bytes).unwrap();
        assert_eq!(
            signature.recover_address_from_prehash(&hash).unwrap(),
            address
        );
    }
    // The mail of EIP-712, whose hash is in the standard.
    let data = json!({
        "types": { "Person": [{ "name": "name", "type": "string" },
                              { "name": "wallet", "type": "address" }],
                   "Mail": [{ "name": "from", "type": "Person" },
                            { "name": "to", "type": "Person" },
                            { "name": "contents", "type": "string" }] },
        "primaryType": "Mail",
        "domain": { "name": "Ether Mail", "version": "1", "chainId": 1,
                    "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC" },
        "message": {
            "from": { "name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826" },
            "to": { "name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB" },
            "contents": "Hello, Bob!" } });
    let hash: B256 = "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
        .parse()
        .unwrap();
    for data in [json!(data.to_string()), data] {
        let signature = ok(&devnet, "eth_signTypedData_v4", json!([address, data])).await;
        let bytes: Bytes = serde_json::from_value(signature).unwrap();
        let signature = Signature::from_raw(&bytes).unwrap();
        assert_eq!(
            signature.recover_address_from_prehash(&hash).unwrap(),
            address
        );
    }
    fails(&devnet, "personal_sign", json!(["0x00", Address::ZERO])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_can_be_edited() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    let somebody = Address::repeat_byte(0x42);
    for prefix in ["anvil", "hardhat"] {
        ok(
            &devnet,
            &format!("{prefix}_setBalance"),
            json!([somebody, "0x64"]),
        )
        .await;
        ok(
            &devnet,
            &format!("{prefix}_setNonce"),
            json!([somebody, "0x5"]),
        )
        .await;
        let code = provider.get_code_at(*contract.address()).await.unwrap();
        ok(
            &devnet,
            &format!("{prefix}_setCode"),
            json!([somebody, code]),
        )
        .await;
        let word = B256::from(U256::from(11));
        ok(
            &devnet,
            &format!("{prefix}_setStorageAt"),
            json!([somebody, "0x0", word]),
        )
        .await;
    }
    assert_eq!(
        provider.get_balance(somebody).await.unwrap(),
        U256::from(100)
    );
    assert_eq!(provider.get_transaction_count(somebody).await.unwrap(), 5);
    let copy = crate::common::Probe::new(somebody, provider.clone());
    assert_eq!(copy.value().call().await.unwrap(), U256::from(11));
    // The edit is part of the state that the next block commits.
    ok(&devnet, "evm_mine", json!([])).await;
    check_proof(&devnet, &provider, somebody, &[U256::ZERO, U256::ONE]).await;
    let coinbase = Address::repeat_byte(0xcb);
    ok(&devnet, "hardhat_setCoinbase", json!([coinbase])).await;
    ok(&devnet, "evm_mine", json!([])).await;
    let block = provider
        .get_block(BlockId::latest())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(block.header.beneficiary, coinbase);
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_lead_to_the_state_root() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 3).await;
    let call = contract.fill(U256::ZERO, U256::from(30));
    call.send().await.unwrap().get_receipt().await.unwrap();
    let slot = |i: u64| -> U256 {
        keccak256([B256::from(U256::from(i)), B256::from(U256::ONE)].concat()).into()
    };
    check_proof(
        &devnet,
        &provider,
        *contract.address(),
        &[U256::ZERO, slot(0), slot(29), slot(30)],
    )
    .await;
    check_proof(
        &devnet,
        &provider,
        Address::repeat_byte(0xee),
        &[U256::ZERO],
    )
    .await;
}

/// Follows an `eth_getProof` from the header's root down, by hash.
async fn check_proof(
    devnet: &sworn_node::devnet::DevnetHandle,
    provider: &impl Provider,
    address: Address,
    slots: &[U256],
) {
    let slots: Vec<B256> = slots.iter().map(|slot| B256::from(*slot)).collect();
    let proof = ok(devnet, "eth_getProof", json!([address, slots, "latest"])).await;
    let proof: EIP1186AccountProofResponse = serde_json::from_value(proof).unwrap();
    let root = provider
        .get_block(BlockId::latest())
        .await
        .unwrap()
        .unwrap()
        .header
        .state_root;
    let account = TrieAccount {
        nonce: proof.nonce,
        balance: proof.balance,
        storage_root: proof.storage_hash,
        code_hash: proof.code_hash,
    };
    let absent = account
        == TrieAccount {
            ..Default::default()
        };
    let leaf = (!absent).then(|| alloy::rlp::encode(account));
    check_path(root, &proof.account_proof, leaf);
    for storage in proof.storage_proof {
        let leaf = (!storage.value.is_zero()).then(|| alloy::rlp::encode(storage.value));
        check_path(proof.storage_hash, &storage.proof, leaf);
    }
}

fn check_path(root: B256, nodes: &[Bytes], leaf: Option<Vec<u8>>) {
    let contains = |node: &[u8], part: &[u8]| node.windows(part.len()).any(|w| w == part);
    if let Some(first) = nodes.first() {
        assert_eq!(keccak256(first), root);
    }
    for pair in nodes.windows(2) {
        assert!(contains(&pair[0], keccak256(&pair[1]).as_slice()));
    }
    if let Some(leaf) = leaf {
        assert!(contains(nodes.last().expect("a path"), &leaf));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_and_transactions_are_found_every_way() {
    let devnet = devnet().await;
    let provider = http(&devnet);
    let contract = probe(&provider, 1).await;
    let call = contract.set(U256::from(2), Bytes::new());
    let receipt = call.send().await.unwrap().get_receipt().await.unwrap();
    let (hash, block) = (receipt.transaction_hash, receipt.block_hash.unwrap());
    let transaction = ok(&devnet, "eth_getTransactionByHash", json!([hash])).await;
    let number = json!(format!("{:#x}", receipt.block_number.unwrap()));
    for (method, id) in [
        ("eth_getTransactionByBlockNumberAndIndex", number.clone()),
        ("eth_getTransactionByBlockHashAndIndex", json!(block)),
    ] {
        assert_eq!(ok(&devnet, method, json!([id, "0x0"])).await, transaction);
        assert_eq!(ok(&devnet, method, json!([id, "0x1"])).await, Value::Null);
    }
    assert_eq!(
        ok(&devnet, "eth_getBlockReceipts", json!([number])).await[0]["transactionHash"],
        json!(hash)
    );
    let by_hash = ok(&devnet, "eth_getBlockByHash", json!([block, true])).await;
    assert_eq!(
        by_hash,
        ok(&devnet, "eth_getBlockByNumber", json!([number, true])).await
    );
    assert_eq!(by_hash["transactions"][0], transaction);
    for key in [
        "size",
        "withdrawals",
        "uncles",
        "requestsHash",
        "parentBeaconBlockRoot",
        "nonce",
    ] {
        assert!(!by_hash[key].is_null(), "{key} in {by_hash}");
    }
    for unknown in [json!(["0x999", false]), json!([B256::ZERO, false])] {
        assert_eq!(
            ok(&devnet, "eth_getBlockByNumber", unknown).await,
            Value::Null
        );
    }
    let raw: Bytes =
        serde_json::from_value(ok(&devnet, "eth_getRawTransactionByHash", json!([hash])).await)
            .unwrap();
    assert_eq!(keccak256(raw), hash);
}
