// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Arithmetic of IEEE-754 binary32
/// @notice `prover/SPEC.md` section 1: every operation rounds once to nearest, ties to even, and keeps subnormals. A value is its 32 bits in the low
/// bits of a word whose upper bits are zero: callers pass nothing else. Every NaN result is the canonical 0x7fc00000.
/// @dev Each operation has a short path for ordinary operands and a private one for the rest: subnormals, infinities, NaN, results near the ends.
/// "Wide" below is a magnitude in units of 2^-150: the finite value with exponent field e and significand m (24 bits) is m << e, with e = 1 for subnormals.
library Binary32 {
    uint256 internal constant NAN = 0x7fc00000;
    uint256 internal constant INFINITY = 0x7f800000;
    uint256 internal constant ONE = 0x3f800000;
    uint256 internal constant SIGN = 0x80000000;

    /// @notice a + b.
    function add(uint256 a, uint256 b) internal pure returns (uint256 r) {
        uint256 ea;
        uint256 eb;
        bool unusual;
        assembly ("memory-safe") {
            ea := and(shr(23, a), 0xff)
            eb := and(shr(23, b), 0xff)
            // Both exponents in 1..223: the exact sum fits into a word.
            unusual := or(gt(sub(ea, 1), 222), gt(sub(eb, 1), 222))
        }
        if (unusual) return _addAny(a, b);
        assembly ("memory-safe") {
            // a's magnitude plus b's with the sign relative to a.
            let t := sub(0, shr(31, xor(a, b)))
            let s := shl(eb, or(and(b, 0x7fffff), 0x800000))
            s := add(shl(ea, or(and(a, 0x7fffff), 0x800000)), sub(xor(s, t), t))
            if s {
                t := sar(255, s)
                s := sub(xor(s, t), t)
                // h bits fall away: all but 24, and at least one, since a subnormal is a multiple of 2.
                let h := sub(232, clz(or(s, 0x1000000)))
                let last := shl(h, 1)
                s := shr(h, sub(add(s, shr(1, last)), iszero(and(s, last))))
                r := or(add(shl(23, sub(h, 1)), s), and(xor(a, t), 0x80000000))
            }
        }
    }

    /// @notice a - b.
    function sub(uint256 a, uint256 b) internal pure returns (uint256) {
        return add(a, b ^ SIGN);
    }

    /// @notice a * b.
    function mul(uint256 a, uint256 b) internal pure returns (uint256 r) {
        uint256 p;
        uint256 e;
        bool unusual;
        assembly ("memory-safe") {
            let ea := and(shr(23, a), 0xff)
            let eb := and(shr(23, b), 0xff)
            p := mul(or(and(a, 0x7fffff), 0x800000), or(and(b, 0x7fffff), 0x800000))
            // The product has 47 or 48 bits; e is its exponent field less one.
            let short := iszero(shr(47, p))
            p := shl(short, p)
            e := sub(sub(add(ea, eb), 127), short)
            // Ordinary: both are normal, and so is the product. At e = 253 rounding up may give infinity, which is right.
            unusual := or(or(gt(sub(ea, 1), 253), gt(sub(eb, 1), 253)), gt(e, 253))
        }
        if (unusual) return _mulAny(a, b);
        assembly ("memory-safe") {
            p := shr(24, add(add(p, 0x7fffff), and(shr(24, p), 1)))
            r := or(and(xor(a, b), 0x80000000), add(shl(23, e), p))
        }
    }

    /// @notice a / b.
    function div(uint256 a, uint256 b) internal pure returns (uint256 r) {
        uint256 q;
        uint256 e;
        bool unusual;
        assembly ("memory-safe") {
            let ea := and(shr(23, a), 0xff)
            let eb := and(shr(23, b), 0xff)
            let ma := or(and(a, 0x7fffff), 0x800000)
            let mb := or(and(b, 0x7fffff), 0x800000)
            let less := lt(ma, mb)
            // 25 bits of the quotient. It is never halfway between two floats: were q odd and exact, 2^24 would divide mb.
            q := div(shl(add(24, less), ma), mb)
            e := sub(add(sub(ea, eb), 126), less)
            unusual := or(or(gt(sub(ea, 1), 253), gt(sub(eb, 1), 253)), gt(e, 253))
        }
        if (unusual) return _divAny(a, b);
        assembly ("memory-safe") {
            r := or(and(xor(a, b), 0x80000000), add(shl(23, e), shr(1, add(q, 1))))
        }
    }

    /// @notice The square root; NaN below zero, and -0 of -0.
    function sqrt(uint256 a) internal pure returns (uint256 r) {
        unchecked {
            // Zero, infinity, NaN, anything negative, or a subnormal.
            if (a - 0x800000 > 0x7effffff) {
                if (a & 0x7fffffff == 0 || a == INFINITY) return a;
                if (a > INFINITY) return NAN;
                // Its first bit becomes the hidden one.
                uint256 z;
                assembly ("memory-safe") {
                    z := sub(clz(a), 232)
                }
                return _root(a << z, 1 - int256(z));
            }
            return _root((a & 0x7fffff) | 0x800000, int256(a >> 23));
        }
    }

    /// @notice The integer rounded to binary32; infinity from 2^128 on.
    function fromInt(int256 i) internal pure returns (uint256 r) {
        assembly ("memory-safe") {
            let t := sar(255, i)
            let m := sub(xor(i, t), t)
            let z := clz(m)
            if lt(z, 256) {
                // Left-aligned in 256 bits, 232 fall away.
                let s := shl(z, m)
                s := add(shr(232, s), gt(add(shl(24, s), and(shr(232, s), 1)), shl(255, 1)))
                // The exponent field of 2^(255 - z) is 382 - z.
                r := add(shl(23, sub(381, z)), s)
                if gt(r, 0x7f7fffff) { r := 0x7f800000 }
                r := or(r, and(t, 0x80000000))
            }
        }
    }

    /// @notice The nearest integer, ties to even, of a value with |a| < 2^31.
    function roundHalfEven(uint256 a) internal pure returns (int256 i) {
        assembly ("memory-safe") {
            // A subnormal is taken for something below 2^-126, which rounds to 0 just so.
            let w := shl(and(shr(23, a), 0xff), or(and(a, 0x7fffff), 0x800000))
            w := shr(150, add(add(w, sub(shl(149, 1), 1)), and(shr(150, w), 1)))
            let s := sub(0, shr(31, a))
            i := sub(xor(w, s), s)
        }
    }

    /// @notice Section 1.3: the order of floats as signed integers, -0 below +0; NaN at the ends.
    function key(uint256 a) internal pure returns (int256 k) {
        assembly ("memory-safe") {
            k := signextend(3, a)
            k := xor(k, shr(225, sar(255, k)))
        }
    }

    /// @notice The key in selection: a NaN below everything.
    function selectionKey(uint256 a) internal pure returns (int256) {
        return isNan(a) ? type(int256).min : key(a);
    }

    /// @notice The key in softmax: a NaN above everything.
    function softmaxKey(uint256 a) internal pure returns (int256) {
        return isNan(a) ? type(int256).max : key(a);
    }

    /// @notice The value with the higher key; a on ties.
    function max(uint256 a, uint256 b) internal pure returns (uint256) {
        return key(b) > key(a) ? b : a;
    }

    function isNan(uint256 a) internal pure returns (bool) {
        return a & 0x7fffffff > INFINITY;
    }

    function isFinite(uint256 a) internal pure returns (bool) {
        return a & 0x7fffffff < INFINITY;
    }

    /// @notice What an operation stores: every NaN becomes the canonical one.
    function canonical(uint256 a) internal pure returns (uint256) {
        return isNan(a) ? NAN : a;
    }

    /// @notice Section 1.7: the exact value of a binary16.
    function fromHalf(uint256 h) internal pure returns (uint256 r) {
        assembly ("memory-safe") {
            let u := and(h, 0x7fff)
            switch gt(sub(u, 0x400), 0x77ff)
            case 0 {
                // Normal: the bias goes from 15 to 127.
                r := add(shl(13, u), 0x38000000)
            }
            default {
                switch gt(u, 0x3ff)
                case 0 {
                    // A multiple of 2^-24: its first bit, number 255 - clz, becomes the hidden one.
                    if u {
                        let z := clz(u)
                        r := add(shl(23, sub(357, z)), shl(sub(z, 232), u))
                    }
                }
                default { r := 0x7f800000 }
            }
            r := or(r, shl(16, and(h, 0x8000)))
            if gt(u, 0x7c00) { r := 0x7fc00000 }
        }
    }

    /// @notice Section 1.7: rounds to binary16 after clamping to [-65504, 65504]; NaN gives 0x7e00.
    function toHalf(uint256 a) internal pure returns (uint256 h) {
        assembly ("memory-safe") {
            let u := and(a, 0x7fffffff)
            switch gt(u, 0x7f800000)
            case 0 {
                if gt(u, 0x477fe000) { u := 0x477fe000 }
                switch lt(u, 0x38800000)
                case 0 { h := shr(13, sub(add(add(u, 0xfff), and(shr(13, u), 1)), 0x38000000)) }
                default {
                    // Below 2^-14: a multiple of 2^-24, which is 2^126 units of the wide form.
                    let w := shl(shr(23, u), or(and(u, 0x7fffff), 0x800000))
                    h := shr(126, add(add(w, sub(shl(125, 1), 1)), and(shr(126, w), 1)))
                }
                h := or(h, and(shr(16, a), 0x8000))
            }
            default { h := 0x7e00 }
        }
    }

    /// @dev a + b for any operands.
    function _addAny(uint256 a, uint256 b) private pure returns (uint256 r) {
        unchecked {
            uint256 ua = a & 0x7fffffff;
            uint256 ub = b & 0x7fffffff;
            if (ua >= INFINITY || ub >= INFINITY) {
                if (ua > INFINITY || ub > INFINITY) return NAN;
                if (ua == INFINITY) return (ub == INFINITY && a != b) ? NAN : a;
                return b;
            }
            // Large operands are scaled down by 2^40: exact, except for operands so small that they can't be seen beside the large one.
            uint256 scale = 0;
            if (ua >= 0x70000000 || ub >= 0x70000000) {
                scale = 40 << 23;
                ua = ua >= scale + 0x800000 ? ua - scale : 0;
                ub = ub >= scale + 0x800000 ? ub - scale : 0;
            }
            int256 s = _wide(ua, a >> 31) + _wide(ub, b >> 31);
            // Two zeros, or values that cancel: -0 only of two zeros below.
            if (s == 0) return a & b & SIGN;
            r = _round(uint256(s < 0 ? -s : s), 0) + scale;
            if (r > INFINITY) r = INFINITY;
            if (s < 0) r |= SIGN;
        }
    }

    /// @dev a * b for any operands.
    function _mulAny(uint256 a, uint256 b) private pure returns (uint256 r) {
        unchecked {
            r = (a ^ b) & SIGN;
            uint256 ua = a & 0x7fffffff;
            uint256 ub = b & 0x7fffffff;
            if (ua >= INFINITY || ub >= INFINITY) {
                if (ua > INFINITY || ub > INFINITY || ua == 0 || ub == 0) return NAN;
                return r | INFINITY;
            }
            if (ua == 0 || ub == 0) return r;
            (uint256 ma, uint256 ea) = _parts(ua);
            (uint256 mb, uint256 eb) = _parts(ub);
            return r | _round(ma * mb, int256(ea + eb) - 150);
        }
    }

    /// @dev a / b for any operands.
    function _divAny(uint256 a, uint256 b) private pure returns (uint256 r) {
        unchecked {
            r = (a ^ b) & SIGN;
            uint256 ua = a & 0x7fffffff;
            uint256 ub = b & 0x7fffffff;
            if (ua > INFINITY || ub > INFINITY) return NAN;
            if (ua == ub && (ua == 0 || ua == INFINITY)) return NAN;
            if (ub == 0 || ua == INFINITY) return r | INFINITY;
            if (ua == 0 || ub == INFINITY) return r;
            (uint256 ma, uint256 ea) = _parts(ua);
            (uint256 mb, uint256 eb) = _parts(ub);
            // 56 bits or more of the quotient, and one that says whether there are others.
            uint256 n = ma << 80;
            uint256 q = ((n / mb) << 1) | (n % mb == 0 ? 0 : 1);
            return r | _round(q, int256(ea) - int256(eb) + 69);
        }
    }

    /// @dev The root of m * 2^(e - 150) for m of 24 bits. It is at least 2^-75: never subnormal.
    function _root(uint256 m, int256 e) private pure returns (uint256 r) {
        assembly ("memory-safe") {
            // n is in [2^48, 2^50), its root has 25 bits. The line is within 4.2 % of the root; three of Newton's steps leave its floor or one more.
            let n := shl(sub(26, and(e, 1)), m)
            let x := add(11880000, div(n, 50331648))
            x := shr(1, add(x, div(n, x)))
            x := shr(1, add(x, div(n, x)))
            x := shr(1, add(x, div(n, x)))
            x := sub(x, gt(mul(x, x), n))
            // A root is never halfway between two floats: the square of an odd number is odd, n is not.
            r := add(shl(23, add(sar(1, add(e, 1)), 62)), shr(1, add(x, 1)))
        }
    }

    /// @dev Significand and exponent field of a finite value that is not zero; a subnormal has the field 1.
    function _parts(uint256 u) private pure returns (uint256 m, uint256 e) {
        unchecked {
            e = u >> 23;
            m = u & 0x7fffff;
            if (e == 0) e = 1;
            else m |= 0x800000;
        }
    }

    /// @dev The signed wide form of a magnitude with a field below 224.
    function _wide(uint256 u, uint256 negative) private pure returns (int256 s) {
        unchecked {
            (uint256 m, uint256 e) = _parts(u);
            s = int256(m << e);
            if (negative != 0) s = -s;
        }
    }

    /// @dev p * 2^x units of 2^-150 rounded to binary32; p > 0 has at most 253 bits.
    function _round(uint256 p, int256 x) private pure returns (uint256 r) {
        assembly ("memory-safe") {
            // Two zeros below, so that at least one bit falls away.
            p := shl(2, p)
            x := sub(x, 2)
            let h := sub(232, clz(p))
            // h is what falls away of a normal result; x + h is its field. A subnormal's field is 1.
            if slt(h, 1) { h := 1 }
            if slt(add(x, h), 1) { h := sub(1, x) }
            if lt(h, 256) {
                let last := shl(h, 1)
                p := shr(h, sub(add(p, shr(1, last)), iszero(and(p, last))))
                r := add(shl(23, sub(add(x, h), 1)), p)
                if or(sgt(add(x, h), 254), gt(r, 0x7f7fffff)) { r := 0x7f800000 }
            }
        }
    }
}
