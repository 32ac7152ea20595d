//! Chain, contracts, model, node.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::{B256, U256};
use sworn_node::chain::{ChainClient, ClientOptions, Deployments, deploy};
use sworn_node::devnet::{DevnetConfig, DevnetHandle};
use sworn_node::library::{Library, StoredModel};
use sworn_node::{Node, NodeError, NodeHandle, NodeSettings, shipped};

use super::super::Context;
use super::super::failure::{Failure, Kind};
use super::super::session::{DEPLOYMENT_FILE, Mined, Session, chain};
use super::super::{devnet, models, node, register, wallet};
use super::DemoArgs;
use super::place::Place;

const RPC_PORT: u16 = 8545;
const API_PORT: u16 = 8555;
/// Window of the claims of `--lie`.
const LIE_WINDOW_SECONDS: u64 = 10;

/// A running demo.
pub(super) struct Demo {
    pub(super) rpc_url: String,
    pub(super) ws_url: String,
    pub(super) api_url: String,
    pub(super) addresses: PathBuf,
    /// Signs as the node.
    pub(super) session: Session,
    pub(super) model: B256,
    pub(super) model_name: String,
    pub(super) model_dir: PathBuf,
    pub(super) registered: Mined,
    pub(super) deploy_gas_wei: U256,
    pub(super) place: Place,
    node: NodeHandle,
    devnet: DevnetHandle,
}

impl Demo {
    pub(super) fn state(&self) -> serde_json::Value {
        super::state_of(self)
    }

    /// Connects as another development account.
    pub(super) async fn session_of(&self, account: u32) -> Result<Session, Failure> {
        let client = connect(&self.rpc_url, account).await?;
        Ok(Session {
            client,
            deployment: self.session.deployment,
        })
    }

    /// Ends node and chain, in this order.
    pub(super) async fn stop(self) {
        self.node.stop().await;
        self.devnet.shutdown().await;
        drop(self.place);
    }
}

/// Starts everything.
pub(super) async fn start(args: &DemoArgs, context: &Context) -> Result<Demo, Failure> {
    let config = &context.config;
    let place = Place::create(&config.datadir, args.is_once()).await?;
    let port =
        |given: Option<u16>, usual: u16| given.unwrap_or(if args.is_once() { 0 } else { usual });
    let api = SocketAddr::from((Ipv4Addr::LOCALHOST, port(args.api_port, API_PORT)));
    // The node binds it for good; looking first saves deploying for nothing.
    std::net::TcpListener::bind(api)
        .map(drop)
        .map_err(|source| {
            listen(&NodeError::Listen {
                address: api,
                source,
            })
        })?;
    let stored = shipped_model(context).await?;
    let chain_config = DevnetConfig {
        port: port(args.rpc_port, RPC_PORT),
        ..DevnetConfig::default()
    };
    let devnet = devnet::start(chain_config, &args.blocks).await?;
    let (rpc_url, ws_url) = (devnet.http_url().to_owned(), devnet.ws_url().to_owned());
    let client = connect(&rpc_url, wallet::NODE_ACCOUNT).await?;
    let account = client.account().unwrap_or_default();
    let before = client.balance(account).await.map_err(chain)?;
    let mut rules = args.rules.params();
    if args.lie.is_some() && !args.rules.has_window() {
        // Two seconds are enough to become final, not to be sure of a challenge on a busy machine.
        rules.window_seconds = LIE_WINDOW_SECONDS;
    }
    let deployment = deploy(&client, &rules).await.map_err(chain)?;
    let deploy_gas_wei = before.saturating_sub(client.balance(account).await.map_err(chain)?);
    let addresses = save(&place.dir, &deployment)?;
    let session = Session { client, deployment };
    let (model, registered) = register::submit(
        &session,
        &Library::new(&config.datadir),
        &stored,
        B256::ZERO,
    )
    .await?;
    let mut settings = NodeSettings::new(&ws_url, deployment, &place.dir);
    settings.signer = Some(wallet::dev_account(
        wallet::NODE_ACCOUNT,
        session.client.chain_id(),
    )?);
    settings.models = vec![stored.dir.clone()];
    settings.api = Some(api);
    settings.client = patience();
    settings.serve = node::serve_options(context)?;
    let node = Node::start(settings).await.map_err(|error| match error {
        NodeError::Listen { .. } => listen(&error),
        error => node::failure(error),
    })?;
    let api_url = format!("http://{}", node.api_address().unwrap_or(api));
    Ok(Demo {
        rpc_url,
        ws_url,
        api_url,
        addresses,
        session,
        model,
        model_name: stored.card.name,
        model_dir: stored.dir,
        registered,
        deploy_gas_wei,
        place,
        node,
        devnet,
    })
}

/// A port of the API that is taken.
fn listen(error: &NodeError) -> Failure {
    Failure::new(
        Kind::Chain,
        format!("{error} (--api-port PORT, 0 for any free one)"),
    )
}

/// Imports on the first run; takes a second.
async fn shipped_model(context: &Context) -> Result<StoredModel, Failure> {
    let library = Library::new(&context.config.datadir);
    let stored = tokio::task::spawn_blocking(move || models::stored(&library, shipped::NAME));
    stored.await?
}

fn save(dir: &Path, deployment: &sworn_node::chain::Deployment) -> Result<PathBuf, Failure> {
    let path = dir.join(DEPLOYMENT_FILE);
    let mut all = Deployments::default();
    all.insert(*deployment);
    all.save(&path).map_err(chain)?;
    // Other commands may run anywhere.
    Ok(path.canonicalize().unwrap_or(path))
}

async fn connect(rpc_url: &str, account: u32) -> Result<ChainClient, Failure> {
    let signer = wallet::dev_account(account, wallet::DEV_CHAIN_ID)?;
    ChainClient::connect(rpc_url, Some(signer), patience())
        .await
        .map_err(chain)
}

/// On the same machine answers come at once.
pub(super) fn patience() -> ClientOptions {
    ClientOptions {
        poll_interval: Duration::from_millis(50),
        ..ClientOptions::default()
    }
}
