//! Speed of plain decoding and of prefill on one thread, beside a straightforward f32 forward pass in C at -O3 on the same shapes.
//!
//! `cargo run -p sworn-inference --example decode [-- threads [shape]]`. Weights are random; the C program (`benches/f32_forward.c`) is compiled with
//! `cc`. Runs are interleaved, and medians are compared: of processor time for
//! one thread, else of time, which other programs disturb.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sworn_inference::Error;
use sworn_inference::engine::{
    BackendKind, EngineOptions, Network, Row, Sampling, Session, select,
};
use sworn_inference::format::packed::{LeafSource, Weights};
use sworn_inference::program::llama::{LlamaConfig, MatrixFormats, compile};
use sworn_inference::program::{Program, WeightFormat, WeightShape};
use sworn_inference::testing::Random;

const ROUNDS: usize = 5;
const TOKENS: u32 = 256;

/// A tensor of random numbers of a size that keeps activations near one.
struct RandomTensor {
    shape: WeightShape,
    seed: u64,
}

impl LeafSource for RandomTensor {
    fn shape(&self) -> WeightShape {
        self.shape
    }

    fn write_leaf(&self, row: u32, tile: u32, out: &mut Vec<u8>) {
        let mut random = Random(self.seed << 48 ^ u64::from(row) << 16 ^ u64::from(tile));
        let norm = self.shape.rows == 1;
        let spread = if norm {
            0.3
        } else {
            1.5 / (self.shape.cols as f32).sqrt()
        };
        let end = out.len() + self.shape.format.leaf_bytes();
        let count = 256.min(self.shape.cols - tile * 256);
        if self.shape.format == WeightFormat::F32 {
            (0..count).for_each(|_| {
                out.extend((random.unit() * spread + f32::from(u8::from(norm))).to_le_bytes())
            });
        } else {
            // Scales are f16 of 2^-10 to 2^-9; quants are any bytes.
            (0..8).for_each(|_| out.extend((0x1400 | random.bits() as u16 & 0x3ff).to_le_bytes()));
            out.extend((0..self.shape.format.leaf_bytes() - 16).map(|_| random.bits() as u8));
        }
        out.resize(end, 0);
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn weights(program: &Program, path: &Path) -> Result<Weights, Error> {
    let mut open = |tensor: usize| -> Result<(String, Box<dyn LeafSource>), Error> {
        Ok((
            tensor.to_string(),
            Box::new(RandomTensor {
                shape: program.weight_shape(tensor),
                seed: tensor as u64,
            }),
        ))
    };
    Weights::write(path, program, &mut open, &mut |_, _| {})?;
    Weights::open(path, program)
}

/// Seconds since some start: of processor time of this thread where the system tells (other programs disturb that little) and
/// no other thread works, else of time.
fn seconds(threads: usize, origin: Instant) -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let busy = stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
    busy.filter(|_| threads == 1)
        .map_or_else(|| origin.elapsed().as_secs_f64(), |ns| ns / 1e9)
}

fn compile_c(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/f32_forward.c");
    let program = folder.join("f32_forward");
    let status = Command::new("cc")
        .arg("-O3")
        .arg(source)
        .arg("-o")
        .arg(&program)
        .arg("-lm")
        .status();
    status
        .is_ok_and(|status| status.success())
        .then_some(program)
}

/// Tokens per second of decoding and of prefill.
fn engine(network: Network<'_>, options: &EngineOptions) -> Result<(f64, f64), Error> {
    let backend = options.open()?;
    let sampling = Sampling {
        temperature_milli: 0,
        top_k: 0,
        top_p_ppm: 1_000_000,
        min_p_ppm: 0,
    };
    let (mut session, mut scratch) = (Session::new(network, &*backend), Vec::new());
    let sequence = session.start();
    let (mut token, mut tokens, origin) = (1, Vec::new(), Instant::now());
    let start = seconds(options.threads, origin);
    for _ in 0..TOKENS {
        tokens.push(token);
        let logits = session.forward(&[Row { sequence, token }], &[0], None)?;
        token = select(logits, &sampling, || 0, &mut scratch);
    }
    let decode = f64::from(TOKENS) / (seconds(options.threads, origin) - start);
    let sequence = session.start();
    let start = seconds(options.threads, origin);
    session.prefill(sequence, &tokens)?;
    Ok((
        decode,
        f64::from(TOKENS) / (seconds(options.threads, origin) - start),
    ))
}

fn main() -> Result<(), Error> {
    let only = std::env::args().nth(2);
    let threads = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    let options = EngineOptions {
        backend: BackendKind::Threaded,
        threads,
    };
    let io = |source| Error::Io {
        path: std::env::temp_dir(),
        source,
    };
    let folder = tempfile::tempdir().map_err(io)?;
    let c = compile_c(folder.path());
    println!(
        "{:<8} {:<6} {:>12} {:>12} {:>12} {:>7}",
        "shape", "format", "C -O3 tok/s", "decode tok/s", "prefill tok/s", "ratio"
    );
    let shapes = [
        ("15M", 288, 768, 6, 6, 32_000),
        ("fable", 192, 512, 4, 6, 1024),
    ];
    for (name, dim, hidden_dim, n_layers, n_heads, vocab_size) in shapes {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        for format in [WeightFormat::F32, WeightFormat::Q8_0, WeightFormat::Q4_0] {
            let head_dim = dim / n_heads;
            let config = LlamaConfig {
                vocab_size,
                context: TOKENS,
                dim,
                hidden_dim,
                n_layers,
                n_heads,
                n_kv_heads: n_heads,
                head_dim,
                rope_dim: head_dim,
                rope_theta: 10_000.0,
                norm_eps: 1e-5,
                tied_head: true,
            };
            let program = compile(&config, &MatrixFormats::all(format), &[])?;
            let weights = weights(&program, &folder.path().join(format!("{name}-{format:?}")))?;
            let network = Network {
                program: &program,
                weights: &weights,
            };
            let (mut ours, mut prefill, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let (decode, pre) = engine(network, &options)?;
                ours.push(decode);
                prefill.push(pre);
                if let Some(c) = &c {
                    let args = [dim, hidden_dim, n_layers, n_heads, vocab_size, TOKENS]
                        .map(|n| n.to_string());
                    let output = Command::new(c).args(args).output().map_err(io)?;
                    // Processor time, then time.
                    let text = String::from_utf8_lossy(&output.stdout);
                    let number = text.split_whitespace().nth(usize::from(threads > 1));
                    theirs.extend(number.and_then(|number| number.parse::<f64>().ok()));
                }
            }
            let (ours, prefill) = (median(ours), median(prefill));
            let theirs = if theirs.is_empty() {
                f64::NAN
            } else {
                median(theirs)
            };
            println!(
                "{name:<8} {format:<6?} {theirs:>12.1} {ours:>12.1} {prefill:>12.1} {:>7.2}",
                ours / theirs
            );
        }
    }
    Ok(())
}
