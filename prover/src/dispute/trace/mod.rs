//! Traces of runs (`prover/SPEC.md` section 10.1).

pub mod layout;

pub use layout::{LeafKind, Step, TraceLayout, program_code};
