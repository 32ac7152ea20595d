// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Binary32} from "./Binary32.sol";

/// @title exp, silu, quantisation and the mass of a token
/// @notice `prover/SPEC.md` sections 1.5, 1.6, 1.8, 3 (norm_stat) and 4.2, rounding by rounding.
library Functions {
    /// @dev -87, and -21, whose exp is below 2^-30.
    uint256 private constant EXP_MIN = 0xc2ae0000;
    uint256 private constant MASS_MIN = 0xc1a80000;
    uint256 private constant THOUSAND = 0x447a0000;
    uint256 private constant ONE_HUNDRED_TWENTY_SEVEN = 0x42fe0000;

    /// @notice e^x for x <= 0 (section 1.5).
    function exp(uint256 x) internal pure returns (uint256 r) {
        unchecked {
            if (x - Binary32.SIGN > EXP_MIN - Binary32.SIGN) {
                if (x == 0) return Binary32.ONE;
                if (x < Binary32.SIGN || x > 0xff800000) return Binary32.NAN;
                return 0;
            }
        }
        uint256 w = _exp(x);
        // A power of two times p, which is normal: no rounding is left.
        assembly ("memory-safe") {
            let h := sub(232, clz(w))
            r := add(shl(23, sub(h, 1)), shr(h, w))
        }
    }

    /// @notice x * sigmoid(x) (section 1.6).
    function silu(uint256 x) internal pure returns (uint256) {
        uint256 e = exp(x | Binary32.SIGN);
        uint256 numerator = x & Binary32.SIGN == 0 ? x : Binary32.mul(x, e);
        return Binary32.div(numerator, Binary32.add(Binary32.ONE, e));
    }

    /// @notice The statistic of RMSNorm: 1 / sqrt(sum / f32(n) + eps).
    function inverseRoot(uint256 sumOfSquares, uint256 n, uint256 eps) internal pure returns (uint256) {
        uint256 mean = Binary32.div(sumOfSquares, Binary32.fromInt(int256(n)));
        return Binary32.div(Binary32.ONE, Binary32.sqrt(Binary32.add(mean, eps)));
    }

    /// @notice A pair turned by rope: (x0*c - x1*s, x0*s + x1*c).
    function rope(uint256 x0, uint256 x1, uint256 c, uint256 s) internal pure returns (uint256 y0, uint256 y1) {
        y0 = Binary32.sub(Binary32.mul(x0, c), Binary32.mul(x1, s));
        y1 = Binary32.add(Binary32.mul(x0, s), Binary32.mul(x1, c));
    }

    /// @notice The scale of a block whose largest magnitude has the bits `largest` (section 1.8).
    function quantiseScale(uint256 largest) internal pure returns (uint256) {
        if (largest < 0x04000000) return 0;
        if (largest >= Binary32.INFINITY) return Binary32.NAN;
        return Binary32.div(largest, ONE_HUNDRED_TWENTY_SEVEN);
    }

    /// @notice 1 / d of a block's scale; 0 where the scale is 0 or NaN and all integers are 0.
    function quantiseInverse(uint256 d) internal pure returns (uint256) {
        return d == 0 || Binary32.isNan(d) ? 0 : Binary32.div(Binary32.ONE, d);
    }

    /// @notice The integer of the element x of a block with that inverse.
    function quantise(uint256 x, uint256 inverse) internal pure returns (int256) {
        return inverse == 0 ? int256(0) : Binary32.roundHalfEven(Binary32.mul(x, inverse));
    }

    /// @notice f32(temp) / 1000: what masses divide by.
    function temperature(uint256 milli) internal pure returns (uint256) {
        return Binary32.div(Binary32.fromInt(int256(milli)), THOUSAND);
    }

    /// @notice P of section 4.2 in units of 2^-30, at most 2^30; `best` is finite, `t` is `temperature` of the parameter.
    function mass(uint256 logit, uint256 best, uint256 t) internal pure returns (uint256) {
        uint256 x = Binary32.div(Binary32.sub(logit, best), t);
        unchecked {
            if (x - Binary32.SIGN > MASS_MIN - Binary32.SIGN) return x == 0 ? 1 << 30 : 0;
        }
        return _exp(x) >> 120;
    }

    /// @dev The wide form (see `Wide`) of exp(x), for x from -87 to -0. Every `last` is a rounding; their form is explained at `Wide.round`.
    /// p is the Horner value, q's significand m and k say q = m * 2^-k, so that p * q is p * m with k more fractional bits.
    function _exp(uint256 x) private pure returns (uint256 p) {
        assembly ("memory-safe") {
            // x, negative, in wide form.
            let e := and(shr(23, x), 0xff)
            let w := iszero(e)
            w := sub(0, shl(add(e, w), xor(or(and(x, 0x7fffff), 0x800000), shl(23, w))))

            // n = round_half_even(x * log2(e)): 0x3fb8aa3b is 0xb8aa3b * 2^-23.
            let n := mul(w, 0xb8aa3b)
            let last := shl(sub(232, clz(or(not(n), 0x800000000000))), 1)
            n := sar(23, and(sub(add(n, shr(1, last)), iszero(and(n, last))), sub(0, last)))
            n := sar(150, add(add(n, 0x1fffffffffffffffffffffffffffffffffffff), and(shr(150, n), 1)))

            // q = (x + n * -0x3f318000) + n * 0x395e8083; the first product is exact.
            w := sub(w, mul(n, 0x2c600000000000000000000000000000000000))
            last := shl(sub(232, clz(or(xor(w, sar(255, w)), 0x1000000))), 1)
            w := and(sub(add(w, shr(1, last)), iszero(and(w, last))), sub(0, last))
            let m := mul(n, 0x37a020c0000000000000000000000000000)
            last := shl(sub(232, clz(or(xor(m, sar(255, m)), 0x1000000))), 1)
            m := add(w, and(sub(add(m, shr(1, last)), iszero(and(m, last))), sub(0, last)))
            last := shl(sub(232, clz(or(xor(m, sar(255, m)), 0x1000000))), 1)
            m := and(sub(add(m, shr(1, last)), iszero(and(m, last))), sub(0, last))
            let k := sub(232, clz(or(xor(m, sar(255, m)), 0x1000000)))
            m := sar(k, m)
            k := sub(150, k)
            let floor := shl(k, 0x1000000)

            // C6 * q + C5
            p := mul(m, 0x16c16c200000000000000000000000000000)
            last := shl(sub(232, clz(or(xor(p, sar(255, p)), floor))), 1)
            p := sar(k, and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last)))
            p := add(p, 0x888889000000000000000000000000000000)
            last := shl(sub(232, clz(p)), 1)
            p := and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last))
            // p * q + C4
            p := mul(p, m)
            last := shl(sub(232, clz(or(xor(p, sar(255, p)), floor))), 1)
            p := sar(k, and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last)))
            p := add(p, 0x2aaaaac000000000000000000000000000000)
            last := shl(sub(232, clz(p)), 1)
            p := and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last))
            // p * q + C3
            p := mul(p, m)
            last := shl(sub(232, clz(or(xor(p, sar(255, p)), floor))), 1)
            p := sar(k, and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last)))
            p := add(p, 0xaaaaab0000000000000000000000000000000)
            last := shl(sub(232, clz(p)), 1)
            p := and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last))
            // p * q + C2
            p := mul(p, m)
            last := shl(sub(232, clz(or(xor(p, sar(255, p)), floor))), 1)
            p := sar(k, and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last)))
            p := add(p, 0x20000000000000000000000000000000000000)
            last := shl(sub(232, clz(p)), 1)
            p := and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last))
            // p * q + 1
            p := mul(p, m)
            last := shl(sub(232, clz(or(xor(p, sar(255, p)), floor))), 1)
            p := sar(k, and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last)))
            p := add(p, 0x40000000000000000000000000000000000000)
            last := shl(sub(232, clz(p)), 1)
            p := and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last))
            // p * q + 1
            p := mul(p, m)
            last := shl(sub(232, clz(or(xor(p, sar(255, p)), floor))), 1)
            p := sar(k, and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last)))
            p := add(p, 0x40000000000000000000000000000000000000)
            last := shl(sub(232, clz(p)), 1)
            p := and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last))
            // * 2^n
            p := shr(sub(0, n), p)
        }
    }
}
