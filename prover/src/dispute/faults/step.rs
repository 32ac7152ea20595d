//! Faults of a step's element (`prover/SPEC.md` section 10.3).
