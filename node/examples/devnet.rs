//! Runs the embedded chain by itself: `cargo run -p sworn-node --example devnet [port] [seconds]`.
//! With a number of seconds, blocks come at that interval; without, one per transaction.

use std::error::Error;
use std::time::Duration;

use sworn_node::devnet::{Devnet, DevnetConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .init();
    let mut arguments = std::env::args().skip(1);
    let mut config = DevnetConfig::default();
    if let Some(port) = arguments.next() {
        config.port = port.parse()?;
    }
    if let Some(seconds) = arguments.next() {
        config.block_time = Some(Duration::from_secs_f64(seconds.parse()?));
    }
    let devnet = Devnet::spawn(config).await?;
    println!(
        "{}  {}  chain id {}",
        devnet.http_url(),
        devnet.ws_url(),
        devnet.chain_id()
    );
    println!("Accounts (their keys are public: for tests only):");
    for account in devnet.accounts() {
        println!("  {}  0x{:x}", account.address, account.signer.to_bytes());
    }
    tokio::signal::ctrl_c().await?;
    devnet.shutdown().await;
    Ok(())
}
