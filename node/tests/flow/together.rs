//! Prompts that are answered together.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use sworn_node::machine::{
    Answer, Answering, Event, Machine, MachineError, OnToken, ServedCard, ServedModel,
};
use sworn_node::store::{StoredInput, tables};
use sworn_node::{Node, NodeHandle};

use crate::world::{Chain, fable, log, prompt, settings, wait_for};

const LONG: Duration = Duration::from_secs(120);
const PROMPTS: u16 = 8;

/// The shipped model, which begins only when all prompts were handed to it, and ends none as long as it is held.
struct Gated {
    inner: Arc<ServedModel>,
    all: Barrier,
    held: AtomicBool,
}

impl Machine for Gated {
    fn card(&self) -> &ServedCard {
        self.inner.card()
    }

    fn answer(
        &self,
        input: &StoredInput,
        seed: B256,
        on_token: OnToken<'_>,
    ) -> Result<Answer, MachineError> {
        self.inner.answer(input, seed, on_token)
    }

    fn at_once(&self) -> usize {
        self.inner.at_once()
    }

    fn submit(self: Arc<Self>, input: StoredInput, seed: B256) -> Answering {
        let (events, answering) = Answering::channel();
        std::thread::spawn(move || {
            self.all.wait();
            let mut inner = self.inner.clone().submit(input, seed);
            while let Some(event) = futures::executor::block_on(inner.next()) {
                while matches!(event, Event::Done(_))
                    && self.held.load(Ordering::Relaxed)
                    && !events.is_closed()
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                if events.send(event).is_err() {
                    return;
                }
            }
        });
        answering
    }
}

/// Waits until each of these has tokens and none has ended.
async fn all_live(node: &NodeHandle, ids: &[u64]) {
    let started = Instant::now();
    let has_tokens = |id: &u64| {
        let tokens = node.context().streams.since(*id, 0);
        tokens.is_some_and(|tokens| !tokens.is_empty())
    };
    while !ids.iter().all(has_tokens) {
        assert!(started.elapsed() < LONG, "they do not run together");
        tokio::time::sleep(Duration::from_millis(5)).await;
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
    let gated = Arc::new(Gated {
        inner: served.clone(),
        all: Barrier::new(PROMPTS.into()),
        held: AtomicBool::new(true),
    });
    let mut ids = Vec::new();
    // All wait before the node is there, so that they begin together.
    for i in 0..PROMPTS {
        let (payload, params) = prompt(&format!("The fox, the crow and {i} mice"), 1 + i % 3, 64);
        let asked = user.ask(&d, served.card().id, payload, &params).await;
        ids.push(asked.unwrap().id);
    }
    let start = async || {
        let settings = settings(&chain, d, data.path(), 0);
        Node::start_with(settings, vec![gated.clone() as Arc<dyn Machine>])
            .await
            .unwrap()
    };
    let node = start().await;
    all_live(&node, &ids).await;
    let begun = |id: &u64| node.context().store.read(tables::BEGUN, id).unwrap();
    assert!(ids.iter().all(|id| begun(id) == Some(1)));
    drop(node);
    gated.held.store(false, Ordering::Relaxed);
    let node = start().await;
    for id in &ids {
        wait_for(&node, *id, &["posted"], LONG).await;
    }
    let store = &node.context().store;
    for id in &ids {
        let input = store.read(tables::INPUTS, id).unwrap().unwrap();
        let found = store.read(tables::RESULTS, id).unwrap().unwrap();
        let seed = input.seal.unwrap().seed;
        let model = Arc::clone(&served);
        let alone = tokio::task::spawn_blocking(move || {
            model.answer(&input, seed, &mut |_, _, _| ControlFlow::Continue(()))
        });
        let alone = alone.await.unwrap().unwrap();
        assert_eq!(found.runs, alone.runs, "prompt {id}");
        assert_eq!(store.read(tables::BEGUN, id).unwrap(), None);
    }
    node.stop().await;
}
