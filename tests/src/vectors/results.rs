//! Right and wrong results: jobs, and runs' lists of tokens, offsets and text, each with the faults that show (`prover/SPEC.md` section 10.3).

use std::error::Error;

use serde_json::{Value, json};
use sworn_prover::Digest;
use sworn_prover::dispute::abi;
use sworn_prover::dispute::faults::job::JobFacts;
use sworn_prover::dispute::results::{abi_run, word};
use sworn_prover::params::Params;
use sworn_prover::record::RunRecord;

use super::{columns, hex, sample};

mod lists;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CONTEXT: u32 = 8;

fn limits() -> Vec<Params> {
    [(0, 0), (3, 0), (0, 5), (3, 5), (9, 20), (0, 1)]
        .map(|(max_new_tokens, max_total_tokens)| Params {
            max_new_tokens,
            max_total_tokens,
            ..Params::default()
        })
        .to_vec()
}

/// A run of that many tokens whose other fields fit them.
fn run(n_prompt: u32, n_tokens: u32, finish: u8) -> RunRecord {
    let some = n_tokens > n_prompt;
    let root = |name: &str| if some { sample(name, 0) } else { Digest::ZERO };
    RunRecord {
        n_prompt,
        n_tokens,
        finish,
        tokens_root: sample("tokens", 0),
        offsets_root: root("offsets"),
        text_root: root("text"),
        text_length: u64::from(some),
        score: 0,
        greedy: false,
    }
}

/// Every number of tokens under every limit.
fn shapes() -> Value {
    let mut rows = Vec::new();
    for (number, params) in limits().iter().enumerate() {
        let facts = JobFacts {
            input_id: 7,
            params,
            context: CONTEXT,
        };
        for n_prompt in [0, 1, 2, 4, 7, 8, 9] {
            for n_tokens in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 20] {
                for finish in 0..5 {
                    let wrong = facts.run_shape(&abi_run(&run(n_prompt, n_tokens, finish)));
                    rows.push([
                        json!(number),
                        json!(n_prompt),
                        json!(n_tokens),
                        json!(finish),
                        json!(u8::from(wrong)),
                    ]);
                }
            }
        }
    }
    columns(["limits", "n_prompt", "n_tokens", "finish", "wrong"], rows)
}

/// Single fields of runs that are right otherwise: too long, without room, with one and with three new tokens.
fn fields() -> Vec<Value> {
    let params = Params {
        max_new_tokens: 3,
        ..Params::default()
    };
    let facts = JobFacts {
        input_id: 7,
        params: &params,
        context: CONTEXT,
    };
    let mut cases = Vec::new();
    for base in [
        run(9, 9, 2),
        run(1, 1, 2),
        run(8, 8, 0),
        run(2, 3, 1),
        run(2, 5, 0),
    ] {
        let new = u64::from(base.n_tokens - base.n_prompt);
        let mut all = vec![base];
        for text_length in [0, 1, 65_535 * new, 65_535 * new + 1, u64::MAX] {
            all.push(RunRecord {
                text_length,
                ..base
            });
        }
        let other = sample("root", 1);
        for root in [Digest::ZERO, other] {
            all.push(RunRecord {
                offsets_root: root,
                ..base
            });
            all.push(RunRecord {
                text_root: root,
                ..base
            });
            all.push(RunRecord {
                text_root: root,
                text_length: 0,
                ..base
            });
        }
        for score in [-1, 1, i64::MIN] {
            all.push(RunRecord { score, ..base });
        }
        all.push(RunRecord {
            greedy: true,
            ..base
        });
        for record in all {
            cases.push(json!({
                "n_prompt": record.n_prompt,
                "n_tokens": record.n_tokens,
                "finish": record.finish,
                "offsets_root": record.offsets_root.to_string(),
                "text_root": record.text_root.to_string(),
                "text_length": record.text_length,
                "score": record.score,
                "greedy": record.greedy,
                "wrong": facts.run_shape(&abi_run(&record)),
            }));
        }
    }
    cases
}

/// What a job says about its input.
fn expansions() -> Vec<Value> {
    let mut cases = Vec::new();
    for n_runs in [1u16, 2, 16] {
        let params = Params {
            n_runs,
            temperature_milli: 700,
            ..Params::default()
        };
        let facts = JobFacts {
            input_id: 7,
            params: &params,
            context: CONTEXT,
        };
        for runs in [0, 1, 2, 3, 15, 16] {
            for (input_id, score_root) in [
                (7u64, Digest::ZERO),
                (8, Digest::ZERO),
                (0, Digest::ZERO),
                (7, sample("score", 0)),
            ] {
                let job = abi::Job {
                    inputId: input_id.try_into().unwrap_or_default(),
                    scoreRoot: word(score_root),
                    runs: vec![abi_run(&run(2, 5, 0)); runs],
                    traceRoots: vec![word(Digest::ZERO); runs],
                };
                cases.push(json!({
                    "lane_input_id": facts.input_id,
                    "n_runs": n_runs,
                    "runs": runs,
                    "input_id": input_id,
                    "score_root": score_root.to_string(),
                    "wrong": facts.expansion(&job),
                }));
            }
        }
    }
    cases
}

pub(super) fn results() -> Result<Value> {
    let limits: Vec<_> = { limits().into_iter() }
        .map(|params| json!([params.max_new_tokens, params.max_total_tokens]))
        .collect();
    let (expansions, fields) = (expansions(), fields());
    Ok(json!({
        "context": CONTEXT,
        "limits": limits,
        "shapes": shapes(),
        "field_limits": [3, 0],
        "fields": fields,
        "expansions": expansions,
        "lists": lists::lists()?,
    }))
}

/// A list's leaves in hexadecimal.
fn hexes(leaves: &[Vec<u8>]) -> Vec<String> {
    leaves.iter().map(|leaf| hex(leaf)).collect()
}
