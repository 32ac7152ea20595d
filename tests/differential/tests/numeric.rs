//! Every function of the numeric libraries against the CPU: `SWORN_VECTORS` vectors each, 200,000 unless it says otherwise.

use sworn_differential::compare::{Harness, Scalar};
use sworn_differential::vectors::{Rng, count, exponent, pair};
use sworn_inference::numeric as cpu;

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

fn two(rng: &mut Rng, i: usize) -> [u32; 3] {
    let (a, b) = pair(rng, i);
    [a, b, 0]
}

fn one(rng: &mut Rng, i: usize) -> [u32; 3] {
    [exponent(rng, i), 0, 0]
}

#[track_caller]
fn check(scalar: &Scalar) {
    let gas = Harness::new().check(scalar, count());
    println!("{:>14} {gas:8.1} gas with the harness's loop", scalar.name);
}

#[test]
fn add() {
    check(&Scalar {
        name: "add",
        number: 0,
        reference: |x, y, _| b(f(x) + f(y)),
        operands: two,
        mutants: &[],
    });
}

#[test]
fn mul() {
    check(&Scalar {
        name: "mul",
        number: 1,
        reference: |x, y, _| b(f(x) * f(y)),
        operands: two,
        mutants: &[],
    });
}

#[test]
fn div() {
    check(&Scalar {
        name: "div",
        number: 2,
        reference: |x, y, _| b(f(x) / f(y)),
        operands: two,
        mutants: &[],
    });
}

#[test]
fn sqrt() {
    check(&Scalar {
        name: "sqrt",
        number: 3,
        reference: |x, _, _| b(f(x).sqrt()),
        operands: two,
        mutants: &[],
    });
}

#[test]
fn exp() {
    check(&Scalar {
        name: "exp",
        number: 9,
        reference: |x, _, _| b(cpu::exp(f(x))),
        operands: one,
        mutants: &[],
    });
}

#[test]
fn silu() {
    check(&Scalar {
        name: "silu",
        number: 10,
        reference: |x, _, _| b(cpu::silu(f(x))),
        operands: one,
        mutants: &[],
    });
}
