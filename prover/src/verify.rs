//! Checking results that somebody else made (`prover/SPEC.md` sections 4, 5 and 6): one teacher-forced pass over the claimed tokens, and everything
//! else recomputed from them. Cheaper than making the results, because the rows of a run don't wait for each other.

use std::fmt;

use sworn_inference::engine::{Engine, Finish, Job, OnRows, RunResult};

use crate::claim::ClaimTree;
use crate::params::Params;
use crate::record::JobRecord;
use crate::result::{Expansion, JobCommitment, expand};
use crate::{Digest, Error};

/// What an answer is made for.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The parameters.
    pub params: &'a Params,
    /// The payload's bytes.
    pub payload: &'a [u8],
    /// The seed that the chain fixed.
    pub seed: Digest,
}

/// The first thing of a result that is not what the machine gives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// Another number of runs.
    Runs {
        /// Runs claimed.
        found: usize,
        /// Runs asked for.
        expected: usize,
    },
    /// The prompt has other tokens or another number of them.
    Prompt {
        /// The run.
        run: u32,
        /// The first place that differs.
        position: u32,
        /// The token claimed there.
        found: Option<u32>,
        /// The prompt's token there.
        expected: Option<u32>,
    },
    /// A token that is not in the vocabulary.
    Vocabulary {
        /// The run.
        run: u32,
        /// Where it stands.
        position: u32,
        /// The token.
        found: u32,
        /// Tokens of the vocabulary.
        size: u32,
    },
    /// More or fewer new tokens than the limit and the stop rule give.
    Length {
        /// The run.
        run: u32,
        /// New tokens claimed.
        found: u32,
        /// New tokens that there may be.
        expected: u32,
    },
    /// Another reason for the end.
    Finish {
        /// The run.
        run: u32,
        /// The reason claimed.
        found: Finish,
        /// The right one.
        expected: Finish,
    },
    /// A token that the selection rule does not give.
    Token {
        /// The run.
        run: u32,
        /// Its index in the run.
        position: u32,
        /// The token claimed.
        found: u32,
        /// The token selected.
        expected: u32,
    },
    /// A piece starts elsewhere.
    Offset {
        /// The run.
        run: u32,
        /// The new token.
        index: u32,
        /// The offset claimed.
        found: Option<u32>,
        /// The right one.
        expected: Option<u32>,
    },
    /// The text is not that of the tokens.
    Text {
        /// The run.
        run: u32,
        /// The first byte that differs.
        byte: u64,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |token: &Option<u32>| token.map_or("nothing".to_owned(), |t| t.to_string());
        match self {
            Difference::Runs { found, expected } => {
                write!(f, "found {found} runs, expected {expected}")
            }
            Difference::Prompt {
                run,
                position,
                found,
                expected,
            } => write!(
                f,
                "run {run}: found token {} at place {position} of the prompt, expected {}",
                shown(found),
                shown(expected)
            ),
            Difference::Vocabulary {
                run,
                position,
                found,
                size,
            } => write!(
                f,
                "run {run}: found token {found} at place {position}, expected one below the vocabulary size {size}"
            ),
            Difference::Length {
                run,
                found,
                expected,
            } => {
                write!(
                    f,
                    "run {run}: found {found} new tokens, expected {expected}"
                )
            }
            Difference::Finish {
                run,
                found,
                expected,
            } => write!(
                f,
                "run {run}: found the end {found:?}, expected {expected:?}"
            ),
            Difference::Token {
                run,
                position,
                found,
                expected,
            } => write!(
                f,
                "run {run}: found token {found} at place {position}, expected {expected} by the selection rule"
            ),
            Difference::Offset {
                run,
                index,
                found,
                expected,
            } => write!(
                f,
                "run {run}: found offset {} of new token {index}, expected {}",
                shown(found),
                shown(expected)
            ),
            Difference::Text { run, byte } => write!(
                f,
                "run {run}: the text differs from that of the tokens at byte {byte}"
            ),
        }
    }
}

/// Checks the claimed results of an input. None when every bit of them is right; else the first difference, of the earliest run that has one.
///
/// # Errors
/// The engine's: the check did not come to an end.
pub fn check(
    engine: &Engine,
    question: &Question<'_>,
    claimed: &[RunResult],
    on_rows: OnRows<'_>,
) -> Result<Option<Difference>, sworn_inference::Error> {
    let tokenizer = engine.model().tokenizer();
    let expected = usize::from(question.params.n_runs);
    if claimed.len() != expected {
        return Ok(Some(Difference::Runs {
            found: claimed.len(),
            expected,
        }));
    }
    let job = match expand(tokenizer, question.params, question.payload, question.seed) {
        Expansion::Job(job) => job,
        Expansion::Malformed { runs, .. } => {
            return Ok((0..)
                .zip(claimed.iter().zip(&runs))
                .find_map(|(run, (found, expected))| same_fixed(run, found, expected)));
        }
    };
    // What needs no arithmetic first; a run that fails it has no tokens to run.
    for (run, found) in (0..).zip(claimed) {
        if let Some(difference) = shape(engine, &job, run, found) {
            return Ok(Some(difference));
        }
    }
    let tokens: Vec<&[u32]> = claimed
        .iter()
        .map(|run| run.tokens.get(job.prompt.len()..).unwrap_or_default())
        .collect();
    let wrong = engine.check_tokens(&job, &tokens, on_rows)?;
    for (run, (found, wrong)) in (0..).zip(claimed.iter().zip(wrong)) {
        let token = wrong.map(|wrong| Difference::Token {
            run,
            position: wrong.position,
            found: wrong.found,
            expected: wrong.expected,
        });
        if let Some(difference) = token.or_else(|| spelling(engine, run, found)) {
            return Ok(Some(difference));
        }
    }
    Ok(None)
}

/// Differences between a run and one that is wholly known.
fn same_fixed(run: u32, found: &RunResult, expected: &RunResult) -> Option<Difference> {
    same_prompt(run, found, &expected.tokens)
        .or_else(|| {
            let new = new_tokens(found);
            (new != 0).then_some(Difference::Length {
                run,
                found: new,
                expected: 0,
            })
        })
        .or_else(|| {
            (found.finish != expected.finish).then_some(Difference::Finish {
                run,
                found: found.finish,
                expected: expected.finish,
            })
        })
        .or_else(|| nothing_written(run, found))
}

fn nothing_written(run: u32, found: &RunResult) -> Option<Difference> {
    if let Some(offset) = found.offsets.first() {
        return Some(Difference::Offset {
            run,
            index: 0,
            found: Some(*offset),
            expected: None,
        });
    }
    (!found.text.is_empty()).then_some(Difference::Text { run, byte: 0 })
}

fn new_tokens(run: &RunResult) -> u32 {
    u32::try_from(run.tokens.len())
        .unwrap_or(u32::MAX)
        .saturating_sub(run.n_prompt)
}

fn same_prompt(run: u32, found: &RunResult, prompt: &[u32]) -> Option<Difference> {
    let n_prompt = (found.n_prompt as usize).min(found.tokens.len());
    let claimed = &found.tokens[..n_prompt];
    if claimed == prompt && found.n_prompt as usize == prompt.len() {
        return None;
    }
    let position = claimed
        .iter()
        .zip(prompt)
        .position(|(a, b)| a != b)
        .unwrap_or(claimed.len().min(prompt.len()));
    Some(Difference::Prompt {
        run,
        position: position as u32,
        found: claimed.get(position).copied(),
        expected: prompt.get(position).copied(),
    })
}

/// What follows from the job and the tokens without running them: prompt, vocabulary, limits, stop rule.
fn shape(engine: &Engine, job: &Job, run: u32, found: &RunResult) -> Option<Difference> {
    let program = engine.model().program();
    if let Some(difference) = same_prompt(run, found, &job.prompt) {
        return Some(difference);
    }
    let new = found.tokens.get(job.prompt.len()..).unwrap_or_default();
    let finish = |expected: Finish| {
        (found.finish != expected).then_some(Difference::Finish {
            run,
            found: found.finish,
            expected,
        })
    };
    let length = |expected: u32| {
        (new.len() != expected as usize).then_some(Difference::Length {
            run,
            found: new_tokens(found),
            expected,
        })
    };
    if job.prompt.len() > program.context() as usize {
        return length(0)
            .or_else(|| finish(Finish::TooLong))
            .or_else(|| nothing_written(run, found));
    }
    let limit = job.limit(program.context());
    if new.len() > limit as usize {
        return length(limit);
    }
    let size = program.vocab_size();
    for (position, token) in (found.n_prompt..).zip(new) {
        if *token >= size {
            return Some(Difference::Vocabulary {
                run,
                position,
                found: *token,
                size,
            });
        }
    }
    let is_stop = |token: &u32| program.stop_tokens().binary_search(token).is_ok();
    match new.iter().position(is_stop) {
        Some(at) if at + 1 < new.len() => length(at as u32 + 1),
        Some(_) => finish(Finish::Stop),
        None => length(limit).or_else(|| finish(Finish::Length)),
    }
}

/// Offsets and text, from the tokens.
fn spelling(engine: &Engine, run: u32, found: &RunResult) -> Option<Difference> {
    let (tokenizer, program) = (engine.model().tokenizer(), engine.model().program());
    let n_prompt = found.n_prompt as usize;
    let (mut text, mut index) = (Vec::new(), 0u32);
    for place in n_prompt..found.tokens.len() {
        let claimed = found.offsets.get(index as usize).copied();
        let expected = u32::try_from(text.len()).ok();
        if claimed != expected {
            return Some(Difference::Offset {
                run,
                index,
                found: claimed,
                expected,
            });
        }
        let token = found.tokens[place];
        if program.stop_tokens().binary_search(&token).is_err() {
            let before = place.checked_sub(1).and_then(|i| found.tokens.get(i));
            text.extend_from_slice(&tokenizer.piece(before.copied(), token));
        }
        index += 1;
    }
    if let Some(more) = found.offsets.get(index as usize) {
        return Some(Difference::Offset {
            run,
            index,
            found: Some(*more),
            expected: None,
        });
    }
    (text != found.text).then(|| Difference::Text {
        run,
        byte: text
            .iter()
            .zip(&found.text)
            .position(|(a, b)| a != b)
            .unwrap_or(text.len().min(found.text.len())) as u64,
    })
}

/// The root of the claim that states these results, (input id, runs), in the order of the lane.
///
/// # Errors
/// As [`JobCommitment::of`].
pub fn claim_root(lane: &[(u64, &[RunResult])]) -> Result<Digest, Error> {
    let jobs: Vec<JobRecord> = lane
        .iter()
        .map(|(id, runs)| JobCommitment::of(*id, runs).map(|job| job.record))
        .collect::<Result<_, _>>()?;
    Ok(ClaimTree::new(&jobs).root())
}
