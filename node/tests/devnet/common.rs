//! What the devnet's tests share.

use alloy::network::EthereumWallet;
use alloy::primitives::U256;
use alloy::providers::{DynProvider, Provider, ProviderBuilder, WsConnect};
use serde_json::Value;
use sworn_node::devnet::{Devnet, DevnetConfig, DevnetHandle, RpcError};

/// The contract of `tests/clients/Probe.sol`.
pub(crate) mod contract {
    #![allow(unreachable_pub)]
    alloy::sol!(
        #[sol(rpc)]
        #[derive(Debug, PartialEq)]
        Probe,
        "../tests/clients/Probe.json"
    );
}
pub(crate) use contract::Probe;

/// A devnet at a free port.
pub(crate) async fn devnet() -> DevnetHandle {
    spawn(DevnetConfig {
        port: 0,
        ..Default::default()
    })
    .await
}

pub(crate) async fn spawn(config: DevnetConfig) -> DevnetHandle {
    Devnet::spawn(config).await.expect("devnet starts")
}

/// An HTTP client with the keys of all accounts; the first is the default sender.
pub(crate) fn http(devnet: &DevnetHandle) -> DynProvider {
    ProviderBuilder::new()
        .wallet(wallet(devnet))
        .connect_http(devnet.http_url().parse().expect("url"))
        .erased()
}

/// The same over WebSocket.
pub(crate) async fn ws(devnet: &DevnetHandle) -> DynProvider {
    ProviderBuilder::new()
        .wallet(wallet(devnet))
        .connect_ws(WsConnect::new(devnet.ws_url()))
        .await
        .expect("connects")
        .erased()
}

fn wallet(devnet: &DevnetHandle) -> EthereumWallet {
    let mut wallet = EthereumWallet::from(devnet.accounts()[0].signer.clone());
    for account in &devnet.accounts()[1..] {
        wallet.register_signer(account.signer.clone());
    }
    wallet
}

/// Deploys the probe with this initial value.
pub(crate) async fn probe(
    provider: &DynProvider,
    initial: u64,
) -> Probe::ProbeInstance<DynProvider> {
    Probe::deploy(provider.clone(), U256::from(initial))
        .await
        .expect("deploys")
}

/// A request that succeeds.
pub(crate) async fn ok(devnet: &DevnetHandle, method: &str, params: Value) -> Value {
    devnet
        .request(method, params)
        .await
        .unwrap_or_else(|error| panic!("{method}: {error}"))
}

/// A request that fails.
pub(crate) async fn fails(devnet: &DevnetHandle, method: &str, params: Value) -> RpcError {
    match devnet.request(method, params).await {
        Ok(result) => panic!("{method} succeeded with {result}"),
        Err(error) => error,
    }
}

/// Number of the latest block.
pub(crate) async fn height(provider: &impl Provider) -> u64 {
    provider.get_block_number().await.expect("block number")
}
