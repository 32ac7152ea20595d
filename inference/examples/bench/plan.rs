//! Which rows are measured, how much of each, and about how long that takes.

use sworn_inference::backend::Threaded;
use sworn_inference::engine::BackendKind;
use sworn_inference::program::WeightFormat;

use super::arguments::Arguments;
use super::machine::{self, Machine};
use super::measure::Test;
use super::{Result, models};

/// What our engine is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Against {
    /// llama.cpp, compiled for this processor.
    Llama,
    /// llama.cpp without AVX-512.
    LlamaAvx2,
    /// A forward pass in C.
    F32,
    /// Its own decoding.
    Decode,
}

impl Against {
    /// Name for the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Against::Llama => "llama.cpp",
            Against::LlamaAvx2 => "llama.cpp (AVX2)",
            Against::F32 => "f32 in C",
            Against::Decode => "own decode",
        }
    }
}

/// A row of the report before it is measured.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) shape: String,
    pub(crate) format: WeightFormat,
    pub(crate) backend: BackendKind,
    pub(crate) against: Against,
    pub(crate) threads: usize,
    /// The test's name in the report.
    pub(crate) name: String,
    pub(crate) test: Test,
    pub(crate) rounds: usize,
    /// About as many seconds.
    pub(crate) seconds: f64,
}

/// The instruction set that a backend uses here.
pub(crate) fn isa(backend: BackendKind) -> &'static str {
    match backend {
        BackendKind::Avx2 => "avx2",
        BackendKind::Avx512 => "avx512",
        BackendKind::Portable => "portable",
        _ => Threaded::instruction_sets()
            .last()
            .copied()
            .unwrap_or("portable"),
    }
}

/// Backends with what each is compared with.
fn groups(arguments: &Arguments) -> Vec<(BackendKind, Against)> {
    let llama = |backend| match backend {
        BackendKind::Avx2 => Against::LlamaAvx2,
        _ => Against::Llama,
    };
    if let Some(backend) = arguments.backend {
        return vec![
            (backend, llama(backend)),
            (backend, Against::F32),
            (backend, Against::Decode),
        ];
    }
    let auto = BackendKind::Auto;
    let mut groups = vec![
        (auto, Against::Llama),
        (auto, Against::F32),
        (auto, Against::Decode),
    ];
    // Where AVX2 is the best that there is, the first group is this one.
    if isa(auto) != "avx2" && Threaded::instruction_sets().contains(&"avx2") {
        groups.push((BackendKind::Avx2, Against::LlamaAvx2));
    }
    // A backend on another device is one more group here.
    groups
}

/// How much of a test is run; nothing when the row is left out.
fn size(row: (&str, Against, usize), name: &str, quick: bool, chosen: bool) -> Option<Test> {
    let (shape, against, threads) = row;
    let large = shape == "1.1B";
    let by_shape = |small: u32, middle: u32, big: u32| match shape {
        "1.1B" => big,
        "110M" => middle,
        _ => small,
    };
    let test = match (against, name) {
        (Against::F32, "f32") => Test::Decode(match quick {
            true => by_shape(64, 16, 4),
            false => by_shape(256, 64, 16),
        }),
        (Against::Decode, "verify") => Test::Verify(256),
        (Against::Llama | Against::LlamaAvx2, "decode") => Test::Decode(match quick {
            true => by_shape(256, 64, 16),
            false => by_shape(256, 128, 48),
        }),
        (Against::Llama | Against::LlamaAvx2, name) => {
            if let Some(count) = name.strip_prefix("prefill") {
                Test::Prefill(count.parse().ok()?)
            } else {
                let sequences: usize = name.strip_prefix("batch")?.parse().ok()?;
                let each = match quick {
                    true => by_shape(32, 16, 4),
                    false => by_shape(64, 32, 16),
                };
                Test::Batch(sequences, each * sequences as u32)
            }
        }
        _ => return None,
    };
    // What a quick run leaves out unless it is asked for, and what the peer without AVX-512 is not asked.
    let avx2 = against == Against::LlamaAvx2;
    let left_out = avx2 && !matches!(test, Test::Decode(_) | Test::Prefill(128))
        || quick
            && (avx2 && threads > 1
                || shape == "110M" && matches!(test, Test::Prefill(512) | Test::Verify(_))
                || large && matches!(test, Test::Prefill(512))
                || large && threads > 1 && matches!(test, Test::Verify(_))
                || large && against == Against::F32);
    (chosen || !left_out).then_some(test)
}

fn rounds(shape: &str, quick: bool) -> usize {
    match (shape, quick) {
        ("1.1B", true) => 1,
        ("1.1B", false) | (_, true) => 3,
        _ => 5,
    }
}

/// About the seconds of a row, from what the machine can do.
fn estimate(row: &Row, machine: &Machine) -> Result<f64> {
    let config = models::config(&row.shape)?;
    let bytes = models::bytes(&config, row.format) as f64;
    let macs = models::parameters(&config) as f64;
    let bandwidth = machine.bandwidth(row.threads).unwrap_or(8e9);
    let peak = machine.peak(row.threads).unwrap_or(1e11);
    let run = |test: Test| {
        let (passes, rows) = test.passes();
        // Ours and the peer's together take about so many times what the bandwidth and the peak allow.
        let (reading, counting) = match test {
            Test::Decode(_) => (3.0, 0.0),
            Test::Verify(_) => (1.4, 1.5),
            Test::Prefill(_) | Test::Batch(..) => (3.0, 12.0),
        };
        let reading = f64::from(passes) * bytes / bandwidth * reading;
        let counting = f64::from(rows) * macs * 2.0 / peak * counting;
        reading + counting + f64::from(passes) * 1e-4
    };
    let rounds = row.rounds as f64;
    let mut seconds = rounds * run(row.test) + run(row.test.warm_up());
    if row.against == Against::F32 {
        // Its weights are made anew each time, and are four times as large.
        seconds += rounds * macs * 4e-9 * (1.0 + f64::from(row.test.count()) / 8.0);
    }
    Ok(seconds)
}

/// The rows of a command line, in the order in which they are measured, and messages about those that are left out.
pub(crate) fn plan(arguments: &Arguments, machine: &Machine) -> Result<(Vec<Row>, Vec<String>)> {
    let (mut rows, mut messages) = (Vec::new(), Vec::new());
    for threads in &arguments.threads {
        if *threads > machine::cores() {
            messages.push(format!(
                "rows with {threads} threads are left out: this process may use {} cores",
                machine::cores()
            ));
        }
    }
    for shape in &arguments.shapes {
        for format in &arguments.formats {
            if shape == "fable" && *format != WeightFormat::Q8_0 {
                messages.push(format!("the shipped model is Q8_0: no rows in {format:?}"));
                continue;
            }
            for (backend, against) in groups(arguments) {
                for threads in &arguments.threads {
                    for name in &arguments.tests {
                        let row = (shape.as_str(), against, *threads);
                        // A test that is asked for by name with a backend is not left out.
                        let chosen = arguments.backend.is_some();
                        let Some(test) = size(row, name, arguments.quick, chosen) else {
                            continue;
                        };
                        if *threads > machine::cores() {
                            continue;
                        }
                        let mut row = Row {
                            shape: shape.clone(),
                            format: *format,
                            backend,
                            against,
                            threads: *threads,
                            name: if name == "f32" { "decode" } else { name }.to_owned(),
                            test,
                            rounds: arguments
                                .rounds
                                .unwrap_or_else(|| rounds(shape, arguments.quick)),
                            seconds: 0.0,
                        };
                        row.seconds = estimate(&row, machine)?;
                        rows.push(row);
                    }
                }
            }
        }
    }
    Ok((rows, messages))
}
