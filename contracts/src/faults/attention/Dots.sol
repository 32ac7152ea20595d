// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Binary32} from "../../numeric/Binary32.sol";
import {Wide} from "../../numeric/Wide.sol";

/// @title Sums of at most 256 products of a binary32 and a binary16
/// @notice One tile of a tile sum (`prover/SPEC.md` section 1.4): every product is rounded, then added to the running sum and rounded. The results are
/// canonical; they are never -0, since the sum starts at +0.
/// @dev Eight lanes at a time in wide form (see `Wide`), subnormals and zeros like all others. Lanes with a binary32 of 2^48 or more, an infinity or a
/// NaN, and sums from 2^73 on, take the plain operations. `add` of `Sums` is slower here: it turns halves into binary32 first.
library Dots {
    /// @dev A wide sum that the plain operations have to go on with.
    int256 private constant OUT = type(int256).min;
    /// @dev Sums below this field may grow by 256 ordinary products.
    uint256 private constant FIELD_LIMIT = 200;

    /// @notice The dot product of `n` elements of a list of f32_le, from `xFrom`, with as many of a list of f16_le, from `hFrom`.
    /// @dev The caller made sure that the lists have them.
    function littleEndian(bytes calldata x, uint256 xFrom, bytes calldata h, uint256 hFrom, uint256 n)
        internal
        pure
        returns (uint256)
    {
        int256 wide;
        uint256 bits;
        unchecked {
            for (uint256 i = 0; i < n; i += 8) {
                uint256 wx;
                uint256 wh;
                assembly ("memory-safe") {
                    wx := calldataload(add(x.offset, shl(2, add(xFrom, i))))
                    wh := shr(128, calldataload(add(h.offset, shl(1, add(hFrom, i)))))
                    // What is past the end is taken as +0.
                    let rest := sub(n, i)
                    if lt(rest, 8) {
                        let cut := shl(4, sub(8, rest))
                        wh := shl(cut, shr(cut, wh))
                        cut := shl(1, cut)
                        wx := shl(cut, shr(cut, wx))
                    }
                    // Bytes into order, lane by lane.
                    let mask := 0xff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
                    wh := or(shl(8, and(wh, mask)), and(shr(8, wh), mask))
                    wh := and(or(wh, shl(64, wh)), 0xffffffffffffffff0000000000000000ffffffffffffffff)
                    wh := and(or(wh, shl(32, wh)), 0xffffffff00000000ffffffff00000000ffffffff00000000ffffffff)
                    wh := and(or(wh, shl(16, wh)), 0xffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff)
                    wx := or(shl(8, and(wx, mask)), and(shr(8, wx), mask))
                    mask := 0xffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff
                    wx := or(shl(16, and(wx, mask)), and(shr(16, wx), mask))
                }
                (wide, bits) = _add(wide, bits, wx, wh);
                if (wide == OUT && bits == Binary32.NAN) return bits;
            }
        }
        return wide == OUT ? bits : Wide.toBits(wide);
    }

    /// @notice `sum`, canonical, plus the products of `n` posted pairs (f32_be, f16_be) from byte `from` on. A sum of -0 counts as +0.
    /// @dev The caller made sure that there are as many.
    function pairs(uint256 sum, bytes calldata data, uint256 from, uint256 n) internal pure returns (uint256) {
        uint256 bits = sum;
        int256 wide = (sum >> 23) & 0xff < FIELD_LIMIT ? Wide.fromBits(sum) : OUT;
        unchecked {
            for (uint256 i = 0; i < n; i += 8) {
                uint256 wx;
                uint256 wh;
                assembly ("memory-safe") {
                    // Pairs 0 to 3 and 4 to 7; pair k of either begins 48 k bits from its word's top.
                    let first := add(add(data.offset, from), mul(6, i))
                    let pair := calldataload(first)
                    wx := and(pair, 0xffffffff00000000000000000000000000000000000000000000000000000000)
                    wh := and(shl(16, pair), 0xffff00000000000000000000000000000000000000000000000000000000)
                    wx := or(wx, and(shl(16, pair), 0xffffffff000000000000000000000000000000000000000000000000))
                    wh := or(wh, and(shl(32, pair), 0xffff000000000000000000000000000000000000000000000000))
                    wx := or(wx, and(shl(32, pair), 0xffffffff0000000000000000000000000000000000000000))
                    wh := or(wh, and(shl(48, pair), 0xffff0000000000000000000000000000000000000000))
                    wx := or(wx, and(shl(48, pair), 0xffffffff00000000000000000000000000000000))
                    wh := or(wh, and(shl(64, pair), 0xffff00000000000000000000000000000000))
                    pair := calldataload(add(first, 24))
                    wx := or(wx, and(shr(128, pair), 0xffffffff000000000000000000000000))
                    wh := or(wh, and(shr(112, pair), 0xffff000000000000000000000000))
                    wx := or(wx, and(shr(112, pair), 0xffffffff0000000000000000))
                    wh := or(wh, and(shr(96, pair), 0xffff0000000000000000))
                    wx := or(wx, and(shr(96, pair), 0xffffffff00000000))
                    wh := or(wh, and(shr(80, pair), 0xffff00000000))
                    wx := or(wx, and(shr(80, pair), 0xffffffff))
                    wh := or(wh, and(shr(64, pair), 0xffff))
                    // What is past the end is taken as +0.
                    let rest := sub(n, i)
                    if lt(rest, 8) {
                        let cut := shl(5, sub(8, rest))
                        wx := shl(cut, shr(cut, wx))
                        wh := shl(cut, shr(cut, wh))
                    }
                }
                (wide, bits) = _add(wide, bits, wx, wh);
                if (wide == OUT && bits == Binary32.NAN) return bits;
            }
        }
        return wide == OUT ? bits : Wide.toBits(wide);
    }

    /// @dev Adds the products of eight lanes of 32 bits, one after another, to a sum in wide form, or OUT and as bits. `wh` has a half in each lane.
    function _add(int256 wide, uint256 bits, uint256 wx, uint256 wh) private pure returns (int256, uint256) {
        unchecked {
            if (wide != OUT) {
                (bool good, int256 sum) = _addNormal(wide, wx, wh);
                if (!good) (good, sum) = _addFinite(wide, wx, wh);
                if (good) return (sum, bits);
                bits = Wide.toBits(wide);
            }
            for (uint256 lane = 256; lane != 0;) {
                lane -= 32;
                uint256 a = (wx >> lane) & 0xffffffff;
                uint256 b = (wh >> lane) & 0xffff;
                // An infinite sum only changes by something that is no ordinary product.
                bool ordinary = (a >> 23) & 0xff < 175 && b & 0x7c00 != 0x7c00;
                if (ordinary && (a & 0x7fffffff == 0 || b & 0x7fff == 0 || bits & 0x7fffffff == Binary32.INFINITY)) {
                    continue;
                }
                bits = Binary32.add(bits, Binary32.mul(a, Binary32.fromHalf(b)));
            }
            return ((bits >> 23) & 0xff < FIELD_LIMIT ? Wide.fromBits(bits) : OUT, bits);
        }
    }

    /// @dev As `_add` where every binary32 has a field in 32..174 and every half is normal: no product is near the ends.
    function _addNormal(int256 wide, uint256 wx, uint256 wh) private pure returns (bool good, int256 sum) {
        assembly ("memory-safe") {
            sum := wide
            let mask := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
            let fields := and(shr(23, wx), mask)
            let halves := and(shr(10, wh), 0x0000001f0000001f0000001f0000001f0000001f0000001f0000001f0000001f)
            // Bit 8 of field + 224 says field >= 32, of field + 81 field >= 175; of half + 255 half >= 1, of half + 225 half >= 31.
            let low :=
                and(add(fields, 0x000000e0000000e0000000e0000000e0000000e0000000e0000000e0000000e0), add(halves, mask))
            let high :=
                or(
                    add(fields, 0x0000005100000051000000510000005100000051000000510000005100000051),
                    add(halves, 0x000000e1000000e1000000e1000000e1000000e1000000e1000000e1000000e1)
                )
            mask := 0x0000010000000100000001000000010000000100000001000000010000000100
            good := iszero(and(or(not(low), high), mask))
            if good {
                // Signs; places of the products, 24 bits each, less one for each that has a bit less; significands.
                let signs := shr(31, xor(wx, shl(16, wh)))
                fields := sub(add(fields, halves), 0x0000000e0000000e0000000e0000000e0000000e0000000e0000000e0000000e)
                wx := or(
                    and(wx, 0x007fffff007fffff007fffff007fffff007fffff007fffff007fffff007fffff),
                    0x0080000000800000008000000080000000800000008000000080000000800000
                )
                wh := or(
                    and(wh, 0x000003ff000003ff000003ff000003ff000003ff000003ff000003ff000003ff),
                    0x0000040000000400000004000000040000000400000004000000040000000400
                )
                // Two lanes a turn.
                for { let lane := 256 } lane {} {
                    lane := sub(lane, 32)
                    {
                        let p := mul(and(shr(lane, wx), 0xffffff), and(shr(lane, wh), 0x7ff))
                        let short := iszero(shr(34, p))
                        p := shl(short, p)
                        p := shr(11, add(add(p, 0x3ff), and(shr(11, p), 1)))
                        p := shl(sub(and(shr(lane, fields), 0x1ff), short), p)
                        let s := sub(0, and(shr(lane, signs), 1))
                        sum := add(sum, sub(xor(p, s), s))
                        let last := shl(sub(232, clz(or(xor(sum, sar(255, sum)), 0x1000000))), 1)
                        sum := and(sub(add(sum, shr(1, last)), iszero(and(sum, last))), sub(0, last))
                    }
                    lane := sub(lane, 32)
                    let p := mul(and(shr(lane, wx), 0xffffff), and(shr(lane, wh), 0x7ff))
                    let short := iszero(shr(34, p))
                    p := shl(short, p)
                    p := shr(11, add(add(p, 0x3ff), and(shr(11, p), 1)))
                    p := shl(sub(and(shr(lane, fields), 0x1ff), short), p)
                    let s := sub(0, and(shr(lane, signs), 1))
                    sum := add(sum, sub(xor(p, s), s))
                    let last := shl(sub(232, clz(or(xor(sum, sar(255, sum)), 0x1000000))), 1)
                    sum := and(sub(add(sum, shr(1, last)), iszero(and(sum, last))), sub(0, last))
                }
            }
        }
    }

    /// @dev As `_add` where every binary32 has a field below 175 and every half is finite.
    function _addFinite(int256 wide, uint256 wx, uint256 wh) private pure returns (bool good, int256 sum) {
        assembly ("memory-safe") {
            sum := wide
            good := 1
            for { let lane := 256 } lane {} {
                lane := sub(lane, 32)
                let a := shr(lane, wx)
                let b := shr(lane, wh)
                let ea := and(shr(23, a), 0xff)
                let eb := and(shr(10, b), 0x1f)
                good := and(good, and(lt(ea, 175), lt(eb, 31)))
                let sa := iszero(ea)
                let sb := iszero(eb)
                // The significands' product at its place, in units of 2^-175: a binary16 of field e is m * 2^(e - 25).
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
    }
}
