//! The chain: blocks, their states, the pool, time and snapshots. Synchronous and free of I/O;
//! the wall clock comes in as an argument (`now`, seconds since 1970), events go out in a list.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use alloy::consensus::transaction::Recovered;
use alloy::consensus::{Header, Sealable, Transaction, TxEnvelope};
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, B256};
use alloy::rpc::types as rpc;

use super::block::Block;
use super::clock::Clock;
use super::error::Refusal;
use super::evm::{Machine, block_env};
use super::pool::Pool;
use super::state::{Entry, World};

/// What followers of the chain learn, in order.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A block was added.
    Block(Arc<Block>),
    /// A transaction entered the pool.
    Waiting(B256),
    /// The chain was cut back: these blocks, oldest first, are gone.
    Reverted(Vec<Arc<Block>>),
}

/// Constants of a chain.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) chain_id: u64,
    pub(super) seed: B256,
    pub(super) history_blocks: usize,
}

/// What one-time and lasting overrides apply to coming blocks.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) automine: bool,
    pub(super) gas_limit: u64,
    pub(super) coinbase: Address,
    pub(super) next_base_fee: Option<u64>,
    pub(super) next_prevrandao: Option<B256>,
    pub(super) impersonated: HashSet<Address>,
    pub(super) impersonate_all: bool,
}

/// The whole state of a devnet.
pub(super) struct Chain {
    pub(super) rules: Rules,
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) pool: Pool,
    /// From genesis to head: the index is the number. Never empty.
    blocks: Vec<Arc<Block>>,
    /// States after the newest blocks; the last is the head's. Never empty.
    worlds: VecDeque<World>,
    by_hash: HashMap<B256, u64>,
    /// Block number and index in the block of each mined transaction.
    mined: HashMap<B256, (u64, usize)>,
    snapshots: Vec<Snapshot>,
    next_snapshot: u64,
    events: Vec<Event>,
}

struct Snapshot {
    id: u64,
    number: u64,
    world: World,
    pool: Pool,
    clock: Clock,
    settings: Settings,
}

/// A state and the block it belongs to; the pending one is made up on demand.
pub(super) struct View {
    pub(super) block: Arc<Block>,
    pub(super) world: World,
}

impl View {
    /// An unfinished block: its header gives the environment that transactions see.
    pub(super) fn of_header(header: Header, world: World) -> Self {
        let block = Block {
            header: header.seal_slow(),
            transactions: Vec::new(),
            receipts: Vec::new(),
        };
        Self {
            block: Arc::new(block),
            world,
        }
    }
}

impl Chain {
    /// A chain that consists of its genesis block.
    pub(super) fn new(
        rules: Rules,
        settings: Settings,
        clock: Clock,
        genesis: Block,
        world: World,
    ) -> Self {
        Self {
            rules,
            settings,
            clock,
            pool: Pool::default(),
            by_hash: HashMap::from([(genesis.hash(), genesis.number())]),
            blocks: vec![Arc::new(genesis)],
            worlds: VecDeque::from([world]),
            mined: HashMap::new(),
            snapshots: Vec::new(),
            next_snapshot: 1,
            events: Vec::new(),
        }
    }

    /// The latest block.
    pub(super) fn head(&self) -> &Arc<Block> {
        &self.blocks[self.blocks.len() - 1]
    }

    /// The state after the latest block.
    pub(super) fn world(&self) -> &World {
        &self.worlds[self.worlds.len() - 1]
    }

    /// A block by number.
    pub(super) fn block(&self, number: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    /// A block by hash.
    pub(super) fn block_by_hash(&self, hash: &B256) -> Option<&Arc<Block>> {
        self.block(*self.by_hash.get(hash)?)
    }

    /// The block of a mined transaction, and its index there.
    pub(super) fn mined(&self, hash: &B256) -> Option<(&Arc<Block>, usize)> {
        let (number, index) = *self.mined.get(hash)?;
        Some((self.block(number)?, index))
    }

    /// The number a tag stands for; `None` is the pending block. There are no reorganisations
    /// here, so safe and finalised are the latest.
    pub(super) fn number(&self, tag: BlockNumberOrTag) -> Option<u64> {
        match tag {
            BlockNumberOrTag::Pending => None,
            BlockNumberOrTag::Number(number) => Some(number),
            BlockNumberOrTag::Earliest => Some(0),
            _ => Some(self.head().number()),
        }
    }

    /// The block an id names, pending included; `None` if there is none.
    pub(super) fn find_block(&self, id: BlockId, now: u64) -> Result<Option<Arc<Block>>, Refusal> {
        Ok(match id {
            BlockId::Hash(hash) => self.block_by_hash(&hash.block_hash).cloned(),
            BlockId::Number(tag) => match self.number(tag) {
                Some(number) => self.block(number).cloned(),
                None => Some(self.pending(now)?.block),
            },
        })
    }

    /// The state an id names.
    pub(super) fn view(&self, id: BlockId, now: u64) -> Result<View, Refusal> {
        let number = match id {
            BlockId::Hash(hash) => *self
                .by_hash
                .get(&hash.block_hash)
                .ok_or(Refusal::UnknownHash(hash.block_hash))?,
            BlockId::Number(tag) => match self.number(tag) {
                Some(number) => number,
                None => return self.pending(now),
            },
        };
        let block = self
            .block(number)
            .ok_or_else(|| Refusal::UnknownBlock(number.to_string()))?;
        let oldest = (self.blocks.len() - self.worlds.len()) as u64;
        let world = number
            .checked_sub(oldest)
            .and_then(|index| self.worlds.get(usize::try_from(index).ok()?))
            .ok_or(Refusal::Pruned { number, oldest })?;
        Ok(View {
            block: Arc::clone(block),
            world: world.clone(),
        })
    }

    /// A machine that executes on a view as its block's transactions did.
    pub(super) fn machine(&self, view: View) -> Machine<impl Fn(u64) -> Option<B256> + '_> {
        let env = block_env(view.block.header.inner());
        let parent = (view.block.number(), view.block.header.parent_hash);
        Machine::new(view.world, env, self.rules.chain_id, move |number| {
            // The pending block is not in the list, but its parent is.
            if number.checked_add(1) == Some(parent.0) {
                return Some(parent.1);
            }
            self.block(number).map(|block| block.hash())
        })
    }

    /// Appends a block and the state after it.
    pub(super) fn append(&mut self, block: Block, world: World) {
        let number = block.number();
        for (index, transaction) in block.transactions.iter().enumerate() {
            self.mined.insert(*transaction.tx_hash(), (number, index));
            self.pool.remove(transaction.signer(), transaction.nonce());
        }
        let senders: HashSet<Address> = block.transactions.iter().map(|t| t.signer()).collect();
        for sender in senders {
            self.pool.forget_below(sender, world.nonce(sender));
        }
        self.by_hash.insert(block.hash(), number);
        let block = Arc::new(block);
        self.blocks.push(Arc::clone(&block));
        self.worlds.push_back(world);
        while self.worlds.len() > self.rules.history_blocks {
            self.worlds.pop_front();
        }
        self.events.push(Event::Block(block));
    }

    /// Puts a checked transaction into the pool.
    pub(super) fn enqueue(&mut self, transaction: Recovered<TxEnvelope>) -> Result<B256, Refusal> {
        let hash = *transaction.tx_hash();
        if self.mined.contains_key(&hash) {
            return Err(Refusal::AlreadyKnown);
        }
        self.pool.insert(transaction)?;
        self.events.push(Event::Waiting(hash));
        Ok(hash)
    }

    /// Changes one account in the latest state, outside of any transaction.
    pub(super) fn edit(&mut self, address: Address, change: impl FnOnce(&mut Entry)) {
        let head = self.worlds.len() - 1;
        self.worlds[head].change(address, change);
    }

    /// Whether transactions from an address need no signature.
    pub(super) fn is_impersonated(&self, address: Address) -> bool {
        self.settings.impersonate_all || self.settings.impersonated.contains(&address)
    }

    /// The nonce after the sender's mined and waiting transactions.
    pub(super) fn pending_nonce(&self, address: Address) -> u64 {
        self.pool.next_nonce(address, self.world().nonce(address))
    }

    /// Remembers the present; see [`Chain::revert`].
    pub(super) fn snapshot(&mut self) -> u64 {
        let id = self.next_snapshot;
        self.next_snapshot += 1;
        self.snapshots.push(Snapshot {
            id,
            number: self.head().number(),
            world: self.world().clone(),
            pool: self.pool.clone(),
            clock: self.clock.clone(),
            settings: self.settings.clone(),
        });
        id
    }

    /// Returns to a snapshot, which is used up with all later ones. False if there is none.
    pub(super) fn revert(&mut self, id: u64) -> bool {
        let Some(at) = self.snapshots.iter().position(|snapshot| snapshot.id == id) else {
            return false;
        };
        let Some(snapshot) = self.snapshots.drain(at..).next() else {
            return false;
        };
        let kept = snapshot.number as usize + 1;
        let removed = self.blocks.split_off(kept.min(self.blocks.len()));
        for block in &removed {
            self.by_hash.remove(&block.hash());
            for transaction in &block.transactions {
                self.mined.remove(transaction.tx_hash());
            }
        }
        // The head's state may have been edited since, or be pruned: the snapshot holds its own.
        let states = self.worlds.len().saturating_sub(removed.len());
        self.worlds.truncate(states);
        self.worlds.pop_back();
        self.worlds.push_back(snapshot.world);
        self.pool = snapshot.pool;
        self.clock = snapshot.clock;
        self.settings = snapshot.settings;
        if !removed.is_empty() {
            self.events.push(Event::Reverted(removed));
        }
        true
    }

    /// The events since the last call.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Logs of mined blocks `from..=to` that a filter lets through.
    pub(super) fn logs(&self, filter: &rpc::Filter, from: u64, to: u64) -> Vec<rpc::Log> {
        let to = to.min(self.head().number());
        (from..=to)
            .filter_map(|number| self.block(number))
            .flat_map(|b| b.logs(filter))
            .collect()
    }
}
