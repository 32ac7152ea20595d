//! Faults of a job's fields (`prover/SPEC.md` section 10.3).
