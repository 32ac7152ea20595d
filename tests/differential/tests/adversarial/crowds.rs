//! Many wrong claims of one lane, two challengers of one lie, a liar that convicts itself.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256};
use sworn_differential::dispute::abi;
use sworn_differential::dispute::world::{BASE_FEE, BUDGET_SECONDS, DECLARATION_SECONDS, event};
use sworn_prover::Digest;
use sworn_prover::dispute::contents::{claim_tree, published};
use sworn_prover::dispute::lie::{Field, Hiding, Lie};
use sworn_prover::dispute::own::OwnResults;
use sworn_prover::dispute::results::LaneResults as _;
use sworn_prover::dispute::strategy::Move;

use crate::lane::{self, Lane};
use crate::scene::{BOND, Claimed, Scene, Step};
use crate::trial::Trial;

/// Wrong claims of one lane by as many proposers: what came before the right claim falls, the others burn when it is final.
#[test]
fn fifty_wrong_claims_lose_their_bonds() {
    let folder = tempfile::tempdir().unwrap();
    let (model, asked) = lane::tiny(folder.path(), &["one", "two", "three"]);
    let (lane, world) = Lane::new(model, &asked);
    let mut scene = Scene::new(world);
    let mut own = lane.own();
    let (server, challenger) = (scene.account("server"), scene.account("challenger"));
    let mut roots = BTreeSet::from([claim_tree(&mut own).unwrap().root().0]);
    // Twelve with answers, thirteen that nobody can answer for.
    let mut earlier = Vec::new();
    for i in 0..25u64 {
        let proposer = scene.account(&format!("sybil {i}"));
        if i < 12 {
            let mut seed = i;
            let (claimed, liar) = loop {
                let lie = match i {
                    0 => Lie::Field(Field::ScoreRoot),
                    1 => Lie::Field(Field::InputId),
                    _ => Lie::Token(Hiding::None),
                };
                let mut liar = { lie.tell(lane.own(), (i % 3) as u32, 0, seed) }
                    .unwrap()
                    .expect("a place to lie");
                if roots.insert(claim_tree(&mut liar).unwrap().root().0) {
                    break (scene.claim(proposer, &mut liar), liar);
                }
                seed += 100;
            };
            earlier.push((claimed, Some(liar)));
        } else {
            earlier.push((garbage(&mut scene, &mut own, proposer, i), None));
        }
    }
    let truth = scene.claim(server, &mut own);
    let later: Vec<Claimed> = (25..50u64)
        .map(|i| {
            let proposer = scene.account(&format!("sybil {i}"));
            garbage(&mut scene, &mut own, proposer, i)
        })
        .collect();

    let mut ends = Vec::new();
    for (claimed, liar) in &mut earlier {
        ends.push(match liar {
            Some(liar) => scene.dispute(claimed, challenger, &mut own, liar),
            None => match scene.step(claimed, challenger, &mut own) {
                Step::Opened(key) => Err(key),
                _ => panic!("a job to open"),
            },
        });
    }
    let silent = ends.iter().filter(|end| end.is_err()).count();
    assert_eq!(silent, 13);
    scene.world.mine(1, BUDGET_SECONDS);
    let mut verdicts = Vec::new();
    for ((claimed, _), end) in earlier.iter().zip(ends) {
        let fallen = match end {
            Ok(fallen) => fallen,
            Err(key) => scene.expire(claimed, challenger, key),
        };
        assert_eq!(scene.status(claimed), 3);
        verdicts.push(fallen.verdict);
    }
    scene.world.mine(1, DECLARATION_SECONDS);
    for ((claimed, _), verdict) in earlier.iter().zip(verdicts) {
        scene.settle(claimed, challenger, verdict);
        scene.withdraw(claimed.proposer);
    }
    scene.withdraw(challenger);
    assert_eq!(scene.held(), U256::ZERO);
    // Every wei: what the liars lost is burned, the challenger's, or gas.
    let liars: i128 = { earlier.iter() }
        .map(|(c, _)| scene.gain(c.proposer))
        .sum();
    let gas: u64 = { earlier.iter() }
        .map(|(c, _)| scene.purse(c.proposer).gas)
        .chain([scene.purse(challenger).gas])
        .sum();
    let (won, burned) = (scene.gain(challenger), scene.burned() as i128);
    println!("25 fell: challenger {won}, liars {liars}, burned {burned}, gas {gas}");
    assert_eq!(won + liars + burned + i128::from(gas * BASE_FEE), 0);
    let bond = BOND as i128;
    assert!(won > 24 * bond / 4 && won < 25 * bond / 4);
    assert!(burned >= 25 * bond / 2 && burned <= 25 * 3 * bond / 4);

    // The right claim is final; later ones can neither be final nor have their bond.
    let wait = truth.window_end - scene.world.now();
    scene.world.mine(1, wait);
    scene.finalise(&truth, server);
    let (claims, before) = (scene.world.contracts.claims, scene.burned());
    for claimed in &later {
        let call = abi::finaliseCall {
            claimId: claimed.id,
        };
        scene.world.mine(1, BUDGET_SECONDS / 1000);
        let failure = scene.refused(claimed.proposer, claims, U256::ZERO, &call);
        assert!(failure.is::<abi::LaneIsFinal>(), "{failure:?}");
        let call = abi::resolveRivalCall {
            claimId: claimed.id,
        };
        scene.send(challenger, claims, U256::ZERO, &call);
        assert_eq!(scene.status(claimed), 4);
        scene.withdraw(claimed.proposer);
    }
    assert_eq!(scene.burned() - before, 25 * BOND);
    for (i, claimed) in (25..).zip(&later) {
        let paid = scene.purse(claimed.proposer).gas * BASE_FEE;
        // Also its refused attempt.
        let lost = -scene.gain(claimed.proposer) - i128::from(paid);
        assert!(
            lost >= bond && lost < bond + bond / 1000,
            "sybil {i}: {lost}"
        );
    }
    scene.withdraw(server);
    assert_eq!(
        scene.gain(server),
        -i128::from(scene.purse(server).gas * BASE_FEE)
    );
    assert_eq!(scene.world.evm.balance(claims), U256::ZERO);
}

/// A claim whose second job nobody knows.
fn garbage(scene: &mut Scene, own: &mut OwnResults, proposer: Address, i: u64) -> Claimed {
    let mut digests = published(own).unwrap();
    digests[1] = Digest::of(&i.to_be_bytes());
    let root = sworn_prover::merkle::Tree::new(digests.clone()).root();
    scene.claim_digests(proposer, own.jobs(), root, &digests)
}

/// Declares the node that a move proves.
fn declare(trial: &mut Trial, from: Address, node: Digest, salt: B256) {
    let position = trial.claimed.view.node(node).unwrap().position;
    let scene = &mut trial.scene;
    let challenges = scene.world.contracts.challenges;
    let call = abi::declarationOfCall {
        claimId: trial.claimed.id,
        position: U256::from_be_bytes(position.to_word()),
        challenger: from,
        salt,
    };
    let declaration = scene.world.ask(challenges, &call);
    scene.send(
        from,
        challenges,
        U256::ZERO,
        &abi::declareCall { declaration },
    );
}

fn node_of(act: &Move) -> Digest {
    match act {
        Move::Prove { node, .. } => *node,
        _ => panic!("a proof"),
    }
}

/// Two who dispute the same lie, each in its lines: neither hinders the other; who is first has the reward, the other loses its gas.
#[test]
fn two_challengers_do_not_hinder_each_other() {
    let mut trial = Trial::of_a_token();
    let (a, b) = (trial.scene.account("a"), trial.scene.account("b"));
    // By turns; the second sees every move of the first before its own.
    let fallen = 'dispute: loop {
        for who in [a, b] {
            match trial.step(who) {
                Step::Opened(key) => trial.answer(key),
                Step::Fell(fallen) => break 'dispute *fallen,
                Step::Waits(_) | Step::Acquitted => panic!("a move to make"),
            }
        }
    };
    trial.end(a, fallen.verdict, &[b]);
    let (won, other) = (trial.scene.gain(a), trial.scene.gain(b));
    println!("two challengers: {won} and {other}");
    let most = BOND as i128 / 4;
    assert!(won > most * 9 / 10 && won < most, "{won}");
    assert_eq!(other, -trial.fees(b));
    assert!(-other < most / 100, "{other}");
}

/// Somebody copies the proof of who did all the work, about the worker's own node: the reward is the line's.
#[test]
fn a_copied_proof_pays_the_line() {
    let mut trial = Trial::of_a_token();
    let (worker, copier) = (trial.scene.account("worker"), trial.scene.account("copier"));
    let act = trial.up_to_the_proof(worker);
    let fallen = trial.proves(copier, act);
    trial.end(worker, fallen.verdict, &[copier]);
    let (won, copied) = (trial.scene.gain(worker), trial.scene.gain(copier));
    println!("worker {won}, copier {copied}");
    assert!(won > BOND as i128 / 4 - BOND as i128 / 200, "{won}");
    assert!(copied.abs() < BOND as i128 / 2000, "{copied}");
}

/// Somebody opens all that the worker opens, in lines of its own, and proves first: who declared earlier has the reward.
#[test]
fn a_declaration_beats_a_copied_line() {
    let mut trial = Trial::of_a_token();
    let (worker, copier) = (trial.scene.account("worker"), trial.scene.account("copier"));
    let mine = trial.up_to_the_proof(worker);
    let copied = trial.up_to_the_proof(copier);
    let salt = B256::repeat_byte(7);
    declare(&mut trial, worker, node_of(&mine), salt);
    let record = trial.claimed.records[&node_of(&mine)].clone();
    let fallen = trial.proves(copier, copied);
    let challenges = trial.scene.world.contracts.challenges;
    let redeem = abi::redeemCall {
        claimId: trial.claimed.id,
        verdict: fallen.verdict,
        own: record,
        salt,
    };
    // A declaration is its maker's: another salt, or another's record, is none.
    let stolen = abi::redeemCall {
        salt: B256::repeat_byte(8),
        ..redeem.clone()
    };
    trial.scene.refused(copier, challenges, U256::ZERO, &stolen);
    let outcome = trial.scene.send(worker, challenges, U256::ZERO, &redeem);
    let verdict = event::<abi::Redeemed>(&outcome).verdict;
    assert_eq!(verdict.winner, worker);
    trial.end(worker, verdict, &[copier]);
    let (won, copied) = (trial.scene.gain(worker), trial.scene.gain(copier));
    println!("worker {won}, copier {copied}");
    assert!(won > BOND as i128 / 4 - BOND as i128 / 100, "{won}");
    assert!(copied < BOND as i128 / 2000, "{copied}");
}

/// A liar's friend proves first, in a line of its own: that burns half a bond at least, and costs the honest one no more than its
/// own gas.
#[test]
fn a_liar_that_convicts_itself_burns_half() {
    let mut trial = Trial::of_a_hidden_token();
    let (honest, friend) = (trial.scene.account("honest"), trial.scene.account("friend"));
    trial.up_to_the_proof(honest);
    let act = trial.up_to_the_proof(friend);
    let fallen = trial.proves(friend, act);
    trial.end(friend, fallen.verdict, &[honest]);
    let won = trial.scene.gain(honest);
    let theirs = trial.scene.gain(friend) + trial.scene.gain(trial.proposer);
    let gas = trial.fees(honest);
    println!("honest {won} of {gas} in gas, liar and friend {theirs}");
    assert_eq!(won, -gas);
    assert!(theirs < -(BOND as i128) / 2);
}
