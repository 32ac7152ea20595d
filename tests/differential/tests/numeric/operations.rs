//! `+ - * / sqrt`.

use sworn_differential::compare::{Reference, Scalar};
use sworn_differential::vectors::{Rng, pair};

use crate::soft::{Bug, Operation, compute};
use crate::{b, check, f};

fn two(rng: &mut Rng, i: usize) -> [u32; 3] {
    let (a, b) = pair(rng, i);
    [a, b, 0]
}

macro_rules! soft {
    ($operation:ident, $($bug:ident),+) => {
        &[$((
            stringify!($bug),
            (|a, b, _| i64::from(compute(Operation::$operation, a, b, Bug::$bug))) as Reference,
        )),+]
    };
}

/// The references with a bug are right without one.
fn soft_is_right(operation: Operation, cpu: fn(u32, u32) -> i64) {
    let mut rng = Rng(1);
    for i in 0..1_000_000 {
        let (x, y) = pair(&mut rng, i);
        let found = i64::from(compute(operation, x, y, Bug::None));
        assert_eq!(found, cpu(x, y), "{operation:?}({x:#x}, {y:#x})");
    }
}

#[test]
fn add() {
    soft_is_right(Operation::Add, |x, y| b(f(x) + f(y)));
    check(&Scalar {
        name: "add",
        number: 0,
        reference: |x, y, _| b(f(x) + f(y)),
        operands: two,
        mutants: soft!(
            Add,
            TiesAway,
            TiesDown,
            Truncate,
            NoSticky,
            FlushResult,
            FlushOperand,
            Saturate,
            KeepNan,
            NoInvalid,
            ZeroSign
        ),
    });
}

#[test]
fn sub() {
    check(&Scalar {
        name: "sub",
        number: 15,
        reference: |x, y, _| b(f(x) - f(y)),
        operands: two,
        mutants: &[
            ("swapped", |x, y, _| b(f(y) - f(x))),
            ("added", |x, y, _| b(f(x) + f(y))),
        ],
    });
}

#[test]
fn mul() {
    soft_is_right(Operation::Mul, |x, y| b(f(x) * f(y)));
    check(&Scalar {
        name: "mul",
        number: 1,
        reference: |x, y, _| b(f(x) * f(y)),
        operands: two,
        mutants: soft!(
            Mul,
            TiesAway,
            TiesDown,
            Truncate,
            FlushResult,
            FlushOperand,
            RoundTwice,
            Saturate,
            KeepNan,
            NoInvalid,
            ZeroSign
        ),
    });
}

#[test]
fn div() {
    soft_is_right(Operation::Div, |x, y| b(f(x) / f(y)));
    // Ties are among subnormal results only.
    check(&Scalar {
        name: "div",
        number: 2,
        reference: |x, y, _| b(f(x) / f(y)),
        operands: two,
        mutants: soft!(
            Div,
            TiesAway,
            TiesDown,
            Truncate,
            FlushResult,
            FlushOperand,
            RoundTwice,
            Saturate,
            KeepNan,
            NoInvalid,
            ZeroSign
        ),
    });
}

#[test]
fn sqrt() {
    soft_is_right(Operation::Sqrt, |x, _| b(f(x).sqrt()));
    // A root is never a tie nor subnormal.
    check(&Scalar {
        name: "sqrt",
        number: 3,
        reference: |x, _, _| b(f(x).sqrt()),
        operands: |rng, i| [pair(rng, i).0, 0, 0],
        mutants: soft!(Sqrt, Truncate, FlushOperand, KeepNan, NoInvalid, ZeroSign),
    });
}

/// Around perfect squares the integer root is off by one if it is ever.
#[test]
fn sqrt_around_squares() {
    check(&Scalar {
        name: "sqrt",
        number: 3,
        reference: |x, _, _| b(f(x).sqrt()),
        operands: |rng, _| {
            let root = 1.0 + rng.unit();
            let square = (root * root).to_bits() + (rng.below(3) << 23);
            [square.wrapping_add(rng.below(5)).wrapping_sub(2), 0, 0]
        },
        mutants: soft!(Sqrt, Truncate),
    });
}
