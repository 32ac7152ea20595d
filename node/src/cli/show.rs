//! `sworn prompts` and `sworn show`: what the chain knows, and the node's unfinal answers.

use clap::Args;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;

use super::Context;
use super::api;
use super::decimal::unscaled;
use super::failure::Failure;
use super::output::{hex, one_line, printable};
use super::rank;
use super::records::{self, ChainState, Record, finish_name};
use super::session::{Session, block_on, chain};
use super::told;

/// Requests under way at once.
pub(crate) const PARALLEL: usize = 8;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn prompts
  sworn prompts --limit 100 --json")]
pub(crate) struct PromptsArgs {
    /// Most prompts to list, the newest of them.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn show 0
  sworn show 0 --json")]
pub(crate) struct ShowArgs {
    /// Id of the prompt.
    #[arg(value_name = "ID")]
    id: u64,
}

pub(crate) fn run_prompts(args: &PromptsArgs, context: &Context) -> Result<(), Failure> {
    block_on(async {
        let session = Session::open(context).await?;
        let count = session
            .client
            .prompt_count(&session.deployment)
            .await
            .map_err(chain)?;
        let from = count.saturating_sub(args.limit);
        let ids = session
            .client
            .prompt_ids(&session.deployment, from, args.limit)
            .await
            .map_err(chain)?;
        let mut told = told::read(&session, None).await?;
        let loads = ids.into_iter().map(|id| {
            let told = told.remove(&id).unwrap_or_default();
            records::load(&session, id, told)
        });
        let records: Vec<Record> = futures::stream::iter(loads.collect::<Vec<_>>())
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        context.out.document(
            &records
                .iter()
                .map(|record| document(record, None))
                .collect::<Vec<_>>(),
        )?;
        if records.is_empty() {
            context
                .out
                .line("no prompts yet; ask with `sworn ask \"Once upon a time\"`");
            return Ok(());
        }
        let rows = records.iter().map(|record| {
            let prompt = one_line(&String::from_utf8_lossy(&record.prompt_text()), 48);
            let posted = format!("{}/{}", record.prompt.nPosted, record.prompt.nRuns);
            [
                record.id.to_string(),
                record.state.name().to_owned(),
                posted,
                record.rankings.len().to_string(),
                short(&record.prompt.author.to_string()),
                prompt,
            ]
        });
        context.out.table(
            ["id", "state", "posted", "ranked by", "author", "prompt"],
            rows,
        );
        Ok(())
    })
}

pub(crate) fn run_show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    block_on(async {
        let session = Session::open(context).await?;
        let record = records::one(&session, args.id).await?;
        let node = if record.state == ChainState::Posted {
            None
        } else {
            api::prompt(&context.config, args.id).await
        };
        context.out.document(&document(&record, node.as_ref()))?;
        show(&record, node.as_ref(), context);
        Ok(())
    })
}

/// The JSON form of a record; `node` is what a node adds.
fn document(record: &Record, node: Option<&serde_json::Value>) -> serde_json::Value {
    let responses = record.responses.iter().zip(0u32..).map(|(response, run)| {
        let bytes = record.text(run);
        let ill_formed = std::str::from_utf8(&bytes).is_err();
        json!({
            "run": run,
            "posted": response.posted,
            "text": String::from_utf8_lossy(&bytes),
            "text_hex": if ill_formed { hex(&bytes) } else { String::new() },
            "finish": finish_name(response.finish),
            "prompt_tokens": response.promptTokens,
            "new_tokens": response.newTokens,
            "posted_at": response.postedAt,
        })
    });
    let rankings = record.rankings.iter().map(|ranking| {
        json!({ "ranker": ranking.ranker, "ranked_at": ranking.rankedAt, "sequence": ranking.sequence, "all_bad": ranking.allBad, "places": ranking.places.to_vec() })
    });
    json!({
        "id": record.id,
        "state": record.state,
        "author": record.prompt.author,
        "asked_at": record.prompt.askedAt,
        "ask_tx": record.told.ask_tx,
        "model": record.prompt.modelId,
        "seed": (!record.input.seed.is_zero()).then_some(record.input.seed),
        "prompt": String::from_utf8_lossy(&record.prompt_text()),
        "params": {
            "n_runs": record.params.n_runs,
            "max_new_tokens": record.params.max_new_tokens,
            "max_total_tokens": record.params.max_total_tokens,
            "temperature_milli": record.params.temperature_milli,
            "top_k": record.params.top_k,
            "top_p_ppm": record.params.top_p_ppm,
            "min_p_ppm": record.params.min_p_ppm,
        },
        "responses": responses.collect::<Vec<_>>(),
        "rankings": rankings.collect::<Vec<_>>(),
        "claim": record.claim.as_ref().map(|(id, claim)| json!({ "id": id, "epoch": claim.epoch, "root": claim.root, "proposer": claim.proposer, "window_end": claim.windowEnd })),
        "node": node,
    })
}

fn show(record: &Record, node: Option<&serde_json::Value>, context: &Context) {
    let out = context.out;
    let params = &record.params;
    out.fields(&[
        ("prompt", record.id.to_string()),
        ("state", record.state.name().to_owned()),
        ("author", record.prompt.author.to_string()),
        ("asked in", record.told.ask_tx.to_string()),
        ("model", record.prompt.modelId.to_string()),
        (
            "parameters",
            format!(
                "{} responses, temperature {}, top-k {}, top-p {}, min-p {}",
                params.n_runs,
                unscaled(params.temperature_milli.into(), 3),
                params.top_k,
                unscaled(params.top_p_ppm.into(), 6),
                unscaled(params.min_p_ppm.into(), 6)
            ),
        ),
    ]);
    if let Some((id, claim)) = &record.claim {
        out.fields(&[(
            "claim",
            format!(
                "{id} by {}, epoch {}, window ends at {}",
                claim.proposer, claim.epoch, claim.windowEnd
            ),
        )]);
    }
    out.line(format!(
        "\n{}",
        printable(&String::from_utf8_lossy(&record.prompt_text()))
    ));
    for (response, run) in record.responses.iter().zip(0u32..) {
        if response.posted {
            out.line(format!(
                "\n--- response {} ({}, {} tokens, posted)",
                run + 1,
                finish_name(response.finish),
                response.newTokens
            ));
            out.line(printable(&String::from_utf8_lossy(&record.text(run))));
        } else if let Some(text) = node.and_then(|node| api::response_text(node, run)) {
            out.line(format!(
                "\n--- response {} (unfinal: what the node says)",
                run + 1
            ));
            out.line(printable(&text));
        }
    }
    if let Some(error) = node
        .and_then(|node| node.get("error"))
        .and_then(|error| error.as_str())
    {
        out.line(format!("\nthe node says: {}", printable(error)));
    }
    if !record.rankings.is_empty() {
        out.line("");
        let rows = record.rankings.iter().map(|ranking| {
            [
                ranking.ranker.to_string(),
                rank::shown(&ranking.places, ranking.allBad),
                ranking.sequence.to_string(),
                ranking.rankedAt.to_string(),
            ]
        });
        out.table(["ranker", "places", "sequence", "at"], rows);
    }
}

/// First digits of an address.
pub(crate) fn short(address: &str) -> String {
    address.chars().take(10).collect()
}
