//! Challenges (`prover/SPEC.md` section 10): traces, openings, faults and their witnesses, and what to do next.

pub mod abi;
pub mod contents;
pub mod faults;
pub mod lie;
pub mod own;
pub mod parts;
pub mod position;
pub mod results;
pub mod shape;
pub mod source;
pub mod strategy;
pub mod trace;

pub use position::Position;
