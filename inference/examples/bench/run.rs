//! The measurement: all rows of a plan, into `results.json`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sworn_inference::engine::{BackendKind, Engine, EngineOptions};
use sworn_inference::format::packed::Model;

use super::arguments::Arguments;
use super::machine::Machine;
use super::measure::{self, Cost, median};
use super::peers::{Peers, or_message};
use super::plan::{self, Against, Row};
use super::{Result, accuracy, machine, models, table};

/// When a quick run starts no more rows, so that it ends within ten minutes.
const QUICK: Duration = Duration::from_secs(9 * 60);

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
    if row.shape == "1.1B" && row.against != Against::F32 && row.backend == BackendKind::Auto {
        bound(row, ours, machine, &mut out)?;
    }
    Ok(out)
}

/// How near a row comes to what bounds it: the bandwidth where weights are read once a token and no cache holds them, the peak of int8 products where many
/// tokens share a reading. Only where both are of the same instructions.
fn bound(row: &Row, ours: f64, machine: &Machine, out: &mut Value) -> Result<()> {
    let config = models::config(&row.shape)?;
    match row.test {
        measure::Test::Decode(_) => {
            let bytes = models::bytes(&config, row.format);
            let bandwidth = machine.bandwidth(row.threads);
            out["bytes_per_token"] = json!(bytes);
            out["share_of_bandwidth"] = json!(bandwidth.map(|rate| bytes as f64 * ours / rate));
        }
        measure::Test::Prefill(_) => {
            let products = models::parameters(&config);
            let peak = machine.peak(row.threads);
            out["operations_per_token"] = json!(2 * products);
            out["share_of_int8_peak"] = json!(peak.map(|rate| 2.0 * products as f64 * ours / rate));
        }
        _ => {}
    }
    Ok(())
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
    let share = table::share(value).map_or(String::new(), |share| format!(", {share}"));
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

/// The engine of a row. An accelerator is attached here (`Engine::with_accelerator`); its rows need time, not processor time, in `Cost::of`.
fn engine(model: &Arc<Model>, row: &Row) -> Result<Engine> {
    let options = EngineOptions {
        backend: row.backend,
        threads: row.threads,
    };
    Ok(Engine::new(Arc::clone(model), options)?)
}

/// Measures all that a command line asks for.
pub(crate) fn measure(arguments: &Arguments, folder: &Path) -> Result<()> {
    let wanted = |test: &str| arguments.tests.iter().any(|name| name == test);
    let mut threads = arguments.threads.clone();
    threads.retain(|n| *n <= machine::cores());
    let machine = Machine::measure(folder, &threads)?;
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
        peers.forget();
    }
    let (mut done, mut late) = (0, 0);
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
            if arguments.quick && start.elapsed() > QUICK {
                late += 1;
                continue;
            }
            let key = (row.backend, row.threads);
            if engine.as_ref().is_none_or(|(other, _)| *other != key) {
                engine = Some((key, self::engine(&model, row)?));
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
    if late > 0 {
        eprintln!("{late} rows are left out: the time of a quick run is over");
    }
    println!("\n{}", table::markdown(&results));
    println!("written to {}", folder.join("results.json").display());
    Ok(())
}

fn push(list: &mut Value, value: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(value);
    }
}
