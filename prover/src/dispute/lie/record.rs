//! Lies about fields of records.

use super::{Field, Liar};
use crate::constants::{FINISH_LENGTH, FINISH_STOP, FINISH_TOO_LONG, TEXT_LEAF_BYTES};
use crate::dispute::results::LaneResults;
use crate::record::RunRecord;
use crate::{Digest, Error};

impl Liar {
    /// Changes a field.
    pub(super) fn bend_field(&mut self, field: Field) -> Result<bool, Error> {
        let jobs = self.jobs();
        let at = self.run as usize;
        let Some(record) = self.answer.commitment.runs.get(at).copied() else {
            return Ok(false);
        };
        let bent = match field {
            Field::InputId => {
                self.restate(|answer| answer.commitment.record.input_id += u64::from(jobs))?;
                return Ok(true);
            }
            Field::ScoreRoot => {
                self.restate(|answer| {
                    answer.commitment.record.score_root = Digest::of(b"score");
                })?;
                return Ok(true);
            }
            Field::RunMore | Field::RunLess => {
                if field == Field::RunLess && self.answer.runs.len() == 1 {
                    return Ok(false);
                }
                self.restate(|answer| {
                    if field == Field::RunMore {
                        answer.runs.extend_from_within(at..=at);
                        answer.leaves.extend_from_within(at..=at);
                        answer.commitment.runs.push(record);
                    } else {
                        answer.runs.pop();
                        answer.leaves.pop();
                        answer.commitment.runs.pop();
                    }
                })?;
                return Ok(true);
            }
            field => match bend(&record, field) {
                Some(bent) => bent,
                None => return Ok(false),
            },
        };
        if matches!(field, Field::PromptMore | Field::PromptLess) {
            if record.finish == FINISH_TOO_LONG {
                return Ok(false);
            }
            let mut places = self.honest_places()?;
            let last = places.last().copied().unwrap_or_default();
            places.resize(bent.n_prompt as usize, last);
            self.post_places(&places);
        }
        self.restate(|answer| {
            answer.commitment.runs[at] = bent;
            // The text's leaves are as many as its length says.
            let leaves = bent.text_length.div_ceil(TEXT_LEAF_BYTES as u64);
            if leaves < 1 << 20 {
                answer.leaves[at]
                    .text
                    .resize(leaves as usize, vec![0; TEXT_LEAF_BYTES]);
            }
        })?;
        Ok(bent != record)
    }
}

fn bend(record: &RunRecord, field: Field) -> Option<RunRecord> {
    let mut bent = *record;
    match field {
        Field::PromptMore => bent.n_prompt += 1,
        Field::PromptLess => bent.n_prompt = record.n_prompt.checked_sub(1)?,
        Field::NoPrompt => bent.n_prompt = 0,
        Field::TokensMore => bent.n_tokens += 1,
        Field::TokensLess => bent.n_tokens = record.n_tokens.checked_sub(1)?,
        Field::Finish if record.finish == FINISH_STOP => bent.finish = FINISH_LENGTH,
        Field::Finish => bent.finish = FINISH_STOP,
        Field::TooLong => bent.finish = FINISH_TOO_LONG,
        Field::UnknownFinish => bent.finish = 7,
        Field::Score => bent.score = -1,
        Field::Greedy => bent.greedy = true,
        Field::TextLonger => bent.text_length += 1,
        Field::TextShorter => bent.text_length = record.text_length.checked_sub(1)?,
        Field::NoText if record.text_length == 0 => return None,
        Field::NoText => {
            bent.text_length = 0;
            bent.text_root = Digest::ZERO;
        }
        Field::TextHuge => bent.text_length = u64::MAX,
        Field::InputId | Field::ScoreRoot | Field::RunMore | Field::RunLess => return None,
    }
    Some(bent)
}
