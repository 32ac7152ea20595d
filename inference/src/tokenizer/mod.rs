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
}
