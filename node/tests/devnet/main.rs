//! The embedded chain, seen through its clients. One binary: alloy's generics compile once.

mod chain;
mod common;
mod events;
mod garbage;
mod pool;
mod rpc;
