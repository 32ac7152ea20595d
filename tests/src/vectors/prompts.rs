//! Right and wrong prompts of small vocabularies, each with the fault that a challenger proves of it (`prover/SPEC.md` section 10.5).

mod claims;
pub(super) mod vocabularies;

use std::collections::BTreeMap;
use std::error::Error;

use serde_json::{Value, json};
use sworn_inference::tokenizer::Segment;
use sworn_prover::constants::{FAULT_BYTE, FAULT_SEGMENTS, TOKEN_LEAF_ELEMENTS};
use sworn_prover::dispute::faults::prompt::{Dispute, Next, TokenizerBook};
use sworn_prover::dispute::position::NodeKind;
use sworn_prover::payload;

use super::arithmetic::Random;
use super::{hex, tokenizer};
use claims::{Claim, Contents, honest};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Cases that are kept of every fault about a prompt.
const fn kept(code: u8, long: bool) -> usize {
    match code {
        FAULT_SEGMENTS => 6,
        0 => 4,
        FAULT_BYTE => 7,
        _ if long => 3,
        _ => 1,
    }
}

/// Lies that are tried about every prompt.
const TRIED: usize = 300;

/// The fault of a claim with everything revealed, and the node where it shows; none of a prompt that is right, or whose tokenizer is trusted.
fn verdict(
    book: &TokenizerBook<'_>,
    payload: &[u8],
    claim: &Claim,
    contents: &Contents,
) -> Result<Option<(u8, NodeKind, u64)>> {
    let malformed = claim.malformed();
    let dispute = Dispute {
        lane: 0,
        run: 0,
        book,
        payload,
        n_prompt: claim.n_prompt(),
        n_tokens: claim.tokens.len() as u32,
        finish: claim.finish,
        tokens: claim,
        prompt: (!malformed).then_some(&contents.prompt),
        starts: &contents.starts,
        malformed: malformed.then_some(&contents.malformed),
    };
    match dispute.next()? {
        Next::Nothing => Ok(None),
        Next::Prove { node, fault, .. } => Ok(Some((fault, node.kind, node.index))),
        other => Err(format!("everything is revealed, but {other:?}").into()),
    }
}

fn texts(random: &mut Random, book: &TokenizerBook<'_>, parts: usize) -> Vec<u8> {
    let vocabulary = book.record().vocabulary as usize;
    let odd: [&[u8]; 8] = [
        b"z",
        b"\x80",
        b"\xe5",
        "é".as_bytes(),
        "ö".as_bytes(),
        "\u{2581}".as_bytes(),
        b" ",
        b"<user>",
    ];
    let mut out = Vec::new();
    for _ in 0..parts {
        match random.below(10) {
            0 => out.extend(odd[random.below(odd.len())]),
            _ => {
                let token = 259 + random.below(vocabulary - 259) as u32;
                out.extend(book.tokenizer().piece(None, token).iter());
            }
        }
    }
    out
}

/// Payloads of every shape: none, empty texts, texts beside each other, control tokens, such as are none, more than a leaf of tokens.
fn payloads(random: &mut Random, book: &TokenizerBook<'_>) -> Result<Vec<Vec<u8>>> {
    let last = book.record().vocabulary - 1; // user-defined
    let [a, b, long] = [3, 8, 66].map(|parts| texts(random, book, parts));
    let text = |text: &'static [u8]| Segment::Text(text);
    let (a, b, long) = (Segment::Text(&a), Segment::Text(&b), Segment::Text(&long));
    let lists: Vec<Vec<Segment<'_>>> = vec![
        vec![],
        vec![text(b"")],
        vec![a],
        vec![b],
        vec![text(b""), b, text(b"")],
        vec![a, b],
        vec![Segment::Control(2), a, Segment::Control(last), text(b""), b],
        vec![b, Segment::Control(1), Segment::Control(2)],
        vec![long],
        vec![text(b"a"), text(b"b"), text(b"a"), text(b"a")],
        vec![text(b"aaa")],
        vec![text(b"bbbab")],
        vec![text(b"abcab"), Segment::Control(2), text(b"abc")],
        vec![text("aöéa".as_bytes())],
        vec![text("ö".as_bytes())],
        vec![text(b"a"), Segment::Control(0), a],
        vec![Segment::Control(2), a, Segment::Control(u32::MAX)],
        vec![Segment::Control(259)],
    ];
    Ok(lists
        .iter()
        .map(|segments| payload::encode(segments))
        .collect::<std::result::Result<_, _>>()?)
}

fn case(
    number: usize,
    payload: &[u8],
    claim: &Claim,
    contents: &Contents,
    found: Option<(u8, NodeKind, u64)>,
) -> Value {
    let (fault, kind, index) =
        found.map_or((0, 0, 0), |(fault, kind, index)| (fault, kind as u8, index));
    json!({
        "vocabulary": number,
        "payload": hex(payload),
        "n_prompt": claim.n_prompt(),
        "finish": claim.finish,
        "tokens": claim.tokens,
        "prompt": hex(&contents.prompt),
        "starts": contents.starts.values().map(|starts| hex(starts)).collect::<Vec<_>>(),
        "malformed": hex(&contents.malformed),
        "fault": fault,
        "kind": kind,
        "index": index,
    })
}

pub(super) fn prompts() -> Result<Value> {
    let mut random = Random::new("prompts");
    let mut listed = Vec::new();
    let mut cases = Vec::new();
    for (number, (name, tokens, flags, bos)) in vocabularies::all().into_iter().enumerate() {
        let made = vocabularies::tokenizer(&tokens, flags, bos)?;
        let book = TokenizerBook::of(&made)?;
        listed.push(json!({
            "name": name,
            "flags": made.flags(),
            "bos": made.bos(),
            "tokens": tokenizer::vocabulary_from(&made, &tokens, vocabularies::BASE),
        }));
        for payload in payloads(&mut random, &book)? {
            let truth = honest(&book, &payload)?;
            let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
            let mut keep = |claim: &Claim, contents: &Contents| -> Result<()> {
                let found = verdict(&book, &payload, claim, contents)?;
                let code = found.map_or(0, |found| found.0);
                let count = counts.entry(code).or_default();
                if *count < kept(code, claim.tokens.len() > TOKEN_LEAF_ELEMENTS) {
                    *count += 1;
                    cases.push(case(number, &payload, claim, contents, found));
                }
                Ok(())
            };
            for claim in claims::variants(&truth, book.record().bos) {
                keep(&claim, &Contents::of(&book, &payload, &claim)?)?;
            }
            for _ in 0..TRIED {
                let lie = claims::lie(&mut random, &book, &truth, &payload)?;
                let mut contents = Contents::of(&book, &payload, &lie)?;
                if random.below(3) == 0 {
                    contents.corrupt(&mut random);
                }
                if lie.prompt != truth.prompt {
                    keep(&lie, &contents)?;
                }
            }
            for _ in 0..TRIED / 4 {
                let mut contents = Contents::of(&book, &payload, &truth)?;
                contents.corrupt(&mut random);
                keep(&truth, &contents)?;
            }
        }
    }
    Ok(json!({ "vocabularies": listed, "count": cases.len(), "cases": cases }))
}
