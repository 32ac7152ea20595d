//! The embedded EVM chain: a development node inside the process.
//!
//! [`Devnet::spawn`] gives a chain with real blocks, state roots and receipts over JSON-RPC, on
//! HTTP and WebSocket at one port. It follows the Osaka rules. What is different from a public
//! chain is on purpose: blocks come when asked for, time can be moved, accounts are rich and
//! their keys are known to everybody.
//!
//! ```text
//! server.rs   HTTP and WebSocket            node.rs     the chain behind a lock, wall clock, events
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
pub use rpc::RpcError;
pub use server::{Devnet, DevnetHandle};
