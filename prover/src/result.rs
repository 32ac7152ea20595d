//! From an input to its job, and from the engine's results to their commitments (`prover/SPEC.md` sections 5 and 6).

use std::ops::ControlFlow;

use sworn_inference::engine::{Engine, Finish, Job, RunResult, TokenEvent};
use sworn_inference::tokenizer::{Segment, Tokenizer};

use crate::merkle::{self, Tree};
use crate::params::Params;
use crate::record::{JobRecord, RunRecord};
use crate::{Digest, Error, payload, text};

/// What the machine does with a `generate` input.
#[derive(Debug, Clone, PartialEq)]
pub enum Expansion {
    /// The engine runs it.
    Job(Job),
    /// The payload is malformed: every run is answered as a `too_long` prompt of BOS alone.
    Malformed {
        /// Why, for people; the result does not depend on it.
        reason: Error,
        /// The results.
        runs: Vec<RunResult>,
    },
}

/// The job of an input. Total: whatever the inbox accepts has a result.
#[must_use]
pub fn expand(tokenizer: &Tokenizer, params: &Params, payload: &[u8], seed: Digest) -> Expansion {
    match segments(tokenizer, payload) {
        Ok(segments) => Expansion::Job(Job {
            prompt: tokenizer.encode(&segments),
            n_runs: u32::from(params.n_runs),
            max_new_tokens: params.max_new_tokens,
            max_total_tokens: params.max_total_tokens,
            sampling: params.sampling(),
            seed: seed.0,
        }),
        Err(reason) => {
            let run = RunResult {
                n_prompt: 1,
                tokens: vec![tokenizer.bos()],
                finish: Finish::TooLong,
                text: Vec::new(),
                offsets: Vec::new(),
            };
            Expansion::Malformed {
                reason,
                runs: vec![run; usize::from(params.n_runs)],
            }
        }
    }
}

/// The segments of a payload whose control ids may all stand in a prompt.
fn segments<'a>(tokenizer: &Tokenizer, payload: &'a [u8]) -> Result<Vec<Segment<'a>>, Error> {
    let segments = payload::decode(payload)?;
    let mut offset = 1;
    for segment in &segments {
        match segment {
            Segment::Control(id) if !tokenizer.is_control(*id) => {
                return Err(Error::MalformedPayload {
                    offset,
                    found: format!("token {id}"),
                    expected: "a control or user-defined token of the vocabulary",
                });
            }
            Segment::Control(_) => offset += 5,
            Segment::Text(text) => offset += 5 + text.len(),
        }
    }
    Ok(segments)
}

/// Answers an input: expands it, runs the engine if the payload is well-formed, and gives one result a run.
///
/// # Errors
/// The engine's; a malformed payload is no error.
pub fn run_job(
    engine: &Engine,
    tokenizer: &Tokenizer,
    params: &Params,
    payload: &[u8],
    seed: Digest,
    on_token: &mut dyn FnMut(TokenEvent<'_>) -> ControlFlow<()>,
) -> Result<Vec<RunResult>, sworn_inference::Error> {
    match expand(tokenizer, params, payload, seed) {
        Expansion::Job(job) => engine.generate(&job, on_token),
        Expansion::Malformed { runs, .. } => Ok(runs),
    }
}

/// The record of a generated run.
///
/// # Errors
/// [`Error::TooLong`] for a run of 2^32 tokens or more, [`Error::Mismatch`] when the prompt is longer than all tokens or the offsets
/// are not one a new token.
pub fn run_record(run: &RunResult) -> Result<RunRecord, Error> {
    let n_tokens = u32::try_from(run.tokens.len()).map_err(|_| Error::TooLong {
        what: "tokens of a run",
        found: run.tokens.len(),
        maximum: u32::MAX as usize,
    })?;
    let (found, expected) = (
        run.offsets.len() as u64 + u64::from(run.n_prompt),
        u64::from(n_tokens),
    );
    if found != expected {
        return Err(Error::Mismatch {
            what: "prompt tokens and offsets of a run",
            found,
            expected,
        });
    }
    Ok(RunRecord {
        n_prompt: run.n_prompt,
        n_tokens,
        finish: run.finish as u8,
        tokens_root: text::numbers_root(&run.tokens),
        offsets_root: text::numbers_root(&run.offsets),
        text_root: text::root(&run.text),
        text_length: run.text.len() as u64,
        score: 0,
        greedy: false,
    })
}

/// What a claim says about an input: its runs and the record over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobCommitment {
    /// The job's record.
    pub record: JobRecord,
    /// The runs' records.
    pub runs: Vec<RunRecord>,
}

impl JobCommitment {
    /// Commits the results of a `generate` input.
    ///
    /// # Errors
    /// As [`run_record`].
    pub fn of(input_id: u64, runs: &[RunResult]) -> Result<JobCommitment, Error> {
        JobCommitment::of_records(
            input_id,
            runs.iter().map(run_record).collect::<Result<_, _>>()?,
        )
    }

    /// Commits records that were made before.
    ///
    /// # Errors
    /// [`Error::TooLong`] for 2^32 runs or more.
    pub fn of_records(input_id: u64, runs: Vec<RunRecord>) -> Result<JobCommitment, Error> {
        let n_runs = u32::try_from(runs.len()).map_err(|_| Error::TooLong {
            what: "runs of a job",
            found: runs.len(),
            maximum: u32::MAX as usize,
        })?;
        let record = JobRecord {
            input_id,
            n_runs,
            runs_root: runs_tree(&runs).root(),
            score_root: Digest::ZERO,
        };
        Ok(JobCommitment { record, runs })
    }

    /// The path of run `run` under the runs root.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`].
    pub fn run_path(&self, run: u32) -> Result<Vec<Digest>, Error> {
        let (found, expected) = (u64::from(run), self.runs.len() as u64);
        if found >= expected {
            return Err(Error::IndexOutOfRange {
                what: "runs",
                found,
                expected,
            });
        }
        runs_tree(&self.runs).path(found)
    }
}

fn runs_tree(runs: &[RunRecord]) -> Tree {
    Tree::new(runs.iter().map(RunRecord::digest).collect())
}

/// Checks that `record` is run `run` of the `n_runs` under `runs_root`.
///
/// # Errors
/// [`Error::IndexOutOfRange`], [`Error::PathLength`] or [`Error::WrongRoot`].
pub fn verify_run(
    record: &RunRecord,
    run: u32,
    n_runs: u32,
    path: &[Digest],
    runs_root: Digest,
) -> Result<(), Error> {
    let (found, expected) = (u64::from(run), u64::from(n_runs));
    if found >= expected {
        return Err(Error::IndexOutOfRange {
            what: "runs",
            found,
            expected,
        });
    }
    merkle::verify(
        "runs",
        record.digest(),
        found,
        merkle::depth(expected),
        path,
        runs_root,
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::commitment::tests::tokenizer;

    /// A run with a text of `length` bytes.
    pub(crate) fn run(seed: u8, length: usize) -> RunResult {
        RunResult {
            n_prompt: 2,
            tokens: vec![1, 2, u32::from(seed), 4],
            finish: Finish::Length,
            text: (0..length).map(|i| (i / 3) as u8 ^ seed).collect(),
            offsets: vec![0, length as u32 / 2],
        }
    }

    #[test]
    fn inputs_expand_to_jobs() {
        let tokenizer = tokenizer(&[" ", "a"]);
        let params = Params {
            n_runs: 3,
            max_new_tokens: 5,
            max_total_tokens: 9,
            temperature_milli: 800,
            ..Params::default()
        };
        let payload = payload::encode(&[Segment::Control(2), Segment::Text(b"aa")]).unwrap();
        let Expansion::Job(job) = expand(&tokenizer, &params, &payload, Digest([7; 32])) else {
            panic!("malformed")
        };
        assert_eq!(job.prompt, [1, 2, 259, 260, 260]);
        assert_eq!(
            (
                job.n_runs,
                job.max_new_tokens,
                job.max_total_tokens,
                job.seed
            ),
            (3, 5, 9, [7; 32])
        );
        assert_eq!(
            (job.sampling.temperature_milli, job.sampling.top_p_ppm),
            (800, 1_000_000)
        );
        let Expansion::Job(job) = expand(&tokenizer, &params, &[1], Digest::ZERO) else {
            panic!("malformed")
        };
        assert_eq!(job.prompt, [1], "no segments: BOS alone");
    }

    #[test]
    fn malformed_payloads_are_answered() {
        let tokenizer = tokenizer(&[" ", "a"]);
        let params = Params {
            n_runs: 2,
            temperature_milli: 800,
            ..Params::default()
        };
        let control = |id| payload::encode(&[Segment::Text(b"xy"), Segment::Control(id)]).unwrap();
        // A byte token, a normal one, one outside the vocabulary; no version; a cut segment.
        for payload in [
            control(3),
            control(260),
            control(261),
            vec![2],
            vec![],
            control(2)[..11].to_vec(),
        ] {
            let Expansion::Malformed { reason, runs } =
                expand(&tokenizer, &params, &payload, Digest::ZERO)
            else {
                panic!("{payload:?} was read")
            };
            assert!(matches!(reason, Error::MalformedPayload { .. }));
            assert_eq!(runs.len(), 2);
            let record = run_record(&runs[1]).unwrap();
            assert_eq!((record.n_prompt, record.n_tokens, record.finish), (1, 1, 2));
            assert_eq!(record.tokens_root, text::numbers_root(&[1]));
            assert_eq!(
                (record.text_root, record.offsets_root, record.text_length),
                (Digest::ZERO, Digest::ZERO, 0)
            );
        }
    }

    #[test]
    fn a_record_holds_the_run() {
        let run = run(9, 300);
        let record = run_record(&run).unwrap();
        assert_eq!(
            (
                record.n_prompt,
                record.n_tokens,
                record.finish,
                record.text_length
            ),
            (2, 4, 0, 300)
        );
        assert_eq!((record.score, record.greedy), (0, false));
        assert_eq!(record.tokens_root, text::numbers_root(&run.tokens));
        assert_eq!(record.offsets_root, text::numbers_root(&run.offsets));
        assert_eq!(record.text_root, text::root(&run.text));
    }

    #[test]
    fn a_result_that_contradicts_itself_is_refused() {
        let mut run = run(9, 300);
        run.offsets.pop();
        assert!(matches!(run_record(&run), Err(Error::Mismatch { .. })));
        run.n_prompt = 5;
        assert!(matches!(run_record(&run), Err(Error::Mismatch { .. })));
    }

    #[test]
    fn every_run_is_provable_only_in_its_place() {
        for count in 1..=16u32 {
            let runs: Vec<_> = (0..count).map(|i| run(i as u8, 40)).collect();
            let job = JobCommitment::of(7, &runs).unwrap();
            assert_eq!(
                (job.record.n_runs, job.record.score_root),
                (count, Digest::ZERO)
            );
            for (i, record) in (0..).zip(&job.runs) {
                let path = job.run_path(i).unwrap();
                assert_eq!(
                    verify_run(record, i, count, &path, job.record.runs_root),
                    Ok(())
                );
                for other in (0..count + 1).filter(|other| *other != i) {
                    assert!(verify_run(record, other, count, &path, job.record.runs_root).is_err());
                }
                let changed = RunRecord {
                    finish: 1,
                    ..*record
                };
                assert!(verify_run(&changed, i, count, &path, job.record.runs_root).is_err());
            }
            assert!(job.run_path(count).is_err());
        }
    }
}
