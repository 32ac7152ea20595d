//! Prompts that are answered together.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sworn_node::machine::Machine;
use sworn_node::store::tables;
use sworn_node::{Node, NodeHandle};

use crate::world::{Chain, fable, log, prompt, settings, wait_for};

const LONG: Duration = Duration::from_secs(120);

/// Waits until all of these are being answered at the same time, each with tokens.
async fn all_live(node: &NodeHandle, ids: &[u64]) {
    let started = Instant::now();
    let has_tokens = |id: &u64| {
        let tokens = node.context().streams.since(*id, 0);
        tokens.is_some_and(|tokens| !tokens.is_empty())
    };
    while !ids.iter().all(has_tokens) {
        assert!(started.elapsed() < LONG, "they never ran together");
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
}

/// Eight prompts at once have the answers that each has alone, also when the node ends in the middle of all of them.
#[tokio::test(flavor = "multi_thread")]
async fn eight_prompts_have_the_answers_of_each_alone() {
    log();
    let chain = Chain::embedded().await;
    let d = chain.deploy().await;
    let user = chain.client(1).await;
    let data = tempfile::tempdir().unwrap();
    let served = fable(&user, &d, &data.path().join("model")).await;
    let mut ids = Vec::new();
    // All wait before the node is there, so that they begin together.
    for i in 0..8u16 {
        let (payload, params) = prompt(&format!("The fox, the crow and {i} mice"), 1 + i % 3, 300);
        let asked = user.ask(&d, served.card().id, payload, &params).await;
        ids.push(asked.unwrap().id);
    }
    let start = async || {
        let settings = settings(&chain, d, data.path(), 0);
        Node::start_with(settings, vec![served.clone()])
            .await
            .unwrap()
    };
    let node = start().await;
    all_live(&node, &ids).await;
    drop(node);
    let node = start().await;
    all_live(&node, &ids).await;
    for id in &ids {
        wait_for(&node, *id, &["posted"], LONG).await;
    }
    let store = &node.context().store;
    for id in &ids {
        let input = store.read(tables::INPUTS, id).unwrap().unwrap();
        let found = store.read(tables::RESULTS, id).unwrap().unwrap();
        let seed = input.seal.unwrap().seed;
        let (model, asked) = (Arc::clone(&served), input.clone());
        let alone = tokio::task::spawn_blocking(move || {
            model.answer(&asked, seed, &mut |_, _, _| ControlFlow::Continue(()))
        });
        assert_eq!(
            found.runs,
            alone.await.unwrap().unwrap().runs,
            "prompt {id}"
        );
        assert_eq!(store.read(tables::BEGUN, id).unwrap(), None);
    }
    node.stop().await;
}
