//! The node of Sworn: chain client, roles, store and HTTP API, and what the command line needs beside them.

#![forbid(unsafe_code)]

pub mod api;
pub mod chain;
pub mod config;
pub mod devnet;
pub mod export;
pub mod library;
pub mod machine;
pub mod roles;
pub mod shipped;
pub mod store;

mod node;
pub use node::{Node, NodeError, NodeHandle, NodeSettings};
