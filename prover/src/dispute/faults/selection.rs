//! Faults of the choice of a token (`prover/SPEC.md` section 10.3).
