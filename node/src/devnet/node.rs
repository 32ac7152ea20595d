//! The chain behind a lock: the one place that reads the wall clock and tells followers.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::Address;
use tokio::sync::{broadcast, watch};

use super::chain::{Chain, Event, Rules, Settings};
use super::clock::Clock;
use super::config::{DevAccount, DevnetConfig};
use super::error::DevnetError;
use super::mining::{genesis_block, genesis_world};
use super::rpc::filters::Filters;

/// Followers that fall further behind than this lose events.
const EVENT_BACKLOG: usize = 16_384;

/// An event with its number, so that a subscription can tell old from new.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) sequence: u64,
    pub(super) event: Event,
}

/// A running devnet without its server.
pub(super) struct Node {
    chain: RwLock<Guarded>,
    filters: Mutex<Filters>,
    notices: broadcast::Sender<Notice>,
    /// Interval of the mining task; `None` pauses it.
    pub(super) interval: watch::Sender<Option<Duration>>,
    pub(super) accounts: Vec<DevAccount>,
    pub(super) chain_id: u64,
}

struct Guarded {
    chain: Chain,
    sequence: u64,
}

impl Node {
    pub(super) fn new(config: &DevnetConfig) -> Result<Self, DevnetError> {
        config.check()?;
        let accounts = config.derive_accounts()?;
        let now = now();
        let timestamp = config.genesis_timestamp.unwrap_or(now);
        let world = genesis_world(accounts.iter().map(|a| a.address), config.balance_wei);
        let genesis = genesis_block(
            &world,
            timestamp,
            config.gas_limit,
            config.base_fee_wei,
            config.seed,
        );
        let rules = Rules {
            chain_id: config.chain_id,
            seed: config.seed,
            history_blocks: config.history_blocks,
        };
        let settings = Settings {
            automine: config.block_time.is_none(),
            gas_limit: config.gas_limit,
            coinbase: Address::ZERO,
            next_base_fee: None,
            next_prevrandao: None,
            impersonated: Default::default(),
            impersonate_all: false,
        };
        let clock = Clock::starting_at(timestamp, now);
        let chain = Chain::new(rules, settings, clock, genesis, world);
        Ok(Self {
            chain: RwLock::new(Guarded { chain, sequence: 0 }),
            filters: Mutex::default(),
            notices: broadcast::Sender::new(EVENT_BACKLOG),
            interval: watch::Sender::new(config.block_time),
            accounts,
            chain_id: config.chain_id,
        })
    }

    /// Reads the chain. The second argument is the wall clock.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Chain, u64) -> T) -> T {
        let guard = self.chain.read().unwrap_or_else(PoisonError::into_inner);
        read(&guard.chain, now())
    }

    /// Changes the chain, then tells followers what happened, in order.
    pub(super) fn write<T>(&self, write: impl FnOnce(&mut Chain, u64) -> T) -> T {
        let mut guard = self.chain.write().unwrap_or_else(PoisonError::into_inner);
        let result = write(&mut guard.chain, now());
        let events = guard.chain.take_events();
        if !events.is_empty() {
            let mut filters = self.filters();
            for event in events {
                filters.observe(&event);
                guard.sequence += 1;
                // No receiver is no error: nobody is subscribed.
                let _ = self.notices.send(Notice {
                    sequence: guard.sequence,
                    event,
                });
            }
        }
        result
    }

    /// The number of the last event.
    pub(super) fn sequence(&self) -> u64 {
        self.chain
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .sequence
    }

    /// The polled filters. Taken after the chain's lock where both are.
    pub(super) fn filters(&self) -> MutexGuard<'_, Filters> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the chain from now on.
    pub(super) fn follow(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// The unlocked account with this address.
    pub(super) fn account(&self, address: Address) -> Option<&DevAccount> {
        self.accounts
            .iter()
            .find(|account| account.address == address)
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
