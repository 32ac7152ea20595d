//! Where the time of a decode step goes: a backend that times every operation of another.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use sworn_inference::backend::{AttentionOut, AttentionRow, Backend, MatmulInput};
use sworn_inference::engine::{EngineOptions, Network, Row, Sampling, Session, select};
use sworn_inference::format::packed::{Model, PackedTensor};
use sworn_inference::program::{AttentionShape, LlamaConfig};

use super::arguments::Arguments;
use super::measure::median;
use super::{Result, machine, models, root, table};

/// Kinds of work by number, in the order of the report; the rest is everything else.
const KINDS: [&str; 10] = [
    "matmul: q, k, v, o",
    "matmul: gate, up",
    "matmul: down",
    "matmul: head",
    "attention",
    "norms",
    "quantise activations",
    "rope, to f16, add, silu",
    "embed",
    "select the token",
];
const MATMUL: usize = 0;
const ATTENTION: usize = 4;
const NORMS: usize = 5;
const QUANTISE: usize = 6;
const SMALL: usize = 7;
const EMBED: usize = 8;
const SELECT: usize = 9;

#[derive(Debug)]
struct Timed<'a> {
    inner: &'a dyn Backend,
    config: &'a LlamaConfig,
    /// Nanoseconds by kind.
    times: [AtomicU64; KINDS.len()],
}

impl Timed<'_> {
    fn time<T>(&self, kind: usize, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = work();
        self.times[kind].fetch_add(start.elapsed().as_nanos() as u64, Relaxed);
        out
    }

    fn matmul_kind(&self, weights: PackedTensor<'_>) -> usize {
        let shape = weights.shape();
        MATMUL
            + if shape.rows == self.config.vocab_size {
                3
            } else if shape.cols == self.config.hidden_dim {
                2
            } else {
                usize::from(shape.rows == self.config.hidden_dim)
            }
    }
}

impl Backend for Timed<'_> {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn embed(&self, weights: PackedTensor<'_>, tokens: &[u32], out: &mut [f32]) {
        self.time(EMBED, || self.inner.embed(weights, tokens, out));
    }

    fn norm_stat(&self, x: &[f32], dim: usize, eps: f32, out: &mut [f32]) {
        self.time(NORMS, || self.inner.norm_stat(x, dim, eps, out));
    }

    fn norm_apply(&self, x: &[f32], r: &[f32], weights: PackedTensor<'_>, out: &mut [f32]) {
        self.time(NORMS, || self.inner.norm_apply(x, r, weights, out));
    }

    fn quantise(&self, x: &[f32], scales: &mut [f32], quants: &mut [i8]) {
        self.time(QUANTISE, || self.inner.quantise(x, scales, quants));
    }

    fn matmul(&self, weights: PackedTensor<'_>, x: MatmulInput<'_>, out: &mut [f32]) {
        let kind = self.matmul_kind(weights);
        self.time(kind, || self.inner.matmul(weights, x, out));
    }

    fn rope(
        &self,
        x: &[f32],
        head_dim: usize,
        table: PackedTensor<'_>,
        positions: &[u32],
        out: &mut [f32],
    ) {
        self.time(SMALL, || {
            self.inner.rope(x, head_dim, table, positions, out)
        });
    }

    fn to_f16(&self, x: &[f32], out: &mut [u16]) {
        self.time(SMALL, || self.inner.to_f16(x, out));
    }

    fn attention(
        &self,
        shape: &AttentionShape,
        q: &[f32],
        rows: &[AttentionRow<'_>],
        out: AttentionOut<'_>,
    ) {
        self.time(ATTENTION, || self.inner.attention(shape, q, rows, out));
    }

    fn add(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        self.time(SMALL, || self.inner.add(x, y, out));
    }

    fn silu_mul(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        self.time(SMALL, || self.inner.silu_mul(x, y, out));
    }
}

/// Tokens that a profile is the mean of.
fn tokens(shape: &str) -> u32 {
    if shape == "1.1B" { 32 } else { 256 }
}

/// Decodes greedily; gives nanoseconds a token. Selections are timed by `select_time`.
fn decode(
    network: Network<'_>,
    backend: &dyn Backend,
    count: u32,
    select_time: &mut u64,
) -> Result<f64> {
    let (mut session, mut scratch) = (Session::new(network, backend), Vec::new());
    let sequence = session.start();
    let (mut token, start) = (1, Instant::now());
    for _ in 0..count {
        let logits = session.forward(&[Row { sequence, token }], &[0], None)?;
        let start = Instant::now();
        token = select(logits, &Sampling::GREEDY, || 0, &mut scratch);
        *select_time += start.elapsed().as_nanos() as u64;
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(count))
}

/// Microseconds a token of each kind of work, then of the rest, of all, and of all without timers: medians of some runs.
fn profile(
    model: &Model,
    config: &LlamaConfig,
    options: EngineOptions,
    count: u32,
    rounds: usize,
) -> Result<Vec<f64>> {
    let backend = options.open()?;
    let network = Network {
        program: model.program(),
        weights: model.weights(),
    };
    let mut columns = vec![Vec::new(); KINDS.len() + 3];
    decode(network, &*backend, count / 4, &mut 0)?;
    for _ in 0..rounds {
        let plain = decode(network, &*backend, count, &mut 0)?;
        let mut timed = Timed {
            inner: &*backend,
            config,
            times: Default::default(),
        };
        let mut select_time = 0;
        let all = decode(network, &timed, count, &mut select_time)?;
        *timed.times[SELECT].get_mut() = select_time;
        let mut rest = all;
        for (column, time) in columns.iter_mut().zip(&mut timed.times) {
            let time = *time.get_mut() as f64 / f64::from(count);
            rest -= time;
            column.push(time / 1e3);
        }
        for (column, time) in columns[KINDS.len()..].iter_mut().zip([rest, all, plain]) {
            column.push(time / 1e3);
        }
    }
    Ok(columns.into_iter().map(median).collect())
}

/// Profiles decoding of every shape and writes the tables into `docs/profile.md`.
pub(crate) fn write(arguments: &Arguments, folder: &Path) -> Result<()> {
    let mut out = String::new();
    for shape in &arguments.shapes {
        for format in &arguments.formats {
            let (_, packed) = models::make(folder, shape, *format)?;
            let (model, config) = (Arc::new(Model::open(&packed)?), models::config(shape)?);
            let mut columns = Vec::new();
            let cores = machine::cores();
            for threads in arguments.threads.iter().filter(|n| **n <= cores) {
                let options = EngineOptions {
                    backend: arguments.backend.unwrap_or_default(),
                    threads: *threads,
                };
                println!("{shape} {format:?}, {threads} threads");
                let rounds = arguments.rounds.unwrap_or(5);
                let times = profile(&model, &config, options, tokens(shape), rounds)?;
                columns.push((*threads, options.open()?.name(), times));
            }
            out += &section(&format!("{shape}, {format:?}"), tokens(shape), &columns);
        }
    }
    println!("{out}");
    table::replace(&root("docs/profile.md"), "profile", &out)
}

fn section(title: &str, count: u32, columns: &[(usize, String, Vec<f64>)]) -> String {
    let mut out = format!("### {title}\n\n");
    let names: Vec<_> = columns.iter().map(|(_, name, _)| name.as_str()).collect();
    out += &format!(
        "Microseconds a token, decoding {count} tokens; {}.\n\n| |",
        names.join("; ")
    );
    for (threads, ..) in columns {
        let plural = if *threads == 1 { "" } else { "s" };
        out += &format!(" {threads} thread{plural} | share |");
    }
    out += "\n|---|";
    out += &"---:|---:|".repeat(columns.len());
    let mut row = |name: &str, i: usize, share: bool| {
        out += &format!("\n| {name} |");
        for (.., times) in columns {
            let all = times[KINDS.len() + 1];
            out += &format!(" {:.1} |", times[i]);
            out += &match share {
                true => format!(" {:.1} % |", 100.0 * times[i] / all),
                false => " |".to_owned(),
            };
        }
    };
    for (i, kind) in KINDS.iter().enumerate() {
        row(kind, i, true);
    }
    row(
        "rest: bookkeeping of the session, timers",
        KINDS.len(),
        true,
    );
    row("all", KINDS.len() + 1, true);
    row("all, without timers", KINDS.len() + 2, false);
    out + "\n\n"
}
