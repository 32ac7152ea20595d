//! Records (`prover/SPEC.md` section 6): tagged tuples of 32-byte words. In Solidity `sha256(abi.encode(tag, a, b, ...))`.

use sha2::{Digest as _, Sha256};

use crate::constants::{
    MACHINE_VERSION, TAG_ACCUMULATOR, TAG_CLAIM, TAG_DRAW, TAG_INPUT, TAG_JOB, TAG_MODEL, TAG_RUN,
    TAG_SEED, TAG_TOKENIZER,
};
use crate::params::Params;
use crate::{Address, Digest};

/// A field of a record: 32 bytes, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word(pub [u8; 32]);

macro_rules! word_from_unsigned {
    ($($number:ty),*) => {$(
        impl From<$number> for Word {
            fn from(value: $number) -> Word {
                let mut word = [0; 32];
                word[32 - size_of::<$number>()..].copy_from_slice(&value.to_be_bytes());
                Word(word)
            }
        }
    )*};
}

word_from_unsigned!(u8, u16, u32, u64);

impl From<i64> for Word {
    fn from(value: i64) -> Word {
        let mut word = [if value < 0 { 0xff } else { 0 }; 32];
        word[24..].copy_from_slice(&value.to_be_bytes());
        Word(word)
    }
}

impl From<bool> for Word {
    fn from(value: bool) -> Word {
        Word::from(u8::from(value))
    }
}

impl From<Digest> for Word {
    fn from(value: Digest) -> Word {
        Word(value.0)
    }
}

impl From<Address> for Word {
    fn from(value: Address) -> Word {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&value.0);
        Word(word)
    }
}

/// The digest of a record.
#[must_use]
pub fn record(tag: &str, fields: &[Word]) -> Digest {
    // Tags are the constants of `machine.toml`, at most 32 bytes; a longer one would be cut.
    let mut word = [0; 32];
    word.iter_mut()
        .zip(tag.bytes())
        .for_each(|(to, from)| *to = from);
    let mut hasher = Sha256::new();
    hasher.update(word);
    for field in fields {
        hasher.update(field.0);
    }
    Digest(hasher.finalize().into())
}

/// What a model is named by everywhere.
#[must_use]
pub fn model_id(program_root: Digest, weights_root: Digest, tokenizer_root: Digest) -> Digest {
    record(
        TAG_MODEL,
        &[
            MACHINE_VERSION.into(),
            program_root.into(),
            weights_root.into(),
            tokenizer_root.into(),
        ],
    )
}

/// A tokenizer and the roots of its two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenizerRecord {
    /// 1 is SentencePiece BPE.
    pub kind: u32,
    /// `prover/SPEC.md` section 7.
    pub flags: u32,
    /// The token that starts every prompt.
    pub bos: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Root over the tokens.
    pub table_root: Digest,
    /// Root over the merges.
    pub merges_root: Digest,
    /// Merges.
    pub merge_count: u32,
}

impl TokenizerRecord {
    /// The tokenizer root.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let TokenizerRecord {
            kind,
            flags,
            bos,
            vocabulary,
            table_root,
            merges_root,
            merge_count,
        } = *self;
        let fields = [
            kind.into(),
            flags.into(),
            bos.into(),
            vocabulary.into(),
            table_root.into(),
            merges_root.into(),
            merge_count.into(),
        ];
        record(TAG_TOKENIZER, &fields)
    }
}

/// An input as the inbox knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputRecord {
    /// Chain id.
    pub chain_id: u64,
    /// The inbox contract.
    pub inbox: Address,
    /// Number of the input in its inbox.
    pub input_id: u64,
    /// Who paid.
    pub sender: Address,
    /// Where vouchers go.
    pub recipient: Address,
    /// The model asked.
    pub model_id: Digest,
    /// Parameters.
    pub params: Params,
    /// Text root of the payload.
    pub payload_root: Digest,
    /// Bytes of the payload.
    pub payload_length: u64,
}

impl InputRecord {
    /// The record's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let fields = [
            self.chain_id.into(),
            self.inbox.into(),
            self.input_id.into(),
            self.params.kind.into(),
            self.sender.into(),
            self.recipient.into(),
            self.model_id.into(),
            self.params.pack().into(),
            self.payload_root.into(),
            self.payload_length.into(),
        ];
        record(TAG_INPUT, &fields)
    }
}

/// The seed of an input, from the header of the block that sealed it.
#[must_use]
pub fn seed(
    chain_id: u64,
    inbox: Address,
    input_id: u64,
    mix_hash: Digest,
    block_hash: Digest,
) -> Digest {
    record(
        TAG_SEED,
        &[
            chain_id.into(),
            inbox.into(),
            input_id.into(),
            mix_hash.into(),
            block_hash.into(),
        ],
    )
}

/// The inbox's running hash after one more sealed input; [`Digest::ZERO`] comes before the first.
#[must_use]
pub fn accumulate(before: Digest, input: Digest, seed: Digest) -> Digest {
    record(TAG_ACCUMULATOR, &[before.into(), input.into(), seed.into()])
}

/// The record from which one token is drawn; its first 8 bytes are `h64`.
#[must_use]
pub fn draw(seed: Digest, run: u32, position: u32) -> Digest {
    record(TAG_DRAW, &[seed.into(), run.into(), position.into()])
}

/// What a claim says about one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRecord {
    /// Tokens of the prompt.
    pub n_prompt: u32,
    /// All tokens: the prompt's, then the new ones.
    pub n_tokens: u32,
    /// Finish code (`prover/SPEC.md` section 5).
    pub finish: u8,
    /// Root over all tokens.
    pub tokens_root: Digest,
    /// Root over the text offsets of the new tokens.
    pub offsets_root: Digest,
    /// Root of the text.
    pub text_root: Digest,
    /// Bytes of the text.
    pub text_length: u64,
    /// Log-probability in units of 2^-24; 0 unless scored.
    pub score: i64,
    /// Whether every scored token was the most likely one; false unless scored.
    pub greedy: bool,
}

impl RunRecord {
    /// The record's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let fields = [
            self.n_prompt.into(),
            self.n_tokens.into(),
            self.finish.into(),
            self.tokens_root.into(),
            self.offsets_root.into(),
            self.text_root.into(),
            self.text_length.into(),
            self.score.into(),
            self.greedy.into(),
        ];
        record(TAG_RUN, &fields)
    }
}

/// What a claim says about one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobRecord {
    /// The input.
    pub input_id: u64,
    /// Its runs.
    pub n_runs: u32,
    /// Root over the run records.
    pub runs_root: Digest,
    /// Root over scores; [`Digest::ZERO`] for `generate`.
    pub score_root: Digest,
}

impl JobRecord {
    /// The record's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let fields = [
            self.input_id.into(),
            self.n_runs.into(),
            self.runs_root.into(),
            self.score_root.into(),
        ];
        record(TAG_JOB, &fields)
    }
}

/// Names a claim; what `Claims.claimIdOf` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimRecord {
    /// Chain id.
    pub chain_id: u64,
    /// The claims contract.
    pub claims: Address,
    /// The epoch.
    pub epoch: u64,
    /// The lane's model.
    pub model_id: Digest,
    /// The inbox's running hash at the epoch's end.
    pub accumulator: Digest,
    /// Root of the claim tree.
    pub root: Digest,
    /// Who claims.
    pub proposer: Address,
}

impl ClaimRecord {
    /// The claim id.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let fields = [
            self.chain_id.into(),
            self.claims.into(),
            self.epoch.into(),
            self.model_id.into(),
            self.accumulator.into(),
            self.root.into(),
            self.proposer.into(),
        ];
        record(TAG_CLAIM, &fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_its_tag_and_words() {
        let mut bytes = b"sworn/draw/1".to_vec();
        bytes.resize(32, 0);
        bytes.extend([7; 32]);
        bytes.extend([0; 31]);
        bytes.push(3);
        bytes.extend([0; 28]);
        bytes.extend([0, 0, 1, 2]);
        assert_eq!(draw(Digest([7; 32]), 3, 258), Digest::of(&bytes));
    }

    #[test]
    fn words_extend_to_the_left() {
        assert_eq!(Word::from(-1i64).0, [0xff; 32]);
        assert_eq!(
            Word::from(i64::MIN).0[..25],
            [[0xff; 24].as_slice(), &[0x80]].concat()
        );
        assert_eq!(Word::from(true).0[30..], [0, 1]);
        assert_eq!(Word::from(0x0102u16).0[29..], [0, 1, 2]);
        let word = Word::from(Address([9; 20]));
        assert_eq!((word.0[11], word.0[12]), (0, 9));
    }
}
