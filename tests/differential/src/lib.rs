//! Rust against Solidity, in a real EVM.
//!
//! [`Evm`] runs the contracts as they are deployed; [`vectors`] makes operands; [`compare`] calls the numeric libraries in batches.
#![forbid(unsafe_code)]

mod answering;
mod artifact;
pub mod compare;
mod evm;
pub mod vectors;

pub use answering::answering;
pub use artifact::bytecode;
pub use evm::{CALLER, Evm, Failure, Outcome};
