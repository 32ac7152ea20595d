//! End to end: separate processes, real EVM, real store, the `sworn` command line as people type it.

mod consumer;
mod crash;
mod dispute;
mod flow;
mod peers;
mod system;
