//! A vocabulary as model files state it.

use super::TokenType;
use crate::Error;

/// The longest piece that is read, in bytes. Derivation of the tables is quadratic in it.
const LONGEST_PIECE: usize = 1024;
/// The largest vocabulary that is read.
const MOST_TOKENS: usize = 1 << 24;
pub(super) const REMEDY: &str =
    "give the tokenizer of the model, a SentencePiece BPE with byte fallback";

/// A vocabulary as its file states it.
#[derive(Debug, Clone, Default)]
pub(super) struct Vocabulary {
    /// Type of each token.
    pub(super) types: Vec<TokenType>,
    /// Score of each token.
    pub(super) scores: Vec<f32>,
    /// All pieces, one after another.
    pub(super) blob: Vec<u8>,
    /// Where each piece ends in `blob`.
    ends: Vec<usize>,
    pub(super) bos: u32,
    pub(super) eos: u32,
    /// The flags that are a matter of choice: all but *trusted*.
    pub(super) flags: u32,
}

impl Vocabulary {
    /// A vocabulary without tokens.
    pub(super) fn new(flags: u32, bos: u32, eos: u32) -> Vocabulary {
        Vocabulary {
            flags,
            bos,
            eos,
            ..Vocabulary::default()
        }
    }

    /// Appends a token.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        token_type: TokenType,
        score: f32,
    ) -> Result<(), Error> {
        let token = self.types.len();
        let reject = |what: &str, found: String, expected: String| {
            Err(Error::bad_file(
                format!("{what} of token {token}"),
                found,
                expected,
                REMEDY,
            ))
        };
        if piece.len() > LONGEST_PIECE {
            return reject(
                "piece",
                format!("{} bytes", piece.len()),
                format!("at most {LONGEST_PIECE} bytes"),
            );
        }
        if score.is_nan() {
            return reject("score", "NaN".to_owned(), "a number".to_owned());
        }
        if token >= MOST_TOKENS {
            return reject(
                "number",
                token.to_string(),
                format!("at most {MOST_TOKENS} tokens"),
            );
        }
        self.types.push(token_type);
        self.scores.push(score);
        self.blob.extend_from_slice(piece);
        self.ends.push(self.blob.len());
        Ok(())
    }

    /// The piece of a token as its file has it.
    pub(super) fn piece(&self, token: u32) -> &[u8] {
        slice(&self.blob, &self.ends, token as usize)
    }

    /// Number of tokens.
    pub(super) fn len(&self) -> u32 {
        self.types.len() as u32
    }
}

/// Entry `index` of texts that lie one after another.
pub(super) fn slice<'a>(blob: &'a [u8], ends: &[usize], index: usize) -> &'a [u8] {
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &blob[start..ends[index]]
}

/// The byte that `<0xNN>` stands for.
pub(super) fn byte_of(piece: &[u8]) -> Option<u8> {
    let digits = piece.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    let upper = digits.len() == 2
        && digits
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'));
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16)
        .ok()
        .filter(|_| upper)
}
