//! What `PromptFaults` says of a case and a witness, in Rust.

mod opened;
mod payload;
mod rules;

use alloy_primitives::B256;
use alloy_sol_types::SolValue;
use sworn_inference::tokenizer::{FLAG_ADD_BOS, FLAG_ADD_SPACE, FLAG_TRUSTED};

use super::abi::{Leaf, MalformedWitness, PairWitness, TokenWitness};
use super::places::Place;
use crate::Digest;
use crate::constants as c;
use crate::dispute::abi::Case;
use crate::dispute::parts::Parts;
use crate::dispute::position::{NodeKind, Position};
use opened::{check_tokenizer, open_merge, open_token, open_tokens};
use payload::Opened;
use rules::{canonical, character, control, is_control, piece, spine, step};

/// Why a witness is none: the contract reverts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no witness: {0}")]
pub struct Refusal(pub &'static str);

/// What the chain knows of the input and the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Root of the payload.
    pub payload_root: Digest,
    /// Its bytes.
    pub payload_length: u64,
    /// Root of the model's tokenizer.
    pub tokenizer_root: Digest,
}

/// The run of a case.
struct Prompt<'a> {
    case: &'a Case,
    facts: &'a Facts,
    n_prompt: u32,
    n_tokens: u32,
    tokens_root: Digest,
    malformed: bool,
    position: Position,
}

/// Whether the witness shows the fault.
///
/// # Errors
/// A [`Refusal`] where the contract reverts.
pub fn judge(case: &Case, facts: &Facts, fault: u8, witness: &[u8]) -> Result<bool, Refusal> {
    if !(c::FAULT_BOS..=c::FAULT_GOOD_CONTROL).contains(&fault) {
        return Err(Refusal("fault"));
    }
    let position =
        Position::from_word(&case.node.position.to_be_bytes()).ok_or(Refusal("position"))?;
    let run = case.job.runs.get(usize::from(position.run));
    let run = run.ok_or(Refusal("run"))?;
    let prompt = Prompt {
        case,
        facts,
        n_prompt: run.nPrompt,
        n_tokens: run.nTokens,
        tokens_root: Digest(run.tokensRoot.0),
        malformed: super::claims_malformed(run.nPrompt, run.nTokens, run.finish),
        position,
    };
    let encoding = Refusal("encoding");
    if fault >= c::FAULT_SEGMENTS {
        if position.kind != NodeKind::Malformed || !prompt.malformed {
            return Err(Refusal("node"));
        }
        let witness = MalformedWitness::abi_decode(witness).map_err(|_| encoding)?;
        return prompt.malformed(fault, &witness);
    }
    let fits = match position.kind {
        NodeKind::Tokens => fault == c::FAULT_BOS && position.index == 0,
        NodeKind::Prompt => fault <= c::FAULT_PROMPT_PLACE && !prompt.malformed,
        NodeKind::Starts => fault != c::FAULT_BOS && !prompt.malformed,
        _ => false,
    };
    if !fits {
        return Err(Refusal("node"));
    }
    if fault == c::FAULT_PAIR {
        return prompt.pair(&PairWitness::abi_decode(witness).map_err(|_| encoding)?);
    }
    prompt.token(
        fault,
        &TokenWitness::abi_decode(witness).map_err(|_| encoding)?,
    )
}

fn contents(bytes: &[u8], value: &B256) -> Result<(), Refusal> {
    if Digest::of(bytes).0 == value.0 {
        Ok(())
    } else {
        Err(Refusal("contents"))
    }
}

fn place(contents: &[u8], slot: usize) -> Result<Place, Refusal> {
    Place::read(contents, slot).ok_or(Refusal("place"))
}

impl Prompt<'_> {
    /// The place of the first token of a leaf, by a part of the contents of `prompt`, whose digest is `value`.
    fn prompt_at(&self, value: B256, part: &Leaf, leaf: usize) -> Result<Place, Refusal> {
        let length = 8 * (self.n_prompt as usize).div_ceil(c::TOKEN_LEAF_ELEMENTS);
        let opened = (&part.data[..], &part.path[..]);
        Parts::PROMPT
            .check_part(opened, value, length, leaf / c::PART_PLACES)
            .map_err(|refused| Refusal(refused.0))?;
        place(&part.data, leaf % c::PART_PLACES)
    }

    /// The place of the token after the one in `slot` of the node's leaf, which is not the last.
    fn next_place(&self, slot: usize, starts: &[u8], prompt: &Leaf) -> Result<Place, Refusal> {
        if slot + 1 == c::TOKEN_LEAF_ELEMENTS {
            let leaf = self.position.index as usize + 1;
            return self.prompt_at(self.case.parent.value, prompt, leaf);
        }
        place(starts, slot + 1)
    }

    fn token(&self, fault: u8, w: &TokenWitness) -> Result<bool, Refusal> {
        check_tokenizer(&w.tokenizer, self.facts.tokenizer_root)?;
        let payload = Opened::of(&w.payload, self.facts)?;
        let spaces = w.tokenizer.flags & FLAG_ADD_SPACE != 0;
        let first = || payload.first(1, false, spaces);
        let starts_with_bos = || match self.malformed || w.tokenizer.flags & FLAG_ADD_BOS != 0 {
            true => Ok(true),
            false => first().map(|first| first.is_none()),
        };
        match self.position.kind {
            NodeKind::Tokens => {
                return Ok(starts_with_bos()? && self.token_at(&w.tokens, 0)? != w.tokenizer.bos);
            }
            NodeKind::Prompt => {
                let found = self.prompt_at(self.case.node.value, &w.prompt, 0)?;
                let bos = starts_with_bos()?;
                return Ok(match fault {
                    c::FAULT_BOS => bos && found != Place::BOS,
                    _ => !bos && first()? != Some(found),
                });
            }
            _ => contents(&w.starts, &self.case.node.value)?,
        }
        let (leaf, slot) = (self.position.index, w.slot as usize);
        if fault == c::FAULT_PROMPT_PLACE {
            let found = place(&w.starts, 0)?;
            let parent = self.case.parent.value;
            if found != self.prompt_at(parent, &w.prompt, leaf as usize)? {
                return Ok(true);
            }
            if leaf != 0 || self.n_prompt == 1 || found != Place::BOS {
                return Ok(false);
            }
            return match first()? {
                None => Ok(true),
                Some(first) => Ok(place(&w.starts, 1)? != first),
            };
        }
        let index = leaf * c::TOKEN_LEAF_ELEMENTS as u64 + u64::from(w.slot);
        if slot >= c::TOKEN_LEAF_ELEMENTS || index >= u64::from(self.n_prompt) {
            return Err(Refusal("slot"));
        }
        let stands = place(&w.starts, slot)?;
        if stands.header == 0 {
            if index != 0 || fault != c::FAULT_PLACE_STEP {
                return Err(Refusal("no segment"));
            }
            let found = first()?.is_some();
            return Ok(self.n_prompt == 1 && found);
        }
        let token = self.token_at(&w.tokens, index)?;
        if fault == c::FAULT_CONTROL {
            return control(&payload, stands, token, w);
        }
        if fault == c::FAULT_PIECE && token >= w.tokenizer.vocabulary {
            return Ok(true);
        }
        open_token(&w.tokenizer, token, &w.entry)?;
        match fault {
            c::FAULT_PLACE_STEP => {
                let expected = step(&payload, stands, spaces, &w.entry)?;
                if index + 1 == u64::from(self.n_prompt) {
                    return Ok(expected.is_some());
                }
                match expected {
                    None => Ok(true),
                    Some(expected) => Ok(expected != self.next_place(slot, &w.starts, &w.prompt)?),
                }
            }
            c::FAULT_PIECE => piece(&payload, stands, w),
            c::FAULT_CANONICAL => canonical(token, w),
            _ => character(&payload, stands, w),
        }
    }

    fn pair(&self, w: &PairWitness) -> Result<bool, Refusal> {
        check_tokenizer(&w.tokenizer, self.facts.tokenizer_root)?;
        if w.tokenizer.flags & FLAG_TRUSTED != 0 {
            return Err(Refusal("tokenisation is trusted"));
        }
        contents(&w.starts, &self.case.node.value)?;
        let (leaf, slot) = (self.position.index, w.slot as usize);
        let index = leaf * c::TOKEN_LEAF_ELEMENTS as u64 + u64::from(w.slot);
        if slot >= c::TOKEN_LEAF_ELEMENTS || index + 1 >= u64::from(self.n_prompt) {
            return Err(Refusal("slot"));
        }
        let last = slot + 1 == c::TOKEN_LEAF_ELEMENTS;
        let header = place(&w.starts, slot)?.header;
        if header == 0 || header != self.next_place(slot, &w.starts, &w.prompt)?.header {
            return Err(Refusal("not in one segment"));
        }
        let (x, birth_x, end_x) = spine(
            &w.tokenizer,
            self.token_at(&w.tokens, index)?,
            &w.left,
            |entry| entry.right,
        )?;
        let next = if last { &w.nextTokens } else { &w.tokens };
        let (y, birth_y, end_y) = spine(
            &w.tokenizer,
            self.token_at(next, index + 1)?,
            &w.right,
            |entry| entry.left,
        )?;
        let rank = open_merge(&w.tokenizer, &w.merges, w.merge, x, y)?;
        let when = (u64::from(rank) + 1).max(birth_x).max(birth_y);
        Ok(when < end_x && when <= end_y)
    }

    fn malformed(&self, fault: u8, w: &MalformedWitness) -> Result<bool, Refusal> {
        contents(&w.contents, &self.case.node.value)?;
        let payload = Opened::of(&w.payload, self.facts)?;
        let words: Vec<u32> = w
            .contents
            .chunks_exact(4)
            .map(|word| word.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
            .collect();
        let headers = match words.split_first() {
            Some((count, headers))
                if w.contents.len().is_multiple_of(4)
                    && (1..=c::MAX_SEGMENTS).contains(&headers.len())
                    && *count as usize == headers.len() =>
            {
                headers
            }
            _ if fault == c::FAULT_SEGMENTS => return Ok(true),
            _ => return Err(Refusal("no list")),
        };
        if fault == c::FAULT_SEGMENTS {
            let slot = w.slot as usize;
            let found = *headers.get(slot).ok_or(Refusal("slot"))?;
            if u64::from(found) >= self.facts.payload_length {
                return Ok(true);
            }
            let expected = match slot.checked_sub(1) {
                None => 1,
                Some(before) => payload.segment(headers[before].into())?.end(),
            };
            if u64::from(found) != expected {
                return Ok(true);
            }
            return Ok(slot + 1 == headers.len() && payload.segment(found.into())?.is_text);
        }
        let last = payload.segment(headers[headers.len() - 1].into())?;
        if last.is_text {
            return Err(Refusal("no control segment"));
        }
        check_tokenizer(&w.tokenizer, self.facts.tokenizer_root)?;
        open_token(&w.tokenizer, last.number, &w.entry)?;
        Ok(is_control(&w.entry))
    }

    fn token_at(&self, leaf: &Leaf, index: u64) -> Result<u32, Refusal> {
        open_tokens(leaf, self.tokens_root, self.n_tokens, index)
    }
}
