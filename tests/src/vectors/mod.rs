//! The test vectors of the machine: `tests/vectors/*.json`, made here and checked by every implementation.

use std::error::Error;

use serde_json::Value;
use sworn_prover::Digest;
use sworn_prover::constants::MACHINE_VERSION;

mod arithmetic;
mod choices;
mod inputs;
mod lies;
mod machine;
mod models;
mod prompts;
mod proofs;
mod records;
mod results;
mod selection;
mod steps;
mod tokenizer;
mod trees;

pub use selection::{Selection, select};

/// Where the vectors lie, from the repository's root.
pub const FOLDER: &str = "tests/vectors";
/// The list of the vectors' hashes, in [`FOLDER`].
pub const MANIFEST: &str = "MANIFEST.json";
/// The command that writes the vectors.
pub const COMMAND: &str = "cargo run -p sworn-tests --bin vectors";

/// Every file with its text; the manifest last.
///
/// # Errors
/// When there is no room for temporary files; else none, unless a crate refuses what the machine's own rules make.
pub fn files() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let answered = machine::answered(folder.path())?;
    let own = models::own_answered(folder.path())?;
    let mut files = vec![
        ("records.json", records::records()),
        ("merkle.json", trees::merkle()?),
        ("texts.json", trees::texts()?),
        ("params.json", inputs::params()),
        ("payloads.json", inputs::payloads()?),
        ("seeds.json", inputs::seeds()?),
        ("accumulators.json", inputs::accumulators()),
        ("claims.json", proofs::claims()?),
        ("vouchers.json", proofs::vouchers()?),
        ("arithmetic.json", arithmetic::arithmetic()),
        ("selection.json", selection::cases()),
        ("tokenizer.json", tokenizer::tokenizers()?),
        ("choices.json", choices::choices()),
        ("results.json", results::results()?),
        ("prompts.json", prompts::prompts()?),
        ("machine.json", machine::answers(&answered)?),
        ("steps.json", steps::steps(&answered, &own)?),
        ("lies.json", lies::lies(&answered, &own)?),
    ]
    .into_iter()
    .map(|(name, content)| (name.to_owned(), render(&content)))
    .collect::<Vec<_>>();
    let hashes = files
        .iter()
        .map(|(name, text)| {
            (
                name.clone(),
                Value::from(hex(&Digest::of(text.as_bytes()).0)),
            )
        })
        .collect();
    files.push((
        MANIFEST.to_owned(),
        render(&serde_json::json!({ "sha256": Value::Object(hashes) })),
    ));
    Ok(files)
}

/// JSON text with sorted keys, the machine's version first, and one line for every element of a top-level list or table.
fn render(content: &Value) -> String {
    let mut out = format!("{{\n\"machine_version\": {MACHINE_VERSION}");
    for (key, value) in sorted(content) {
        out.push_str(&format!(",\n{key:?}: "));
        match value {
            Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
                let lines: Vec<String> = items.iter().map(compact).collect();
                out.push_str(&format!("[\n  {}\n]", lines.join(",\n  ")));
            }
            Value::Object(_) => {
                let lines: Vec<String> = sorted(value)
                    .into_iter()
                    .map(|(key, value)| format!("{key:?}: {}", compact(value)))
                    .collect();
                out.push_str(&format!("{{\n  {}\n}}", lines.join(",\n  ")));
            }
            _ => out.push_str(&compact(value)),
        }
    }
    out.push_str("\n}\n");
    out
}

fn compact(value: &Value) -> String {
    match value {
        Value::Object(_) => {
            let fields: Vec<String> = sorted(value)
                .into_iter()
                .map(|(key, value)| format!("{key:?}: {}", compact(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(compact).collect::<Vec<_>>().join(", ")
        ),
        other => other.to_string(),
    }
}

/// Sorted here: whether serde_json keeps the order of insertion depends on what else is built.
fn sorted(value: &Value) -> Vec<(&String, &Value)> {
    let mut fields: Vec<_> = value.as_object().into_iter().flatten().collect();
    fields.sort_by_key(|(key, _)| key.as_str());
    fields
}

/// Bytes as the vectors write them.
fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn hexes(digests: &[Digest]) -> Vec<String> {
    digests.iter().map(Digest::to_string).collect()
}

/// The text that vectors mean by a length: byte i is `(i * 2654435761 mod 2^32) >> 24`.
#[must_use]
pub fn pattern(length: usize) -> Vec<u8> {
    pattern_numbers(length)
        .into_iter()
        .map(|number| (number >> 24) as u8)
        .collect()
}

/// The list that vectors mean by a count: number i is `i * 2654435761 mod 2^32`.
#[must_use]
pub fn pattern_numbers(count: usize) -> Vec<u32> {
    (0..count as u32)
        .map(|i| i.wrapping_mul(2_654_435_761))
        .collect()
}

/// A table as one list a column.
fn columns<const N: usize>(names: [&str; N], rows: Vec<[Value; N]>) -> Value {
    let column = |i: usize| rows.iter().map(|row| row[i].clone()).collect::<Vec<_>>();
    Value::Object(
        names
            .iter()
            .enumerate()
            .map(|(i, name)| ((*name).to_owned(), Value::from(column(i))))
            .collect(),
    )
}

/// Digests that look like digests: `H(name || i u32_be)`.
fn sample(name: &str, i: u32) -> Digest {
    Digest::of(&[name.as_bytes(), &i.to_be_bytes()].concat())
}
