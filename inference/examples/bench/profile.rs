//! Where the time of a test goes: a backend that times every operation of another.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use sworn_inference::backend::{AttentionOut, AttentionRow, Backend, MatmulInput};
use sworn_inference::engine::Network;
use sworn_inference::format::packed::PackedTensor;
use sworn_inference::program::AttentionShape;

use super::{Result, Test, run};

#[derive(Debug)]
struct Timed<'a> {
    inner: &'a dyn Backend,
    /// Calls and seconds by operation.
    times: Mutex<BTreeMap<String, (u64, f64)>>,
}

impl Timed<'_> {
    fn time(&self, name: impl Into<String>, work: impl FnOnce()) {
        let start = Instant::now();
        work();
        let seconds = start.elapsed().as_secs_f64();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = times.entry(name.into()).or_default();
        *entry = (entry.0 + 1, entry.1 + seconds);
    }
}

impl Backend for Timed<'_> {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn embed(&self, weights: PackedTensor<'_>, tokens: &[u32], out: &mut [f32]) {
        self.time("embed", || self.inner.embed(weights, tokens, out));
    }

    fn norm_stat(&self, x: &[f32], dim: usize, eps: f32, out: &mut [f32]) {
        self.time("norm_stat", || self.inner.norm_stat(x, dim, eps, out));
    }

    fn norm_apply(&self, x: &[f32], r: &[f32], weights: PackedTensor<'_>, out: &mut [f32]) {
        self.time("norm_apply", || self.inner.norm_apply(x, r, weights, out));
    }

    fn quantise(&self, x: &[f32], scales: &mut [f32], quants: &mut [i8]) {
        self.time("quantise", || self.inner.quantise(x, scales, quants));
    }

    fn matmul(&self, weights: PackedTensor<'_>, x: MatmulInput<'_>, out: &mut [f32]) {
        let shape = weights.shape();
        let name = format!("matmul {} x {}", shape.rows, shape.cols);
        self.time(name, || self.inner.matmul(weights, x, out));
    }

    fn rope(
        &self,
        x: &[f32],
        head_dim: usize,
        table: PackedTensor<'_>,
        positions: &[u32],
        out: &mut [f32],
    ) {
        self.time("rope", || {
            self.inner.rope(x, head_dim, table, positions, out)
        });
    }

    fn to_f16(&self, x: &[f32], out: &mut [u16]) {
        self.time("to_f16", || self.inner.to_f16(x, out));
    }

    fn attention(
        &self,
        shape: &AttentionShape,
        q: &[f32],
        rows: &[AttentionRow<'_>],
        out: AttentionOut<'_>,
    ) {
        self.time("attention", || self.inner.attention(shape, q, rows, out));
    }

    fn add(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        self.time("add", || self.inner.add(x, y, out));
    }

    fn silu_mul(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        self.time("silu_mul", || self.inner.silu_mul(x, y, out));
    }
}

/// Runs a test once to warm up and once with times, and prints them per token.
pub(crate) fn print(network: Network<'_>, backend: &dyn Backend, test: Test) -> Result<()> {
    run(network, backend, test)?;
    let timed = Timed {
        inner: backend,
        times: Mutex::default(),
    };
    let cost = run(network, &timed, test)?;
    let count = test.count();
    let name = match test {
        Test::Decode(_) => "decode",
        Test::Prefill(_) => "prefill",
        Test::Batch(..) => "batched decode",
    };
    println!(
        "{name} of {count} tokens, {}: microseconds a token",
        backend.name()
    );
    let times = timed
        .times
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let micros = |seconds: f64| seconds * 1e6 / f64::from(count);
    let mut rest = cost.time;
    let mut rows: Vec<_> = times.into_iter().collect();
    rows.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
    for (name, (calls, seconds)) in rows {
        rest -= seconds;
        let share = 100.0 * seconds / cost.time;
        println!(
            "{name:<24} {:>10.1} {share:>6.1} % {calls:>8} calls",
            micros(seconds)
        );
    }
    println!(
        "{:<24} {:>10.1} {:>6.1} %",
        "rest",
        micros(rest),
        100.0 * rest / cost.time
    );
    println!("{:<24} {:>10.1}", "all", micros(cost.time));
    Ok(())
}
