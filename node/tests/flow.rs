//! The whole path on a foreign chain: asked, answered, claimed, final, posted; restarts in between; two nodes; reorganisations.

mod chain_and_machine;

use std::sync::Arc;
use std::time::Duration;

use chain_and_machine::{Chain, Parrot, json, log, prompt, settings, start, wait_for};

const LONG: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_answered_claimed_final_and_posted() {
    log();
    let Some(chain) = Chain::start().await else { return };
    let d = chain.deploy().await;
    let parrot = Arc::new(Parrot::new(1, Duration::from_millis(5)));
    let user = chain.client(1).await;
    parrot.register(&user, &d).await;
    let data = tempfile::tempdir().unwrap();
    let node = start(settings(&chain, d, data.path(), 0), &[parrot.clone()]).await;

    let (payload, params) = prompt("hello", 2, 64);
    let asked = user.ask(&d, parrot.id(), payload, &params).await.unwrap();
    let started = std::time::Instant::now();
    let (answered, _) = wait_for(&node, asked.id, &["answered", "claimed", "final", "posted"], LONG).await;
    println!("answered after {:?}", started.elapsed());
    assert_eq!(answered["responses"].as_array().unwrap().len(), 2);
    assert_ne!(answered["responses"][0]["text"], answered["responses"][1]["text"]);
    let (posted, _) = wait_for(&node, asked.id, &["posted"], LONG).await;
    println!("posted after {:?}", started.elapsed());
    assert_eq!(posted["unfinal"], false);
    assert_eq!(posted["claim"]["status"], "final");
    for run in 0..2 {
        let on_chain = user.response(&d, asked.id, run).await.unwrap();
        assert!(on_chain.posted);
        assert_eq!(on_chain.newTokens, 64);
    }
    // The fee goes to who served it, once, and the bond comes back.
    let account = node.context().client.account().unwrap();
    let bond = user.bond_wei(&d).await.unwrap();
    let deadline = std::time::Instant::now() + LONG;
    loop {
        let (bonds, fees) = user.withdrawable(&d, account).await.unwrap();
        if !fees.is_zero() {
            assert_eq!((bonds, fees), (bond, asked.price_wei));
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the fee was not paid");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let status = json(&node, "/v1/status").await;
    assert_eq!(status["waiting"]["unanswered"], 0);
    assert_eq!(status["account"]["earned_fees_wei"], asked.price_wei.to_string());
    node.stop().await;
}
