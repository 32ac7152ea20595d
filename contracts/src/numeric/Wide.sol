// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Binary32 values as integers
/// @notice The wide form of a finite binary32 is the signed integer value * 2^150: significand shifted left by the exponent field. In it a sum is one
/// addition and one rounding, without packing and unpacking. There is one zero, so it serves where the sign of a zero can't be seen.
/// @dev A wide form of field e has e + 24 bits; callers keep e below 232.
library Wide {
    /// @notice The wide form of a finite value with an exponent field below 232.
    function fromBits(uint256 a) internal pure returns (int256 w) {
        assembly ("memory-safe") {
            let e := and(shr(23, a), 0xff)
            let subnormal := iszero(e)
            w := shl(add(e, subnormal), xor(or(and(a, 0x7fffff), 0x800000), shl(23, subnormal)))
            let s := sub(0, shr(31, a))
            w := sub(xor(w, s), s)
        }
    }

    /// @notice The bits of a wide form that is rounded already, or the nearest value's. Zero is +0.
    function toBits(int256 w) internal pure returns (uint256 a) {
        assembly ("memory-safe") {
            let s := sar(255, w)
            w := sub(xor(w, s), s)
            let h := sub(232, clz(or(w, 0x1000000)))
            let last := shl(h, 1)
            w := shr(h, sub(add(w, shr(1, last)), iszero(and(w, last))))
            a := or(add(shl(23, sub(h, 1)), w), and(s, 0x80000000))
        }
    }

    /// @notice Rounds an exact sum to binary32.
    /// @dev `last` is the bit that the 24th significant bit is in, at least 2. Half of it less one, and one more when it is set, carries to nearest even;
    /// negative values round alike since the lower bits are cleared towards minus infinity. `w ^ (w >> 255)` is one too small for -2^k: it then
    /// rounds at a lower bit, which changes nothing.
    function round(int256 w) internal pure returns (int256 r) {
        assembly ("memory-safe") {
            let last := shl(sub(232, clz(or(xor(w, sar(255, w)), 0x1000000))), 1)
            r := and(sub(add(w, shr(1, last)), iszero(and(w, last))), sub(0, last))
        }
    }

    /// @notice The exact value w * m * 2^-k rounded to binary32, for 0 <= k <= 150 and products below 2^254.
    function mulRound(int256 w, int256 m, uint256 k) internal pure returns (int256 r) {
        assembly ("memory-safe") {
            let p := mul(w, m)
            let last := shl(sub(232, clz(or(xor(p, sar(255, p)), shl(k, 0x1000000)))), 1)
            r := sar(k, and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last)))
        }
    }
}
