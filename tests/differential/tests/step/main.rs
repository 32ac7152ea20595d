//! Faults 64, 65 and 66 of steps (not of attention): the Rust reference against the Solidity judges and against the backends.
//!
//! `SWORN_CASES=n` sets the number of random cases of an operation and weight format.

mod backends;
mod gas;
mod honest;
mod hostile;
mod leaves;
mod mutants;
mod programs;
mod random;
mod scene;
mod shapes;
mod world;

use sworn_inference::program::{Op, WeightFormat};

/// Weight formats.
pub(crate) const FORMATS: [WeightFormat; 5] = [
    WeightFormat::F32,
    WeightFormat::F16,
    WeightFormat::Q8_0,
    WeightFormat::Q4_0,
    WeightFormat::Q8F,
];

/// Random cases of an operation and weight format.
pub(crate) fn cases(default: usize) -> usize {
    let set = std::env::var("SWORN_CASES").ok();
    set.and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// What is compared of an operation here: its elements for each of these formats, whether as sums too. Attention's operations have their own test.
pub(crate) fn covered(op: Op) -> Option<(&'static [WeightFormat], bool)> {
    match op {
        Op::Embed => Some((&FORMATS, false)),
        Op::Matmul => Some((&FORMATS, true)),
        Op::NormStat => Some((&FORMATS[..1], true)),
        Op::NormApply | Op::Rope | Op::ToF16 | Op::Add | Op::SiluMul => {
            Some((&FORMATS[..1], false))
        }
        Op::Quantise => Some((&FORMATS[2..3], false)),
        Op::AttnMax | Op::AttnSum | Op::AttnMix => None,
    }
}

/// Operations that `tests/attention*` compares.
const ELSEWHERE: [Op; 3] = [Op::AttnMax, Op::AttnSum, Op::AttnMix];

#[test]
fn every_operation_has_a_differential_case() {
    for op in Op::ALL {
        assert!(
            covered(op).is_some() != ELSEWHERE.contains(&op),
            "{op:?} is compared in exactly one place"
        );
    }
}
