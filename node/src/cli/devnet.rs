//! `sworn devnet`: the embedded chain alone.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use sworn_node::devnet::{Devnet, DevnetConfig, DevnetError, DevnetHandle};

use super::Context;
use super::failure::{Failure, Kind};
use super::shutdown;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn devnet
  sworn devnet --port 9545 --block-seconds 0
  sworn devnet --no-automine --block-seconds 12 --chain-id 1337

Accounts are those of the usual mnemonic `test test ... junk`; everybody knows their keys. The chain lives in memory and ends with the
command. A transaction is mined at once; the block at every interval lets epochs end while nobody sends anything.")]
pub(crate) struct DevnetArgs {
    /// Port for HTTP and WebSocket; 0 takes any free one.
    #[arg(long, value_name = "PORT", default_value_t = 8545)]
    port: u16,
    /// Address to listen on.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    #[command(flatten)]
    blocks: BlockArgs,
    /// Chain id.
    #[arg(long, value_name = "ID", default_value_t = 31337)]
    chain_id: u64,
    /// Number of accounts.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    accounts: u32,
}

/// When blocks are made.
#[derive(Debug, Clone, Args)]
pub(crate) struct BlockArgs {
    /// A block at every interval, empty ones too; 0 turns that off.
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    block_seconds: u64,
    /// Mine at intervals only, not each transaction at once.
    #[arg(long)]
    no_automine: bool,
}

/// Starts a chain as the flags say.
pub(crate) async fn start(
    mut config: DevnetConfig,
    blocks: &BlockArgs,
) -> Result<DevnetHandle, Failure> {
    if blocks.no_automine && blocks.block_seconds == 0 {
        return Err(Failure::usage(
            "found --no-automine without an interval, expected --block-seconds of at least 1 with it: no block would ever be made",
        ));
    }
    config.block_time =
        (blocks.block_seconds > 0).then(|| Duration::from_secs(blocks.block_seconds));
    let handle = Devnet::spawn(config).await.map_err(failure)?;
    if !blocks.no_automine {
        // An interval alone would turn off mining at once.
        let turned_on = handle.request("evm_setAutomine", json!([true])).await;
        turned_on.map_err(|error| {
            Failure::new(
                Kind::Other,
                format!(
                    "evm_setAutomine: found {error:?}, expected the embedded chain to accept it"
                ),
            )
        })?;
    }
    Ok(handle)
}

fn failure(error: DevnetError) -> Failure {
    let (kind, remedy) = match error {
        DevnetError::PortInUse { .. } | DevnetError::Listen { .. } => (
            Kind::Chain,
            "; give another port with --port (devnet) or --rpc-port (demo)",
        ),
        _ => (Kind::Usage, ""),
    };
    Failure::new(kind, format!("{error}{remedy}"))
}

pub(crate) fn run(args: &DevnetArgs, context: &Context) -> Result<(), Failure> {
    shutdown::run_until_stopped(async |stop| {
        let config = DevnetConfig {
            host: args.host,
            port: args.port,
            chain_id: args.chain_id,
            accounts: args.accounts,
            ..DevnetConfig::default()
        };
        let handle = start(config, &args.blocks).await?;
        let accounts = handle
            .accounts()
            .iter()
            .map(|account| account.address)
            .collect::<Vec<_>>();
        context.out.event(&json!({ "rpc_url": handle.http_url(), "ws_url": handle.ws_url(), "chain_id": handle.chain_id(), "accounts": accounts }))?;
        context.out.line(format!(
            "chain {} at {} and {}",
            handle.chain_id(),
            handle.http_url(),
            handle.ws_url()
        ));
        context.out.line("");
        let rows = handle
            .accounts()
            .iter()
            .enumerate()
            .map(|(index, account)| {
                let key = alloy::hex::encode_prefixed(account.signer.to_bytes());
                [index.to_string(), account.address.to_string(), key]
            });
        context
            .out
            .table(["account", "address", "key (public knowledge)"], rows);
        context.out.line("\nnext: `sworn deploy --account 0`, then `sworn node --account 0`; Control-C ends the chain");
        stop.wait().await;
        handle.shutdown().await;
        Ok(())
    })
}
