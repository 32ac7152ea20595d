//! The node of Sworn: chain client, roles, store and HTTP API, and what the command line needs beside them.

#![forbid(unsafe_code)]

pub mod chain;
pub mod config;
pub mod export;
pub mod library;
pub mod shipped;
pub mod store;
