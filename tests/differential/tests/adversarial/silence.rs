//! Proposers that begin to answer and stop: an answer is no more than an answer, and what is not revealed in time is a lie.

use alloy_primitives::Address;
use sworn_differential::dispute::world::BUDGET_SECONDS;
use sworn_prover::Digest;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::results::LaneResults as _;
use sworn_prover::dispute::strategy::{Move, next};

use crate::scene::{BOND, End, How, ether};
use crate::trial::{LANE, RUN, Trial};

/// Who got and paid what when the node of one line was not revealed: `owner` has that line, `sender` showed it.
fn divided(trial: &mut Trial, key: Digest, owner: Address, sender: Address) {
    let budget = BUDGET_SECONDS + 1;
    trial.scene.world.mine(1, budget);
    let fallen = trial.scene.expire(&trial.claimed, sender, key);
    assert_eq!(fallen.end, End::Expired);
    assert_eq!(trial.scene.status(&trial.claimed), 3);
    let verdict = fallen.verdict;
    assert_eq!(verdict.culprit.times, trial.claimed.records[&key].times);
    let bond = BOND as i128;
    // What the sender was paid is of the reward.
    let paid = bond / 4 - verdict.rewardWei.to::<u128>() as i128;
    assert!(paid > 0 && paid < bond / 100, "{paid}");
    trial.end(sender, verdict, &[owner]);

    let proposer = trial.proposer;
    let accounts = if owner == sender {
        vec![owner]
    } else {
        vec![owner, sender]
    };
    for account in &accounts {
        let mut expected = -trial.fees(*account);
        if *account == owner {
            expected += bond / 4 - paid;
        }
        if *account == sender {
            expected += paid;
        }
        assert_eq!(trial.scene.gain(*account), expected);
    }
    // The liar was paid nothing for the answers that it gave, and lost all of its bond.
    let expected = -bond - trial.fees(proposer);
    assert_eq!(trial.scene.gain(proposer), expected);
    let burned = trial.scene.burned() as i128;
    assert_eq!(burned, bond - bond / 4);
    println!(
        "  owner {}, sender {}, liar {}, burned {}",
        ether(trial.scene.gain(owner)),
        ether(trial.scene.gain(sender)),
        ether(trial.scene.gain(proposer)),
        ether(burned)
    );
}

/// Silent after each number of answers in the middle of a line, up to the last that the proof would need.
#[test]
fn who_stops_in_the_middle_of_a_line_loses() {
    let mut answers = 0;
    loop {
        let mut trial = Trial::of_a_hidden_token();
        let challenger = trial.scene.account("challenger");
        for _ in 0..answers {
            let key = trial.opens(challenger);
            trial.answer(key);
        }
        let act = next(&trial.claimed.lines_of(challenger), &mut trial.own).unwrap();
        if let Move::Prove { .. } = act {
            break;
        }
        let key = trial.opens(challenger);
        let kind = trial.claimed.view.node(key).unwrap().position.kind;
        println!("{answers} answers, then silence at {kind:?}:");
        divided(&mut trial, key, challenger, challenger);
        answers += 1;
    }
    assert!(answers > 3, "the line ends after {answers} answers");
}

/// Two lines, of two challengers or of one: all of one is answered, up to the proof that would be next, and nothing of the other. Whoever shows that is paid for it,
/// the reward is the owner's of the line without an answer.
#[test]
fn who_answers_one_of_two_lines_loses() {
    for of_one in [false, true] {
        let mut trial = Trial::of_a_hidden_token();
        let first = trial.scene.account("first");
        let second = match of_one {
            true => first,
            false => trial.scene.account("second"),
        };
        let job = trial.opens(first);
        trial.answer(job);
        let record = trial.liar.answer(LANE).unwrap().commitment.runs[RUN as usize];
        let act = Move::Open {
            parent: job,
            position: Position::tree(NodeKind::Offsets, LANE, RUN as u8, 0, 0),
            value: record.offsets_root,
            path: Vec::new(),
        };
        let beside = trial
            .scene
            .open_so(&mut trial.claimed, second, How::Beside, &act);
        trial.up_to_the_proof(first);
        let answered = trial.claimed.view.nodes().len() - 1;
        assert!(answered > 3, "{answered}");
        let whose = if of_one {
            "the same challenger"
        } else {
            "another"
        };
        println!("{answered} answers, none in the line of {whose}:");
        divided(&mut trial, beside, second, first);
    }
}
