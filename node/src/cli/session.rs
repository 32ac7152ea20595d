//! A connection to the chain and the deployment on it, as configured.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use alloy::rpc::types::TransactionReceipt;
use sworn_node::chain::abi::{claims, inbox, prompts};
use sworn_node::chain::{ChainClient, ChainError, ClientOptions, Deployment, Deployments};
use sworn_node::config::{Config, Source};

use super::Context;
use super::failure::{Failure, Kind};
use super::wallet;

/// Where `sworn deploy` writes and other commands look when nothing names a file.
pub(crate) const DEPLOYMENT_FILE: &str = "addresses.json";

/// A chain with the contracts on it.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) client: ChainClient,
    pub(crate) deployment: Deployment,
}

impl Session {
    /// Connects and checks chain id, contracts and machine version.
    pub(crate) async fn open(context: &Context) -> Result<Session, Failure> {
        let client = connect(&context.config).await?;
        let path = deployment_path(&context.config);
        let deployment = Deployments::load(&path)
            .and_then(|all| all.require(client.chain_id(), &path))
            .map_err(chain)?;
        client.check(&deployment).await.map_err(chain)?;
        Ok(Session { client, deployment })
    }

    /// The sender's address.
    pub(crate) fn account(&self) -> Result<Address, Failure> {
        self.client.account().ok_or_else(no_key)
    }
}

/// The file of deployments that counts.
pub(crate) fn deployment_path(config: &Config) -> PathBuf {
    config
        .deployment
        .clone()
        .unwrap_or_else(|| config.datadir.join(DEPLOYMENT_FILE))
}

/// Longest wait for an endpoint that takes connections and never answers.
const CONNECT_PATIENCE: Duration = Duration::from_secs(20);

/// Connects to the chain with the configured signer.
pub(crate) async fn connect(config: &Config) -> Result<ChainClient, Failure> {
    let patience = CONNECT_PATIENCE.min(Duration::from_secs(config.timeout_seconds));
    tokio::time::timeout(patience, connect_now(config)).await.unwrap_or_else(|_| {
        let message = format!("{}: found no answer within {} s, expected the chain's id; check that it is a JSON-RPC endpoint, or give --timeout SECONDS", sworn_node::chain::shown_url(&config.rpc_url), patience.as_secs());
        Err(Failure::new(Kind::Timeout, message))
    })
}

async fn connect_now(config: &Config) -> Result<ChainClient, Failure> {
    // A person waits: fewer attempts than a node makes.
    let options = ClientOptions {
        attempts: 3,
        poll_interval: Duration::from_millis(100),
        ..ClientOptions::default()
    };
    let unsigned = ChainClient::connect(&config.rpc_url, None, options.clone())
        .await
        .map_err(|error| unreachable(error, config))?;
    match wallet::signer(config, unsigned.chain_id())? {
        None => Ok(unsigned),
        signer => ChainClient::connect(&config.rpc_url, signer, options)
            .await
            .map_err(chain),
    }
}

/// A demo that was killed leaves its state behind.
fn unreachable(error: ChainError, config: &Config) -> Failure {
    match config.source("rpc_url") {
        Some(Source::Demo(path)) => {
            let message = format!(
                "{error}; the demo that {} tells of is gone: start it again with `sworn demo`, or give --rpc-url",
                path.display()
            );
            Failure::new(Kind::Chain, message)
        }
        _ => chain(error),
    }
}

pub(crate) fn no_key() -> Failure {
    Failure::usage(
        "found no key, expected one to sign with; give --key-file FILE, SWORN_KEY_FILE or SWORN_KEY (on a development chain --account N)",
    )
}

/// Runs a command's future; Control-C ends it.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = future => result,
            _ = tokio::signal::ctrl_c() => Err(Failure::new(Kind::Interrupted, "interrupted; what was sent to the chain stays there, see `sworn prompts`")),
        }
    });
    // Blocking work (a generation) may still run; nobody waits for it.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

/// A chain error as a failure with the exit code that fits, and what to do about frequent reverts.
pub(crate) fn chain(error: ChainError) -> Failure {
    if matches!(error, ChainError::NoSigner { .. }) {
        return no_key();
    }
    let (kind, remedy) = classify(&error);
    let error = anyhow::Error::new(error);
    match remedy {
        // `{:#}` prints the error, then the remedy.
        Some(remedy) => Failure {
            kind,
            error: anyhow::anyhow!("{error:#}; {remedy}"),
        },
        None => Failure { kind, error },
    }
}

fn classify(error: &ChainError) -> (Kind, Option<&'static str>) {
    if error.is_revert::<prompts::NotAllPosted>() {
        return (
            Kind::TooEarly,
            Some("wait until every response is posted (`sworn show ID`), then rank"),
        );
    }
    if error.is_revert::<claims::DeadlineNotPassed>() {
        return (
            Kind::TooEarly,
            Some(
                "refunds are due after the deadline; on a development chain `sworn dev time +1d` gets there",
            ),
        );
    }
    if error.is_revert::<claims::NotFinalYet>()
        || error.is_revert::<claims::EpochNotEnded>()
        || error.is_revert::<inbox::TooEarly>()
    {
        return (Kind::TooEarly, Some("try again later"));
    }
    if error.is_revert::<claims::Covered>() || error.is_revert::<claims::AlreadySettled>() {
        return (
            Kind::Chain,
            Some("the prompt is answered or paid back already, see `sworn show ID`"),
        );
    }
    if error.is_revert::<prompts::UnknownPrompt>() || error.is_revert::<inbox::UnknownInput>() {
        return (Kind::Input, Some("see `sworn prompts` for the ids"));
    }
    if error.is_revert::<inbox::UnknownModel>() {
        return (
            Kind::Input,
            Some(
                "see `sworn status` for the registered models, or register it with `sworn model register`",
            ),
        );
    }
    if error.is_revert::<prompts::NotARanking>() || error.is_revert::<prompts::WrongPlaceCount>() {
        return (
            Kind::Input,
            Some(
                "give one place for each response: 1 is best, ties share a place, no place is left out",
            ),
        );
    }
    if error.is_revert::<inbox::PayloadTooLong>() {
        return (Kind::Input, Some("shorten the prompt"));
    }
    match error {
        ChainError::NotMined { .. } => (Kind::Timeout, None),
        ChainError::DeploymentFile { .. } => (Kind::Input, None),
        ChainError::NoDeployment { .. } => (
            Kind::Chain,
            Some("`sworn deploy` makes one, `sworn demo` brings its own"),
        ),
        ChainError::Unreachable { .. } => (
            Kind::Chain,
            Some("`sworn demo` or `sworn devnet` starts one on this machine"),
        ),
        _ => (Kind::Chain, None),
    }
}

/// What every command shows of a transaction.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Mined {
    pub(crate) tx: B256,
    pub(crate) block: u64,
    pub(crate) gas: u64,
}

impl Mined {
    pub(crate) fn of(receipt: &TransactionReceipt) -> Mined {
        Mined {
            tx: receipt.transaction_hash,
            block: receipt.block_number.unwrap_or_default(),
            gas: receipt.gas_used,
        }
    }
}

impl std::fmt::Display for Mined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "transaction {} (block {}, gas {})",
            self.tx, self.block, self.gas
        )
    }
}
