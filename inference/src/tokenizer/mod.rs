//! Tokenizers (`prover/SPEC.md` section 7).

mod characters;
mod encode;
mod files;
mod pairs;
mod tables;
mod vocabulary;

use std::borrow::Cow;

pub use tables::Merge;
use tables::Tables;
use vocabulary::Vocabulary;

/// No token, no rank: what tokens without a merge have in their entry.
pub const NONE: u32 = u32::MAX;

/// SentencePiece BPE, the kind of tokenizer that llama2.c files and GGUF files of model `llama` hold.
pub const KIND_SPM: u32 = 1;

/// BOS is put before every prompt.
pub const FLAG_ADD_BOS: u32 = 1 << 0;
/// A space is put before text at the start and after a control token.
pub const FLAG_ADD_SPACE: u32 = 1 << 1;
/// The committed tables do not suffice to prove every non-canonical pair: see [`Tokenizer::trust_note`].
pub const FLAG_TRUSTED: u32 = 1 << 2;
/// The space at the start of the piece after BOS is dropped.
pub const FLAG_STRIP_SPACE: u32 = 1 << 3;

/// A part of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Text: any bytes.
    Text(&'a [u8]),
    /// A control token.
    Control(u32),
}

/// What a token is; the numbers are GGUF's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TokenType {
    /// Text; the only type that merges.
    Normal = 1,
    /// Stands for what the vocabulary cannot say; never made, as every byte has its token.
    Unknown = 2,
    /// Steers, has no text, never comes from text.
    Control = 3,
    /// Has a text, but never comes from text.
    UserDefined = 4,
    /// Never made.
    Unused = 5,
    /// One byte.
    Byte = 6,
}

impl TokenType {
    pub(crate) fn from_number(number: u32) -> Option<TokenType> {
        Some(match number {
            1 => TokenType::Normal,
            2 => TokenType::Unknown,
            3 => TokenType::Control,
            4 => TokenType::UserDefined,
            5 => TokenType::Unused,
            6 => TokenType::Byte,
            _ => return None,
        })
    }
}

/// A token as the tokenizer commitment states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenEntry<'a> {
    /// The piece as its file has it, with U+2581 or spaces.
    pub bytes: &'a [u8],
    /// Its type.
    pub token_type: TokenType,
    /// Left token of the canonical last merge, or [`NONE`].
    pub left: u32,
    /// Right token of it, or [`NONE`].
    pub right: u32,
    /// Its rank (0 for the highest score, equal scores share a rank), or [`NONE`].
    pub rank: u32,
}

/// A vocabulary with its merge rules.
///
/// Of several NORMAL pieces with the same text the one with the lowest id counts; the others are never made from text.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    tables: Tables,
}

impl Tokenizer {
    /// Tokens of a prompt, with BOS as the flags say; never empty: BOS alone if there is nothing else.
    ///
    /// A space is put before a text segment that is not empty, unless a text segment (even an empty one) stands directly before it.
    /// A control segment whose token is not [`Tokenizer::is_control`] is ignored: check before.
    pub fn encode(&self, segments: &[Segment<'_>]) -> Vec<u32> {
        let mut out = Vec::new();
        if self.flags() & FLAG_ADD_BOS != 0 {
            out.push(self.bos());
        }
        let mut encoder = encode::Encoder::new(&self.tables);
        let mut after_text = false;
        for segment in segments {
            match *segment {
                Segment::Text(text) => {
                    let space =
                        self.flags() & FLAG_ADD_SPACE != 0 && !after_text && !text.is_empty();
                    encoder.text(space, text, &mut out);
                    after_text = true;
                }
                Segment::Control(token) => {
                    if self.is_control(token) {
                        out.push(token);
                    }
                    after_text = false;
                }
            }
        }
        if out.is_empty() {
            out.push(self.bos());
        }
        out
    }

    /// Whether the token may stand in a control segment: its type is control or user-defined.
    pub fn is_control(&self, token: u32) -> bool {
        matches!(
            self.vocabulary.types.get(token as usize),
            Some(TokenType::Control | TokenType::UserDefined)
        )
    }

    /// The bytes that `token` adds to a text after `prev`; nothing for a token outside the vocabulary.
    pub fn piece(&self, prev: Option<u32>, token: u32) -> Cow<'_, [u8]> {
        let Some(text) = self.tables.text(token) else {
            return Cow::Borrowed(&[]);
        };
        let strips = self.flags() & FLAG_STRIP_SPACE != 0 && prev == Some(self.bos());
        Cow::Borrowed(match text {
            [b' ', rest @ ..] if strips => rest,
            text => text,
        })
    }

    /// The text of a token sequence.
    pub fn decode(&self, tokens: &[u32]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut prev = None;
        for &token in tokens {
            out.extend_from_slice(&self.piece(prev, token));
            prev = Some(token);
        }
        out
    }

    /// Tokens in the vocabulary.
    pub fn vocab_size(&self) -> u32 {
        self.vocabulary.types.len() as u32
    }

    /// The token that starts every sequence.
    pub fn bos(&self) -> u32 {
        self.vocabulary.bos
    }

    /// The token that ends a text.
    pub fn eos(&self) -> u32 {
        self.vocabulary.eos
    }

    /// The flags of the tokenizer record.
    pub fn flags(&self) -> u32 {
        let trusted = if self.tables.trust_note.is_some() {
            FLAG_TRUSTED
        } else {
            0
        };
        self.vocabulary.flags | trusted
    }

    /// The kind of the tokenizer record.
    pub fn kind(&self) -> u32 {
        KIND_SPM
    }

    /// Why [`FLAG_TRUSTED`] is set: the first rule that the vocabulary breaks, with the token that breaks it.
    pub fn trust_note(&self) -> Option<&str> {
        self.tables.trust_note.as_deref()
    }

    /// The entry of a token of the vocabulary.
    ///
    /// # Panics
    /// If `token` is not below [`Tokenizer::vocab_size`].
    pub fn token(&self, token: u32) -> TokenEntry<'_> {
        let (left, right, rank) = self.tables.last_merge(token);
        TokenEntry {
            bytes: self.vocabulary.piece(token),
            token_type: self.vocabulary.types[token as usize],
            left,
            right,
            rank,
        }
    }

    /// Every pair of NORMAL tokens whose concatenation is a NORMAL piece, sorted by (left, right).
    pub fn merges(&self) -> &[Merge] {
        self.tables.merges()
    }
}
