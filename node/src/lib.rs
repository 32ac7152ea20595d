//! The node of Sworn: chain client, roles, store and HTTP API.

#![forbid(unsafe_code)]

pub mod api;
pub mod chain;
pub mod machine;
pub mod roles;
pub mod store;

mod node;
pub use node::{Node, NodeError, NodeHandle, NodeSettings};
