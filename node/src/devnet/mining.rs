//! Making blocks: genesis, the pending block, and the next ones.

use std::sync::Arc;

use alloy::consensus::constants::{EMPTY_ROOT_HASH, EMPTY_WITHDRAWALS};
use alloy::consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy::consensus::transaction::Recovered;
use alloy::consensus::{
    Header, Receipt as ConsensusReceipt, ReceiptEnvelope, Sealable, Transaction, TxEnvelope,
    TxReceipt,
};
use alloy::eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy::eips::eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE};
use alloy::eips::eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE};
use alloy::eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy::primitives::{Address, B256, Bloom, Bytes, U256, address, bytes, keccak256};
use revm::context::result::ExecutionResult;

use super::block::{Block, Receipt};
use super::chain::{Chain, View};
use super::error::Refusal;
use super::evm::{Strictness, transaction_env};
use super::state::World;

/// Arachnid's deterministic deployment proxy, at the address it has on every chain: tools send
/// CREATE2 deployments to it. (A public, unowned contract of 69 bytes.)
const CREATE2_PROXY: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
const CREATE2_PROXY_CODE: Bytes = bytes!(
    "0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// The base fee stops rising here, far from overflow: 0.07 ether per gas.
pub(super) const MAX_BASE_FEE_WEI: u64 = 1 << 56;

/// The state at genesis: rich accounts, system contracts, the CREATE2 proxy.
pub(super) fn genesis_world(accounts: impl Iterator<Item = Address>, balance: U256) -> World {
    let mut world = World::default();
    for account in accounts {
        world.change(account, |account| account.balance = balance);
    }
    for (address, code) in [
        (HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone()),
        (BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE.clone()),
        (CREATE2_PROXY, CREATE2_PROXY_CODE),
    ] {
        world.change(address, |account| {
            account.nonce = 1;
            account.set_code(code);
        });
    }
    world
}

/// The genesis block over a state.
pub(super) fn genesis_block(
    world: &World,
    timestamp: u64,
    gas_limit: u64,
    base_fee: u64,
    seed: B256,
) -> Block {
    let header = Header {
        state_root: world.root(),
        mix_hash: prevrandao(seed, 0),
        gas_limit,
        timestamp,
        base_fee_per_gas: Some(base_fee),
        ..empty_header()
    };
    Block {
        header: header.seal_slow(),
        transactions: Vec::new(),
        receipts: Vec::new(),
    }
}

/// A header with what never changes here: no ommers, withdrawals, blobs or requests.
fn empty_header() -> Header {
    Header {
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    }
}

/// The randomness of a block: `keccak256(seed, number as 32 bytes)`. Predictable by design, so
/// that a test run can be repeated; a real chain's is not.
fn prevrandao(seed: B256, number: u64) -> B256 {
    keccak256([seed.0, U256::from(number).to_be_bytes()].concat())
}

/// A block made but not yet appended, and the transactions that could not be part of it ever.
struct Made {
    block: Block,
    world: World,
    unfit: Vec<(B256, Refusal)>,
}

impl Chain {
    /// The header of the next block before any transaction.
    pub(super) fn next_header(&self, now: u64) -> Header {
        let parent = &self.head().header;
        let number = parent.number.saturating_add(1);
        Header {
            parent_hash: self.head().hash(),
            beneficiary: self.settings.coinbase,
            number,
            gas_limit: self.settings.gas_limit,
            timestamp: self.clock.next_timestamp(now, parent.timestamp),
            mix_hash: self
                .settings
                .next_prevrandao
                .unwrap_or_else(|| prevrandao(self.rules.seed, number)),
            base_fee_per_gas: Some(self.next_base_fee()),
            ..empty_header()
        }
    }

    /// The base fee of the next block.
    pub(super) fn next_base_fee(&self) -> u64 {
        let parent = &self.head().header;
        let fee = self.settings.next_base_fee.unwrap_or_else(|| {
            calc_next_block_base_fee(
                parent.gas_used,
                parent.gas_limit,
                parent.base_fee_per_gas.unwrap_or_default(),
                BaseFeeParams::ethereum(),
            )
        });
        fee.min(MAX_BASE_FEE_WEI)
    }

    /// The block that would be made now, and the state after it.
    pub(super) fn pending(&self, now: u64) -> Result<View, Refusal> {
        let made = self.make(now)?;
        Ok(View {
            block: Arc::new(made.block),
            world: made.world,
        })
    }

    /// Makes the next block from the pool and appends it.
    /// Returns the transactions that can be part of no block and left the pool.
    pub(super) fn mine(&mut self, now: u64) -> Result<Vec<(B256, Refusal)>, Refusal> {
        let made = self.make(now)?;
        for (hash, reason) in &made.unfit {
            tracing::warn!(%hash, %reason, "transaction dropped from the pool");
            self.pool.remove_hash(hash);
        }
        let (number, transactions) = (made.block.number(), made.block.transactions.len());
        self.clock.block_made(made.block.header.timestamp, now);
        self.settings.next_base_fee = None;
        self.settings.next_prevrandao = None;
        self.append(made.block, made.world);
        tracing::debug!(number, transactions, "block mined");
        Ok(made.unfit)
    }

    fn make(&self, now: u64) -> Result<Made, Refusal> {
        let mut header = self.next_header(now);
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        let mut machine = self.machine(View::of_header(header.clone(), self.world().clone()));
        machine.begin_block(header.parent_hash, B256::ZERO)?;

        let mut transactions: Vec<Recovered<TxEnvelope>> = Vec::new();
        let mut receipts: Vec<Receipt> = Vec::new();
        let mut unfit = Vec::new();
        let mut gas_used = 0u64;
        let mut log_count = 0u64;
        let mut candidates = self
            .pool
            .executable(base_fee, |sender| self.world().nonce(sender));
        while let Some(transaction) = candidates.next() {
            if transaction.gas_limit() > header.gas_limit - gas_used {
                // Whatever has no room now waits for the next block.
                continue;
            }
            let sender = transaction.signer();
            let strictness = if self.is_impersonated(sender) {
                Strictness::AnySender
            } else {
                Strictness::Protocol
            };
            let result = match machine.apply(transaction_env(transaction), strictness) {
                Ok(result) => result,
                Err(reason) => {
                    unfit.push((*transaction.tx_hash(), reason));
                    continue;
                }
            };
            gas_used += result.tx_gas_used();
            let receipt = receipt(transaction, result, gas_used, log_count);
            log_count += receipt.envelope.logs().len() as u64;
            candidates.taken(transaction);
            transactions.push(transaction.clone());
            receipts.push(receipt);
        }

        let world = machine.into_world();
        header.gas_used = gas_used;
        header.state_root = world.root();
        let envelopes: Vec<&TxEnvelope> = transactions.iter().map(|t| t.inner()).collect();
        header.transactions_root = calculate_transaction_root(&envelopes);
        let envelopes: Vec<&ReceiptEnvelope> = receipts.iter().map(|r| &r.envelope).collect();
        header.receipts_root = calculate_receipt_root(&envelopes);
        header.logs_bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| {
            bloom | receipt.envelope.bloom()
        });
        let block = Block {
            header: header.seal_slow(),
            transactions,
            receipts,
        };
        Ok(Made {
            block,
            world,
            unfit,
        })
    }
}

fn receipt(
    transaction: &Recovered<TxEnvelope>,
    result: ExecutionResult,
    cumulative_gas_used: u64,
    first_log: u64,
) -> Receipt {
    let gas_used = result.tx_gas_used();
    let success = result.is_success();
    // An address is reported for failed creations too, as other clients do.
    let contract = transaction
        .kind()
        .is_create()
        .then(|| transaction.signer().create(transaction.nonce()));
    let logs = if success {
        result.into_logs()
    } else {
        Vec::new()
    };
    let receipt = ConsensusReceipt {
        status: success.into(),
        cumulative_gas_used,
        logs,
    }
    .with_bloom();
    Receipt {
        envelope: ReceiptEnvelope::from_typed(transaction.tx_type(), receipt),
        gas_used,
        contract,
        first_log,
    }
}
