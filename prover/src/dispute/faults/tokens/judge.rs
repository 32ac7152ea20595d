//! The judge in Rust: what `TokenFaults.sol` says of every witness.

use alloy_primitives::B256;
use alloy_sol_types::SolValue;

use super::witness::{Filling, Offset, Piece, Stop, Text, leaf_of};
use super::{EACH, LEAF_BYTES, ends, fresh, number};
use crate::constants::{
    FAULT_OFFSET, FAULT_OFFSET_PADDING, FAULT_STOP, FAULT_TEXT, FAULT_TEXT_PADDING, FAULT_TOKEN,
    TOKEN_BYTE, TOKEN_NORMAL, TOKEN_USER_DEFINED, TOKENIZER_FLAG_STRIP_AFTER_BOS,
};
use crate::dispute::abi::{Case, Leaf, Run};
use crate::dispute::faults::attention::judge::{check_in_node, position};
use crate::dispute::faults::prompt::abi::{Entry, Tokenizer};
use crate::dispute::faults::span::Refused;
use crate::dispute::position::{NodeKind, Position};
use crate::record::TokenizerRecord;
use crate::{Digest, merkle};

/// What decides about tokens besides the case: the model.
#[derive(Debug, Clone, Copy)]
pub struct ModelFacts<'a> {
    /// Tokens of the program's vocabulary.
    pub vocabulary: u32,
    /// The program's stop tokens.
    pub stop_tokens: &'a [u32],
    /// The record of the tokenizer.
    pub tokenizer_root: Digest,
}

/// Whether the witness shows the fault.
///
/// # Errors
/// [`Refused`] where the contract reverts.
pub fn is_fault(
    facts: &ModelFacts<'_>,
    case: &Case,
    fault: u8,
    witness: &[u8],
) -> Result<bool, Refused> {
    let node = position(case.node.position.to_be_bytes())?;
    let kind = match fault {
        FAULT_TOKEN | FAULT_STOP => NodeKind::Tokens,
        FAULT_OFFSET_PADDING | FAULT_OFFSET => NodeKind::Offsets,
        FAULT_TEXT_PADDING | FAULT_TEXT => NodeKind::Text,
        _ => return Err(Refused("fault")),
    };
    if node.kind != kind {
        return Err(Refused("node"));
    }
    let runs = &case.job.runs;
    let judge = Judge {
        facts,
        node,
        value: case.node.value,
        run: runs.get(usize::from(node.run)).ok_or(Refused("run"))?,
    };
    let bad = |_| Refused("encoding");
    let filling = || Filling::abi_decode(witness).map_err(bad);
    match fault {
        FAULT_TOKEN => judge.token(&filling()?),
        FAULT_STOP => judge.stop(&Stop::abi_decode(witness).map_err(bad)?),
        FAULT_OFFSET_PADDING => judge.filled(&filling()?, 4 * u64::from(judge.fresh()?)),
        FAULT_OFFSET => judge.offset(&Offset::abi_decode(witness).map_err(bad)?),
        FAULT_TEXT_PADDING => judge.filled(&filling()?, judge.run.textLength),
        _ => judge.text(&Text::abi_decode(witness).map_err(bad)?),
    }
}

struct Judge<'a> {
    facts: &'a ModelFacts<'a>,
    node: Position,
    value: B256,
    run: &'a Run,
}

impl Judge<'_> {
    fn token(&self, w: &Filling) -> Result<bool, Refused> {
        if self.filled(w, 4 * u64::from(self.run.nTokens))? {
            return Ok(true);
        }
        let first = w.index * EACH as u32;
        let count = (self.run.nTokens - first).min(EACH as u32);
        let wrong = |i| number(&w.leaf.data, i).is_none_or(|token| token >= self.facts.vocabulary);
        Ok((0..count).any(wrong))
    }

    fn stop(&self, w: &Stop) -> Result<bool, Refused> {
        self.fresh_at(w.place)?;
        check_in_node(&w.tokens, self.node, self.value, leaf_of(w.place))?;
        let token = element(&w.tokens, w.place)?;
        Ok(self.facts.stop_tokens.contains(&token) != ends(self.run, w.place))
    }

    fn offset(&self, w: &Offset) -> Result<bool, Refused> {
        let i = self.fresh_at(w.piece.place)?;
        check_in_node(&w.piece.offsets, self.node, self.value, leaf_of(i))?;
        let start = element(&w.piece.offsets, i)?;
        if i == 0 && start != 0 {
            return Ok(true);
        }
        let next = if i + 1 >= self.fresh()? {
            self.run.textLength
        } else if leaf_of(i + 1) != leaf_of(i) {
            self.offsets(&w.next, i + 1)?;
            element(&w.next, i + 1)?.into()
        } else {
            element(&w.piece.offsets, i + 1)?.into()
        };
        let length = self.piece(&w.piece)?.len() as u64;
        Ok(u64::from(start) + length != next)
    }

    fn text(&self, w: &Text) -> Result<bool, Refused> {
        let i = self.fresh_at(w.piece.place)?;
        self.offsets(&w.piece.offsets, i)?;
        let start = u64::from(element(&w.piece.offsets, i)?);
        let piece = self.piece(&w.piece)?;
        let first = u64::from(w.index) * LEAF_BYTES as u64;
        if first >= self.run.textLength {
            return Err(Refused("text leaf"));
        }
        check_in_node(&w.text, self.node, self.value, w.index.into())?;
        if w.text.data.len() != LEAF_BYTES {
            return Err(Refused("leaf length"));
        }
        let claimed = (first..self.run.textLength).zip(&w.text.data);
        Ok(claimed
            .filter_map(|(at, byte)| {
                let within = usize::try_from(at.checked_sub(start)?).ok()?;
                Some((piece.get(within)?, byte))
            })
            .any(|(expected, byte)| expected != byte))
    }

    fn filled(&self, w: &Filling, length: u64) -> Result<bool, Refused> {
        let rest = length
            .checked_sub(u64::from(w.index) * LEAF_BYTES as u64)
            .filter(|rest| *rest > 0)
            .ok_or(Refused("leaf"))?;
        check_in_node(&w.leaf, self.node, self.value, w.index.into())?;
        let data = &w.leaf.data;
        let used = usize::try_from(rest).unwrap_or(usize::MAX);
        Ok(data.len() != LEAF_BYTES || data.iter().skip(used).any(|byte| *byte != 0))
    }

    fn fresh(&self) -> Result<u32, Refused> {
        fresh(self.run).ok_or(Refused("run"))
    }

    fn fresh_at(&self, place: u32) -> Result<u32, Refused> {
        if place < self.run.nPrompt || place >= self.run.nTokens || place == 0 {
            return Err(Refused("place"));
        }
        Ok(place - self.run.nPrompt)
    }

    fn offsets(&self, leaf: &Leaf, i: u32) -> Result<(), Refused> {
        list(leaf, leaf_of(i), self.fresh()?, self.run.offsetsRoot)
    }

    fn token_at(&self, leaf: &Leaf, place: u32) -> Result<u32, Refused> {
        list(leaf, leaf_of(place), self.run.nTokens, self.run.tokensRoot)?;
        element(leaf, place)
    }

    fn piece(&self, w: &Piece) -> Result<Vec<u8>, Refused> {
        if ends(self.run, w.place) {
            return Ok(Vec::new());
        }
        let tokenizer = &w.tokenizer;
        if record(tokenizer).digest() != self.facts.tokenizer_root {
            return Err(Refused("tokenizer"));
        }
        let token = self.token_at(&w.tokens, w.place)?;
        if token >= tokenizer.vocabulary {
            return Ok(Vec::new());
        }
        let depth = merkle::depth(tokenizer.vocabulary.into());
        let digest = Digest::of(&leaf_bytes(&w.entry)?);
        verify(
            digest,
            token.into(),
            depth,
            &w.entry.path,
            tokenizer.tableRoot,
        )
        .map_err(|_| Refused("token path"))?;
        let mut text = reading(&w.entry)?;
        if tokenizer.flags & TOKENIZER_FLAG_STRIP_AFTER_BOS != 0 {
            let before = w.place - 1;
            let previous = if leaf_of(before) == leaf_of(w.place) {
                element(&w.tokens, before)?
            } else {
                self.token_at(&w.previous, before)?
            };
            if previous == tokenizer.bos && text.first() == Some(&b' ') {
                text.remove(0);
            }
        }
        Ok(text)
    }
}

/// Checks a leaf of a list of `count` numbers.
fn list(leaf: &Leaf, index: u64, count: u32, root: B256) -> Result<(), Refused> {
    let depth = merkle::depth(u64::from(count).div_ceil(EACH as u64));
    verify(Digest::of(&leaf.data), index, depth, &leaf.path, root).map_err(|_| Refused("leaf path"))
}

fn verify(
    digest: Digest,
    index: u64,
    depth: u32,
    path: &[B256],
    root: B256,
) -> Result<(), crate::Error> {
    let path: Vec<Digest> = path.iter().map(|word| Digest(word.0)).collect();
    merkle::verify("leaf", digest, index, depth, &path, Digest(root.0))
}

fn element(leaf: &Leaf, i: u32) -> Result<u32, Refused> {
    number(&leaf.data, i).ok_or(Refused("leaf length"))
}

fn record(tokenizer: &Tokenizer) -> TokenizerRecord {
    TokenizerRecord {
        kind: tokenizer.kind,
        flags: tokenizer.flags,
        bos: tokenizer.bos,
        vocabulary: tokenizer.vocabulary,
        table_root: Digest(tokenizer.tableRoot.0),
        merges_root: Digest(tokenizer.mergesRoot.0),
        merge_count: tokenizer.mergeCount,
    }
}

fn leaf_bytes(entry: &Entry) -> Result<Vec<u8>, Refused> {
    let length = u16::try_from(entry.piece.len()).map_err(|_| Refused("piece"))?;
    let mut leaf = vec![entry.kind];
    for number in [entry.left, entry.right, entry.rank] {
        leaf.extend(number.to_be_bytes());
    }
    leaf.extend(length.to_be_bytes());
    leaf.extend_from_slice(&entry.piece);
    Ok(leaf)
}

/// What an entry reads as, without the rule of flag 3.
fn reading(entry: &Entry) -> Result<Vec<u8>, Refused> {
    match entry.kind {
        TOKEN_BYTE => match &entry.piece[..] {
            [b'<', b'0', b'x', high, low, b'>'] => {
                let digit = |c: &u8| match c {
                    b'0'..=b'9' => Ok(c - b'0'),
                    b'A'..=b'F' => Ok(c - b'A' + 10),
                    _ => Err(Refused("byte token")),
                };
                Ok(vec![digit(high)? << 4 | digit(low)?])
            }
            _ => Err(Refused("byte token")),
        },
        TOKEN_NORMAL | TOKEN_USER_DEFINED => {
            let mut rest = &entry.piece[..];
            let mut out = Vec::new();
            while let Some((first, more)) = rest.split_first() {
                match rest.strip_prefix("\u{2581}".as_bytes()) {
                    Some(after) => {
                        out.push(b' ');
                        rest = after;
                    }
                    None => {
                        out.push(*first);
                        rest = more;
                    }
                }
            }
            Ok(out)
        }
        _ => Ok(Vec::new()),
    }
}
