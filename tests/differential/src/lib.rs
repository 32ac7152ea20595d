//! Rust against Solidity, in a real EVM.
#![forbid(unsafe_code)]
