//! The command line.

use std::path::PathBuf;

use sworn_inference::engine::BackendKind;
use sworn_inference::program::WeightFormat;

use super::{Result, models};

/// What a wrong command line is answered with.
pub(crate) const USAGE: &str = "\
usage: cargo run --release -p sworn-inference --example bench -- [MODE] [quick] [NAME=VALUE ...]

modes (without one: measure, print the table, write target/bench/results.json)
  table              write the table of results.json into README.md, and docs/bench.svg
  profile            where the time of a decode step goes, into docs/profile.md
  speculation        what guessing ahead gives

quick                fewer rounds and tests: ten minutes
shape=LIST           of 15M, 110M, 1.1B, fable (the shipped model)     [15M,110M,1.1B]
format=LIST          of f32, f16, q8_0, q4_0                           [q8_0,q4_0]
threads=LIST         numbers                                           [1,2]
test=LIST            of decode, prefillN, batchN, f32, verify, accuracy
                     [decode,prefill128,prefill512,batch8,f32,verify,accuracy]
backend=NAME         auto, portable, avx2, avx512: only that one       [auto, then avx2]
rounds=N             rounds of every row                               [by shape]
python=PATH          an interpreter with llama-cpp-python, or none     [target/bench/venv/bin/python]
python-avx2=PATH     one whose llama.cpp has no AVX-512, or none       [target/bench/venv-avx2/bin/python]

examples
  make bench QUICK=1
  cargo run --release -p sworn-inference --example bench -- shape=15M format=q8_0 test=decode threads=1";

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Measure,
    Table,
    Profile,
    Speculation,
}

/// The command line.
pub(crate) struct Arguments {
    pub(crate) mode: Mode,
    pub(crate) quick: bool,
    pub(crate) shapes: Vec<String>,
    pub(crate) formats: Vec<WeightFormat>,
    pub(crate) threads: Vec<usize>,
    pub(crate) tests: Vec<String>,
    /// Nothing for the usual ones.
    pub(crate) backend: Option<BackendKind>,
    pub(crate) rounds: Option<usize>,
    /// Interpreters of the peers; nothing for the usual place.
    pub(crate) python: Option<PathBuf>,
    pub(crate) python_avx2: Option<PathBuf>,
}

impl Arguments {
    /// Reads the command line; the error says what is wrong with it.
    pub(crate) fn parse(list: impl Iterator<Item = String>) -> Result<Arguments> {
        let mut out = Arguments {
            mode: Mode::Measure,
            quick: false,
            shapes: Vec::new(),
            formats: Vec::new(),
            threads: Vec::new(),
            tests: Vec::new(),
            backend: None,
            rounds: None,
            python: None,
            python_avx2: None,
        };
        for argument in list {
            match argument.as_str() {
                "quick" => out.quick = true,
                "table" => out.mode = Mode::Table,
                "profile" => out.mode = Mode::Profile,
                "speculation" => out.mode = Mode::Speculation,
                _ => match argument.split_once('=') {
                    Some((name, value)) if !value.is_empty() => out.set(name, value)?,
                    _ => return Err(format!("no argument \"{argument}\"").into()),
                },
            }
        }
        out.defaults();
        Ok(out)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let list = || value.split(',').map(str::to_owned);
        let number = |text: &str| match text.parse() {
            Ok(number @ 1..=1024) => Ok(number),
            _ => Err(format!("{name}={text}: not a number from 1 to 1024")),
        };
        match name {
            "shape" => {
                self.shapes = list().collect();
                for shape in &self.shapes {
                    models::config(shape)?;
                }
            }
            "format" => {
                self.formats = list()
                    .map(|name| models::format(&name))
                    .collect::<Result<_>>()?;
            }
            "threads" => {
                self.threads = list()
                    .map(|n| number(&n))
                    .collect::<std::result::Result<_, _>>()?
            }
            "test" => {
                self.tests = list().collect();
                for test in &self.tests {
                    check_test(test)?;
                }
            }
            "backend" => self.backend = Some(backend(value)?),
            "rounds" => self.rounds = Some(number(value)?),
            "python" => self.python = Some(PathBuf::from(value)),
            "python-avx2" => self.python_avx2 = Some(PathBuf::from(value)),
            _ => return Err(format!("no argument \"{name}\"").into()),
        }
        Ok(())
    }

    fn defaults(&mut self) {
        let strings = |list: &str| list.split(',').map(str::to_owned).collect();
        let profile = self.mode == Mode::Profile;
        if self.shapes.is_empty() {
            self.shapes = strings(if profile { "15M,1.1B" } else { "15M,110M,1.1B" });
        }
        if self.formats.is_empty() {
            self.formats = vec![WeightFormat::Q8_0];
            if !profile {
                self.formats.push(WeightFormat::Q4_0);
            }
        }
        if self.threads.is_empty() {
            self.threads = vec![1, 2];
        }
        if self.tests.is_empty() {
            self.tests = strings("decode,prefill128,prefill512,batch8,f32,verify,accuracy");
        }
    }
}

fn backend(name: &str) -> Result<BackendKind> {
    // A new backend is named here, in `USAGE` and in `plan::isa`.
    Ok(match name {
        "auto" => BackendKind::Auto,
        "portable" => BackendKind::Portable,
        "avx2" => BackendKind::Avx2,
        "avx512" => BackendKind::Avx512,
        _ => {
            return Err(
                format!("no backend {name}: there are auto, portable, avx2 and avx512").into(),
            );
        }
    })
}

fn check_test(name: &str) -> Result<()> {
    let number = |text: &str, most: u32| text.parse().is_ok_and(|n| (1..=most).contains(&n));
    let good = matches!(name, "decode" | "f32" | "verify" | "accuracy")
        || name.strip_prefix("prefill").is_some_and(|n| number(n, 512))
        || name.strip_prefix("batch").is_some_and(|n| number(n, 8));
    if good {
        return Ok(());
    }
    Err(format!(
        "no test {name}: there are decode, prefill1 to prefill512, batch1 to batch8, f32, verify and accuracy"
    )
    .into())
}
