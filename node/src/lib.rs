//! The Sworn node: everything with input and output around the pure crates.
#![forbid(unsafe_code)]

pub mod config;
pub mod export;
pub mod library;
pub mod shipped;
