//! Deterministic inference of llama-class models: models in, tokens out.
//!
//! The arithmetic is that of `prover/SPEC.md`; every backend, thread count and batch shape gives the same bits.
//! This crate knows no hash tree, chain or network. A clock only tells whether guessing ahead pays, which no result depends on.

pub mod backend;
pub mod engine;
mod error;
pub mod format;
pub mod map;
pub mod numeric;
pub mod program;
#[doc(hidden)]
pub mod testing;
pub mod tokenizer;

pub use error::Error;
