//! Every wrong prompt falls, and no right one does (`prover/SPEC.md` section 10.5).

#[path = "prompt/world.rs"]
mod world;

use std::collections::BTreeMap;

use alloy_sol_types::SolValue;
use sworn_inference::testing::Random;
use sworn_inference::tokenizer::FLAG_TRUSTED;
use sworn_prover::dispute::faults::prompt::abi::{PairWitness, TokenWitness};
use sworn_prover::dispute::faults::prompt::{
    TokenizerBook, honest_places, judge, places, told_places,
};
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
    let slot = match fault {
        54 => PairWitness::abi_decode(&witness).unwrap().slot,
        56.. => 0,
        _ => TokenWitness::abi_decode(&witness).unwrap().slot,
    };
    if slot == 63 {
        // At the border of two leaves; counted apart.
        *seen.entry(100 + fault).or_default() += 1;
    }
    *seen.entry(fault).or_default() += 1;
    true
}

/// One vocabulary, some payloads, many lies.
fn round(
    random: &mut Random,
    book: &TokenizerBook<'_>,
    seen: &mut BTreeMap<u8, u32>,
    unproven: &mut u32,
) {
    let trusted = book.record().flags & FLAG_TRUSTED != 0;
    for _ in 0..4 {
        let payload = random_payload(random, book);
        let truth = honest(random, book, &payload);
        let mut contents = Contents::of(book, &payload, &truth);
        assert!(!falls(book, &payload, &truth, &contents, seen));
        if !truth.malformed() {
            let stands = honest_places(book, &payload, truth.prompt()).unwrap();
            assert_eq!(stands, told_places(book, &payload, truth.prompt()).unwrap());
            assert_eq!(contents.prompt, places::prompt_contents(&stands));
        }
        contents.corrupt(random);
        falls(book, &payload, &truth, &contents, seen);
        for _ in 0..12 {
            let claim = lie(random, book, &truth, &payload);
            if claim.prompt() == truth.prompt() && claim.malformed() == truth.malformed() {
                continue;
            }
            let mut contents = Contents::of(book, &payload, &claim);
            if random.below(3) == 0 {
                contents.corrupt(random);
            }
            if !falls(book, &payload, &claim, &contents, seen) {
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
        let mut random = Random(seed);
        let book = vocabulary(&mut random);
        round(&mut random, &book, &mut seen, &mut unproven);
    }
    println!("{seen:?}, {unproven} not provable with trusted tokenizers");
    assert!((48..=57).all(|fault| seen.get(&fault).is_some_and(|count| *count > 20)));
    for at_border in [150, 154] {
        assert!(seen.contains_key(&at_border), "{at_border}");
    }
}

#[test]
fn every_lie_falls_with_real_tokenizers() {
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, book) in real_books("prompt", &repository) {
        let (mut seen, mut unproven) = (BTreeMap::new(), 0);
        for seed in 0..12 {
            round(&mut Random(seed), &book, &mut seen, &mut unproven);
        }
        println!(
            "{name}: {seen:?}, {unproven} not provable, {:?}",
            book.tokenizer().trust_note()
        );
        assert!(seen.values().sum::<u32>() > 200, "{name}");
    }
}

/// A pair that stands although a merge across it ranks before its own (review C2), and a tie that the leftmost merge decides.
#[test]
fn pairs_of_which_a_shorter_rule_errs() {
    let normal = |pieces: &[(&str, f32)]| {
        let mut tokens = base_tokens();
        let pieces = pieces.iter();
        tokens.extend(pieces.map(|(piece, score)| (piece.as_bytes().to_vec(), *score, 1)));
        book(tokenizer(&tokens, 1, 1))
    };
    let verdict = |book: &TokenizerBook<'_>, text: &[u8], tokens: &[u32]| {
        let segment = sworn_inference::tokenizer::Segment::Text(text);
        let payload = sworn_prover::payload::encode(&[segment]).unwrap();
        let claim = Claim {
            n_prompt: tokens.len() as u32,
            finish: 0,
            tokens: tokens.to_vec(),
        };
        let contents = Contents::of(book, &payload, &claim);
        let found = dispute(book, &payload, &claim, &contents).map(|(_, fault, _)| fault);
        let right = book.tokenizer().encode(&[segment]) == tokens;
        assert_eq!(found.is_none(), right, "{tokens:?}");
        // No spines convict what stands.
        for depths in (0..4)
            .flat_map(|x| (0..4).map(move |y| (x, y)))
            .filter(|_| right)
        {
            let witness = pair_witness(book, &claim, &contents, 1, depths).abi_encode();
            let case = case(&claim, &contents, posted(NodeKind::Starts, 0));
            let judged = judge(&case, &facts(book, &payload), 54, &witness);
            assert_ne!(judged, Ok(true), "{depths:?}");
        }
        found
    };
    // a b bb ba bab bbab: bb|bab, with (b,bab) before (b,b) before (b,a) and (ba,b).
    let one = normal(&[
        ("a", 9.0),
        ("b", 9.0),
        ("bb", -1.0),
        ("ba", -2.0),
        ("bab", -2.0),
        ("bbab", 0.0),
    ]);
    assert_eq!(one.tokenizer().trust_note(), None);
    assert_eq!(verdict(&one, b"bbbab", &[1, 261, 263]), None);
    assert_eq!(verdict(&one, b"bbbab", &[1, 260, 261, 262, 260]), Some(54));
    assert_eq!(verdict(&one, b"bbab", &[1, 264]), Some(53));
    // aa|a and a|aa merge with the same rank.
    let two = normal(&[("a", 9.0), ("aa", -1.0)]);
    assert_eq!(verdict(&two, b"aaa", &[1, 260, 259]), None);
    assert_eq!(verdict(&two, b"aaa", &[1, 259, 260]), Some(54));
    // Which of ab and bc comes first decides; equal ranks go to the left.
    for (ab, bc, right) in [
        (-1.0, -2.0, [261, 260]),
        (-2.0, -1.0, [259, 262]),
        (-1.0, -1.0, [261, 260]),
    ] {
        let three = normal(&[("a", 9.0), ("c", 9.0), ("ab", ab), ("bc", bc), ("b", 9.0)]);
        let wrong = if right == [261, 260] {
            [259, 262]
        } else {
            [261, 260]
        };
        assert_eq!(verdict(&three, b"abc", &[1, right[0], right[1]]), None);
        assert_eq!(verdict(&three, b"abc", &[1, wrong[0], wrong[1]]), Some(54));
    }
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
