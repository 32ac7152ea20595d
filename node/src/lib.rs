//! The library behind the `sworn` node.
#![forbid(unsafe_code)]

pub mod devnet;
