//! `sworn ask`: a prompt by transaction, followed to its posted responses.

use std::ffi::OsString;
use std::time::Duration;

use alloy::primitives::B256;
use clap::Args;
use serde_json::{Value, json};

use super::Context;
use super::asking::{self, Asked};
use super::failure::Failure;
use super::follow::{Answer, Step, Target, Until, follow};
use super::output::{Out, TerminalFilter, ether, printable, write_out};
use super::progress::Progress;
use super::prompt::PromptArgs;
use super::sampling::{SamplingArgs, n_runs};
use super::session::{Session, block_on};

/// Temperature when none is given: responses should differ.
pub(crate) const DEFAULT_TEMPERATURE_MILLI: u32 = 800;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn ask \"Once upon a time\"
  sworn ask \"Once upon a time\" -n 4 --temperature 1.2 --max-new 64
  sworn ask --prompt-file story.txt -n 1 --temperature 0 --until answered
  echo \"Tell me a story.\" | sworn ask --no-wait --json

The answer streams as soon as a node has it. It is unfinal until the claim on it is final; then the responses are posted on the chain and
can be ranked. The fee is what the contract quotes; `sworn refund ID` gets it back when nobody answers in time.")]
pub(crate) struct AskArgs {
    /// The prompt.
    #[arg(value_name = "TEXT")]
    text: Option<OsString>,
    #[command(flatten)]
    source: PromptArgs,
    /// Registered model: id, beginning of an id, or name. Needed when several are registered.
    #[arg(long, short, value_name = "MODEL")]
    model: Option<String>,
    /// Number of responses.
    #[arg(short, long = "runs", value_name = "N", default_value = "2", value_parser = n_runs)]
    n: u16,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Return as soon as the prompt is on the chain.
    #[arg(long, conflicts_with = "until")]
    no_wait: bool,
    /// How far to wait.
    #[arg(long, value_enum, value_name = "STATE", default_value = "posted")]
    until: Until,
    /// With --json: one line an event, then the document.
    #[arg(long, requires = "json")]
    stream: bool,
}

pub(crate) fn run(args: &AskArgs, context: &Context) -> Result<(), Failure> {
    let params = args
        .sampling
        .params(args.n, DEFAULT_TEMPERATURE_MILLI)
        .map_err(Failure::usage)?;
    let prompt = args.source.read(args.text.as_ref())?;
    block_on(async {
        let session = Session::open(context).await?;
        session.account()?;
        let (model, registered) = asking::resolve_model(&session, args.model.as_deref()).await?;
        asking::check_length(&context.config, model, &prompt)?;
        let asked = asking::submit(&session, model, &prompt, &params).await?;
        context.out.line(format!(
            "prompt {} to {} for {} ETH",
            asked.id,
            registered.card.name,
            ether(asked.price_wei)
        ));
        context.out.line(asked.mined.to_string());
        let mut document = json!({ "id": asked.id, "model": model, "price_wei": asked.price_wei.to_string(), "asked": asked.mined });
        if args.stream {
            context
                .out
                .event(&json!({ "event": "asked", "id": asked.id, "tx": asked.mined.tx }))?;
        }
        if args.no_wait {
            context.out.line(format!("see `sworn show {}`", asked.id));
            return context.out.document(&document);
        }
        let (steps, answers) = wait(args, context, &session, model, &asked).await?;
        document["steps"] = Value::Array(steps);
        document["responses"] = json!(answers);
        finish(args, context.out, asked.id, &document)
    })
}

async fn wait(
    args: &AskArgs,
    context: &Context,
    session: &Session,
    model: B256,
    asked: &Asked,
) -> Result<(Vec<Value>, Vec<Answer>), Failure> {
    let target = Target {
        session,
        api_url: &context.config.api_url,
        id: asked.id,
        model,
        n_runs: args.n,
        from_block: asked.mined.block,
        timeout: Duration::from_secs(context.config.timeout_seconds),
    };
    let mut printer = Printer::new(context.out, args.n, asked);
    let mut steps = Vec::new();
    let progress = std::cell::RefCell::new(Progress::waiting("prompt"));
    let mut on_step = |step: Step| {
        let event = event(&step, asked);
        // A line of JSON that cannot be written ends the process, so there is no error to keep.
        if args.stream {
            let _ = context.out.event(&event);
        }
        progress.borrow().suspend(|| printer.show(&step));
        if !matches!(step, Step::Token { .. }) {
            steps.push(event);
        }
    };
    follow(&target, args.until, &mut on_step, &mut |state| {
        progress.borrow_mut().state(state)
    })
    .await?;
    drop(progress);
    printer.end();
    Ok((steps, printer.answers))
}

fn finish(args: &AskArgs, out: Out, id: u64, document: &Value) -> Result<(), Failure> {
    if args.until == Until::Posted {
        out.line(format!(
            "rank them with `sworn rank {id} {}`",
            (1..=args.n)
                .map(|place| place.to_string())
                .collect::<Vec<_>>()
                .join(",")
        ));
    } else {
        out.line(format!(
            "it goes on without this command; see `sworn show {id}`"
        ));
    }
    if args.stream {
        out.event(&json!({ "event": "done", "result": document }))
    } else {
        out.document(document)
    }
}

/// A step for programs, with the seconds since the transaction was sent.
fn event(step: &Step, asked: &Asked) -> Value {
    let mut value = match step {
        Step::Sealed { epoch, tx } => json!({ "event": "sealed", "epoch": epoch, "tx": tx }),
        Step::Token { run, text } => json!({ "event": "token", "run": run, "text": text }),
        Step::Answered { responses } => {
            json!({ "event": "answered", "unfinal": true, "responses": responses })
        }
        Step::Trouble { message } => json!({ "event": "trouble", "message": message }),
        Step::Claimed {
            claim,
            tx,
            window_end,
        } => json!({ "event": "claimed", "claim": claim, "window_end": window_end, "tx": tx }),
        Step::Final { claim, tx } => json!({ "event": "final", "claim": claim, "tx": tx }),
        Step::Delivered { run, chunk, tx } => {
            json!({ "event": "delivered", "run": run, "chunk": chunk, "tx": tx })
        }
        Step::Posted {
            after_window_seconds,
        } => json!({ "event": "posted", "after_window_seconds": after_window_seconds }),
    };
    value["seconds"] = json!(asked.sent.elapsed().as_secs_f64());
    value
}

/// Shows steps to people. The first response streams; the others are shown whole.
struct Printer<'a> {
    out: Out,
    n_runs: u16,
    asked: &'a Asked,
    filter: TerminalFilter,
    /// Bytes of the first response shown so far.
    streamed: usize,
    is_streaming: bool,
    /// Lines that came while the first response streamed.
    held: Vec<String>,
    answers: Vec<Answer>,
}

impl<'a> Printer<'a> {
    fn new(out: Out, n_runs: u16, asked: &'a Asked) -> Printer<'a> {
        Printer {
            out,
            n_runs,
            asked,
            filter: TerminalFilter::new(false),
            streamed: 0,
            is_streaming: false,
            held: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn show(&mut self, step: &Step) {
        let after = self.asked.sent.elapsed().as_secs_f64();
        match step {
            Step::Token { run: 0, text } if !self.out.is_json() => {
                if self.streamed == 0 {
                    self.line(format!("--- response 1 of {} (unfinal)", self.n_runs));
                    self.is_streaming = true;
                }
                self.streamed += text.len();
                write_out(&self.filter.push(text.as_bytes()));
            }
            Step::Token { .. } => {}
            Step::Answered { responses } => {
                self.answered(responses);
                self.line(format!(
                    "answer readable after {after:.2} s; unfinal until its claim is final"
                ));
                std::mem::take(&mut self.held)
                    .into_iter()
                    .for_each(|line| self.line(line));
            }
            Step::Sealed { epoch, tx } => {
                self.line(format!("sealed in epoch {epoch}, transaction {tx}"))
            }
            Step::Trouble { message } => self.line(format!("trouble: {}", printable(message))),
            Step::Claimed {
                claim,
                tx,
                window_end,
            } => self.line(format!(
                "claimed: {claim}, window ends at {window_end}, transaction {tx}"
            )),
            Step::Final { tx, .. } => self.line(format!("final, transaction {tx}")),
            Step::Delivered { run, tx, .. } => {
                self.line(format!("response {} delivered, transaction {tx}", run + 1))
            }
            Step::Posted {
                after_window_seconds,
            } => self.line(format!(
                "posted {after_window_seconds:.2} s after the window's end"
            )),
        }
    }

    /// A line, but not in the middle of streamed text: then it waits for the answer's end.
    fn line(&mut self, line: String) {
        if self.is_streaming {
            self.held.push(line)
        } else {
            self.out.line(line)
        }
    }

    /// The end: a node that went away in the middle of its answer leaves a line open.
    fn end(&mut self) {
        if std::mem::take(&mut self.is_streaming) {
            self.out.line("");
            std::mem::take(&mut self.held)
                .into_iter()
                .for_each(|line| self.out.line(line));
        }
    }

    fn answered(&mut self, responses: &[Answer]) {
        self.answers = responses.to_vec();
        self.is_streaming = false;
        if self.streamed > 0 {
            write_out(&self.filter.end());
            self.out.line("");
        }
        for response in responses
            .iter()
            .filter(|response| response.run > 0 || self.streamed == 0)
        {
            self.out.line(format!(
                "--- response {} of {} (unfinal, {}, {} tokens)",
                response.run + 1,
                self.n_runs,
                response.finish,
                response.new_tokens
            ));
            self.out.line(printable(&response.text));
        }
    }
}
