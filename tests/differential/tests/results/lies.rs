//! Every lie about tokens, offsets or text is found, and shown.

use std::collections::BTreeMap;

use sworn_inference::engine::Finish;
use sworn_inference::testing::Random;
use sworn_prover::dispute::faults::prompt::TokenizerBook;
use sworn_prover::dispute::position::NodeKind;

use crate::world::{BOS, Claim, OTHER_STOP, STOP, World, honest, run, tokenizer};

/// The most gas of a proof as a transaction to the judge.
const MOST_GAS: u64 = 180_000;

struct Liar<'a, 'b> {
    world: &'b mut World<'a>,
    most: BTreeMap<u8, u64>,
}

impl Liar<'_, '_> {
    /// The fault that the leaf shows, after Solidity and Rust agreed.
    #[track_caller]
    fn caught(&mut self, claim: &Claim, kind: NodeKind, index: u32) -> u8 {
        let mut fault = 0;
        for height in 0..3 {
            let case = claim.case(kind, index, height);
            let found = self.world.find(claim, kind, index, Claim::height(&case));
            let (code, witness) = found.expect("a lie is found");
            let (shown, gas) = self.world.judge(&case, code, &witness).expect("a witness");
            assert!(shown, "fault {code} is not shown");
            assert_eq!(self.world.reference(&case, code, &witness), Some(true));
            let most = self.most.entry(code).or_default();
            *most = gas.max(*most);
            assert!(fault == 0 || fault == code);
            fault = code;
        }
        fault
    }
}

fn put(leaves: &mut [Vec<u8>], i: u32, number: u32) {
    let at = 4 * (i as usize % 64);
    leaves[i as usize / 64][at..at + 4].copy_from_slice(&number.to_le_bytes());
}

fn get(leaves: &[Vec<u8>], i: u32) -> u32 {
    let at = 4 * (i as usize % 64);
    u32::from_le_bytes(leaves[i as usize / 64][at..at + 4].try_into().unwrap())
}

#[test]
fn every_lie_is_shown() {
    let mut random = Random(2);
    for strips in [false, true] {
        let tokenizer = tokenizer(strips);
        let book = TokenizerBook::of(&tokenizer).unwrap();
        let mut world = World::new(&book);
        let mut liar = Liar {
            world: &mut world,
            most: BTreeMap::new(),
        };
        for (n_prompt, n_new) in [(1, 1), (3, 70), (64, 64), (65, 200)] {
            let result = honest(&tokenizer, &mut random, n_prompt, n_new);
            let (n_prompt, n_new) = (n_prompt as u32, n_new as u32);
            let all = n_prompt + n_new;
            let claim = Claim::of(&result);
            let lie = |change: &dyn Fn(&mut Claim)| {
                let mut claim = claim.clone();
                change(&mut claim);
                claim.rooted()
            };
            for place in [0, n_prompt - 1, n_prompt, all / 2, all - 1] {
                for token in [400, 1 << 31, u32::MAX] {
                    let claim = lie(&|c| put(&mut c.leaves.tokens, place, token));
                    assert_eq!(liar.caught(&claim, NodeKind::Tokens, place / 64), 32);
                }
            }
            for (kind, fault, used) in [
                (NodeKind::Tokens, 32, 4 * all),
                (NodeKind::Offsets, 34, 4 * n_new),
                (NodeKind::Text, 36, result.text.len() as u32),
            ] {
                let last = claim.leaves.list(kind).unwrap().len();
                let list = |c: &mut Claim| match kind {
                    NodeKind::Tokens => std::mem::take(&mut c.leaves.tokens),
                    NodeKind::Offsets => std::mem::take(&mut c.leaves.offsets),
                    _ => std::mem::take(&mut c.leaves.text),
                };
                let change = |at: usize, change: &dyn Fn(&mut Vec<u8>)| {
                    lie(&|c| {
                        let mut leaves = list(c);
                        change(&mut leaves[at]);
                        match kind {
                            NodeKind::Tokens => c.leaves.tokens = leaves,
                            NodeKind::Offsets => c.leaves.offsets = leaves,
                            _ => c.leaves.text = leaves,
                        }
                    })
                };
                if last == 0 {
                    continue;
                }
                // Bytes past the end.
                for byte in [used as usize % 256, 255] {
                    if used % 256 != 0 {
                        let claim = change(last - 1, &|leaf| leaf[byte] ^= 1 << (byte % 8));
                        assert_eq!(liar.caught(&claim, kind, last as u32 - 1), fault);
                    }
                }
                // Leaves of another length, wherever.
                for at in [0, last - 1] {
                    for length in [0, 255, 257] {
                        let claim = change(at, &|leaf| leaf.resize(length, 0));
                        assert_eq!(liar.caught(&claim, kind, at as u32), fault);
                    }
                }
            }
            // Stop tokens where there must be none, and none where there must be one.
            for place in [n_prompt, n_prompt + n_new / 2, all - 1] {
                let ends = result.finish == Finish::Stop && place == all - 1;
                for token in if ends { [0, BOS] } else { [STOP, OTHER_STOP] } {
                    let claim = lie(&|c| put(&mut c.leaves.tokens, place, token));
                    assert_eq!(liar.caught(&claim, NodeKind::Tokens, place / 64), 33);
                }
            }
            let claim_other = lie(&|c| c.run.finish ^= 1);
            assert_eq!(
                liar.caught(&claim_other, NodeKind::Tokens, (all - 1) / 64),
                33
            );
            // Each offset, by a little and by much.
            for i in (0..n_new)
                .step_by(1 + n_new as usize / 40)
                .chain([n_new - 1])
            {
                for by in [1, u32::MAX, 1 << 31] {
                    let wrong = get(&claim.leaves.offsets, i).wrapping_add(by);
                    let claim = lie(&|c| put(&mut c.leaves.offsets, i, wrong));
                    // It shows between it and its neighbours, the first of which may be in the leaf before.
                    let shown = liar.world.find(&claim, NodeKind::Offsets, i / 64, 0);
                    let index = if shown.is_some() { i / 64 } else { i / 64 - 1 };
                    assert_eq!(liar.caught(&claim, NodeKind::Offsets, index), 35);
                    // The piece before a leaf's first offset is wrong too.
                    if i % 64 == 0 && i > 0 {
                        assert_eq!(liar.caught(&claim, NodeKind::Offsets, i / 64 - 1), 35);
                    }
                }
            }
            let longer = lie(&|c| c.run.textLength += 1);
            assert_eq!(
                liar.caught(&longer, NodeKind::Offsets, (n_new - 1) / 64),
                35
            );
            // Each byte of the text.
            for at in (0..result.text.len()).step_by(1 + result.text.len() / 150) {
                let claim = lie(&|c| c.leaves.text[at / 256][at % 256] ^= 1 << (at % 8));
                assert_eq!(liar.caught(&claim, NodeKind::Text, at as u32 / 256), 37);
            }
        }
        println!("most gas of a proof: {:?}", liar.most);
        assert!(
            liar.most.values().all(|gas| *gas < MOST_GAS),
            "{:?}",
            liar.most
        );
    }
}

/// Bytes of a token of every type, alone in a run after BOS and after another: each has its own text.
#[test]
fn every_type_of_token_has_its_text() {
    for strips in [false, true] {
        let tokenizer = tokenizer(strips);
        let book = TokenizerBook::of(&tokenizer).unwrap();
        let mut world = World::new(&book);
        for token in (0..400).filter(|token| *token != STOP && *token != OTHER_STOP) {
            for previous in [BOS, 260] {
                // At the border of a leaf as well, where the token before is in another one.
                for n_prompt in [1, 64] {
                    let mut tokens = vec![previous; n_prompt];
                    tokens.push(token);
                    let honest = run(&tokenizer, n_prompt, tokens, Finish::Length);
                    // The rule of flag 3 the other way round.
                    let other = if previous == BOS { 260 } else { BOS };
                    let text = tokenizer.piece(Some(other), token).into_owned();
                    let claim = Claim::of(&honest);
                    assert_eq!(world.find(&claim, NodeKind::Offsets, 0, 0), None);
                    if text == honest.text {
                        continue;
                    }
                    assert!(strips);
                    let mut lie = honest.clone();
                    lie.text = text;
                    let claim = Claim::of(&lie);
                    let (fault, witness) =
                        world.find(&claim, NodeKind::Offsets, 0, 0).expect("a lie");
                    assert_eq!(fault, 35);
                    let case = claim.case(NodeKind::Offsets, 0, 0);
                    assert!(world.judge(&case, 35, &witness).unwrap().0);
                }
            }
        }
    }
}
