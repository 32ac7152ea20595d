//! The node of Sworn: chain client, roles, store and HTTP API.

#![forbid(unsafe_code)]

pub mod chain;
pub mod store;
