//! The report for people: tables in Markdown, made of `results.json` alone.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{Result, chart, root};

/// Puts text between `<!-- name -->` and `<!-- /name -->` of a file.
pub(crate) fn replace(path: &Path, name: &str, text: &str) -> Result<()> {
    let old =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let parts = old.split_once(&open).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&close)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| {
        format!(
            "{} has no {open} and {close}: put both on lines of their own where the table belongs",
            path.display()
        )
    })?;
    let text = format!("{before}{open}\n{}\n{close}{after}", text.trim_end());
    std::fs::write(path, text)?;
    println!("written to {}", path.display());
    Ok(())
}

/// Writes the table into `README.md` and the chart into `docs/bench.svg`.
pub(crate) fn write(results: &Path) -> Result<()> {
    let text = std::fs::read_to_string(results)
        .map_err(|error| format!("{}: {error}; run make bench first", results.display()))?;
    let results: Value = serde_json::from_str(&text)?;
    let picture = root("docs/bench.svg");
    std::fs::write(&picture, chart::svg(&results))?;
    println!("written to {}", picture.display());
    replace(&root("README.md"), "bench", &markdown(&results))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Rows of a list of the results.
pub(crate) fn list<'a>(results: &'a Value, name: &str) -> &'a [Value] {
    results[name].as_array().map_or(&[], Vec::as_slice)
}

/// A number with three digits or more.
fn number(value: &Value) -> String {
    match value.as_f64() {
        None => "–".to_owned(),
        Some(x) if x >= 100.0 => format!("{x:.0}"),
        Some(x) if x >= 10.0 => format!("{x:.1}"),
        Some(x) => format!("{x:.2}"),
    }
}

fn ratio(value: &Value) -> String {
    value
        .as_f64()
        .map_or("–".to_owned(), |x| format!("**{x:.2}**"))
}

/// What a test is called.
pub(crate) fn test_name(name: &str) -> String {
    match name {
        "verify" => "check of a 256-token run".to_owned(),
        _ => match name.strip_prefix("prefill") {
            Some(count) => format!("prefill {count}"),
            None => name
                .strip_prefix("batch")
                .map_or(name.to_owned(), |n| format!("decode, batch of {n}")),
        },
    }
}

/// The lines about the machine.
fn header(results: &Value) -> String {
    let machine = &results["machine"];
    let by_threads = |name: &str, unit: &str| {
        let map = machine[name].as_object();
        let entries = map.into_iter().flatten().map(|(threads, rate)| {
            let plural = if threads == "1" { "" } else { "s" };
            format!("{} {unit} ({threads} thread{plural})", number(rate))
        });
        entries.collect::<Vec<_>>().join(", ")
    };
    let strings = |name: &str| {
        let words: Vec<_> = list(machine, name).iter().map(text).collect();
        words.join(", ")
    };
    let mut out = format!(
        "{}, {} cores; tokens per second, medians{}.\n\n",
        text(&machine["cpu"]),
        machine["cores"],
        if results["quick"] == true {
            " of a quick run"
        } else {
            ""
        }
    );
    out += &format!(
        "* Streaming bandwidth: {}; {}.\n",
        by_threads("bandwidth_gb_s", "GB/s"),
        text(&machine["bandwidth_how"])
    );
    let peak = by_threads("int8_peak_gop_s", "Gop/s");
    if !peak.is_empty() {
        out += &format!(
            "* Peak of int8 products: {peak}; {}.\n",
            text(&machine["int8_peak_how"])
        );
    }
    out += &format!(
        "* Sworn found {}; it has code for {} and takes the last unless told otherwise.\n",
        strings("features"),
        strings("instruction_sets")
    );
    for (name, about) in machine["peers"].as_object().into_iter().flatten() {
        out += &format!("* {name}: {}.\n", text(about));
    }
    out
}

/// How near a row comes to what bounds it.
pub(crate) fn share(row: &Value) -> Option<String> {
    let of = |key: &str, what: &str| {
        let share = row[key].as_f64()?;
        Some(format!("{:.0} % of {what}", share * 100.0))
    };
    of("share_of_bandwidth", "bandwidth").or_else(|| of("share_of_int8_peak", "int8 peak"))
}

/// What a batch of 8 gives against one sequence, where both were measured.
fn batching(rows: &[Value]) -> String {
    let of = |batch: &Value| {
        let same = |row: &&Value| {
            ["shape", "quantisation", "threads", "isa", "peer_name"]
                .iter()
                .all(|key| row[key] == batch[key])
        };
        let mut decodes = rows.iter().filter(|row| row["test"] == "decode");
        let one = decodes.find(same)?;
        Some(format!(
            "{} {} {:.1}",
            text(&batch["shape"]),
            text(&batch["quantisation"]),
            batch["sworn"].as_f64()? / one["sworn"].as_f64()?
        ))
    };
    let one_thread = rows.iter().filter(|row| row["threads"] == 1);
    let gains: Vec<_> = one_thread
        .filter(|row| row["test"] == "batch8")
        .filter_map(of)
        .collect();
    if gains.is_empty() {
        return String::new();
    }
    format!(
        "\nTokens of a batch of 8 per token of a single sequence in the same time, Sworn, 1 thread: {}.\n",
        gains.join(", ")
    )
}

/// A table of the rows of one backend against one peer: a line a test, columns by threads.
fn group(rows: &[&Value], peer: &str, isa: &str) -> String {
    let threads: BTreeSet<u64> = rows
        .iter()
        .filter_map(|row| row["threads"].as_u64())
        .collect();
    let shares = rows.iter().any(|row| share(row).is_some());
    let mut out = format!("\n**Beside {peer}**, Sworn with {isa}\n\n| shape | weights | test |");
    for threads in &threads {
        let plural = if *threads == 1 { "" } else { "s" };
        out += &format!(" Sworn, {threads} thread{plural} | {peer} | ratio |");
        if shares {
            out += " share |";
        }
    }
    out += "\n|---|---|---|";
    out += &if shares {
        "---:|---:|---:|---:|"
    } else {
        "---:|---:|---:|"
    }
    .repeat(threads.len());
    out += "\n";
    let key =
        |row: &Value| ["shape", "quantisation", "test"].map(|name| text(&row[name]).to_owned());
    let mut keys: Vec<_> = Vec::new();
    for row in rows {
        if !keys.contains(&key(row)) {
            keys.push(key(row));
        }
    }
    for wanted in keys {
        let [shape, format, test] = &wanted;
        out += &format!("| {shape} | {format} | {} |", test_name(test));
        for threads in &threads {
            let found = rows
                .iter()
                .find(|row| key(row) == wanted && row["threads"] == *threads);
            let row = found.map_or(&Value::Null, |row| *row);
            out += &format!(
                " {} | {} | {} |",
                number(&row["sworn"]),
                number(&row["peer"]),
                ratio(&row["ratio"])
            );
            if shares {
                out += &share(row).map_or(" |".to_owned(), |share| format!(" {share} |"));
            }
        }
        out += "\n";
    }
    out
}

fn accuracy(row: &Value) -> String {
    let distance = |name: &str| {
        let row = &row[name];
        match row["max"].as_f64() {
            None => "–".to_owned(),
            Some(max) => format!(
                "max {max:.3}, rms {:.4}, same best token at {:.1} %",
                row["rms"].as_f64().unwrap_or(f64::NAN),
                100.0 * row["best_token_agreement"].as_f64().unwrap_or(f64::NAN)
            ),
        }
    };
    let perplexity = |name: &str| {
        row[name]
            .as_f64()
            .map_or("–".to_owned(), |x| format!("{x:.4}"))
    };
    format!(
        "\nAccuracy of {} {} on {} positions of held-out text (`inference/examples/bench/heldout.txt`); exact is the same weights without int8 activations\n\n\
         | | perplexity | logits: difference from exact |\n|---|---:|---|\n| Sworn | {} | {} |\n| {} | {} | {} |\n| exact | {} | |\n\n\
         Logits of Sworn and {}: {}.\n",
        text(&row["shape"]),
        text(&row["quantisation"]),
        row["positions"],
        perplexity("sworn"),
        distance("sworn_to_reference"),
        text(&row["peer_name"]),
        perplexity("peer"),
        distance("peer_to_reference"),
        perplexity("reference"),
        text(&row["peer_name"]),
        distance("sworn_to_peer"),
    )
}

/// The whole report.
pub(crate) fn markdown(results: &Value) -> String {
    let mut out = header(results);
    let rows = list(results, "rows");
    let name = |row: &Value| {
        (
            text(&row["isa"]).to_owned(),
            text(&row["peer_name"]).to_owned(),
        )
    };
    let mut names: Vec<_> = Vec::new();
    for row in rows {
        if !names.contains(&name(row)) {
            names.push(name(row));
        }
    }
    for wanted in names {
        let rows: Vec<_> = rows.iter().filter(|row| name(row) == wanted).collect();
        out += &group(&rows, &wanted.1, &wanted.0);
    }
    out += &batching(rows);
    for row in list(results, "accuracy") {
        out += &accuracy(row);
    }
    out
}
