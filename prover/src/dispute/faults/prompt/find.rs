//! What to do about a prompt that is not the payload's: what to open, and which fault to prove.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::layout::{Kind, Layout};
use super::places::Place;
use super::walk::{End, Walk, Wrong, walk};
use super::witness::Maker;
use super::{TokenizerBook, claims_malformed};
use crate::constants::{self as c, CONTENT_LEVELS, MAX_SEGMENTS, TOKEN_LEAF_ELEMENTS};
use crate::dispute::position::{NodeKind, Position};
use crate::{Digest, Error, merkle};

/// Leaves of the claim's tokens, as far as they are known: revealed, or one's own where their digests are equal.
pub trait TokenLeaves {
    /// The 256 bytes of a leaf.
    fn leaf(&self, leaf: u32) -> Option<Vec<u8>>;

    /// Its siblings from below up to the run's tokens root. A leaf that is known has a path that is known.
    fn path(&self, leaf: u32) -> Option<Vec<Digest>>;
}

/// A run whose prompt may be wrong, with what is revealed of it.
#[derive(Clone, Copy)]
pub struct Dispute<'a> {
    /// The job's index in the lane.
    pub lane: u32,
    /// The run of the job.
    pub run: u8,
    /// The model's tokenizer.
    pub book: &'a TokenizerBook<'a>,
    /// The input's payload.
    pub payload: &'a [u8],
    /// As the claim says.
    pub n_prompt: u32,
    /// As the claim says.
    pub n_tokens: u32,
    /// As the claim says.
    pub finish: u8,
    /// The claim's tokens.
    pub tokens: &'a dyn TokenLeaves,
    /// Contents of the node `prompt`, if it is revealed.
    pub prompt: Option<&'a [u8]>,
    /// Contents of the nodes `starts` that are revealed, by leaf.
    pub starts: &'a BTreeMap<u32, Vec<u8>>,
    /// Contents of the node `malformed`, if it is revealed.
    pub malformed: Option<&'a [u8]>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the prompt is right, or the tokenizer's tables do not suffice to show that it is not (flag 2).
    Nothing,
    /// Learn this leaf of the claim's tokens: open the tokens node that holds it.
    Tokens(u32),
    /// Open this node.
    Open(Position),
    /// Prove this fault.
    Prove {
        /// The node where it shows.
        node: Position,
        /// Its code.
        fault: u8,
        /// ABI-encoded, as `PromptFaults` takes it.
        witness: Vec<u8>,
    },
}

impl Dispute<'_> {
    /// The next step.
    ///
    /// # Errors
    /// [`Error::MalformedPayload`] for a payload that no inbox takes.
    pub fn next(&self) -> Result<Next, Error> {
        let layout = Layout::of(self.payload, self.book.record().flags)?;
        let maker = Maker {
            book: self.book,
            layout: &layout,
            tokens: self.tokens,
            prompt: self.prompt.unwrap_or_default(),
        };
        if claims_malformed(self.n_prompt, self.n_tokens, self.finish) {
            return self.malformed(&layout, &maker);
        }
        // A leaf is asked for once: it may have to be put together.
        let known: RefCell<Option<(u32, Option<Vec<u8>>)>> = RefCell::new(None);
        let walk = walk(self.book, &layout, self.n_prompt, &|index| {
            let mut known = known.borrow_mut();
            let leaf = leaf_of(index);
            let bytes = match known.take() {
                Some((same, bytes)) if same == leaf => bytes,
                _ => self.tokens.leaf(leaf),
            };
            let token = bytes.as_deref().and_then(|bytes| token_in(bytes, index));
            *known = Some((leaf, bytes));
            token
        });
        match (&walk.end, self.prompt) {
            (End::Wrong(_, Wrong::Bos), _) => self.bos(&maker),
            (End::Unknown(index), None) => Ok(Next::Tokens(leaf_of(*index))),
            (End::Right, None) => Ok(Next::Nothing),
            (End::Wrong(..), None) => Ok(Next::Open(self.posted(NodeKind::Prompt, 0))),
            (_, Some(prompt)) => self.places(&maker, &walk, prompt),
        }
    }

    /// With `prompt` revealed: the first leaf whose place is wrong, or else the first wrong token.
    fn places(&self, maker: &Maker<'_>, walk: &Walk, prompt: &[u8]) -> Result<Next, Error> {
        let starts = walk.places.iter().step_by(TOKEN_LEAF_ELEMENTS);
        let wrong = starts
            .enumerate()
            .find(|(leaf, place)| Place::read(prompt, *leaf) != Some(**place));
        let leaf = match (wrong, &walk.end) {
            (Some((0, place)), _) => {
                let bos = *place == Place::BOS;
                return Ok(Next::Prove {
                    node: self.posted(NodeKind::Prompt, 0),
                    fault: if bos {
                        c::FAULT_BOS
                    } else {
                        c::FAULT_PROMPT_PLACE
                    },
                    witness: maker.first_place()?,
                });
            }
            (Some((leaf, _)), _) => leaf as u32 - 1,
            (None, End::Wrong(index, _)) => leaf_of(*index),
            (None, End::Unknown(index)) => return Ok(Next::Tokens(leaf_of(*index))),
            (None, End::Right) => {
                // Every token is right; a place that is not can be in a revealed node only.
                let differs = |leaf: &u32| {
                    let right = super::places::starts_contents(&walk.places, *leaf);
                    self.starts.get(leaf) != Some(&right)
                };
                match self.starts.keys().copied().find(differs) {
                    Some(leaf) => leaf,
                    None => return Ok(Next::Nothing),
                }
            }
        };
        let Some(starts) = self.starts.get(&leaf) else {
            return Ok(Next::Open(self.posted(NodeKind::Starts, leaf)));
        };
        self.leaf(maker, walk, leaf, starts)
    }

    /// With a leaf's `starts` revealed, whose place in `prompt` is right: its first wrong place, or else its wrong token.
    fn leaf(
        &self,
        maker: &Maker<'_>,
        walk: &Walk,
        leaf: u32,
        starts: &[u8],
    ) -> Result<Next, Error> {
        let node = self.posted(NodeKind::Starts, leaf);
        let from = leaf as usize * TOKEN_LEAF_ELEMENTS;
        let prove = |fault, witness| {
            Ok(Next::Prove {
                node,
                fault,
                witness,
            })
        };
        let first_of_bos = |slot: usize| slot == 0 && walk.places.get(from) == Some(&Place::BOS);
        for (slot, place) in
            { walk.places.iter().skip(from).take(TOKEN_LEAF_ELEMENTS + 1) }.enumerate()
        {
            let found = if slot == TOKEN_LEAF_ELEMENTS {
                Place::read(maker.prompt, leaf as usize + 1)
            } else {
                Place::read(starts, slot)
            };
            if found == Some(*place) {
                continue;
            }
            return match slot.checked_sub(1) {
                None => prove(
                    c::FAULT_PROMPT_PLACE,
                    maker.prompt_place(starts, leaf, false)?,
                ),
                Some(before) if first_of_bos(before) => prove(
                    c::FAULT_PROMPT_PLACE,
                    maker.prompt_place(starts, leaf, true)?,
                ),
                Some(before) => {
                    let witness = maker.step(starts, leaf, before, walk.places[from + before])?;
                    prove(c::FAULT_PLACE_STEP, witness)
                }
            };
        }
        let (index, wrong) = match &walk.end {
            End::Wrong(index, wrong) => (*index as usize, wrong),
            _ => return Ok(Next::Nothing),
        };
        let (slot, place) = (index - from, walk.places[index]);
        match wrong {
            Wrong::Last if first_of_bos(slot) && self.n_prompt > 1 => prove(
                c::FAULT_PROMPT_PLACE,
                maker.prompt_place(starts, leaf, true)?,
            ),
            Wrong::Last => prove(c::FAULT_PLACE_STEP, maker.step(starts, leaf, slot, place)?),
            Wrong::Pair(pair) => prove(c::FAULT_PAIR, maker.pair(starts, leaf, slot, pair)?),
            wrong => {
                let (fault, witness) = maker.token(starts, leaf, slot, place, wrong)?;
                prove(fault, witness)
            }
        }
    }

    /// Token 0 is not BOS.
    fn bos(&self, maker: &Maker<'_>) -> Result<Next, Error> {
        let leaves = u64::from(self.n_tokens).div_ceil(TOKEN_LEAF_ELEMENTS as u64);
        let height = merkle::depth(leaves).min(CONTENT_LEVELS as u32) as u8;
        Ok(Next::Prove {
            node: Position::tree(NodeKind::Tokens, self.lane, self.run, height, 0),
            fault: c::FAULT_BOS,
            witness: maker.bos_token()?,
        })
    }

    /// The claim says that the payload is malformed.
    fn malformed(&self, layout: &Layout<'_>, maker: &Maker<'_>) -> Result<Next, Error> {
        match self.token(0) {
            None => return Ok(Next::Tokens(0)),
            Some(token) if token != self.book.record().bos => return self.bos(maker),
            Some(_) => {}
        }
        let is_good = |kind: Kind| match kind {
            Kind::Control(id) => self.book.tokenizer().is_control(id),
            Kind::Text(_) => true,
        };
        let all_good = { layout.segments().iter() }.all(|segment| is_good(segment.kind));
        let node = self.posted(NodeKind::Malformed, 0);
        let Some(contents) = self.malformed else {
            return Ok(if all_good {
                Next::Open(node)
            } else {
                Next::Nothing
            });
        };
        let read = |slot: usize| {
            let bytes = contents.get(4 * slot..)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*bytes))
        };
        let count = (contents.len() / 4).saturating_sub(1);
        let is_list = contents.len().is_multiple_of(4)
            && (1..=MAX_SEGMENTS).contains(&count)
            && read(0) == Some(count as u32);
        let prove = |fault, witness| {
            Ok(Next::Prove {
                node,
                fault,
                witness,
            })
        };
        if !is_list {
            return prove(c::FAULT_SEGMENTS, maker.malformed(contents, 0, None)?);
        }
        for slot in 0..count {
            let segment = layout.segments().get(slot);
            let is_text = |kind: Kind| matches!(kind, Kind::Text(_));
            let fits = segment.is_some_and(|segment| {
                read(slot + 1) == Some(segment.header)
                    && !(slot + 1 == count && is_text(segment.kind))
            });
            if !fits {
                return prove(c::FAULT_SEGMENTS, maker.malformed(contents, slot, None)?);
            }
        }
        match layout.segments()[count - 1].kind {
            kind @ Kind::Control(id) if is_good(kind) => prove(
                c::FAULT_GOOD_CONTROL,
                maker.malformed(contents, count - 1, Some(id))?,
            ),
            _ => Ok(Next::Nothing),
        }
    }

    fn token(&self, index: u32) -> Option<u32> {
        token_in(&self.tokens.leaf(leaf_of(index))?, index)
    }

    fn posted(&self, kind: NodeKind, index: u32) -> Position {
        let mut position = Position::tree(kind, self.lane, self.run, 0, 0);
        position.index = index.into();
        position
    }
}

fn leaf_of(index: u32) -> u32 {
    index / TOKEN_LEAF_ELEMENTS as u32
}

/// Token `index` of a run, from its leaf.
fn token_in(leaf: &[u8], index: u32) -> Option<u32> {
    let start = 4 * (index as usize % TOKEN_LEAF_ELEMENTS);
    let bytes = leaf.get(start..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes))
}
