//! The embedded EVM chain: a development node inside the process.
//!
//! [`Devnet::spawn`] gives a chain with real blocks, state roots and receipts over JSON-RPC, on
//! HTTP and WebSocket at one port. It follows the Osaka rules. What is different from a public
//! chain is on purpose: blocks come when asked for, time can be moved, accounts are rich and
//! their keys are known to everybody.
//!
//! What a client may rely on:
//! - Headers are complete and hash to the block's hash; state, transaction and receipt roots are
//!   the real tries' (`eth_getProof` proves against them). EIP-2935 and EIP-4788 contracts are
//!   there and served at each block's start, and so is the usual CREATE2 proxy.
//! - When automining, a transaction's receipt is there once the submission is answered.
//! - Time stamps rise strictly: wall clock plus an offset that tests move.
//! - `eth_call` sees the block it names (by default the latest); `eth_estimateGas` is about the
//!   next block, so it sees moved time before a block is made. Calls without a fee see BASEFEE 0.
//! - `safe` and `finalized` are the latest block: there are no reorganisations but `evm_revert`.
//! - prevrandao is `keccak256(seed, number)`: distinct for every block and predictable.
//! - States of the newest [`DevnetConfig::history_blocks`] blocks can be queried.
//! - `evm_setIntervalMining` takes seconds.
//!
//! ```text
//! handle.rs   start and stop   server.rs  HTTP and WebSocket
//! node.rs     the chain behind a lock, wall clock, events
//! rpc/        JSON-RPC methods              chain.rs    blocks, states, snapshots (pure)
//! pool.rs     waiting transactions          mining.rs   making blocks   submit.rs  taking them in
//! evm.rs      the bridge to revm            call.rs     calls and gas estimates
//! trie.rs     persistent Merkle trie        state.rs    accounts and storage on it
//! ```

mod block;
mod call;
mod chain;
mod clock;
mod config;
mod error;
mod evm;
mod handle;
mod mining;
mod node;
mod pool;
mod rpc;
mod server;
mod state;
mod submit;
mod trie;

pub use config::{DevAccount, DevnetConfig, TEST_MNEMONIC};
pub use error::DevnetError;
pub use handle::{Devnet, DevnetHandle};
pub use rpc::RpcError;
