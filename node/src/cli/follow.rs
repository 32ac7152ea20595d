//! Following a prompt from its transaction to its posted responses.
//!
//! The chain's events have the last word on every step; a node's API only adds the unfinal answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use serde_json::Value;
use sworn_node::chain::{Event, Located};
use tokio::sync::mpsc;

use super::answers::{self, FromNode};
use super::failure::{Failure, Kind};
use super::session::{Session, chain};

/// Pause between looks at the chain.
const POLL: Duration = Duration::from_millis(100);

/// How long a node has to tell the answer that is already claimed.
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);

/// How far to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Until {
    /// A node has the answer; nothing vouches for it yet.
    Answered,
    /// A bonded claim covers it.
    Claimed,
    /// The claim is final.
    Final,
    /// Every response is on the chain.
    Posted,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The seed is fixed.
    Sealed { epoch: u64, tx: B256 },
    /// Unfinal text of a run.
    Token { run: u32, text: String },
    /// A node has every response.
    Answered { responses: Vec<Answer> },
    /// A node cannot answer; others may.
    Trouble { message: String },
    /// A claim covers the prompt.
    Claimed {
        claim: B256,
        tx: B256,
        window_end: u64,
    },
    /// The claim is final.
    Final { claim: B256, tx: B256 },
    /// A voucher was executed.
    Delivered { run: u32, chunk: u32, tx: B256 },
    /// Every response is on the chain. `after_window_seconds` counts from the window's end.
    Posted { after_window_seconds: f64 },
}

/// A response as a node tells it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Answer {
    pub(crate) run: u32,
    pub(crate) text: String,
    pub(crate) text_hex: String,
    pub(crate) finish: String,
    pub(crate) new_tokens: u64,
}

/// What to follow.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    pub(crate) session: &'a Session,
    pub(crate) api_url: &'a str,
    pub(crate) id: u64,
    pub(crate) model: B256,
    pub(crate) n_runs: u16,
    /// Block of the prompt's transaction.
    pub(crate) from_block: u64,
    pub(crate) timeout: Duration,
}

/// What is known so far.
#[derive(Debug, Default)]
struct Seen {
    next_block: u64,
    /// Of the newest block, in seconds.
    head_timestamp: u64,
    epoch: Option<u64>,
    /// Claims of the epoch's lane and the ends of their windows.
    claims: BTreeMap<B256, u64>,
    /// When the chain's clock was first seen past a window's end.
    window_over: Option<Instant>,
    is_answered: bool,
    is_final: bool,
    is_posted: bool,
}

impl Seen {
    fn reached(&self, until: Until) -> bool {
        match until {
            Until::Answered => self.is_answered,
            Until::Claimed => !self.claims.is_empty(),
            Until::Final => self.is_final,
            // Posted by another node before this one's API said a word: there is nothing more to come.
            Until::Posted => self.is_posted,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Seen { is_final: true, .. } => "final, waits for its vouchers",
            Seen { claims, .. } if !claims.is_empty() => "claimed, waits for the end of the window",
            Seen {
                is_answered: true, ..
            } => "answered, waits for the claim",
            Seen { epoch: Some(_), .. } => "sealed, waits for an answer",
            _ => "waits for its seed",
        }
    }
}

/// Follows a prompt and reports every step; also what to wait for next, to `waiting`.
pub(crate) async fn follow(
    target: &Target<'_>,
    until: Until,
    on_step: &mut dyn FnMut(Step),
    waiting: &mut dyn FnMut(&str),
) -> Result<(), Failure> {
    let (sender, mut node) = mpsc::channel(256);
    let listener = tokio::spawn(answers::listen(
        target.api_url.to_owned(),
        target.id,
        sender,
    ));
    let deadline = Instant::now() + target.timeout;
    let mut seen = Seen {
        next_block: target.from_block,
        ..Seen::default()
    };
    let mut shown = "";
    let result = loop {
        if seen.reached(until) {
            break Ok(());
        }
        if Instant::now() >= deadline {
            let message = format!(
                "prompt {}: found it {}, expected it to be {} within {} s; it goes on without this command: see `sworn show {}`, or give --timeout SECONDS",
                target.id,
                seen.name(),
                format!("{until:?}").to_lowercase(),
                target.timeout.as_secs(),
                target.id
            );
            break Err(Failure::new(Kind::Timeout, message));
        }
        if seen.name() != shown {
            shown = seen.name();
            waiting(shown);
        }
        let heard_now = tokio::select! {
            Some(news) = node.recv() => Some(news),
            () = tokio::time::sleep(POLL) => None,
        };
        // The seal comes before the answer, whichever is read first: an answer waits until the chain was read.
        let answer = match heard_now {
            Some(news @ FromNode::Answered(_)) => Some(news),
            Some(news) => {
                heard(news, &mut seen, on_step);
                None
            }
            None => None,
        };
        if let Err(failure) = read_chain(target, &mut node, &mut seen, answer, on_step).await {
            break Err(failure);
        }
    };
    listener.abort();
    result
}

/// Reports what the chain says since the last look, with the node's answer in its place: after the seal and before the claim.
async fn read_chain(
    target: &Target<'_>,
    node: &mut mpsc::Receiver<FromNode>,
    seen: &mut Seen,
    mut answer: Option<FromNode>,
    on_step: &mut dyn FnMut(Step),
) -> Result<(), Failure> {
    for located in news(target, seen).await? {
        let is_claim = matches!(&located.event, Event::Claimed { epoch, model, .. } if seen.epoch == Some(*epoch) && *model == target.model);
        if is_claim && !seen.is_answered {
            match answer.take() {
                Some(answer) => heard(answer, seen, on_step),
                // A claim follows its answer closely: give the node a moment to tell it first.
                None => hear_answer(node, seen, on_step).await,
            }
        }
        apply(target, &located, seen, on_step)?;
    }
    if let Some(answer) = answer {
        heard(answer, seen, on_step);
    }
    look(target, seen, on_step).await
}

fn heard(news: FromNode, seen: &mut Seen, on_step: &mut dyn FnMut(Step)) {
    match news {
        FromNode::Token { run, text } => on_step(Step::Token { run, text }),
        FromNode::Answered(node) => {
            seen.is_answered = true;
            on_step(Step::Answered {
                responses: answers_of(&node),
            });
        }
        FromNode::Trouble(message) => on_step(Step::Trouble { message }),
    }
}

/// Waits a little for the node's answer.
async fn hear_answer(
    node: &mut mpsc::Receiver<FromNode>,
    seen: &mut Seen,
    on_step: &mut dyn FnMut(Step),
) {
    let deadline = tokio::time::Instant::now() + ANSWER_PATIENCE;
    while !seen.is_answered {
        match tokio::time::timeout_at(deadline, node.recv()).await {
            Ok(Some(news)) => heard(news, seen, on_step),
            _ => return,
        }
    }
}

/// What the chain says since the last look.
async fn news(target: &Target<'_>, seen: &mut Seen) -> Result<Vec<Located>, Failure> {
    let Session { client, deployment } = target.session;
    let head = client.head().await.map_err(chain)?;
    if head.number < seen.next_block {
        return Ok(Vec::new());
    }
    let events = client
        .events(deployment, seen.next_block, head.number)
        .await
        .map_err(chain)?;
    seen.next_block = head.number + 1;
    seen.head_timestamp = head.timestamp;
    Ok(events)
}

/// Notes the end of the window, and the posting, which is no single event.
async fn look(
    target: &Target<'_>,
    seen: &mut Seen,
    on_step: &mut dyn FnMut(Step),
) -> Result<(), Failure> {
    let Session { client, deployment } = target.session;
    // The earliest window counts: its claim can be final first. The chain's clock shows in its blocks only, so ask the wall clock too.
    let window_end = seen.claims.values().min().copied();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    if seen.window_over.is_none()
        && window_end.is_some_and(|end| seen.head_timestamp >= end || now >= end)
    {
        seen.window_over = Some(Instant::now());
    }
    if seen.is_final && !seen.is_posted {
        let prompt = client.prompt(deployment, target.id).await.map_err(chain)?;
        if prompt.nPosted == target.n_runs {
            seen.is_posted = true;
            let after = seen
                .window_over
                .map_or(0.0, |over| over.elapsed().as_secs_f64());
            on_step(Step::Posted {
                after_window_seconds: after,
            });
        }
    }
    Ok(())
}

fn apply(
    target: &Target<'_>,
    located: &Located,
    seen: &mut Seen,
    on_step: &mut dyn FnMut(Step),
) -> Result<(), Failure> {
    let tx = located.transaction;
    match &located.event {
        Event::InputSealed { id, epoch, .. } if *id == target.id => {
            seen.epoch = Some(*epoch);
            on_step(Step::Sealed { epoch: *epoch, tx });
        }
        Event::Claimed {
            claim,
            epoch,
            model,
            window_end,
            ..
        } if seen.epoch == Some(*epoch) && *model == target.model => {
            seen.claims.insert(*claim, *window_end);
            on_step(Step::Claimed {
                claim: *claim,
                tx,
                window_end: *window_end,
            });
        }
        Event::Finalised { claim } if seen.claims.contains_key(claim) => {
            seen.is_final = true;
            on_step(Step::Final { claim: *claim, tx });
        }
        Event::VoucherExecuted {
            input, run, chunk, ..
        } if *input == target.id => on_step(Step::Delivered {
            run: *run,
            chunk: *chunk,
            tx,
        }),
        Event::VoucherFailed { input, run, .. } if *input == target.id => {
            on_step(Step::Trouble {
                message: format!(
                    "the voucher of response {} failed in {tx}; it will be tried again",
                    run + 1
                ),
            });
        }
        Event::Refunded { input } if *input == target.id => {
            let message = format!(
                "prompt {} was not answered in time and its fee went back; `sworn withdraw` collects it, then ask again",
                target.id
            );
            return Err(Failure::new(Kind::Chain, message));
        }
        _ => {}
    }
    Ok(())
}

/// Responses in a node's answer about a prompt.
fn answers_of(node: &Value) -> Vec<Answer> {
    let text = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let number =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).unwrap_or_default();
    let responses = node
        .get("responses")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    responses
        .iter()
        .map(|response| {
            let text_hex = text(response, "text_hex");
            let lossy = || {
                String::from_utf8_lossy(&alloy::hex::decode(&text_hex).unwrap_or_default())
                    .into_owned()
            };
            Answer {
                run: u32::try_from(number(response, "run")).unwrap_or(u32::MAX),
                text: if text_hex.is_empty() {
                    text(response, "text")
                } else {
                    lossy()
                },
                text_hex,
                finish: text(response, "finish"),
                new_tokens: number(response, "new_tokens"),
            }
        })
        .collect()
}
