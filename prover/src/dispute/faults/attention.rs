//! Faults of attention: scores, sums, mixes (`prover/SPEC.md` section 10.3).
