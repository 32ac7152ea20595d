//! Trouble that a node meets: models it does not know, recipients that fail, wrong claims, reorganised chains, wrong settings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{B256, U256};
use serde_json::json;
use sworn_node::chain::abi::{claims, inbox};
use sworn_node::chain::{ChainError, Deployment};
use sworn_node::store::tables;
use sworn_node::{Node, NodeError};

use crate::world::{Chain, Parrot, json, log, prompt, settings, start, wait_for};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_input_stops_nothing() {
    log();
    let chain = Chain::embedded().await;
    let d = chain.deploy().await;
    let (parrot, stranger) = (
        Arc::new(Parrot::new(1, Duration::ZERO)),
        Arc::new(Parrot::new(2, Duration::ZERO)),
    );
    let user = chain.client(1).await;
    parrot.register(&user, &d).await;
    stranger.register(&user, &d).await;
    let data = tempfile::tempdir().unwrap();
    let mut node_settings = settings(&chain, d, data.path(), 0);
    node_settings.behaviour.voucher_retry_seconds = 1;
    let node = start(node_settings.clone(), &[&parrot]).await;

    let (payload, params) = prompt("who?", 2, 8);
    let unserved = user
        .ask(&d, stranger.id(), payload.clone(), &params)
        .await
        .unwrap();
    // A recipient that is no recipient: its callback reverts.
    let word = B256::from(params.pack().0);
    let price = user
        .quote(&d, parrot.id(), word, payload.len() as u64)
        .await
        .unwrap();
    let contract_params = inbox::Params {
        kind: 1,
        nRuns: 2,
        maxNewTokens: 8,
        maxTotalTokens: 0,
        temperatureMilli: 800,
        topK: params.top_k,
        topPPpm: params.top_p_ppm,
        minPPpm: params.min_p_ppm,
    };
    let call = inbox::submitCall {
        modelId: parrot.id(),
        params: contract_params,
        payload: payload.clone(),
        recipient: d.claims,
    };
    user.transact(d.inbox, &call, price).await.unwrap();
    let good = user.ask(&d, parrot.id(), payload, &params).await.unwrap();

    wait_for(&node, good.id, &["posted"], LONG).await;
    let (failed, _) = wait_for(&node, unserved.id, &["failed"], LONG).await;
    assert_eq!(failed["error"]["kind"], "not_served");
    assert!(
        failed["error"]["message"]
            .as_str()
            .unwrap()
            .contains(&stranger.id().to_string())
    );
    let undelivered = good.id - 1;
    let waiting = Instant::now();
    loop {
        let (prompt, _) = wait_for(&node, undelivered, &["final"], LONG).await;
        if prompt["responses"][1]["delivery_error"].is_string() {
            assert_eq!(prompt["responses"][0]["posted"], false);
            break;
        }
        assert!(waiting.elapsed() < LONG);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let stream = crate::world::text(&node, &format!("/v1/prompts/{}/stream", unserved.id)).await;
    assert!(
        stream.contains("event: error") && stream.contains("event: done"),
        "{stream}"
    );
    node.stop().await;

    // Served from now on, it is taken up again.
    let node = start(node_settings, &[&parrot, &stranger]).await;
    wait_for(&node, unserved.id, &["posted"], LONG).await;
    node.stop().await;
}

/// A wrong claim of somebody else, first in its lane: the right one is claimed beside it and becomes final.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_rival_is_not_followed() {
    log();
    let chain = Chain::embedded().await;
    let d = chain.deploy().await;
    let parrot = Arc::new(Parrot::new(1, Duration::from_millis(60)));
    let (user, liar) = (chain.client(1).await, chain.client(2).await);
    parrot.register(&user, &d).await;
    let data = tempfile::tempdir().unwrap();
    let node = start(settings(&chain, d, data.path(), 0), &[&parrot]).await;
    let (payload, params) = prompt("true?", 1, 40);
    let asked = user.ask(&d, parrot.id(), payload, &params).await.unwrap();
    let (sealed, _) = wait_for(&node, asked.id, &["sealed", "answered"], LONG).await;
    let epoch = sealed["epoch"].as_u64().unwrap();
    let (_, end) = user.epoch_bounds(&d, epoch).await.unwrap();
    while user.head().await.unwrap().number + 1 < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let accumulator = user.accumulator_at(&d, epoch).await.unwrap();
    let wrong = B256::repeat_byte(0xbd);
    let lie = claims::claimCall {
        epoch,
        modelId: parrot.id(),
        accumulator,
        digests: vec![wrong],
    };
    liar.transact(d.claims, &lie, user.bond_wei(&d).await.unwrap())
        .await
        .unwrap();
    let (posted, _) = wait_for(&node, asked.id, &["posted"], LONG).await;
    assert_ne!(posted["claim"]["root"], json!(wrong));
    assert_eq!(
        user.lane_claims(&d, epoch, parrot.id())
            .await
            .unwrap()
            .len(),
        2
    );
    node.stop().await;
}

/// A lie becomes final before this node has its own answer: the node says so and never shows that answer as the chain's.
#[tokio::test(flavor = "multi_thread")]
async fn a_lie_that_became_final_is_told() {
    log();
    let chain = Chain::embedded().await;
    let d = chain.deploy().await;
    let parrot = Arc::new(Parrot::new(1, Duration::from_millis(60)));
    let (user, liar) = (chain.client(1).await, chain.client(2).await);
    parrot.register(&user, &d).await;
    let data = tempfile::tempdir().unwrap();
    let node = start(settings(&chain, d, data.path(), 0), &[&parrot]).await;
    let (payload, params) = prompt("slow", 1, 200);
    let asked = user.ask(&d, parrot.id(), payload, &params).await.unwrap();
    let (sealed, _) = wait_for(&node, asked.id, &["sealed"], LONG).await;
    let epoch = sealed["epoch"].as_u64().unwrap();
    let (_, end) = user.epoch_bounds(&d, epoch).await.unwrap();
    while user.head().await.unwrap().number < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let lie = claims::claimCall {
        epoch,
        modelId: parrot.id(),
        accumulator: user.accumulator_at(&d, epoch).await.unwrap(),
        digests: vec![B256::repeat_byte(0xbd)],
    };
    liar.transact(d.claims, &lie, user.bond_wei(&d).await.unwrap())
        .await
        .unwrap();
    let claim = user.lane_claims(&d, epoch, parrot.id()).await.unwrap()[0];
    let finalise = claims::finaliseCall { claimId: claim };
    let waiting = Instant::now();
    while liar
        .transact(d.claims, &finalise, U256::ZERO)
        .await
        .is_err()
    {
        assert!(waiting.elapsed() < LONG, "the lie never became final");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    loop {
        let view = json(&node, &format!("/v1/prompts/{}", asked.id)).await;
        if view["error"]["kind"] == "overruled" {
            assert_eq!(view["unfinal"], true);
            break;
        }
        assert!(waiting.elapsed() < LONG, "{view:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    node.stop().await;
}

/// The chain forgets blocks that the node has read: the node forgets them too and reads what came instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorganised_chain_is_followed() {
    log();
    let chain = Chain::embedded().await;
    let devnet = chain.embedded.as_ref().unwrap();
    let d = chain.deploy().await;
    let parrot = Arc::new(Parrot::new(1, Duration::ZERO));
    let user = chain.client(1).await;
    parrot.register(&user, &d).await;
    let data = tempfile::tempdir().unwrap();
    let node = start(settings(&chain, d, data.path(), 0), &[&parrot]).await;
    let (payload, params) = prompt("before", 1, 8);
    let kept = user.ask(&d, parrot.id(), payload, &params).await.unwrap();
    wait_for(&node, kept.id, &["posted"], LONG).await;
    let snapshot = devnet.request("evm_snapshot", json!([])).await.unwrap();
    let (payload, params) = prompt("forgotten", 1, 8);
    let forgotten = user.ask(&d, parrot.id(), payload, &params).await.unwrap();
    wait_for(
        &node,
        forgotten.id,
        &["answered", "claimed", "final", "posted"],
        LONG,
    )
    .await;
    devnet
        .request("evm_revert", json!([snapshot]))
        .await
        .unwrap();

    let fresh = chain.client(2).await;
    let (payload, params) = prompt("instead", 1, 8);
    let instead = fresh.ask(&d, parrot.id(), payload, &params).await.unwrap();
    assert_eq!(instead.id, forgotten.id);
    let waiting = Instant::now();
    loop {
        let (prompt, _) = wait_for(&node, instead.id, &["posted"], LONG).await;
        if prompt["prompt"][0]["text"] == "instead" {
            break;
        }
        assert!(waiting.elapsed() < LONG, "{prompt:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(user.response(&d, instead.id, 0).await.unwrap().posted);
    assert_eq!(
        node.context()
            .store
            .read(tables::INPUTS, &instead.id)
            .unwrap()
            .unwrap()
            .sender,
        d.prompts
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_refused_with_a_remedy() {
    log();
    let chain = Chain::embedded().await;
    let d = chain.deploy().await;
    let data = tempfile::tempdir().unwrap();
    let good = settings(&chain, d, data.path(), 0);

    let other_chain = Deployment { chain_id: 1, ..d };
    let err = Node::start_with(
        sworn_node::NodeSettings {
            deployment: other_chain,
            ..good.clone()
        },
        vec![],
    )
    .await
    .unwrap_err();
    assert!(
        matches!(
            err,
            NodeError::Chain(ChainError::WrongChain {
                found: 31337,
                expected: 1,
                ..
            })
        ),
        "{err}"
    );

    let nowhere = Deployment {
        vouchers: alloy::primitives::Address::repeat_byte(9),
        ..d
    };
    let err = Node::start_with(
        sworn_node::NodeSettings {
            deployment: nowhere,
            ..good.clone()
        },
        vec![],
    )
    .await
    .unwrap_err();
    assert!(
        err.to_string().contains("no code at") && err.to_string().contains("Vouchers"),
        "{err}"
    );

    let err = Node::start_with(
        sworn_node::NodeSettings {
            signer: None,
            ..good.clone()
        },
        vec![],
    )
    .await
    .unwrap_err();
    assert!(matches!(err, NodeError::NoKey { .. }), "{err}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let err = Node::start_with(
        sworn_node::NodeSettings {
            api: Some(taken.local_addr().unwrap()),
            ..good.clone()
        },
        vec![],
    )
    .await
    .unwrap_err();
    assert!(matches!(err, NodeError::Listen { .. }), "{err}");

    let node = start(good.clone(), &[]).await;
    for (path, status, code) in [
        ("/v1/prompts/0", 404, "unknown_prompt"),
        ("/v1/prompts/x", 400, "bad_parameter"),
        ("/v1/prompts?limit=1000000", 400, "bad_parameter"),
        ("/v1/prompts?colour=red", 400, "bad_parameter"),
        ("/v2", 404, "unknown_route"),
    ] {
        let response = reqwest::get(format!("http://{}{path}", node.api_address().unwrap()))
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{path}");
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], code, "{path}");
    }
    node.stop().await;

    // A poor signer is told what it needs.
    let poor = sworn_node::chain::ChainClient::connect(
        &chain.url,
        Some(alloy::signers::local::PrivateKeySigner::random()),
        crate::world::options(),
    )
    .await
    .unwrap();
    let call = inbox::sealCall {
        header: vec![].into(),
        limit: U256::from(1),
    };
    let err = poor.transact(d.inbox, &call, U256::ZERO).await.unwrap_err();
    assert!(err.is_revert::<inbox::NothingToSeal>(), "{err}");
    let err = poor
        .send(
            d.inbox,
            &call,
            U256::from(1_000),
            sworn_node::chain::Gas::Limit(100_000),
        )
        .await
        .unwrap_err();
    assert!(matches!(err, ChainError::Poor { .. }), "{err}");
}
