//! A block as it is kept, and as JSON-RPC shows it.

use alloy::consensus::transaction::{Recovered, TransactionInfo};
use alloy::consensus::{BlockBody, Header, ReceiptEnvelope, Sealed, Transaction, TxEnvelope};
use alloy::primitives::{Address, B256, U256};
use alloy::rpc::types::{self as rpc, BlockTransactions};

/// A mined block: sealed header, transactions with their senders, receipts.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) header: Sealed<Header>,
    pub(super) transactions: Vec<Recovered<TxEnvelope>>,
    pub(super) receipts: Vec<Receipt>,
}

/// The outcome of a transaction.
#[derive(Debug)]
pub(super) struct Receipt {
    /// What the receipts root commits.
    pub(super) envelope: ReceiptEnvelope,
    pub(super) gas_used: u64,
    /// Address of the contract that was created.
    pub(super) contract: Option<Address>,
    /// Number of logs in the block before this transaction's.
    pub(super) first_log: u64,
}

impl Block {
    pub(super) fn number(&self) -> u64 {
        self.header.number
    }

    pub(super) fn hash(&self) -> B256 {
        self.header.seal()
    }

    fn base_fee(&self) -> u64 {
        self.header.base_fee_per_gas.unwrap_or_default()
    }

    /// The block as `eth_getBlockBy…` shows it.
    pub(super) fn to_rpc(&self, full: bool) -> rpc::Block {
        let transactions = if full {
            BlockTransactions::Full(
                (0..self.transactions.len())
                    .filter_map(|i| self.transaction(i))
                    .collect(),
            )
        } else {
            BlockTransactions::Hashes(self.transactions.iter().map(|t| *t.tx_hash()).collect())
        };
        rpc::Block::new(self.header_rpc(), transactions).with_withdrawals(Some(Default::default()))
    }

    /// The header as `newHeads` shows it.
    pub(super) fn header_rpc(&self) -> rpc::Header {
        let body = BlockBody {
            transactions: self
                .transactions
                .iter()
                .map(|t| t.inner())
                .collect::<Vec<_>>(),
            ommers: Vec::<Header>::new(),
            withdrawals: Some(Default::default()),
        };
        let size = alloy::consensus::Block::rlp_length_for(self.header.inner(), &body);
        rpc::Header::from_consensus(self.header.clone(), None, Some(U256::from(size)))
    }

    /// The transaction at `index` as JSON-RPC shows it.
    pub(super) fn transaction(&self, index: usize) -> Option<rpc::Transaction> {
        let transaction = self.transactions.get(index)?;
        Some(rpc::Transaction::from_transaction(
            transaction.clone(),
            TransactionInfo {
                hash: Some(*transaction.tx_hash()),
                index: Some(index as u64),
                block_hash: Some(self.hash()),
                block_number: Some(self.number()),
                base_fee: Some(self.base_fee()),
                block_timestamp: Some(self.header.timestamp),
            },
        ))
    }

    /// The receipt at `index` as JSON-RPC shows it.
    pub(super) fn receipt(&self, index: usize) -> Option<rpc::TransactionReceipt> {
        let receipt = self.receipts.get(index)?;
        let transaction = self.transactions.get(index)?;
        let mut log_index = receipt.first_log;
        let inner = receipt.envelope.clone().map_logs(|log| {
            log_index += 1;
            self.log(log, index, log_index - 1)
        });
        Some(rpc::TransactionReceipt {
            inner,
            transaction_hash: *transaction.tx_hash(),
            transaction_index: Some(index as u64),
            block_hash: Some(self.hash()),
            block_number: Some(self.number()),
            gas_used: receipt.gas_used,
            effective_gas_price: transaction.effective_gas_price(Some(self.base_fee())),
            blob_gas_used: None,
            blob_gas_price: None,
            from: transaction.signer(),
            to: transaction.to(),
            contract_address: receipt.contract,
        })
    }

    /// The logs that a filter's addresses and topics let through.
    pub(super) fn logs(&self, filter: &rpc::Filter) -> Vec<rpc::Log> {
        if !filter.matches_bloom(self.header.logs_bloom) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (index, receipt) in self.receipts.iter().enumerate() {
            for (i, log) in receipt.envelope.logs().iter().enumerate() {
                if filter.matches_address(log.address) && filter.matches_topics(log.topics()) {
                    found.push(self.log(log.clone(), index, receipt.first_log + i as u64));
                }
            }
        }
        found
    }

    fn log(&self, log: alloy::primitives::Log, transaction: usize, log_index: u64) -> rpc::Log {
        rpc::Log {
            inner: log,
            block_hash: Some(self.hash()),
            block_number: Some(self.number()),
            block_timestamp: Some(self.header.timestamp),
            transaction_hash: self.transactions.get(transaction).map(|t| *t.tx_hash()),
            transaction_index: Some(transaction as u64),
            log_index: Some(log_index),
            removed: false,
        }
    }
}

/// A waiting transaction as JSON-RPC shows it.
pub(super) fn pending_rpc(transaction: &Recovered<TxEnvelope>) -> rpc::Transaction {
    rpc::Transaction::from_transaction(
        transaction.clone(),
        TransactionInfo {
            hash: Some(*transaction.tx_hash()),
            ..Default::default()
        },
    )
}
