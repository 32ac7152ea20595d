// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Binary32} from "../../numeric/Binary32.sol";
import {Wide} from "../../numeric/Wide.sol";

/// @title Sums of at most 256 products of a binary32 and a binary16
/// @notice One tile of a tile sum (`prover/SPEC.md` section 1.4): every product is rounded, then added to the running sum and rounded. The results are
/// canonical; they are never -0, since the sum starts at +0.
/// @dev The usual case runs in wide form (see `Wide`), 64 + 25 bits above its unit at the most; a factor of 2^48 or more, an infinity or a NaN
/// takes the plain operations.
library Dots {
    /// @notice The dot product of `n` binary32 from byte `x` of the call's data with `n` binary16 from byte `h` on, both little-endian.
    function littleEndian(uint256 x, uint256 h, uint256 n) internal pure returns (uint256) {
        uint256 bad;
        int256 sum;
        assembly ("memory-safe") {
            for { let i := 0 } lt(i, n) { i := add(i, 8) } {
                let wx := calldataload(add(x, shl(2, i)))
                let wh := shr(128, calldataload(add(h, shl(1, i))))
                // What is past the end is taken as +0.
                let rest := sub(n, i)
                if lt(rest, 8) {
                    let cut := shl(4, sub(8, rest))
                    wh := shl(cut, shr(cut, wh))
                    cut := shl(1, cut)
                    wx := shl(cut, shr(cut, wx))
                }
                // Bytes into order, lane by lane.
                wh := or(
                    shl(8, and(wh, 0xff00ff00ff00ff00ff00ff00ff00ff)),
                    and(shr(8, wh), 0xff00ff00ff00ff00ff00ff00ff00ff)
                )
                wx := or(
                    shl(8, and(wx, 0xff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff)),
                    and(shr(8, wx), 0xff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff)
                )
                wx := or(
                    shl(16, and(wx, 0xffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff)),
                    and(shr(16, wx), 0xffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff)
                )
                let shift := 224
                for { let j := 112 } lt(j, 113) { j := sub(j, 16) } {
                    let a := shr(shift, wx)
                    let b := shr(j, wh)
                    shift := sub(shift, 32)
                    let ea := and(shr(23, a), 0xff)
                    let eb := and(shr(10, b), 0x1f)
                    bad := or(bad, or(gt(ea, 174), eq(eb, 31)))
                    let sa := iszero(ea)
                    let sb := iszero(eb)
                    let p :=
                        shl(
                            add(add(ea, sa), add(eb, sb)),
                            mul(
                                xor(or(and(a, 0x7fffff), 0x800000), shl(23, sa)),
                                xor(or(and(b, 0x3ff), 0x400), shl(10, sb))
                            )
                        )
                    // The unit is 2^-175 here: a binary16 of field e is m * 2^(e - 25).
                    let last := shl(sub(232, clz(or(p, 0x2000000000000))), 1)
                    p := shr(25, and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last)))
                    let s := sub(0, and(xor(shr(31, a), shr(15, b)), 1))
                    sum := add(sum, sub(xor(p, s), s))
                    last := shl(sub(232, clz(or(xor(sum, sar(255, sum)), 0x1000000))), 1)
                    sum := and(sub(add(sum, shr(1, last)), iszero(and(sum, last))), sub(0, last))
                }
            }
        }
        return bad == 0 ? Wide.toBits(sum) : _plainLittleEndian(x, h, n);
    }

    /// @notice The sum of w * v over `n` addends from byte `at` of the call's data: a binary32, then a binary16, both big-endian.
    function addends(uint256 at, uint256 n) internal pure returns (uint256) {
        uint256 bad;
        int256 sum;
        assembly ("memory-safe") {
            let end := add(at, mul(6, n))
            for { let i := at } lt(i, end) { i := add(i, 6) } {
                let b := shr(208, calldataload(i))
                let a := shr(16, b)
                let ea := and(shr(23, a), 0xff)
                let eb := and(shr(10, b), 0x1f)
                bad := or(bad, or(gt(ea, 174), eq(eb, 31)))
                let sa := iszero(ea)
                let sb := iszero(eb)
                let p :=
                    shl(
                        add(add(ea, sa), add(eb, sb)),
                        mul(
                            xor(or(and(a, 0x7fffff), 0x800000), shl(23, sa)),
                            xor(or(and(b, 0x3ff), 0x400), shl(10, sb))
                        )
                    )
                let last := shl(sub(232, clz(or(p, 0x2000000000000))), 1)
                p := shr(25, and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last)))
                let s := sub(0, and(xor(shr(31, a), shr(15, b)), 1))
                sum := add(sum, sub(xor(p, s), s))
                last := shl(sub(232, clz(or(xor(sum, sar(255, sum)), 0x1000000))), 1)
                sum := and(sub(add(sum, shr(1, last)), iszero(and(sum, last))), sub(0, last))
            }
        }
        return bad == 0 ? Wide.toBits(sum) : _plainAddends(at, n);
    }

    /// @notice The sum of `n` binary32, big-endian, from byte `at` of the call's data: at most 256, one tile.
    function weights(uint256 at, uint256 n) internal pure returns (uint256) {
        uint256 bad;
        int256 sum;
        assembly ("memory-safe") {
            let end := add(at, shl(2, n))
            for { let i := at } lt(i, end) { i := add(i, 4) } {
                let a := shr(224, calldataload(i))
                let ea := and(shr(23, a), 0xff)
                bad := or(bad, gt(ea, 174))
                let sa := iszero(ea)
                let p := shl(add(ea, sa), xor(or(and(a, 0x7fffff), 0x800000), shl(23, sa)))
                let s := sub(0, shr(31, a))
                sum := add(sum, sub(xor(p, s), s))
                let last := shl(sub(232, clz(or(xor(sum, sar(255, sum)), 0x1000000))), 1)
                sum := and(sub(add(sum, shr(1, last)), iszero(and(sum, last))), sub(0, last))
            }
        }
        return bad == 0 ? Wide.toBits(sum) : plainSum(at, n);
    }

    /// @notice The sum of any number of binary32, big-endian, from byte `at` of the call's data, one after another.
    function plainSum(uint256 at, uint256 n) internal pure returns (uint256 sum) {
        for (uint256 i = 0; i < n; ++i) {
            sum = Binary32.add(sum, _word(at + 4 * i) >> 224);
        }
    }

    function _plainLittleEndian(uint256 x, uint256 h, uint256 n) private pure returns (uint256 sum) {
        // A sum that is NaN stays so.
        for (uint256 i = 0; i < n && sum != Binary32.NAN; ++i) {
            uint256 a = _word(x + 4 * i) >> 224;
            a = ((a & 0x00ff00ff) << 8) | ((a >> 8) & 0x00ff00ff);
            a = ((a & 0xffff) << 16) | (a >> 16);
            uint256 b = _word(h + 2 * i) >> 240;
            sum = _fused(sum, a, ((b & 0xff) << 8) | (b >> 8));
        }
    }

    function _plainAddends(uint256 at, uint256 n) private pure returns (uint256 sum) {
        for (uint256 i = 0; i < n && sum != Binary32.NAN; ++i) {
            uint256 word = _word(at + 6 * i);
            sum = _fused(sum, word >> 224, (word >> 208) & 0xffff);
        }
    }

    /// @dev sum + a * f32(b), both rounded.
    function _fused(uint256 sum, uint256 a, uint256 b) private pure returns (uint256) {
        return Binary32.add(sum, Binary32.mul(a, Binary32.fromHalf(b)));
    }

    function _word(uint256 at) private pure returns (uint256 w) {
        assembly ("memory-safe") {
            w := calldataload(at)
        }
    }
}
