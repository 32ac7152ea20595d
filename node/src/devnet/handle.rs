//! The life of a devnet: start, interval mining, stop.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use super::config::{DevAccount, DevnetConfig};
use super::error::DevnetError;
use super::node::Node;
use super::rpc::{self, RpcError};
use super::server::{self, stopped};

/// How long [`DevnetHandle::shutdown`] waits for open connections.
const GRACE: Duration = Duration::from_secs(3);

/// The embedded chain; see [`Devnet::spawn`].
#[derive(Debug)]
pub struct Devnet;

impl Devnet {
    /// Starts a chain and its server inside this process, on the current tokio runtime.
    ///
    /// It runs until the handle is dropped or [`DevnetHandle::shutdown`].
    pub async fn spawn(config: DevnetConfig) -> Result<DevnetHandle, DevnetError> {
        let wanted = SocketAddr::new(config.host, config.port);
        let listener = TcpListener::bind(wanted)
            .await
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::AddrInUse => DevnetError::PortInUse { address: wanted },
                _ => DevnetError::Listen {
                    address: wanted,
                    source,
                },
            })?;
        let address = listener
            .local_addr()
            .map_err(|source| DevnetError::Listen {
                address: wanted,
                source,
            })?;
        let node = Arc::new(Node::new(&config)?);
        let stop = watch::Sender::new(false);

        let router = server::router(Arc::clone(&node), stop.subscribe());
        let server = tokio::spawn({
            let stopped = stopped(stop.subscribe());
            async move {
                if let Err(error) = axum::serve(listener, router)
                    .with_graceful_shutdown(stopped)
                    .await
                {
                    tracing::error!(%error, "devnet server failed");
                }
            }
        });
        let miner = tokio::spawn(mine_at_intervals(Arc::clone(&node), stop.subscribe()));
        tracing::info!(%address, chain_id = config.chain_id, "devnet is up");

        let reachable = SocketAddr::new(reachable(address.ip()), address.port());
        Ok(DevnetHandle {
            node,
            address,
            http_url: format!("http://{reachable}"),
            ws_url: format!("ws://{reachable}"),
            stop,
            tasks: vec![server, miner],
        })
    }
}

/// A running devnet. Dropping it stops the chain.
pub struct DevnetHandle {
    node: Arc<Node>,
    address: SocketAddr,
    http_url: String,
    ws_url: String,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for DevnetHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevnetHandle")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl DevnetHandle {
    /// `http://host:port`.
    pub fn http_url(&self) -> &str {
        &self.http_url
    }

    /// `ws://host:port`, the same port.
    pub fn ws_url(&self) -> &str {
        &self.ws_url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.node.chain_id
    }

    /// The unlocked accounts, funded at genesis.
    pub fn accounts(&self) -> &[DevAccount] {
        &self.node.accounts
    }

    /// Answers a JSON-RPC method without the network. `params` is an array or null.
    pub async fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let (node, method) = (Arc::clone(&self.node), method.to_owned());
        spawn_blocking(move || rpc::dispatch(&node, &method, params))
            .await
            .unwrap_or_else(|error| Err(RpcError::internal(error.to_string())))
    }

    /// Stops the chain and waits until its port is free.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        for mut task in std::mem::take(&mut self.tasks) {
            if timeout(GRACE, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for DevnetHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// An unspecified address is listened on, but not connected to.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

/// Makes a block at each interval while there is one.
async fn mine_at_intervals(node: Arc<Node>, stop: watch::Receiver<bool>) {
    let mut setting = node.interval.subscribe();
    let stopped = stopped(stop);
    tokio::pin!(stopped);
    loop {
        let interval = *setting.borrow_and_update();
        let Some(interval) = interval else {
            tokio::select! {
                _ = &mut stopped => return,
                changed = setting.changed() => if changed.is_err() { return },
            }
            continue;
        };
        let mut ticks = interval_at(tokio::time::Instant::now() + interval, interval);
        // A block that took long is not followed by a burst.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                changed = setting.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    break;
                }
                _ = ticks.tick() => {
                    let node = Arc::clone(&node);
                    let mined = spawn_blocking(move || node.write(|chain, now| chain.mine(now)));
                    match mined.await {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => tracing::error!(%error, "no block was mined"),
                        Err(error) => tracing::error!(%error, "no block was mined"),
                    }
                }
            }
        }
    }
}
