//! Results, lanes and vouchers in the terms of the prover.

use alloy::primitives::{Address, B256, Bytes, U256};
use sworn_inference::engine::{Finish, RunResult};
use sworn_prover::Digest;
use sworn_prover::claim::ClaimTree;
use sworn_prover::params::Params;
use sworn_prover::record::{self, InputRecord, JobRecord};
use sworn_prover::result::JobCommitment;
use sworn_prover::{text, verify, voucher};

use super::MachineError;
use crate::chain::abi::vouchers;
use crate::store::{StoredInput, StoredResult, StoredRun};

fn digest(word: B256) -> Digest {
    Digest(word.0)
}

fn word(digest: Digest) -> B256 {
    B256::from(digest.0)
}

fn words(path: Vec<Digest>) -> Vec<B256> {
    path.into_iter().map(word).collect()
}

/// How many vouchers deliver a text of `length` bytes.
pub fn chunk_count(length: u64) -> u32 {
    u32::try_from(text::chunk_count(length)).unwrap_or(u32::MAX)
}

/// Root of a payload's bytes.
pub fn payload_root(payload: &[u8]) -> B256 {
    word(text::root(payload))
}

/// Runs that a params word asks for; 0 when it is no params word.
pub fn run_count(params: B256) -> u32 {
    Params::unpack(digest(params)).map_or(0, |p| u32::from(p.n_runs))
}

/// The inbox's running hash after an input was sealed with `seed`.
pub fn accumulate(
    before: B256,
    chain_id: u64,
    inbox: Address,
    input: &StoredInput,
    seed: B256,
) -> Result<B256, MachineError> {
    let record = InputRecord {
        chain_id,
        inbox: sworn_prover::Address(inbox.into_array()),
        input_id: input.id,
        sender: sworn_prover::Address(input.sender.into_array()),
        recipient: sworn_prover::Address(input.recipient.into_array()),
        model_id: digest(input.model),
        params: Params::unpack(digest(input.params))?,
        payload_root: digest(input.payload_root),
        payload_length: input.payload.len() as u64,
    };
    Ok(word(record::accumulate(
        digest(before),
        record.digest(),
        digest(seed),
    )))
}

fn run_result(run: &StoredRun) -> Result<RunResult, MachineError> {
    let finish = [
        Finish::Length,
        Finish::Stop,
        Finish::TooLong,
        Finish::Scored,
    ]
    .into_iter()
    .find(|f| *f as u8 == run.finish);
    Ok(RunResult {
        n_prompt: run.n_prompt,
        tokens: run.tokens.clone(),
        finish: finish.ok_or_else(|| MachineError::Unexpected {
            what: "finish code",
            found: run.finish.to_string(),
            expected: "0 to 3".into(),
        })?,
        text: run.text.to_vec(),
        offsets: run.offsets.clone(),
    })
}

/// The runs as the prover takes them.
pub fn run_results(runs: &[StoredRun]) -> Result<Vec<RunResult>, MachineError> {
    runs.iter().map(run_result).collect()
}

/// Root of the claim that states these results, (input, runs), in the order of the lane.
pub fn claim_root(lane: &[(u64, &[StoredRun])]) -> Result<B256, MachineError> {
    let results = lane
        .iter()
        .map(|(id, runs)| Ok((*id, run_results(runs)?)))
        .collect::<Result<Vec<_>, MachineError>>()?;
    let lane: Vec<_> = results.iter().map(|(id, runs)| (*id, &runs[..])).collect();
    Ok(word(verify::claim_root(&lane)?))
}

fn job_commitment(input_id: u64, runs: &[StoredRun]) -> Result<JobCommitment, MachineError> {
    let runs = runs.iter().map(run_result).collect::<Result<Vec<_>, _>>()?;
    Ok(JobCommitment::of(input_id, &runs)?)
}

/// The result to store.
pub fn commit(
    input_id: u64,
    seed: B256,
    runs: Vec<StoredRun>,
    millis: u64,
) -> Result<StoredResult, MachineError> {
    let job = job_commitment(input_id, &runs)?;
    Ok(StoredResult {
        seed,
        job: word(job.record.digest()),
        runs_root: word(job.record.runs_root),
        score_root: word(job.record.score_root),
        runs,
        millis,
    })
}

/// The claim tree of a lane whose results are all known.
#[derive(Debug, Clone)]
pub struct LaneTree {
    tree: ClaimTree,
}

/// One call of `Vouchers.execute`.
#[derive(Debug, Clone)]
pub struct VoucherCall {
    /// Run.
    pub run: u32,
    /// Chunk.
    pub chunk: u32,
    /// The call.
    pub call: vouchers::executeCall,
}

impl LaneTree {
    /// The tree over (input, result) in the order of the lane.
    pub fn new(lane: &[(u64, &StoredResult)]) -> Result<LaneTree, MachineError> {
        let jobs = lane
            .iter()
            .map(|(id, result)| {
                let n_runs =
                    u32::try_from(result.runs.len()).map_err(|_| MachineError::Unexpected {
                        what: "runs of a job",
                        found: result.runs.len().to_string(),
                        expected: "below 2^32".into(),
                    })?;
                Ok(JobRecord {
                    input_id: *id,
                    n_runs,
                    runs_root: digest(result.runs_root),
                    score_root: digest(result.score_root),
                })
            })
            .collect::<Result<Vec<_>, MachineError>>()?;
        Ok(LaneTree {
            tree: ClaimTree::new(&jobs),
        })
    }

    /// What a claim states.
    pub fn root(&self) -> B256 {
        word(self.tree.root())
    }

    /// What a claim is made with: the nodes some levels below the root.
    pub fn digests(&self) -> Vec<B256> {
        self.tree.digests().iter().copied().map(word).collect()
    }

    /// The tree itself.
    pub fn claim_tree(&self) -> &ClaimTree {
        &self.tree
    }

    /// The vouchers of one input.
    pub fn vouchers(
        &self,
        claim: B256,
        lane_index: u32,
        input: u64,
        result: &StoredResult,
    ) -> Result<Vec<VoucherCall>, MachineError> {
        let job = job_commitment(input, &result.runs)?;
        let mut calls = Vec::new();
        for (run, stored) in (0u32..).zip(&result.runs) {
            for voucher in voucher::vouchers(
                digest(claim),
                &self.tree,
                lane_index,
                &job,
                run,
                &stored.text,
            )? {
                let text = Bytes::copy_from_slice(
                    stored.text.get(voucher.bytes.clone()).unwrap_or_default(),
                );
                calls.push(VoucherCall {
                    run,
                    chunk: voucher.chunk,
                    call: execute_call(voucher, text),
                });
            }
        }
        Ok(calls)
    }
}

fn execute_call(voucher: voucher::Voucher, text: Bytes) -> vouchers::executeCall {
    let voucher::Voucher {
        proof, run, chunk, ..
    } = voucher;
    vouchers::executeCall {
        proof: vouchers::Proof {
            claimId: word(proof.claim_id),
            inputId: U256::from(proof.input_id),
            run: proof.run,
            runsRoot: word(proof.runs_root),
            scoreRoot: word(proof.score_root),
            jobPath: words(proof.job_path),
            runPath: words(proof.run_path),
            chunkPath: words(proof.chunk_path),
        },
        run: vouchers::Run {
            nPrompt: run.n_prompt,
            nTokens: run.n_tokens,
            finish: run.finish,
            tokensRoot: word(run.tokens_root),
            offsetsRoot: word(run.offsets_root),
            textRoot: word(run.text_root),
            textLength: run.text_length,
            score: run.score,
            greedy: run.greedy,
        },
        chunk,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &[u8]) -> StoredRun {
        StoredRun {
            n_prompt: 1,
            tokens: vec![1, 2],
            finish: 0,
            text: text.to_vec().into(),
            offsets: vec![0],
        }
    }

    #[test]
    fn vouchers_cover_every_chunk_of_every_run() {
        let long = vec![b'x'; 131_072 + 5];
        let one = commit(4, B256::ZERO, vec![run(b"hi"), run(&long)], 0).unwrap();
        let two = commit(9, B256::ZERO, vec![run(b"")], 0).unwrap();
        let tree = LaneTree::new(&[(4, &one), (9, &two)]).unwrap();
        let calls = tree.vouchers(B256::repeat_byte(7), 0, 4, &one).unwrap();
        assert_eq!(
            calls
                .iter()
                .map(|c| (c.run, c.chunk, c.call.text.len()))
                .collect::<Vec<_>>(),
            [(0, 0, 2), (1, 0, 131_072), (1, 1, 5)]
        );
        assert_eq!(chunk_count(long.len() as u64), 2);
        assert_eq!(tree.vouchers(B256::ZERO, 1, 9, &two).unwrap().len(), 1);
        // A result that is not the lane's gives no proof for a place past its end.
        assert!(tree.vouchers(B256::ZERO, 2, 9, &two).is_err());
    }

    #[test]
    fn the_order_of_a_lane_matters() {
        let (a, b) = (
            commit(1, B256::ZERO, vec![run(b"a")], 0).unwrap(),
            commit(2, B256::ZERO, vec![run(b"b")], 0).unwrap(),
        );
        let forward = LaneTree::new(&[(1, &a), (2, &b)]).unwrap().root();
        assert_ne!(forward, LaneTree::new(&[(2, &b), (1, &a)]).unwrap().root());
        assert_ne!(forward, LaneTree::new(&[(1, &a)]).unwrap().root());
    }
}
