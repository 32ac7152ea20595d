use super::*;
use crate::store::{Seal, StoredRun};
use alloy::primitives::U256;

const US: Address = Address::repeat_byte(1);
const THEM: Address = Address::repeat_byte(2);
const LANE: LaneKey = LaneKey {
    epoch: 3,
    model: B256::repeat_byte(9),
};

fn input(id: u64) -> StoredInput {
    StoredInput {
        id,
        sender: THEM,
        recipient: THEM,
        model: LANE.model,
        params: B256::ZERO,
        payload_root: B256::ZERO,
        payload: Default::default(),
        transaction: B256::ZERO,
        block: 1,
        submitted_at: 0,
        rearms: Vec::new(),
        seal: Some(Seal {
            block: 3,
            epoch: LANE.epoch,
            lane_index: id as u32,
            seed: B256::ZERO,
            accumulator: B256::ZERO,
        }),
    }
}

fn result(id: u64) -> StoredResult {
    let run = StoredRun {
        n_prompt: 1,
        tokens: vec![1, 2],
        finish: 0,
        text: b"x".to_vec().into(),
        offsets: vec![0],
    };
    crate::machine::commit(id, B256::ZERO, vec![run.clone(), run], 0).unwrap()
}

fn claim(id: u8, proposer: Address, root: B256, window_end: u64) -> StoredClaim {
    StoredClaim {
        id: B256::repeat_byte(id),
        lane: LANE,
        proposer,
        root,
        accumulator: B256::ZERO,
        window_end,
        bond_wei: U256::ZERO,
        digests: Vec::new(),
        block: u64::from(id),
        transaction: B256::ZERO,
        end: None,
        bond_gone: None,
    }
}

/// A lane of two inputs, of which `answered` have results.
fn view(answered: u64) -> LaneView {
    let results: BTreeMap<_, _> = (0..answered).map(|id| (id, result(id))).collect();
    let mut view = LaneView {
        lane: LANE,
        inputs: vec![input(0), input(1)],
        results,
        claims: Vec::new(),
        delivered: Default::default(),
        settled: Default::default(),
        root: None,
    };
    view.root = view.tree().unwrap().map(|tree| tree.root());
    view
}

#[test]
fn a_lane_waits_then_claims_then_finalises() {
    assert_eq!(
        next_step(&view(2), Some(US), false, 0),
        LaneStep::AwaitEpochEnd
    );
    assert_eq!(
        next_step(&view(1), Some(US), true, 0),
        LaneStep::AwaitResults
    );
    let mut lane = view(2);
    let root = lane.root.unwrap();
    assert_eq!(
        next_step(&lane, Some(US), true, 0),
        LaneStep::Claim {
            root,
            rivals: vec![]
        }
    );
    lane.claims.push(claim(1, US, root, 50));
    let id = lane.claims[0].id;
    assert_eq!(
        next_step(&lane, Some(US), true, 50),
        LaneStep::AwaitWindow {
            claim: id,
            until: 50
        }
    );
    assert_eq!(
        next_step(&lane, Some(US), true, 51),
        LaneStep::Finalise {
            claim: id,
            ours: true,
            window_end: 50
        }
    );
}

#[test]
fn somebody_elses_equal_claim_is_enough_and_a_wrong_one_is_not() {
    let mut lane = view(2);
    let root = lane.root.unwrap();
    lane.claims
        .push(claim(1, THEM, B256::repeat_byte(0xee), 40));
    assert_eq!(
        next_step(&lane, Some(US), true, 90),
        LaneStep::Claim {
            root,
            rivals: vec![lane.claims[0].id]
        }
    );
    lane.claims.push(claim(2, THEM, root, 60));
    assert_eq!(
        next_step(&lane, Some(US), true, 61),
        LaneStep::Finalise {
            claim: lane.claims[1].id,
            ours: false,
            window_end: 60
        }
    );
    // One that fell is as if it had never been.
    lane.claims[1].end = Some((ClaimEnd::Fallen, 9));
    assert!(matches!(
        next_step(&lane, Some(US), true, 61),
        LaneStep::Claim { .. }
    ));
}

/// Whoever copies a claim out of the pool and overtakes it must not be helped to its fees.
#[test]
fn our_own_claim_is_finished_before_an_earlier_copy() {
    let mut lane = view(2);
    let root = lane.root.unwrap();
    lane.claims.push(claim(1, THEM, root, 40));
    lane.claims.push(claim(2, US, root, 52));
    let ours = lane.claims[1].id;
    assert_eq!(
        next_step(&lane, Some(US), true, 51),
        LaneStep::AwaitWindow {
            claim: ours,
            until: 52
        }
    );
    assert!(matches!(
        next_step(&lane, Some(US), true, 53),
        LaneStep::Finalise { claim, ours: true, .. } if claim == ours
    ));
}

#[test]
fn after_finality_everything_is_collected_once() {
    let mut lane = view(2);
    let root = lane.root.unwrap();
    lane.claims.push(claim(1, THEM, root, 40));
    lane.claims.push(claim(2, US, root, 41));
    lane.claims[0].end = Some((ClaimEnd::Final, 8));
    let LaneStep::Collect(collect) = next_step(&lane, Some(US), true, 50) else {
        panic!("collect")
    };
    assert_eq!(
        (
            collect.ours,
            collect.vouchers.len(),
            collect.unsettled.len()
        ),
        (false, 4, 2)
    );
    assert_eq!(collect.locked, vec![lane.claims[1].id]);
    lane.delivered = collect.vouchers.iter().copied().collect();
    lane.settled = [0, 1].into();
    lane.claims[1].bond_gone = Some(9);
    assert_eq!(next_step(&lane, Some(US), true, 50), LaneStep::Done);
    lane.delivered.remove(&VoucherKey {
        input: 1,
        run: 1,
        chunk: 0,
    });
    let LaneStep::Collect(collect) = next_step(&lane, Some(US), true, 50) else {
        panic!("collect")
    };
    assert_eq!(
        collect.vouchers,
        [VoucherKey {
            input: 1,
            run: 1,
            chunk: 0
        }]
    );
}

/// Their bonds burn when somebody asks for it; whoever won does, for nobody else has a reason to pay the gas.
#[test]
fn bonds_of_unequal_rivals_are_burned_by_who_won() {
    let mut lane = view(2);
    let root = lane.root.unwrap();
    lane.claims.push(claim(1, US, root, 40));
    lane.claims
        .push(claim(2, THEM, B256::repeat_byte(0xee), 41));
    lane.claims.push(claim(3, THEM, root, 42));
    lane.claims
        .push(claim(4, THEM, B256::repeat_byte(0xef), 43));
    lane.claims[0].end = Some((ClaimEnd::Final, 8));
    lane.claims[3].end = Some((ClaimEnd::Fallen, 7));
    let rival = lane.claims[1].id;
    let locked = |lane: &LaneView| match next_step(lane, Some(US), true, 50) {
        LaneStep::Collect(collect) => collect.locked,
        other => panic!("{other:?}"),
    };
    assert_eq!(locked(&lane), [rival]);
    lane.claims[1].bond_gone = Some(9);
    assert!(locked(&lane).is_empty());
    lane.claims[1].bond_gone = None;
    lane.claims[0].proposer = THEM;
    assert!(locked(&lane).is_empty(), "the winner is another");
}

#[test]
fn a_wrong_final_root_is_reported_and_an_empty_lane_is_done() {
    let mut lane = view(2);
    lane.claims
        .push(claim(1, THEM, B256::repeat_byte(0xee), 40));
    lane.claims[0].end = Some((ClaimEnd::Final, 8));
    assert!(matches!(
        next_step(&lane, Some(US), true, 50),
        LaneStep::Lost { .. }
    ));
    lane.inputs.clear();
    assert_eq!(next_step(&lane, Some(US), true, 50), LaneStep::Done);
}
