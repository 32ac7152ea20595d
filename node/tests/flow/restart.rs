//! Nodes that stop in the middle, and two nodes on one chain.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sworn_node::chain::Event;
use sworn_node::roles::RoleName;

use crate::path::settled;
use crate::world::{Chain, Parrot, log, prompt, settings, start, wait_for};

const LONG: Duration = Duration::from_secs(60);

/// Stops the node at each stage of the path, with fewer roles each time so that it certainly stops there, and starts it again on the same
/// store: everything happens exactly once.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_goes_on_where_it_stopped() {
    log();
    let chain = Chain::embedded().await;
    let d = chain.deploy().await;
    let parrot = Arc::new(Parrot::new(1, Duration::from_millis(1)));
    let user = chain.client(1).await;
    parrot.register(&user, &d).await;
    let data = tempfile::tempdir().unwrap();
    let (payload, params) = prompt("hello", 2, 32);
    let asked = user.ask(&d, parrot.id(), payload, &params).await.unwrap();

    let mut texts = None;
    let mut roles = BTreeSet::new();
    for (role, state) in [
        (None, "pending"),
        (Some(RoleName::Sealer), "sealed"),
        (Some(RoleName::Executor), "answered"),
        (Some(RoleName::Proposer), "claimed"),
        (Some(RoleName::Finaliser), "final"),
        (Some(RoleName::Courier), "posted"),
    ] {
        roles.extend(role);
        let mut settings = settings(&chain, d, data.path(), 0);
        settings.roles = roles.clone();
        let node = start(settings, &[&parrot]).await;
        let waiting = Instant::now();
        loop {
            // Right after the start the node may not have read the prompt.
            let found = reqwest::get(format!(
                "http://{}/v1/prompts/{}",
                node.api_address().unwrap(),
                asked.id
            ))
            .await
            .unwrap();
            if found.status().is_success() {
                break;
            }
            assert!(waiting.elapsed() < LONG);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (prompt, _) = wait_for(&node, asked.id, &[state], LONG).await;
        let now: Vec<_> = prompt["responses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["text"].clone())
            .collect();
        if !now.is_empty() {
            assert_eq!(texts.get_or_insert_with(|| now.clone()), &now);
        }
        node.stop().await;
    }

    // Let it run a while: whatever it would do twice, it has time to.
    let node = start(settings(&chain, d, data.path(), 0), &[&parrot]).await;
    let account = node.context().client.account().unwrap();
    assert_eq!(
        settled(&user, &d, account).await,
        (user.bond_wei(&d).await.unwrap(), asked.price_wei)
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    node.stop().await;
    let head = user.head().await.unwrap().number;
    let events = user.events(&d, d.block, head).await.unwrap();
    let count = |f: fn(&Event) -> bool| events.iter().filter(|e| f(&e.event)).count();
    assert_eq!(count(|e| matches!(e, Event::InputSealed { .. })), 1);
    assert_eq!(count(|e| matches!(e, Event::Claimed { .. })), 1);
    assert_eq!(count(|e| matches!(e, Event::Finalised { .. })), 1);
    assert_eq!(count(|e| matches!(e, Event::VoucherExecuted { .. })), 2);
    assert_eq!(count(|e| matches!(e, Event::Settled { .. })), 1);
}

/// A handle that is dropped without a farewell, in the middle of a job.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_node_loses_nothing() {
    log();
    let chain = Chain::embedded().await;
    let d = chain.deploy().await;
    let slow = Arc::new(Parrot::new(1, Duration::from_millis(50)));
    let user = chain.client(1).await;
    slow.register(&user, &d).await;
    let data = tempfile::tempdir().unwrap();
    let (payload, params) = prompt("slowly", 1, 40);
    let node = start(settings(&chain, d, data.path(), 0), &[&slow]).await;
    let asked = user.ask(&d, slow.id(), payload, &params).await.unwrap();
    let waiting = Instant::now();
    while node
        .context()
        .streams
        .since(asked.id, 0)
        .is_none_or(|tokens| tokens.len() < 5)
    {
        assert!(waiting.elapsed() < LONG);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(node);
    let node = start(settings(&chain, d, data.path(), 0), &[&slow]).await;
    wait_for(&node, asked.id, &["posted"], LONG).await;
    node.stop().await;
}

/// Both compute the same root: one claim is enough, and the second node sees it and keeps its bond.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_agree() {
    log();
    let chain = Chain::embedded().await;
    let d = chain.deploy().await;
    let parrot = Arc::new(Parrot::new(1, Duration::from_millis(1)));
    let user = chain.client(2).await;
    parrot.register(&user, &d).await;
    let (one_data, two_data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = start(settings(&chain, d, one_data.path(), 0), &[&parrot]).await;
    let two = start(settings(&chain, d, two_data.path(), 1), &[&parrot]).await;
    let mut ids = Vec::new();
    for i in 0..6 {
        let (payload, params) = prompt(&format!("question {i}"), 1 + i % 3, 16);
        ids.push(
            user.ask(&d, parrot.id(), payload, &params)
                .await
                .unwrap()
                .id,
        );
    }
    for id in &ids {
        let (first, _) = wait_for(&one, *id, &["posted"], LONG).await;
        let (second, _) = wait_for(&two, *id, &["posted"], LONG).await;
        assert_eq!(first["responses"], second["responses"]);
        assert_eq!(first["claim"], second["claim"]);
    }
    one.stop().await;
    two.stop().await;
    let head = user.head().await.unwrap().number;
    let events = user.events(&d, d.block, head).await.unwrap();
    let mut roots = std::collections::BTreeMap::new();
    for located in &events {
        if let Event::Claimed { epoch, root, .. } = located.event {
            assert_eq!(
                *roots.entry(epoch).or_insert(root),
                root,
                "two roots in epoch {epoch}"
            );
        }
    }
    let vouchers = events
        .iter()
        .filter(|e| matches!(e.event, Event::VoucherExecuted { .. }))
        .count();
    assert_eq!(vouchers, 1 + 2 + 3 + 1 + 2 + 3);
}
