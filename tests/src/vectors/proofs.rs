//! Runs, jobs, claims and complete voucher proofs.

use serde_json::{Value, json};
use sworn_inference::engine::{Finish, RunResult};
use sworn_prover::claim::ClaimTree;
use sworn_prover::record::{ClaimRecord, RunRecord};
use sworn_prover::result::{JobCommitment, run_record};
use sworn_prover::{Digest, Error, voucher};

use super::records::address;
use super::{hexes, pattern, pattern_numbers, sample};

/// A run whose tokens, offsets and text are the pattern's.
fn run(n_prompt: u32, n_new: u32, finish: Finish, text_length: usize) -> RunResult {
    RunResult {
        n_prompt,
        tokens: pattern_numbers((n_prompt + n_new) as usize),
        finish,
        text: pattern(text_length),
        offsets: pattern_numbers(n_new as usize),
    }
}

fn fields(run: &RunRecord) -> Value {
    json!({
        "n_prompt": run.n_prompt,
        "n_tokens": run.n_tokens,
        "finish": run.finish,
        "tokens_root": run.tokens_root.to_string(),
        "offsets_root": run.offsets_root.to_string(),
        "text_root": run.text_root.to_string(),
        "text_length": run.text_length,
        "score": run.score,
        "greedy": run.greedy,
        "digest": run.digest().to_string(),
    })
}

/// Jobs of one lane: of 1, 2, 3 and 16 runs, with texts from nothing to three chunks.
fn jobs() -> Result<Vec<JobCommitment>, Error> {
    let lists = [
        vec![run(5, 0, Finish::Length, 0)],
        vec![run(5, 12, Finish::Length, 40), run(5, 7, Finish::Stop, 256)],
        vec![run(1, 0, Finish::TooLong, 0); 3],
        vec![
            run(3, 70, Finish::Length, 131_073),
            run(3, 130, Finish::Stop, 131_072),
            run(3, 400, Finish::Length, 300_000),
        ],
        (0..16)
            .map(|i| run(9, i, Finish::Length, 3 * i as usize))
            .collect(),
    ];
    (0..)
        .zip(&lists)
        .map(|(i, runs)| JobCommitment::of(100 + i, runs))
        .collect()
}

pub(super) fn claims() -> Result<Value, Error> {
    let malformed = run_record(&RunResult {
        tokens: vec![1],
        ..run(1, 0, Finish::TooLong, 0)
    })?;
    let jobs = jobs()?;
    let job = |job: &JobCommitment| {
        json!({
            "input_id": job.record.input_id,
            "n_runs": job.record.n_runs,
            "runs": job.runs.iter().map(fields).collect::<Vec<_>>(),
            "runs_root": job.record.runs_root.to_string(),
            "score_root": job.record.score_root.to_string(),
            "digest": job.record.digest().to_string(),
        })
    };
    let records: Vec<_> = jobs.iter().map(|job| job.record).collect();
    let lane = |count: usize| json!({ "count": count, "root": ClaimTree::new(&records[..count]).root().to_string() });
    Ok(json!({
        "jobs": jobs.iter().map(job).collect::<Vec<_>>(),
        "lanes": (1..=records.len()).map(lane).collect::<Vec<_>>(),
        "malformed_payload_run": fields(&malformed),
    }))
}

pub(super) fn vouchers() -> Result<Value, Error> {
    let jobs = jobs()?;
    let claim = ClaimTree::new(&jobs.iter().map(|job| job.record).collect::<Vec<_>>());
    let record = ClaimRecord {
        chain_id: 31_337,
        claims: address(3),
        epoch: 12,
        model_id: sample("model", 0),
        accumulator: sample("accumulator", 0),
        root: claim.root(),
        proposer: address(4),
    };
    let claim_id = record.digest();
    let mut cases = Vec::new();
    for (lane_index, run) in [
        (0usize, 0u32),
        (1, 0),
        (1, 1),
        (2, 2),
        (3, 0),
        (3, 1),
        (3, 2),
        (4, 15),
    ] {
        let job = &jobs[lane_index];
        let text = pattern(job.runs[run as usize].text_length as usize);
        for voucher in voucher::vouchers(claim_id, &claim, lane_index as u32, job, run, &text)? {
            let proof = voucher.proof;
            cases.push(json!({
                "lane_index": lane_index,
                "n_runs": job.record.n_runs,
                "input_id": proof.input_id,
                "run": proof.run,
                "chunk": voucher.chunk,
                "chunk_start": voucher.bytes.start,
                "chunk_length": voucher.bytes.len(),
                "runs_root": proof.runs_root.to_string(),
                "score_root": proof.score_root.to_string(),
                "job_path": hexes(&proof.job_path),
                "run_path": hexes(&proof.run_path),
                "chunk_path": hexes(&proof.chunk_path),
                "record": fields(&voucher.run),
            }));
        }
    }
    Ok(json!({
        "claim": {
            "chain_id": record.chain_id,
            "claims": record.claims.to_string(),
            "epoch": record.epoch,
            "model_id": record.model_id.to_string(),
            "accumulator": record.accumulator.to_string(),
            "root": record.root.to_string(),
            "proposer": record.proposer.to_string(),
            "claim_id": claim_id.to_string(),
            "lane_count": claim.len(),
        },
        "count": cases.len(),
        "cases": cases,
        "score_root": Digest::ZERO.to_string(),
    }))
}
