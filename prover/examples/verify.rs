//! What verifying costs: a teacher-forced check against decoding, and a trace with the memory that it takes and what it answers on demand.
//!
//! `cargo run --release -p sworn-prover --example verify [-- shape [tokens [threads]]]`, shapes: 15M, 110M, 1.1B (random weights, Q8_0) and fable. Without a shape all
//! but the largest. With one thread decoding and checking are compared by processor time, which other programs disturb less. Memory is anonymous memory:
//! weights are mapped files.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sworn_inference::engine::{Engine, EngineOptions, Job, Sampling};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, Op, WeightFormat};
use sworn_inference::testing::{self, Random};
use sworn_prover::dispute::faults::attention::Site;
use sworn_prover::dispute::source::TraceSource;
use sworn_prover::dispute::trace::{Trace, TraceOptions};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Imports the model of a shape into a folder.
fn make(shape: &str, folder: &Path) -> Result<()> {
    let fable = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fable/fable-2m.q8_0.gguf");
    let file = match testing::shape_config(shape, 2048) {
        None => fable,
        Some(config) => {
            let tiny = LlamaConfig {
                vocab_size: 320,
                ..config.clone()
            };
            // Pieces that never merge: making a vocabulary of real ones takes long.
            let mut tokens = testing::vocabulary(tiny.vocab_size.min(260));
            let more = tokens.len()..config.vocab_size as usize;
            tokens.extend(more.map(|i| (format!("#{i}").into_bytes(), -(i as f32), 1)));
            let mut gguf = testing::gguf(&tiny, WeightFormat::Q8_0, 1);
            for (key, value) in testing::gguf_vocabulary(&tokens).keys {
                gguf.set(&key, value);
            }
            gguf.set("llama.vocab_size", testing::Value::U32(config.vocab_size));
            let (rows, cols) = (u64::from(config.vocab_size), u64::from(config.dim));
            let embedding = gguf.tensor("token_embd.weight");
            embedding.shape = vec![cols, rows];
            embedding.data =
                testing::tensor_bytes(WeightFormat::Q8_0, rows, cols, 32, &mut Random(2));
            let path = folder.join("model.gguf");
            std::fs::write(&path, gguf.to_bytes())?;
            path
        }
    };
    let source = ModelSource::open(&file, None)?;
    Model::import(&source, &folder.join("model"), &mut |_, _| ())?;
    Ok(())
}

fn anonymous_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// Seconds since some time: of this thread's processor time where it is the only one that works.
fn seconds(threads: usize) -> f64 {
    if threads == 1
        && let Ok(stat) = std::fs::read_to_string("/proc/thread-self/schedstat")
        && let Some(ns) = stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok())
    {
        return ns / 1e9;
    }
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Seconds and the peak of anonymous memory, in MB, of some work.
fn measure<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64, f64)> {
    let (peak, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let start = Instant::now();
    let (out, seconds) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                peak.fetch_max(anonymous_kib(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let out = work();
        let seconds = start.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        (out, seconds)
    });
    peak.fetch_max(anonymous_kib(), Ordering::Relaxed);
    let megabytes = peak.load(Ordering::Relaxed) as f64 * 1024.0 / 1e6;
    Ok((out?, seconds, megabytes))
}

fn run(shape: &str, folder: &Path, tokens: usize, threads: usize) -> Result<()> {
    let model = Arc::new(Model::open(&folder.join("model"))?);
    let options = EngineOptions {
        threads,
        ..EngineOptions::default()
    };
    let engine = Engine::new(model.clone(), options)?.with_speculation(false);
    let backend = engine.backend().clone();
    let tokens = tokens.min(model.program().context() as usize);
    let job = Job {
        prompt: vec![1],
        n_runs: 1,
        max_new_tokens: tokens as u32,
        max_total_tokens: tokens as u32,
        sampling: Sampling {
            temperature_milli: 1000,
            ..Sampling::GREEDY
        },
        seed: [3; 32],
    };
    let start = seconds(threads);
    let runs = engine.generate(&job, &mut |_| ControlFlow::Continue(()))?;
    let decode = seconds(threads) - start;
    let list = &runs[0].tokens;
    let new = &list[job.prompt.len()..];
    let start = seconds(threads);
    let wrong = engine.check_tokens(&job, &[new], &mut |_, _| ControlFlow::Continue(()))?;
    let check = seconds(threads) - start;
    if wrong != [None] {
        return Err("a token of the run is not the one that is selected".into());
    }
    let tokens = list.len();
    println!(
        "{shape}: {} new tokens; decode {:.1} tokens/s, check {:.1} tokens/s, {:.1} times",
        new.len(),
        new.len() as f64 / decode,
        new.len() as f64 / check,
        decode / check
    );

    let before = anonymous_kib() as f64 * 1024.0 / 1e6;
    let trace_options = TraceOptions {
        threads,
        ..TraceOptions::default()
    };
    let (mut trace, seconds, peak) = measure(|| {
        Ok(Trace::build(
            model.clone(),
            backend.clone(),
            list,
            (tokens as u32 / 8).max(1),
            trace_options,
            &mut |_, _| (),
        )?)
    })?;
    let leaves = trace.layout().row_leaves();
    println!(
        "{shape}: trace {seconds:.1} s, {leaves} leaves a row; anonymous memory {before:.0} MB before, {peak:.0} MB peak; root {}",
        trace.root()
    );
    let row = trace.rows() - 1;
    let layout = trace.layout().clone();
    let mut mix = None;
    for number in 0..layout.steps() {
        let step = layout.step(number)?;
        if step.op == Op::AttnMix && step.layer == layout.program().layers() / 2 {
            mix = Some(step);
        }
    }
    let Some(mix) = mix else { return Ok(()) };
    let (_, leaf, _) = measure(|| Ok(trace.leaf_path(row, mix.first_leaf)?))?;
    let (_, again, _) = measure(|| Ok(trace.leaf_path(row, mix.first_leaf)?))?;
    let site = Site::of(&layout, mix.number)?;
    let (_, totals, peak) = measure(|| Ok(site.totals(&mut trace, row, 0)?))?;
    println!(
        "{shape}: a path {leaf:.3} s, again {again:.4} s; totals of an attention element of row {row} {totals:.2} s; {peak:.0} MB peak"
    );
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, otherwise| -> Result<usize> {
        Ok(arguments
            .get(i)
            .map_or(Ok(otherwise), |text| text.parse())?)
    };
    if arguments.first().is_some_and(|first| first == "measure") {
        let folder = PathBuf::from(&arguments[1]);
        return run(&arguments[2], &folder, number(3, 0)?, number(4, 0)?);
    }
    let shapes = match arguments.first() {
        Some(shape) => vec![shape.as_str()],
        None => vec!["fable", "15M", "110M"],
    };
    let (tokens, threads) = (number(1, 512)?, number(2, 0)?);
    for shape in shapes {
        let folder = tempfile::tempdir()?;
        make(shape, folder.path())?;
        // A process of its own, so that making the model does not count.
        let status = Command::new(std::env::current_exe()?)
            .arg("measure")
            .arg(folder.path())
            .args([shape, &tokens.to_string(), &threads.to_string()])
            .status()?;
        if !status.success() {
            return Err("the measurement failed".into());
        }
    }
    Ok(())
}
