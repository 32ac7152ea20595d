//! The straight path: asked, answered, claimed, final, posted, paid. On the embedded chain and on a foreign one; with real weights.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::U256;
use sworn_node::Node;
use sworn_node::machine::Machine;

use crate::world::{Chain, Parrot, fable, json, log, prompt, settings, start, wait_for};

const LONG: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn on_the_embedded_chain() {
    straight(Chain::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_anvil() {
    if let Some(chain) = Chain::anvil().await {
        straight(chain).await;
    }
}

async fn straight(chain: Chain) {
    log();
    let d = chain.deploy().await;
    let parrot = Arc::new(Parrot::new(1, Duration::from_millis(2)));
    let user = chain.client(1).await;
    parrot.register(&user, &d).await;
    let data = tempfile::tempdir().unwrap();
    let node = start(settings(&chain, d, data.path(), 0), &[&parrot]).await;

    let (payload, params) = prompt("hello", 2, 64);
    let asked = user.ask(&d, parrot.id(), payload, &params).await.unwrap();
    let started = Instant::now();
    let (answered, _) = wait_for(
        &node,
        asked.id,
        &["answered", "claimed", "final", "posted"],
        LONG,
    )
    .await;
    println!(
        "{}: answered {:?} after the transaction",
        chain.url,
        started.elapsed()
    );
    assert_eq!(answered["responses"].as_array().unwrap().len(), 2);
    assert_ne!(
        answered["responses"][0]["text"],
        answered["responses"][1]["text"]
    );
    assert_eq!(answered["prompt"][0]["text"], "hello");
    let (posted, _) = wait_for(&node, asked.id, &["posted"], LONG).await;
    println!(
        "{}: posted {:?} after the transaction",
        chain.url,
        started.elapsed()
    );
    assert_eq!(posted["unfinal"], false);
    assert_eq!(posted["claim"]["status"], "final");
    for run in 0..2 {
        let on_chain = user.response(&d, asked.id, run).await.unwrap();
        assert!(on_chain.posted);
        assert_eq!(on_chain.newTokens, 64);
    }
    user.rank(&d, asked.id, vec![1, 2], false).await.unwrap();
    assert_eq!(user.rankings(&d, asked.id, 0, 10).await.unwrap().len(), 1);

    // The fee goes to who served it, once, and the bond comes back.
    let account = node.context().client.account().unwrap();
    let bond = user.bond_wei(&d).await.unwrap();
    assert_eq!(settled(&user, &d, account).await, (bond, asked.price_wei));
    let status = json(&node, "/v1/status").await;
    assert_eq!(status["waiting"]["unanswered"], 0);
    assert_eq!(
        status["account"]["earned_fees_wei"],
        asked.price_wei.to_string()
    );
    let stream = crate::world::text(&node, &format!("/v1/prompts/{}/stream", asked.id)).await;
    assert_eq!(stream.matches("event: token").count(), 128, "{stream}");
    assert!(stream.trim_end().ends_with("}"), "{stream}");
    assert!(stream.contains("event: done"));

    // Withdrawing gives exactly that.
    let collected = node
        .context()
        .client
        .withdraw_all(&d, account)
        .await
        .unwrap();
    assert_eq!(collected, (bond, asked.price_wei));
    assert_eq!(
        user.withdrawable(&d, account).await.unwrap(),
        (U256::ZERO, U256::ZERO)
    );
    node.stop().await;
}

/// Waits until the fees of an account are there.
pub(crate) async fn settled(
    user: &sworn_node::chain::ChainClient,
    d: &sworn_node::chain::Deployment,
    account: alloy::primitives::Address,
) -> (U256, U256) {
    let deadline = Instant::now() + LONG;
    loop {
        let (bonds, fees) = user.withdrawable(d, account).await.unwrap();
        if !fees.is_zero() && !bonds.is_zero() {
            return (bonds, fees);
        }
        assert!(
            Instant::now() < deadline,
            "the fee was not paid: {bonds} {fees}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_shipped_model() {
    log();
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("model");
    let chain = Chain::embedded().await;
    let d = chain.deploy().await;
    let user = chain.client(1).await;
    let id = fable(&user, &d, &folder).await.card().id;
    let node = Node::start(sworn_node::NodeSettings {
        models: vec![folder],
        ..settings(&chain, d, data.path(), 0)
    })
    .await
    .unwrap();

    let (payload, params) = prompt("The fox and the crow", 2, 64);
    let asked = user.ask(&d, id, payload, &params).await.unwrap();
    let started = Instant::now();
    let (answered, _) = wait_for(
        &node,
        asked.id,
        &["answered", "claimed", "final", "posted"],
        LONG,
    )
    .await;
    println!(
        "64 tokens of fable-2m, twice: readable {:?} after the transaction",
        started.elapsed()
    );
    println!(
        "{}\n--\n{}",
        answered["responses"][0]["text"], answered["responses"][1]["text"]
    );
    assert_ne!(
        answered["responses"][0]["text"],
        answered["responses"][1]["text"]
    );
    wait_for(&node, asked.id, &["posted"], LONG).await;
    let window = user.window_seconds(&d).await.unwrap();
    println!(
        "posted {:?} after the transaction, window {window} s",
        started.elapsed()
    );

    // A prompt that is no payload and one that is too long have results like any other.
    // The inbox refuses what is no payload; that token 5 is no control token only the model knows.
    assert!(user.ask(&d, id, vec![9, 9].into(), &params).await.is_err());
    let payload = vec![1, 1, 0, 0, 0, 5].into();
    let malformed = user.ask(&d, id, payload, &params).await.unwrap();
    let (long, _) = prompt(&"many words ".repeat(2_000), 1, 8);
    let too_long = user.ask(&d, id, long, &params).await.unwrap();
    let (one, _) = wait_for(&node, malformed.id, &["posted"], LONG).await;
    let (two, _) = wait_for(&node, too_long.id, &["posted"], LONG).await;
    assert_eq!(
        (&one["responses"][0]["finish"], &one["error"]["kind"]),
        (&"too_long".into(), &"malformed".into())
    );
    assert_eq!(
        (&two["responses"][0]["finish"], &two["error"]["kind"]),
        (&"too_long".into(), &"too_long".into())
    );
    assert_eq!(one["responses"][0]["new_tokens"], 0);
    node.stop().await;
}
