//! What a devnet is started with, and its well-known accounts.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use alloy::primitives::{Address, B256, U256, b256, utils::Unit};
use alloy::signers::local::coins_bip39::English;
use alloy::signers::local::{MnemonicBuilder, PrivateKeySigner};

use super::error::DevnetError;
use super::mining::MAX_BASE_FEE_WEI;

/// The mnemonic every Ethereum development tool derives its public test accounts from.
pub const TEST_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// Settings of an embedded chain. `DevnetConfig::default()` is what tools expect of a development
/// chain: port 8545, chain id 31337, a block per transaction, ten rich accounts.
#[derive(Clone, Debug)]
pub struct DevnetConfig {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port for HTTP and WebSocket; 0 picks a free one.
    pub port: u16,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// `None`: a block for each transaction. `Some`: a block at each interval, empty ones too.
    pub block_time: Option<Duration>,
    /// BIP-39 phrase of the unlocked accounts (path `m/44'/60'/0'/0/i`).
    pub mnemonic: String,
    /// Number of unlocked accounts.
    pub accounts: u32,
    /// Balance of each account at genesis.
    pub balance_wei: U256,
    /// Gas limit of every block. A single transaction is capped at 2^24 besides (EIP-7825).
    pub gas_limit: u64,
    /// Time stamp of the genesis block; `None` is the wall clock. Time runs on from there.
    pub genesis_timestamp: Option<u64>,
    /// Base fee of the genesis block; later blocks follow EIP-1559.
    pub base_fee_wei: u64,
    /// Seed of the blocks' prevrandao values: `keccak256(seed, number)`.
    pub seed: B256,
    /// For how many newest blocks the state can be queried; older blocks keep everything else.
    pub history_blocks: usize,
}

impl Default for DevnetConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8545,
            chain_id: 31337,
            block_time: None,
            mnemonic: TEST_MNEMONIC.to_owned(),
            accounts: 10,
            balance_wei: U256::from(10_000) * Unit::ETHER.wei(),
            gas_limit: 60_000_000,
            genesis_timestamp: None,
            base_fee_wei: 1_000_000_000,
            seed: b256!("0x73776f726e206465766e6574000000000000000000000000000000000000002a"),
            history_blocks: 16_384,
        }
    }
}

/// One of the chain's own accounts. Its key is public knowledge: never use it elsewhere.
#[derive(Clone, Debug)]
pub struct DevAccount {
    /// Its address.
    pub address: Address,
    /// Its signer.
    pub signer: PrivateKeySigner,
}

impl DevnetConfig {
    /// Refuses settings no chain can run on.
    pub(super) fn check(&self) -> Result<(), DevnetError> {
        let invalid = |setting, expected: &str, found: String| {
            Err(DevnetError::Setting {
                setting,
                expected: expected.to_owned(),
                found,
            })
        };
        // The upper bound keeps gas arithmetic far from overflow; the lower fits a deployment.
        if !(1_000_000..=1 << 40).contains(&self.gas_limit) {
            return invalid("gas_limit", "1000000 to 2^40", self.gas_limit.to_string());
        }
        if self.base_fee_wei > MAX_BASE_FEE_WEI {
            return invalid(
                "base_fee_wei",
                "at most 2^56",
                self.base_fee_wei.to_string(),
            );
        }
        if self
            .block_time
            .is_some_and(|interval| interval < Duration::from_millis(10))
        {
            return invalid(
                "block_time",
                "at least 10 ms",
                format!("{:?}", self.block_time),
            );
        }
        if self.history_blocks == 0 {
            return invalid("history_blocks", "at least 1", "0".to_owned());
        }
        if self
            .genesis_timestamp
            .is_some_and(|t| t > super::clock::MAX_TIMESTAMP)
        {
            return invalid(
                "genesis_timestamp",
                "at most 2^48",
                format!("{:?}", self.genesis_timestamp),
            );
        }
        Ok(())
    }

    /// Derives the unlocked accounts.
    pub(super) fn derive_accounts(&self) -> Result<Vec<DevAccount>, DevnetError> {
        let phrase = MnemonicBuilder::<English>::default().phrase(self.mnemonic.as_str());
        (0..self.accounts)
            .map(|index| {
                let signer = phrase
                    .clone()
                    .index(index)
                    .and_then(|builder| builder.build())
                    .map_err(|source| DevnetError::Mnemonic {
                        source: Box::new(source),
                    })?;
                Ok(DevAccount {
                    address: signer.address(),
                    signer,
                })
            })
            .collect()
    }
}
