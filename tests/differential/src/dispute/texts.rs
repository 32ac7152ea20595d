//! A liar's text: a leaf of it is not what the tokens' pieces read, with a tokenizer of true size of which one piece is known.

use alloy_primitives::B256;
use alloy_sol_types::SolValue as _;
use sworn_prover::Digest;
use sworn_prover::constants::{FAULT_TEXT, TEXT_LEAF_BYTES, TOKEN_LEAF_ELEMENTS, TOKEN_NORMAL};
use sworn_prover::dispute::abi::Leaf;
use sworn_prover::dispute::faults::prompt::abi::{Entry, Tokenizer};
use sworn_prover::dispute::faults::tokens::witness::{Piece, Text};
use sworn_prover::record::TokenizerRecord;
use sworn_prover::text::numbers_root;

use super::driver::LiarTree;
use super::sparse::SparseTree;

/// Bytes of the text.
const LENGTH: u64 = 5000;
/// Bytes that every token adds, as far as offsets go.
const EACH: u32 = 4;
/// The piece of the token that the text contradicts: longer than most.
const PIECE: &str = "\u{2581}understanding";

/// The text of a run with its offsets, and the tokenizer's table.
#[derive(Debug)]
pub struct Texts {
    tokens: Vec<u32>,
    offsets: Vec<u32>,
    n_prompt: u32,
    place: u32,
    vocabulary: u32,
}

fn words(digests: &[Digest]) -> Vec<B256> {
    let words = digests.iter().map(|digest| B256::from(digest.0));
    words.collect()
}

/// A leaf of a list of numbers with its path to the root.
fn opened(numbers: &[u32], index: u32) -> Leaf {
    let leaves: Vec<Vec<u8>> = (numbers.chunks(TOKEN_LEAF_ELEMENTS))
        .map(|numbers| {
            let mut bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            bytes.resize(4 * TOKEN_LEAF_ELEMENTS, 0);
            bytes
        })
        .collect();
    let mut tree = SparseTree::of_count(11, leaves.len() as u64);
    for (i, bytes) in (0..).zip(&leaves) {
        tree.set(i, Digest::of(bytes));
    }
    let leaf = index as usize / TOKEN_LEAF_ELEMENTS;
    Leaf {
        data: leaves[leaf].clone().into(),
        path: words(&tree.path(0, leaf as u64, tree.depth())),
    }
}

fn text_leaf(index: u64) -> Vec<u8> {
    let first = index * TEXT_LEAF_BYTES as u64;
    (first..first + TEXT_LEAF_BYTES as u64)
        .map(|i| match i < LENGTH {
            true => b'a' + (i * 7 % 26) as u8,
            false => 0,
        })
        .collect()
}

impl Texts {
    /// Of a run with these tokens, the first `n_prompt` its prompt's.
    ///
    /// # Panics
    /// It has fewer than two new tokens.
    #[must_use]
    pub fn new(tokens: &[u32], n_prompt: u32, vocabulary: u32) -> Texts {
        let fresh = tokens.len() as u32 - n_prompt;
        assert!(fresh > 1, "no token whose piece counts");
        Texts {
            tokens: tokens.to_vec(),
            offsets: (0..fresh).map(|i| EACH * i).collect(),
            n_prompt,
            // The last may be a stop token, which adds nothing.
            place: tokens.len() as u32 - 2,
            vocabulary,
        }
    }

    /// Bytes of the text.
    #[must_use]
    pub fn length(&self) -> u64 {
        LENGTH
    }

    /// Root of the offsets.
    #[must_use]
    pub fn offsets_root(&self) -> Digest {
        numbers_root(&self.offsets)
    }

    /// The false text.
    #[must_use]
    pub fn tree(&self) -> LiarTree {
        let count = LENGTH.div_ceil(TEXT_LEAF_BYTES as u64);
        let mut tree = SparseTree::of_count(12, count);
        for index in 0..count {
            tree.set(index, Digest::of(&text_leaf(index)));
        }
        LiarTree {
            tree,
            leaves: Box::new(text_leaf),
        }
    }

    /// The leaf that contradicts the piece.
    #[must_use]
    pub fn leaf(&self) -> u64 {
        u64::from(self.offsets[(self.place - self.n_prompt) as usize]) / TEXT_LEAF_BYTES as u64
    }

    fn token(&self) -> u64 {
        self.tokens[self.place as usize].into()
    }

    fn table(&self) -> SparseTree {
        let mut bytes = vec![TOKEN_NORMAL];
        bytes.extend([0xff; 12]);
        bytes.extend((PIECE.len() as u16).to_be_bytes());
        bytes.extend(PIECE.as_bytes());
        let mut table = SparseTree::of_count(13, self.vocabulary.into());
        table.set(self.token(), Digest::of(&bytes));
        table
    }

    fn record(&self) -> TokenizerRecord {
        TokenizerRecord {
            kind: 1,
            flags: 0,
            bos: 1,
            vocabulary: self.vocabulary,
            table_root: self.table().root(),
            merges_root: Digest::of(b"merges"),
            merge_count: self.vocabulary,
        }
    }

    /// Root of the tokenizer.
    #[must_use]
    pub fn tokenizer_root(&self) -> Digest {
        self.record().digest()
    }

    /// The fault with its witness; `siblings` lead from the text's leaf to the revealed node.
    #[must_use]
    pub fn witness(&self, siblings: &[Digest]) -> (u8, Vec<u8>) {
        let (record, table) = (self.record(), self.table());
        let witness = Text {
            piece: Piece {
                place: self.place,
                offsets: opened(&self.offsets, self.place - self.n_prompt),
                tokens: opened(&self.tokens, self.place),
                previous: Leaf {
                    data: Vec::new().into(),
                    path: Vec::new(),
                },
                tokenizer: Tokenizer {
                    kind: record.kind,
                    flags: record.flags,
                    bos: record.bos,
                    vocabulary: record.vocabulary,
                    tableRoot: record.table_root.0.into(),
                    mergesRoot: record.merges_root.0.into(),
                    mergeCount: record.merge_count,
                },
                entry: Entry {
                    kind: TOKEN_NORMAL,
                    left: u32::MAX,
                    right: u32::MAX,
                    rank: u32::MAX,
                    piece: PIECE.as_bytes().to_vec().into(),
                    path: words(&table.path(0, self.token(), table.depth())),
                },
            },
            index: self.leaf() as u32,
            text: Leaf {
                data: text_leaf(self.leaf()).into(),
                path: words(siblings),
            },
        };
        (FAULT_TEXT, witness.abi_encode())
    }
}
