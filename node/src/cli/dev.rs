//! `sworn dev`: time and blocks of a development chain.

use alloy::providers::Provider;
use clap::Subcommand;
use serde_json::{Value, json};
use sworn_node::chain::{ChainClient, Deployments};

use super::Context;
use super::failure::{Failure, Kind};
use super::session::{block_on, chain, connect, deployment_path};

/// Most blocks that one command mines.
const MAX_BLOCKS: u64 = 100_000;

#[derive(Debug, Subcommand)]
pub(crate) enum DevCommand {
    /// Move the chain's time forward and mine past the end of the epoch.
    #[command(after_help = "\
Examples:
  sworn dev time +10d
  sworn dev time +3600s
  sworn dev time +2h --json

Units are s, m, h, d; a number alone is seconds. Works on chains with evm_increaseTime (sworn devnet, anvil, hardhat).")]
    Time {
        /// How far, such as +10d.
        #[arg(value_name = "DURATION", value_parser = seconds)]
        by: u64,
    },
    /// Mine blocks.
    #[command(after_help = "\
Examples:
  sworn dev mine 1
  sworn dev mine 300 --json")]
    Mine {
        /// How many.
        #[arg(value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_BLOCKS))]
        blocks: u64,
    },
}

pub(crate) fn run(command: &DevCommand, context: &Context) -> Result<(), Failure> {
    block_on(async {
        let client = connect(&context.config).await?;
        match command {
            DevCommand::Time { by } => {
                request(&client, "evm_increaseTime", json!([by])).await?;
                // A block with the new time, then as many as an epoch and a seal may still need.
                mine(&client, 1 + blocks_of_an_epoch(&client, context).await?).await?;
            }
            DevCommand::Mine { blocks } => mine(&client, *blocks).await?,
        }
        let head = client.head().await.map_err(chain)?;
        context
            .out
            .document(&json!({ "block": head.number, "timestamp": head.timestamp }))?;
        context
            .out
            .line(format!("block {} at time {}", head.number, head.timestamp));
        Ok(())
    })
}

/// Blocks that end the current epoch and make every waiting seal possible; 0 without a deployment.
async fn blocks_of_an_epoch(client: &ChainClient, context: &Context) -> Result<u64, Failure> {
    let path = deployment_path(&context.config);
    let Some(deployment) = Deployments::load(&path)
        .map_err(chain)?
        .on_chain(client.chain_id())
        .copied()
    else {
        return Ok(0);
    };
    let parameters = client.inbox_parameters(&deployment).await.map_err(chain)?;
    Ok(parameters
        .epoch_blocks
        .saturating_add(parameters.seal_delay_blocks)
        .min(MAX_BLOCKS))
}

/// Mines `blocks` blocks.
async fn mine(client: &ChainClient, blocks: u64) -> Result<(), Failure> {
    // One call where the chain has it; anvil and hardhat name it differently.
    for method in ["anvil_mine", "hardhat_mine"] {
        if request(client, method, json!([format!("0x{blocks:x}")]))
            .await
            .is_ok()
        {
            return Ok(());
        }
    }
    for _ in 0..blocks {
        request(client, "evm_mine", json!([])).await?;
    }
    Ok(())
}

async fn request(
    client: &ChainClient,
    method: &'static str,
    params: Value,
) -> Result<Value, Failure> {
    let answer = client.request(method, |provider| {
        let params = params.clone();
        async move {
            provider
                .raw_request::<Value, Value>(method.into(), params)
                .await
        }
    });
    answer.await.map_err(|error| {
        let chain_id = client.chain_id();
        let message = format!("{method} on chain {chain_id}: {error}; expected a development chain such as `sworn devnet`, anvil or hardhat: time cannot be moved elsewhere");
        Failure::new(Kind::Chain, message)
    })
}

/// Parses `+10d`, `3600s`, `+2h`, `90`.
fn seconds(text: &str) -> Result<u64, String> {
    let expected = || {
        format!(
            "found `{text}`, expected a duration such as +10d, +2h, +30m or +3600s, at most 100 years"
        )
    };
    let body = text.strip_prefix('+').unwrap_or(text);
    let (digits, unit) = match body.char_indices().next_back() {
        Some((at, 's')) => (&body[..at], 1),
        Some((at, 'm')) => (&body[..at], 60),
        Some((at, 'h')) => (&body[..at], 3_600),
        Some((at, 'd')) => (&body[..at], 86_400),
        _ => (body, 1),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(expected());
    }
    let number: u64 = digits.parse().map_err(|_| expected())?;
    number
        .checked_mul(unit)
        .filter(|seconds| (1..=100 * 366 * 86_400).contains(seconds))
        .ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_have_units() {
        for (text, value) in [
            ("+10d", 864_000),
            ("+3600s", 3_600),
            ("+2h", 7_200),
            ("30m", 1_800),
            ("90", 90),
        ] {
            assert_eq!(seconds(text), Ok(value), "{text}");
        }
        for text in [
            "", "+", "d", "-1d", "+1w", "+1.5h", "0", "+200000d", "++1", "1é",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
