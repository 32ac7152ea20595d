//! What a model is committed by: the roots of its program, weights and tokenizer, and the model id over them.

use std::num::NonZero;
use std::thread;

use sworn_inference::format::packed::Model;
use sworn_inference::program::WeightShape;
use sworn_inference::tokenizer::{Merge, TokenEntry, Tokenizer};

use crate::constants::MERGE_LEAF_ENTRIES;
use crate::record::{self, TokenizerRecord};
use crate::weights::WeightsTree;
use crate::{Digest, Error, merkle};

/// Bytes of a merge in its leaf.
const MERGE_ENTRY_BYTES: usize = 16;

/// A model's roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitments {
    /// SHA-256 of the program's bytes.
    pub program_root: Digest,
    /// Root over the weight tensors.
    pub weights_root: Digest,
    /// The tokenizer's record.
    pub tokenizer_root: Digest,
    /// What the model is named by.
    pub model_id: Digest,
}

impl Commitments {
    /// Commits a model; reads all its weights. Gives the tree over them too, to be stored for openings. `progress` gets the rows that
    /// are hashed and all rows.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a piece of 2^16 bytes or more, [`Error::BadWeightsTree`] for an empty tensor: importing a model refuses
    /// both.
    pub fn of(
        model: &Model,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Commitments, WeightsTree), Error> {
        let shapes: Vec<WeightShape> = (0..model.weight_count())
            .map(|tensor| model.weight_shape(tensor))
            .collect();
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let write_leaf =
            |tensor: usize, row, tile, out: &mut Vec<u8>| model.write_leaf(tensor, row, tile, out);
        let weights = WeightsTree::build(&shapes, threads, &write_leaf, progress)?;
        let tokenizer = tokenizer_record(model.tokenizer())?;
        let commitments =
            Commitments::new(model.program_bytes(), weights.root(), tokenizer.digest());
        Ok((commitments, weights))
    }

    /// The roots of a program with known weights and tokenizer.
    #[must_use]
    pub fn new(program: &[u8], weights_root: Digest, tokenizer_root: Digest) -> Commitments {
        let program_root = Digest::of(program);
        let model_id = record::model_id(program_root, weights_root, tokenizer_root);
        Commitments {
            program_root,
            weights_root,
            tokenizer_root,
            model_id,
        }
    }
}

/// The record of a tokenizer; its digest is the tokenizer root.
///
/// # Errors
/// [`Error::TooLong`] for a piece of 2^16 bytes or more, or 2^32 merges or more.
pub fn tokenizer_record(tokenizer: &Tokenizer) -> Result<TokenizerRecord, Error> {
    let vocabulary = tokenizer.vocab_size();
    let table: Vec<Digest> = (0..vocabulary)
        .map(|id| token_leaf(&tokenizer.token(id)).map(|leaf| Digest::of(&leaf)))
        .collect::<Result<_, _>>()?;
    let merges = tokenizer.merges();
    Ok(TokenizerRecord {
        kind: tokenizer.kind(),
        flags: tokenizer.flags(),
        bos: tokenizer.bos(),
        vocabulary,
        table_root: merkle::root(&table),
        merges_root: merges_root(merges),
        merge_count: u32::try_from(merges.len()).map_err(|_| Error::TooLong {
            what: "merge table",
            found: merges.len(),
            maximum: u32::MAX as usize,
        })?,
    })
}

/// `type u8 || left u32_be || right u32_be || rank u32_be || length u16_be || bytes`.
pub(crate) fn token_leaf(token: &TokenEntry<'_>) -> Result<Vec<u8>, Error> {
    let length = u16::try_from(token.bytes.len()).map_err(|_| Error::TooLong {
        what: "piece of the vocabulary",
        found: token.bytes.len(),
        maximum: usize::from(u16::MAX),
    })?;
    let mut leaf = vec![token.token_type as u8];
    for number in [token.left, token.right, token.rank] {
        leaf.extend(number.to_be_bytes());
    }
    leaf.extend(length.to_be_bytes());
    leaf.extend_from_slice(token.bytes);
    Ok(leaf)
}

/// A leaf of at most 16 merges `left, right, rank, result`, each u32_be, filled with zeros.
pub(crate) fn merge_leaf(merges: &[Merge]) -> [u8; MERGE_ENTRY_BYTES * MERGE_LEAF_ENTRIES] {
    let mut bytes = [0; MERGE_ENTRY_BYTES * MERGE_LEAF_ENTRIES];
    for (entry, merge) in bytes.chunks_exact_mut(MERGE_ENTRY_BYTES).zip(merges) {
        for (to, number) in
            entry
                .chunks_exact_mut(4)
                .zip([merge.left, merge.right, merge.rank, merge.result])
        {
            to.copy_from_slice(&number.to_be_bytes());
        }
    }
    bytes
}

fn merges_root(merges: &[Merge]) -> Digest {
    let leaf = |merges: &[Merge]| Digest::of(&merge_leaf(merges));
    merkle::root(
        &merges
            .chunks(MERGE_LEAF_ENTRIES)
            .map(leaf)
            .collect::<Vec<_>>(),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A tokenizer of 3 special, 256 byte and `pieces` normal tokens with falling scores.
    pub(crate) fn tokenizer(pieces: &[&str]) -> Tokenizer {
        let special = ["<unk>", "<s>", "</s>"].map(str::to_owned);
        let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
        let all: Vec<String> = special
            .into_iter()
            .chain(bytes)
            .chain(pieces.iter().map(|piece| (*piece).to_owned()))
            .collect();
        let mut file = 16u32.to_le_bytes().to_vec();
        for (i, piece) in all.iter().enumerate() {
            file.extend((-(i as f32)).to_le_bytes());
            file.extend((piece.len() as u32).to_le_bytes());
            file.extend(piece.bytes());
        }
        Tokenizer::from_llama2c(&file, all.len() as u32).unwrap()
    }

    #[test]
    fn a_tokenizer_is_committed_as_specified() {
        let tokenizer = tokenizer(&[" ", "a", "b", "ab", " ab"]);
        let record = tokenizer_record(&tokenizer).unwrap();
        assert_eq!((record.kind, record.bos, record.vocabulary), (1, 1, 264));
        // ab = a + b has rank 0 (the higher score), " ab" = " " + ab rank 1; their ids are 259 + place.
        assert_eq!(record.merge_count, 2);
        let words: Vec<u8> = [259u32, 262, 1, 263, 260, 261, 0, 262]
            .into_iter()
            .flat_map(u32::to_be_bytes)
            .collect();
        assert_eq!(
            record.merges_root,
            Digest::of(&[&words[..], &[0; 224]].concat())
        );

        let leaf = [
            &[1][..],
            &260u32.to_be_bytes(),
            &261u32.to_be_bytes(),
            &0u32.to_be_bytes(),
            &[0, 2],
            b"ab",
        ]
        .concat();
        assert_eq!(token_leaf(&tokenizer.token(262)).unwrap(), leaf);
        let bos = [&[3][..], &[0xff; 12], &[0, 3], b"<s>"].concat();
        let found = token_leaf(&tokenizer.token(1)).unwrap();
        assert_eq!(found[..13], bos[..13]);
        let leaves: Vec<_> = (0..264)
            .map(|id| Digest::of(&token_leaf(&tokenizer.token(id)).unwrap()))
            .collect();
        assert_eq!(record.table_root, merkle::root(&leaves));
    }

    #[test]
    fn another_table_has_another_root() {
        let root = |pieces: &[&str]| tokenizer_record(&tokenizer(pieces)).unwrap().digest();
        assert_ne!(root(&["a", "b", "ab"]), root(&["b", "a", "ab"]));
        assert_ne!(root(&["a", "b", "ab"]), root(&["a", "b"]));
        assert_eq!(root(&["a", "b", "ab"]), root(&["a", "b", "ab"]));
    }

    #[test]
    fn the_model_id_covers_every_root() {
        let of = |program: &[u8], w, t| {
            Commitments::new(program, Digest([w; 32]), Digest([t; 32])).model_id
        };
        let ids = [
            of(b"p", 1, 2),
            of(b"q", 1, 2),
            of(b"p", 2, 2),
            of(b"p", 1, 1),
            of(b"p", 2, 1),
        ];
        for (i, id) in ids.iter().enumerate() {
            assert!(!ids[i + 1..].contains(id));
        }
    }
}
