//! Answers at the edge of a clock, and stalling.

use alloy_primitives::U256;
use alloy_sol_types::SolError as _;
use sworn_differential::dispute::abi;
use sworn_differential::dispute::world::{
    BLOCK_SECONDS, BOND_WEI, BUDGET_SECONDS, DECLARATION_SECONDS,
};
use sworn_prover::dispute::contents::{claim_tree, contents_of};
use sworn_prover::dispute::lie::{Hiding, Lie};
use sworn_prover::dispute::own::OwnResults;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::results::LaneResults as _;
use sworn_prover::dispute::strategy::{Move, next};
use sworn_prover::{Digest, merkle};

use crate::lane::{self, Lane};
use crate::scene::{Claimed, How, Scene, Step};

/// The opening of a job of a lane of at most 64, under the claim.
pub(crate) fn job(own: &mut OwnResults, lane: u32) -> Move {
    let tree = claim_tree(own).unwrap();
    Move::Open {
        parent: Digest::ZERO,
        position: Position::tree(NodeKind::Job, lane, 0, 0, 0),
        value: tree.node(0, lane.into()),
        path: tree.path(lane.into()).unwrap(),
    }
}

/// The opening of the root of the tokens of a job's first run.
pub(crate) fn tokens(own: &mut OwnResults, lane: u32, parent: Digest) -> Move {
    let record = own.answer(lane).unwrap().commitment.runs[0];
    let leaves = u64::from(record.n_tokens).div_ceil(64);
    Move::Open {
        parent,
        position: Position::tree(NodeKind::Tokens, lane, 0, merkle::depth(leaves) as u8, 0),
        value: record.tokens_root,
        path: Vec::new(),
    }
}

impl Scene {
    /// Why the proposer can't reveal now.
    fn refused_reveal(&mut self, claimed: &Claimed, key: Digest, own: &mut OwnResults) -> [u8; 4] {
        let position = claimed.view.node(key).unwrap().position;
        let data = Scene::revealing(claimed, key, &contents_of(own, &position).unwrap());
        let challenges = self.world.contracts.challenges;
        let sent = self
            .world
            .evm
            .send(claimed.proposer, challenges, U256::ZERO, data);
        sent.expect_err("too late").selector().expect("an error")
    }

    fn refused_expiry(&mut self, claimed: &Claimed, key: Digest) -> [u8; 4] {
        let call = abi::expireCall {
            claimId: claimed.id,
            record: claimed.records[&key].clone(),
        };
        let challenges = self.world.contracts.challenges;
        let failure = self.refused(claimed.proposer, challenges, U256::ZERO, &call);
        failure.selector().expect("an error")
    }

    pub(crate) fn tell_truth(
        &mut self,
        claimed: &mut Claimed,
        key: Digest,
        own: &mut OwnResults,
    ) -> u64 {
        let position = claimed.view.node(key).unwrap().position;
        let contents = contents_of(own, &position).unwrap();
        self.reveal(claimed, claimed.proposer, key, &contents)
    }

    fn refused_finality(&mut self, claimed: &Claimed) -> [u8; 4] {
        let call = abi::finaliseCall {
            claimId: claimed.id,
        };
        let claims = self.world.contracts.claims;
        let failure = self.refused(claimed.proposer, claims, U256::ZERO, &call);
        failure.selector().expect("an error")
    }
}

#[test]
fn answers_at_the_clocks_edge() {
    let folder = tempfile::tempdir().unwrap();
    let (model, asked) = lane::tiny(folder.path(), &["one", "two"]);
    let (lane, world) = Lane::new(model, &asked);
    let mut scene = Scene::new(world);
    let mut own = lane.own();
    let (server, late, nuisance) = (
        scene.account("server"),
        scene.account("late"),
        scene.account("nuisance"),
    );
    let mut claimed = scene.claim(server, &mut own);
    let mut missed = scene.claim(late, &mut own);

    // In the last second of the window: only then is the whole of both budgets after it.
    let opened_at = claimed.window_end;
    scene.world.send_at(opened_at - BLOCK_SECONDS);
    let act = job(&mut own, 0);
    let missed_job = scene.open(&mut missed, nuisance, &act);
    let missed_at = scene.world.now();
    let key = scene.open(&mut claimed, nuisance, &act);
    assert_eq!(scene.world.now(), opened_at);

    // Both proposers have C seconds. One answers 24 seconds before they are over, the other one second after.
    scene.world.mine(
        1,
        missed_at + BUDGET_SECONDS - scene.world.now() - 2 * BLOCK_SECONDS,
    );
    scene.world.send_at(opened_at + BUDGET_SECONDS - 24);
    scene.tell_truth(&mut claimed, key, &mut own);
    scene
        .world
        .mine(1, missed_at + BUDGET_SECONDS - scene.world.now());
    assert_eq!(
        scene.refused_expiry(&missed, missed_job),
        abi::ProposerInTime::SELECTOR
    );
    scene.world.mine(0, 1);
    let said = scene.refused_reveal(&missed, missed_job, &mut own);
    assert_eq!(said, abi::ProposerOutOfTime::SELECTOR);
    scene.world.mine(1, 10);
    let revealed_at = scene.world.now();
    // What the answer took is gone for the nodes below: 24 seconds are left, to the second.
    let act = tokens(&mut own, 0, key);
    let below = scene.open(&mut claimed, nuisance, &act);
    let below_at = scene.world.now();
    assert!(below_at > revealed_at);
    scene.world.mine(1, 24);
    assert_eq!(
        scene.refused_expiry(&claimed, below),
        abi::ProposerInTime::SELECTOR
    );
    scene.world.mine(0, 1);
    assert_eq!(
        scene.refused_reveal(&claimed, below, &mut own),
        abi::ProposerOutOfTime::SELECTOR
    );
    // Back to the last second.
    scene.world.back(13);
    scene.tell_truth(&mut claimed, below, &mut own);
    assert_eq!(scene.world.now(), below_at + 24);

    // Who was too late falls, though it was right: anyone may say so.
    let fallen = scene.expire(&missed, nuisance, missed_job);
    assert_eq!(scene.status(&missed), 3);
    scene.world.mine(1, DECLARATION_SECONDS);
    scene.settle(&missed, nuisance, fallen.verdict);

    // The challengers have their budget from the last reveal on, less what they used.
    let call = abi::stateOfCall {
        claimId: claimed.id,
    };
    let state = scene.world.ask(scene.world.contracts.challenges, &call);
    assert_eq!(state.pending, 0);
    let alive = state.aliveUntil;
    assert!(alive <= claimed.window_end + 2 * BUDGET_SECONDS);
    let wait = alive - scene.world.now();
    scene.world.mine(1, wait);
    assert_eq!(scene.refused_finality(&claimed), abi::NotFinalYet::SELECTOR);
    scene.world.mine(0, 1);
    let act = job(&mut own, 1);
    let opening = scene.opening(&claimed, nuisance, How::GoingOn, &act);
    let failure = scene.refused_opening(nuisance, &opening);
    assert!(failure.is::<abi::PastFinality>(), "{failure:?}");
    scene.finalise(&claimed, server);
    // The late openings' deposits are the proposer's.
    scene.reclaim(&claimed, server, None);
    scene.withdraw(server);
    let deposits = 2 * (BOND_WEI / 10) as i128;
    let gain = scene.gain(server);
    assert!(gain > deposits - 2_000_000_000_000_000, "{gain}");
    assert_eq!(
        scene.held().to::<u128>(),
        owed(&mut scene, &[nuisance, late])
    );
}

/// What accounts can withdraw.
fn owed(scene: &mut Scene, accounts: &[alloy_primitives::Address]) -> u128 {
    let challenges = scene.world.contracts.challenges;
    let owed = accounts.iter().map(|account| {
        let call = abi::balanceOfCall { account: *account };
        scene.world.ask(challenges, &call).to::<u128>()
    });
    owed.sum()
}

/// A liar with a friend who opens the same and more, at the last moment, and the liar answers as late as it can.
#[test]
fn an_honest_challenger_outlasts_a_friend_of_the_liar() {
    let folder = tempfile::tempdir().unwrap();
    let (model, asked) = lane::short(folder.path());
    let (lane, _) = Lane::new(model, &asked);
    for patient in [false, true] {
        let mut scene = Scene::new(lane.chain(&asked));
        let mut own = lane.own();
        let (proposer, friend, honest) = (
            scene.account("liar"),
            scene.account("friend"),
            scene.account("honest"),
        );
        let mut liar = { Lie::Token(Hiding::Totals) }
            .tell(lane.own(), 0, 1, 1)
            .unwrap()
            .expect("a place to lie");
        let mut claimed = scene.claim(proposer, &mut liar);
        // The friend opens what the honest one is about to, in the last seconds; the honest one has its own line.
        scene.world.send_at(claimed.window_end - BLOCK_SECONDS);
        let act = next(&claimed.lines_of(honest), &mut own).unwrap();
        let decoy = scene.open(&mut claimed, friend, &act);
        let waits = scene.open(&mut claimed, honest, &act);
        // The patient one has time for everything but one answer; the other gives all its time to the first.
        let rest = if patient { 4 * BLOCK_SECONDS } else { 0 };
        scene
            .world
            .send_at(scene.world.now() + BUDGET_SECONDS - rest);
        assert!(scene.answer(&mut claimed, waits, &mut liar));
        // Of the other line no answer has to come any more: that fells the claim as well.
        let fallen = loop {
            match scene.step(&mut claimed, honest, &mut own) {
                Step::Opened(key) => {
                    let used = proposer_seconds(&claimed, key);
                    if used + BLOCK_SECONDS <= BUDGET_SECONDS {
                        assert!(scene.answer(&mut claimed, key, &mut liar));
                    } else {
                        scene.world.mine(1, BUDGET_SECONDS - used);
                        break scene.expire(&claimed, honest, key);
                    }
                }
                Step::Fell(fallen) => break *fallen,
                Step::Waits(_) | Step::Acquitted => panic!("the honest one can go on"),
            }
        };
        assert!(claimed.view.node(decoy).unwrap().contents.is_none());
        let end = claimed.window_end + 2 * BUDGET_SECONDS;
        assert!(
            scene.world.now() <= end,
            "{}",
            scene.world.now() as i64 - end as i64
        );
        assert_eq!(scene.status(&claimed), 3);
        scene.world.mine(1, DECLARATION_SECONDS);
        scene.settle(&claimed, honest, fallen.verdict);
        for account in [honest, friend, proposer] {
            scene.withdraw(account);
        }
        let (won, theirs) = (
            scene.gain(honest),
            scene.gain(friend) + scene.gain(proposer),
        );
        println!(
            "{patient}: {:?}, honest {won}, liar and friend {theirs}",
            fallen.end
        );
        assert!(won > 0, "{won}");
        assert!(theirs < -(BOND_WEI as i128) / 2, "{theirs}");
        assert_eq!(scene.held(), U256::ZERO);
    }
}

/// Seconds of the proposer's clock that a node's ancestors used.
fn proposer_seconds(claimed: &Claimed, key: Digest) -> u64 {
    let seconds: U256 = claimed.records[&key].funds >> 224;
    seconds.to::<u64>()
}
