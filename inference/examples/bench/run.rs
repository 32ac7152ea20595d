//! The measurement: all rows of a plan, into `results.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use sworn_inference::engine::{BackendKind, Engine, EngineOptions};
use sworn_inference::format::packed::Model;

use super::arguments::Arguments;
use super::machine::Machine;
use super::measure::{self, Cost, median};
use super::peer::{F32, Peer};
use super::plan::{self, Against, Row};
use super::{Result, accuracy, models, table};

/// The peers that are there. One that fails is given up with a message, and our columns go on.
struct Peers {
    native: Option<Peer>,
    avx2: Option<Peer>,
    f32: Option<F32>,
    /// The model that llama.cpp runs.
    file: PathBuf,
    /// What each was compiled with.
    about: BTreeMap<&'static str, String>,
}

/// The value, or a message and nothing.
fn or_message<T>(what: &str, result: Result<T>) -> Option<T> {
    result
        .map_err(|error| eprintln!("{what} is left out: {error}"))
        .ok()
}

impl Peers {
    fn start(arguments: &Arguments, folder: &Path, rows: &[Row]) -> Peers {
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

    /// Loads a model wherever it is not loaded.
    fn open(&mut self, file: &Path) {
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

    fn run(&mut self, row: &Row, test: measure::Test) -> Option<Cost> {
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

/// Tokens a second of ours and of the peer's, and the ratio: medians.
fn speeds(engine: &Engine, peers: &mut Peers, row: &Row) -> Result<[f64; 3]> {
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut there = true;
    // The first round is not counted: it warms caches up.
    for round in 0..=row.rounds {
        let test = if round == 0 {
            row.test.warm_up()
        } else {
            row.test
        };
        let (mine, other) = if row.against == Against::Decode {
            let (checking, decoding) = measure::verify(engine, test.count())?;
            (checking, Some(decoding))
        } else {
            let mine = measure::run(engine, test)?;
            // The program in C has no state that could be warm.
            let cold = round == 0 && row.against == Against::F32;
            let other = if there && !cold {
                peers.run(row, test)
            } else {
                None
            };
            there = cold || other.is_some();
            (mine, other)
        };
        if round == 0 {
            continue;
        }
        let speed = |cost: Cost| f64::from(test.count()) / cost.of(row.threads);
        let other = other.map_or(f64::NAN, speed);
        ours.push(speed(mine));
        theirs.push(other);
        ratios.push(speed(mine) / other);
    }
    Ok([median(ours), median(theirs), median(ratios)])
}

/// The row as the report has it.
fn report(row: &Row, [ours, theirs, ratio]: [f64; 3], machine: &Machine) -> Result<Value> {
    let mut out = json!({
        "shape": row.shape, "quantisation": format!("{:?}", row.format), "test": row.name, "threads": row.threads,
        "isa": plan::isa(row.backend), "sworn": ours, "peer": theirs, "peer_name": row.against.name(), "ratio": ratio,
        "rounds": row.rounds, "tokens": row.test.count(),
    });
    // Where weights are read once a token and no cache holds them, the bandwidth bounds the speed.
    let decode = matches!(row.test, measure::Test::Decode(_));
    if decode && row.shape == "1.1B" && row.against != Against::F32 {
        let bytes = models::bytes(&models::config(&row.shape)?, row.format);
        let share = machine
            .bandwidth(row.threads)
            .map(|bandwidth| bytes as f64 * ours / bandwidth);
        out["bytes_per_token"] = json!(bytes);
        out["share_of_bandwidth"] = json!(share);
    }
    Ok(out)
}

fn progress(row: &Row, value: &Value) -> String {
    let number = |key: &str| value[key].as_f64();
    let peer = number("peer").map_or(format!("no {}", row.against.name()), |peer| {
        format!(
            "{} {peer:.1}, ratio {:.2}",
            row.against.name(),
            number("ratio").unwrap_or(f64::NAN)
        )
    });
    let share = number("share_of_bandwidth").map_or(String::new(), |share| {
        format!(", {:.0} % of the bandwidth", share * 100.0)
    });
    format!(
        "{} {:?} {} {} thread{} {}: {:.1} tokens/s, {peer}{share}",
        row.shape,
        row.format,
        row.name,
        row.threads,
        if row.threads == 1 { "" } else { "s" },
        plan::isa(row.backend),
        number("sworn").unwrap_or(f64::NAN),
    )
}

/// Measures all that a command line asks for.
pub(crate) fn measure(arguments: &Arguments, folder: &Path) -> Result<()> {
    let wanted = |test: &str| arguments.tests.iter().any(|name| name == test);
    let machine = Machine::measure(folder, &arguments.threads)?;
    let about = machine.json();
    println!("{}", serde_json::to_string_pretty(&about)?);
    let (rows, messages) = plan::plan(arguments, &machine)?;
    for message in messages {
        eprintln!("{message}");
    }
    let mut models: Vec<_> = rows
        .iter()
        .map(|row| (row.shape.clone(), row.format))
        .collect();
    models.dedup();
    models::check_room(folder, &models)?;
    let mut peers = Peers::start(arguments, folder, &rows);
    let (start, expected) = (
        Instant::now(),
        rows.iter().map(|row| row.seconds).sum::<f64>() / 60.0,
    );
    println!(
        "{} rows, about {expected:.0} minutes once the models are made",
        rows.len()
    );
    let mut results = json!({
        "machine": about, "quick": arguments.quick, "models": [], "rows": [], "accuracy": [],
    });
    let save = |results: &Value| -> Result<()> {
        let text = serde_json::to_string_pretty(results)?;
        Ok(std::fs::write(folder.join("results.json"), text + "\n")?)
    };
    if wanted("accuracy") {
        let row = accuracy::measure(folder, peers.native.as_mut());
        if let Some(row) = or_message("accuracy", row) {
            println!("accuracy: {row}");
            push(&mut results["accuracy"], row);
        }
        peers.file = PathBuf::new();
    }
    let mut done = 0;
    for (shape, format) in models {
        let (file, packed) = models::make(folder, &shape, format)?;
        let opening = Instant::now();
        let model = Arc::new(Model::open(&packed)?);
        let opening = opening.elapsed().as_secs_f64() * 1e3;
        println!("{shape} {format:?}: opened in {opening:.0} ms");
        push(
            &mut results["models"],
            json!({ "shape": shape, "quantisation": format!("{format:?}"), "open_ms": opening }),
        );
        peers.open(&file);
        // Engines by backend and threads; only the last one is kept.
        let mut engine: Option<((BackendKind, usize), Engine)> = None;
        for row in rows
            .iter()
            .filter(|row| row.shape == shape && row.format == format)
        {
            let key = (row.backend, row.threads);
            if engine.as_ref().is_none_or(|(other, _)| *other != key) {
                let options = EngineOptions {
                    backend: row.backend,
                    threads: row.threads,
                };
                engine = Some((key, Engine::new(Arc::clone(&model), options)?));
            }
            let Some((_, engine)) = &engine else { continue };
            let value = report(row, speeds(engine, &mut peers, row)?, &machine)?;
            done += 1;
            println!(
                "[{done}/{}, {:.1} of about {expected:.0} min] {}",
                rows.len(),
                start.elapsed().as_secs_f64() / 60.0,
                progress(row, &value)
            );
            push(&mut results["rows"], value);
        }
        results["machine"]["peers"] = json!(peers.about);
        save(&results)?;
    }
    results["machine"]["peers"] = json!(peers.about);
    save(&results)?;
    println!("\n{}", table::markdown(&results));
    println!("written to {}", folder.join("results.json").display());
    Ok(())
}

fn push(list: &mut Value, value: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(value);
    }
}
