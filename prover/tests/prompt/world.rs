//! Random vocabularies, payloads, claims about their tokens, and what liars reveal.
#![allow(dead_code, unreachable_pub)] // each test uses its part

use std::collections::BTreeMap;

use alloy_primitives::{B256, U256};
use sworn_inference::testing::Random;
use sworn_inference::tokenizer::{Segment, TokenType, Tokenizer};
use sworn_prover::constants::{
    FINISH_LENGTH, FINISH_TOO_LONG, PART_PLACES, TEXT_LEAF_BYTES, TOKEN_LEAF_ELEMENTS,
};
use sworn_prover::dispute::abi::{Case, Job, Node, Run};
use sworn_prover::dispute::faults::prompt::layout::Kind;
use sworn_prover::dispute::faults::prompt::{
    Dispute, Facts, Layout, Next, Place, TokenLeaves, TokenizerBook, abi, claims_malformed, places,
    told_places,
};
use sworn_prover::dispute::parts::{self, Parts};
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::merkle::Tree;
use sworn_prover::{Digest, payload, text};

pub const LANE: u32 = 7;
pub const RUN: u8 = 1;
pub const EPOCH: u64 = 3;
pub const MODEL: B256 = B256::repeat_byte(0x4d);

/// A tokenizer of these tokens (piece, score, type), in the form that imported models have.
pub fn tokenizer(tokens: &[(Vec<u8>, f32, u8)], flags: u32, bos: u32) -> Tokenizer {
    let mut bytes = b"SWTK".to_vec();
    for number in [1, flags, bos, 2, tokens.len() as u32] {
        bytes.extend(number.to_le_bytes());
    }
    for (piece, score, token_type) in tokens {
        bytes.push(*token_type);
        bytes.extend(score.to_le_bytes());
        bytes.extend((piece.len() as u16).to_le_bytes());
        bytes.extend(piece);
    }
    let digest = Digest::of(&bytes);
    bytes.extend(digest.0);
    Tokenizer::from_bytes(&bytes).unwrap()
}

/// The book of a tokenizer, for as long as the test runs.
pub fn book(tokenizer: Tokenizer) -> TokenizerBook<'static> {
    TokenizerBook::of(Box::leak(Box::new(tokenizer))).unwrap()
}

fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> &'a T {
    &from[random.below(from.len())]
}

/// Unknown, BOS, EOS, the bytes.
pub fn base_tokens() -> Vec<(Vec<u8>, f32, u8)> {
    let special = [("<unk>", 2), ("<s>", 3), ("</s>", 3)];
    let special = special.map(|(piece, token_type)| (piece.as_bytes().to_vec(), 0.0, token_type));
    let bytes = (0..256).map(|byte| (format!("<0x{byte:02X}>").into_bytes(), 0.0, 6));
    special.into_iter().chain(bytes).collect()
}

const ALPHABET: [&[u8]; 12] = [
    b"a",
    b"b",
    b"c",
    b"\xe2\x96\x81",
    b" ",
    "é".as_bytes(),
    "字".as_bytes(),
    "🦙".as_bytes(),
    b"\xc3",
    b"\xa9",
    b"\xe5\xad",
    b"\xff",
];

/// A vocabulary of few letters and many merges; most have derivations that never decrease in rank.
pub fn vocabulary(random: &mut Random) -> TokenizerBook<'static> {
    let mut tokens = base_tokens();
    let mut pieces: Vec<(Vec<u8>, f32)> = Vec::new();
    for (i, letter) in ALPHABET.into_iter().enumerate() {
        if random.below(100) < [98, 90, 60, 60, 20, 50, 40, 20, 15, 15, 8, 10][i] {
            pieces.push((letter.to_vec(), 1.0));
        }
    }
    if pieces.is_empty() {
        pieces.push((b"a".to_vec(), 1.0));
    }
    let strange = random.below(10) == 0;
    for _ in 0..random.below(40) {
        let ((left, a), (right, b)) =
            (pick(random, &pieces).clone(), pick(random, &pieces).clone());
        let piece = [left, right].concat();
        if piece.len() > 24 || pieces.iter().any(|(other, _)| *other == piece) {
            continue;
        }
        let lowest = if random.below(30) == 0 && strange {
            0.0
        } else {
            a.min(b)
        };
        pieces.push((piece, lowest - random.below(3) as f32));
    }
    tokens.extend(
        pieces
            .iter()
            .map(|(piece, score)| (piece.clone(), *score, 1)),
    );
    for _ in 0..random.below(6) {
        let (piece, score) = pick(random, &pieces).clone();
        let token_type = *pick(random, &[1, 1, 3, 4, 5, 2]);
        tokens.push((piece, score, token_type));
    }
    if random.below(2) == 0 {
        tokens.push((
            format!("<0x{:02X}>", random.below(256)).into_bytes(),
            0.0,
            6,
        ));
    }
    tokens.push((b"<u>".to_vec(), 0.0, 4));
    let flags = random.below(16) as u32 & !4;
    let bos = *pick(random, &[1, 1, 1, 1, 259, 70]);
    book(tokenizer(&tokens, flags, bos))
}

fn random_text(random: &mut Random, book: &TokenizerBook<'_>) -> Vec<u8> {
    let parts = match random.below(20) {
        0 => 0,
        1 => 300,
        2..5 => 100,
        _ => random.below(20),
    };
    let vocabulary = book.record().vocabulary;
    let mut out = Vec::new();
    for _ in 0..parts {
        match random.below(12) {
            0 => out.extend(pick(random, &ALPHABET).iter()),
            1 => {
                out.extend([b"z", b"\x80", b"<s>" as &[u8], b"\xe5", b"\xf0\x9f"][random.below(5)])
            }
            2..4 => out.push(b'a'),
            _ => {
                let token = 259 + random.below(vocabulary as usize - 259) as u32;
                out.extend(book.tokenizer().piece(None, token).iter());
            }
        }
    }
    out
}

/// Segments, sometimes with a control token that is none.
pub fn random_payload(random: &mut Random, book: &TokenizerBook<'_>) -> Vec<u8> {
    let count = *pick(random, &[0, 1, 1, 1, 2, 3, 4, 6]);
    let texts: Vec<Result<Vec<u8>, u32>> = (0..count)
        .map(|_| match random.below(8) {
            0..5 => Ok(random_text(random, book)),
            5 => Ok(Vec::new()),
            6 if random.below(4) == 0 => Err(*pick(
                random,
                &[0, 3, 259, book.record().vocabulary, u32::MAX],
            )),
            _ => Err(*pick(random, &[1, 2, book.record().vocabulary - 1])),
        })
        .collect();
    let segments: Vec<Segment<'_>> = texts
        .iter()
        .map(|part| match part {
            Ok(text) => Segment::Text(text),
            Err(id) => Segment::Control(*id),
        })
        .collect();
    payload::encode(&segments).unwrap()
}

/// Whether a payload is malformed, as inboxes take it.
pub fn is_malformed(book: &TokenizerBook<'_>, payload: &[u8]) -> bool {
    payload::decode(payload)
        .unwrap()
        .iter()
        .any(|segment| matches!(segment, Segment::Control(id) if !book.tokenizer().is_control(*id)))
}

/// What a claim says of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub n_prompt: u32,
    pub finish: u8,
    pub tokens: Vec<u32>,
}

impl Claim {
    pub fn prompt(&self) -> &[u32] {
        &self.tokens[..self.n_prompt as usize]
    }

    pub fn malformed(&self) -> bool {
        claims_malformed(self.n_prompt, self.tokens.len() as u32, self.finish)
    }

    fn tree(&self) -> Tree {
        let leaves = self.tokens.chunks(TOKEN_LEAF_ELEMENTS);
        Tree::new(leaves.map(|leaf| Digest::of(&leaf_bytes(leaf))).collect())
    }
}

fn leaf_bytes(tokens: &[u32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|token| token.to_le_bytes())
        .collect();
    bytes.resize(4 * TOKEN_LEAF_ELEMENTS, 0);
    bytes
}

impl TokenLeaves for Claim {
    fn leaf(&self, leaf: u32) -> Option<Vec<u8>> {
        { self.tokens.chunks(TOKEN_LEAF_ELEMENTS) }
            .nth(leaf as usize)
            .map(leaf_bytes)
    }

    fn path(&self, leaf: u32) -> Option<Vec<Digest>> {
        self.tree().path(leaf.into()).ok()
    }
}

/// What is true.
pub fn honest(random: &mut Random, book: &TokenizerBook<'_>, payload: &[u8]) -> Claim {
    if is_malformed(book, payload) {
        return Claim {
            n_prompt: 1,
            finish: FINISH_TOO_LONG,
            tokens: vec![book.record().bos],
        };
    }
    let segments = payload::decode(payload).unwrap();
    let mut tokens = book.tokenizer().encode(&segments);
    let n_prompt = tokens.len() as u32;
    let too_long = n_prompt > 1 && random.below(4) == 0;
    if !too_long {
        tokens.extend((0..random.below(4)).map(|i| i as u32 + 5));
    }
    Claim {
        n_prompt,
        finish: if too_long {
            FINISH_TOO_LONG
        } else {
            FINISH_LENGTH
        },
        tokens,
    }
}

/// A claim with something changed.
pub fn lie(random: &mut Random, book: &TokenizerBook<'_>, honest: &Claim, payload: &[u8]) -> Claim {
    let tokenizer = book.tokenizer();
    let vocabulary = book.record().vocabulary;
    let mut prompt = honest.prompt().to_vec();
    let mut rest = honest.tokens[prompt.len()..].to_vec();
    let mut finish = honest.finish;
    if honest.malformed() {
        // Tokens of a payload that has none: as if the bad control tokens were good, or were not there.
        finish = FINISH_LENGTH;
        let with = random.below(2) == 0;
        prompt = vec![book.record().bos];
        prompt.truncate(book.record().flags as usize & 1);
        for segment in payload::decode(payload).unwrap() {
            match segment {
                Segment::Control(id) if tokenizer.is_control(id) || with => prompt.push(id),
                Segment::Control(_) => {}
                text => {
                    prompt.extend(&tokenizer.encode(&[text])[book.record().flags as usize & 1..])
                }
            }
        }
        if prompt.is_empty() {
            prompt.push(3);
        }
        if random.below(4) == 0 {
            (prompt, finish) = (vec![5], FINISH_TOO_LONG);
        }
    } else if random.below(20) == 0 {
        (prompt, rest, finish) = (vec![book.record().bos], Vec::new(), FINISH_TOO_LONG);
    } else {
        for _ in 0..1 + random.below(2) {
            change(random, book, &mut prompt, vocabulary);
        }
    }
    if prompt.is_empty() {
        prompt.push(*pick(random, &[1, 70, 259]));
    }
    Claim {
        n_prompt: prompt.len() as u32,
        finish,
        tokens: [prompt, rest].concat(),
    }
}

fn change(random: &mut Random, book: &TokenizerBook<'_>, prompt: &mut Vec<u32>, vocabulary: u32) {
    let tokenizer = book.tokenizer();
    let any = random.below(vocabulary as usize + 2) as u32;
    if prompt.is_empty() {
        return prompt.push(any);
    }
    let at = random.below(prompt.len());
    let token = prompt[at];
    match random.below(10) {
        0 => prompt[at] = any,
        1 => {
            prompt.remove(at);
        }
        2 => prompt.insert(at, any),
        3 => prompt.truncate(at),
        4 => {
            // Another token that reads the same.
            let text = tokenizer.piece(None, token);
            let same: Vec<u32> = (0..vocabulary)
                .filter(|id| *id != token && tokenizer.piece(None, *id) == text)
                .collect();
            if !same.is_empty() {
                prompt[at] = *pick(random, &same);
            }
        }
        5 => {
            let text = tokenizer.piece(None, token).into_owned();
            let bytes = text.iter().map(|byte| 3 + u32::from(*byte));
            prompt.splice(at..at + 1, bytes);
        }
        6 => {
            let splits: Vec<_> = { tokenizer.merges().iter() }
                .filter(|merge| merge.result == token)
                .collect();
            if !splits.is_empty() {
                let split = pick(random, &splits);
                prompt.splice(at..at + 1, [split.left, split.right]);
            }
        }
        _ => respell(random, book, prompt, at),
    }
}

/// Spells a stretch of a prompt with random pieces.
fn respell(random: &mut Random, book: &TokenizerBook<'_>, prompt: &mut Vec<u32>, at: usize) {
    let tokenizer = book.tokenizer();
    let is_text = |token: &u32| {
        *token < book.record().vocabulary
            && matches!(
                tokenizer.token(*token).token_type,
                TokenType::Normal | TokenType::Byte
            )
    };
    let most = 1 + random.below(8);
    let length = { prompt[at..].iter() }
        .take(most)
        .take_while(|token| is_text(token))
        .count();
    let mut text: Vec<u8> = Vec::new();
    for token in &prompt[at..at + length] {
        text.extend(tokenizer.piece(None, *token).iter());
    }
    let mut spelled = Vec::new();
    let mut rest = &text[..];
    while !rest.is_empty() {
        let fits: Vec<u32> = (3..book.record().vocabulary)
            .filter(|id| {
                let piece = tokenizer.piece(None, *id);
                let normal = tokenizer.token(*id).token_type == TokenType::Normal;
                !piece.is_empty() && rest.starts_with(&piece) && (normal || random.below(12) == 0)
            })
            .collect();
        let token = match fits.is_empty() {
            true => 3 + u32::from(rest[0]),
            false => *pick(random, &fits),
        };
        rest = &rest[tokenizer.piece(None, token).len()..];
        spelled.push(token);
    }
    prompt.splice(at..at + length, spelled);
}

/// Contents of the posted nodes of a run.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    pub prompt: Vec<u8>,
    pub starts: BTreeMap<u32, Vec<u8>>,
    pub malformed: Vec<u8>,
}

impl Contents {
    pub fn of(book: &TokenizerBook<'_>, payload: &[u8], claim: &Claim) -> Contents {
        let stands = told_places(book, payload, claim.prompt()).unwrap();
        let leaves = claim.prompt().len().div_ceil(TOKEN_LEAF_ELEMENTS) as u32;
        let layout = Layout::of(payload, 0).unwrap();
        let malformed = places::malformed_contents(payload, &|id| book.tokenizer().is_control(id));
        // A liar's list goes to the last control segment, or to the end.
        let last = { layout.segments().iter() }.rposition(|s| matches!(s.kind, Kind::Control(_)));
        let last = last.map_or(layout.segments().len().max(1), |last| last + 1);
        let mut list = (last as u32).to_be_bytes().to_vec();
        let headers = layout.segments().iter().map(|segment| segment.header);
        { headers.chain([1]) }
            .take(last)
            .for_each(|header| list.extend(header.to_be_bytes()));
        Contents {
            prompt: places::prompt_contents(&stands),
            starts: (0..leaves)
                .map(|leaf| (leaf, places::starts_contents(&stands, leaf)))
                .collect(),
            malformed: malformed.unwrap_or(list),
        }
    }

    /// Changes a few numbers.
    pub fn corrupt(&mut self, random: &mut Random) {
        for _ in 0..1 + random.below(2) {
            let leaf = random.below(self.starts.len().max(1)) as u32;
            let start = if random.below(3) == 0 { 0 } else { 4 };
            let list = match random.below(3) {
                0 => &mut self.prompt[..],
                1 => self
                    .starts
                    .get_mut(&leaf)
                    .map_or(&mut [][..], |list| &mut list[..]),
                _ => &mut self.malformed[start..],
            };
            if list.is_empty() {
                continue;
            }
            let word = 4 * random.below(list.len() / 4);
            let Some(slot) = list[word..].first_chunk_mut::<4>() else {
                continue;
            };
            let old = u32::from_be_bytes(*slot);
            let new = match random.below(6) {
                0 => old ^ Place::SPACE,
                1 => random.below(40) as u32,
                2 => u32::MAX - random.below(3) as u32,
                3 => old.wrapping_sub(1),
                4 => 0,
                _ => old.wrapping_add(1 + random.below(6) as u32),
            };
            *slot = new.to_be_bytes();
        }
    }

    pub fn get(&self, position: Position) -> Vec<u8> {
        match position.kind {
            NodeKind::Prompt => self.prompt.clone(),
            NodeKind::Starts => { self.starts.get(&(position.index as u32)) }
                .cloned()
                .unwrap_or_default(),
            NodeKind::Malformed => self.malformed.clone(),
            _ => Vec::new(),
        }
    }
}

pub fn posted(kind: NodeKind, index: u64) -> Position {
    Position {
        index,
        ..Position::tree(kind, LANE, RUN, 0, 0)
    }
}

fn node(position: Position, value: Digest) -> Node {
    Node {
        position: U256::from_be_bytes(position.to_word()),
        value: value.0.into(),
    }
}

/// The case of a fault at a node.
pub fn case(claim: &Claim, contents: &Contents, position: Position) -> Case {
    let run = Run {
        nPrompt: claim.n_prompt,
        nTokens: claim.tokens.len() as u32,
        finish: claim.finish,
        tokensRoot: claim.tree().root().0.into(),
        offsetsRoot: B256::ZERO,
        textRoot: B256::ZERO,
        textLength: 0,
        score: 0,
        greedy: false,
    };
    let other = Run {
        nPrompt: 1,
        nTokens: 2,
        ..run.clone()
    };
    let (value, parent) = match position.kind {
        NodeKind::Tokens => (
            claim.tree().root(),
            Position::tree(NodeKind::Job, LANE, 0, 0, 0),
        ),
        NodeKind::Starts => (
            parts::digest(&position, &contents.get(position)),
            posted(NodeKind::Prompt, 0),
        ),
        _ => (
            parts::digest(&position, &contents.get(position)),
            Position::tree(NodeKind::Job, LANE, 0, 0, 0),
        ),
    };
    Case {
        epoch: EPOCH,
        modelId: MODEL,
        job: Job {
            inputId: U256::from(99),
            scoreRoot: B256::ZERO,
            runs: vec![other, run],
            traceRoots: vec![B256::ZERO; 2],
        },
        node: node(position, value),
        parent: node(parent, parts::digest(&parent, &contents.get(parent))),
    }
}

pub fn facts(book: &TokenizerBook<'_>, payload: &[u8]) -> Facts {
    Facts {
        payload_root: text::root(payload),
        payload_length: payload.len() as u64,
        tokenizer_root: book.record().digest(),
    }
}

/// Plays a dispute to its end; gives the node, the fault and the witness, or nothing.
pub fn dispute(
    book: &TokenizerBook<'_>,
    payload: &[u8],
    claim: &Claim,
    contents: &Contents,
) -> Option<(Position, u8, Vec<u8>)> {
    let mut starts = BTreeMap::new();
    let (mut prompt, mut malformed) = (None, None);
    for _ in 0..6 {
        let next = Dispute {
            lane: LANE,
            run: RUN,
            book,
            payload,
            n_prompt: claim.n_prompt,
            n_tokens: claim.tokens.len() as u32,
            finish: claim.finish,
            tokens: claim,
            prompt: prompt.as_deref(),
            starts: &starts,
            malformed: malformed.as_deref(),
        }
        .next()
        .unwrap();
        match next {
            Next::Nothing => return None,
            Next::Tokens(leaf) => panic!("leaf {leaf} is known"),
            Next::Prove {
                node,
                fault,
                witness,
            } => return Some((node, fault, witness)),
            Next::Open(position) => match position.kind {
                NodeKind::Prompt => prompt = Some(contents.prompt.clone()),
                NodeKind::Malformed => malformed = Some(contents.malformed.clone()),
                _ => {
                    let before = starts.insert(position.index as u32, contents.get(position));
                    assert!(before.is_none(), "{position:?} is open");
                }
            },
        }
    }
    panic!("a dispute takes at most five steps");
}

/// The shipped tokenizer and, where their files are, real ones.
pub fn real_books(
    test: &str,
    repository: &std::path::Path,
) -> Vec<(&'static str, TokenizerBook<'static>)> {
    let data = std::env::var_os("SWORN_DATA")
        .map_or_else(|| repository.join("../shared/data"), Into::into);
    let fable = repository.join("models/fable/fable-2m.q8_0.gguf");
    let mut books = vec![("fable", book(Tokenizer::from_gguf_file(&fable).unwrap()))];
    for (name, file, size) in [
        ("tok512", "llama2c/tok512.bin", 512),
        ("tok4096", "llama2c/tok4096.bin", 4096),
        ("llama 2", "llama2c/tokenizer.bin", 32_000),
        (
            "llama 2, GGUF",
            "llamacpp-vocab/ggml-vocab-llama-spm.gguf",
            0,
        ),
        ("phi 3", "llamacpp-vocab/ggml-vocab-phi-3.gguf", 0),
    ] {
        let path = data.join(file);
        if !path.exists() {
            sworn_inference::testing::skip(&format!(
                "{test}: data not found at {}",
                path.display()
            ));
            continue;
        }
        let tokenizer = match size {
            0 => Tokenizer::from_gguf_file(&path),
            size => Tokenizer::from_llama2c_file(&path, size),
        };
        books.push((name, book(tokenizer.unwrap())));
    }
    books
}

// Witnesses that open everything.

fn words(path: Vec<Digest>) -> Vec<B256> {
    path.iter().map(|digest| digest.0.into()).collect()
}

fn tokens_leaf(claim: &Claim, leaf: u32) -> abi::Leaf {
    match (claim.leaf(leaf), claim.path(leaf)) {
        (Some(data), Some(path)) => abi::Leaf {
            data: data.into(),
            path: words(path),
        },
        _ => abi::Leaf::default(),
    }
}

fn payload_leaves(payload: &[u8]) -> abi::Leaves {
    let tree = text::tree(payload);
    let mut opened = abi::Leaves::default();
    for (index, bytes) in (0..).zip(payload.chunks(TEXT_LEAF_BYTES)) {
        let mut data = bytes.to_vec();
        data.resize(TEXT_LEAF_BYTES, 0);
        opened.indices.push(index);
        opened.leaves.push(abi::Leaf {
            data: data.into(),
            path: words(tree.path(index.into()).unwrap()),
        });
    }
    opened
}

/// A witness about token `index`: 48 to 53 and 55.
pub fn token_witness(
    book: &TokenizerBook<'_>,
    payload: &[u8],
    claim: &Claim,
    contents: &Contents,
    index: usize,
    which: u32,
) -> abi::TokenWitness {
    let leaf = (index / TOKEN_LEAF_ELEMENTS) as u32;
    abi::TokenWitness {
        tokenizer: book.fields(),
        slot: (index % TOKEN_LEAF_ELEMENTS) as u32,
        starts: contents
            .starts
            .get(&leaf)
            .cloned()
            .unwrap_or_default()
            .into(),
        prompt: prompt_part(contents, index),
        tokens: tokens_leaf(claim, leaf),
        entry: book.entry(claim.tokens[index]).unwrap_or_default(),
        payload: payload_leaves(payload),
        which,
        other: book.entry(which).unwrap_or_default(),
    }
}

/// The part of `prompt` with the place of the leaf of token `index + 1`, or the last part.
fn prompt_part(contents: &Contents, index: usize) -> abi::Leaf {
    let leaf = (index + 1) / TOKEN_LEAF_ELEMENTS;
    let last = (contents.prompt.len() / 8).saturating_sub(1);
    let part = Parts::PROMPT.open(&contents.prompt, leaf.min(last) / PART_PLACES);
    let part = part.unwrap();
    abi::Leaf {
        data: part.data,
        path: part.path,
    }
}

/// A witness about tokens `index` and `index + 1`, with spines of these depths as far as they go.
pub fn pair_witness(
    book: &TokenizerBook<'_>,
    claim: &Claim,
    contents: &Contents,
    index: usize,
    depths: (usize, usize),
) -> abi::PairWitness {
    let leaf = (index / TOKEN_LEAF_ELEMENTS) as u32;
    let vocabulary = book.record().vocabulary;
    let spine = |token: Option<&u32>, depth: usize, left: bool| {
        let mut out = Vec::new();
        let mut next = token.copied().unwrap_or(u32::MAX);
        while next < vocabulary && out.len() <= depth {
            let entry = book.tokenizer().token(next);
            out.push(next);
            next = if left { entry.left } else { entry.right };
        }
        out
    };
    let left = spine(claim.tokens.get(index), depths.0, false);
    let right = spine(claim.tokens.get(index + 1), depths.1, true);
    let merges = book.tokenizer().merges();
    let pair = (left.last().copied(), right.last().copied());
    let merge = merges
        .iter()
        .position(|m| pair == (Some(m.left), Some(m.right)))
        .unwrap_or(0) as u32;
    let entries = |tokens: Vec<u32>| {
        tokens
            .iter()
            .map(|token| book.entry(*token).unwrap())
            .collect()
    };
    abi::PairWitness {
        tokenizer: book.fields(),
        slot: (index % TOKEN_LEAF_ELEMENTS) as u32,
        starts: contents
            .starts
            .get(&leaf)
            .cloned()
            .unwrap_or_default()
            .into(),
        prompt: prompt_part(contents, index),
        tokens: tokens_leaf(claim, leaf),
        nextTokens: tokens_leaf(claim, leaf + 1),
        left: entries(left),
        right: entries(right),
        merge,
        merges: book.merges_leaf(merge).unwrap_or_default(),
    }
}

/// A witness about header `slot`: 56 and 57.
pub fn malformed_witness(
    book: &TokenizerBook<'_>,
    payload: &[u8],
    contents: &Contents,
    slot: u32,
) -> abi::MalformedWitness {
    let layout = Layout::of(payload, 0).unwrap();
    let header = { contents.malformed.last_chunk::<4>() }.map(|bytes| u32::from_be_bytes(*bytes));
    let last = layout
        .segments()
        .iter()
        .find(|segment| Some(segment.header) == header);
    let entry = match last.map(|segment| segment.kind) {
        Some(Kind::Control(id)) => book.entry(id).unwrap_or_default(),
        _ => abi::Entry::default(),
    };
    abi::MalformedWitness {
        tokenizer: book.fields(),
        contents: contents.malformed.clone().into(),
        slot,
        payload: payload_leaves(payload),
        entry,
    }
}
