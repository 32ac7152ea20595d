//! What encoding and the commitment need of a vocabulary, all derived from pieces, types and scores.

use std::collections::HashMap;

use super::characters::{self, Character};
use super::encode::Merger;
use super::pairs::PairIndex;
use super::vocabulary::{REMEDY, Vocabulary, byte_of, slice};
use super::{NONE, TokenType};
use crate::Error;
use crate::format::read::shown;

/// The most merges that are derived; real vocabularies have a few for each token.
const MOST_MERGES: usize = 1 << 24;

/// Two tokens whose texts together are a NORMAL piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Merge {
    /// The left token.
    pub left: u32,
    /// The right token.
    pub right: u32,
    /// Dense rank of the result's score among the results of all merges: 0 for the highest, equal scores share one.
    pub rank: u32,
    /// The token they make.
    pub result: u32,
}

/// The tables.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    /// Detokenised texts, one after another.
    texts: Vec<u8>,
    text_ends: Vec<usize>,
    /// The token of each byte.
    bytes: Box<[u32; 256]>,
    /// The NORMAL token of each ASCII character.
    ascii: Box<[u32; 128]>,
    /// The NORMAL tokens of the other characters, sorted.
    characters: Vec<(Character, u32)>,
    merges: Vec<Merge>,
    /// Finds the index of a merge.
    merge_index: PairIndex,
    /// Pairs of character tokens that stand side by side in some piece.
    joins: PairIndex,
    /// Index of each token's canonical last merge, or [`NONE`].
    last_merges: Vec<u32>,
    pub(super) trust_note: Option<String>,
}

/// NORMAL pieces by text; of equal ones the lowest id.
type Pieces<'a> = HashMap<&'a [u8], u32>;

impl Tables {
    /// Derives the tables and checks that every byte has its token.
    pub(super) fn derive(vocabulary: &Vocabulary) -> Result<Tables, Error> {
        for (what, id) in [("BOS token", vocabulary.bos), ("EOS token", vocabulary.eos)] {
            if id >= vocabulary.len() {
                let expected = format!("a token below {}", vocabulary.len());
                return Err(Error::bad_file(what, id, expected, REMEDY));
            }
        }
        let bytes = byte_tokens(vocabulary)?;
        let (texts, text_ends) = texts(vocabulary);
        let mut pieces = Pieces::new();
        for token in 0..vocabulary.len() {
            let text = slice(&texts, &text_ends, token as usize);
            if vocabulary.types[token as usize] == TokenType::Normal && !text.is_empty() {
                pieces.entry(text).or_insert(token);
            }
        }
        let (ascii, characters) = character_tokens(&pieces);
        let merges = merges(vocabulary, &pieces)?;
        let merge_index = PairIndex::new(
            vocabulary.types.len(),
            merges.iter().map(|merge| (merge.left, merge.right)),
        );
        let mut spellings: Vec<u32> = pieces.into_values().collect();
        spellings.sort_unstable();
        let mut tables = Tables {
            texts,
            text_ends,
            bytes,
            ascii,
            characters,
            merges,
            merge_index,
            joins: PairIndex::default(),
            last_merges: Vec::new(),
            trust_note: None,
        };
        tables.derive_from_characters(&spellings);
        Ok(tables)
    }

    /// Fills `joins`, `last_merges` and `trust_note`; `spellings` are the NORMAL tokens that text can reach.
    fn derive_from_characters(&mut self, spellings: &[u32]) {
        let mut last_merges = vec![NONE; self.text_ends.len()];
        let mut merger = Merger::default();
        let mut joins = Vec::new();
        let mut strange = Offenders::default();
        for &token in spellings {
            let characters = characters::split(slice(&self.texts, &self.text_ends, token as usize));
            merger.tokens.clear();
            merger
                .tokens
                .extend(characters.map(|(character, _)| self.character(character)));
            if merger.tokens.contains(&NONE) {
                strange.note(token);
                continue;
            }
            joins.extend(merger.tokens.windows(2).map(|pair| (pair[0], pair[1])));
            if let Some(last) = merger.run(self).filter(|_| merger.tokens == [token]) {
                last_merges[token as usize] = last;
            }
        }
        joins.sort_unstable();
        joins.dedup();
        self.joins = PairIndex::new(self.text_ends.len(), joins.into_iter());
        self.last_merges = last_merges;
        let mut decreasing = Offenders::default();
        for &token in spellings {
            let (left, right, rank) = self.last_merge(token);
            let later = |part: u32| {
                part != NONE
                    && matches!(self.last_merge(part).2, birth if birth != NONE && birth > rank)
            };
            if later(left) || later(right) {
                decreasing.note(token);
            }
        }
        self.trust_note = strange
            .describe("use a character that is no piece")
            .or_else(|| decreasing.describe("have a derivation that decreases in rank"));
    }

    /// The text of a token; nothing for a token outside the vocabulary.
    pub(super) fn text(&self, token: u32) -> Option<&[u8]> {
        let token = token as usize;
        (token < self.text_ends.len()).then(|| slice(&self.texts, &self.text_ends, token))
    }

    /// The token of a byte.
    pub(super) fn byte(&self, byte: u8) -> u32 {
        self.bytes[byte as usize]
    }

    /// The NORMAL token that is this character alone, or [`NONE`].
    pub(super) fn character(&self, character: Character) -> u32 {
        if let Some(token) = self.ascii.get(character as usize) {
            return *token;
        }
        let found = self
            .characters
            .binary_search_by_key(&character, |entry| entry.0);
        found.map_or(NONE, |index| self.characters[index].1)
    }

    /// Whether two character tokens stand side by side in some piece.
    pub(super) fn joins(&self, left: u32, right: u32) -> bool {
        self.joins.find(left, right).is_some()
    }

    /// All merges, sorted by (left, right).
    pub(super) fn merges(&self) -> &[Merge] {
        &self.merges
    }

    /// The index of the merge of two tokens.
    pub(super) fn find_merge(&self, left: u32, right: u32) -> Option<u32> {
        self.merge_index.find(left, right)
    }

    /// Left, right and rank of a token's canonical last merge.
    pub(super) fn last_merge(&self, token: u32) -> (u32, u32, u32) {
        match self.last_merges[token as usize] {
            NONE => (NONE, NONE, NONE),
            index => {
                let merge = self.merges[index as usize];
                (merge.left, merge.right, merge.rank)
            }
        }
    }
}

/// Tokens that break a rule.
#[derive(Default)]
struct Offenders {
    count: u32,
    first: u32,
}

impl Offenders {
    fn note(&mut self, token: u32) {
        if self.count == 0 {
            self.first = token;
        }
        self.count += 1;
    }

    fn describe(&self, rule: &str) -> Option<String> {
        (self.count > 0).then(|| {
            format!(
                "{} of the pieces {rule}; the first is token {}",
                self.count, self.first
            )
        })
    }
}

/// The token of every byte; of equal ones the lowest id.
fn byte_tokens(vocabulary: &Vocabulary) -> Result<Box<[u32; 256]>, Error> {
    let mut bytes = Box::new([NONE; 256]);
    for token in
        (0..vocabulary.len()).filter(|token| vocabulary.types[*token as usize] == TokenType::Byte)
    {
        let piece = vocabulary.piece(token);
        let Some(byte) = byte_of(piece) else {
            let what = format!("piece of the byte token {token}");
            return Err(Error::bad_file(
                what,
                shown(piece),
                "<0x00> to <0xFF>",
                REMEDY,
            ));
        };
        let slot = &mut bytes[byte as usize];
        *slot = token.min(*slot);
    }
    match bytes.iter().position(|token| *token == NONE) {
        None => Ok(bytes),
        Some(byte) => Err(Error::bad_file(
            "byte tokens",
            format!("none for <0x{byte:02X}>"),
            "one for each of the 256 bytes",
            REMEDY,
        )),
    }
}

/// What every token adds to a text: U+2581 of a piece is a space; control, unknown and unused tokens add nothing.
fn texts(vocabulary: &Vocabulary) -> (Vec<u8>, Vec<usize>) {
    let mut texts = Vec::with_capacity(vocabulary.blob.len());
    let mut ends = Vec::with_capacity(vocabulary.types.len());
    for token in 0..vocabulary.len() {
        match vocabulary.types[token as usize] {
            TokenType::Normal | TokenType::UserDefined => {
                for (character, part) in characters::split(vocabulary.piece(token)) {
                    texts.extend_from_slice(if character == 0x2581 { b" " } else { part });
                }
            }
            TokenType::Byte => texts.extend(byte_of(vocabulary.piece(token))),
            TokenType::Control | TokenType::Unknown | TokenType::Unused => {}
        }
        ends.push(texts.len());
    }
    (texts, ends)
}

/// The NORMAL pieces of one character: a table for ASCII, a sorted list for the rest.
fn character_tokens(pieces: &Pieces<'_>) -> (Box<[u32; 128]>, Vec<(Character, u32)>) {
    let mut ascii = Box::new([NONE; 128]);
    let mut others = Vec::new();
    for (text, token) in pieces {
        match characters::first(text) {
            Some((character, length)) if length == text.len() => {
                match ascii.get_mut(character as usize) {
                    Some(slot) => *slot = *token,
                    None => others.push((character, *token)),
                }
            }
            _ => {}
        }
    }
    others.sort_unstable();
    (ascii, others)
}

/// Every split of every NORMAL piece into two NORMAL pieces.
fn merges(vocabulary: &Vocabulary, pieces: &Pieces<'_>) -> Result<Vec<Merge>, Error> {
    let mut merges = Vec::new();
    for (text, &result) in pieces {
        for middle in 1..text.len() {
            let (left, right) = text.split_at(middle);
            if let Some(&left) = pieces.get(left)
                && let Some(&right) = pieces.get(right)
            {
                merges.push(Merge {
                    left,
                    right,
                    rank: NONE,
                    result,
                });
            }
        }
        if merges.len() > MOST_MERGES {
            return Err(Error::bad_file(
                "merges",
                "more",
                format!("at most {MOST_MERGES}"),
                REMEDY,
            ));
        }
    }
    let score = |merge: &Merge| vocabulary.scores[merge.result as usize];
    let descending = |a: &f32, b: &f32| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal);
    let mut scores: Vec<f32> = merges.iter().map(score).collect();
    scores.sort_unstable_by(descending);
    scores.dedup();
    for merge in &mut merges {
        let score = score(merge);
        merge.rank = scores.partition_point(|other| *other > score) as u32;
    }
    merges.sort_unstable();
    Ok(merges)
}
