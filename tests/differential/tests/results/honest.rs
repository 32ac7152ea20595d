//! Honest runs have no fault.

use sworn_inference::testing::Random;
use sworn_prover::dispute::faults::prompt::TokenizerBook;
use sworn_prover::dispute::faults::tokens::{Lists, in_node, witness};
use sworn_prover::dispute::position::NodeKind;

use crate::world::{Claim, World, honest, tokenizer};

pub(crate) const SIZES: [(usize, usize); 7] = [
    (1, 1),
    (1, 64),
    (3, 61),
    (63, 2),
    (64, 64),
    (65, 129),
    (130, 300),
];

/// Every witness that can be made about an honest run, at every leaf and token.
#[test]
fn no_witness_shows_a_fault() {
    let mut random = Random(1);
    for strips in [false, true] {
        let tokenizer = tokenizer(strips);
        let book = TokenizerBook::of(&tokenizer).unwrap();
        let mut world = World::new(&book);
        for (n_prompt, n_new) in SIZES {
            let result = honest(&tokenizer, &mut random, n_prompt, n_new);
            let claim = Claim::of(&result);
            let mut lists = claim.leaves.clone();
            let deny = |world: &mut World<'_>, case: &_, fault, witness: Vec<u8>| {
                let said = world.judge(case, fault, &witness);
                assert!(
                    matches!(said, Ok((false, _))),
                    "fault {fault} of an honest run: {said:?}"
                );
                assert_eq!(world.reference(case, fault, &witness), Some(false));
            };
            for (kind, fault) in [
                (NodeKind::Tokens, 32),
                (NodeKind::Offsets, 34),
                (NodeKind::Text, 36),
            ] {
                for index in 0..claim.leaves.list(kind).unwrap().len() as u32 {
                    let height = random.below(3) as u8;
                    let case = claim.case(kind, index, height);
                    let height = Claim::height(&case);
                    let leaf = in_node(&lists.open(kind, index.into()).unwrap(), height);
                    deny(&mut world, &case, fault, witness::filling(index, leaf));
                    assert_eq!(world.find(&claim, kind, index, height), None);
                }
            }
            for i in 0..n_new as u32 {
                let place = n_prompt as u32 + i;
                let case = claim.case(NodeKind::Tokens, place / 64, 1);
                let leaf = lists.open(NodeKind::Tokens, u64::from(place / 64)).unwrap();
                let leaf = in_node(&leaf, Claim::height(&case));
                deny(&mut world, &case, 33, witness::stop(place, leaf));

                let case = claim.case(NodeKind::Offsets, i / 64, 2);
                let height = Claim::height(&case);
                let offset = witness::offset(&claim.run, &mut lists, &book, i, height).unwrap();
                deny(&mut world, &case, 35, offset);

                // All leaves of the text that the piece could be in, and its neighbours.
                let leaves = claim.leaves.text.len() as u32;
                let here = result.offsets[i as usize] / 256;
                for index in here.saturating_sub(1)..(here + 2).min(leaves) {
                    let case = claim.case(NodeKind::Text, index, 2);
                    let height = Claim::height(&case);
                    let text =
                        witness::text(&claim.run, &mut lists, &book, i, index, height).unwrap();
                    deny(&mut world, &case, 37, text);
                }
            }
        }
    }
}
