//! What can go wrong with a chain.

use std::path::PathBuf;

use alloy::primitives::{Address, B256, U256};
use alloy::transports::{RpcError, TransportErrorKind};

use super::Revert;
use super::client::shown_url;

/// An error of the chain client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The endpoint cannot be reached or does not answer.
    #[error("{url}: {reason}; check that the chain runs and that the RPC address is right")]
    Unreachable {
        /// RPC address.
        url: String,
        /// What the transport says.
        reason: String,
    },
    /// The endpoint answered with an error that is no revert.
    #[error("{what}: the chain answered: {reason}")]
    Refused {
        /// What was asked for.
        what: String,
        /// The answer.
        reason: String,
        /// Whether asking again may help.
        transient: bool,
    },
    /// A contract reverted.
    #[error("{what} reverted: {revert}")]
    Reverted {
        /// The call.
        what: String,
        /// Why.
        revert: Revert,
    },
    /// The endpoint's answer is not what the request asks for.
    #[error("{what}: found {found}, expected {expected}")]
    BadAnswer {
        /// What was asked for.
        what: String,
        /// The answer.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The endpoint serves another chain.
    #[error(
        "{url} serves chain {found}, expected chain {expected}; give the RPC address of chain {expected} or the addresses of a deployment on chain {found}"
    )]
    WrongChain {
        /// RPC address.
        url: String,
        /// Its chain id.
        found: u64,
        /// The deployment's chain id.
        expected: u64,
    },
    /// There is no contract at an address of the deployment.
    #[error(
        "no code at {address} ({contract}) on chain {chain_id}, expected the contract; the deployment is of another chain or was reset: deploy again or correct the addresses"
    )]
    NoCode {
        /// The contract's name.
        contract: &'static str,
        /// Its address.
        address: Address,
        /// The chain.
        chain_id: u64,
    },
    /// The deployment proves another machine.
    #[error(
        "the deployment's machine version is {found}, expected {expected}; use a program of that version or another deployment"
    )]
    WrongMachine {
        /// The deployment's.
        found: u32,
        /// This program's.
        expected: u32,
    },
    /// No deployment is known for a chain.
    #[error(
        "{path}: no deployment for chain {chain_id}, found {found}; deploy there or give another addresses file"
    )]
    NoDeployment {
        /// The file.
        path: PathBuf,
        /// The chain.
        chain_id: u64,
        /// Chains in the file.
        found: String,
    },
    /// The deployments file cannot be read or written.
    #[error("{path}: {reason}")]
    DeploymentFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A transaction is needed but there is no key.
    #[error(
        "{what} needs a transaction but no key is configured; give one by environment or key file"
    )]
    NoSigner {
        /// What was to be sent.
        what: String,
    },
    /// The signer cannot pay.
    #[error(
        "{what}: account {account} has {found_wei} wei, expected at least {expected_wei} wei; send it coins"
    )]
    Poor {
        /// What was to be sent.
        what: String,
        /// The signer.
        account: Address,
        /// Its balance.
        found_wei: U256,
        /// What is needed.
        expected_wei: U256,
    },
    /// A transaction is not mined.
    #[error(
        "{what}: transaction {hash} is not mined after {seconds} s; the chain is slow or the fee too low"
    )]
    NotMined {
        /// What was sent.
        what: String,
        /// Its hash.
        hash: B256,
        /// How long this client waited.
        seconds: u64,
    },
    /// The chain forgot a transaction.
    #[error(
        "{what}: transaction {hash} is gone from the chain and its pool, expected it mined; it is sent again"
    )]
    Dropped {
        /// What was sent.
        what: String,
        /// Its hash.
        hash: B256,
    },
    /// Signing failed.
    #[error("cannot sign: {0}")]
    Sign(#[from] alloy::signers::Error),
}

impl ChainError {
    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            ChainError::Unreachable { .. }
            | ChainError::NotMined { .. }
            | ChainError::Dropped { .. } => true,
            ChainError::Refused { transient, .. } => *transient,
            _ => false,
        }
    }

    /// Whether a contract reverted with the custom error `E`.
    pub fn is_revert<E: alloy::sol_types::SolError>(&self) -> bool {
        matches!(self, ChainError::Reverted { revert, .. } if revert.is::<E>())
    }

    /// The revert, if this is one.
    pub fn revert(&self) -> Option<&Revert> {
        match self {
            ChainError::Reverted { revert, .. } => Some(revert),
            _ => None,
        }
    }

    /// Sorts an error of the transport.
    pub(super) fn of_rpc(url: &str, what: &str, error: RpcError<TransportErrorKind>) -> ChainError {
        match error {
            RpcError::ErrorResp(payload) => {
                if let Some(data) = revert_data(&payload) {
                    return ChainError::Reverted {
                        what: what.to_owned(),
                        revert: Revert::decode(data),
                    };
                }
                let transient = is_transient_answer(payload.code, &payload.message);
                ChainError::Refused {
                    what: what.to_owned(),
                    reason: format!("{} (code {})", payload.message, payload.code),
                    transient,
                }
            }
            RpcError::Transport(kind) => ChainError::Unreachable {
                url: shown_url(url),
                reason: without_url(with_causes(&kind), url),
            },
            RpcError::DeserError { err, text } => ChainError::BadAnswer {
                what: what.to_owned(),
                found: text.chars().take(200).collect(),
                expected: format!("a value of its type ({err})"),
            },
            RpcError::NullResp => ChainError::BadAnswer {
                what: what.to_owned(),
                found: "null".into(),
                expected: "a value".into(),
            },
            other => ChainError::Refused {
                what: what.to_owned(),
                reason: without_url(other.to_string(), url),
                transient: false,
            },
        }
    }
}

/// Transports repeat the address, some of them in a slightly other form.
fn without_url(text: String, url: &str) -> String {
    let shown = shown_url(url);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let tail = rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]);
    let text = text.replace(url, &shown);
    if tail.len() > 1 {
        text.replace(tail, "/...")
    } else {
        text
    }
}

/// Nodes word these differently; they all mean "later".
fn is_transient_answer(code: i64, message: &str) -> bool {
    let message = message.to_lowercase();
    code == -32005
        || code == 429
        || [
            "too many requests",
            "rate limit",
            "timeout",
            "timed out",
            "header not found",
            "try again",
        ]
        .iter()
        .any(|m| message.contains(m))
}

/// Revert data as nodes give it: code 3 or a message about a revert, with the data as a hex string or deeper inside.
fn revert_data(payload: &alloy::rpc::json_rpc::ErrorPayload) -> Option<alloy::primitives::Bytes> {
    let reverted = payload.code == 3 || payload.message.contains("revert");
    if !reverted {
        return None;
    }
    if let Some(data) = payload.as_revert_data() {
        return Some(data);
    }
    let direct = payload
        .data
        .as_ref()
        .and_then(|raw| serde_json::from_str::<alloy::primitives::Bytes>(raw.get()).ok());
    Some(direct.unwrap_or_default())
}

/// An error with everything that caused it, each reason once: transports say "error sending request" and keep the reason below.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
