//! `sworn export`: preference data from the chain.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use clap::{Args, ValueEnum};
use futures::{StreamExt, TryStreamExt};
use sworn_node::chain::abi::models;
use sworn_node::export::{self, Format, Kind, Options, PromptExport, Summary, Writer};

use super::Context;
use super::failure::{self, Classify, Failure};
use super::output::write_out;
use super::progress::Progress;
use super::records;
use super::session::{Session, block_on, chain};
use super::show::PARALLEL;
use super::told;

/// Prompts of one page.
const PAGE: u64 = 500;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    /// One JSON object a line.
    Jsonl,
    /// One JSON array.
    Json,
    /// Tab-separated; structs become JSON text.
    Tsv,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindArg {
    /// prompt, chosen, rejected, metadata: what TRL's DPO trainer takes.
    Dpo,
    /// Whole prompts with every response and every user's ranks.
    Conversations,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn export -o preferences.jsonl
  sworn export --kind dpo --strict-columns -o train.jsonl
  sworn export --kind conversations --format json
  sworn export --format tsv > preferences.tsv

  python -c 'from datasets import load_dataset; print(load_dataset(\"json\", data_files=\"train.jsonl\"))'

DPO rows are the pairs of which a ranker placed one strictly above the other; ties and all-bad rankings give none. Rankings count once
every response is posted. Text that is no UTF-8 is left out of DPO rows (a count on stderr tells) and is complete in the *_hex fields of
conversations. Every row names model, version, licence and where it stands on the chain; --strict-columns leaves that out.")]
pub(crate) struct ExportArgs {
    /// How rows are written.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: FormatArg,
    /// What a row is.
    #[arg(long, value_enum, default_value = "dpo")]
    kind: KindArg,
    /// DPO rows with exactly prompt, chosen, rejected.
    #[arg(long)]
    strict_columns: bool,
    /// File to write instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &ExportArgs, context: &Context) -> Result<(), Failure> {
    let kind = match args.kind {
        KindArg::Dpo => Kind::Dpo,
        KindArg::Conversations => Kind::Conversations,
    };
    if args.strict_columns && kind != Kind::Dpo {
        return Err(Failure::usage(
            "found --strict-columns with conversations, expected it with --kind dpo; leave it out",
        ));
    }
    let format = match args.format {
        FormatArg::Jsonl => Format::Jsonl,
        FormatArg::Json => Format::Json,
        FormatArg::Tsv => Format::Tsv,
    };
    let options = Options {
        kind,
        format,
        strict_columns: args.strict_columns,
    };
    let records = block_on(async {
        let session = Session::open(context).await?;
        collect(&session).await
    })?;
    let summary = match &args.output {
        Some(path) => to_file(path, options, &records)?,
        None => {
            let mut bytes = Vec::new();
            let summary = write(&mut bytes, options, &records)?;
            write_out(&bytes);
            summary
        }
    };
    report(&summary, options);
    if let Some(path) = &args.output {
        context
            .out
            .document(&serde_json::json!({ "file": path, "summary": summary }))?;
        context.out.line(format!(
            "{} rows from {} prompts in {}",
            summary.rows,
            summary.prompts,
            path.display()
        ));
    }
    Ok(())
}

/// Every prompt whose responses are all on the chain.
pub(crate) async fn collect(session: &Session) -> Result<Vec<PromptExport>, Failure> {
    let Session {
        client,
        deployment: d,
    } = session;
    let count = client.prompt_count(d).await.map_err(chain)?;
    let mut told = told::read(session, None).await?;
    let mut cards: BTreeMap<B256, models::Model> = BTreeMap::new();
    let mut found = Vec::new();
    let mut progress = Progress::steps("exporting");
    let mut from = 0;
    while from < count {
        let ids = client.prompt_ids(d, from, PAGE).await.map_err(chain)?;
        if ids.is_empty() {
            break;
        }
        from += ids.len() as u64;
        let loads: Vec<_> = ids
            .into_iter()
            .map(|id| {
                let told = told.remove(&id).unwrap_or_default();
                records::load(session, id, told)
            })
            .collect();
        let mut loaded = futures::stream::iter(loads).buffered(PARALLEL);
        while let Some(record) = loaded.try_next().await? {
            if record.state != records::ChainState::Posted {
                continue;
            }
            let card = match cards.entry(record.prompt.modelId) {
                Entry::Occupied(card) => card.into_mut(),
                Entry::Vacant(empty) => {
                    let model = record.prompt.modelId;
                    empty.insert(client.model(d, model).await.map_err(chain)?)
                }
            };
            found.push(record.export(session, card));
        }
        progress.set(from, count);
    }
    export::sort(&mut found);
    Ok(found)
}

fn write(
    output: impl Write,
    options: Options,
    records: &[PromptExport],
) -> Result<Summary, Failure> {
    let mut writer = Writer::new(output, options)?;
    for record in records {
        writer.push(record)?;
    }
    Ok(writer.finish()?)
}

/// Writes beside the file and renames: a reader never sees half an export.
pub(crate) fn to_file(
    path: &Path,
    options: Options,
    records: &[PromptExport],
) -> Result<Summary, Failure> {
    let name = path.file_name().ok_or_else(|| {
        Failure::usage(format!(
            "found `{}`, expected the path of a file",
            path.display()
        ))
    })?;
    let new = path.with_file_name(format!(".{}.new", name.to_string_lossy()));
    let failed =
        |error: std::io::Error| anyhow::anyhow!("{}: {error}; choose another path", path.display());
    let file = File::create(&new)
        .map_err(failed)
        .exit(failure::Kind::Input)?;
    let summary = write(BufWriter::new(&file), options, records)?;
    file.sync_all()
        .and_then(|()| std::fs::rename(&new, path))
        .map_err(failed)
        .exit(failure::Kind::Input)?;
    Ok(summary)
}

/// What was left out, on stderr.
fn report(summary: &Summary, options: Options) {
    if options.format == Format::Tsv {
        tracing::warn!(
            "TSV is lossy: structs and numbers become text; use jsonl to keep their types"
        );
    }
    if summary.skipped_ill_formed > 0 {
        tracing::warn!(
            pairs = summary.skipped_ill_formed,
            "left out: text that is no UTF-8 or a prompt with control tokens; --kind conversations has it"
        );
    }
    let skipped = [
        ("ties", summary.skipped_ties),
        ("all-bad rankings", summary.skipped_all_bad),
        ("pairs of equal texts", summary.skipped_equal_texts),
    ];
    for (what, count) in skipped.into_iter().filter(|(_, count)| *count > 0) {
        tracing::info!(count, "left out: {what}");
    }
    if summary.rows == 0 {
        tracing::warn!(
            prompts = summary.prompts,
            rankings = summary.rankings,
            "no rows: ask, wait until responses are posted, and rank them first"
        );
    }
}
