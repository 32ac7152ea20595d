//! Many openings of a right claim: who makes them pays, and the claim is final in time.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::U256;
use sworn_differential::dispute::abi;
use sworn_differential::dispute::world::{BASE_FEE, BOND_WEI, BUDGET_SECONDS, GRACE_SECONDS};
use sworn_inference::program::Op;
use sworn_prover::Digest;
use sworn_prover::dispute::contents::{Contents, contents_of};
use sworn_prover::dispute::faults::step::is_long_sum;
use sworn_prover::dispute::own::OwnResults;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::results::LaneResults as _;
use sworn_prover::dispute::shape::TreeShape;
use sworn_prover::dispute::strategy::Move;

use crate::clocks::job;
use crate::lane::{self, Lane};
use crate::scene::{Claimed, How, Scene};

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

/// Nodes `levels` below one of a trace: here and there, and what leads to a long sum and to attention in the second row.
fn in_trace(
    own: &mut OwnResults,
    shape: &TreeShape,
    parent: Digest,
    (lane, run): (u32, u8),
    height: u32,
    index: u64,
    levels: u32,
) -> Vec<Move> {
    let layout = own.model().layout.clone();
    let below: Vec<u64> = shape.below(height, index, levels).collect();
    let trace = own.trace(lane, run.into()).unwrap();
    let apart = below.len().div_ceil(BREADTH);
    let low = height - levels;
    let steps = (0..layout.steps()).map(|number| layout.step(number).unwrap());
    let long = steps
        .filter(|step| is_long_sum(step) || step.op == Op::AttnMix)
        .take(2);
    let leading: BTreeSet<u64> = long
        .map(|step| layout.index(1, step.first_leaf) >> low)
        .filter(|index| below.contains(index))
        .collect();
    let some = below.iter().copied().step_by(apart);
    let mut chosen: Vec<u64> = some.filter(|index| !leading.contains(index)).collect();
    // The last is opened first.
    chosen.extend(leading);
    let mut found = Vec::new();
    for index in chosen {
        let path = (low..height).map(|h| trace.node(h, (index >> (h - low)) ^ 1).unwrap());
        let path = path.collect();
        found.push(Move::Open {
            parent,
            position: shape.position(low, index),
            value: trace.node(low, index).unwrap(),
            path,
        });
    }
    found
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
                            let runs = answer.commitment.runs.len() as u32;
                            let (high, levels) = (shape.depth(), shape.levels_in_job(runs));
                            found.extend(in_trace(
                                own,
                                &shape,
                                key,
                                (at.lane, run),
                                high,
                                0,
                                levels,
                            ));
                            continue;
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
                        found.push(posted(
                            key,
                            NodeKind::Selection,
                            &here,
                            (token.into(), 0, 0, 0),
                        ));
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
            let of = (at.lane, at.run);
            found.extend(in_trace(own, &shape, key, of, height, at.index, levels));
        }
        NodeKind::Trace => {
            // Totals of long sums, tiles of attention's, of the first elements of every leaf.
            let (row, from) = layout.place(at.index << at.height);
            let end = (from + (1 << at.height)).min(layout.row_leaves());
            for leaf in from..end {
                let step = layout.step_at(leaf).unwrap();
                let kind = match step.op {
                    Op::AttnSum | Op::AttnMix => NodeKind::Tile,
                    Op::NormStat | Op::Matmul if is_long_sum(&step) => NodeKind::Totals,
                    _ => continue,
                };
                for element in step.elements_of(leaf - step.first_leaf).take(2) {
                    let place = (row.into(), step.number, element, 0);
                    found.push(posted(key, kind, &at, place));
                }
            }
        }
        NodeKind::Prompt => found.push(posted(key, NodeKind::Starts, &at, (0, 0, 0, 0))),
        NodeKind::Selection => found.push(posted(key, NodeKind::Group, &at, (at.index, 3, 0, 0))),
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

    let mut queue: Vec<Move> = (0..4).map(|i| job(&mut own, i)).collect();
    let mut margins: BTreeMap<NodeKind, (i128, usize, u64)> = BTreeMap::new();
    let challenges = scene.world.contracts.challenges;
    let mut opened = 0;
    while opened < FLOOD {
        // Of the kind that was opened least, the deepest.
        let counts = |act: &Move| match act {
            Move::Open { position, .. } => margins.get(&position.kind).map_or(0, |seen| seen.1),
            _ => usize::MAX,
        };
        let least = (0..queue.len()).rev().min_by_key(|i| counts(&queue[*i]));
        let act = queue.remove(least.expect("enough to open"));
        let key = scene.open_so(&mut claimed, flooder, How::Beside, &act);
        opened += 1;
        let position = claimed.view.node(key).unwrap().position;
        let contents = contents_of(&mut own, &position).unwrap();
        let gas = scene.reveal(&mut claimed, server, key, &contents);
        // Each in a line of its own, which keeps what the proposer is owed.
        let owed: U256 = (claimed.records[&key].funds >> 48) & U256::from((1u128 << 72) - 1);
        let margin = owed.to::<u128>() as i128 - i128::from(gas * BASE_FEE);
        assert!(margin >= 0, "{position:?}: {gas} gas, {margin} wei");
        let seen = margins.entry(position.kind).or_insert((margin, 0, 0));
        *seen = (seen.0.min(margin), seen.1 + 1, seen.2.max(gas));
        queue.extend(children(&claimed, &mut own, key));
    }
    for (kind, (margin, count, gas)) in &margins {
        println!(
            "{kind:?}: {count} reveals, at most {gas} gas, at least {margin} wei over the cost"
        );
    }
    assert!(margins.len() >= 12, "{margins:?}");

    let call = abi::stateOfCall {
        claimId: claimed.id,
    };
    let state = scene.world.ask(challenges, &call);
    assert!(state.aliveUntil <= claimed.window_end + 2 * BUDGET_SECONDS);
    scene.world.mine(1, state.aliveUntil - scene.world.now());
    scene.finalise(&claimed, server);
    assert!(scene.world.now() <= claimed.window_end + 2 * BUDGET_SECONDS);
    let late = { claimed.records.values() }
        .filter(|record| record.funds.to_be_bytes::<32>()[31] & 1 == 1)
        .count();
    assert!(late > FLOOD / 4 && late < FLOOD, "{late}");
    scene.reclaim(&claimed, server, None);
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
