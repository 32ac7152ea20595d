//! What the roles share.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::B256;
use tokio::sync::watch;

use super::streams::Streams;
use crate::chain::{ChainClient, ChallengeRules, Deployment};
use crate::machine::Machine;
use crate::store::{Cursor, Store};

/// How the roles behave.
#[derive(Debug, Clone)]
pub struct RoleSettings {
    /// Blocks that must follow a block before its events are believed.
    pub confirmations_blocks: u64,
    /// How long another proposer has for finishing what its claim began before this node does it.
    pub courtesy_seconds: u64,
    /// Inputs of one sealing transaction.
    pub seal_limit: u64,
    /// Lets vouchers follow a finalisation into the same block.
    pub eager_vouchers: bool,
    /// Pause after the first failed attempt at a voucher; doubles each time.
    pub voucher_retry_seconds: u64,
    /// Lies on purpose, for tests and demonstrations.
    pub sabotage: Option<super::Sabotage>,
}

impl Default for RoleSettings {
    fn default() -> Self {
        RoleSettings {
            confirmations_blocks: 0,
            courtesy_seconds: 10,
            seal_limit: 50,
            eager_vouchers: true,
            voucher_retry_seconds: 5,
            sabotage: None,
        }
    }
}

/// Facts about the deployment that never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// First block of epoch 0.
    pub start_block: u64,
    /// Blocks of an epoch.
    pub epoch_blocks: u64,
    /// Blocks between an input and its seed's randomness.
    pub seal_delay_blocks: u64,
    /// Gas of a recipient's callback.
    pub callback_gas: u64,
    /// The clocks of challenges.
    pub challenges: ChallengeRules,
}

impl Rules {
    /// The first block after an epoch.
    pub fn epoch_end(&self, epoch: u64) -> u64 {
        self.start_block
            .saturating_add((epoch.saturating_add(1)).saturating_mul(self.epoch_blocks))
    }
}

/// Claims whose finalisation is on its way: vouchers may follow it at once.
#[derive(Debug, Default)]
pub struct Finalising(Mutex<HashSet<B256>>);

impl Finalising {
    fn lock(&self) -> MutexGuard<'_, HashSet<B256>> {
        // A set is whole between any two of its operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, claim: B256) {
        self.lock().insert(claim);
    }

    pub(super) fn remove(&self, claim: &B256) {
        self.lock().remove(claim);
    }

    pub(super) fn contains(&self, claim: &B256) -> bool {
        self.lock().contains(claim)
    }
}

/// What the roles share. Clones share everything.
#[derive(Clone)]
pub struct Context {
    /// The chain.
    pub client: ChainClient,
    /// The contracts.
    pub deployment: Deployment,
    /// Their parameters.
    pub rules: Rules,
    /// The store.
    pub store: Store,
    /// Models that this node serves: every chunk of each was hashed here.
    pub machines: Arc<BTreeMap<B256, Arc<dyn Machine>>>,
    /// Unfinal tokens.
    pub streams: Arc<Streams>,
    /// Settings.
    pub settings: Arc<RoleSettings>,
    /// Claims whose finalisation is on its way.
    pub finalising: Arc<Finalising>,
    /// Results laid out for disputes.
    pub desks: Arc<super::Desks>,
    /// Raised whenever the store learned something.
    pub changes: Arc<watch::Sender<u64>>,
}

impl Context {
    /// Tells everybody that there is news.
    pub fn announce(&self) {
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// How far the chain was read.
    pub fn cursor(&self) -> Result<Option<Cursor>, crate::store::StoreError> {
        self.store.read(crate::store::tables::CURSOR, &())
    }

    /// The chain's time in seconds, as far as this node can know it.
    pub fn now(&self) -> Result<u64, crate::store::StoreError> {
        Ok(self.cursor()?.map_or(0, |cursor| {
            cursor
                .timestamp
                .max(super::clock::unix_now().min(cursor.timestamp + 3))
        }))
    }

    /// Whether this node serves a model.
    pub fn serves(&self, model: &B256) -> bool {
        self.machines.contains_key(model)
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("deployment", &self.deployment)
            .field("models", &self.machines.keys())
            .finish_non_exhaustive()
    }
}
