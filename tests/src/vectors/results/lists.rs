//! Runs' lists with a few bytes changed.

use serde_json::{Value, json};
use sworn_inference::engine::{Finish, RunResult};
use sworn_inference::tokenizer::Tokenizer;
use sworn_prover::dispute::faults::prompt::TokenizerBook;
use sworn_prover::dispute::faults::tokens::Lists as _;
use sworn_prover::dispute::faults::tokens::find::Lister;
use sworn_prover::dispute::position::NodeKind;
use sworn_prover::dispute::results::{RunLeaves, abi_run};
use sworn_prover::record::RunRecord;
use sworn_prover::result::run_record;

use super::{Result, hexes};
use crate::vectors::arithmetic::Random;
use crate::vectors::prompts::vocabularies;

/// EOS and the user-defined token.
const STOPS: [u32; 2] = [2, 283];
const KINDS: [NodeKind; 3] = [NodeKind::Tokens, NodeKind::Offsets, NodeKind::Text];

/// A run with its text.
fn run(tokenizer: &Tokenizer, prompt: &[u32], new: &[u32], finish: Finish) -> RunResult {
    let mut run = RunResult {
        n_prompt: prompt.len() as u32,
        tokens: prompt.to_vec(),
        finish,
        text: Vec::new(),
        offsets: Vec::new(),
    };
    for (i, token) in new.iter().enumerate() {
        run.offsets.push(run.text.len() as u32);
        if finish != Finish::Stop || i + 1 < new.len() {
            let piece = tokenizer.piece(run.tokens.last().copied(), *token);
            run.text.extend_from_slice(&piece);
        }
        run.tokens.push(*token);
    }
    run
}

/// What is changed: bytes of a leaf from a place on, or the leaf's length.
#[derive(Debug, Clone)]
enum Change {
    Nothing,
    Number(NodeKind, u32, u32),
    Byte(NodeKind, usize, u8),
    Length(NodeKind, usize, usize),
    Finish(u8),
    TextLength(u64),
    /// All offsets are one more, and the text's length is.
    Shifted,
}

fn list(leaves: &mut RunLeaves, kind: NodeKind) -> &mut Vec<Vec<u8>> {
    match kind {
        NodeKind::Tokens => &mut leaves.tokens,
        NodeKind::Offsets => &mut leaves.offsets,
        _ => &mut leaves.text,
    }
}

impl Change {
    fn make(&self, leaves: &mut RunLeaves, record: &mut RunRecord) {
        match *self {
            Change::Nothing => {}
            Change::Number(kind, index, number) => {
                let (leaf, at) = (index as usize / 64, 4 * (index as usize % 64));
                list(leaves, kind)[leaf][at..at + 4].copy_from_slice(&number.to_le_bytes());
            }
            Change::Byte(kind, at, byte) => list(leaves, kind)[at / 256][at % 256] = byte,
            Change::Length(kind, leaf, length) => list(leaves, kind)[leaf].resize(length, 0),
            Change::Finish(finish) => record.finish = finish,
            Change::TextLength(length) => record.text_length = length,
            Change::Shifted => {
                let count = record.n_tokens - record.n_prompt;
                for i in 0..count as usize {
                    let (words, _) = leaves.offsets[i / 64].as_chunks_mut::<4>();
                    words[i % 64] = (u32::from_le_bytes(words[i % 64]) + 1).to_le_bytes();
                }
                record.text_length += 1;
            }
        }
    }

    fn value(&self) -> Value {
        match *self {
            Change::Nothing => json!([]),
            Change::Number(kind, index, number) => json!(["number", kind as u8, index, number]),
            Change::Byte(kind, at, byte) => json!(["byte", kind as u8, at, byte]),
            Change::Length(kind, leaf, length) => json!(["length", kind as u8, leaf, length]),
            Change::Finish(finish) => json!(["finish", finish]),
            Change::TextLength(length) => json!(["text_length", length]),
            Change::Shifted => json!(["shifted"]),
        }
    }
}

/// Changes at every border, and some elsewhere.
fn changes(random: &mut Random, run: &RunResult) -> Vec<Change> {
    let (n_prompt, n_tokens) = (run.n_prompt, run.tokens.len() as u32);
    let (new, text) = (n_tokens - n_prompt, run.text.len());
    let mut all = vec![Change::Nothing];
    all.extend([0, 1].map(Change::Finish));
    all.push(Change::Shifted);
    let places = |count: u32| {
        [
            0,
            1,
            62,
            63,
            64,
            65,
            count.wrapping_sub(2),
            count.wrapping_sub(1),
        ]
    };
    for place in places(n_tokens)
        .into_iter()
        .chain([n_prompt, n_prompt.wrapping_sub(1)])
    {
        if place < n_tokens {
            for token in [STOPS[0], STOPS[1], 1, 264, 283, 284, 285, u32::MAX] {
                all.push(Change::Number(NodeKind::Tokens, place, token));
            }
        }
    }
    for place in places(new) {
        if let Some(offset) = run.offsets.get(place as usize) {
            for bent in [offset.wrapping_add(1), offset.wrapping_sub(1), u32::MAX] {
                all.push(Change::Number(NodeKind::Offsets, place, bent));
            }
        }
    }
    for (kind, used) in [
        (NodeKind::Tokens, 4 * n_tokens as usize),
        (NodeKind::Offsets, 4 * new as usize),
        (NodeKind::Text, text),
    ] {
        let leaves = used.div_ceil(256);
        for at in [used, used + 1, (256 * leaves).wrapping_sub(1)] {
            if used > 0 && at < 256 * leaves && at >= used {
                all.push(Change::Byte(kind, at, 1));
            }
        }
        for leaf in 0..leaves {
            all.extend([0, 1, 255, 257, 288].map(|length| Change::Length(kind, leaf, length)));
        }
    }
    for at in [
        0,
        1,
        255,
        256,
        257,
        text.wrapping_sub(1),
        random.below(text.max(1)),
    ] {
        if let Some(byte) = run.text.get(at) {
            all.push(Change::Byte(NodeKind::Text, at, byte ^ 1));
            all.push(Change::Byte(NodeKind::Text, at, 0));
        }
    }
    if text > 0 {
        all.extend([text - 1, text + 1].map(|length| Change::TextLength(length as u64)));
    }
    all
}

/// (kind, leaf, fault) of what is found in every leaf, list after list up to the first with a fault; and the lists that were judged.
fn faults(lister: &Lister<'_>, leaves: &mut RunLeaves) -> Result<(Vec<Value>, usize)> {
    for (judged, kind) in KINDS.into_iter().enumerate() {
        let mut found = Vec::new();
        for index in 0..list(leaves, kind).len() as u32 {
            let fault = match kind {
                NodeKind::Tokens => {
                    let leaf = leaves.open(kind, index.into())?;
                    lister.find_in_tokens(index, &leaf)
                }
                NodeKind::Offsets => lister.find_in_offsets(leaves, index, 0)?,
                _ => lister.find_in_text(leaves, index, 0)?,
            };
            found.extend(fault.map(|(code, _)| json!([kind as u8, index, code])));
        }
        if !found.is_empty() {
            return Ok((found, judged + 1));
        }
    }
    Ok((Vec::new(), KINDS.len()))
}

pub(super) fn lists() -> Result<Value> {
    let mut random = Random::new("lists");
    let vocabulary = 0;
    let (_, tokens, flags, bos) = vocabularies::all().remove(vocabulary);
    let tokenizer = vocabularies::tokenizer(&tokens, flags, bos)?;
    let book = TokenizerBook::of(&tokenizer)?;
    // Tokens with every kind of piece; the first new one is after BOS, and loses its space.
    let mut long: Vec<u32> = (0..66).map(|i| 259 + i % 16).collect();
    long.extend([3 + 0x61, 280, 281, 282, 1, 259, 267, 273]);
    long.extend([274; 40]);
    let mut stopped = long.clone();
    stopped.push(STOPS[0]);
    let runs = [
        run(&tokenizer, &[1], &long, Finish::Length),
        run(&tokenizer, &[1, 260, 1], &stopped, Finish::Stop),
        run(&tokenizer, &[1; 63], &[267, 1, STOPS[1]], Finish::Stop),
        run(&tokenizer, &[1, 267], &[1, 1], Finish::Length),
        run(&tokenizer, &[1, 267, 5], &[], Finish::TooLong),
        run(&tokenizer, &[1, 267], &[STOPS[0]], Finish::Stop),
    ];
    let mut out = Vec::new();
    for run in &runs {
        let mut cases = Vec::new();
        for change in changes(&mut random, run) {
            let (mut leaves, mut record) = (RunLeaves::of(run), run_record(run)?);
            change.make(&mut leaves, &mut record);
            let claimed = abi_run(&record);
            let lister = Lister {
                run: &claimed,
                book: &book,
                vocabulary: tokens.len() as u32,
                stop_tokens: &STOPS,
            };
            let (faults, judged) = faults(&lister, &mut leaves)?;
            cases.push(json!({ "change": change.value(), "faults": faults, "judged": judged }));
        }
        let leaves = RunLeaves::of(run);
        out.push(json!({
            "n_prompt": run.n_prompt,
            "n_tokens": run.tokens.len(),
            "finish": run.finish as u8,
            "text_length": run.text.len(),
            "tokens": hexes(&leaves.tokens),
            "offsets": hexes(&leaves.offsets),
            "text": hexes(&leaves.text),
            "cases": cases,
        }));
    }
    Ok(json!({ "vocabulary": vocabulary, "size": tokens.len(), "stop_tokens": STOPS, "runs": out }))
}
