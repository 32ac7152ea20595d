//! All peers of a measurement.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::arguments::Arguments;
use super::measure::{self, Cost};
use super::peer::{F32, Peer};
use super::plan::{Against, Row};
use super::{Result, models};

/// The peers that are there. One that fails is given up with a message, and our columns go on.
pub(crate) struct Peers {
    pub(crate) native: Option<Peer>,
    avx2: Option<Peer>,
    f32: Option<F32>,
    /// The model that llama.cpp runs.
    file: PathBuf,
    /// What each was compiled with.
    pub(crate) about: BTreeMap<&'static str, String>,
}

/// The value, or a message and nothing.
pub(crate) fn or_message<T>(what: &str, result: Result<T>) -> Option<T> {
    result
        .map_err(|error| eprintln!("{what} is left out: {error}"))
        .ok()
}

impl Peers {
    /// Starts those that rows need.
    pub(crate) fn start(arguments: &Arguments, folder: &Path, rows: &[Row]) -> Peers {
        let wanted = |against| rows.iter().any(|row: &Row| row.against == against);
        let accuracy = arguments.tests.iter().any(|test| test == "accuracy");
        let llama = |against: Against, given: &Option<PathBuf>, venv: &str| {
            if given
                .as_ref()
                .is_some_and(|path| path.as_os_str() == "none")
                || !(wanted(against) || accuracy && against == Against::Llama)
            {
                return None;
            }
            let usual = folder.join(venv).join("bin/python");
            let python = given.as_ref().unwrap_or(&usual);
            if !python.exists() {
                let remedy = "inference/examples/bench/install.sh makes it";
                eprintln!(
                    "{} is left out: no {}; {remedy}",
                    against.name(),
                    python.display()
                );
                return None;
            }
            or_message(against.name(), Peer::start(python))
        };
        let compile = || or_message(Against::F32.name(), F32::compile(folder));
        let f32 = wanted(Against::F32).then(compile).flatten();
        let mut about = BTreeMap::new();
        about.extend(
            f32.as_ref()
                .map(|f32| (Against::F32.name(), f32.compiler.clone())),
        );
        Peers {
            native: llama(Against::Llama, &arguments.python, "venv"),
            avx2: llama(Against::LlamaAvx2, &arguments.python_avx2, "venv-avx2"),
            f32,
            file: PathBuf::new(),
            about,
        }
    }

    fn llama(&mut self, against: Against) -> &mut Option<Peer> {
        match against {
            Against::LlamaAvx2 => &mut self.avx2,
            _ => &mut self.native,
        }
    }

    /// After a peer was given another model.
    pub(crate) fn forget(&mut self) {
        self.file = PathBuf::new();
    }

    /// Loads a model wherever it is not loaded.
    pub(crate) fn open(&mut self, file: &Path) {
        if self.file == file {
            return;
        }
        self.file = file.to_owned();
        for against in [Against::Llama, Against::LlamaAvx2] {
            let peer = self.llama(against);
            let Some(opened) = peer.as_mut().map(|peer| peer.open(file)) else {
                continue;
            };
            match or_message(against.name(), opened) {
                None => *peer = None,
                Some(about) => {
                    if self.about.insert(against.name(), about.clone()).is_none() {
                        println!("{}: {about}", against.name());
                    }
                }
            }
        }
    }

    /// What a row costs its peer; nothing where that is not there.
    pub(crate) fn run(&mut self, row: &Row, test: measure::Test) -> Option<Cost> {
        let cost = match row.against {
            Against::F32 => {
                let config = models::config(&row.shape).ok()?;
                self.f32.as_ref()?.run(&config, test.count(), row.threads)
            }
            _ => self.llama(row.against).as_mut()?.run(test, row.threads),
        };
        let failed = cost.is_err();
        let cost = or_message(row.against.name(), cost);
        if failed && row.against != Against::F32 {
            *self.llama(row.against) = None;
        }
        cost
    }
}
