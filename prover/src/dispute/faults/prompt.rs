//! Faults of a prompt's tokens (`prover/SPEC.md` section 10.3).
