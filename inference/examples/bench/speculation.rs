//! What guessing ahead gives: whole runs with it and without, by turns.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use sworn_inference::engine::{Batch, Engine, EngineOptions, Job, Sampling};
use sworn_inference::format::packed::Model;

use super::arguments::Arguments;
use super::measure::{busy, median};
use super::{Result, models};

/// Seconds of processor time, tokens, guesses and right guesses of some runs.
fn run(engine: &Engine, temperature_milli: u32) -> Result<(f64, usize, u64, u64)> {
    let (mut tokens, mut guessed, mut right) = (0, 0, 0);
    let start = busy();
    for seed in 0..4u8 {
        let mut batch = Batch::new(engine);
        batch.submit(Job {
            prompt: vec![1, 260 + u32::from(seed)],
            n_runs: 1,
            max_new_tokens: 200,
            max_total_tokens: 0,
            sampling: Sampling {
                temperature_milli,
                ..Sampling::GREEDY
            },
            seed: [seed; 32],
        })?;
        while !batch.is_empty() {
            for (_, runs) in batch.step(&mut |_, _| ControlFlow::Continue(()))? {
                tokens += runs?[0].offsets.len();
            }
        }
        guessed += batch.guesses().0;
        right += batch.guesses().1;
    }
    Ok((busy() - start, tokens, guessed, right))
}

/// Prints the speed with and without guesses, on one thread.
pub(crate) fn print(arguments: &Arguments, folder: &Path) -> Result<()> {
    for shape in &arguments.shapes {
        for format in &arguments.formats {
            let (_, packed) = models::make(folder, shape, *format)?;
            let name = format!("{shape} {format:?}");
            compare(&name, Model::open(&packed)?, arguments.rounds.unwrap_or(5))?;
        }
    }
    Ok(())
}

fn compare(name: &str, model: Model, rounds: usize) -> Result<()> {
    let model = Arc::new(model);
    let options = EngineOptions {
        threads: 1,
        ..EngineOptions::default()
    };
    let on = Engine::new(Arc::clone(&model), options)?;
    let off = Engine::new(model, options)?.with_speculation(false);
    for temperature in [0, 800] {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        let mut last = (0, 0);
        for _ in 0..rounds {
            let (seconds, tokens, guessed, right) = run(&on, temperature)?;
            with.push(tokens as f64 / seconds);
            last = (guessed, right);
            let (seconds, tokens, ..) = run(&off, temperature)?;
            without.push(tokens as f64 / seconds);
        }
        let ratios = with.iter().zip(&without).map(|(a, b)| a / b).collect();
        println!(
            "{name} temperature {:.1}: {:.0} tok/s guessing, {:.0} without, ratio {:.2}; {} of {} guesses right",
            f64::from(temperature) / 1000.0,
            median(with),
            median(without),
            median(ratios),
            last.1,
            last.0,
        );
    }
    Ok(())
}
