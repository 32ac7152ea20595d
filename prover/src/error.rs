//! The errors of this crate.

use crate::Digest;

/// What can be wrong with an input, a proof or a stored tree. Every message says what was found and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text that is not a hexadecimal number of the right length.
    #[error("{what}: found {found:?}, expected {digits} hexadecimal digits, with or without 0x")]
    BadHex {
        /// What was read.
        what: &'static str,
        /// The text.
        found: String,
        /// How many digits it should have.
        digits: usize,
    },
    /// An index past the end of a tree or list.
    #[error("{what}: found index {found}, expected less than {expected}")]
    IndexOutOfRange {
        /// The tree or list.
        what: &'static str,
        /// The index.
        found: u64,
        /// How many there are.
        expected: u64,
    },
    /// A Merkle path with too few or too many digests.
    #[error("{what}: found a path of {found} digests, expected {expected}")]
    PathLength {
        /// The tree.
        what: &'static str,
        /// Digests in the path.
        found: usize,
        /// The depth of the tree.
        expected: u32,
    },
    /// A Merkle path leads to another root.
    #[error("{what}: found root {found}, expected {expected}")]
    WrongRoot {
        /// The tree.
        what: &'static str,
        /// Where the path leads.
        found: Digest,
        /// The committed root.
        expected: Digest,
    },
    /// A number that has to equal another.
    #[error("{what}: found {found}, expected {expected}")]
    Mismatch {
        /// The number.
        what: &'static str,
        /// Its value.
        found: u64,
        /// What it has to be.
        expected: u64,
    },
    /// Something longer than its format can hold.
    #[error("{what}: found {found} bytes, expected at most {maximum}")]
    TooLong {
        /// The thing.
        what: &'static str,
        /// Its length in bytes.
        found: usize,
        /// What fits.
        maximum: usize,
    },
    /// An input of a kind that this version does not answer.
    #[error("kind of input: found {found}, expected 1 (generate)")]
    UnsupportedKind {
        /// The kind's code.
        found: u8,
    },
    /// No run, or too many.
    #[error("number of runs: found {found}, expected 1 to {maximum}")]
    BadRunCount {
        /// Runs asked for.
        found: u16,
        /// The largest number.
        maximum: u32,
    },
    /// A sampling parameter outside its range.
    #[error("{field}: found {found}, expected {minimum} to {maximum}")]
    BadSampling {
        /// The parameter.
        field: &'static str,
        /// Its value.
        found: u32,
        /// The smallest value.
        minimum: u32,
        /// The largest value.
        maximum: u32,
    },
    /// Several runs at temperature 0 would all be equal.
    #[error("number of runs at temperature 0: found {found}, expected 1")]
    RunsAtZeroTemperature {
        /// Runs asked for.
        found: u16,
    },
    /// A params word whose last five bytes are not zero.
    #[error("params word: found {found}, expected its last 5 bytes to be zero")]
    ReservedBytes {
        /// The word.
        found: Digest,
    },
    /// A payload that is no list of segments, or names a token that no prompt may name.
    #[error("payload, byte {offset}: found {found}, expected {expected}")]
    MalformedPayload {
        /// Where the payload stops making sense.
        offset: usize,
        /// What stands there.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// Bytes that are no RLP of a block header.
    #[error("block header, byte {offset}: expected {expected}")]
    BadHeader {
        /// Where.
        offset: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// Bytes that are no stored weights tree.
    #[error("weights tree: {what}: found {found}, expected {expected}; commit the model again")]
    BadWeightsTree {
        /// The field.
        what: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A claim that is wrong in a way that can't be proven from what is known.
    #[error("{reason}")]
    Unproven {
        /// What is wrong, and what is missing.
        reason: String,
    },
    /// Bytes that are no program.
    #[error("{reason}")]
    BadProgram {
        /// What is wrong with them.
        reason: String,
    },
    /// The engine refused to run.
    #[error("{reason}")]
    Engine {
        /// Why.
        reason: String,
    },
}

impl From<sworn_inference::Error> for Error {
    fn from(error: sworn_inference::Error) -> Error {
        Error::Engine {
            reason: error.to_string(),
        }
    }
}
