//! `sworn verify`: whether a claim is right, by the model itself.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use clap::Args;
use serde_json::json;
use sworn_node::chain::{Event, Located};
use sworn_node::library::Library;
use sworn_node::machine::{self, Machine, ServedModel};
use sworn_node::store::{LaneKey, Seal, StoredInput, StoredRun};

use super::api;
use super::failure::{Failure, Kind};
use super::models;
use super::node::serve_options;
use super::progress::Progress;
use super::session::{Session, block_on, chain};
use super::{Context, EngineArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn verify 3
  sworn verify 0x6f1d...e2 --json
  sworn verify 3 --results-url http://node.example.org:8555
  sworn verify 3 --decode

Takes the inputs and their seeds from the chain and the claimed results from a node's API, makes sure that the results hash to the claim's
root, and checks them by one pass of the model over the claimed tokens, which is cheaper than making them. When nobody serves such
results, it makes its own and compares the roots. The results' source needs no trust: wrong ones cannot pass.

Exit codes:
  0    right: every bit of the claim
  1    wrong
  2    no verdict: the chain, the claim, the model or the time is missing")]
pub(crate) struct VerifyArgs {
    /// A claim's id, or a prompt's: then the claim that covers it, and that prompt's results.
    #[arg(value_name = "CLAIM|PROMPT")]
    target: String,
    /// API of a node that has the claimed results, instead of --api-url.
    #[arg(long, value_name = "URL", conflicts_with = "decode")]
    results_url: Option<String>,
    /// Make the results instead of checking claimed ones.
    #[arg(long)]
    decode: bool,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

/// What is to be checked.
struct Lane {
    claim: B256,
    key: LaneKey,
    root: B256,
    inputs: Vec<StoredInput>,
    /// The one input that was asked for.
    only: Option<u64>,
}

/// What came out.
struct Verdict {
    /// What is wrong, by input, or why the root is.
    wrong: Option<(Option<u64>, String)>,
    method: &'static str,
    checked: usize,
    rows: u64,
}

pub(crate) fn run(args: &VerifyArgs, context: &Context) -> Result<(), Failure> {
    let started = Instant::now();
    let result = block_on(async {
        let session = Session::open(context).await?;
        let lane = find(&session, &args.target).await?;
        let results = if args.decode {
            None
        } else {
            claimed(args, context, &lane).await
        };
        Ok((lane, results))
    });
    let (lane, results) = result.map_err(undecided)?;
    let model = open(context, lane.key.model).map_err(undecided)?;
    let verdict = match results {
        Some(results) => prefill(&model, &lane, &results),
        None => decode(&Arc::new(model), &lane),
    }
    .map_err(undecided)?;
    tell(context, &lane, &verdict, started.elapsed())
}

/// Whatever keeps from a verdict has one exit code.
fn undecided(failure: Failure) -> Failure {
    match failure.kind {
        Kind::Interrupted => failure,
        _ => Failure {
            kind: Kind::Undecided,
            error: failure.error,
        },
    }
}

fn tell(context: &Context, lane: &Lane, verdict: &Verdict, took: Duration) -> Result<(), Failure> {
    let seconds = took.as_secs_f64();
    context.out.document(&json!({
        "verdict": if verdict.wrong.is_some() { "wrong" } else { "right" },
        "claim": lane.claim,
        "epoch": lane.key.epoch,
        "model": lane.key.model,
        "root": lane.root,
        "inputs": lane.inputs.iter().map(|input| input.id).collect::<Vec<_>>(),
        "checked": verdict.checked,
        "method": verdict.method,
        "rows": verdict.rows,
        "wrong_input": verdict.wrong.as_ref().and_then(|(input, _)| *input),
        "difference": verdict.wrong.as_ref().map(|(_, text)| text),
        "seconds": seconds,
    }))?;
    let how = format!(
        "{} of {} inputs of epoch {} by {} in {seconds:.2} s",
        verdict.checked,
        lane.inputs.len(),
        lane.key.epoch,
        verdict.method
    );
    match &verdict.wrong {
        None => {
            context
                .out
                .line(format!("RIGHT: claim {} ({how})", lane.claim));
            Ok(())
        }
        Some((input, difference)) => {
            context
                .out
                .line(format!("WRONG: claim {} ({how})", lane.claim));
            let place = input.map_or(String::new(), |id| format!("prompt {id}, "));
            Err(Failure::new(
                Kind::Wrong,
                format!("claim {}: {place}{difference}", lane.claim),
            ))
        }
    }
}

/// The claim, its lane and everything that the results depend on, from the chain; its running hash is made again.
async fn find(session: &Session, target: &str) -> Result<Lane, Failure> {
    let claim: Option<B256> = target.starts_with("0x").then(|| target.parse()).transpose().map_err(|_| {
        Failure::input(format!("found `{target}`, expected a prompt's number or a claim's id of 0x and 64 hexadecimal digits"))
    })?;
    let only: Option<u64> = match claim {
        Some(_) => None,
        None => Some(target.parse().map_err(|_| {
            Failure::input(format!("found `{target}`, expected a prompt's number or a claim's id of 0x and 64 hexadecimal digits"))
        })?),
    };
    let history = history(session).await?;
    let (inputs, accumulators) = replay(session, &history)?;
    let claims: Vec<_> = history
        .iter()
        .filter_map(|located| match located.event {
            Event::Claimed {
                claim,
                epoch,
                model,
                root,
                accumulator,
                ..
            } => Some((claim, LaneKey { epoch, model }, root, accumulator)),
            _ => None,
        })
        .collect();
    let is_final = |id: &B256| {
        history
            .iter()
            .any(|l| matches!(&l.event, Event::Finalised { claim } if claim == id))
    };
    let has_fallen = |id: &B256| {
        history
            .iter()
            .any(|l| matches!(&l.event, Event::Fell { claim } if claim == id))
    };
    let found = match (claim, only) {
        (Some(id), _) => claims.iter().find(|c| c.0 == id).ok_or_else(|| {
            Failure::input(format!(
                "found no claim {id} on chain {}, expected one; see `sworn show ID` for a prompt's claim",
                session.client.chain_id()
            ))
        })?,
        (None, Some(prompt)) => {
            let input = inputs.get(&prompt).ok_or_else(|| {
                Failure::input(format!("found no prompt {prompt}, expected one of {}", inputs.len()))
            })?;
            let lane = input.lane().ok_or_else(|| {
                Failure::new(Kind::TooEarly, format!("prompt {prompt} has no seed yet, so nobody can have claimed an answer; try again later"))
            })?;
            let mut of_lane: Vec<_> = claims.iter().filter(|c| c.1 == lane).collect();
            of_lane.sort_by_key(|c| (!is_final(&c.0), has_fallen(&c.0)));
            of_lane.first().copied().ok_or_else(|| {
                Failure::new(Kind::TooEarly, format!("found no claim on prompt {prompt} (epoch {}), expected one; try again later", lane.epoch))
            })?
        }
        (None, None) => unreachable!("a target is a claim or a prompt"),
    };
    let (claim, key, root, accumulator) = *found;
    let mut of_lane: Vec<StoredInput> = inputs
        .into_values()
        .filter(|input| input.lane() == Some(key))
        .collect();
    of_lane.sort_by_key(|input| input.seal.map(|seal| seal.lane_index));
    let count = session
        .client
        .lane_count(&session.deployment, key.epoch, key.model)
        .await
        .map_err(chain)?;
    let expected = accumulators
        .range(..=key.epoch)
        .next_back()
        .map(|(_, a)| *a);
    if of_lane.len() as u64 != u64::from(count) || expected != Some(accumulator) {
        return Err(Failure::new(
            Kind::Chain,
            format!(
                "epoch {}: found {} inputs with the running hash {expected:?}, expected {count} and {accumulator}; this endpoint does not give all events",
                key.epoch,
                of_lane.len()
            ),
        ));
    }
    Ok(Lane {
        claim,
        key,
        root,
        inputs: of_lane,
        only,
    })
}

/// All events of the deployment.
async fn history(session: &Session) -> Result<Vec<Located>, Failure> {
    let (client, d) = (&session.client, &session.deployment);
    let head = client.head().await.map_err(chain)?.number;
    let step = client.options().log_range_blocks.max(1);
    let (mut found, mut from) = (Vec::new(), d.block);
    while from <= head {
        let to = head.min(from.saturating_add(step - 1));
        found.extend(client.events(d, from, to).await.map_err(chain)?);
        from = to + 1;
    }
    Ok(found)
}

/// Inputs by id; the running hash by epoch.
type SealedInputs = (BTreeMap<u64, StoredInput>, BTreeMap<u64, B256>);

/// Inputs by id, and the running hash after each epoch that sealed some, each made again from what it hashes.
fn replay(session: &Session, history: &[Located]) -> Result<SealedInputs, Failure> {
    let mut inputs: BTreeMap<u64, StoredInput> = BTreeMap::new();
    let (mut running, mut by_epoch) = (B256::ZERO, BTreeMap::new());
    for located in history {
        match &located.event {
            Event::InputSubmitted {
                id,
                sender,
                model,
                recipient,
                params,
                payload_root,
                payload,
            } => {
                inputs.insert(
                    *id,
                    StoredInput {
                        id: *id,
                        sender: *sender,
                        recipient: *recipient,
                        model: *model,
                        params: *params,
                        payload_root: machine::payload_root(payload),
                        payload: payload.clone(),
                        transaction: located.transaction,
                        block: located.block,
                        submitted_at: 0,
                        rearms: Vec::new(),
                        seal: None,
                    },
                );
                if machine::payload_root(payload) != *payload_root {
                    return Err(inconsistent(*id));
                }
            }
            Event::InputSealed {
                id,
                epoch,
                lane_index,
                seed,
                accumulator,
                ..
            } => {
                let input = inputs.get_mut(id).ok_or_else(|| inconsistent(*id))?;
                running = machine::accumulate(
                    running,
                    session.client.chain_id(),
                    session.deployment.inbox,
                    input,
                    *seed,
                )?;
                if running != *accumulator {
                    return Err(inconsistent(*id));
                }
                by_epoch.insert(*epoch, running);
                input.seal = Some(Seal {
                    block: located.block,
                    epoch: *epoch,
                    lane_index: *lane_index,
                    seed: *seed,
                    accumulator: *accumulator,
                });
            }
            _ => {}
        }
    }
    Ok((inputs, by_epoch))
}

fn inconsistent(input: u64) -> Failure {
    Failure::new(
        Kind::Chain,
        format!(
            "prompt {input}: found events that do not fit together, expected the chain's own; ask another endpoint"
        ),
    )
}

/// The model, every chunk of it hashed.
fn open(context: &Context, id: B256) -> Result<ServedModel, Failure> {
    let library = Library::new(&context.config.datadir);
    let stored = models::stored(&library, &id.to_string()).or_else(|missing| {
        // The shipped model needs no import.
        let shipped = models::stored(&library, sworn_node::shipped::NAME)?;
        if shipped.card.model_id == id.to_string() {
            Ok(shipped)
        } else {
            Err(missing)
        }
    })?;
    let mut progress = Progress::steps("model");
    let model = ServedModel::open(&stored.dir, &serve_options(context)?, &mut |done, total| {
        progress.set(done, total)
    })?;
    if model.card().id != id {
        return Err(Failure::input(format!(
            "{}: found model {}, expected {id}; add the model again",
            stored.dir.display(),
            model.card().id
        )));
    }
    Ok(model)
}

/// The claimed results, when somebody serves some that hash to the claim's root.
async fn claimed(
    args: &VerifyArgs,
    context: &Context,
    lane: &Lane,
) -> Option<BTreeMap<u64, Vec<StoredRun>>> {
    let url = args
        .results_url
        .as_ref()
        .unwrap_or(&context.config.api_url)
        .trim_end_matches('/');
    let client = api::client();
    let mut results = BTreeMap::new();
    for input in &lane.inputs {
        let answer = api::fetch(&client, &format!("{url}/v1/prompts/{}/results", input.id)).await?;
        let runs: Vec<StoredRun> = serde_json::from_value(answer.get("runs")?.clone()).ok()?;
        results.insert(input.id, runs);
    }
    let leaves: Vec<_> = results_in_order(lane, &results)?;
    match machine::claim_root(&leaves) {
        Ok(root) if root == lane.root => Some(results),
        Ok(root) => {
            tracing::warn!(%url, found = %root, expected = %lane.root, "the results served are not those of the claim; making our own");
            None
        }
        Err(err) => {
            tracing::warn!(%url, %err, "the results served are not results; making our own");
            None
        }
    }
}

fn results_in_order<'a>(
    lane: &Lane,
    results: &'a BTreeMap<u64, Vec<StoredRun>>,
) -> Option<Vec<(u64, &'a [StoredRun])>> {
    lane.inputs
        .iter()
        .map(|input| Some((input.id, results.get(&input.id)?.as_slice())))
        .collect()
}

/// Checks the claimed results, which hash to the root.
fn prefill(
    model: &ServedModel,
    lane: &Lane,
    results: &BTreeMap<u64, Vec<StoredRun>>,
) -> Result<Verdict, Failure> {
    let mut verdict = Verdict {
        wrong: None,
        method: "prefill",
        checked: 0,
        rows: 0,
    };
    let mut progress = Progress::steps("checking");
    let chosen = lane
        .inputs
        .iter()
        .filter(|input| lane.only.is_none_or(|only| only == input.id));
    for input in chosen {
        let (Some(seal), Some(runs)) = (input.seal, results.get(&input.id)) else {
            continue;
        };
        let before = verdict.rows;
        let difference = model.check(input, seal.seed, runs, &mut |done, total| {
            verdict.rows = before + done;
            progress.set(before + done, before + total);
            ControlFlow::Continue(())
        })?;
        verdict.checked += 1;
        if let Some(difference) = difference {
            verdict.wrong = Some((Some(input.id), difference));
            break;
        }
    }
    Ok(verdict)
}

/// Makes the results and compares the roots.
fn decode(model: &Arc<ServedModel>, lane: &Lane) -> Result<Verdict, Failure> {
    let mut progress = Progress::steps("answering");
    let (mut rows, mut results) = (0, BTreeMap::new());
    // All at once: the model runs as many together as it can.
    let answers: Vec<_> = { lane.inputs.iter() }
        .filter_map(|input| Some((input, input.seal?)))
        .map(|(input, seal)| (input.id, Arc::clone(model).submit(input.clone(), seal.seed)))
        .collect();
    for (id, answering) in answers {
        let answer = answering.wait(|| {
            rows += 1;
            progress.set(rows, rows);
        })?;
        results.insert(id, answer.runs);
    }
    let leaves = results_in_order(lane, &results)
        .ok_or_else(|| Failure::new(Kind::Chain, "an input of the lane has no seed"))?;
    let root = machine::claim_root(&leaves)?;
    Ok(Verdict {
        wrong: (root != lane.root).then(|| {
            (
                None,
                format!(
                    "found root {}, expected {root} from the model's own answers",
                    lane.root
                ),
            )
        }),
        method: "decode",
        checked: lane.inputs.len(),
        rows,
    })
}
