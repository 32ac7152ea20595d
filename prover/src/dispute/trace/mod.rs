//! Traces of runs (`prover/SPEC.md` section 10.1).
