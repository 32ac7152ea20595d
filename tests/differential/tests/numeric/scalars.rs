//! The other functions of one to three numbers.

use alloy_primitives::{I256, U256};
use sworn_differential::compare::{Harness, Scalar};
use sworn_differential::vectors::{Rng, count, edge, exponent, pair, with_field};
use sworn_inference::numeric as cpu;

use crate::{b, check, f};

fn one(rng: &mut Rng, i: usize) -> [u32; 3] {
    [pair(rng, i).0, 0, 0]
}

fn two(rng: &mut Rng, i: usize) -> [u32; 3] {
    let (a, b) = pair(rng, i);
    [a, b, 0]
}

/// exp with each of its choices open to a bug.
struct Exp {
    coefficients: [u32; 8],
    round: fn(f32) -> f32,
    multiply_add: fn(f32, f32, f32) -> f32,
    reduce: fn(f32, f32, f32, f32) -> f32,
    lowest: f32,
}

const EXP: Exp = Exp {
    coefficients: [
        0x3fb8_aa3b,
        0xbf31_8000,
        0x395e_8083,
        0x3ab6_0b61,
        0x3c08_8889,
        0x3d2a_aaab,
        0x3e2a_aaab,
        0x3f00_0000,
    ],
    round: f32::round_ties_even,
    multiply_add: |p, q, c| p * q + c,
    reduce: |x, n, high, low| (x + n * high) + n * low,
    lowest: -87.0,
};

impl Exp {
    fn of(&self, bits: u32) -> i64 {
        let x = f(bits);
        if x.is_nan() || x > 0.0 {
            return 0x7fc0_0000;
        }
        if x < self.lowest {
            return 0;
        }
        let [log2e, high, low, c6, rest @ ..] = self.coefficients.map(f);
        let n = (self.round)(x * log2e);
        let q = (self.reduce)(x, n, high, low);
        let mut p = c6;
        for c in rest {
            p = (self.multiply_add)(p, q, c);
        }
        for _ in 0..2 {
            p = (self.multiply_add)(p, q, 1.0);
        }
        i64::from(p.to_bits().wrapping_add((n as i32 as u32) << 23))
    }

    /// One coefficient is off by one unit.
    const fn with(index: usize, by: i32) -> Exp {
        let mut coefficients = EXP.coefficients;
        coefficients[index] = coefficients[index].wrapping_add_signed(by);
        Exp {
            coefficients,
            ..EXP
        }
    }
}

#[test]
fn exp() {
    check(&Scalar {
        name: "exp",
        number: 9,
        reference: |x, _, _| b(cpu::exp(f(x))),
        operands: |rng, i| [exponent(rng, i), 0, 0],
        mutants: &[
            ("log2e", |x, _, _| Exp::with(0, 1).of(x)),
            ("ln2 high", |x, _, _| Exp::with(1, 1).of(x)),
            ("ln2 low", |x, _, _| Exp::with(2, 1).of(x)),
            ("c6 by more", |x, _, _| Exp::with(3, -4096).of(x)),
            ("c5 by more", |x, _, _| Exp::with(4, 64).of(x)),
            ("c4", |x, _, _| Exp::with(5, -1).of(x)),
            ("c3", |x, _, _| Exp::with(6, 1).of(x)),
            ("c2", |x, _, _| Exp::with(7, -1).of(x)),
            ("n rounded down", |x, _, _| {
                Exp {
                    round: f32::floor,
                    ..EXP
                }
                .of(x)
            }),
            ("fused", |x, _, _| {
                Exp {
                    multiply_add: f32::mul_add,
                    ..EXP
                }
                .of(x)
            }),
            ("reduced in another order", |x, _, _| {
                Exp {
                    reduce: |x, n, high, low| x + (n * high + n * low),
                    ..EXP
                }
                .of(x)
            }),
            ("reduced at once", |x, _, _| {
                Exp {
                    reduce: |x, n, high, low| n.mul_add(low, n.mul_add(high, x)),
                    ..EXP
                }
                .of(x)
            }),
            ("border below", |x, _, _| {
                Exp {
                    lowest: f(0xc2ad_ffff),
                    ..EXP
                }
                .of(x)
            }),
            ("border above", |x, _, _| {
                Exp {
                    lowest: f(0xc2ae_0001),
                    ..EXP
                }
                .of(x)
            }),
            (
                "positive",
                |x, _, _| if f(x) > 0.0 { b(1.0) } else { EXP.of(x) },
            ),
            (
                "zero",
                |x, _, _| if x == 0 { 0x7fc0_0000 } else { EXP.of(x) },
            ),
        ],
    });
}

/// The mutants' exp is the CPU's when nothing is changed.
#[test]
fn exp_of_the_mutants() {
    let mut rng = Rng(3);
    for i in 0..500_000 {
        let x = exponent(&mut rng, i);
        assert_eq!(EXP.of(x), b(cpu::exp(f(x))), "{x:#x}");
    }
}

#[test]
fn silu() {
    check(&Scalar {
        name: "silu",
        number: 10,
        reference: |x, _, _| b(cpu::silu(f(x))),
        operands: |rng, i| [exponent(rng, i) ^ (rng.below(2) << 31), 0, 0],
        mutants: &[
            ("product last", |x, _, _| {
                let (x, e) = (f(x), cpu::exp(-f(x).abs()));
                b(if x.is_sign_negative() {
                    x * (e / (1.0 + e))
                } else {
                    x / (1.0 + e)
                })
            }),
            ("no e for x < 0", |x, _, _| {
                b(f(x) / (1.0 + cpu::exp(-f(x).abs())))
            }),
            ("-0 as +0", |x, _, _| b(cpu::silu(f(x)) + 0.0)),
            ("-infinity as -0", |x, _, _| {
                if x == 0xff80_0000 {
                    b(-0.0)
                } else {
                    b(cpu::silu(f(x)))
                }
            }),
        ],
    });
}

#[test]
fn inverse_root() {
    let operands = |rng: &mut Rng, i: usize| {
        let (a, b) = pair(rng, i);
        let n = if i.is_multiple_of(3) {
            1 + rng.below(1 << 20)
        } else {
            1 + rng.below(4096)
        };
        let eps = if i.is_multiple_of(5) { b } else { 0x3727_c5ac };
        [
            if i.is_multiple_of(2) {
                a & 0x7fff_ffff
            } else {
                a
            },
            n,
            eps,
        ]
    };
    check(&Scalar {
        name: "inverseRoot",
        number: 11,
        reference: |x, n, eps| b(cpu::inverse_root(f(x), n, f(eps))),
        operands,
        mutants: &[
            ("eps before the mean", |x, n, eps| {
                b(1.0 / ((f(x) + f(eps)) / n as f32).sqrt())
            }),
            ("no eps", |x, n, _| b(1.0 / (f(x) / n as f32).sqrt())),
            ("root of the inverse", |x, n, eps| {
                b((1.0 / (f(x) / n as f32 + f(eps))).sqrt())
            }),
            ("mean by the inverse", |x, n, eps| {
                b(1.0 / (f(x) * (1.0 / n as f32) + f(eps)).sqrt())
            }),
        ],
    });
}

#[test]
fn quantise() {
    // a is the largest magnitude, b an element that is no larger; some in the middle between integers.
    let operands = |rng: &mut Rng, i: usize| {
        let largest = match i % 4 {
            _ if i < 192 => edge(i) & 0x7fff_ffff,
            0 => rng.bits() & 0x7fff_ffff,
            1 => 0x0400_0000 + rng.below(1 << 20) - (1 << 10),
            _ => {
                let field = 8 + rng.below(247);
                with_field(rng, field) & 0x7fff_ffff
            }
        };
        let (d, half) = (f(largest) / 127.0, rng.below(255) as f32 - 127.0);
        let x = match i % 3 {
            0 => f(largest) * (2.0 * rng.unit() - 1.0),
            1 => d * (half + 0.5),
            _ => f(largest ^ rng.below(2) << 31),
        };
        let x = x.to_bits().wrapping_add(rng.below(3)).wrapping_sub(1);
        [
            largest,
            0,
            if x & 0x7fff_ffff > largest {
                largest
            } else {
                x
            },
        ]
    };
    check(&Scalar {
        name: "quantiseScale",
        number: 12,
        reference: |a, _, x| {
            let mut values = [0.0; 32];
            (values[0], values[1]) = (f(a), f(x));
            b(cpu::quantise_block(&values).0)
        },
        operands,
        mutants: &[
            ("by the inverse of 127", |a, _, _| b(f(a) * (1.0 / 127.0))),
            ("zero one too late", |a, _, _| {
                if a <= 0x0400_0000 { 0 } else { b(f(a) / 127.0) }
            }),
            ("infinity", |a, _, _| {
                if a < 0x0400_0000 { 0 } else { b(f(a) / 127.0) }
            }),
        ],
    });
    check(&Scalar {
        name: "quantise",
        number: 13,
        reference: |a, _, x| {
            let mut values = [0.0; 32];
            (values[0], values[1]) = (f(a), f(x));
            i64::from(cpu::quantise_block(&values).1[1])
        },
        operands,
        mutants: &[
            ("ties away", |a, _, x| {
                element(a, x, |x, d| (x * (1.0 / d)).round())
            }),
            ("divided", |a, _, x| {
                element(a, x, |x, d| (x / d).round_ties_even())
            }),
            ("truncated", |a, _, x| {
                element(a, x, |x, d| (x * (1.0 / d)).trunc())
            }),
        ],
    });
}

fn element(a: u32, x: u32, of: fn(f32, f32) -> f32) -> i64 {
    match a {
        0..0x0400_0000 | 0x7f80_0000.. => 0,
        _ => of(f(x), f(a) / 127.0) as i64,
    }
}

#[test]
fn mass() {
    let operands = |rng: &mut Rng, i: usize| {
        let best = if i.is_multiple_of(7) {
            edge(i / 7)
        } else {
            (rng.normal() * 10.0).to_bits()
        };
        let best = if f(best).is_finite() { best } else { 0 };
        let logit = match i % 5 {
            0 => edge(i / 5),
            1 => rng.bits(),
            2 => best,
            _ => (f(best) - rng.unit() * 25.0).to_bits(),
        };
        [
            logit,
            best,
            1 + rng.below(if i.is_multiple_of(2) { 10_000 } else { 1500 }),
        ]
    };
    check(&Scalar {
        name: "mass",
        number: 14,
        reference: |l, m, t| i64::from(cpu::mass(f(l), f(m), t)),
        operands,
        mutants: &[
            ("rounded", |l, m, t| {
                (cpu::exp((f(l) - f(m)) / (t as f32 / 1000.0)) * 1_073_741_824.0).round() as i64
            }),
            ("times 1000", |l, m, t| {
                (cpu::exp((f(l) - f(m)) * 1000.0 / t as f32) * 1_073_741_824.0) as u32 as i64
            }),
            ("times 0.001", |l, m, t| {
                (cpu::exp((f(l) - f(m)) / (t as f32 * 0.001)) * 1_073_741_824.0) as u32 as i64
            }),
            ("cut at -20", |l, m, t| {
                let x = (f(l) - f(m)) / (t as f32 / 1000.0);
                if x < -20.0 {
                    0
                } else {
                    (cpu::exp(x) * 1_073_741_824.0) as u32 as i64
                }
            }),
        ],
    });
}

#[test]
fn temperature() {
    check(&Scalar {
        name: "temperature",
        number: 20,
        reference: |_, _, t| b(t as f32 / 1000.0),
        operands: |_, i| [0, 0, i as u32],
        mutants: &[("times 0.001", |_, _, t| b(t as f32 * 0.001))],
    });
}

#[test]
fn keys() {
    check(&Scalar {
        name: "key",
        number: 5,
        reference: |x, _, _| i64::from(cpu::key(f(x))),
        operands: one,
        mutants: &[
            ("zeros are equal", |x, _, _| i64::from(cpu::key(f(x) + 0.0))),
            ("sign and magnitude", |x, _, _| i64::from(x as i32)),
        ],
    });
    check(&Scalar {
        name: "max",
        number: 6,
        reference: |x, y, _| {
            i64::from(if cpu::key(f(y)) > cpu::key(f(x)) {
                y
            } else {
                x
            })
        },
        operands: two,
        mutants: &[
            ("as floats", |x, y, _| {
                i64::from(if f(y) > f(x) { y } else { x })
            }),
            ("smaller", |x, y, _| {
                i64::from(if cpu::key(f(y)) < cpu::key(f(x)) {
                    y
                } else {
                    x
                })
            }),
        ],
    });
    // NaN is at an end of the 256-bit order; below i32 or above, the harness's words are compared with a stand-in.
    let mut harness = Harness::new();
    let mut rng = Rng(5);
    let operands: Vec<[u32; 3]> = (0..count()).map(|i| one(&mut rng, i)).collect();
    for batch in operands.chunks(4096) {
        for (number, end) in [(16, I256::MIN), (17, I256::MAX)] {
            for ([x, ..], word) in batch.iter().zip(harness.scalars(number, batch).0) {
                let key = I256::try_from(cpu::key(f(*x))).unwrap();
                let expected = if f(*x).is_nan() { end } else { key };
                assert_eq!(I256::from_raw(word), expected, "{x:#x}");
            }
        }
    }
}

#[test]
fn canonical() {
    check(&Scalar {
        name: "canonical",
        number: 18,
        reference: |x, _, _| b(f(x)),
        operands: one,
        mutants: &[("as it is", |x, _, _| i64::from(x))],
    });
}

#[test]
fn from_half() {
    check(&Scalar {
        name: "fromHalf",
        number: 7,
        reference: |h, _, _| b(cpu::f16_to_f32(h as u16)),
        // Every half.
        operands: |_, i| [i as u32 & 0xffff, 0, 0],
        mutants: &[
            ("flushed", |h, _, _| {
                let x = cpu::f16_to_f32(h as u16);
                b(if x.abs() < 6.1e-5 { x * 0.0 } else { x })
            }),
            ("payload kept", |h, _, _| {
                i64::from(cpu::f16_to_f32(h as u16).to_bits())
            }),
            ("unsigned", |h, _, _| b(cpu::f16_to_f32(h as u16).abs())),
        ],
    });
}

#[test]
fn to_half() {
    // Halves, their middles, and the bits beside them.
    let operands = |rng: &mut Rng, i: usize| {
        let x = match i % 3 {
            0 => pair(rng, i / 3).0,
            1 => cpu::f16_to_f32(rng.bits() as u16)
                .to_bits()
                .wrapping_add(rng.below(3))
                .wrapping_sub(1),
            _ => {
                let h = rng.bits() as u16 & 0x7bff;
                let middle =
                    (f64::from(cpu::f16_to_f32(h)) + f64::from(cpu::f16_to_f32(h + 1))) / 2.0;
                (middle as f32)
                    .to_bits()
                    .wrapping_add(rng.below(3))
                    .wrapping_sub(1)
                    ^ rng.below(2) << 31
            }
        };
        [x, 0, 0]
    };
    check(&Scalar {
        name: "toHalf",
        number: 8,
        reference: |x, _, _| i64::from(cpu::f32_to_f16(f(x))),
        operands,
        mutants: &[
            ("ties away", |x, _, _| {
                // One more makes every tie more than one.
                i64::from(cpu::f32_to_f16(if f(x).is_nan() { f(x) } else { f(x | 1) }))
            }),
            ("not clamped", |x, _, _| {
                let h = cpu::f32_to_f16(f(x));
                i64::from(if f(x).abs() >= 65520.0 {
                    h & 0x8000 | 0x7c00
                } else {
                    h
                })
            }),
            ("flushed", |x, _, _| {
                i64::from(cpu::f32_to_f16(if f(x).abs() < 6.1e-5 {
                    f(x) * 0.0
                } else {
                    f(x)
                }))
            }),
            ("NaN's sign kept", |x, _, _| {
                i64::from(
                    cpu::f32_to_f16(f(x))
                        | if f(x).is_nan() {
                            (x >> 16) as u16 & 0x8000
                        } else {
                            0
                        },
                )
            }),
        ],
    });
}

#[test]
fn round_half_even() {
    check(&Scalar {
        name: "roundHalfEven",
        number: 19,
        reference: |x, _, _| f(x).round_ties_even() as i64,
        operands: |rng, i| {
            let x = match i % 3 {
                0 => rng.below(1 << 22) as f32 + 0.5,
                1 => rng.normal() * 100.0,
                _ => {
                    let field = rng.below(158);
                    f(with_field(rng, field))
                }
            };
            [x.to_bits() ^ rng.below(2) << 31, 0, 0]
        },
        mutants: &[
            ("ties away", |x, _, _| f(x).round() as i64),
            ("truncated", |x, _, _| f(x) as i64),
        ],
    });
}

#[test]
fn from_int() {
    check(&Scalar {
        name: "fromInt",
        number: 4,
        reference: |x, _, _| b(x as i32 as f32),
        operands: |rng, i| {
            let x = match i % 4 {
                _ if i < 64 => (1i64 << (i / 2) << (i % 2)) as u32,
                0 => rng.bits(),
                1 => {
                    let by = rng.below(32);
                    rng.bits() >> by
                }
                // 25 bits and more, the last of which are a half.
                _ => {
                    let by = rng.below(7);
                    ((rng.bits() >> 8) << 1 | 1) << by
                }
            };
            [
                if i.is_multiple_of(2) {
                    x
                } else {
                    x.wrapping_neg()
                },
                0,
                0,
            ]
        },
        mutants: &[
            ("truncated", |x, _, _| {
                let (x, kept) = (x as i32, 24);
                let drop = (32 - x.unsigned_abs().leading_zeros()).saturating_sub(kept);
                b(x.signum() as f32 * (x.unsigned_abs() >> drop << drop) as f32)
            }),
            ("unsigned", |x, _, _| b(x as f32)),
            ("ties away", |x, _, _| {
                b((f64::from(x as i32) * (1.0 + 1e-12)) as f32)
            }),
        ],
    });
}

/// Whole words: against an exact conversion by hand.
#[test]
fn from_words() {
    let mut rng = Rng(11);
    let mut harness = Harness::new();
    let values: Vec<I256> = (0..count())
        .map(|i| {
            let limbs: [u64; 4] = std::array::from_fn(|_| rng.bits64());
            let mut word = U256::from_limbs(limbs) >> rng.below(256) as usize;
            if i.is_multiple_of(3) {
                // A half, or a half and one far below.
                let bits = 24 + rng.below(230) as usize;
                word = (U256::from(rng.bits() | 1) << bits) | U256::from(rng.below(2));
            }
            I256::from_raw(word)
        })
        .chain([I256::MIN, I256::MAX, I256::ZERO, I256::MINUS_ONE])
        .collect();
    for batch in values.chunks(4096) {
        for (value, word) in batch.iter().zip(harness.from_ints(batch)) {
            assert_eq!(word, U256::from(nearest(*value)), "{value}");
        }
    }
}

fn nearest(value: I256) -> u32 {
    let m = value.unsigned_abs();
    let sign = if value.is_negative() { 1 << 31 } else { 0 };
    let length = 256 - m.leading_zeros();
    if length <= 24 {
        return sign | (m.to::<u32>() as f32).to_bits();
    }
    let drop = length - 24;
    let (kept, rest) = (
        (m >> drop).to::<u32>(),
        m & ((U256::from(1) << drop) - U256::from(1)),
    );
    let half = U256::from(1) << (drop - 1);
    let kept = kept + u32::from(rest > half || rest == half && kept & 1 == 1);
    // kept may be 2^24; times a power of two in binary64 is exact, and too large becomes infinity.
    let x = (f64::from(kept) * 2f64.powi(drop as i32)) as f32;
    sign | x.to_bits()
}
