//! Lies and attacks against the real contracts on the embedded chain: lies fall, honest claims do not.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::WeightFormat;
use sworn_inference::testing;
use sworn_node::chain::abi::models::Card;
use sworn_node::chain::{ChainClient, DeployParams, Deployment, deploy};
use sworn_node::machine::{Machine, ServeOptions, ServedModel};
use sworn_node::roles::RoleName;
use sworn_node::{Node, NodeHandle};

use crate::world::{Chain, json, log, prompt, settings, wait_for};

pub(crate) const LONG: Duration = Duration::from_secs(120);

/// What a liar does not do: its node knows the truth as well.
pub(crate) const LIAR: &[RoleName] =
    &[RoleName::Challenger, RoleName::Finaliser, RoleName::Courier];

/// A chain with the contracts and a small registered model.
pub(crate) struct Court {
    pub(crate) chain: Chain,
    pub(crate) d: Deployment,
    pub(crate) user: ChainClient,
    pub(crate) machine: Arc<dyn Machine>,
    _folder: tempfile::TempDir,
}

impl Court {
    pub(crate) async fn new(params: &DeployParams) -> Court {
        log();
        let folder = tempfile::tempdir().unwrap();
        let machine = tiny(folder.path());
        let chain = Chain::embedded().await;
        let d = deploy(&chain.client(0).await, params).await.unwrap();
        let user = chain.client(1).await;
        register(&user, &d, &machine).await;
        Court {
            chain,
            d,
            user,
            machine: Arc::new(machine),
            _folder: folder,
        }
    }

    /// A node of account `key`, with all roles or all but some.
    pub(crate) async fn node(
        &self,
        data: &Path,
        key: usize,
        without: &[RoleName],
        sabotage: Option<&str>,
    ) -> NodeHandle {
        let mut settings = settings(&self.chain, self.d, data, key);
        settings.roles = RoleName::ALL
            .into_iter()
            .filter(|role| !without.contains(role))
            .collect::<BTreeSet<_>>();
        settings.behaviour.sabotage = sabotage.map(|text| text.parse().unwrap());
        // Proposers of lies claim first; the right one follows.
        Node::start_with(settings, vec![self.machine.clone()])
            .await
            .unwrap()
    }

    pub(crate) async fn ask(&self, text: &str, n_runs: u16, max_new: u32) -> u64 {
        let (payload, params) = prompt(text, n_runs, max_new);
        let id = self.machine.card().id;
        self.user
            .ask(&self.d, id, payload, &params)
            .await
            .unwrap()
            .id
    }
}

fn tiny(folder: &Path) -> ServedModel {
    let file = folder.join("model.gguf");
    let gguf = testing::gguf(&testing::tiny_config(), WeightFormat::Q8_0, 11);
    std::fs::write(&file, gguf.to_bytes()).unwrap();
    let packed = folder.join("model");
    let source = ModelSource::open(&file, None).unwrap();
    Model::import(&source, &packed, &mut |_, _| {}).unwrap();
    ServedModel::open(&packed, &ServeOptions::default(), &mut |_, _| {}).unwrap()
}

async fn register(user: &ChainClient, d: &Deployment, model: &ServedModel) {
    let roots = model.commitments();
    let card = Card {
        name: "tiny".into(),
        version: "1".into(),
        license: "MIT".into(),
        licenseUri: String::new(),
        weightsUri: String::new(),
        parent: Default::default(),
    };
    let program = model.model().program_bytes().to_vec().into();
    let registered = user
        .register_model(
            d,
            program,
            roots.weights_root.0.into(),
            roots.tokenizer_root.0.into(),
            card,
        )
        .await
        .unwrap();
    assert_eq!(registered.model, model.card().id);
}

/// Waits until the challenges that a node tells are as wanted.
pub(crate) async fn until(
    node: &NodeHandle,
    what: &str,
    is_so: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let started = Instant::now();
    loop {
        let told = json(node, "/v1/challenges").await;
        if is_so(&told) {
            return told;
        }
        assert!(started.elapsed() < LONG, "{what}: {told:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An address as the API has it.
pub(crate) fn shown(account: Address) -> String {
    format!("{account:#x}")
}

pub(crate) fn wei(value: &serde_json::Value) -> U256 {
    value.as_str().unwrap().parse().unwrap()
}

/// Tells one lie against one honest node: it falls, what is final is the truth, and the liar's bond is gone.
async fn caught(lie: &str, n_runs: u16, max_new: u32) -> serde_json::Value {
    let court = Court::new(&DeployParams {
        window_seconds: 12,
        budget_seconds: 20,
        grace_seconds: 20,
        ..DeployParams::dev()
    })
    .await;
    let (liar_data, honest_data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let liar = court.node(liar_data.path(), 0, LIAR, Some(lie)).await;
    let honest = court.node(honest_data.path(), 2, &[], None).await;
    let id = court.ask("tell the truth", n_runs, max_new).await;
    let told = until(&honest, lie, |told| {
        told["claims"]
            .as_array()
            .unwrap()
            .iter()
            .any(|claim| claim["status"] == "fallen" && !claim["fall"]["settled_in"].is_null())
    })
    .await;
    let (posted, _) = wait_for(&honest, id, &["posted"], LONG).await;
    let account = honest.context().client.account().unwrap();
    assert_eq!(posted["claim"]["proposer"], shown(account), "{posted:#}");
    assert_eq!(posted["claim"]["status"], "final");
    let fallen = told["claims"]
        .as_array()
        .unwrap()
        .iter()
        .find(|claim| claim["status"] == "fallen")
        .unwrap()
        .clone();
    assert_eq!(
        fallen["proposer"],
        shown(liar.context().client.account().unwrap())
    );
    assert_eq!(fallen["fall"]["sender"], shown(account));
    // A proof names the declaration that was made before it; of silence nobody else had anything to name.
    if fallen["fall"]["fault"].is_null() {
        assert!(fallen["fall"]["winner"].is_null(), "{fallen:#}");
    } else {
        assert_eq!(fallen["fall"]["winner"], shown(account));
    }
    let bond = wei(&fallen["bond_wei"]);
    let refunded = wei(&fallen["fall"]["refunded_wei"]);
    let burned = wei(&fallen["fall"]["burned_in_all_wei"]);
    let rewarded: U256 = fallen["rewards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reward| wei(&reward["amount_wei"]))
        .sum();
    assert_eq!(burned + rewarded, bond, "{fallen:#}");
    assert_eq!(burned, bond - bond / U256::from(4), "{fallen:#}");
    assert!(!rewarded.is_zero(), "{fallen:#}");
    in_lines(&fallen, &shown(account));
    println!(
        "{lie}: {} nodes, fell by {}; {refunded} wei of reveals given back; of the bond {rewarded} rewarded, {burned} burned",
        fallen["nodes"].as_array().unwrap().len(),
        fallen["fall"]["name"],
    );
    honest.stop().await;
    liar.stop().await;
    fallen
}

/// The lines of a fallen claim are the challenger's, each node stands in one of them, and no two are needed where one is enough.
fn in_lines(claim: &serde_json::Value, owner: &str) {
    let lines = claim["lines"].as_array().unwrap();
    let nodes = claim["nodes"].as_array().unwrap();
    assert!(!lines.is_empty() && lines.len() <= nodes.len(), "{claim:#}");
    let mut numbers: Vec<_> = lines.iter().map(|line| &line["number"]).collect();
    numbers.sort_by_key(|number| number.as_u64());
    assert_eq!(numbers, (0..lines.len()).collect::<Vec<_>>(), "{claim:#}");
    let mut spent = U256::ZERO;
    for line in lines {
        assert_eq!(line["owner"], owner);
        let of_line = nodes.iter().filter(|node| node["line"] == line["line"]);
        let keys: Vec<_> = of_line.clone().map(|node| &node["key"]).collect();
        assert_eq!(line["nodes"], keys.len());
        assert_eq!(Some(&&line["lowest"]), keys.last(), "{line:#}");
        let paid: U256 = of_line.map(|node| wei(&node["spent_wei"])).sum();
        assert_eq!(wei(&line["spent_wei"]), paid, "{line:#}");
        spent += paid;
    }
    let all: U256 = nodes.iter().map(|node| wei(&node["spent_wei"])).sum();
    assert_eq!(spent, all);
    let culprit = (lines
        .iter()
        .find(|line| line["lowest"] == claim["fall"]["node"]))
    .unwrap_or_else(|| panic!("no culprit: {claim:#}"));
    assert_eq!(culprit["state"], "culprit");
    assert_eq!(claim["fall"]["refunded_wei"], culprit["spent_wei"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_caught() {
    caught("token", 2, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_element_is_caught() {
    caught("element-matmul@0.0.3", 1, 10).await;
}

/// Whoever had anything left in a line has it back, and the contract keeps nothing of a settled dispute.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_in_lines_comes_back() {
    let court = Court::new(&DeployParams {
        window_seconds: 12,
        budget_seconds: 20,
        grace_seconds: 20,
        ..DeployParams::dev()
    })
    .await;
    let (liar_data, honest_data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let liar = court
        .node(liar_data.path(), 0, LIAR, Some("element-matmul@0.0.5"))
        .await;
    let honest = court.node(honest_data.path(), 2, &[], None).await;
    court.ask("give it back", 1, 10).await;
    let told = until(&honest, "the money", |told| {
        told["claims"].as_array().unwrap().iter().any(|claim| {
            let lines = claim["lines"].as_array().unwrap();
            claim["status"] == "fallen"
                && lines
                    .iter()
                    .all(|line| line["reclaimed"] == true || line["state"] == "culprit")
        })
    })
    .await;
    let claims = told["claims"].as_array().unwrap();
    let fallen = claims.iter().find(|claim| claim["status"] == "fallen");
    assert!(
        fallen.unwrap()["lines"].as_array().unwrap().len() > 1,
        "{told:#}"
    );
    // What others than the settler get waits on balances: theirs is all that the contract still has.
    let account = honest.context().client.account().unwrap();
    let other = liar.context().client.account().unwrap();
    let started = Instant::now();
    loop {
        let mut owed = U256::ZERO;
        for account in [account, other] {
            owed += court
                .user
                .challenge_balance(&court.d, account)
                .await
                .unwrap();
        }
        let kept = court.user.balance(court.d.disputes).await.unwrap();
        if kept == owed {
            break;
        }
        assert!(
            started.elapsed() < LONG,
            "the contract keeps {kept} wei of which {owed} are owed"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    honest.stop().await;
    liar.stop().await;
}

/// A proposer that lets nearly all of its time pass, and no more, keeps its bond.
#[tokio::test(flavor = "multi_thread")]
async fn answers_at_the_last_moment_are_in_time() {
    const BUDGET: u64 = 120;
    let court = Court::new(&DeployParams {
        window_seconds: 40,
        budget_seconds: BUDGET,
        grace_seconds: BUDGET,
        ..DeployParams::dev()
    })
    .await;
    let (late_data, flood_data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let late = court
        .node(late_data.path(), 0, &[RoleName::Challenger], Some("late"))
        .await;
    let attacker = court
        .node(
            flood_data.path(),
            2,
            &[RoleName::Proposer, RoleName::Challenger, RoleName::Courier],
            Some("flood:3"),
        )
        .await;
    let id = court.ask("wait for it", 1, 8).await;
    let told = until(&late, "finality", |told| {
        told["claims"][0]["status"] == "final" || told["claims"][0]["status"] == "fallen"
    })
    .await;
    let claim = &told["claims"][0];
    assert_eq!(claim["status"], "final", "{claim:#}");
    let nodes = claim["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3, "{claim:#}");
    for node in nodes {
        assert_eq!(node["state"], "revealed", "{node:#}");
        let used = node["proposer_seconds"].as_u64().unwrap();
        assert!((BUDGET - BUDGET / 8..=BUDGET).contains(&used), "{node:#}");
    }
    let (posted, _) = wait_for(&late, id, &["posted"], LONG).await;
    let account = late.context().client.account().unwrap();
    assert_eq!(posted["claim"]["proposer"], shown(account));
    attacker.stop().await;
    late.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_caught() {
    let fallen = caught("silent", 1, 8).await;
    assert_eq!(fallen["fall"]["name"], "silence");
}

/// So many openings of an honest claim: all are answered, the claim becomes final in its time, and its proposer has not paid for them.
#[tokio::test(flavor = "multi_thread")]
async fn an_honest_claim_survives_bogus_openings() {
    let court = Court::new(&DeployParams {
        window_seconds: 60,
        ..DeployParams::dev()
    })
    .await;
    let (honest_data, flood_data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let honest = court.node(honest_data.path(), 0, &[], None).await;
    let attacker = court
        .node(
            flood_data.path(),
            2,
            &[RoleName::Proposer, RoleName::Challenger, RoleName::Courier],
            Some("flood:40"),
        )
        .await;
    let id = court.ask("leave me alone", 2, 16).await;
    let (posted, _) = wait_for(&honest, id, &["posted"], LONG).await;
    let account = honest.context().client.account().unwrap();
    assert_eq!(posted["claim"]["proposer"], shown(account));
    let told = until(&honest, "openings", |told| {
        told["claims"][0]["status"] == "final"
    })
    .await;
    let claim = &told["claims"][0];
    let nodes = claim["nodes"].as_array().unwrap();
    assert!(
        nodes.len() >= 30,
        "only {} openings: {claim:#}",
        nodes.len()
    );
    let mut earned = U256::ZERO;
    for node in nodes {
        assert_eq!(node["state"], "revealed", "{node:#}");
        assert_eq!(node["revealer"], shown(account));
        earned += wei(&node["spent_wei"]);
    }
    // What the reveals cost at most: their gas at the price they were sent with, and the proposer's reward is above it.
    let paid = reveal_costs(&court, nodes).await;
    println!(
        "{} openings; reveals cost {paid} wei, their openers paid {earned} wei",
        nodes.len()
    );
    assert!(earned >= paid, "the proposer paid: {earned} < {paid}");
    honest.stop().await;
    attacker.stop().await;
}

/// What the proposer paid for its reveals, without tips: they are its own choice.
async fn reveal_costs(court: &Court, nodes: &[serde_json::Value]) -> U256 {
    use alloy::providers::Provider;
    let mut paid = U256::ZERO;
    for node in nodes {
        let tx: alloy::primitives::B256 = node["revealed_in"].as_str().unwrap().parse().unwrap();
        let receipt = court
            .user
            .provider()
            .get_transaction_receipt(tx)
            .await
            .unwrap()
            .unwrap();
        let block = court
            .user
            .provider()
            .get_block_by_number(receipt.block_number.unwrap().into())
            .await
            .unwrap()
            .unwrap();
        let fee = block.header.inner.base_fee_per_gas.unwrap();
        paid += U256::from(receipt.gas_used) * U256::from(fee);
    }
    paid
}

/// Both sides are dropped in the middle of a dispute, again and again, and go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_survives_restarts_of_both_sides() {
    // Every block of the chain is a second, so restarts take long by its clock.
    let court = Court::new(&DeployParams {
        window_seconds: 12,
        budget_seconds: 600,
        grace_seconds: 600,
        ..DeployParams::dev()
    })
    .await;
    let (liar_data, honest_data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let liar_of = async || {
        court
            .node(liar_data.path(), 0, LIAR, Some("element-attn-mix-values"))
            .await
    };
    let honest_of = async || court.node(honest_data.path(), 2, &[], None).await;
    let (mut liar, mut honest) = (liar_of().await, honest_of().await);
    let id = court.ask("again and again", 1, 12).await;
    for nodes in [1, 2, 4, 6] {
        until(&honest, "openings", |told| {
            told["claims"].as_array().unwrap().iter().any(|claim| {
                claim["status"] == "fallen" || claim["nodes"].as_array().unwrap().len() >= nodes
            })
        })
        .await;
        drop(honest);
        drop(liar);
        liar = liar_of().await;
        honest = honest_of().await;
    }
    let told = until(&honest, "the fall", |told| {
        told["claims"]
            .as_array()
            .unwrap()
            .iter()
            .any(|claim| claim["status"] == "fallen" && !claim["fall"]["settled_in"].is_null())
    })
    .await;
    wait_for(&honest, id, &["posted"], LONG).await;
    let fallen = told["claims"]
        .as_array()
        .unwrap()
        .iter()
        .find(|claim| claim["status"] == "fallen")
        .unwrap();
    assert!(fallen["fall"]["fault"].is_u64(), "by a proof: {fallen:#}");
    let keys: Vec<_> = fallen["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["position"].clone())
        .collect();
    let mut unique = keys.clone();
    unique.dedup();
    assert_eq!(unique.len(), keys.len(), "nothing is opened twice");
    honest.stop().await;
    liar.stop().await;
}
