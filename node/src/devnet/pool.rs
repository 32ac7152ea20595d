//! Transactions that wait for a block.

use std::collections::{BTreeMap, HashMap};

use alloy::consensus::transaction::Recovered;
use alloy::consensus::{Transaction, TxEnvelope};
use alloy::primitives::{Address, B256};

use super::error::Refusal;

/// More waiting transactions than this are refused.
const MAX_WAITING: usize = 10_000;

/// A transaction with the order of its arrival.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) transaction: Recovered<TxEnvelope>,
    arrival: u64,
}

/// Waiting transactions by sender and nonce, with gaps or without.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    senders: BTreeMap<Address, BTreeMap<u64, Waiting>>,
    by_hash: HashMap<B256, (Address, u64)>,
    arrivals: u64,
}

impl Pool {
    /// Adds a transaction, or replaces one of the same nonce that pays at least 10 % less.
    pub(super) fn insert(&mut self, transaction: Recovered<TxEnvelope>) -> Result<(), Refusal> {
        let (sender, nonce) = (transaction.signer(), transaction.nonce());
        let hash = *transaction.tx_hash();
        if self.by_hash.contains_key(&hash) {
            return Err(Refusal::AlreadyKnown);
        }
        let old = self
            .senders
            .get(&sender)
            .and_then(|waiting| waiting.get(&nonce));
        if let Some(old) = old {
            let raised = |old: u128, new: u128| new >= old.saturating_add(old.div_ceil(10));
            if !raised(
                old.transaction.max_fee_per_gas(),
                transaction.max_fee_per_gas(),
            ) || !raised(priority_fee(&old.transaction), priority_fee(&transaction))
            {
                return Err(Refusal::Underpriced);
            }
            self.by_hash.remove(old.transaction.tx_hash());
        } else if self.by_hash.len() >= MAX_WAITING {
            return Err(Refusal::PoolFull(self.by_hash.len()));
        }
        self.arrivals += 1;
        let waiting = Waiting {
            transaction,
            arrival: self.arrivals,
        };
        self.senders
            .entry(sender)
            .or_default()
            .insert(nonce, waiting);
        self.by_hash.insert(hash, (sender, nonce));
        Ok(())
    }

    /// Removes a transaction by sender and nonce.
    pub(super) fn remove(&mut self, sender: Address, nonce: u64) -> Option<Recovered<TxEnvelope>> {
        let waiting = self.senders.get_mut(&sender)?;
        let removed = waiting.remove(&nonce)?;
        if waiting.is_empty() {
            self.senders.remove(&sender);
        }
        self.by_hash.remove(removed.transaction.tx_hash());
        Some(removed.transaction)
    }

    /// Removes a transaction by its hash.
    pub(super) fn remove_hash(&mut self, hash: &B256) -> Option<Recovered<TxEnvelope>> {
        let (sender, nonce) = *self.by_hash.get(hash)?;
        self.remove(sender, nonce)
    }

    /// Removes what a sender's account nonce has overtaken.
    pub(super) fn forget_below(&mut self, sender: Address, nonce: u64) {
        while let Some(old) = self
            .senders
            .get(&sender)
            .and_then(|w| w.range(..nonce).next())
            .map(|(nonce, _)| *nonce)
        {
            self.remove(sender, old);
        }
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) {
        self.senders.clear();
        self.by_hash.clear();
    }

    /// A waiting transaction by its hash.
    pub(super) fn find(&self, hash: &B256) -> Option<&Recovered<TxEnvelope>> {
        let (sender, nonce) = self.by_hash.get(hash)?;
        Some(&self.senders.get(sender)?.get(nonce)?.transaction)
    }

    /// The nonce after the gapless run of waiting transactions that starts at `nonce`.
    pub(super) fn next_nonce(&self, sender: Address, mut nonce: u64) -> u64 {
        if let Some(waiting) = self.senders.get(&sender) {
            while waiting.contains_key(&nonce) {
                nonce += 1;
            }
        }
        nonce
    }

    /// All waiting transactions, by sender and nonce.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Recovered<TxEnvelope>> {
        self.senders
            .values()
            .flat_map(BTreeMap::values)
            .map(|waiting| &waiting.transaction)
    }

    pub(super) fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// A cursor that yields executable transactions, best tip first.
    pub(super) fn executable(
        &self,
        base_fee: u64,
        nonce: impl Fn(Address) -> u64,
    ) -> Executable<'_> {
        let heads = self
            .senders
            .iter()
            .filter_map(|(sender, waiting)| {
                let head = waiting.get(&nonce(*sender))?;
                Some((*sender, head))
            })
            .collect();
        Executable {
            pool: self,
            base_fee,
            heads,
        }
    }
}

/// What the sender of a transaction offers the miner at most.
fn priority_fee(transaction: &TxEnvelope) -> u128 {
    transaction
        .max_priority_fee_per_gas()
        .unwrap_or_else(|| transaction.max_fee_per_gas())
}

/// See [`Pool::executable`]. One head per sender; senders drop out when a transaction of theirs
/// cannot be taken, because their later ones depend on it.
pub(super) struct Executable<'a> {
    pool: &'a Pool,
    base_fee: u64,
    heads: BTreeMap<Address, &'a Waiting>,
}

impl<'a> Executable<'a> {
    /// The sender's transaction was taken: its successor may come.
    pub(super) fn taken(&mut self, transaction: &Recovered<TxEnvelope>) {
        let next = self
            .pool
            .senders
            .get(&transaction.signer())
            .and_then(|waiting| waiting.get(&transaction.nonce().checked_add(1)?));
        if let Some(next) = next {
            self.heads.insert(transaction.signer(), next);
        }
    }
}

impl<'a> Iterator for Executable<'a> {
    type Item = &'a Recovered<TxEnvelope>;

    fn next(&mut self) -> Option<Self::Item> {
        let best = self
            .heads
            .values()
            .filter_map(|waiting| {
                let tip = waiting.transaction.effective_tip_per_gas(self.base_fee)?;
                Some((tip, std::cmp::Reverse(waiting.arrival), *waiting))
            })
            .max_by_key(|(tip, arrival, _)| (*tip, *arrival))
            .map(|(_, _, waiting)| waiting)?;
        self.heads.remove(&best.transaction.signer());
        Some(&best.transaction)
    }
}
