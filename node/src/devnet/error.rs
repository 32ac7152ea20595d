//! Why a devnet does not start, and why it refuses a transaction or a question.

use std::net::SocketAddr;

use alloy::primitives::{Address, B256, Bytes, U256};

/// Why an embedded chain could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// Another program holds the port.
    #[error(
        "port {} on {} is in use (is another chain running?): stop the program that holds it, \
         or choose another port (0 picks a free one)",
        address.port(), address.ip()
    )]
    PortInUse {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The mnemonic gives no accounts.
    #[error("no accounts from the mnemonic: {source}; expected a BIP-39 English phrase")]
    Mnemonic {
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A setting is out of range.
    #[error("setting {setting}: expected {expected}, found {found}")]
    Setting {
        /// The field of `DevnetConfig`.
        setting: &'static str,
        /// What it may be.
        expected: String,
        /// What it was.
        found: String,
    },
}

/// Why the chain says no. The texts begin as go-ethereum's do, because clients match on them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("nonce too low: next nonce {next}, tx nonce {found}")]
    NonceTooLow { next: u64, found: u64 },
    #[error("nonce has max value")]
    NonceMax,
    #[error(
        "insufficient funds for gas * price + value: address {sender} has {balance}, transaction needs {cost}"
    )]
    InsufficientFunds {
        sender: Address,
        balance: U256,
        cost: U256,
    },
    #[error("already known")]
    AlreadyKnown,
    #[error("replacement transaction underpriced: both fees must rise by 10 percent")]
    Underpriced,
    #[error("txpool is full: {0} transactions wait")]
    PoolFull(usize),
    #[error("sender not an eoa: {0} has code")]
    SenderHasCode(Address),
    #[error("invalid sender: {0}")]
    Signature(String),
    #[error("invalid chain id for signer: have {found} want {expected}")]
    ChainId { found: u64, expected: u64 },
    #[error("transaction type not supported: {0}")]
    TransactionType(u8),
    #[error(
        "max fee per gas less than block base fee: maxFeePerGas: {max_fee}, baseFee: {base_fee}"
    )]
    FeeTooLow { max_fee: u128, base_fee: u64 },
    #[error("intrinsic gas too low: gas {found}, minimum needed {needed}")]
    IntrinsicGas { found: u64, needed: u64 },
    #[error("{0}")]
    Invalid(String),
    #[error("execution reverted{}", reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    Reverted { reason: Option<String>, data: Bytes },
    #[error("{0}")]
    Halted(String),
    #[error("gas required exceeds allowance ({0})")]
    GasAllowance(u64),
    #[error("header not found: block {0}")]
    UnknownBlock(String),
    #[error("header for hash not found: {0}")]
    UnknownHash(B256),
    #[error(
        "state of block {number} is no longer kept: the oldest with state is {oldest} \
         (raise history_blocks)"
    )]
    Pruned { number: u64, oldest: u64 },
    #[error("timestamp {found} is not after the latest block's {latest}")]
    Timestamp { found: u64, latest: u64 },
    #[error("{what}: expected at most {limit}, found {found}")]
    TooLarge {
        what: &'static str,
        limit: u64,
        found: u64,
    },
}
