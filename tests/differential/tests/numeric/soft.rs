//! Binary32 by integers, with bugs to choose from. Without one it is compared with the CPU by the same vectors that have to find the bugs.

/// A bug of an implementation of binary32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Correct.
    None,
    /// Halves round away from zero.
    TiesAway,
    /// Halves round towards zero.
    TiesDown,
    /// Everything rounds towards zero.
    Truncate,
    /// What lies below the half is forgotten: a little more than a half counts as a half.
    NoSticky,
    /// Subnormal results are zero.
    FlushResult,
    /// Subnormal operands are zero.
    FlushOperand,
    /// A subnormal result is rounded to 24 bits first.
    RoundTwice,
    /// What is too large becomes the largest finite value.
    Saturate,
    /// A NaN operand's bits are the result.
    KeepNan,
    /// Invalid operations give infinity.
    NoInvalid,
    /// A zero result has the other sign.
    ZeroSign,
}

/// An operation by its name in the harness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Mul,
    Div,
    Sqrt,
}

const INFINITY: u32 = 0x7f80_0000;
const NAN: u32 = 0x7fc0_0000;
const SIGN: u32 = 1 << 31;

/// Significand and exponent of a finite magnitude: m * 2^e.
fn parts(u: u32) -> (u128, i32) {
    let field = (u >> 23) as i32;
    match field {
        0 => (u128::from(u), -149),
        _ => (u128::from(u & 0x7f_ffff | 0x80_0000), field - 150),
    }
}

/// Shifts right by `n`; whether a bit was lost goes into the last one.
fn shift_sticky(m: u128, n: i32, bug: Bug) -> u128 {
    match n {
        _ if n <= 0 => m << -n,
        _ if n > 127 => u128::from(m != 0 && bug != Bug::NoSticky),
        _ => m >> n | u128::from(bug != Bug::NoSticky && m & ((1 << n) - 1) != 0),
    }
}

/// Drops `n` bits of m, rounding.
fn drop_bits(m: u128, n: i32, bug: Bug) -> u128 {
    if n <= 0 {
        return m << -n;
    }
    if n > 126 {
        return 0;
    }
    let (kept, rest, half) = (m >> n, m & ((1 << n) - 1), 1u128 << (n - 1));
    let up = match bug {
        Bug::TiesAway => rest >= half,
        Bug::TiesDown => rest > half,
        Bug::Truncate => false,
        _ => rest > half || rest == half && kept & 1 == 1,
    };
    kept + u128::from(up)
}

/// m * 2^e rounded.
fn round(sign: u32, m: u128, e: i32, bug: Bug) -> u32 {
    if m == 0 {
        return sign;
    }
    let mut excess = 128 - m.leading_zeros() as i32 - 24;
    if excess + e < -149 {
        if bug == Bug::FlushResult {
            return sign;
        }
        if bug == Bug::RoundTwice {
            let m = drop_bits(m, excess, Bug::None);
            return sign | drop_bits(m, -149 - e - excess, Bug::None) as u32;
        }
        excess = -149 - e;
    }
    let kept = drop_bits(m, excess, bug);
    let field = excess + e + 150;
    // kept holds the hidden bit, if any, which counts one into the field.
    let bits = ((field as i64 - 1) << 23) + kept as i64;
    if bits >= i64::from(INFINITY) {
        return sign
            | if bug == Bug::Saturate {
                INFINITY - 1
            } else {
                INFINITY
            };
    }
    sign | bits as u32
}

/// The operation; `b` is ignored by sqrt.
pub(crate) fn compute(operation: Operation, mut a: u32, mut b: u32, bug: Bug) -> u32 {
    if bug == Bug::FlushOperand {
        for x in [&mut a, &mut b] {
            if *x & !SIGN < 0x80_0000 {
                *x &= SIGN;
            }
        }
    }
    let (ua, ub) = (a & !SIGN, b & !SIGN);
    let unary = operation == Operation::Sqrt;
    if ua > INFINITY || (!unary && ub > INFINITY) {
        let kept = if ua > INFINITY { a } else { b };
        return if bug == Bug::KeepNan { kept } else { NAN };
    }
    let invalid = if bug == Bug::NoInvalid { INFINITY } else { NAN };
    let result = match operation {
        Operation::Add => add(a, b, invalid, bug),
        Operation::Mul => {
            let sign = (a ^ b) & SIGN;
            if ua == INFINITY || ub == INFINITY {
                return if ua == 0 || ub == 0 {
                    invalid
                } else {
                    sign | INFINITY
                };
            }
            let ((ma, ea), (mb, eb)) = (parts(ua), parts(ub));
            round(sign, ma * mb, ea + eb, bug)
        }
        Operation::Div => {
            let sign = (a ^ b) & SIGN;
            if ua == ub && (ua == 0 || ua == INFINITY) {
                return invalid;
            }
            if ua == INFINITY || ub == 0 {
                return sign | INFINITY;
            }
            if ub == INFINITY {
                return sign;
            }
            let ((ma, ea), (mb, eb)) = (parts(ua), parts(ub));
            let q = (ma << 80) / mb;
            let rest = u128::from((ma << 80) % mb != 0 && bug != Bug::NoSticky);
            round(sign, q << 1 | rest, ea - eb - 81, bug)
        }
        Operation::Sqrt => {
            if ua == 0 || a == INFINITY {
                return if bug == Bug::ZeroSign && ua == 0 {
                    a ^ SIGN
                } else {
                    a
                };
            }
            if a > INFINITY {
                return invalid;
            }
            let (m, e) = parts(ua);
            let shift = 60 + (e & 1);
            let n = m << shift;
            let root = n.isqrt();
            let rest = u128::from(root * root != n && bug != Bug::NoSticky);
            round(0, root << 1 | rest, (e - shift) / 2 - 1, bug)
        }
    };
    let flipped = bug == Bug::ZeroSign && result & !SIGN == 0;
    if flipped { result ^ SIGN } else { result }
}

fn add(a: u32, b: u32, invalid: u32, bug: Bug) -> u32 {
    let (ua, ub) = (a & !SIGN, b & !SIGN);
    if ua == INFINITY || ub == INFINITY {
        return match (ua, ub) {
            (INFINITY, INFINITY) if a != b => invalid,
            (INFINITY, _) => a,
            _ => b,
        };
    }
    let (large, small) = if ua >= ub { (a, b) } else { (b, a) };
    let ((ml, el), (ms, es)) = (parts(large & !SIGN), parts(small & !SIGN));
    // Some bits below the larger one; of the smaller one the rest is sticky. 64 are enough without that, two are not.
    let guard = if bug == Bug::NoSticky { 2 } else { 64 };
    let ml = ml << guard;
    let ms = shift_sticky(ms << guard, el - es, bug);
    if (a ^ b) & SIGN == 0 {
        return round(a & SIGN, ml + ms, el - guard, bug);
    }
    match ml - ms {
        0 => 0,
        m => round(large & SIGN, m, el - guard, bug),
    }
}
