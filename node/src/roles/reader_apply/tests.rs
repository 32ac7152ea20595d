use super::*;
use crate::chain::abi::challenges;
use crate::store::{Cursor, Store, tables};
use alloy::primitives::{Bytes, U256};
use sworn_prover::params::Params;

const MODEL: B256 = B256::repeat_byte(7);
const CLAIM: B256 = B256::repeat_byte(0xc1);
const RIVAL: B256 = B256::repeat_byte(0xc2);

fn at(block: u64, event: Event) -> Located {
    Located {
        block,
        block_hash: B256::from(U256::from(block)),
        log_index: 0,
        transaction: B256::repeat_byte(block as u8),
        event,
    }
}

fn reading() -> Reading {
    Reading {
        chain_id: 1,
        inbox: Address::repeat_byte(3),
        account: None,
        times: [(10, 1_000)].into(),
    }
}

/// A whole life: submitted in block 10, sealed in 12, claimed in 14, final in 16, delivered and paid in 17.
fn life() -> Vec<Located> {
    let payload: Bytes = vec![1, 0, 0, 0, 0, 1, b'x'].into();
    let payload_root = crate::machine::payload_root(&payload);
    let params = B256::from(Params::default().pack().0);
    let (sender, recipient) = (Address::repeat_byte(1), Address::repeat_byte(2));
    let input = StoredInput {
        id: 0,
        sender,
        recipient,
        model: MODEL,
        params,
        payload_root,
        payload: payload.clone(),
        transaction: B256::ZERO,
        block: 10,
        submitted_at: 0,
        rearms: Vec::new(),
        seal: None,
    };
    let seed = B256::repeat_byte(0x5e);
    let accumulator =
        crate::machine::accumulate(B256::ZERO, 1, reading().inbox, &input, seed).unwrap();
    vec![
        at(
            10,
            Event::InputSubmitted {
                id: 0,
                sender,
                model: MODEL,
                recipient,
                params,
                payload_root,
                payload,
            },
        ),
        at(
            11,
            Event::InputRearmed {
                id: 0,
                armed_block: 11,
            },
        ),
        at(
            12,
            Event::InputSealed {
                id: 0,
                epoch: 4,
                model: MODEL,
                lane_index: 0,
                seed,
                accumulator,
            },
        ),
        at(
            14,
            Event::Claimed {
                claim: CLAIM,
                epoch: 4,
                model: MODEL,
                proposer: sender,
                root: B256::repeat_byte(9),
                accumulator,
                window_end: 2_000,
                bond_wei: U256::from(5),
                digests: vec![B256::repeat_byte(0xd1)],
            },
        ),
        at(16, Event::Finalised { claim: CLAIM }),
        at(
            16,
            Event::BondGone {
                claim: CLAIM,
                released: true,
            },
        ),
        at(
            17,
            Event::VoucherExecuted {
                input: 0,
                run: 0,
                chunk: 0,
                recipient,
                claim: CLAIM,
            },
        ),
        at(
            17,
            Event::Settled {
                input: 0,
                server: sender,
            },
        ),
    ]
}

/// A rival claim in block 14, opened in 15, revealed in 16, shown to be wrong in 17, settled in 18, what was left paid out in 19.
fn trial() -> Vec<Located> {
    let record = |value: u8| challenges::Record {
        position: U256::from(value),
        parentHash: B256::ZERO,
        value: B256::repeat_byte(value),
        times: U256::from(value) << 56,
        funds: U256::from(value),
        shape: U256::ZERO,
        job: B256::ZERO,
    };
    let verdict = |winner: u8| challenges::Verdict {
        culprit: record(2),
        rewardWei: U256::from(9),
        senderWei: U256::from(2),
        winner: Address::repeat_byte(winner),
        declaredAt: 0,
        fellAt: 1_700,
    };
    let (opener, key) = (Address::repeat_byte(0xaa), B256::repeat_byte(0x4e));
    vec![
        at(
            14,
            Event::Claimed {
                claim: RIVAL,
                epoch: 4,
                model: MODEL,
                proposer: Address::repeat_byte(0x66),
                root: B256::repeat_byte(8),
                accumulator: B256::ZERO,
                window_end: 2_000,
                bond_wei: U256::from(5),
                digests: vec![B256::repeat_byte(8)],
            },
        ),
        at(
            15,
            Event::Opened {
                claim: RIVAL,
                key,
                opener,
                record: record(1),
            },
        ),
        at(
            16,
            Event::Revealed {
                claim: RIVAL,
                key,
                revealer: Address::repeat_byte(0x66),
                record: record(2),
                contents: vec![1, 2, 3].into(),
            },
        ),
        at(
            17,
            Event::Toppled {
                claim: RIVAL,
                key,
                sender: opener,
                fault: Some(64),
                verdict: verdict(0),
            },
        ),
        at(17, Event::Fell { claim: RIVAL }),
        at(
            18,
            Event::Redeemed {
                claim: RIVAL,
                verdict: verdict(1),
            },
        ),
        at(
            18,
            Event::Rewarded {
                claim: RIVAL,
                account: opener,
                amount_wei: U256::from(4),
            },
        ),
        at(
            18,
            Event::FallSettled {
                claim: RIVAL,
                refunded_wei: U256::from(1),
                rewarded_wei: U256::from(1),
                burned_wei: U256::from(3),
            },
        ),
        at(
            19,
            Event::Reclaimed {
                claim: RIVAL,
                key,
                opener,
                to_opener_wei: U256::from(1),
                to_proposer_wei: U256::ZERO,
            },
        ),
    ]
}

fn read(store: &Store, events: &[Located]) {
    let mut writes = store.begin();
    for event in events {
        apply(&mut writes, &reading(), event).unwrap();
    }
    writes.commit().unwrap();
}

fn everything(store: &Store) -> String {
    let all = (
        store.scan(INPUTS).collect::<Result<Vec<_>, _>>().unwrap(),
        store.scan(UNSEALED).collect::<Result<Vec<_>, _>>().unwrap(),
        store
            .scan(UNANSWERED)
            .collect::<Result<Vec<_>, _>>()
            .unwrap(),
        store
            .scan(LANE_INPUTS)
            .collect::<Result<Vec<_>, _>>()
            .unwrap(),
        store.scan(CLAIMS).collect::<Result<Vec<_>, _>>().unwrap(),
        store
            .scan(LANE_CLAIMS)
            .collect::<Result<Vec<_>, _>>()
            .unwrap(),
        store
            .scan(DELIVERIES)
            .collect::<Result<Vec<_>, _>>()
            .unwrap(),
        store
            .scan(SETTLEMENTS)
            .collect::<Result<Vec<_>, _>>()
            .unwrap(),
        store.scan(REPORTS).collect::<Result<Vec<_>, _>>().unwrap(),
        (
            store
                .scan(tables::NODES)
                .collect::<Result<Vec<_>, _>>()
                .unwrap(),
            store
                .scan(tables::FALLS)
                .collect::<Result<Vec<_>, _>>()
                .unwrap(),
            store
                .scan(tables::REWARDS)
                .collect::<Result<Vec<_>, _>>()
                .unwrap(),
        ),
    );
    format!("{all:#?}")
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 1, reading().inbox, std::time::Duration::ZERO).unwrap();
    (dir, store)
}

/// A life with a trial in it, in the order of the blocks.
fn whole() -> Vec<Located> {
    let mut events = life();
    events.extend(trial());
    events.sort_by_key(|event| event.block);
    events
}

#[test]
fn reading_twice_changes_nothing() {
    let (_dir, store) = store();
    read(&store, &whole());
    let once = everything(&store);
    assert_eq!(store.scan(REPORTS).count(), 0, "{once}");
    assert_eq!(store.nodes_of(RIVAL).unwrap().len(), 1);
    assert_eq!(store.rewards_of(RIVAL).unwrap().len(), 1);
    assert_eq!(
        store
            .read(tables::FALLS, &RIVAL)
            .unwrap()
            .unwrap()
            .current()
            .winner,
        Address::repeat_byte(1)
    );
    read(&store, &whole());
    assert_eq!(everything(&store), once);
}

#[test]
fn a_rewind_to_any_block_is_as_if_later_blocks_had_never_been_read() {
    for last_good in 9..=19 {
        let (_dir, short) = store();
        let kept: Vec<_> = whole()
            .into_iter()
            .filter(|e| e.block <= last_good)
            .collect();
        read(&short, &kept);
        let (_other, long) = store();
        read(&long, &whole());
        long.rewind(Cursor {
            number: last_good,
            hash: B256::ZERO,
            timestamp: 0,
        })
        .unwrap();
        assert_eq!(
            everything(&long),
            everything(&short),
            "rewound to {last_good}"
        );
        assert_eq!(
            long.read(tables::CURSOR, &()).unwrap().unwrap().number,
            last_good
        );
        read(&long, &whole());
        read(&short, &whole());
        assert_eq!(
            everything(&long),
            everything(&short),
            "read again from {last_good}"
        );
    }
}

#[test]
fn a_running_hash_that_does_not_follow_is_reported() {
    let (_dir, store) = store();
    let mut events = life();
    let Event::InputSealed { seed, .. } = &mut events[2].event else {
        panic!("the seal")
    };
    *seed = B256::repeat_byte(0x5f);
    read(&store, &events);
    assert_eq!(
        store.read(REPORTS, &0).unwrap().unwrap().kind,
        ReportKind::Inconsistent
    );
}

#[test]
fn an_event_without_its_input_is_reported_not_a_panic() {
    let (_dir, store) = store();
    read(&store, &life()[1..]);
    assert_eq!(
        store.read(REPORTS, &0).unwrap().unwrap().kind,
        ReportKind::Inconsistent
    );
}

/// Nobody may be paid, or lose a bond, for an answer to bytes that the chain did not commit to.
#[test]
fn an_input_whose_events_do_not_fit_is_not_answered() {
    let (_dir, store) = store();
    let mut events = life();
    let Event::InputSubmitted { payload, .. } = &mut events[0].event else {
        panic!("the submission")
    };
    *payload = vec![1, 0, 0, 0, 0, 1, b'y'].into();
    read(&store, &events);
    assert_eq!(
        store.read(REPORTS, &0).unwrap().unwrap().kind,
        ReportKind::Inconsistent
    );
    assert_eq!(store.scan(UNANSWERED).count(), 0);
}

#[test]
fn a_complaint_ends_with_its_cause() {
    let (_dir, store) = store();
    let mut events = life();
    let Event::InputSealed { seed, .. } = &mut events[2].event else {
        panic!("the seal")
    };
    *seed = B256::repeat_byte(0x5f);
    read(&store, &events);
    assert_eq!(store.scan(UNANSWERED).count(), 0);
    store
        .rewind(Cursor {
            number: 11,
            hash: B256::ZERO,
            timestamp: 0,
        })
        .unwrap();
    read(&store, &life()[2..]);
    assert_eq!(store.scan(REPORTS).count(), 0);
    assert_eq!(store.scan(UNANSWERED).count(), 1);
}
