//! Witnesses of faults, one module a family, as the Solidity contracts of the same names take them.

pub mod attention;
pub mod job;
pub mod prompt;
pub(crate) mod range;
pub mod selection;
pub mod span;
pub mod step;
pub mod tokens;
