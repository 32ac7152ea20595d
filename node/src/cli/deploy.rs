//! `sworn deploy`: the contracts on a chain.

use std::path::PathBuf;

use alloy::primitives::U256;
use clap::Args;
use serde_json::json;
use sworn_node::chain::{DeployParams, Deployments, deploy};

use super::Context;
use super::failure::Failure;
use super::session::{block_on, chain, connect, deployment_path, no_key};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn deploy
  sworn deploy --rpc-url http://127.0.0.1:8545 --account 0 -o addresses.json
  sworn deploy --epoch-blocks 50 --window-seconds 86400 --bond-wei 500000000000000000

The values are for development: seconds instead of days. The file keeps the deployments of other
chains; later commands find it by --deployment or, at its default place, by themselves.")]
pub(crate) struct DeployArgs {
    /// File to write, instead of the configured deployment file or DATADIR/addresses.json.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
}

/// Parameters that stay as they are for the life of a deployment.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rules of the deployment")]
pub(crate) struct RuleArgs {
    /// Blocks of an epoch.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    epoch_blocks: Option<u64>,
    /// Blocks between a prompt and the randomness of its seed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=255))]
    seal_delay_blocks: Option<u64>,
    /// Largest prompt, in bytes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_payload_bytes: Option<u64>,
    /// Seconds that a claim stands before it can be final.
    #[arg(long, value_name = "N")]
    window_seconds: Option<u64>,
    /// Seconds that each side of a challenge has, in all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX)))]
    budget_seconds: Option<u64>,
    /// From so many seconds before the end of a claim's window on openings carry a deposit; not less than the budget, which it is by default.
    #[arg(long, value_name = "N")]
    grace_seconds: Option<u64>,
    /// Seconds after a claim's fall in which declarations of its fault can be named.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX)))]
    declaration_seconds: Option<u64>,
    /// Seconds after which an unanswered prompt can be refunded.
    #[arg(long, value_name = "N")]
    answer_seconds: Option<u64>,
    /// Bond of a claim, in wei.
    #[arg(long, value_name = "WEI")]
    bond_wei: Option<U256>,
    /// Price of a prompt, in wei.
    #[arg(long, value_name = "WEI")]
    base_wei: Option<U256>,
    /// Price of each response, in wei.
    #[arg(long, value_name = "WEI")]
    per_run_wei: Option<U256>,
    /// Price of each byte of the prompt, in wei.
    #[arg(long, value_name = "WEI")]
    per_payload_byte_wei: Option<U256>,
    /// Gas of a recipient's callback.
    #[arg(long, value_name = "N")]
    callback_gas: Option<u64>,
}

impl RuleArgs {
    /// Whether the window was given.
    pub(crate) fn has_window(&self) -> bool {
        self.window_seconds.is_some()
    }

    /// The rules, development values where nothing is given.
    pub(crate) fn params(&self) -> DeployParams {
        let dev = DeployParams::dev();
        DeployParams {
            epoch_blocks: self.epoch_blocks.unwrap_or(dev.epoch_blocks),
            seal_delay_blocks: self.seal_delay_blocks.unwrap_or(dev.seal_delay_blocks),
            max_payload_bytes: self.max_payload_bytes.unwrap_or(dev.max_payload_bytes),
            window_seconds: self.window_seconds.unwrap_or(dev.window_seconds),
            budget_seconds: self.budget_seconds.unwrap_or(dev.budget_seconds),
            grace_seconds: self
                .grace_seconds
                .unwrap_or(self.budget_seconds.unwrap_or(dev.grace_seconds)),
            declaration_seconds: self.declaration_seconds.unwrap_or(dev.declaration_seconds),
            answer_seconds: self.answer_seconds.unwrap_or(dev.answer_seconds),
            bond_wei: self.bond_wei.unwrap_or(dev.bond_wei),
            base_wei: self.base_wei.unwrap_or(dev.base_wei),
            per_run_wei: self.per_run_wei.unwrap_or(dev.per_run_wei),
            per_payload_byte_wei: self
                .per_payload_byte_wei
                .unwrap_or(dev.per_payload_byte_wei),
            callback_gas: self.callback_gas.unwrap_or(dev.callback_gas),
        }
    }
}

pub(crate) fn run(args: &DeployArgs, context: &Context) -> Result<(), Failure> {
    block_on(async {
        let client = connect(&context.config).await?;
        client.account().ok_or_else(no_key)?;
        let path = args
            .output
            .clone()
            .unwrap_or_else(|| deployment_path(&context.config));
        // A file that cannot be read should cost no gas.
        let mut all = Deployments::load(&path).map_err(chain)?;
        let params = args.rules.params();
        let deployment = deploy(&client, &params).await.map_err(chain)?;
        all.insert(deployment);
        all.save(&path).map_err(chain)?;
        context.out.document(&json!({ "chain_id": deployment.chain_id, "file": path, "deployment": deployment, "rules": params }))?;
        let rows = deployment
            .contracts()
            .map(|(name, address)| [name.to_owned(), address.to_string()]);
        context.out.table(["contract", "address"], rows);
        context.out.line(format!(
            "chain {}, from block {}; written to {}",
            deployment.chain_id,
            deployment.block,
            path.display()
        ));
        Ok(())
    })
}
