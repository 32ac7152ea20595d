//! `sworn generate`: the engine without any chain.

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;
use sworn_inference::engine::{Finish, Job, RunResult, Sampling, Sequences, TokenEvent};
use sworn_inference::tokenizer::Segment;

use super::failure::{Classify, Failure, Kind};
use super::models::{self, Loaded};
use super::output::{TerminalFilter, hex, write_out};
use super::progress::Progress;
use super::prompt::PromptArgs;
use super::sampling::{RunParams, SamplingArgs, n_runs};
use super::seed;
use super::{Context, EngineArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn generate --prompt \"Once upon a time\"
  sworn generate --prompt \"Once upon a time\" -n 3 --temperature 0.8 --seed 42
  sworn generate --model stories260K.bin --tokenizer tok512.bin --prompt \"Once\" --max-total 200
  echo \"Tell me a story.\" | sworn generate --model fable-2m --json
  sworn generate --model large --draft small --prompt \"Once\"

One response streams as it is made; several are printed when all are done. The same model, prompt, parameters and seed give
the same text on every machine.")]
pub(crate) struct GenerateArgs {
    /// Model: a GGUF or llama2.c file, or the id or name of an imported model.
    #[arg(long, short, value_name = "MODEL", default_value = sworn_node::shipped::NAME)]
    model: String,
    /// tokenizer.bin for a llama2.c file.
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// The prompt.
    #[arg(long, short, value_name = "TEXT")]
    prompt: Option<OsString>,
    #[command(flatten)]
    source: PromptArgs,
    /// Text that goes before the prompt as it is; no template is applied.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Number of responses.
    #[arg(short, long = "runs", value_name = "N", default_value = "1", value_parser = n_runs)]
    n: u16,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Seed of the draws: a number, or 64 hexadecimal digits. Drawn afresh and printed when left out.
    #[arg(long, value_name = "SEED", value_parser = seed::parse)]
    seed: Option<[u8; 32]>,
    /// Write the response's bytes only: no line end, no filter for terminals.
    #[arg(long)]
    raw: bool,
    /// With --json: one line a token, then the document.
    #[arg(long, requires = "json")]
    stream: bool,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

pub(crate) fn run(args: &GenerateArgs, context: &Context) -> Result<(), Failure> {
    // Temperature 0 by default: the answer that needs no seed.
    let params = args.sampling.params(args.n, 0).map_err(Failure::usage)?;
    let prompt = args.source.read(args.prompt.as_ref())?;
    let loaded = models::load(context, &args.model, args.tokenizer.as_deref())?;
    let mut segments = Vec::new();
    segments.extend(
        args.system
            .as_ref()
            .map(|text| Segment::Text(text.as_bytes())),
    );
    segments.push(Segment::Text(&prompt));
    let tokens = loaded.model.tokenizer().encode(&segments);
    check_length(&loaded, &tokens)?;
    let job = Job {
        prompt: tokens,
        seed: args.seed.unwrap_or_else(seed::fresh),
        ..job(&params)
    };
    let limit = job.limit(loaded.model.program().context());
    let sequences = Sequences {
        count: job.n_runs,
        tokens: limit.saturating_add(u32::try_from(job.prompt.len()).unwrap_or(u32::MAX)),
    };
    let engine = models::engine(&loaded, sequences, context)?;
    let started = Instant::now();
    let mut printer = Printer::new(args, context, params.n_runs);
    let runs = engine
        .generate(&job, &mut |event| printer.token(&event))
        .exit(Kind::Other)?;
    let seconds = started.elapsed().as_secs_f64();
    printer.finish(&runs);
    let new_tokens: usize = runs.iter().map(|run| run.offsets.len()).sum();
    let document = json!({
        "model": { "id": loaded.id, "name": loaded.name },
        "prompt_tokens": job.prompt,
        "params": params,
        "seed": hex(&job.seed),
        "responses": runs.iter().enumerate().map(|(index, run)| response(index, run)).collect::<Vec<_>>(),
        "seconds": seconds,
        "tokens_per_second": new_tokens as f64 / seconds.max(1e-9),
    });
    if args.stream {
        context
            .out
            .event(&json!({ "event": "done", "result": document }))?;
    } else {
        context.out.document(&document)?;
    }
    let drawn = if params.temperature_milli > 0 {
        format!(", seed {}", hex(&job.seed))
    } else {
        String::new()
    };
    let finish = runs
        .iter()
        .map(|run| finish_name(run.finish))
        .collect::<Vec<_>>()
        .join(", ");
    tracing::info!(
        "{new_tokens} tokens in {seconds:.2} s ({:.1} tokens/s), finish {finish}{drawn}",
        new_tokens as f64 / seconds.max(1e-9)
    );
    Ok(())
}

fn job(params: &RunParams) -> Job {
    Job {
        prompt: Vec::new(),
        n_runs: u32::from(params.n_runs),
        max_new_tokens: params.max_new_tokens,
        max_total_tokens: params.max_total_tokens,
        sampling: Sampling {
            temperature_milli: params.temperature_milli,
            top_k: params.top_k,
            top_p_ppm: params.top_p_ppm,
            min_p_ppm: params.min_p_ppm,
        },
        seed: [0; 32],
    }
}

/// A prompt that fills the context leaves no room for an answer.
fn check_length(loaded: &Loaded, tokens: &[u32]) -> Result<(), Failure> {
    let context = loaded.model.program().context() as usize;
    if tokens.len() < context {
        return Ok(());
    }
    Err(Failure::input(format!(
        "the prompt: found {} tokens, expected fewer than the {context} of the context of {}; shorten it",
        tokens.len(),
        loaded.name
    )))
}

/// Name of a finish in output.
pub(crate) fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::Stop => "stop",
        Finish::TooLong => "too_long",
        Finish::Scored => "scored",
    }
}

fn response(index: usize, run: &RunResult) -> serde_json::Value {
    let hex_of_ill_formed = if std::str::from_utf8(&run.text).is_ok() {
        String::new()
    } else {
        hex(&run.text)
    };
    json!({
        "run": index,
        "text": String::from_utf8_lossy(&run.text),
        "text_hex": hex_of_ill_formed,
        "finish": finish_name(run.finish),
        "new_tokens": run.tokens.get(run.n_prompt as usize..).unwrap_or_default(),
    })
}

/// Shows tokens as they come.
struct Printer<'a> {
    args: &'a GenerateArgs,
    context: &'a Context,
    n_runs: u16,
    filter: TerminalFilter,
    progress: Option<Progress>,
    done: u64,
}

impl<'a> Printer<'a> {
    fn new(args: &'a GenerateArgs, context: &'a Context, n_runs: u16) -> Printer<'a> {
        let quiet_so_far = n_runs > 1 || context.out.is_json();
        let progress = (quiet_so_far && !args.stream).then(|| Progress::steps("tokens"));
        Printer {
            args,
            context,
            n_runs,
            filter: TerminalFilter::new(args.raw),
            progress,
            done: 0,
        }
    }

    fn token(&mut self, event: &TokenEvent<'_>) -> ControlFlow<()> {
        self.done += 1;
        if let Some(progress) = &mut self.progress {
            progress.set(self.done, self.done);
        } else if self.args.stream {
            let line = json!({ "event": "token", "run": event.run, "token": event.token, "piece": String::from_utf8_lossy(event.piece), "piece_hex": hex(event.piece) });
            if self.context.out.event(&line).is_err() {
                return ControlFlow::Break(());
            }
        } else {
            write_out(&self.filter.push(event.piece));
        }
        ControlFlow::Continue(())
    }

    fn finish(&mut self, runs: &[RunResult]) {
        self.progress = None;
        if self.context.out.is_json() {
            return;
        }
        if self.n_runs == 1 {
            write_out(&self.filter.end());
            if !self.args.raw {
                write_out(b"\n");
            }
            return;
        }
        for (index, run) in runs.iter().enumerate() {
            if self.args.raw {
                write_out(&run.text);
                continue;
            }
            let mut filter = TerminalFilter::new(false);
            let mut text = filter.push(&run.text);
            text.extend(filter.end());
            write_out(
                format!(
                    "--- response {} of {} ({}, {} tokens)\n",
                    index + 1,
                    runs.len(),
                    finish_name(run.finish),
                    run.offsets.len()
                )
                .as_bytes(),
            );
            write_out(&text);
            write_out(b"\n");
        }
    }
}
