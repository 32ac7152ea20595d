//! A whole node: opens everything, checks everything, then runs its roles until it is stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use alloy::signers::local::PrivateKeySigner;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api;
use crate::chain::{ChainClient, ChainError, ClientOptions, Deployment, watch_heads};
use crate::machine::{Machine, MachineError, ServeOptions, ServedModel, cache_room};
use crate::roles::{
    Challenger, Context, Courier, Executor, Finaliser, Proposer, Reader, Responder, Role,
    RoleError, RoleName, RoleSettings, Rules, Saboteur, Sealer, Streams, Treasurer, repair,
    supervise,
};
use crate::store::{Store, StoreError};

/// How long a node waits for another one to let go of the store.
const STORE_PATIENCE: Duration = Duration::from_secs(10);
/// Checks of models that take longer than this are logged as they go on.
const QUIET_CHECK: Duration = Duration::from_secs(2);
/// How long a stopping node waits for its tasks.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Everything a node needs to know.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// RPC address of the chain, `http(s)://` or `ws(s)://`.
    pub rpc_url: String,
    /// The contracts.
    pub deployment: Deployment,
    /// Pays for transactions; without one only the reader, the executor and the API can run.
    pub signer: Option<PrivateKeySigner>,
    /// Where the store lies.
    pub data_dir: PathBuf,
    /// Folders of imported models to serve.
    pub models: Vec<PathBuf>,
    /// What to do; the reader always runs.
    pub roles: BTreeSet<RoleName>,
    /// Where the HTTP API listens; port 0 takes any free one.
    pub api: Option<SocketAddr>,
    /// Patience with the chain.
    pub client: ClientOptions,
    /// Behaviour of the roles.
    pub behaviour: RoleSettings,
    /// How models are run.
    pub serve: ServeOptions,
}

impl NodeSettings {
    /// All roles, API on `127.0.0.1:8555`.
    pub fn new(
        rpc_url: impl Into<String>,
        deployment: Deployment,
        data_dir: impl Into<PathBuf>,
    ) -> NodeSettings {
        NodeSettings {
            rpc_url: rpc_url.into(),
            deployment,
            signer: None,
            data_dir: data_dir.into(),
            models: Vec::new(),
            roles: RoleName::ALL.into(),
            api: Some(SocketAddr::from(([127, 0, 0, 1], 8555))),
            client: ClientOptions::default(),
            behaviour: RoleSettings::default(),
            serve: ServeOptions::default(),
        }
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A role.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// A model.
    #[error("model {folder}: {source}")]
    Model {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        source: Box<MachineError>,
    },
    /// The models together.
    #[error("{source}")]
    Models {
        /// Why.
        source: Box<MachineError>,
    },
    /// The API's address is taken or not ours.
    #[error(
        "cannot listen on {address}: {source}; another program uses it: stop that one or choose another address"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Roles that send transactions need a key.
    #[error(
        "no key is configured, expected one for the roles {roles}; give a key by environment or key file, or run without these roles"
    )]
    NoKey {
        /// The roles.
        roles: String,
    },
}

/// Starts nodes.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// Starts a node that serves the imported models of its settings.
    pub async fn start(settings: NodeSettings) -> Result<NodeHandle, NodeError> {
        let machines = open_models(&settings).await?;
        Node::start_with(settings, machines).await
    }

    /// Starts a node with machines that were opened before.
    pub async fn start_with(
        settings: NodeSettings,
        machines: Vec<Arc<dyn Machine>>,
    ) -> Result<NodeHandle, NodeError> {
        require_key(&settings)?;
        let client = ChainClient::connect(
            &settings.rpc_url,
            settings.signer.clone(),
            settings.client.clone(),
        )
        .await?;
        let deployment = settings.deployment;
        client.check(&deployment).await?;
        let parameters = client.inbox_parameters(&deployment).await?;
        let rules = Rules {
            start_block: client.epoch_bounds(&deployment, 0).await?.0,
            epoch_blocks: parameters.epoch_blocks,
            seal_delay_blocks: parameters.seal_delay_blocks,
            callback_gas: client.callback_gas(&deployment).await?,
            challenges: client.challenge_rules(&deployment).await?,
        };
        let listener = match settings.api {
            None => None,
            Some(address) => Some(
                tokio::net::TcpListener::bind(address)
                    .await
                    .map_err(|source| NodeError::Listen { address, source })?,
            ),
        };
        let api_address = listener.as_ref().and_then(|l| l.local_addr().ok());
        let path = settings.data_dir.join("store");
        // Waiting for the lock blocks; so do the first reads of a big store.
        let store = tokio::task::spawn_blocking(move || {
            Store::open(&path, deployment.chain_id, deployment.inbox, STORE_PATIENCE)
        })
        .await
        .map_err(|err| RoleError::Died(err.to_string()))??;
        let machines: BTreeMap<B256, Arc<dyn Machine>> = machines
            .into_iter()
            .map(|machine| (machine.card().id, machine))
            .collect();
        let (changes, _) = watch::channel(0);
        let context = Context {
            client: client.clone(),
            deployment,
            rules,
            store,
            machines: Arc::new(machines),
            streams: Arc::new(Streams::default()),
            settings: Arc::new(settings.behaviour.clone()),
            finalising: Arc::default(),
            desks: Arc::default(),
            changes: Arc::new(changes),
        };
        repair(&context)?;
        let mut node = NodeHandle {
            context,
            roles: settings.roles.clone(),
            api_address,
            stop: watch::channel(false).0,
            tasks: Vec::new(),
        };
        node.launch(client, listener);
        let served: Vec<_> = node
            .context
            .machines
            .keys()
            .map(ToString::to_string)
            .collect();
        tracing::info!(chain_id = deployment.chain_id, rpc = node.context.client.shown_url(), account = ?node.context.client.account(), api = ?api_address, ?served, roles = ?node.roles, "node started");
        Ok(node)
    }
}

fn require_key(settings: &NodeSettings) -> Result<(), NodeError> {
    let senders: Vec<_> = settings
        .roles
        .iter()
        .filter(|role| **role != RoleName::Executor)
        .map(|role| role.as_str())
        .collect();
    if settings.signer.is_none() && !senders.is_empty() {
        return Err(NodeError::NoKey {
            roles: senders.join(", "),
        });
    }
    Ok(())
}

async fn open_models(settings: &NodeSettings) -> Result<Vec<Arc<dyn Machine>>, NodeError> {
    let (folders, mut options) = (settings.models.clone(), settings.serve.clone());
    let opened = tokio::task::spawn_blocking(move || {
        // All of them are served at once, so they are looked at together.
        let room = cache_room(&folders, &options).map_err(|source| NodeError::Models {
            source: Box::new(source),
        })?;
        options.cache = Some(room);
        folders
            .into_iter()
            .map(|folder| {
                let (mut shown, started) = (0, Instant::now());
                let model = ServedModel::open(&folder, &options, &mut |done, total| {
                    let percent = (done * 100).checked_div(total).unwrap_or(100);
                    if percent >= shown + 10 && started.elapsed() > QUIET_CHECK {
                        shown = percent;
                        tracing::info!(folder = %folder.display(), percent, "checking the model's chunks");
                    }
                });
                match model {
                    Ok(model) => {
                        let card = model.card();
                        tracing::info!(model = %card.id, name = card.name, folder = %folder.display(), "model checked");
                        Ok(Arc::new(model) as Arc<dyn Machine>)
                    }
                    Err(source) => Err(NodeError::Model {
                        folder,
                        source: Box::new(source),
                    }),
                }
            })
            .collect()
    });
    opened
        .await
        .map_err(|err| RoleError::Died(err.to_string()))?
}

/// A running node. Dropping it tells the node to stop; [`NodeHandle::stop`] also waits for it.
#[derive(Debug)]
pub struct NodeHandle {
    context: Context,
    roles: BTreeSet<RoleName>,
    api_address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl NodeHandle {
    fn launch(&mut self, client: ChainClient, listener: Option<tokio::net::TcpListener>) {
        let (heads, seen) = watch::channel(None);
        let mut stop = self.stop.subscribe();
        self.tasks.push(tokio::spawn(async move {
            tokio::select! { () = watch_heads(client, heads) => {}, _ = stop.changed() => {} }
        }));
        let reader = supervise(Reader, self.context.clone(), seen, self.stop.subscribe());
        self.tasks.push(tokio::spawn(reader));
        for role in self.roles.clone() {
            match role {
                RoleName::Sealer => self.run(Sealer),
                RoleName::Executor => self.run(Executor::default()),
                RoleName::Proposer => match self.context.settings.sabotage {
                    Some(sabotage) if sabotage.lies_in_claims() => {}
                    _ => self.run(Proposer::default()),
                },
                RoleName::Finaliser => self.run(Finaliser::default()),
                RoleName::Courier => self.run(Courier::default()),
                RoleName::Challenger => self.run(Challenger::default()),
                RoleName::Responder => self.run(Responder::default()),
            }
        }
        if self.roles.contains(&RoleName::Challenger) || self.roles.contains(&RoleName::Responder) {
            self.run(Treasurer::default());
        }
        if let Some(sabotage) = self.context.settings.sabotage {
            tracing::warn!(%sabotage, "this node lies or disturbs on purpose");
            self.run(Saboteur::default());
        }
        if let Some(listener) = listener {
            let router = api::router(api::ApiState::new(
                self.context.clone(),
                self.roles.clone(),
                self.stop.subscribe(),
            ));
            let mut stop = self.stop.subscribe();
            self.tasks.push(tokio::spawn(async move {
                let stopped = async move {
                    let _ = stop.wait_for(|stop| *stop).await;
                };
                if let Err(err) = axum::serve(listener, router)
                    .with_graceful_shutdown(stopped)
                    .await
                {
                    tracing::error!(%err, "the API ended");
                }
            }));
        }
    }

    fn run<R: Role + 'static>(&mut self, role: R) {
        let task = supervise(
            role,
            self.context.clone(),
            self.context.changes.subscribe(),
            self.stop.subscribe(),
        );
        self.tasks.push(tokio::spawn(task));
    }

    /// Where the API listens.
    pub fn api_address(&self) -> Option<SocketAddr> {
        self.api_address
    }

    /// What the roles share: chain client, deployment, store.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Stops the roles and waits until the store is closed. What was in the middle of something goes on from there at the next start.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let tasks = std::mem::take(&mut self.tasks);
        let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        if tokio::time::timeout(STOP_PATIENCE, futures::future::join_all(tasks))
            .await
            .is_err()
        {
            tracing::warn!("some tasks did not stop in time; ending them");
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        if let Err(err) = self.context.store.flush() {
            tracing::error!(%err, "the last flush failed");
        }
        tracing::info!("node stopped");
    }

    /// Waits until the node ends by itself or by [`NodeHandle::stop`]'s signal elsewhere.
    pub async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        let _ = stop.wait_for(|stop| *stop).await;
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}
