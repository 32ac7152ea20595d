//! Whole disputes in a real EVM, over models of true size whose leaves are made when they are asked for.

pub mod abi;
pub mod driver;
pub mod scenario;
pub mod shape;
pub mod shaped;
pub mod sparse;
pub mod texts;
pub mod world;
