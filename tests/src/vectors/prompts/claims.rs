//! Claims about a prompt: the true one, and liars' with the places that they give.

use std::collections::BTreeMap;
use std::error::Error;

use sworn_inference::tokenizer::{Segment, TokenType};
use sworn_prover::constants::{FINISH_LENGTH, FINISH_TOO_LONG, TOKEN_LEAF_ELEMENTS};
use sworn_prover::dispute::faults::prompt::{
    Place, TokenLeaves, TokenizerBook, claims_malformed, places, told_places,
};
use sworn_prover::merkle::Tree;
use sworn_prover::{Digest, payload};

use crate::vectors::arithmetic::Random;

/// What a claim says of a run.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) finish: u8,
    pub(super) prompt: Vec<u32>,
    /// The prompt's and the new ones.
    pub(super) tokens: Vec<u32>,
}

impl Claim {
    pub(super) fn n_prompt(&self) -> u32 {
        self.prompt.len() as u32
    }

    pub(super) fn malformed(&self) -> bool {
        claims_malformed(self.n_prompt(), self.tokens.len() as u32, self.finish)
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
        let mut leaves = self.tokens.chunks(TOKEN_LEAF_ELEMENTS);
        leaves.nth(leaf as usize).map(leaf_bytes)
    }

    fn path(&self, leaf: u32) -> Option<Vec<Digest>> {
        let leaves = self.tokens.chunks(TOKEN_LEAF_ELEMENTS);
        let tree = Tree::new(leaves.map(|leaf| Digest::of(&leaf_bytes(leaf))).collect());
        tree.path(leaf.into()).ok()
    }
}

/// What is true of a payload that an inbox takes.
pub(super) fn honest(book: &TokenizerBook<'_>, bytes: &[u8]) -> Result<Claim, Box<dyn Error>> {
    let segments = payload::decode(bytes)?;
    let bad = |segment: &Segment<'_>| matches!(segment, Segment::Control(id) if !book.tokenizer().is_control(*id));
    if segments.iter().any(bad) {
        let prompt = vec![book.record().bos];
        return Ok(Claim {
            finish: FINISH_TOO_LONG,
            tokens: prompt.clone(),
            prompt,
        });
    }
    let prompt = book.tokenizer().encode(&segments);
    Ok(Claim {
        finish: FINISH_LENGTH,
        tokens: [&prompt[..], &[5, 6]].concat(),
        prompt,
    })
}

/// The truth without new tokens, ended by its length or too long, and a claim that the payload is malformed.
pub(super) fn variants(truth: &Claim, bos: u32) -> Vec<Claim> {
    let with = |finish, prompt: &[u32]| Claim {
        finish,
        prompt: prompt.to_vec(),
        tokens: prompt.to_vec(),
    };
    let mut all = vec![truth.clone()];
    if !truth.malformed() {
        all.push(with(FINISH_LENGTH, &truth.prompt));
        all.push(with(FINISH_TOO_LONG, &truth.prompt));
    }
    all.push(with(FINISH_TOO_LONG, &[bos]));
    all.push(with(FINISH_TOO_LONG, &[5]));
    all
}

/// A claim with something changed.
pub(super) fn lie(
    random: &mut Random,
    book: &TokenizerBook<'_>,
    truth: &Claim,
    bytes: &[u8],
) -> Result<Claim, Box<dyn Error>> {
    let (bos, adds) = (book.record().bos, book.record().flags & 1 != 0);
    let mut prompt = truth.prompt.clone();
    if truth.malformed() {
        if random.below(5) == 0 {
            return Ok(Claim {
                finish: FINISH_TOO_LONG,
                tokens: vec![5],
                prompt: vec![5],
            });
        }
        // Tokens of a payload that has none: as if the bad control tokens were good, or were not there.
        let with = random.below(2) == 0;
        prompt = if adds { vec![bos] } else { Vec::new() };
        for segment in payload::decode(bytes)? {
            match segment {
                Segment::Control(id) if book.tokenizer().is_control(id) || with => prompt.push(id),
                Segment::Control(_) => {}
                text => prompt.extend(&book.tokenizer().encode(&[text])[usize::from(adds)..]),
            }
        }
    } else if random.below(40) == 0 {
        return Ok(Claim {
            finish: FINISH_TOO_LONG,
            tokens: vec![bos],
            prompt: vec![bos],
        });
    } else {
        change(random, book, &mut prompt);
    }
    if prompt.is_empty() {
        prompt.push([1, 70, 259][random.below(3)]);
    }
    Ok(Claim {
        finish: FINISH_LENGTH,
        tokens: [&prompt[..], &[5, 6]].concat(),
        prompt,
    })
}

fn change(random: &mut Random, book: &TokenizerBook<'_>, prompt: &mut Vec<u32>) {
    let (tokenizer, vocabulary) = (book.tokenizer(), book.record().vocabulary);
    let any = random.below(vocabulary as usize + 2) as u32;
    // Often beside the border of two leaves.
    let at = match random.below(4) {
        0 if prompt.len() > 65 => 62 + random.below(4),
        _ => random.below(prompt.len().max(1)),
    };
    let Some(token) = prompt.get(at).copied() else {
        return prompt.push(any);
    };
    match random.below(12) {
        0 => prompt[at] = any,
        1 => drop(prompt.remove(at)),
        2 => prompt.insert(at, any),
        3 => prompt.truncate(at),
        4 => {
            // Another token that reads the same.
            let text = tokenizer.piece(None, token);
            let same = |id: &u32| *id != token && tokenizer.piece(None, *id) == text;
            let same: Vec<u32> = (0..vocabulary).filter(same).collect();
            if !same.is_empty() {
                prompt[at] = same[random.below(same.len())];
            }
        }
        5 => {
            let text = tokenizer.piece(None, token).into_owned();
            prompt.splice(at..=at, text.iter().map(|byte| 3 + u32::from(*byte)));
        }
        6 => {
            let splits: Vec<_> = { tokenizer.merges().iter() }
                .filter(|merge| merge.result == token)
                .collect();
            if !splits.is_empty() {
                let split = splits[random.below(splits.len())];
                prompt.splice(at..=at, [split.left, split.right]);
            }
        }
        7 => {
            // A token that goes on further.
            let text = tokenizer.piece(None, token);
            let longer = |id: &u32| {
                let piece = tokenizer.piece(None, *id);
                piece.len() > text.len() && piece.starts_with(&text)
            };
            let longer: Vec<u32> = (259..vocabulary).filter(longer).collect();
            if !longer.is_empty() {
                prompt[at] = longer[random.below(longer.len())];
            }
        }
        _ => respell(random, book, prompt, at),
    }
}

/// Spells a stretch of a prompt with other pieces.
fn respell(random: &mut Random, book: &TokenizerBook<'_>, prompt: &mut Vec<u32>, at: usize) {
    let (tokenizer, vocabulary) = (book.tokenizer(), book.record().vocabulary);
    let is_text = |token: &&u32| {
        **token < vocabulary
            && matches!(
                tokenizer.token(**token).token_type,
                TokenType::Normal | TokenType::Byte
            )
    };
    let length = prompt[at..]
        .iter()
        .take(1 + random.below(6))
        .take_while(is_text)
        .count();
    let text: Vec<u8> = prompt[at..at + length]
        .iter()
        .flat_map(|token| tokenizer.piece(None, *token).into_owned())
        .collect();
    let mut spelled = Vec::new();
    let mut rest = &text[..];
    while let Some(first) = rest.first() {
        let fits: Vec<u32> = (259..vocabulary)
            .filter(|id| {
                let piece = tokenizer.piece(None, *id);
                matches!(
                    tokenizer.token(*id).token_type,
                    TokenType::Normal | TokenType::UserDefined
                ) && !piece.is_empty()
                    && rest.starts_with(&piece)
            })
            .collect();
        let token = match fits.is_empty() || random.below(16) == 0 {
            true => 3 + u32::from(*first),
            false => fits[random.below(fits.len())],
        };
        rest = &rest[tokenizer.piece(None, token).len()..];
        spelled.push(token);
    }
    prompt.splice(at..at + length, spelled);
}

/// Contents of the posted nodes of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    pub(super) prompt: Vec<u8>,
    pub(super) starts: BTreeMap<u32, Vec<u8>>,
    pub(super) malformed: Vec<u8>,
}

impl Contents {
    pub(super) fn of(
        book: &TokenizerBook<'_>,
        bytes: &[u8],
        claim: &Claim,
    ) -> Result<Contents, Box<dyn Error>> {
        if claim.malformed() {
            let told = places::malformed_contents(bytes, &|id| book.tokenizer().is_control(id));
            // Of a good payload: up to the first control segment, or the first segment.
            let told = told.or_else(|_| places::malformed_contents(bytes, &|_| false));
            let first = || [1u32, 1].iter().flat_map(|n| n.to_be_bytes()).collect();
            return Ok(Contents {
                malformed: told.unwrap_or_else(|_| first()),
                ..Contents::default()
            });
        }
        let told = told_places(book, bytes, &claim.prompt)?;
        let leaves = claim.prompt.len().div_ceil(TOKEN_LEAF_ELEMENTS) as u32;
        Ok(Contents {
            prompt: places::prompt_contents(&told),
            starts: (0..leaves)
                .map(|leaf| (leaf, places::starts_contents(&told, leaf)))
                .collect(),
            malformed: Vec::new(),
        })
    }

    /// Changes a number, or of a list of segments the length.
    pub(super) fn corrupt(&mut self, random: &mut Random) {
        if !self.malformed.is_empty() && random.below(3) == 0 {
            match random.below(3) {
                0 => self.malformed.truncate(random.below(self.malformed.len())),
                1 => self.malformed.extend([0, 0, 0, 1]),
                _ => {
                    // One segment more, and the count says so.
                    let count = (self.malformed.len() / 4) as u32;
                    self.malformed.splice(..4, count.to_be_bytes());
                    self.malformed.extend([0, 0, 0, 6]);
                }
            }
            return;
        }
        let leaf = random.below(self.starts.len().max(1)) as u32;
        let list = match (
            self.malformed.is_empty(),
            random.below(2),
            self.starts.get_mut(&leaf),
        ) {
            (false, ..) => &mut self.malformed[..],
            (true, 0, Some(starts)) => &mut starts[..],
            _ => &mut self.prompt[..],
        };
        let (words, _) = list.as_chunks_mut::<4>();
        if words.is_empty() {
            return;
        }
        let slot = &mut words[random.below(words.len())];
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
