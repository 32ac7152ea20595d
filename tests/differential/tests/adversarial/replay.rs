//! Proofs in other places than their own.

use alloy_primitives::U256;
use alloy_sol_types::SolError as _;
use sworn_differential::dispute::abi;
use sworn_prover::Digest;
use sworn_prover::dispute::lie::{Hiding, Lie};
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::strategy::{Move, next};

use crate::clocks::{job, tokens};
use crate::lane::{self, Lane};
use crate::scene::{Claimed, Scene};

/// A proof shows a fault of its own claim, and of nothing else.
#[test]
fn proofs_hold_for_their_claim_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (model, asked) = lane::tiny(folder.path(), &["one", "two"]);
    let (lane, world) = Lane::new(model, &asked);
    let mut scene = Scene::new(world);
    let mut own = lane.own();
    let lie = Lie::Token(Hiding::None);
    let mut liar = lie.tell(lane.own(), 1, 0, 1).unwrap().expect("a lie");
    let mut other = Lie::TextByte
        .tell(lane.own(), 1, 0, 1)
        .unwrap()
        .expect("a lie");
    let (first, second, server, challenger) = (
        scene.account("first"),
        scene.account("second"),
        scene.account("server"),
        scene.account("challenger"),
    );
    let mut guilty = scene.claim(first, &mut liar);
    let mut twin = scene.claim(second, &mut liar);
    let mut truth = scene.claim(server, &mut own);
    let other_proposer = scene.account("other");
    let mut elsewhere = scene.claim(other_proposer, &mut other);

    // Up to the proof, on the claim and on its twin.
    let (node, fault, witness) = loop {
        match next(&guilty.view, &mut own).unwrap() {
            Move::Prove {
                node,
                fault,
                witness,
            } => break (node, fault, witness),
            _ => {
                for claimed in [&mut guilty, &mut twin] {
                    let act = next(&claimed.view, &mut own).unwrap();
                    let key = scene.open(claimed, challenger, &act);
                    assert!(scene.answer(claimed, key, &mut liar));
                }
            }
        }
    };
    // The same nodes of the honest claim, and of a claim with another lie.
    let positions: Vec<Position> = { guilty.view.nodes().iter() }.map(|n| n.position).collect();
    for position in &positions {
        let parent = |claimed: &Claimed, kind| {
            let nodes = claimed.view.nodes().iter();
            { nodes }
                .find(|node| node.position.kind == kind)
                .map_or(Digest::ZERO, |node| node.key)
        };
        let act = match position.kind {
            NodeKind::Job => job(&mut own, 1),
            NodeKind::Tokens => {
                let above = parent(&truth, NodeKind::Job);
                tokens(&mut own, 1, above)
            }
            _ => continue,
        };
        let key = scene.open(&mut truth, challenger, &act);
        scene.tell_truth(&mut truth, key, &mut own);
    }
    let key = {
        let act = next(&elsewhere.view, &mut own).unwrap();
        scene.open(&mut elsewhere, challenger, &act)
    };
    assert!(scene.answer(&mut elsewhere, key, &mut other));

    let challenges = scene.world.contracts.challenges;
    let proof = Scene::proof(&guilty, node, fault, &witness);
    let refused = |scene: &mut Scene, call: &abi::proveCall| {
        let failure = scene.refused(challenger, challenges, U256::ZERO, call);
        failure.selector().expect("an error")
    };
    // Records name their claim.
    for claimed in [&twin, &truth, &elsewhere] {
        let moved = abi::proveCall {
            claimId: claimed.id,
            ..proof.clone()
        };
        assert_eq!(refused(&mut scene, &moved), abi::WrongRecord::SELECTOR);
    }
    // The same witness at the honest claim's own records: its paths lead elsewhere.
    let at = { truth.view.nodes().iter() }
        .find(|n| n.position.kind == NodeKind::Tokens)
        .unwrap();
    let honest = Scene::proof(&truth, at.key, fault, &witness);
    let said = refused(&mut scene, &honest);
    assert!(
        said == abi::BadWitness::SELECTOR || said == abi::NoFault::SELECTOR,
        "{said:?}"
    );
    // The job is that of the claim.
    let swapped = abi::proveCall {
        job: honest.job.clone(),
        ..proof.clone()
    };
    assert_eq!(refused(&mut scene, &swapped), abi::BadContents::SELECTOR);
    // Another chain with the same claim: at first nothing is opened there, then the same job at another time.
    let mut again = Scene::new(lane.chain(&asked));
    let stranger = again.account("first");
    let mut liar = lie.tell(lane.own(), 1, 0, 1).unwrap().expect("a lie");
    let mut there = again.claim(stranger, &mut liar);
    assert_eq!(there.id, guilty.id, "same addresses");
    again.account("challenger");
    let failure = again.refused(challenger, challenges, U256::ZERO, &proof);
    assert!(failure.is::<abi::WrongRecord>(), "{failure:?}");
    again.world.mine(1, 12);
    let act = next(&there.view, &mut own).unwrap();
    let key = again.open(&mut there, challenger, &act);
    assert!(again.answer(&mut there, key, &mut liar));
    let failure = again.refused(challenger, challenges, U256::ZERO, &proof);
    assert!(failure.is::<abi::WrongRecord>(), "{failure:?}");
    // At its place it holds, once.
    scene.send(challenger, challenges, U256::ZERO, &proof);
    assert_eq!(refused(&mut scene, &proof), abi::WrongRecord::SELECTOR);
    assert_eq!(
        [3, 1, 1],
        [
            scene.status(&guilty),
            scene.status(&twin),
            scene.status(&truth)
        ]
    );
}
