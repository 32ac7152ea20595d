//! Faults of jobs, tokens, offsets and text: Solidity against Rust. No honest run has a fault, whatever a witness says; every lie has one.

mod engine;
mod honest;
mod hostile;
mod jobs;
mod lies;
mod world;
