//! `sworn node`: the roles of a node on any chain.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sworn_node::library::Library;
use sworn_node::machine::ServeOptions;
use sworn_node::roles::{RoleName, RoleSettings, Sabotage};
use sworn_node::{Node, NodeError, NodeSettings};

use super::failure::{Failure, Kind};
use super::models;
use super::session::{self, Session};
use super::shutdown;
use super::wallet;
use super::{Context, EngineArgs};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn node --account 0
  SWORN_KEY_FILE=node.key sworn node --rpc-url wss://rpc.example.org --deployment addresses.json
  sworn node --model fable-2m --roles executor --api-listen 127.0.0.1:9555

It serves the imported models (`sworn model add`), each checked chunk by chunk first, at every start. Killed at any moment it goes on where it
was. Roles but the executor send transactions and need a key. A proposer needs the responder too: who does not answer openings loses its bond.")]
pub(crate) struct NodeArgs {
    /// Serve this model only; may be given several times. All imported models when left out.
    #[arg(long, short, value_name = "MODEL")]
    model: Vec<String>,
    /// Roles, separated by commas: sealer, executor, proposer, finaliser, courier, challenger, responder.
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Vec<RoleName>,
    /// Where the HTTP API listens; port 0 takes any free one.
    #[arg(long, value_name = "IP:PORT")]
    api_listen: Option<String>,
    /// Serve no HTTP API.
    #[arg(long, conflicts_with = "api_listen")]
    no_api: bool,
    /// Blocks that must follow a block before its events count.
    #[arg(long, value_name = "N", default_value_t = 0)]
    confirmations: u64,
    /// Lie or disturb on purpose, on a development chain: a lie as LIE@LANE.RUN.SEED, silent, late, flood:N, duplicates:N. It costs the bond.
    #[arg(long, value_name = "LIE[@PLACE]", hide = true)]
    sabotage: Option<Sabotage>,
    /// Runs that are computed at once, at most.
    #[arg(long, value_name = "N")]
    batch: Option<String>,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

impl NodeArgs {
    pub(super) fn flags(&self) -> Vec<(&'static str, String)> {
        let mut flags = self.engine.flags();
        flags.extend(
            self.api_listen
                .clone()
                .map(|address| ("api_listen", address)),
        );
        flags.extend(self.batch.clone().map(|runs| ("batch", runs)));
        flags
    }
}

pub(crate) fn run(args: &NodeArgs, context: &Context) -> Result<(), Failure> {
    shutdown::run_until_stopped(async |stop| {
        let session = Session::open(context).await?;
        let folders = folders(args, context)?;
        if folders.is_empty() {
            tracing::warn!(
                "found no imported model, expected one to answer with; add one with `sworn model add FILE` and start again"
            );
        }
        let mut settings = NodeSettings::new(
            &context.config.rpc_url,
            session.deployment,
            &context.config.datadir,
        );
        settings.signer = wallet::signer_or(
            &context.config,
            session.client.chain_id(),
            wallet::NODE_ACCOUNT,
        )?;
        settings.models = folders;
        settings.api = if args.no_api {
            None
        } else {
            Some(listen_address(&context.config.api_listen)?)
        };
        settings.behaviour = RoleSettings {
            confirmations_blocks: args.confirmations,
            sabotage: args.sabotage,
            ..RoleSettings::default()
        };
        if args.sabotage.is_some() && session.client.chain_id() != wallet::DEV_CHAIN_ID {
            return Err(Failure::usage(format!(
                "found --sabotage on chain {}, expected it on chain {} only: a lie costs its bond",
                session.client.chain_id(),
                wallet::DEV_CHAIN_ID
            )));
        }
        settings.serve = serve_options(context)?;
        if !args.roles.is_empty() {
            settings.roles = args.roles.iter().copied().collect::<BTreeSet<_>>();
        }
        let started = Node::start(settings);
        let node = tokio::select! {
            node = started => node.map_err(failure)?,
            () = stop.wait() => return Ok(()),
        };
        let api = node
            .api_address()
            .map(|address| format!("http://{address}"));
        let account = node.context().client.account();
        context.out.event(&json!({ "started": true, "api_url": api, "account": account, "chain_id": session.client.chain_id() }))?;
        context.out.line(format!(
            "node on chain {} as {}",
            session.client.chain_id(),
            account.map_or_else(
                || "nobody (read only)".to_owned(),
                |account| account.to_string()
            )
        ));
        if let Some(api) = api {
            context.out.line(format!("API at {api}"));
        }
        stop.wait().await;
        node.stop().await;
        Ok(())
    })
}

/// Folders of the models to serve.
fn folders(args: &NodeArgs, context: &Context) -> Result<Vec<PathBuf>, Failure> {
    let library = Library::new(&context.config.datadir);
    let stored = if args.model.is_empty() {
        library.list().map_err(|error| Failure {
            kind: Kind::Input,
            error: error.into(),
        })?
    } else {
        args.model
            .iter()
            .map(|reference| models::stored(&library, reference))
            .collect::<Result<Vec<_>, _>>()?
    };
    Ok(stored.into_iter().map(|model| model.dir).collect())
}

/// How models are run, as configured.
pub(crate) fn serve_options(context: &Context) -> Result<ServeOptions, Failure> {
    let config = &context.config;
    let library = Library::new(&config.datadir);
    let draft = match &config.draft {
        Some(reference) => Some(models::stored(&library, reference)?.dir),
        None => None,
    };
    Ok(ServeOptions {
        engine: models::engine_options(config),
        runs: config.batch,
        memory: config.memory,
        cache: None,
        draft,
    })
}

fn listen_address(text: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|_| {
        Failure::usage(format!(
            "api_listen: found `{text}`, expected an address such as 127.0.0.1:8555"
        ))
    })
}

/// A node that does not start, with the exit code that fits.
pub(crate) fn failure(error: NodeError) -> Failure {
    let kind = match error {
        NodeError::Chain(error) => return session::chain(error),
        NodeError::NoKey { .. } => Kind::Usage,
        NodeError::Model { .. } | NodeError::Models { .. } => Kind::Input,
        NodeError::Listen { .. } => Kind::Chain,
        _ => Kind::Other,
    };
    Failure {
        kind,
        error: error.into(),
    }
}
