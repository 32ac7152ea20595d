//! Bonds come back to who paid them, whatever the node serves and however little it owns.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::U256;
use serde_json::json;

use crate::world::{Chain, Parrot, log, prompt, settings, start, wait_for};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_finished_after_its_model_was_removed() {
    log();
    let chain = Chain::embedded().await;
    let d = chain.deploy().await;
    let parrot = Arc::new(Parrot::new(1, Duration::ZERO));
    let user = chain.client(1).await;
    parrot.register(&user, &d).await;
    let data = tempfile::tempdir().unwrap();
    let node = start(settings(&chain, d, data.path(), 0), &[&parrot]).await;
    let (payload, params) = prompt("and then?", 1, 8);
    let asked = user.ask(&d, parrot.id(), payload, &params).await.unwrap();
    let (claimed, _) = wait_for(&node, asked.id, &["claimed"], LONG).await;
    node.stop().await;
    let epoch = claimed["epoch"].as_u64().unwrap();
    let last = user.final_claim(&d, epoch, parrot.id()).await.unwrap();
    assert_eq!(last, None, "the test came too late to test anything");

    let node = start(settings(&chain, d, data.path(), 0), &[]).await;
    wait_for(&node, asked.id, &["posted"], LONG).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn released_bonds_pay_for_the_next_claims() {
    log();
    let chain = Chain::embedded().await;
    let d = chain.deploy().await;
    let parrot = Arc::new(Parrot::new(1, Duration::ZERO));
    let user = chain.client(1).await;
    parrot.register(&user, &d).await;
    let data = tempfile::tempdir().unwrap();
    let node = start(settings(&chain, d, data.path(), 0), &[&parrot]).await;
    let account = node.context().client.account().unwrap();
    let bond = user.bond_wei(&d).await.unwrap();
    let coins = bond + bond / U256::from(2);
    chain
        .embedded
        .as_ref()
        .unwrap()
        .request("anvil_setBalance", json!([account, coins]))
        .await
        .unwrap();
    for text in ["one", "two", "three"] {
        let (payload, params) = prompt(text, 1, 4);
        let asked = user.ask(&d, parrot.id(), payload, &params).await.unwrap();
        wait_for(&node, asked.id, &["posted"], LONG).await;
    }
    node.stop().await;
}
