use super::*;
use crate::store::Seal;
use alloy::primitives::{Address, B256, Bytes};

#[test]
fn an_input_that_ended_the_node_does_not_stand_before_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 1, Address::ZERO, std::time::Duration::ZERO).unwrap();
    for id in 0..3 {
        let input = StoredInput {
            id,
            sender: Address::ZERO,
            recipient: Address::ZERO,
            model: B256::ZERO,
            params: B256::ZERO,
            payload_root: B256::ZERO,
            payload: Bytes::new(),
            transaction: B256::ZERO,
            block: 1,
            submitted_at: 0,
            rearms: Vec::new(),
            seal: Some(Seal {
                block: 2,
                epoch: 0,
                lane_index: 0,
                seed: B256::ZERO,
                accumulator: B256::ZERO,
            }),
        };
        store.put(INPUTS, &id, &input).unwrap();
        store.put(UNANSWERED, &id, &()).unwrap();
    }
    store.put(BEGUN, &0, &2).unwrap();
    store.put(BEGUN, &1, &1).unwrap();
    let executor = Executor::default();
    let mut order = Vec::new();
    while let Some((input, _)) = executor.pick(&store, &Turn::default()).unwrap() {
        store.remove(UNANSWERED, &input.id).unwrap();
        order.push(input.id);
    }
    assert_eq!(order, [2, 1, 0]);
}

/// Ids in the order in which they begin when nothing ends, from (begun, id, model).
fn begun_beside(turn: &mut Turn, inputs: &[(u32, u64, u8)]) -> Vec<u64> {
    let mut order = Vec::new();
    loop {
        let waiting = inputs.iter().filter(|i| !turn.running.contains(&i.1));
        let waiting = waiting.map(|&(begun, id, model)| {
            let model = B256::repeat_byte(model);
            Ok(Waiting { begun, id, model })
        });
        let Some(found) = turn.pick(waiting).unwrap() else {
            return order;
        };
        turn.running.insert(found.id);
        order.push(found.id);
    }
}

fn turn(running: &[u64], last: u64) -> Turn {
    Turn {
        model: B256::repeat_byte(1),
        last,
        alone: false,
        running: running.iter().copied().collect(),
    }
}

#[test]
fn inputs_of_one_model_run_together() {
    let all = [(0, 1, 1), (0, 2, 1), (0, 3, 2), (0, 4, 1), (0, 9, 1)];
    // Those that were there join, whatever stands between; later ones wait for the other model's turn.
    assert_eq!(begun_beside(&mut turn(&[1], 4), &all), [2, 4]);
    // With one model alone all join.
    let one: Vec<_> = all.into_iter().filter(|i| i.2 == 1).collect();
    assert_eq!(begun_beside(&mut turn(&[1], 4), &one), [2, 4, 9]);
    // The next turn begins with who waited longest.
    let left = [(0, 3, 2), (0, 9, 1)];
    let found = Turn::default().pick(left.iter().map(|&(begun, id, model)| {
        let model = B256::repeat_byte(model);
        Ok(Waiting { begun, id, model })
    }));
    assert_eq!(found.unwrap().map(|found| found.id), Some(3));
}

#[test]
fn suspicious_inputs_come_last_and_in_the_end_alone() {
    let all = [(2, 1, 1), (1, 2, 1), (0, 3, 1), (1, 4, 1), (0, 5, 1)];
    assert_eq!(begun_beside(&mut turn(&[3], 5), &all), [5, 2, 4]);
    let mut alone = Turn {
        alone: true,
        ..turn(&[1], 5)
    };
    assert!(begun_beside(&mut alone, &[(0, 6, 1)]).is_empty());
    // One that ended the node once does not go before another model's.
    assert!(begun_beside(&mut turn(&[3], 5), &[(1, 2, 1), (0, 4, 2)]).is_empty());
}
