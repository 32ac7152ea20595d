//! `sworn demo`: the whole path on one machine.

mod lie;
mod once;
mod place;
mod start;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::deploy::RuleArgs;
use super::devnet::BlockArgs;
use super::failure::Failure;
use super::shutdown;
use super::{Context, EngineArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn demo
  sworn demo --rpc-port 9545 --api-port 9555
  sworn demo --once
  sworn demo --once --json -o preferences.jsonl
  sworn demo --lie
  sworn demo --lie element-attn-mix-values

Starts a chain in memory, deploys the contracts, registers the shipped model and runs a node that answers, claims and posts. While it
runs, other `sworn` commands with the same data directory find it by themselves; they sign as development account 1 unless --account
says otherwise. With --once it asks, waits until the responses are posted, ranks them as two accounts, exports, and ends. With --lie a second node
claims a wrong result; the first one opens the claim down to the wrong bit and proves it: every move is printed with its gas, and who paid what.
It ends with 0 only if the lie fell and the truth is final.")]
pub(crate) struct DemoArgs {
    /// Run the whole flow once and end.
    #[arg(long, group = "ending")]
    once: bool,
    /// Port of the chain; 0 takes any free one. 8545, or any free one with --once.
    #[arg(long, value_name = "PORT")]
    rpc_port: Option<u16>,
    /// Port of the node's API; 0 takes any free one. 8555, or any free one with --once.
    #[arg(long, value_name = "PORT")]
    api_port: Option<u16>,
    /// Let a second node lie, and watch it being caught. The lie is a wrong token unless named: LIE[@JOB.RUN[.SEED]], silent, duplicates:N.
    #[arg(long, value_name = "LIE", num_args = 0..=1, default_missing_value = "token", group = "ending", conflicts_with = "once", value_parser = lie::parse)]
    lie: Option<sworn_node::roles::Sabotage>,
    /// With --once or --lie: what to ask.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "Once upon a time",
        requires = "ending"
    )]
    prompt: String,
    /// With --once or --lie: most new tokens of a response.
    #[arg(long, value_name = "N", default_value_t = 64, requires = "ending")]
    max_new: u32,
    /// With --once: write the preference data (DPO rows, JSONL) to a file instead of printing it.
    #[arg(short, long, value_name = "FILE", requires = "once")]
    output: Option<PathBuf>,
    #[command(flatten)]
    blocks: BlockArgs,
    #[command(flatten)]
    rules: RuleArgs,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

impl DemoArgs {
    /// Whether it ends by itself: nothing is published for other commands then.
    pub(super) fn is_once(&self) -> bool {
        self.once || self.lie.is_some()
    }
}

pub(crate) fn run(args: &DemoArgs, context: &Context) -> Result<(), Failure> {
    shutdown::run_until_stopped(async |stop| {
        if let Some(sabotage) = args.lie {
            return tokio::select! {
                result = lie::run(args, sabotage, context) => result,
                () = stop.wait() => Err(Failure::new(super::failure::Kind::Interrupted, "interrupted")),
            };
        }
        if args.once {
            return tokio::select! {
                result = once::run(args, context) => result,
                () = stop.wait() => Err(Failure::new(super::failure::Kind::Interrupted, "interrupted")),
            };
        }
        let demo = tokio::select! {
            demo = start::start(args, context) => demo?,
            () = stop.wait() => return Ok(()),
        };
        let announced = announce(&demo, context);
        if announced.is_ok() {
            stop.wait().await;
        }
        demo.stop().await;
        announced
    })
}

/// Leaves the state for other commands and tells people what to do next.
fn announce(demo: &start::Demo, context: &Context) -> Result<(), Failure> {
    demo.place.publish(&demo.state())?;
    let out = context.out;
    out.event(&demo.state())?;
    out.fields(&[
        (
            "chain",
            format!(
                "{} (chain id {}), {}",
                demo.rpc_url,
                demo.session.client.chain_id(),
                demo.ws_url
            ),
        ),
        ("node API", demo.api_url.clone()),
        ("model", format!("{} {}", demo.model_name, demo.model)),
        ("addresses", demo.addresses.display().to_string()),
    ]);
    out.line("");
    out.table(
        ["contract", "address"],
        demo.session
            .deployment
            .contracts()
            .map(|(name, address)| [name.to_owned(), address.to_string()]),
    );
    let is_default = context.config.source("datadir") == Some(&sworn_node::config::Source::Default);
    let flag = if is_default {
        String::new()
    } else {
        format!(" --datadir {}", context.config.datadir.display())
    };
    out.line("\nTry in another terminal:");
    for command in [
        "ask \"Once upon a time\" --max-new 64",
        "prompts",
        "rank 0 1,2",
        "rank 0 2,1 --account 2",
        "export",
    ] {
        out.line(format!("  sworn{flag} {command}"));
    }
    out.line("\nControl-C ends the demo and its chain.");
    Ok(())
}

/// What other commands read.
fn state_of(demo: &start::Demo) -> serde_json::Value {
    json!({
        "rpc_url": demo.rpc_url,
        "ws_url": demo.ws_url,
        "api_url": demo.api_url,
        "deployment": demo.addresses,
        "chain_id": demo.session.client.chain_id(),
        "model": demo.model,
        "pid": std::process::id(),
    })
}
