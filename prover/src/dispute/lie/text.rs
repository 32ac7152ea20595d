//! Lies about tokens, prompts, offsets and text.

use sworn_inference::engine::Finish;
use sworn_inference::tokenizer::Segment;

use super::liar::retell;
use super::{Hiding, Liar, Lie};
use crate::constants::{NO_MERGE, TOKEN_LEAF_ELEMENTS};
use crate::dispute::faults::prompt::places::{
    Place, malformed_contents, prompt_contents, starts_contents,
};
use crate::dispute::faults::prompt::{TokenizerBook, honest_places};
use crate::dispute::position::{NodeKind, Position};
use crate::dispute::results::{LaneResults, RunLeaves};
use crate::{Error, payload};

impl Liar {
    /// Tells one of the lies about a run's lists.
    pub(super) fn bend_lists(&mut self, lie: Lie) -> Result<bool, Error> {
        let model = self.model().model.clone();
        let program = model.program();
        let run = self.result()?.clone();
        let (n_prompt, n_tokens) = (run.n_prompt as usize, run.tokens.len());
        let stop = program.stop_tokens().first().copied();
        let limit = n_tokens < program.context() as usize;
        match lie {
            Lie::TokenOutside => {
                let Some(place) = self.place()? else {
                    return Ok(false);
                };
                // The trace stays the true one: such a token has no row.
                let (at, vocabulary) = (self.run as usize, program.vocab_size());
                self.bend_leaf(
                    NodeKind::Tokens,
                    4 * place as usize,
                    &vocabulary.to_le_bytes(),
                )?;
                return Ok(at < self.answer.runs.len());
            }
            Lie::TokenPadding if !n_tokens.is_multiple_of(64) => {
                return self.bend_leaf(NodeKind::Tokens, 4 * n_tokens, &[1]);
            }
            Lie::OffsetPadding
                if !run.offsets.is_empty() && !run.offsets.len().is_multiple_of(64) =>
            {
                return self.bend_leaf(NodeKind::Offsets, 4 * run.offsets.len(), &[1]);
            }
            Lie::TextPadding if !run.text.is_empty() && !run.text.len().is_multiple_of(256) => {
                return self.bend_leaf(NodeKind::Text, run.text.len(), &[1]);
            }
            Lie::Offset if !run.offsets.is_empty() => {
                let at = self.below(run.offsets.len() as u64) as usize;
                let offset = run.offsets[at] + 1;
                return self.bend_leaf(NodeKind::Offsets, 4 * at, &offset.to_le_bytes());
            }
            Lie::TextByte if !run.text.is_empty() => {
                let at = self.below(run.text.len() as u64) as usize;
                return self.bend_leaf(NodeKind::Text, at, &[run.text[at] ^ 1]);
            }
            Lie::StopInside => {
                let (Some(place), Some(stop)) = (self.place()?, stop) else {
                    return Ok(false);
                };
                if place as usize + 1 >= n_tokens {
                    return Ok(false);
                }
                self.put_token(place, stop)?;
            }
            Lie::EndsEarly if n_tokens > n_prompt + 1 => self.change(|run| {
                run.tokens.pop();
                run.finish = Finish::Stop;
                retell(&model, run);
            })?,
            Lie::GoesOn if run.finish == Finish::Stop && limit => self.change(|run| {
                run.tokens.extend(stop);
                retell(&model, run);
            })?,
            Lie::PromptToken(_) | Lie::PromptInserted | Lie::PromptDropped | Lie::PromptSplit
                if n_prompt > 1 && limit =>
            {
                return self.bend_prompt(lie);
            }
            Lie::Malformed if run.finish != Finish::TooLong => return self.call_malformed(),
            Lie::OffsetsMoved if run.offsets.len() > TOKEN_LEAF_ELEMENTS => {
                let at = run.offsets[TOKEN_LEAF_ELEMENTS] as usize;
                self.change(|run| {
                    run.text.insert(at, b'x');
                    for offset in &mut run.offsets[TOKEN_LEAF_ELEMENTS..] {
                        *offset += 1;
                    }
                })?;
            }
            Lie::WellFormed => return self.call_good(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes a control segment that no prompt may have for the prompt's last.
    fn call_good(&mut self) -> Result<bool, Error> {
        let model = self.model().model.clone();
        let (program, tokenizer) = (model.program(), model.tokenizer());
        let input = self.answer.input.clone();
        let segments = payload::decode(&input.payload)?;
        let bad = segments.iter().position(
            |segment| matches!(segment, Segment::Control(id) if !tokenizer.is_control(*id)),
        );
        let Some(bad) = bad else {
            return Ok(false);
        };
        let before = payload::encode(&segments[..bad])?;
        let mut prompt = tokenizer.encode(&segments[..bad]);
        let book = TokenizerBook::of(tokenizer)?;
        let mut places = honest_places(&book, &before, &prompt)?;
        places.push(Place {
            header: before.len() as u32,
            within: 0,
        });
        if let Segment::Control(id) = segments[bad] {
            prompt.push(id.min(program.vocab_size() - 1));
        }
        let or_none = |limit: u32| if limit == 0 { u32::MAX } else { limit };
        let n_prompt = prompt.len() as u32;
        let limit = or_none(input.params.max_new_tokens)
            .min(or_none(input.params.max_total_tokens).saturating_sub(n_prompt))
            .min(program.context().saturating_sub(n_prompt));
        let token = self.other_token(tokenizer.bos());
        self.change(|run| {
            run.n_prompt = n_prompt;
            run.tokens = prompt;
            run.tokens.extend((0..limit).map(|_| token));
            run.finish = Finish::Length;
            retell(&model, run);
        })?;
        self.post_places(&places);
        Ok(true)
    }

    fn bend_prompt(&mut self, lie: Lie) -> Result<bool, Error> {
        let model = self.model().model.clone();
        let tokenizer = model.tokenizer();
        let run = self.result()?.clone();
        let mut places = self.honest_places()?;
        let at = 1 + self.below(u64::from(run.n_prompt) - 1) as usize;
        let other = self.other_token(run.tokens[at]);
        match lie {
            Lie::PromptToken(hiding) => {
                self.change(|run| run.tokens[at] = other)?;
                if hiding == Hiding::Totals {
                    places[at].within += 1;
                }
            }
            Lie::PromptInserted => {
                self.change(|run| {
                    run.tokens.insert(at, other);
                    run.n_prompt += 1;
                })?;
                places.insert(at, places[at]);
            }
            Lie::PromptDropped => {
                self.change(|run| {
                    run.tokens.remove(at);
                    run.n_prompt -= 1;
                })?;
                places.remove(at);
            }
            _ => {
                let split = (0..run.n_prompt as usize).find_map(|at| {
                    let token = tokenizer.token(run.tokens[at]);
                    (token.left != NO_MERGE).then_some((at, token.left, token.right))
                });
                let Some((at, left, right)) = split else {
                    return Ok(false);
                };
                self.change(|run| {
                    run.tokens.splice(at..=at, [left, right]);
                    run.n_prompt += 1;
                })?;
                let mut second = places[at];
                second.within += tokenizer.piece(None, left).len() as u32;
                places.insert(at + 1, second);
            }
        }
        self.change(|run| retell(&model, run))?;
        self.post_places(&places);
        Ok(true)
    }

    /// The places of the prompt that the run still has.
    pub(super) fn honest_places(&mut self) -> Result<Vec<Place>, Error> {
        let model = self.model().model.clone();
        let run = self.result()?;
        let prompt = &run.tokens[..run.n_prompt as usize];
        let book = TokenizerBook::of(model.tokenizer())?;
        honest_places(&book, &self.answer.input.payload, prompt)
    }

    /// Posts places of the prompt's tokens.
    pub(super) fn post_places(&mut self, places: &[Place]) {
        let at = |kind, index| Position {
            index,
            ..Position::tree(kind, self.lane, self.run as u8, 0, 0)
        };
        self.posted
            .insert(at(NodeKind::Prompt, 0), prompt_contents(places));
        for leaf in 0..places.len().div_ceil(64) as u32 {
            self.posted.insert(
                at(NodeKind::Starts, leaf.into()),
                starts_contents(places, leaf),
            );
        }
    }

    /// Says of a good payload that it is malformed, and where.
    fn call_malformed(&mut self) -> Result<bool, Error> {
        let model = self.model().model.clone();
        self.change(|run| {
            run.n_prompt = 1;
            run.tokens = vec![model.tokenizer().bos()];
            run.finish = Finish::TooLong;
            retell(&model, run);
        })?;
        let runs = self.answer.commitment.runs.len() as u8;
        // Up to the first control segment, whatever it holds; or else the first segment.
        let contents = malformed_contents(&self.answer.input.payload, &|_| false)
            .unwrap_or_else(|_| [1u32, 1].iter().flat_map(|n| n.to_be_bytes()).collect());
        for run in 0..runs {
            let position = Position::tree(NodeKind::Malformed, self.lane, run, 0, 0);
            self.posted.insert(position, contents.clone());
        }
        Ok(true)
    }

    /// Changes bytes of a list, and states its new root.
    fn bend_leaf(&mut self, kind: NodeKind, at: usize, bytes: &[u8]) -> Result<bool, Error> {
        let run = self.run as usize;
        let mut done = false;
        self.restate(|answer| {
            let (Some(lists), Some(record)) = (
                answer.leaves.get_mut(run),
                answer.commitment.runs.get_mut(run),
            ) else {
                return;
            };
            let (leaves, root) = match kind {
                NodeKind::Tokens => (&mut lists.tokens, &mut record.tokens_root),
                NodeKind::Offsets => (&mut lists.offsets, &mut record.offsets_root),
                _ => (&mut lists.text, &mut record.text_root),
            };
            let to = leaves
                .get_mut(at / 256)
                .and_then(|leaf| leaf.get_mut(at % 256..at % 256 + bytes.len()));
            if let Some(to) = to {
                to.copy_from_slice(bytes);
                done = true;
            }
            *root = RunLeaves::tree(leaves).root();
        })?;
        Ok(done)
    }
}
