//! Many openings of a right claim, many wrong claims of one lane, two challengers of one lie.

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::{Address, B256, U256};
use sworn_differential::dispute::abi;
use sworn_differential::dispute::world::{
    BASE_FEE, BOND_WEI, BUDGET_SECONDS, DECLARATION_SECONDS, GRACE_SECONDS, event,
};
use sworn_prover::Digest;
use sworn_prover::dispute::contents::{Contents, claim_tree, contents_of, published};
use sworn_prover::dispute::faults::selection;
use sworn_prover::dispute::lie::{Field, Hiding, Lie};
use sworn_prover::dispute::own::OwnResults;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::results::LaneResults as _;
use sworn_prover::dispute::shape::TreeShape;
use sworn_prover::dispute::strategy::{ClaimView, Move, next};

use crate::clocks::job;
use crate::lane::{self, Lane};
use crate::scene::{BOND, Claimed, Scene, Step};

const FLOOD: usize = 200;
/// Children of a node that a flood opens.
const BREADTH: usize = 6;

/// A posted node.
fn posted(parent: Digest, kind: NodeKind, at: &Position, place: (u64, u32, u32, u32)) -> Move {
    let (index, a, b, c) = place;
    Move::Open {
        parent,
        position: Position {
            a,
            b,
            c,
            ..Position::tree(kind, at.lane, at.run, 0, index)
        },
        value: Digest::ZERO,
        path: Vec::new(),
    }
}

/// What can be opened under a revealed node of a right claim: a few of every kind.
fn children(claimed: &Claimed, own: &mut OwnResults, key: Digest) -> Vec<Move> {
    let node = claimed.view.node(key).unwrap().clone();
    let at = node.position;
    let answer = own.answer(at.lane).unwrap();
    let layout = own.model().layout.clone();
    let run = usize::from(at.run);
    let mut found = Vec::new();
    match at.kind {
        NodeKind::Job => {
            for (run, record) in (0u8..).zip(&answer.commitment.runs) {
                let here = Position { run, ..at };
                for kind in [
                    NodeKind::Trace,
                    NodeKind::Tokens,
                    NodeKind::Offsets,
                    NodeKind::Text,
                ] {
                    let Some(shape) = TreeShape::of_run(kind, at.lane, run, record, &layout) else {
                        continue;
                    };
                    if !shape.exists(shape.depth(), 0) {
                        continue;
                    }
                    let value = match kind {
                        NodeKind::Trace if !answer.has_trace(run.into()) => continue,
                        NodeKind::Trace => {
                            let trace = own.trace(at.lane, run.into()).unwrap();
                            trace.node(shape.depth(), 0).unwrap()
                        }
                        NodeKind::Tokens => record.tokens_root,
                        NodeKind::Offsets => record.offsets_root,
                        _ => record.text_root,
                    };
                    found.push(Move::Open {
                        parent: key,
                        position: shape.position(shape.depth(), 0),
                        value,
                        path: Vec::new(),
                    });
                }
                if record.n_tokens > record.n_prompt {
                    found.push(posted(key, NodeKind::Prompt, &here, (0, 0, 0, 0)));
                    for token in record.n_prompt..(record.n_prompt + 3).min(record.n_tokens) {
                        found.push(posted(key, NodeKind::Selection, &here, (token.into(), 0, 0, 0)));
                    }
                } else {
                    found.push(posted(key, NodeKind::Malformed, &here, (0, 0, 0, 0)));
                }
            }
        }
        NodeKind::Trace if matches!(node.contents, Some(Contents::Digests(_))) => {
            let record = &answer.commitment.runs[run];
            let shape = TreeShape::of_run(at.kind, at.lane, at.run, record, &layout).unwrap();
            let height = u32::from(at.height);
            let levels = shape.levels(height).unwrap();
            let below: Vec<u64> = shape.below(height, at.index, levels).collect();
            let trace = own.trace(at.lane, at.run.into()).unwrap();
            for index in below.into_iter().take(BREADTH) {
                let low = height - levels;
                let path = (low..height).map(|h| trace.node(h, (index >> (h - low)) ^ 1).unwrap());
                let path = path.collect();
                found.push(Move::Open {
                    parent: key,
                    position: shape.position(low, index),
                    value: trace.node(low, index).unwrap(),
                    path,
                });
            }
        }
        NodeKind::Trace => {
            // Totals of the first long sum that has an element here, if any.
            let first = at.index << at.height;
            let (row, from) = layout.place(first);
            for number in 0..layout.steps() {
                let step = layout.step(number).unwrap();
                if sworn_prover::dispute::faults::step::is_long_sum(&step)
                    && step.first_leaf >= from
                    && step.first_leaf < from + (1 << at.height)
                {
                    for element in 0..(BREADTH as u32).min(step.elements) {
                        let place = (row.into(), number, element, 0);
                        found.push(posted(key, NodeKind::Totals, &at, place));
                    }
                }
            }
        }
        NodeKind::Prompt => found.push(posted(key, NodeKind::Starts, &at, (0, 0, 0, 0))),
        NodeKind::Selection => {
            let groups = selection::Groups::of(layout.program().vocab_size());
            let _ = &groups;
            found.push(posted(key, NodeKind::Group, &at, (at.index, 3, 0, 0)));
        }
        _ => (),
    }
    found
}

#[test]
fn a_flood_costs_the_proposer_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (model, asked) = lane::short(folder.path());
    let (lane, world) = Lane::new(model, &asked);
    let mut scene = Scene::new(world);
    let mut own = lane.own();
    let (server, flooder) = (scene.account("server"), scene.account("flooder"));
    let mut claimed = scene.claim(server, &mut own);
    let claim_gas = scene.purse(server).gas;
    // Half of it before the grace, half with deposits.
    let early = claimed.window_end - GRACE_SECONDS - FLOOD as u64 * 12;
    scene.world.send_at(early);

    let mut queue: VecDeque<Move> = (0..4).map(|i| job(&mut own, i)).collect();
    let mut margins: BTreeMap<NodeKind, (i128, usize, u64)> = BTreeMap::new();
    let challenges = scene.world.contracts.challenges;
    let mut opened = 0;
    let mut turn = 0;
    while opened < FLOOD {
        // From both ends: some deep, some wide.
        turn += 1;
        let act = if turn % 3 == 0 { queue.pop_front() } else { queue.pop_back() };
        let act = act.expect("enough to open");
        let key = scene.open(&mut claimed, flooder, &act);
        opened += 1;
        let position = claimed.view.node(key).unwrap().position;
        let contents = contents_of(&mut own, &position).unwrap();
        let balance = abi::balanceOfCall { account: server };
        let before: U256 = scene.world.ask(challenges, &balance);
        let gas = scene.reveal(&mut claimed, server, key, &contents);
        let after: U256 = scene.world.ask(challenges, &balance);
        let margin = (after - before).to::<u128>() as i128 - i128::from(gas * BASE_FEE);
        assert!(margin >= 0, "{position:?}: {gas} gas, {margin} wei");
        let seen = margins.entry(position.kind).or_insert((margin, 0, 0));
        *seen = (seen.0.min(margin), seen.1 + 1, seen.2.max(gas));
        queue.extend(children(&claimed, &mut own, key));
    }
    for (kind, (margin, count, gas)) in &margins {
        println!("{kind:?}: {count} reveals, at most {gas} gas, at least {margin} wei over the cost");
    }
    assert!(margins.len() >= 10, "{margins:?}");

    let call = abi::stateOfCall {
        claimId: claimed.id,
    };
    let state = scene.world.ask(challenges, &call);
    assert!(state.aliveUntil <= claimed.window_end + 2 * BUDGET_SECONDS);
    scene.world.mine(1, state.aliveUntil - scene.world.now());
    scene.finalise(&claimed, server);
    assert!(scene.world.now() <= claimed.window_end + 2 * BUDGET_SECONDS);
    let late = { claimed.records.values() }
        .filter(|record| record.funds.to_be_bytes::<32>()[31] == 1)
        .count();
    assert!(late > FLOOD / 4 && late < FLOOD, "{late}");
    scene.reclaim(&claimed, flooder, &[]);
    scene.withdraw(server);
    scene.withdraw(flooder);
    let (gain, lost) = (scene.gain(server), -scene.gain(flooder));
    println!(
        "{FLOOD} openings, {late} late: server {gain} wei with {} gas, flooder lost {lost} wei",
        scene.purse(server).gas
    );
    // The deposits, and its own transactions that no opening caused.
    let deposits = (late as u128 * BOND_WEI / 10) as i128;
    assert!(gain - deposits + i128::from((claim_gas + 200_000) * BASE_FEE) >= 0);
    assert!(lost > deposits);
    assert_eq!(scene.held(), U256::ZERO);
}

/// Wrong claims of one lane by as many proposers: what came before the right claim falls, the others burn when it is final.
#[test]
fn fifty_wrong_claims_lose_their_bonds() {
    let folder = tempfile::tempdir().unwrap();
    let (model, asked) = lane::tiny(folder.path(), &["one", "two", "three"]);
    let (lane, world) = Lane::new(model, &asked);
    let mut scene = Scene::new(world);
    let mut own = lane.own();
    let (server, challenger) = (scene.account("server"), scene.account("challenger"));
    let mut roots = std::collections::BTreeSet::from([claim_tree(&mut own).unwrap().root().0]);
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
    let liars: i128 = { earlier.iter() }.map(|(c, _)| scene.gain(c.proposer)).sum();
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
        scene.refused(claimed.proposer, claims, U256::ZERO, &call);
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
        assert!(lost >= bond && lost < bond + bond / 1000, "sybil {i}: {lost}");
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
    let view = ClaimView::new(own.jobs(), root, digests.clone());
    scene.claim_digests(proposer, view, &digests)
}

/// Two who dispute the same lie, by turns: both have their costs back and share the reward.
#[test]
fn two_challengers_share() {
    let folder = tempfile::tempdir().unwrap();
    let (model, asked) = lane::tiny(folder.path(), &["one", "two"]);
    let (lane, world) = Lane::new(model, &asked);
    let mut scene = Scene::new(world);
    let mut own = lane.own();
    let (a, b, proposer) = (scene.account("a"), scene.account("b"), scene.account("liar"));
    let mut liar = { Lie::Token(Hiding::None) }
        .tell(lane.own(), 1, 0, 1)
        .unwrap()
        .expect("a place to lie");
    let mut claimed = scene.claim(proposer, &mut liar);
    let mut turn = 0;
    let fallen = loop {
        let (first, second) = if turn % 2 == 0 { (a, b) } else { (b, a) };
        turn += 1;
        let act = next(&claimed.view, &mut own).unwrap();
        let again = match act {
            Move::Open { .. } => Some(scene.opening(&claimed, &act)),
            _ => None,
        };
        match scene.act(&mut claimed, first, act) {
            Step::Opened(key) => {
                // The other one was late by a transaction: that is refused, and costs its gas alone.
                let challenges = scene.world.contracts.challenges;
                let (failure, before) = (scene.gain(second), again.expect("an opening"));
                let refused = match &before {
                    crate::scene::Opening::Under(call, price) => {
                        scene.refused(second, challenges, *price, call)
                    }
                    crate::scene::Opening::InJob(call, price) => {
                        scene.refused(second, challenges, *price, call)
                    }
                };
                assert!(refused.is::<abi::AlreadyOpen>(), "{refused:?}");
                assert!(failure - scene.gain(second) < i128::from(150_000 * BASE_FEE));
                assert!(scene.answer(&mut claimed, key, &mut liar));
            }
            Step::Fell(fallen) => break fallen,
            Step::Waits(_) | Step::Acquitted => panic!("a move to make"),
        }
    };
    scene.world.mine(1, DECLARATION_SECONDS);
    scene.settle(&claimed, a, fallen.verdict);
    for account in [a, b, proposer] {
        scene.withdraw(account);
    }
    let (won, other) = (scene.gain(a), scene.gain(b));
    println!("two challengers by turns: {won} and {other}");
    let most = BOND as i128 / 4;
    assert!(won > most / 4 && other > most / 4 && won + other < most);
    assert_eq!(scene.held(), U256::ZERO);
}

/// Somebody copies the proof of who did all the work: who declared has the reward, the copier its gas.
#[test]
fn a_declaration_beats_a_copied_proof() {
    let folder = tempfile::tempdir().unwrap();
    let (model, asked) = lane::tiny(folder.path(), &["one", "two"]);
    let (lane, world) = Lane::new(model, &asked);
    let mut scene = Scene::new(world);
    let mut own = lane.own();
    let (worker, copier, proposer) = (
        scene.account("worker"),
        scene.account("copier"),
        scene.account("liar"),
    );
    let mut liar = { Lie::Token(Hiding::None) }
        .tell(lane.own(), 1, 0, 1)
        .unwrap()
        .expect("a place to lie");
    let mut claimed = scene.claim(proposer, &mut liar);
    let challenges = scene.world.contracts.challenges;
    let salt = B256::repeat_byte(7);
    let (act, node) = loop {
        match next(&claimed.view, &mut own).unwrap() {
            Move::Prove {
                node,
                fault,
                witness,
            } => {
                break (
                    Move::Prove {
                        node,
                        fault,
                        witness,
                    },
                    node,
                );
            }
            act => {
                let key = scene.open(&mut claimed, worker, &act);
                assert!(scene.answer(&mut claimed, key, &mut liar));
            }
        }
    };
    let call = abi::declarationOfCall {
        claimId: claimed.id,
        key: B256::from(node.0),
        challenger: worker,
        salt,
    };
    let declaration = scene.world.ask(challenges, &call);
    scene.send(worker, challenges, U256::ZERO, &abi::declareCall { declaration });
    let Step::Fell(fallen) = scene.act(&mut claimed, copier, act) else {
        panic!("the copied proof holds")
    };
    let redeem = abi::redeemCall {
        claimId: claimed.id,
        verdict: fallen.verdict,
        challenger: worker,
        salt,
    };
    // The declaration names its challenger.
    let stolen = abi::redeemCall {
        challenger: copier,
        ..redeem.clone()
    };
    scene.refused(copier, challenges, U256::ZERO, &stolen);
    let outcome = scene.send(worker, challenges, U256::ZERO, &redeem);
    let verdict = event::<abi::Redeemed>(&outcome).verdict;
    assert_eq!(verdict.winner, worker);
    scene.world.mine(1, DECLARATION_SECONDS);
    scene.settle(&claimed, worker, verdict);
    for account in [worker, copier, proposer] {
        scene.withdraw(account);
    }
    let (won, copied) = (scene.gain(worker), scene.gain(copier));
    println!("worker {won}, copier {copied}");
    assert!(won > BOND as i128 / 4 - BOND as i128 / 200, "{won}");
    assert!(copied.abs() < BOND as i128 / 2000, "{copied}");
    assert_eq!(scene.held(), U256::ZERO);
}
