//! Every function of the numeric libraries against the CPU: `SWORN_VECTORS` vectors each, 200,000 unless it says otherwise; and against
//! references with a bug, all of which these vectors have to tell apart.

mod costs;
mod operations;
mod scalars;
mod soft;
mod sums;

use sworn_differential::compare::{Harness, Scalar};
use sworn_differential::vectors::count;

fn f(bits: u32) -> f32 {
    f32::from_bits(bits)
}

/// The stored bits of a result. By integers: the compiler takes `canonical(x.sqrt())` for `x.sqrt()`, whose NaN has any payload.
fn b(x: f32) -> i64 {
    let bits = x.to_bits();
    i64::from(if bits & 0x7fff_ffff > 0x7f80_0000 {
        0x7fc0_0000
    } else {
        bits
    })
}

#[track_caller]
fn check(scalar: &Scalar) {
    Harness::new().check(scalar, count());
}
