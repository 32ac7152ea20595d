//! Every wrong prompt falls, and no right one does (`prover/SPEC.md` section 10.5).

#[path = "prompt/world.rs"]
mod world;

use std::collections::BTreeMap;

use alloy_sol_types::SolValue;
use sworn_inference::testing::Random;
use sworn_inference::tokenizer::FLAG_TRUSTED;
use sworn_prover::dispute::faults::prompt::{TokenizerBook, honest_places, judge, places};
use sworn_prover::dispute::position::{NodeKind, Position};
use world::*;

/// Disputes a claim; whether it fell. Panics when a proof is none.
fn falls(
    book: &TokenizerBook<'_>,
    payload: &[u8],
    claim: &Claim,
    contents: &Contents,
    seen: &mut BTreeMap<u8, u32>,
) -> bool {
    let Some((node, fault, witness)) = dispute(book, payload, claim, contents) else {
        return false;
    };
    let verdict = judge(
        &case(claim, contents, node),
        &facts(book, payload),
        fault,
        &witness,
    );
    assert_eq!(verdict, Ok(true), "fault {fault} at {node:?} of {claim:?}");
    *seen.entry(fault).or_default() += 1;
    true
}

/// One vocabulary, some payloads, many lies.
fn round(random: &mut Random, seen: &mut BTreeMap<u8, u32>, unproven: &mut u32) {
    let book = vocabulary(random);
    let trusted = book.record().flags & FLAG_TRUSTED != 0;
    for _ in 0..4 {
        let payload = random_payload(random, &book);
        let truth = honest(random, &book, &payload);
        let mut contents = Contents::of(&book, &payload, &truth);
        assert!(!falls(&book, &payload, &truth, &contents, seen));
        if !truth.malformed() {
            let stands = honest_places(&book, &payload, truth.prompt()).unwrap();
            assert_eq!(stands, liar_places(&book, &payload, truth.prompt()));
            assert_eq!(contents.prompt, places::prompt_contents(&stands));
        }
        contents.corrupt(random);
        falls(&book, &payload, &truth, &contents, seen);
        for _ in 0..12 {
            let claim = lie(random, &book, &truth, &payload);
            if claim.prompt() == truth.prompt() && claim.malformed() == truth.malformed() {
                continue;
            }
            let mut contents = Contents::of(&book, &payload, &claim);
            if random.below(3) == 0 {
                contents.corrupt(random);
            }
            if !falls(&book, &payload, &claim, &contents, seen) {
                assert!(trusted, "{claim:?} instead of {truth:?} stands");
                *unproven += 1;
            }
        }
    }
}

#[test]
fn every_lie_falls() {
    let (mut seen, mut unproven) = (BTreeMap::new(), 0);
    for seed in 0..400 {
        round(&mut Random(seed), &mut seen, &mut unproven);
    }
    println!("{seen:?}, {unproven} not provable with trusted tokenizers");
    assert!((48..=57).all(|fault| seen.get(&fault).is_some_and(|count| *count > 20)));
}

/// Every witness that opens what is there, about every token: none convicts what is right.
#[test]
fn no_truth_falls() {
    let (mut refused, mut dismissed) = (0, 0);
    for seed in 0..60 {
        let random = &mut Random(1_000_000 + seed);
        let book = vocabulary(random);
        let payload = random_payload(random, &book);
        let truth = honest(random, &book, &payload);
        let contents = Contents::of(&book, &payload, &truth);
        let facts = facts(&book, &payload);
        let mut check = |node: Position, fault: u8, witness: &[u8]| match judge(
            &case(&truth, &contents, node),
            &facts,
            fault,
            witness,
        ) {
            Ok(true) => panic!("seed {seed}: fault {fault} at {node:?} of {truth:?}"),
            Ok(false) => dismissed += 1,
            Err(_) => refused += 1,
        };
        let tokens = Position::tree(NodeKind::Tokens, LANE, RUN, 0, 0);
        let (prompt, malformed) = (posted(NodeKind::Prompt, 0), posted(NodeKind::Malformed, 0));
        for index in 0..(truth.n_prompt as usize).min(150) {
            let starts = posted(NodeKind::Starts, index as u64 / 64);
            let vocabulary = book.record().vocabulary;
            for which in (0..8).chain(259..vocabulary) {
                let witness = token_witness(&book, &payload, &truth, &contents, index, which);
                let witness = witness.abi_encode();
                for fault in 48..=55 {
                    if which < 8 || [53, 55].contains(&fault) {
                        check(starts, fault, &witness);
                    }
                    if index == 0 && which == 0 {
                        for node in [tokens, prompt, malformed] {
                            check(node, fault, &witness);
                        }
                    }
                }
            }
            for depths in (0..5).flat_map(|x| (0..5).map(move |y| (x, y))) {
                let witness = pair_witness(&book, &truth, &contents, index, depths);
                check(starts, 54, &witness.abi_encode());
            }
        }
        for slot in 0..8 {
            let witness = malformed_witness(&book, &payload, &contents, slot).abi_encode();
            check(malformed, 56, &witness);
            check(malformed, 57, &witness);
        }
    }
    println!("{dismissed} dismissed, {refused} refused");
    assert!(dismissed > 10_000 && refused > 10_000);
}
