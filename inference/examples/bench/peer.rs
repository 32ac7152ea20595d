//! The peers: llama.cpp in a process of its own, and a forward pass in C.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use sworn_inference::program::LlamaConfig;

use super::measure::{Cost, Test};
use super::{Result, machine, models};

/// llama.cpp.
pub(crate) struct Peer {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it with an interpreter that has `llama-cpp-python`.
    pub(crate) fn start(python: &Path) -> Result<Peer> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bench/peer.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", python.display()))?;
        let input = process.stdin.take().ok_or("no input")?;
        let output = BufReader::new(process.stdout.take().ok_or("no output")?);
        Ok(Peer {
            process,
            input,
            output,
        })
    }

    fn ask(&mut self, request: &str) -> Result<String> {
        let mut answer = String::new();
        writeln!(self.input, "{request}").map_err(|_| "the process has ended")?;
        if self.output.read_line(&mut answer)? == 0 {
            return Err("the process has ended".into());
        }
        Ok(answer.trim().to_owned())
    }

    /// Loads a model in place of the last one; gives what the library was compiled with.
    pub(crate) fn open(&mut self, file: &Path) -> Result<String> {
        self.ask(&format!("open {}", file.display()))
    }

    pub(crate) fn run(&mut self, test: Test, threads: usize) -> Result<Cost> {
        let answer = self.ask(&match test {
            Test::Decode(count) => format!("decode {count} {threads}"),
            Test::Batch(sequences, count) => format!("batch {sequences} {count} {threads}"),
            Test::Prefill(count) | Test::Verify(count) => format!("prefill {count} {threads}"),
        })?;
        cost(&answer)
    }

    /// The logits after each of these tokens, `[tokens, vocabulary]`; `file` is written on the way.
    pub(crate) fn logits(&mut self, tokens: &[u32], file: &Path) -> Result<Vec<f32>> {
        let ids: Vec<String> = tokens.iter().map(u32::to_string).collect();
        self.ask(&format!("logits {}\t{}", file.display(), ids.join("\t")))?;
        let bytes = std::fs::read(file)?;
        let _ = std::fs::remove_file(file);
        Ok(bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It would end by itself at the end of its input; whether it is still there does not matter.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn cost(answer: &str) -> Result<Cost> {
    let mut numbers = answer.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(time), Some(busy)) => Ok(Cost {
            time: time?,
            busy: busy?,
        }),
        _ => Err(format!("no two numbers but \"{answer}\"").into()),
    }
}

/// `benches/f32_forward.c`, compiled.
pub(crate) struct F32 {
    program: PathBuf,
    /// What compiled it, for the report.
    pub(crate) compiler: String,
    threads: bool,
}

impl F32 {
    /// Compiles it with the first set of flags that the compiler takes.
    pub(crate) fn compile(folder: &Path) -> Result<F32> {
        let flags = [
            "-Ofast -march=native -fopenmp",
            "-Ofast -march=native",
            "-O3",
        ];
        for flags in flags {
            if let Ok(program) = machine::compile(folder, "f32_forward", flags) {
                return Ok(F32 {
                    program,
                    compiler: format!("cc {flags}"),
                    threads: flags.contains("openmp"),
                });
            }
        }
        Err("cc does not compile benches/f32_forward.c".into())
    }

    /// Greedy decoding of `count` tokens.
    pub(crate) fn run(&self, config: &LlamaConfig, count: u32, threads: usize) -> Result<Cost> {
        if threads > 1 && !self.threads {
            return Err("the compiler has no OpenMP".into());
        }
        let needed = models::parameters(config) * 4;
        if machine::available_memory().is_some_and(|bytes| bytes < needed + needed / 8) {
            return Err(format!("its weights take {} of memory", machine::size(needed)).into());
        }
        let shape = [
            config.dim,
            config.hidden_dim,
            config.n_layers,
            config.n_heads,
            config.n_kv_heads,
            config.vocab_size,
            count,
        ];
        let output = Command::new(&self.program)
            .args(shape.map(|number| number.to_string()))
            .env("OMP_NUM_THREADS", threads.to_string())
            .stderr(Stdio::null())
            .output()?;
        if !output.status.success() {
            return Err(format!("it ended with {}", output.status).into());
        }
        cost(&String::from_utf8_lossy(&output.stdout))
    }
}
