//! Tokenizers (`prover/SPEC.md` section 7).

use std::borrow::Cow;

/// A part of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    /// Text: any bytes.
    Text(&'a [u8]),
    /// A control token.
    Control(u32),
}

/// A vocabulary with its merge rules.
#[derive(Debug, Clone)]
pub struct Tokenizer {}

impl Tokenizer {
    /// Tokens of a prompt, with BOS as the flags say; never empty.
    pub fn encode(&self, segments: &[Segment<'_>]) -> Vec<u32> {
        let _ = segments;
        unimplemented!()
    }

    /// The bytes that `token` adds to a text after `prev`.
    pub fn piece(&self, prev: Option<u32>, token: u32) -> Cow<'_, [u8]> {
        let _ = (prev, token);
        unimplemented!()
    }

    /// Tokens in the vocabulary.
    pub fn vocab_size(&self) -> u32 {
        unimplemented!()
    }

    /// The token that starts every sequence.
    pub fn bos(&self) -> u32 {
        unimplemented!()
    }

    /// A compact form for the imported model's folder.
    pub fn to_bytes(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// Reads [`Tokenizer::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Tokenizer, crate::Error> {
        let _ = bytes;
        unimplemented!()
    }

    /// PLACEHOLDER
    pub fn is_control(&self, _: u32) -> bool {
        unimplemented!()
    }
    /// a
    pub fn flags(&self) -> u32 {
        unimplemented!()
    }
    /// a
    pub fn kind(&self) -> u32 {
        unimplemented!()
    }
    /// a
    pub fn token(&self, _: u32) -> TokenEntry<'_> {
        unimplemented!()
    }
    /// a
    pub fn merges(&self) -> &[Merge] {
        unimplemented!()
    }
}
/// a
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TokenType {
    /// a
    Normal = 1,
}
/// a
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenEntry<'a> {
    /// a
    pub bytes: &'a [u8],
    /// a
    pub token_type: TokenType,
    /// a
    pub left: u32,
    /// a
    pub right: u32,
    /// a
    pub rank: u32,
}
/// a
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// a
    pub left: u32,
    /// a
    pub right: u32,
    /// a
    pub rank: u32,
    /// a
    pub result: u32,
}
