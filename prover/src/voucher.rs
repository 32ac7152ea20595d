//! Proofs of vouchers (`prover/SPEC.md` section 8): what `Vouchers.execute` takes, and the same checks in Rust.

use std::ops::Range;

use crate::claim::{self, ClaimTree};
use crate::record::{JobRecord, RunRecord};
use crate::result::{self, JobCommitment};
use crate::{Digest, Error, text};

/// Where a run stands in a claim. Paths run from the leaf upwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The final claim.
    pub claim_id: Digest,
    /// The input answered.
    pub input_id: u64,
    /// Which of its runs.
    pub run: u32,
    /// Root over the job's runs.
    pub runs_root: Digest,
    /// Root over the job's scores.
    pub score_root: Digest,
    /// In the claim tree, at the input's lane index.
    pub job_path: Vec<Digest>,
    /// In the runs tree.
    pub run_path: Vec<Digest>,
    /// In the text tree; empty for a text of one chunk.
    pub chunk_path: Vec<Digest>,
}

/// One call of `Vouchers.execute`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// The paths.
    pub proof: Proof,
    /// The run's record.
    pub run: RunRecord,
    /// Which chunk of the text.
    pub chunk: u32,
    /// The chunk's bytes in the text.
    pub bytes: Range<usize>,
}

/// What the chain knows of an input and its lane's final claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Root of the claim.
    pub claim_root: Digest,
    /// Inputs of the lane.
    pub count: u32,
    /// The input's place in it.
    pub index: u32,
    /// Runs, by the input's parameters.
    pub n_runs: u32,
}

/// The vouchers of run `run` of `job`, one a chunk of its text `text`.
///
/// # Errors
/// [`Error::IndexOutOfRange`] when the claim has no such job or the job no such run, [`Error::WrongRoot`] when `text` is not the
/// run's text, [`Error::TooLong`] when it has 2^32 chunks or more.
pub fn vouchers(
    claim_id: Digest,
    claim: &ClaimTree,
    lane_index: u32,
    job: &JobCommitment,
    run: u32,
    text: &[u8],
) -> Result<Vec<Voucher>, Error> {
    let job_path = claim.job_path(lane_index)?;
    let run_path = job.run_path(run)?;
    let record = job
        .runs
        .get(run as usize)
        .copied()
        .ok_or(Error::IndexOutOfRange {
            what: "runs",
            found: u64::from(run),
            expected: job.runs.len() as u64,
        })?;
    let chunks = text::chunk_tree(text);
    if chunks.root() != record.text_root || text.len() as u64 != record.text_length {
        return Err(Error::WrongRoot {
            what: "text",
            found: chunks.root(),
            expected: record.text_root,
        });
    }
    let count = u32::try_from(chunks.len()).map_err(|_| Error::TooLong {
        what: "text of a run",
        found: text.len(),
        maximum: u32::MAX as usize,
    })?;
    let voucher = |chunk| {
        let range = text::chunk_range(record.text_length, chunk)?;
        let proof = Proof {
            claim_id,
            input_id: job.record.input_id,
            run,
            runs_root: job.record.runs_root,
            score_root: job.record.score_root,
            job_path: job_path.clone(),
            run_path: run_path.clone(),
            chunk_path: chunks.path(u64::from(chunk))?,
        };
        // The range lies in `text`, so it fits.
        Ok(Voucher {
            proof,
            run: record,
            chunk,
            bytes: range.start as usize..range.end as usize,
        })
    };
    (0..count).map(voucher).collect()
}

/// The checks of `Vouchers.execute` that are not about the state of the chain. `text` is the chunk's bytes.
///
/// # Errors
/// [`Error::IndexOutOfRange`], [`Error::PathLength`], [`Error::Mismatch`] or [`Error::WrongRoot`], naming the tree.
pub fn verify(
    lane: &Lane,
    proof: &Proof,
    run: &RunRecord,
    chunk: u32,
    text: &[u8],
) -> Result<(), Error> {
    let job = JobRecord {
        input_id: proof.input_id,
        n_runs: lane.n_runs,
        runs_root: proof.runs_root,
        score_root: proof.score_root,
    };
    claim::verify_job(
        &job,
        lane.index,
        lane.count,
        &proof.job_path,
        lane.claim_root,
    )?;
    result::verify_run(
        run,
        proof.run,
        lane.n_runs,
        &proof.run_path,
        proof.runs_root,
    )?;
    text::verify_chunk(
        run.text_length,
        chunk,
        text,
        &proof.chunk_path,
        run.text_root,
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::constants::CHUNK_BYTES;
    use crate::result::tests::run;

    struct Example {
        lane: Lane,
        vouchers: Vec<Voucher>,
        text: Vec<u8>,
    }

    fn example(lane_count: u32, index: u32, n_runs: u8, run_index: u32, length: usize) -> Example {
        let runs: Vec<_> = (0..n_runs).map(|i| run(i, length)).collect();
        let job = JobCommitment::of(40, &runs).unwrap();
        let other = |i: u32| JobRecord {
            input_id: u64::from(i),
            ..job.record
        };
        let jobs: Vec<_> = (0..lane_count)
            .map(|i| if i == index { job.record } else { other(i) })
            .collect();
        let claim = ClaimTree::new(&jobs);
        let text = runs[run_index as usize].text.clone();
        let vouchers = vouchers(Digest([1; 32]), &claim, index, &job, run_index, &text).unwrap();
        let lane = Lane {
            claim_root: claim.root(),
            count: lane_count,
            index,
            n_runs: u32::from(n_runs),
        };
        Example {
            lane,
            vouchers,
            text,
        }
    }

    #[test]
    fn another_text_gives_no_vouchers() {
        let runs = [run(1, 100)];
        let job = JobCommitment::of(0, &runs).unwrap();
        let claim = ClaimTree::new(&[job.record]);
        // Equal leaves, other length.
        for text in [&runs[0].text[..99], &[&runs[0].text[..], &[0]].concat()[..]] {
            assert!(vouchers(Digest::ZERO, &claim, 0, &job, 0, text).is_err());
        }
        assert!(vouchers(Digest::ZERO, &claim, 1, &job, 0, &runs[0].text).is_err());
        assert!(vouchers(Digest::ZERO, &claim, 0, &job, 1, &runs[0].text).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn vouchers_verify_and_no_byte_can_change(
            lane_count in 1u32..20, index: u32, n_runs in 1u8..=16, run_index: u32,
            length in prop_oneof![0usize..2000, CHUNK_BYTES - 1..CHUNK_BYTES + 2, CHUNK_BYTES * 2..CHUNK_BYTES * 3],
            byte in 0usize..32, bit in 0u8..8,
        ) {
            let Example { lane, vouchers, text } =
                example(lane_count, index % lane_count, n_runs, run_index % u32::from(n_runs), length);
            prop_assert_eq!(vouchers.len() as u64, text::chunk_count(length as u64));
            let joined: Vec<u8> = vouchers.iter().flat_map(|v| text[v.bytes.clone()].to_vec()).collect();
            prop_assert!(joined == text);
            for Voucher { proof, run, chunk, bytes } in &vouchers {
                let bytes = &text[bytes.clone()];
                prop_assert_eq!(verify(&lane, proof, run, *chunk, bytes), Ok(()));
                let flip = |d: &mut Digest| d.0[byte] ^= 1 << bit;
                let mut bad_proofs = Vec::new();
                let mut changed = |change: &mut dyn FnMut(&mut Proof)| { let mut p = proof.clone(); change(&mut p); bad_proofs.push(p); };
                changed(&mut |p| flip(&mut p.runs_root));
                changed(&mut |p| flip(&mut p.score_root));
                changed(&mut |p| p.input_id ^= 1 << bit);
                for k in 0..proof.job_path.len() { changed(&mut |p| flip(&mut p.job_path[k])); }
                for k in 0..proof.run_path.len() { changed(&mut |p| flip(&mut p.run_path[k])); }
                for k in 0..proof.chunk_path.len() { changed(&mut |p| flip(&mut p.chunk_path[k])); }
                if n_runs > 1 { changed(&mut |p| p.run ^= 1); }
                changed(&mut |p| p.job_path.push(Digest::ZERO));
                changed(&mut |p| p.run_path.push(Digest::ZERO));
                changed(&mut |p| p.chunk_path.push(Digest::ZERO));
                for bad in bad_proofs {
                    prop_assert!(verify(&lane, &bad, run, *chunk, bytes).is_err());
                }
                for bad in [
                    RunRecord { n_prompt: run.n_prompt ^ 1, ..*run }, RunRecord { n_tokens: run.n_tokens ^ 1, ..*run },
                    RunRecord { finish: run.finish ^ 1, ..*run }, RunRecord { text_length: run.text_length ^ 1, ..*run },
                    RunRecord { score: 1, ..*run }, RunRecord { greedy: true, ..*run },
                ] {
                    prop_assert!(verify(&lane, proof, &bad, *chunk, bytes).is_err());
                }
                let more_runs = Lane { n_runs: lane.n_runs + 1, ..lane };
                prop_assert!(verify(&more_runs, proof, run, *chunk, bytes).is_err());
                prop_assert!(verify(&lane, proof, run, chunk + 1, bytes).is_err());
            }
        }
    }
}
