//! Speed of decoding and of prefill, beside llama.cpp on the same weights (random, from a seed) in one run.
//!
//! ```text
//! cargo run --release -p sworn-inference --example bench -- [shape=15M,110M,1.1B] [format=q8_0,q4_0] [threads=1,2]
//!     [test=decode,prefill128,prefill512,batch8] [backend=auto|avx2|avx512|portable] [rounds=5] [python=PATH] [profile] [speculation]
//! ```
//! Runs are interleaved, one of ours and one of the peer's in turn, and medians are compared: of processor time for one thread, else of time, which other
//! programs disturb. With `profile` the time of every operation is printed instead, with `speculation` what guessing ahead gives (the shape `fable` is the
//! shipped model). `python` is an interpreter that has `llama-cpp-python`; without it only Sworn is measured. Files are kept in `target/bench`.

mod models;
mod peer;
mod profile;
mod speculation;

use std::path::{Path, PathBuf};
use std::time::Instant;

use peer::Peer;
use sworn_inference::backend::Backend;
use sworn_inference::engine::{
    BackendKind, EngineOptions, Network, Row, Sampling, Session, select,
};
use sworn_inference::format::packed::Model;
use sworn_inference::program::WeightFormat;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What is measured.
#[derive(Clone, Copy)]
enum Test {
    /// Greedy tokens, one at a time, after one token of prompt.
    Decode(u32),
    /// A prompt of that many tokens.
    Prefill(u32),
    /// Greedy tokens of that many sequences at once, in all; the peer runs as many of one.
    Batch(usize, u32),
}

impl Test {
    fn count(self) -> u32 {
        match self {
            Test::Decode(count) | Test::Prefill(count) | Test::Batch(_, count) => count,
        }
    }
}

/// Time and processor time of some work, in seconds.
#[derive(Clone, Copy)]
struct Cost {
    time: f64,
    busy: f64,
}

impl Cost {
    fn of(self, threads: usize) -> f64 {
        if threads == 1 { self.busy } else { self.time }
    }
}

struct Arguments {
    shapes: Vec<String>,
    formats: Vec<WeightFormat>,
    threads: Vec<usize>,
    tests: Vec<String>,
    backend: BackendKind,
    rounds: usize,
    python: Option<PathBuf>,
    profile: bool,
    speculation: bool,
}

fn arguments() -> Result<Arguments> {
    let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let mut out = Arguments {
        shapes: list("15M,110M,1.1B"),
        formats: vec![WeightFormat::Q8_0, WeightFormat::Q4_0],
        threads: vec![1, 2],
        tests: list("decode,prefill128,prefill512,batch8"),
        backend: BackendKind::Auto,
        rounds: 5,
        python: None,
        profile: false,
        speculation: false,
    };
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
        match name {
            "shape" => out.shapes = list(value),
            "format" => {
                out.formats = list(value)
                    .iter()
                    .map(|name| models::format(name))
                    .collect::<Result<_>>()?;
            }
            "threads" => {
                out.threads = list(value)
                    .iter()
                    .map(|n| n.parse())
                    .collect::<std::result::Result<_, _>>()?
            }
            "test" => out.tests = list(value),
            "backend" => {
                out.backend = match value {
                    "auto" => BackendKind::Auto,
                    "portable" => BackendKind::Portable,
                    "avx2" => BackendKind::Avx2,
                    "avx512" => BackendKind::Avx512,
                    _ => return Err(format!("no backend {value}").into()),
                }
            }
            "rounds" => out.rounds = value.parse()?,
            "python" => out.python = Some(PathBuf::from(value)),
            "profile" => out.profile = true,
            "speculation" => out.speculation = true,
            _ => return Err(format!("no argument {name}").into()),
        }
    }
    Ok(out)
}

fn test(name: &str, shape: &str) -> Result<Test> {
    if name == "decode" {
        return Ok(Test::Decode(if shape == "1.1B" { 48 } else { 256 }));
    }
    if let Some(sequences) = name.strip_prefix("batch") {
        let sequences = sequences.parse()?;
        let each = if shape == "1.1B" { 16 } else { 64 };
        return Ok(Test::Batch(sequences, each * sequences as u32));
    }
    let count = name
        .strip_prefix("prefill")
        .ok_or_else(|| format!("no test {name}"))?;
    Ok(Test::Prefill(count.parse()?))
}

fn busy() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    ns.map_or(f64::NAN, |ns| ns / 1e9)
}

/// Runs a test with our engine.
fn run(network: Network<'_>, backend: &dyn Backend, test: Test) -> Result<Cost> {
    let sampling = Sampling {
        temperature_milli: 0,
        top_k: 0,
        top_p_ppm: 1_000_000,
        min_p_ppm: 0,
    };
    let (mut session, mut scratch) = (Session::new(network, backend), Vec::new());
    let sequence = session.start();
    let vocabulary = network.program.vocab_size();
    let (start, start_busy) = (Instant::now(), busy());
    match test {
        Test::Decode(count) => {
            let mut token = 1;
            for _ in 0..count {
                let logits = session.forward(&[Row { sequence, token }], &[0], None)?;
                token = select(logits, &sampling, || 0, &mut scratch);
            }
        }
        Test::Batch(sequences, count) => {
            let wanted: Vec<usize> = (0..sequences).collect();
            let mut rows = vec![Row { sequence, token: 1 }];
            rows.extend((1..sequences).map(|i| Row {
                sequence: session.start(),
                token: i as u32,
            }));
            for _ in 0..count as usize / sequences {
                let logits = session.forward(&rows, &wanted, None)?;
                for (row, logits) in rows.iter_mut().zip(logits.chunks(vocabulary as usize)) {
                    row.token = select(logits, &sampling, || 0, &mut scratch);
                }
            }
        }
        Test::Prefill(count) => {
            let rest = (0..count - 1).map(|i| 259 + i * 37 % 1000 % (vocabulary - 259));
            let prompt: Vec<u32> = std::iter::once(1).chain(rest).collect();
            let logits = session.prefill(sequence, &prompt)?;
            select(logits, &sampling, || 0, &mut scratch);
        }
    }
    Ok(Cost {
        time: start.elapsed().as_secs_f64(),
        busy: busy() - start_busy,
    })
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Bytes a second that one thread reads in order, from memory that no cache holds.
fn streaming() -> f64 {
    let data = vec![1u64; 1 << 26];
    let rates = (0..5).map(|_| {
        let start = busy();
        let mut sums = [0u64; 16];
        for chunk in data.as_chunks::<16>().0 {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum ^= x;
            }
        }
        std::hint::black_box(sums);
        (data.len() * 8) as f64 / (busy() - start)
    });
    median(rates.collect())
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder)?;
    let mut peer = arguments.python.as_deref().map(Peer::start).transpose()?;
    println!("streaming, 1 thread: {:.1} GB/s", streaming() / 1e9);
    let mut results = Vec::new();
    for shape in &arguments.shapes {
        for format in &arguments.formats {
            let (file, packed) = models::make(&folder, shape, *format)?;
            let start = Instant::now();
            let model = Model::open(&packed)?;
            println!(
                "{shape} {format:?}: opened in {:.0} ms",
                start.elapsed().as_secs_f64() * 1e3
            );
            if arguments.speculation {
                speculation::print(shape, model, arguments.rounds)?;
                continue;
            }
            if let Some(peer) = &mut peer {
                println!("peer: {}", peer.open(&file)?);
            }
            let network = Network {
                program: model.program(),
                weights: model.weights(),
            };
            for threads in &arguments.threads {
                let options = EngineOptions {
                    backend: arguments.backend,
                    threads: *threads,
                };
                let backend = options.open()?;
                for name in &arguments.tests {
                    let test = test(name, shape)?;
                    if arguments.profile {
                        profile::print(network, &*backend, test)?;
                        continue;
                    }
                    let count = test.count();
                    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                    // The first round is not counted: it warms caches up.
                    for round in 0..=arguments.rounds {
                        let cost = run(network, &*backend, test)?.of(*threads);
                        let other = match &mut peer {
                            Some(peer) => peer.run(test, *threads)?.of(*threads),
                            None => f64::NAN,
                        };
                        if round > 0 {
                            ours.push(f64::from(count) / cost);
                            theirs.push(f64::from(count) / other);
                        }
                    }
                    let ratios = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
                    let (ours, theirs, ratio) = (median(ours), median(theirs), median(ratios));
                    let format = format!("{format:?}");
                    println!(
                        "{shape:<6} {format:<6} {name:<11} {threads} threads  {:<10} {ours:>9.1} tok/s  peer {theirs:>9.1}  ratio {ratio:.2}",
                        backend.name(),
                    );
                    results.push(serde_json::json!({
                        "shape": shape, "quantisation": format, "test": name, "threads": threads,
                        "isa": backend.name(), "sworn": ours, "peer": theirs, "ratio": ratio,
                    }));
                }
            }
        }
    }
    if !results.is_empty() {
        std::fs::write(
            folder.join("results.json"),
            serde_json::to_string_pretty(&results)?,
        )?;
    }
    Ok(())
}
