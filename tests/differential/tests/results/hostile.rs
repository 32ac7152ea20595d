//! Witnesses of somebody who wants an honest claim to fall.

use alloy_primitives::{B256, Bytes};
use alloy_sol_types::SolValue;
use sworn_inference::testing::Random;
use sworn_prover::dispute::abi::{Case, Leaf};
use sworn_prover::dispute::faults::prompt::TokenizerBook;
use sworn_prover::dispute::faults::tokens::witness::{self, Filling, Offset, Piece, Stop, Text};
use sworn_prover::dispute::faults::tokens::{Lists, in_node};
use sworn_prover::dispute::position::NodeKind;

use crate::world::{Claim, World, honest, tokenizer};

const FAULTS: [(u8, NodeKind); 6] = [
    (32, NodeKind::Tokens),
    (33, NodeKind::Tokens),
    (34, NodeKind::Offsets),
    (35, NodeKind::Offsets),
    (36, NodeKind::Text),
    (37, NodeKind::Text),
];

fn change_number(random: &mut Random, number: &mut u32) {
    *number = match random.below(5) {
        0 => number.wrapping_add(1),
        1 => number.wrapping_sub(1),
        2 => random.below(500) as u32,
        3 => *number ^ 64,
        _ => random.bits() as u32,
    };
}

fn change_word(random: &mut Random, word: &mut B256) {
    word.0[random.below(32)] ^= 1 << random.below(8);
}

fn change_path(random: &mut Random, path: &mut Vec<B256>) {
    match random.below(4) {
        0 => drop(path.pop()),
        1 => path.push(B256::ZERO),
        2 => path.reverse(),
        _ => {
            if let Some(word) = path.first_mut() {
                change_word(random, word);
            }
        }
    }
}

fn change_bytes(random: &mut Random, bytes: &mut Bytes) {
    let mut data = bytes.to_vec();
    match random.below(4) {
        0 => drop(data.pop()),
        1 => data.push(random.below(256) as u8),
        2 => data.clear(),
        _ if data.is_empty() => data.push(7),
        _ => {
            let at = random.below(data.len());
            data[at] ^= 1 << random.below(8);
        }
    }
    *bytes = data.into();
}

fn change_leaf(random: &mut Random, leaf: &mut Leaf, others: &[Leaf]) {
    match random.below(3) {
        0 => change_bytes(random, &mut leaf.data),
        1 => change_path(random, &mut leaf.path),
        _ => *leaf = others[random.below(others.len())].clone(),
    }
}

fn change_piece(random: &mut Random, piece: &mut Piece, others: &[Leaf], book: &TokenizerBook<'_>) {
    match random.below(8) {
        0 | 1 => change_number(random, &mut piece.place),
        2 => change_leaf(random, &mut piece.offsets, others),
        3 => change_leaf(random, &mut piece.tokens, others),
        4 => change_leaf(random, &mut piece.previous, others),
        5 => {
            let t = &mut piece.tokenizer;
            match random.below(6) {
                0 => t.flags ^= 8,
                1 => change_number(random, &mut t.bos),
                2 => change_number(random, &mut t.vocabulary),
                3 => change_word(random, &mut t.tableRoot),
                4 => change_word(random, &mut t.mergesRoot),
                _ => change_number(random, &mut t.kind),
            }
        }
        6 => piece.entry = book.entry(random.below(400) as u32).unwrap(),
        _ => {
            let e = &mut piece.entry;
            match random.below(6) {
                0 => e.kind = random.below(9) as u8,
                1 => change_number(random, &mut e.left),
                2 => change_number(random, &mut e.right),
                3 => change_number(random, &mut e.rank),
                4 => change_bytes(random, &mut e.piece),
                _ => change_path(random, &mut e.path),
            }
        }
    }
}

/// A witness of the fault about a random place, changed `changes` times.
fn witness(
    random: &mut Random,
    claim: &Claim,
    book: &TokenizerBook<'_>,
    fault: u8,
    changes: usize,
) -> Option<(Case, Vec<u8>)> {
    let kind = FAULTS.iter().find(|(code, _)| *code == fault)?.1;
    let mut lists = claim.leaves.clone();
    let count = claim.leaves.list(kind)?.len();
    if count == 0 {
        return None;
    }
    let fresh = claim.run.nTokens - claim.run.nPrompt;
    let i = random.below(fresh as usize) as u32;
    let place = claim.run.nPrompt + i;
    let index = match fault {
        33 => place / 64,
        35 => i / 64,
        _ => random.below(count) as u32,
    };
    let case = claim.case(kind, index, random.below(3) as u8);
    let height = Claim::height(&case);
    let mut others = Vec::new();
    for kind in [NodeKind::Tokens, NodeKind::Offsets, NodeKind::Text] {
        for at in 0..claim.leaves.list(kind)?.len() {
            let leaf = lists.open(kind, at as u64).ok()?;
            others.push(in_node(&leaf, height));
            others.push(leaf);
        }
    }
    let leaf = in_node(&lists.open(kind, index.into()).ok()?, height);
    let bytes = match fault {
        33 => {
            let mut w = Stop {
                place,
                tokens: leaf,
            };
            for _ in 0..changes {
                match random.below(2) {
                    0 => change_number(random, &mut w.place),
                    _ => change_leaf(random, &mut w.tokens, &others),
                }
            }
            w.abi_encode()
        }
        35 => {
            let bytes = witness::offset(&claim.run, &mut lists, book, i, height).ok()?;
            let mut w = Offset::abi_decode(&bytes).ok()?;
            for _ in 0..changes {
                match random.below(4) {
                    0 => change_leaf(random, &mut w.next, &others),
                    _ => change_piece(random, &mut w.piece, &others, book),
                }
            }
            w.abi_encode()
        }
        37 => {
            let bytes = witness::text(&claim.run, &mut lists, book, i, index, height).ok()?;
            let mut w = Text::abi_decode(&bytes).ok()?;
            for _ in 0..changes {
                match random.below(5) {
                    0 => change_leaf(random, &mut w.text, &others),
                    1 => change_number(random, &mut w.index),
                    _ => change_piece(random, &mut w.piece, &others, book),
                }
            }
            w.abi_encode()
        }
        _ => {
            let mut w = Filling { index, leaf };
            for _ in 0..changes {
                match random.below(2) {
                    0 => change_number(random, &mut w.index),
                    _ => change_leaf(random, &mut w.leaf, &others),
                }
            }
            w.abi_encode()
        }
    };
    Some((case, bytes))
}

/// Changed witnesses: of honest runs none shows a fault, and of others Rust and Solidity say the same.
#[test]
fn changed_witnesses() {
    let mut random = Random(4);
    let (mut shown, mut denied, mut refused) = (0, 0, 0);
    for strips in [false, true] {
        let tokenizer = tokenizer(strips);
        let book = TokenizerBook::of(&tokenizer).unwrap();
        let mut world = World::new(&book);
        for (n_prompt, n_new) in [(2, 5), (60, 90), (64, 130)] {
            let result = honest(&tokenizer, &mut random, n_prompt, n_new);
            let right = Claim::of(&result);
            let mut wrong = right.clone();
            for _ in 0..6 {
                for list in [
                    &mut wrong.leaves.tokens,
                    &mut wrong.leaves.offsets,
                    &mut wrong.leaves.text,
                ] {
                    if let Some(leaf) = list.first_mut() {
                        leaf[random.below(256)] ^= 1 << random.below(8);
                    }
                }
            }
            let wrong = wrong.rooted();
            for (fault, _) in FAULTS {
                for round in 0..400 {
                    let honest = round % 4 != 0;
                    let claim = if honest { &right } else { &wrong };
                    let changes = if honest {
                        1 + random.below(2)
                    } else {
                        random.below(2)
                    };
                    let Some((case, bytes)) = witness(&mut random, claim, &book, fault, changes)
                    else {
                        continue;
                    };
                    let said = world.judge(&case, fault, &bytes).ok().map(|(said, _)| said);
                    assert_eq!(
                        said,
                        world.reference(&case, fault, &bytes),
                        "fault {fault}: Solidity and Rust"
                    );
                    if honest {
                        assert_ne!(said, Some(true), "fault {fault} of an honest run");
                    }
                    match said {
                        Some(true) => shown += 1,
                        Some(false) => denied += 1,
                        None => refused += 1,
                    }
                }
            }
        }
    }
    println!("{shown} shown, {denied} denied, {refused} refused");
    assert!(shown > 100 && denied > 100 && refused > 1000);
}

/// Any bytes: cut, flipped, random.
#[test]
fn broken_encodings() {
    let mut random = Random(5);
    let tokenizer = tokenizer(true);
    let book = TokenizerBook::of(&tokenizer).unwrap();
    let mut world = World::new(&book);
    let result = honest(&tokenizer, &mut random, 60, 90);
    let claim = Claim::of(&result);
    for (fault, kind) in FAULTS {
        for _ in 0..600 {
            let Some((case, mut bytes)) = witness(&mut random, &claim, &book, fault, 0) else {
                continue;
            };
            match random.below(4) {
                0 => bytes.truncate(random.below(bytes.len())),
                1 => {
                    bytes = (0..random.below(900))
                        .map(|_| random.below(256) as u8)
                        .collect()
                }
                2 => {
                    // An offset or a length.
                    let word = 32 * random.below(bytes.len() / 32);
                    bytes[word + 30..word + 32]
                        .copy_from_slice(&(32 * random.below(60) as u16).to_be_bytes());
                }
                _ => {
                    for _ in 0..1 + random.below(3) {
                        let at = random.below(bytes.len());
                        bytes[at] ^= 1 << random.below(8);
                    }
                }
            }
            let said = world.judge(&case, fault, &bytes);
            assert!(
                !matches!(said, Ok((true, _))),
                "fault {fault} of an honest run"
            );
        }
        // A node of another kind, or a fault of another family.
        let other = FAULTS.iter().find(|(_, other)| *other != kind).unwrap().1;
        let case = claim.case(other, 0, 0);
        assert!(world.judge(&case, fault, &[]).is_err());
    }
    assert!(
        world
            .judge(&claim.case(NodeKind::Tokens, 0, 0), 48, &[])
            .is_err()
    );
}
