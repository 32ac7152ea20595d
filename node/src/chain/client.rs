//! The connection: one RPC address, one signer, retries for what passes by itself.

use std::future::Future;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use alloy::eips::BlockId;
use alloy::network::{Ethereum, TransactionBuilder};
use alloy::primitives::{Address, U256};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::TransactionRequest;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use alloy::transports::{RpcError, TransportErrorKind};

use super::send::NonceKeeper;
use super::{ChainError, Deployment, MACHINE_VERSION};

/// How patient a client is.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Attempts at a request whose failure may pass.
    pub attempts: u32,
    /// Pause after the first failure; doubles each time.
    pub backoff: Duration,
    /// How long to wait for a receipt before the fee is raised.
    pub receipt_timeout: Duration,
    /// How often a fee is raised before the client gives up on a transaction.
    pub fee_raises: u32,
    /// Pause between looks at the chain.
    pub poll_interval: Duration,
    /// Blocks of one request for logs.
    pub log_range_blocks: u64,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            attempts: 5,
            backoff: Duration::from_millis(100),
            receipt_timeout: Duration::from_secs(60),
            fee_raises: 3,
            poll_interval: Duration::from_millis(200),
            log_range_blocks: 2_000,
        }
    }
}

/// An RPC address for messages and logs: scheme, host and port. Providers put their customers' keys into the user, the path or
/// the query.
pub fn shown_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (secret, host) = match authority.rsplit_once('@') {
        Some((_, host)) => (true, host),
        None => (false, authority),
    };
    let hidden = if secret || path.len() > 1 { "/..." } else { "" };
    format!("{scheme}://{host}{hidden}")
}

/// A client of one chain. Clones share the connection and the nonces.
#[derive(Debug, Clone)]
pub struct ChainClient {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) url: String,
    /// The address as messages show it: without what may be a secret.
    pub(super) shown: String,
    pub(super) chain_id: u64,
    pub(super) signer: Option<PrivateKeySigner>,
    pub(super) options: ClientOptions,
    pub(super) nonces: NonceKeeper,
    provider: RwLock<RootProvider<Ethereum>>,
}

impl ChainClient {
    /// Connects to `http(s)://` or `ws(s)://`.
    pub async fn connect(
        url: &str,
        signer: Option<PrivateKeySigner>,
        options: ClientOptions,
    ) -> Result<ChainClient, ChainError> {
        let mut pause = options.backoff;
        let mut attempt = 1;
        let (provider, chain_id) = loop {
            let answer = match RootProvider::<Ethereum>::connect(url).await {
                Ok(provider) => provider.get_chain_id().await.map(|id| (provider, id)),
                Err(err) => Err(err),
            };
            match answer.map_err(|err| ChainError::of_rpc(url, "eth_chainId", err)) {
                Ok(pair) => break pair,
                Err(err) if err.is_transient() && attempt < options.attempts => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    attempt += 1;
                }
                Err(err) => return Err(err),
            }
        };
        let inner = Inner {
            url: url.to_owned(),
            shown: shown_url(url),
            chain_id,
            signer,
            options,
            nonces: NonceKeeper::default(),
            provider: RwLock::new(provider),
        };
        Ok(ChainClient {
            inner: Arc::new(inner),
        })
    }

    /// Checks that the endpoint serves the deployment's chain, that its contracts are there and prove this program's machine.
    pub async fn check(&self, deployment: &Deployment) -> Result<(), ChainError> {
        if self.inner.chain_id != deployment.chain_id {
            return Err(ChainError::WrongChain {
                url: self.inner.shown.clone(),
                found: self.inner.chain_id,
                expected: deployment.chain_id,
            });
        }
        for (contract, address) in deployment.contracts() {
            let code = self
                .request(
                    "eth_getCode",
                    |p| async move { p.get_code_at(address).await },
                )
                .await?;
            if code.is_empty() {
                return Err(ChainError::NoCode {
                    contract,
                    address,
                    chain_id: deployment.chain_id,
                });
            }
        }
        let found = self.machine_version(deployment).await?;
        for found in [found, deployment.machine_version] {
            if found != MACHINE_VERSION {
                return Err(ChainError::WrongMachine {
                    found,
                    expected: MACHINE_VERSION,
                });
            }
        }
        Ok(())
    }

    /// The chain's id.
    pub fn chain_id(&self) -> u64 {
        self.inner.chain_id
    }

    /// The RPC address without its credentials; see [`shown_url`].
    pub fn shown_url(&self) -> &str {
        &self.inner.shown
    }

    /// The account that signs.
    pub fn account(&self) -> Option<Address> {
        self.inner.signer.as_ref().map(PrivateKeySigner::address)
    }

    /// How patient it is.
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// The raw provider, for what has no method here.
    pub fn provider(&self) -> RootProvider<Ethereum> {
        // A poisoned lock still holds a whole provider: the writer only assigns.
        self.inner
            .provider
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Runs a request; repeats it with growing pauses while its failure may pass by itself.
    pub async fn request<T, F, Fut>(&self, what: &str, run: F) -> Result<T, ChainError>
    where
        F: Fn(RootProvider<Ethereum>) -> Fut + Send,
        Fut: Future<Output = Result<T, RpcError<TransportErrorKind>>> + Send,
        T: Send,
    {
        let mut pause = self.inner.options.backoff;
        let mut attempt = 1;
        loop {
            let answer = run(self.provider()).await;
            let gone = matches!(
                answer,
                Err(RpcError::Transport(TransportErrorKind::BackendGone))
            );
            match answer.map_err(|err| ChainError::of_rpc(&self.inner.url, what, err)) {
                Ok(value) => return Ok(value),
                Err(err) if err.is_transient() && attempt < self.inner.options.attempts => {
                    tracing::debug!(what, attempt, %err, "request failed; trying again");
                    tokio::time::sleep(pause).await;
                    if gone {
                        self.reconnect().await;
                    }
                    pause *= 2;
                    attempt += 1;
                }
                Err(err) => return Err(err),
            }
        }
    }

    /// A WebSocket's task ends for good when its server stays away; a new one takes its place.
    async fn reconnect(&self) {
        match RootProvider::<Ethereum>::connect(&self.inner.url).await {
            Ok(fresh) => {
                *self
                    .inner
                    .provider
                    .write()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) = fresh
            }
            Err(err) => tracing::debug!(%err, "could not connect again"),
        }
    }

    /// Calls a view at the latest block.
    pub async fn view<C: SolCall + Clone + Send + Sync>(
        &self,
        to: Address,
        call: C,
    ) -> Result<C::Return, ChainError> {
        let what = C::SIGNATURE;
        let request = TransactionRequest::default()
            .with_to(to)
            .with_input(call.abi_encode());
        let bytes = self
            .request(what, |p| {
                let request = request.clone();
                async move { p.call(request).block(BlockId::latest()).await }
            })
            .await?;
        C::abi_decode_returns(&bytes).map_err(|err| ChainError::BadAnswer {
            what: what.to_owned(),
            found: format!("{} bytes from {to}", bytes.len()),
            expected: format!("its return values ({err})"),
        })
    }

    /// An account's balance.
    pub async fn balance(&self, account: Address) -> Result<U256, ChainError> {
        self.request(
            "eth_getBalance",
            |p| async move { p.get_balance(account).await },
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_addresses_are_not_shown() {
        for (url, shown) in [
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
            ("http://127.0.0.1:8545/", "http://127.0.0.1:8545"),
            (
                "https://rpc.example.org/v3/s3cret",
                "https://rpc.example.org/...",
            ),
            (
                "wss://user:s3cret@rpc.example.org",
                "wss://rpc.example.org/...",
            ),
            (
                "https://rpc.example.org?key=s3cret",
                "https://rpc.example.org/...",
            ),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }

    #[tokio::test]
    async fn a_failed_connection_does_not_tell_the_key() {
        let options = ClientOptions {
            attempts: 1,
            ..ClientOptions::default()
        };
        for url in ["http://127.0.0.1:1/v3/s3cret", "ws://127.0.0.1:1/?k=s3cret"] {
            let err = ChainClient::connect(url, None, options.clone())
                .await
                .unwrap_err();
            let message = format!("{err} {err:?}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }
}
