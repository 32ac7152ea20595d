//! Lies about tokens, prompts, offsets and text.

use sworn_inference::engine::Finish;

use super::liar::retell;
use super::{Hiding, Liar, Lie};
use crate::Error;
use crate::constants::NO_MERGE;
use crate::dispute::position::NodeKind;
use crate::dispute::results::{LaneResults, RunLeaves};

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
            Lie::Malformed if run.finish != Finish::TooLong => self.change(|run| {
                run.n_prompt = 1;
                run.tokens = vec![model.tokenizer().bos()];
                run.finish = Finish::TooLong;
                retell(&model, run);
            })?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn bend_prompt(&mut self, lie: Lie) -> Result<bool, Error> {
        let model = self.model().model.clone();
        let run = self.result()?.clone();
        let n_prompt = u64::from(run.n_prompt);
        let at = 1 + self.below(n_prompt - 1) as usize;
        match lie {
            Lie::PromptToken(_) => {
                let other = self.other_token(run.tokens[at]);
                self.change(|run| {
                    run.tokens[at] = other;
                    retell(&model, run);
                })?;
            }
            Lie::PromptInserted => {
                let other = self.other_token(run.tokens[at]);
                self.change(|run| {
                    run.tokens.insert(at, other);
                    run.n_prompt += 1;
                    retell(&model, run);
                })?;
            }
            Lie::PromptDropped => self.change(|run| {
                run.tokens.remove(at);
                run.n_prompt -= 1;
                retell(&model, run);
            })?,
            _ => {
                let split = (0..run.n_prompt as usize).find_map(|at| {
                    let token = model.tokenizer().token(run.tokens[at]);
                    (token.left != NO_MERGE).then_some((at, token.left, token.right))
                });
                let Some((at, left, right)) = split else {
                    return Ok(false);
                };
                self.change(|run| {
                    run.tokens.splice(at..=at, [left, right]);
                    run.n_prompt += 1;
                    retell(&model, run);
                })?;
            }
        }
        Ok(lie != Lie::PromptToken(Hiding::Totals) || self.bend_places()?)
    }

    /// Posts places of the prompt's tokens that are not theirs.
    fn bend_places(&mut self) -> Result<bool, Error> {
        Ok(false)
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
