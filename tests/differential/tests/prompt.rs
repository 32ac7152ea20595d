//! `PromptFaults` says what the reference judge says, of proofs and of what is none.

#[path = "../../../prover/tests/prompt/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::path::Path;

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, address};
use alloy_sol_types::{SolCall, SolValue, sol};
use sworn_differential::Evm;
use sworn_inference::testing::Random;
use sworn_prover::dispute::abi::{Case, IFaults};
use sworn_prover::dispute::faults::prompt::{Facts, TokenizerBook, abi, judge};
use sworn_prover::dispute::position::{NodeKind, Position};
use world::*;

sol! {
    struct Input {
        address sender;
        address recipient;
        uint64 submittedBlock;
        uint64 submittedAt;
        bytes32 modelId;
        bytes32 params;
        bytes32 payloadRoot;
        uint64 payloadLength;
        bytes32 seed;
        uint64 epoch;
        uint32 laneIndex;
    }

    function models() external view returns (address);
    function input(uint256 inputId) external view returns (Input memory);
    function laneInput(uint64 epoch, bytes32 modelId, uint32 index) external view returns (uint256 inputId);
    function commitmentsOf(bytes32 modelId) external view returns (address program, bytes32 weightsRoot, bytes32 tokenizerRoot);
}

const INBOX: Address = address!("0000000000000000000000000000000000001b0c");
const MODELS: Address = address!("0000000000000000000000000000000000003d15");

/// Code that answers these calls, whatever their arguments, and reverts on others.
fn answers(calls: &[([u8; 4], Vec<u8>)]) -> Bytes {
    // PUSH1 0 CALLDATALOAD PUSH1 224 SHR, then for each: DUP1 PUSH4 s EQ PUSH2 to JUMPI; PUSH0 PUSH0 REVERT; then for each:
    // JUMPDEST PUSH2 length PUSH2 from PUSH0 CODECOPY PUSH2 length PUSH0 RETURN; then the data.
    let start = 6 + 11 * calls.len() + 3;
    let data = start + 14 * calls.len();
    let mut code = vec![0x60, 0, 0x35, 0x60, 224, 0x1c];
    let (mut bodies, mut rest) = (Vec::new(), Vec::new());
    for (i, (selector, answer)) in calls.iter().enumerate() {
        let [to, from, length] = [start + 14 * i, data + rest.len(), answer.len()]
            .map(|number| (number as u16).to_be_bytes());
        code.extend([0x80, 0x63]);
        code.extend(selector);
        code.extend([0x14, 0x61, to[0], to[1], 0x57]);
        bodies.extend([
            0x5b, 0x61, length[0], length[1], 0x61, from[0], from[1], 0x5f, 0x39,
        ]);
        bodies.extend([0x61, length[0], length[1], 0x5f, 0xf3]);
        rest.extend(answer);
    }
    code.extend([0x5f, 0x5f, 0xfd]);
    [code, bodies, rest].concat().into()
}

/// The judge on a chain with one input and one model.
struct Chain {
    evm: Evm,
    faults: Address,
}

impl Chain {
    fn new() -> Chain {
        let mut evm = Evm::new();
        evm.set_code(
            INBOX,
            answers(&[(modelsCall::SELECTOR, MODELS.abi_encode())]),
        );
        let faults = evm
            .deploy_artifact("PromptFaults", &INBOX.abi_encode())
            .unwrap();
        Chain { evm, faults }
    }

    fn set(&mut self, facts: &Facts) {
        let input = Input {
            sender: Address::ZERO,
            recipient: Address::ZERO,
            submittedBlock: 1,
            submittedAt: 2,
            modelId: MODEL,
            params: B256::ZERO,
            payloadRoot: facts.payload_root.0.into(),
            payloadLength: facts.payload_length,
            seed: B256::ZERO,
            epoch: EPOCH,
            laneIndex: LANE,
        };
        let calls = [
            (inputCall::SELECTOR, input.abi_encode()),
            (laneInputCall::SELECTOR, U256::from(99).abi_encode()),
        ];
        self.evm.set_code(INBOX, answers(&calls));
        let root: B256 = facts.tokenizer_root.0.into();
        let commitments = (MODELS, B256::ZERO, root).abi_encode();
        let calls = [(commitmentsOfCall::SELECTOR, commitments)];
        self.evm.set_code(MODELS, answers(&calls));
    }

    /// What the contract says, none if it reverts, and the gas of a transaction that asks it.
    fn judge(&mut self, case: &Case, fault: u8, witness: &[u8]) -> (Option<bool>, u64) {
        let call = IFaults::isFaultCall {
            c: case.clone(),
            fault,
            witness: witness.to_vec().into(),
        };
        match self.evm.ask(self.faults, &call) {
            Ok((verdict, outcome)) => (Some(verdict), outcome.gas),
            Err(_) => (None, 0),
        }
    }
}

#[derive(Default)]
struct Gas {
    count: u64,
    total: u64,
    most: u64,
}

/// Disputes lies; every proof convinces the contract.
fn disputes(
    chain: &mut Chain,
    book: &TokenizerBook<'_>,
    random: &mut Random,
    gas: &mut BTreeMap<u8, Gas>,
) {
    let payload = random_payload(random, book);
    let facts = facts(book, &payload);
    chain.set(&facts);
    let truth = honest(random, book, &payload);
    for _ in 0..12 {
        let claim = lie(random, book, &truth, &payload);
        let mut contents = Contents::of(book, &payload, &claim);
        if random.below(3) == 0 {
            contents.corrupt(random);
        }
        let Some((node, fault, witness)) = dispute(book, &payload, &claim, &contents) else {
            continue;
        };
        let case = case(&claim, &contents, node);
        assert_eq!(judge(&case, &facts, fault, &witness), Ok(true));
        let (verdict, used) = chain.judge(&case, fault, &witness);
        assert_eq!(verdict, Some(true), "fault {fault} of {claim:?}");
        let entry = gas.entry(fault).or_default();
        entry.count += 1;
        entry.total += used;
        entry.most = entry.most.max(used);
    }
}

fn report(name: &str, gas: &BTreeMap<u8, Gas>) {
    println!(
        "{name}: gas of a transaction that only asks for the verdict, without the inbox's and the registry's storage reads"
    );
    for (fault, gas) in gas {
        println!(
            "  fault {fault}: {:>5} proofs, mean {:>6}, most {:>6}",
            gas.count,
            gas.total / gas.count,
            gas.most
        );
    }
}

#[test]
fn proofs() {
    let (mut chain, mut gas) = (Chain::new(), BTreeMap::new());
    for seed in 0..300 {
        let random = &mut Random(20_000 + seed);
        let book = vocabulary(random);
        disputes(&mut chain, &book, random, &mut gas);
        disputes(&mut chain, &book, random, &mut gas);
    }
    report("small vocabularies", &gas);
    assert!((48..=57).all(|fault| gas.contains_key(&fault)));
}

#[test]
fn proofs_with_real_tokenizers() {
    let mut chain = Chain::new();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, book) in real_books("proofs", &repository) {
        let mut gas = BTreeMap::new();
        for seed in 0..15 {
            disputes(&mut chain, &book, &mut Random(seed), &mut gas);
        }
        report(name, &gas);
        assert!(gas.values().all(|gas| gas.most < 300_000), "{name}");
    }
}

/// A prompt of as many tokens as a payload of 64 KiB can have.
#[test]
fn the_longest_prompts() {
    let mut chain = Chain::new();
    let mut tokens = base_tokens();
    tokens.extend([(b"a".to_vec(), 1.0, 1), (b" ".to_vec(), 1.0, 1)]);
    let book = book(tokenizer(&tokens, 3, 1));
    let text = vec![b'a'; 65_536 - 6];
    let segment = sworn_inference::tokenizer::Segment::Text(&text);
    let payload = sworn_prover::payload::encode(&[segment]).unwrap();
    let facts = facts(&book, &payload);
    chain.set(&facts);
    let honest = honest(&mut Random(1), &book, &payload);
    let (mut gas, mut prompts) = (BTreeMap::<u8, Gas>::new(), Vec::new());
    // A token too much, one too few, a byte token, another letter; at borders and near the end.
    for at in [63, 64, 65_000, 64 * 1000 + 63, 64 * 1001] {
        let prompt = honest.prompt();
        prompts.push(([&prompt[..at], &[259], &prompt[at..]].concat(), None));
        prompts.push(([&prompt[..at], &prompt[at + 1..]].concat(), None));
        prompts.push(([&prompt[..at], &[3 + 97], &prompt[at + 1..]].concat(), None));
        prompts.push(([&prompt[..at], &[260], &prompt[at + 1..]].concat(), None));
        // The last token is a byte, and the place of a leaf is wrong.
        let last = prompt.len() - 1;
        prompts.push(([&prompt[..last], &[3 + 97]].concat(), Some(at / 64 + 1)));
    }
    for (tokens, wrong_leaf) in prompts {
        let claim = Claim {
            n_prompt: tokens.len() as u32,
            finish: 2,
            tokens,
        };
        let mut contents = Contents::of(&book, &payload, &claim);
        if let Some(leaf) = wrong_leaf {
            contents.prompt[8 * leaf + 7] ^= 1;
        }
        let (node, fault, witness) = dispute(&book, &payload, &claim, &contents).unwrap();
        assert!(wrong_leaf.is_none() || fault == 50, "{fault}");
        let case = case(&claim, &contents, node);
        assert_eq!(judge(&case, &facts, fault, &witness), Ok(true));
        let (verdict, used) = chain.judge(&case, fault, &witness);
        assert_eq!(verdict, Some(true));
        let entry = gas.entry(fault).or_default();
        entry.count += 1;
        entry.total += used;
        entry.most = entry.most.max(used);
    }
    report("prompts of 65,532 tokens", &gas);
    assert!(gas.values().all(|gas| gas.most < 200_000));
}

/// Changes something of a witness.
fn change_token(random: &mut Random, w: &mut abi::TokenWitness, book: &TokenizerBook<'_>) {
    let number = random.bits() as u32;
    let token = random.below(book.record().vocabulary as usize) as u32;
    match random.below(16) {
        0 => w.slot = random.below(70) as u32,
        1 => w.which = random.below(300) as u32,
        2 => w.other = w.entry.clone(),
        3 => w.entry = book.entry(token).unwrap(),
        4 => flip_path(random, &mut w.entry.path),
        5 => w.tokenizer.flags ^= 1 << random.below(4),
        6 => w
            .payload
            .indices
            .iter_mut()
            .for_each(|index| *index ^= number & 1),
        7 => drop(w.payload.leaves.pop()),
        8 => w.payload = abi::Leaves::default(),
        9 => flip(random, &mut w.tokens.data),
        10 => flip_path(random, &mut w.tokens.path),
        11 => flip(random, &mut w.starts),
        12 => flip(random, &mut w.prompt.data),
        13 => w.entry.left ^= 1 << (number % 32),
        14 => flip(random, &mut w.entry.piece),
        _ => w
            .payload
            .leaves
            .iter_mut()
            .for_each(|leaf| flip(random, &mut leaf.data)),
    }
}

fn change_pair(random: &mut Random, w: &mut abi::PairWitness, book: &TokenizerBook<'_>) {
    let token = random.below(book.record().vocabulary as usize) as u32;
    match random.below(12) {
        0 => w.slot = random.below(70) as u32,
        1 => drop(w.left.pop()),
        2 => drop(w.right.pop()),
        3 => w.left.push(book.entry(token).unwrap()),
        4 => w.right.push(book.entry(token).unwrap()),
        5 => w.merge ^= 1,
        6 => flip(random, &mut w.merges.data),
        7 => flip_path(random, &mut w.merges.path),
        8 => std::mem::swap(&mut w.left, &mut w.right),
        9 => w.left.iter_mut().for_each(|entry| entry.rank ^= 1),
        10 => w.tokenizer.mergeCount ^= 1,
        _ => w.nextTokens = w.tokens.clone(),
    }
}

fn flip(random: &mut Random, bytes: &mut Bytes) {
    let mut changed = bytes.to_vec();
    if !changed.is_empty() {
        let at = random.below(changed.len());
        changed[at] ^= 1 << random.below(8);
    }
    *bytes = changed.into();
}

fn flip_path(random: &mut Random, path: &mut Vec<FixedBytes<32>>) {
    match random.below(3) {
        0 => drop(path.pop()),
        1 => path.push(B256::ZERO),
        _ => path
            .iter_mut()
            .for_each(|word| word.0[random.below(32)] ^= 1),
    }
}

/// A witness of any fault about any token of a claim, often with something wrong.
fn any_witness(
    random: &mut Random,
    book: &TokenizerBook<'_>,
    payload: &[u8],
    claim: &Claim,
    contents: &Contents,
) -> (Position, u8, Vec<u8>) {
    let index = random.below(claim.prompt().len());
    let starts = posted(NodeKind::Starts, index as u64 / 64);
    let fault = 48 + random.below(10) as u8;
    let mut node = match fault {
        48 if random.below(2) == 0 => Position::tree(NodeKind::Tokens, LANE, RUN, 0, 0),
        48 => posted(NodeKind::Prompt, 0),
        49 if random.below(2) == 0 => posted(NodeKind::Prompt, 0),
        56.. => posted(NodeKind::Malformed, 0),
        _ => starts,
    };
    let changed = random.below(2) == 0;
    let witness = match fault {
        54 => {
            let depths = (random.below(4), random.below(4));
            let mut witness = pair_witness(book, claim, contents, index, depths);
            if changed {
                change_pair(random, &mut witness, book);
            }
            witness.abi_encode()
        }
        56.. => {
            let mut witness = malformed_witness(book, payload, contents, random.below(5) as u32);
            if changed && random.below(3) == 0 {
                flip(random, &mut witness.contents);
            } else if changed {
                let token = random.below(book.record().vocabulary as usize) as u32;
                witness.entry = book.entry(token).unwrap();
                witness.payload.leaves.pop();
            }
            witness.abi_encode()
        }
        _ => {
            let which = 259 + random.below(book.record().vocabulary as usize - 259) as u32;
            let small = random.below(4) as u32;
            let which = if fault == 52 { small } else { which };
            let mut witness = token_witness(book, payload, claim, contents, index, which);
            if changed {
                change_token(random, &mut witness, book);
            }
            witness.abi_encode()
        }
    };
    if random.below(30) == 0 {
        node.kind = NodeKind::ALL[random.below(13)];
        node.run = random.below(3) as u8;
    }
    (node, fault, witness)
}

/// The proof that a dispute ends with, sometimes with something wrong; nothing if it ends without.
fn proof_or_not(
    random: &mut Random,
    book: &TokenizerBook<'_>,
    payload: &[u8],
    claim: &Claim,
    contents: &Contents,
) -> Option<(Position, u8, Vec<u8>)> {
    let (node, fault, witness) = dispute(book, payload, claim, contents)?;
    if random.below(3) == 0 {
        return Some((node, fault, witness));
    }
    let witness = match fault {
        54 => {
            let mut witness = abi::PairWitness::abi_decode(&witness).unwrap();
            change_pair(random, &mut witness, book);
            witness.abi_encode()
        }
        56.. => {
            let mut witness = abi::MalformedWitness::abi_decode(&witness).unwrap();
            witness.slot = random.below(5) as u32;
            witness.abi_encode()
        }
        _ => {
            let mut witness = abi::TokenWitness::abi_decode(&witness).unwrap();
            change_token(random, &mut witness, book);
            witness.abi_encode()
        }
    };
    // Sometimes of another fault, whose witness has the same type.
    let other = match fault {
        48..=53 | 55 if random.below(4) == 0 => [48, 49, 50, 51, 52, 53, 55][random.below(7)],
        fault => fault,
    };
    Some((node, other, witness))
}

#[test]
fn verdicts() {
    let mut chain = Chain::new();
    let (mut counts, mut total) = (BTreeMap::<(u8, Option<bool>), u32>::new(), 0);
    for seed in 0..500 {
        let random = &mut Random(70_000 + seed);
        let book = vocabulary(random);
        let payload = random_payload(random, &book);
        let facts = facts(&book, &payload);
        chain.set(&facts);
        let truth = honest(random, &book, &payload);
        for round in 0..40 {
            let lies = round % 2 == 1;
            let claim = if lies {
                lie(random, &book, &truth, &payload)
            } else {
                truth.clone()
            };
            let mut contents = Contents::of(&book, &payload, &claim);
            if lies && random.below(4) == 0 {
                contents.corrupt(random);
            }
            let proof = match round % 4 {
                3 => proof_or_not(random, &book, &payload, &claim, &contents),
                _ => None,
            };
            let (node, fault, witness) =
                proof.unwrap_or_else(|| any_witness(random, &book, &payload, &claim, &contents));
            let case = case(&claim, &contents, node);
            let expected = judge(&case, &facts, fault, &witness);
            let (found, _) = chain.judge(&case, fault, &witness);
            assert_eq!(
                found,
                expected.ok(),
                "seed {seed}: fault {fault} at {node:?}: {expected:?}"
            );
            assert!(
                lies || found != Some(true),
                "seed {seed}: fault {fault} of what is true"
            );
            *counts.entry((fault, found)).or_default() += 1;
            total += 1;
            // Any damage to the encoding, too, convicts nobody who told the truth.
            let mut damaged = witness;
            let at = random.below(damaged.len());
            damaged[at] ^= 1 << random.below(8);
            let (found, _) = chain.judge(&case, fault, &damaged);
            assert!(
                lies || found != Some(true),
                "seed {seed}: fault {fault}, damaged at {at}"
            );
        }
    }
    println!("{total} verdicts: {counts:?}");
    for fault in 48..=57 {
        for verdict in [None, Some(false), Some(true)] {
            assert!(
                counts.contains_key(&(fault, verdict)),
                "fault {fault}: {verdict:?}"
            );
        }
    }
}
