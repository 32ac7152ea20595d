//! Who found a fault first has the reward, whoever proves it first and whatever happens to the finder's node in between.

use std::path::Path;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U256};
use sworn_node::chain::abi::challenges;
use sworn_node::chain::{DeployParams, Event};
use sworn_node::roles::RoleName;
use sworn_node::{Node, NodeHandle};

use crate::challenges::{Court, LIAR, LONG, shown, until, wei};
use crate::world::settings;

/// What a node that only finds and proves faults leaves to others: nothing of this is about its own claims.
const PROVER: [RoleName; 2] = [RoleName::Executor, RoleName::Challenger];
/// How much later than the chain the worker reads it: so long it waits between its declaration and its proof.
const LATE_BLOCKS: u64 = 4;

fn params() -> DeployParams {
    // A block is a second of the chain's time.
    DeployParams {
        window_seconds: 12,
        budget_seconds: 900,
        grace_seconds: 900,
        declaration_seconds: 200,
        ..DeployParams::dev()
    }
}

async fn prover(court: &Court, data: &Path, key: usize, confirmations_blocks: u64) -> NodeHandle {
    let mut settings = settings(&court.chain, court.d, data, key);
    settings.roles = PROVER.into();
    settings.behaviour.confirmations_blocks = confirmations_blocks;
    Node::start_with(settings, vec![court.machine.clone()])
        .await
        .unwrap()
}

/// Waits until an account declared something.
async fn declared(court: &Court, by: Address) -> B256 {
    let started = Instant::now();
    loop {
        let head = court.user.head().await.unwrap().number;
        let events = court.user.events(&court.d, court.d.block, head).await;
        let found = events
            .unwrap()
            .into_iter()
            .find_map(|located| match located.event {
                Event::Declared {
                    declaration,
                    sender,
                } => (sender == by).then_some(declaration),
                _ => None,
            });
        if let Some(found) = found {
            return found;
        }
        assert!(started.elapsed() < LONG, "no declaration");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The claim that fell, if one did.
fn fallen(told: &serde_json::Value) -> Option<&serde_json::Value> {
    let mut claims = told["claims"].as_array().unwrap().iter();
    claims.find(|claim| claim["status"] == "fallen")
}

/// A worker is killed between its declaration and its proof. Another node, which found the same in lines of its own, proves first; the worker comes back, finds its
/// declaration again without having stored anything about it, and has the reward.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_has_its_reward() {
    let court = Court::new(&params()).await;
    let folder = || tempfile::tempdir().unwrap();
    let (liar_data, worker_data, other_data) = (folder(), folder(), folder());
    let liar = court.node(liar_data.path(), 0, LIAR, Some("token")).await;
    let worker = prover(&court, worker_data.path(), 2, LATE_BLOCKS).await;
    let us = worker.context().client.account().unwrap();
    court.ask("who was first", 1, 8).await;
    let declaration = declared(&court, us).await;
    drop(worker);

    let other = prover(&court, other_data.path(), 3, 0).await;
    let them = other.context().client.account().unwrap();
    let told = until(&other, "the fall", |told| fallen(told).is_some()).await;
    let claim = fallen(&told).unwrap();
    assert_eq!(claim["fall"]["sender"], shown(them));
    assert_eq!(claim["fall"]["winner"], shown(them), "it declared as well");
    let reward = wei(&claim["fall"]["reward_wei"]);

    let worker = prover(&court, worker_data.path(), 2, LATE_BLOCKS).await;
    let told = until(&worker, "the declaration", |told| {
        fallen(told).is_some_and(|claim| claim["fall"]["winner"] == shown(us))
    })
    .await;
    let claim = fallen(&told).unwrap();
    // What it named is what it had declared: the contract makes the same of it.
    let id: B256 = claim["claim"].as_str().unwrap().parse().unwrap();
    let client = &worker.context().client;
    let nodes = worker.context().store.nodes_of(id).unwrap();
    let own = nodes.iter().map(|node| node.record());
    let mut own = own.filter(|record| record.opener() == us);
    let (record, mine) = own
        .find_map(|record| {
            let mine = client.declaration(&court.d, id, &record)?;
            (mine.hash == declaration).then_some((record, mine))
        })
        .expect("the declared node");
    let call = challenges::declarationOfCall {
        claimId: id,
        position: U256::from_be_bytes(record.position.0),
        challenger: us,
        salt: mine.salt,
    };
    let theirs = court.user.view(court.d.disputes, call).await.unwrap();
    assert_eq!(theirs, declaration);

    let told = until(&worker, "the settlement", |told| {
        fallen(told).is_some_and(|claim| !claim["fall"]["settled_in"].is_null())
    })
    .await;
    let claim = fallen(&told).unwrap();
    let paid = |account: Address| -> U256 {
        let rewards = claim["rewards"].as_array().unwrap().iter();
        rewards
            .filter(|reward| reward["account"] == shown(account))
            .map(|reward| wei(&reward["amount_wei"]))
            .sum()
    };
    println!(
        "the worker is paid {} wei, who proved {} wei for its transaction",
        paid(us),
        paid(them)
    );
    assert_eq!(paid(us), reward);
    // A quarter of the bond are both.
    assert_eq!(
        paid(us) + paid(them),
        wei(&claim["bond_wei"]) / U256::from(4)
    );
    assert!(paid(us) > paid(them) * U256::from(10));
    worker.stop().await;
    other.stop().await;
    liar.stop().await;
}
