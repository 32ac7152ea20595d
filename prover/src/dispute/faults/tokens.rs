//! Faults of tokens, offsets and text (`prover/SPEC.md` section 10.3).
