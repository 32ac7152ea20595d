//! `sworn model`: the library of models on this machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use sworn_inference::engine::{Footprint, Sequences};
use sworn_node::library::{Added, CardFields, Library, StoredModel};
use sworn_node::machine::{Bytes, ServeOptions};

use super::Context;
use super::failure::{Classify, Failure, Kind};
use super::models::{self, ImportProgress};
use super::progress::Progress;
use super::register;

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Import a GGUF or llama2.c file.
    Add(AddArgs),
    /// List the imported models.
    #[command(after_help = "\
Examples:
  sworn model list
  sworn model list --json")]
    List,
    /// Show one model: sizes, memory, licence, commitments.
    #[command(after_help = "\
Examples:
  sworn model show fable-2m
  sworn model show 3f2a --json")]
    Show(ModelRef),
    /// Hash every chunk of a model again and compare with its id.
    #[command(after_help = "\
Examples:
  sworn model verify fable-2m
  sworn model verify 3f2a --json")]
    Verify(ModelRef),
    /// Register an imported model on the chain.
    Register(register::RegisterArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ModelRef {
    /// Id, beginning of an id (4 digits or more), name, or name@version.
    #[arg(value_name = "MODEL")]
    model: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn model add model.gguf
  sworn model add stories260K.bin --tokenizer tok512.bin --name stories260K --license MIT
  sworn model add model.gguf --model-version 1.1 --license Apache-2.0 --license-uri https://example.org/LICENSE

The file is checked, packed and hashed; afterwards it is not needed any more. Adding it again only sets the fields that are given.")]
pub(crate) struct AddArgs {
    /// The model file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// tokenizer.bin for a llama2.c file.
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Name, instead of the file's.
    #[arg(long)]
    name: Option<String>,
    /// Version, instead of the file's.
    #[arg(long, value_name = "VERSION")]
    model_version: Option<String>,
    /// Licence as an SPDX identifier, instead of the file's.
    #[arg(long, value_name = "SPDX")]
    license: Option<String>,
    /// Where the licence can be read.
    #[arg(long, value_name = "URI")]
    license_uri: Option<String>,
    /// Where the model file can be fetched.
    #[arg(long, value_name = "URI")]
    weights_uri: Option<String>,
}

pub(crate) fn run(command: &ModelCommand, context: &Context) -> Result<(), Failure> {
    let library = Library::new(&context.config.datadir);
    match command {
        ModelCommand::Add(args) => add(args, &library, context),
        ModelCommand::List => list(&library, context),
        ModelCommand::Show(args) => {
            show(&models::stored(&library, &args.model)?, &library, context)
        }
        ModelCommand::Verify(args) => {
            verify(&models::stored(&library, &args.model)?, &library, context)
        }
        ModelCommand::Register(args) => register::run(args, &library, context),
    }
}

fn add(args: &AddArgs, library: &Library, context: &Context) -> Result<(), Failure> {
    let fields = CardFields {
        name: given("--name", &args.name)?,
        version: given("--model-version", &args.model_version)?,
        license: given("--license", &args.license)?,
        license_uri: args.license_uri.clone(),
        weights_uri: args.weights_uri.clone(),
    };
    let mut progress = ImportProgress::default();
    let added = library
        .add(
            &args.file,
            args.tokenizer.as_deref(),
            &fields,
            &mut |phase, done, total| progress.set(phase, done, total),
        )
        .exit(Kind::Input)?;
    drop(progress);
    let is_new = matches!(added, Added::New(_));
    let stored = added.model();
    context
        .out
        .document(&json!({ "added": is_new, "model": stored.card, "dir": stored.dir }))?;
    let what = if is_new { "added" } else { "already there:" };
    context.out.line(format!(
        "{what} {} {} ({})",
        stored.card.name, stored.card.version, stored.card.license
    ));
    context
        .out
        .line(format!("model id {}", stored.card.model_id));
    Ok(())
}

/// The registry takes no empty names, versions or licences.
fn given(flag: &str, value: &Option<String>) -> Result<Option<String>, Failure> {
    match value {
        Some(text) if text.trim().is_empty() => Err(Failure::usage(format!(
            "{flag}: found an empty text, expected some; give one or leave the flag out"
        ))),
        value => Ok(value.clone()),
    }
}

fn list(library: &Library, context: &Context) -> Result<(), Failure> {
    let models = library.list().exit(Kind::Input)?;
    context
        .out
        .document(&models.iter().map(|model| &model.card).collect::<Vec<_>>())?;
    if models.is_empty() {
        context
            .out
            .line("no models yet; add one with `sworn model add FILE`");
        return Ok(());
    }
    let rows = models.iter().map(|StoredModel { card, .. }| {
        let id: String = card.model_id.chars().take(14).collect();
        [
            id,
            card.name.clone(),
            card.version.clone(),
            card.license.clone(),
            card.architecture.clone(),
            card.quantisation.clone(),
            count(card.parameters),
            card.context.to_string(),
        ]
    });
    context.out.table(
        [
            "id",
            "name",
            "version",
            "licence",
            "architecture",
            "weights",
            "parameters",
            "context",
        ],
        rows,
    );
    Ok(())
}

fn show(stored: &StoredModel, library: &Library, context: &Context) -> Result<(), Failure> {
    let card = &stored.card;
    let footprint = Footprint::of(library.open(stored).exit(Kind::Input)?.program());
    let whole = |count| Sequences {
        count,
        tokens: footprint.context,
    };
    let (one, node) = (whole(1), whole(ServeOptions::SEQUENCES));
    context.out.document(&json!({
        "model": card,
        "dir": stored.dir,
        "memory": {
            "weights_bytes": footprint.weights,
            "activations_bytes": footprint.activations,
            "cache_bytes_of_a_run": footprint.cache(one),
            "one_run_bytes": footprint.total(one),
            "node_least_bytes": footprint.total(node),
        },
    }))?;
    context.out.fields(&[
        ("model id", card.model_id.clone()),
        ("name", card.name.clone()),
        ("version", card.version.clone()),
        (
            "licence",
            format!("{} {}", card.license, card.license_uri)
                .trim()
                .to_owned(),
        ),
        ("architecture", card.architecture.clone()),
        ("weights", card.quantisation.clone()),
        ("parameters", count(card.parameters)),
        ("context", format!("{} tokens", card.context)),
        ("vocabulary", format!("{} tokens", card.vocab_size)),
        (
            "memory",
            format!(
                "{} for a run of the whole context (weights {}, activations {}, cache {}); {} for a node, and the cache again for each run more",
                Bytes(footprint.total(one)),
                Bytes(footprint.weights),
                Bytes(footprint.activations),
                Bytes(footprint.cache(one)),
                Bytes(footprint.total(node)),
            ),
        ),
        ("machine version", card.machine_version.to_string()),
        ("program root", card.program_root.clone()),
        ("weights root", card.weights_root.clone()),
        ("tokenizer root", card.tokenizer_root.clone()),
        (
            "imported from",
            format!(
                "{} (sha256 {})",
                card.source_file,
                card.source_sha256.trim_start_matches("0x")
            ),
        ),
        ("weights URI", card.weights_uri.clone()),
        ("folder", stored.dir.display().to_string()),
    ]);
    Ok(())
}

fn verify(stored: &StoredModel, library: &Library, context: &Context) -> Result<(), Failure> {
    let mut progress = Progress::steps("verifying");
    let commitments = library
        .verify(stored, &mut |done, total| progress.set(done, total))
        .exit(Kind::Input)?;
    drop(progress);
    let id = commitments.model_id.to_string();
    context
        .out
        .document(&json!({ "verified": true, "model_id": id }))?;
    context
        .out
        .line(format!("every chunk agrees with model id {id}"));
    Ok(())
}

/// Digits in groups of three.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_have_groups() {
        assert_eq!(super::count(1_967_808), "1,967,808");
        assert_eq!(super::count(12), "12");
        assert_eq!(super::count(0), "0");
    }
}
