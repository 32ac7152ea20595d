//! Witnesses that were changed: refused, or of no effect on an honest trace.

use alloy_primitives::{B256, U256};
use alloy_sol_types::{SolValue, sol};
use sworn_differential::Failure;
use sworn_differential::vectors::Rng;
use sworn_inference::program::WeightFormat;
use sworn_prover::Digest;
use sworn_prover::constants::{FAULT_COMBINE, FAULT_STEP, FAULT_TOTAL};
use sworn_prover::dispute::abi::{Case, Leaf};
use sworn_prover::dispute::faults::step::{SHAPE, StepWitness};

use crate::honest::Honest;
use crate::world::World;
use crate::{FORMATS, cases};

sol! {
    error BadWitness(string what);
    error UnknownFault(uint8 fault);
}

/// Changes a witness of fault 64 in its meaning: a number, a leaf or a path.
fn bend(witness: &mut StepWitness, other: &StepWitness, rng: &mut Rng) {
    let near = |x: u32, rng: &mut Rng| match rng.below(4) {
        0 => x.wrapping_add(1),
        1 => x.wrapping_sub(1),
        2 => rng.below(400),
        _ => x ^ (1 << rng.below(32)),
    };
    let leaves = [witness.inputs.len(), witness.weights.len()];
    match rng.below(16) {
        0 => witness.row = near(witness.row, rng),
        1 => witness.step = near(witness.step, rng),
        2 => witness.leaf = near(witness.leaf, rng),
        3 | 4 => witness.lane = near(witness.lane, rng),
        5 => witness.claimed = other.claimed.clone(),
        6 => witness.trace = other.trace.clone(),
        7 => witness.inputs = other.inputs.clone(),
        8 => witness.weights = other.weights.clone(),
        9 if leaves[0] > 1 => witness.inputs.swap(0, 1),
        10 if leaves[0] > 0 => drop(witness.inputs.pop()),
        11 if leaves[1] > 0 => drop(witness.weights.pop()),
        12 if leaves[0] > 0 => {
            let leaf = witness.inputs[0].clone();
            witness.inputs.push(leaf);
        }
        13 => witness.lane = SHAPE,
        14 => {
            let mut all: Vec<&mut Leaf> = witness.inputs.iter_mut().collect();
            all.extend(&mut witness.weights);
            all.push(&mut witness.claimed);
            let i = rng.below(all.len() as u32) as usize;
            bend_leaf(all[i], rng);
        }
        _ => {
            let (to, from) = (&mut witness.claimed, &other.claimed);
            to.path.clone_from(&from.path);
        }
    }
}

fn bend_leaf(leaf: &mut Leaf, rng: &mut Rng) {
    let mut data = leaf.data.to_vec();
    match rng.below(6) {
        0 => drop(data.pop()),
        1 => data.push(0),
        2 => _ = leaf.path.pop(),
        3 => leaf.path.push(B256::ZERO),
        4 if !leaf.path.is_empty() => {
            // A child of the next level as a leaf: two digests, a path one shorter.
            let sibling = leaf.path.remove(0);
            data = [Digest::of(&data).0, sibling.0].concat();
        }
        _ => {
            let i = rng.below(data.len().max(1) as u32) as usize;
            if let Some(byte) = data.get_mut(i) {
                *byte ^= 1 << rng.below(8);
            }
        }
    }
    leaf.data = data.into();
}

/// Of an honest trace no witness shows a fault: well-made ones are judged false, bent ones are refused or judged false.
#[test]
fn no_witness_shows_a_fault_of_an_honest_trace() {
    let mut world = World::new();
    for format in FORMATS {
        let mut model = Honest::new(format, 9, 4);
        model.register(&mut world);
        let mut rng = Rng(77);
        let (mut refused, mut harmless) = (0, 0);
        for i in 0..cases(500) {
            let (case, fault, witness) = model.accusation(&mut rng);
            let verdict = world.verdict(&case, fault, &witness);
            assert_eq!(verdict, Ok(false), "{format:?} {i}");
            let (other_case, other_fault, other) = model.accusation(&mut rng);
            let mut attempts = Vec::new();
            if let (Ok(mut first), Ok(second)) = (
                StepWitness::abi_decode(&witness),
                StepWitness::abi_decode(&other),
            ) && fault == FAULT_STEP
                && other_fault == FAULT_STEP
            {
                for _ in 0..=rng.below(3) {
                    bend(&mut first, &second, &mut rng);
                    attempts.push((case.clone(), fault, first.abi_encode()));
                }
            }
            // Bytes of the encoding: offsets, lengths, numbers, leaves.
            for _ in 0..3 {
                let mut bytes = witness.clone();
                for _ in 0..=rng.below(2) {
                    let word = 32 * rng.below((bytes.len() / 32) as u32) as usize;
                    let at = word
                        + if rng.below(2) == 0 {
                            31
                        } else {
                            rng.below(32) as usize
                        };
                    bytes[at] = bytes[at].wrapping_add(1 << rng.below(8));
                }
                attempts.push((case.clone(), fault, bytes));
            }
            attempts.push((
                case.clone(),
                fault,
                witness[..rng.below(witness.len() as u32) as usize].to_vec(),
            ));
            // Another node, another fault.
            attempts.push((other_case.clone(), fault, witness.clone()));
            attempts.push((
                case.clone(),
                [FAULT_STEP, FAULT_COMBINE, FAULT_TOTAL][rng.below(3) as usize],
                witness.clone(),
            ));
            let mut mixed = case.clone();
            mixed.parent = other_case.node.clone();
            attempts.push((mixed, fault, witness.clone()));
            for (case, fault, witness) in attempts {
                match world.verdict(&case, fault, &witness) {
                    Ok(true) => {
                        panic!("{format:?} {i}: a fault of an honest trace, {fault}: {case:?}")
                    }
                    Ok(false) => harmless += 1,
                    Err(Failure::Revert(_)) => refused += 1,
                    Err(other) => panic!("{format:?} {i}: {other:?}"),
                }
            }
        }
        println!("{format:?}: {refused} refused, {harmless} without effect");
        assert!(refused > harmless);
    }
}

/// Each number of a witness matters: changing one alone is refused, except where it names another element of the opened leaves.
#[test]
fn each_part_of_a_witness_is_checked() {
    let mut world = World::new();
    let mut model = Honest::new(WeightFormat::Q8_0, 9, 4);
    model.register(&mut world);
    let mut rng = Rng(5);
    for _ in 0..cases(500) {
        let (case, fault, witness) = model.accusation(&mut rng);
        if fault != FAULT_STEP {
            continue;
        }
        let good = StepWitness::abi_decode(&witness).unwrap();
        let mut bent = Vec::new();
        let mut change = |change: &dyn Fn(&mut StepWitness)| {
            let mut witness = good.clone();
            change(&mut witness);
            bent.push(witness);
        };
        change(&|w| w.row += 1);
        change(&|w| w.row = w.row.wrapping_sub(1));
        change(&|w| w.row = u32::MAX);
        change(&|w| w.leaf += 1);
        change(&|w| w.leaf = u32::MAX);
        change(&|w| w.step = u32::MAX);
        change(&|w| w.claimed.data = [&w.claimed.data[..], &[0]].concat().into());
        change(&|w| w.claimed.path.push(B256::ZERO));
        if good.lane != SHAPE {
            change(&|w| w.step += 1);
            change(&|w| w.step = w.step.wrapping_sub(1));
            change(&|w| w.lane = 264);
            change(&|w| w.lane = 0x8000_0000);
            change(&|w| w.inputs.clear());
            change(&|w| w.inputs.push(w.inputs[0].clone()));
            change(&|w| w.weights.push(w.inputs[0].clone()));
            change(&|w| w.inputs[0].data = w.inputs[0].data[1..].to_vec().into());
            change(&|w| w.inputs[0].path.push(B256::ZERO));
            if !good.inputs[0].path.is_empty() {
                change(&|w| _ = w.inputs[0].path.pop());
            }
            change(&|w| w.trace.path.push(B256::ZERO));
            if !good.weights.is_empty() {
                change(&|w| w.weights.clear());
                change(&|w| _ = w.weights[0].path.pop());
                change(&|w| w.weights[0].data = w.weights[0].data[1..].to_vec().into());
            }
            if good.inputs.len() == 2 && good.inputs[0] != good.inputs[1] {
                change(&|w| w.inputs.swap(0, 1));
            }
        }
        for (i, witness) in bent.into_iter().enumerate() {
            let verdict = world.verdict(&case, fault, &witness.abi_encode());
            assert!(
                verdict
                    .as_ref()
                    .is_err_and(|f| f.is::<BadWitness>() || matches!(f, Failure::Revert(_))),
                "change {i} of {:?} {:?}: {verdict:?}",
                model.layout.step(good.step).unwrap(),
                good.lane
            );
        }
    }
}

/// What the node and the case say is checked too.
#[test]
fn the_case_is_checked() {
    let mut world = World::new();
    let mut model = Honest::new(WeightFormat::Q4_0, 9, 4);
    model.register(&mut world);
    let mut rng = Rng(6);
    for _ in 0..cases(200) {
        let (case, fault, witness) = model.accusation(&mut rng);
        let mut bent = Vec::new();
        let mut change = |change: &dyn Fn(&mut Case)| {
            let mut case = case.clone();
            change(&mut case);
            bent.push(case);
        };
        let field = |at: usize| U256::from(1) << (8 * at);
        change(&|c| c.node.position += field(31)); // kind
        change(&|c| c.node.value = B256::ZERO);
        change(&|c| c.node.position += field(26)); // run
        change(&|c| c.job.traceRoots.truncate(1));
        change(&|c| c.job.runs.truncate(1));
        change(&|c| c.job.runs[1].nTokens = c.job.runs[1].nPrompt);
        if fault == FAULT_COMBINE {
            change(&|c| c.parent.value = B256::ZERO);
            change(&|c| c.parent.position += field(27)); // lane
            change(&|c| c.parent.position += field(26));
        }
        if fault == FAULT_TOTAL {
            change(&|c| c.node.position += field(9)); // element
            change(&|c| c.node.position += field(13)); // step
        }
        for (i, case) in bent.into_iter().enumerate() {
            let verdict = world.verdict(&case, fault, &witness);
            // The totals of another element may be judged: they are revealed contents, and right.
            let same = verdict == Ok(false) && fault == FAULT_TOTAL;
            assert!(
                same || matches!(verdict, Err(Failure::Revert(_))),
                "change {i} of fault {fault}: {verdict:?}"
            );
        }
        // Steps of the tail exist from the last token of the prompt on.
        if fault == FAULT_STEP {
            let good = StepWitness::abi_decode(&witness).unwrap();
            if good.step >= model.layout.tail_start() {
                let mut case = case.clone();
                case.job.runs[1].nPrompt = good.row + 2;
                if case.job.runs[1].nPrompt < case.job.runs[1].nTokens {
                    assert!(world.verdict(&case, fault, &witness).is_err());
                }
            }
        }
    }
    let (case, ..) = model.accusation(&mut rng);
    assert!(
        world
            .verdict(&case, 80, &[])
            .is_err_and(|f| f.is::<UnknownFault>())
    );
}
