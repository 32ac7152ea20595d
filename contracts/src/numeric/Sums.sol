// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Binary32} from "./Binary32.sol";
import {Wide} from "./Wide.sol";

/// @title Sums of a tile
/// @notice `prover/SPEC.md` sections 1.4, 2 and 3: elements are added one after another, each `*` and `+` rounded. Leaves are little-endian,
/// posted contents big-endian. A tile starts from 0; a tile that several leaves hold goes on from the sum so far, which is never -0 then.
/// @dev The sum is kept in wide form while every operand has an exponent field in 64..174 (2^-63 to 2^48), or is a zero: a product is then below 2^246
/// units, and 256 of them stay below 2^255. Other operands, and sums from 2^73 on, go through `Binary32`. Results are the same bit for bit.
library Sums {
    error OutOfBounds(uint256 end, uint256 length);

    uint256 internal constant TILE = 256;

    /// @dev A wide sum that `Binary32` has to go on with.
    int256 private constant OUT = type(int256).min;
    /// @dev Eight lanes of 1.
    uint256 private constant ONES = 0x3f8000003f8000003f8000003f8000003f8000003f8000003f8000003f800000;
    /// @dev Sums below this field may grow by 256 products.
    uint256 private constant FIELD_LIMIT = 223;

    // Elements

    /// @notice Element i of a list of f32_le (or u32_le).
    function f32(bytes calldata data, uint256 i) internal pure returns (uint256) {
        _within(data, 4 * i + 4);
        return _swap(_load(data, 4 * i)) >> 224;
    }

    /// @notice Element i of a list of f16_le (or u16_le).
    function f16(bytes calldata data, uint256 i) internal pure returns (uint256) {
        return u16At(data, 2 * i);
    }

    /// @notice The u16_le at byte `offset`.
    function u16At(bytes calldata data, uint256 offset) internal pure returns (uint256 h) {
        _within(data, offset + 2);
        h = _load(data, offset) >> 240;
        assembly ("memory-safe") {
            h := or(shr(8, h), shl(8, and(h, 0xff)))
        }
    }

    /// @notice The i8 at byte `offset`.
    function i8At(bytes calldata data, uint256 offset) internal pure returns (int256 q) {
        _within(data, offset + 1);
        uint256 word = _load(data, offset);
        assembly ("memory-safe") {
            q := sar(248, word)
        }
    }

    /// @notice The u32_be at byte `offset`.
    function u32BigAt(bytes calldata data, uint256 offset) internal pure returns (uint256) {
        _within(data, offset + 4);
        return _load(data, offset) >> 224;
    }

    /// @notice The largest magnitude (31 bits) of the 32 elements from `from` of a list of f32_le.
    function largest32(bytes calldata data, uint256 from) internal pure returns (uint256 largest) {
        _within(data, 4 * from + 128);
        for (uint256 offset = 4 * from; offset < 4 * from + 128; offset += 32) {
            uint256 word = _swap(_load(data, offset));
            assembly ("memory-safe") {
                for { let shift := 0 } lt(shift, 256) { shift := add(shift, 32) } {
                    let u := and(shr(shift, word), 0x7fffffff)
                    largest := xor(largest, mul(xor(largest, u), gt(u, largest)))
                }
            }
        }
    }

    // Sums of floats

    /// @notice `sum` plus `count` elements from `from` of a list of f32_le.
    function add(uint256 sum, bytes calldata x, uint256 from, uint256 count) internal pure returns (uint256) {
        _tile(count);
        _within(x, 4 * (from + count));
        unchecked {
            int256 wide = _begin(sum);
            for (uint256 i = 0; i < count; i += 8) {
                (wide, sum) = _addLanes(wide, sum, _swap(_load(x, 4 * (from + i))), count - i);
            }
            return wide == OUT ? sum : Wide.toBits(wide);
        }
    }

    /// @notice As `add`, of a list of f32_be: totals, or the weights of `attn_sum`.
    function addBig(uint256 sum, bytes calldata x, uint256 from, uint256 count) internal pure returns (uint256) {
        _tile(count);
        _within(x, 4 * (from + count));
        unchecked {
            int256 wide = _begin(sum);
            for (uint256 i = 0; i < count; i += 8) {
                (wide, sum) = _addLanes(wide, sum, _load(x, 4 * (from + i)), count - i);
            }
            return wide == OUT ? sum : Wide.toBits(wide);
        }
    }

    /// @notice `sum` plus the products of `count` elements of two lists of f32_le.
    function dot(uint256 sum, bytes calldata a, uint256 aFrom, bytes calldata b, uint256 bFrom, uint256 count)
        internal
        pure
        returns (uint256)
    {
        _tile(count);
        _within(a, 4 * (aFrom + count));
        _within(b, 4 * (bFrom + count));
        unchecked {
            int256 wide = _begin(sum);
            for (uint256 i = 0; i < count; i += 8) {
                uint256 left = _swap(_load(a, 4 * (aFrom + i)));
                uint256 right = _swap(_load(b, 4 * (bFrom + i)));
                (wide, sum) = _addProducts(wide, sum, left, right, count - i);
            }
            return wide == OUT ? sum : Wide.toBits(wide);
        }
    }

    /// @notice `sum` plus the squares of `count` elements of a list of f32_le.
    function squares(uint256 sum, bytes calldata x, uint256 from, uint256 count) internal pure returns (uint256) {
        return dot(sum, x, from, x, from, count);
    }

    /// @notice `sum` plus the products of `count` elements of a list of f16_le and one of f32_le.
    function dotHalf(uint256 sum, bytes calldata h, uint256 hFrom, bytes calldata x, uint256 xFrom, uint256 count)
        internal
        pure
        returns (uint256)
    {
        _tile(count);
        _within(h, 2 * (hFrom + count));
        _within(x, 4 * (xFrom + count));
        unchecked {
            int256 wide = _begin(sum);
            for (uint256 i = 0; i < count; i += 8) {
                uint256 left = _fromHalves(_spread(_load(h, 2 * (hFrom + i))));
                uint256 right = _swap(_load(x, 4 * (xFrom + i)));
                (wide, sum) = _addProducts(wide, sum, left, right, count - i);
            }
            return wide == OUT ? sum : Wide.toBits(wide);
        }
    }

    /// @notice `sum` plus the products of `count` posted pairs (f32_be weight, f16_be value) from pair `from` (section 10.2, tile of attn_mix).
    function addPairs(uint256 sum, bytes calldata pairs, uint256 from, uint256 count) internal pure returns (uint256) {
        _tile(count);
        _within(pairs, 6 * (from + count));
        unchecked {
            int256 wide = _begin(sum);
            for (uint256 i = 0; i < count; i += 8) {
                uint256 left;
                uint256 right;
                assembly ("memory-safe") {
                    let next := add(pairs.offset, mul(6, add(from, i)))
                    for { let end := add(next, 48) } lt(next, end) { next := add(next, 6) } {
                        let word := calldataload(next)
                        left := or(shl(32, left), shr(224, word))
                        right := or(shl(32, right), and(shr(208, word), 0xffff))
                    }
                }
                (wide, sum) = _addProducts(wide, sum, left, _fromHalves(right), count - i);
            }
            return wide == OUT ? sum : Wide.toBits(wide);
        }
    }

    // Sums of blocks

    /// @notice The tile sum of `blocks` (at most 8) blocks of a weight leaf of Q8_0 and a quantised activation's leaf.
    function tileQ8(bytes calldata w, bytes calldata x, uint256 blocks) internal pure returns (uint256) {
        _blocks(w, 272, x, blocks);
        return _tileBlocks(_fromHalves(_spread(_load(w, 0))), w, 16, 32, x, blocks);
    }

    /// @notice The same of a leaf of Q8F.
    function tileQ8F(bytes calldata w, bytes calldata x, uint256 blocks) internal pure returns (uint256) {
        _blocks(w, 288, x, blocks);
        return _tileBlocks(_swap(_load(w, 0)), w, 32, 32, x, blocks);
    }

    /// @notice The same of a leaf of Q4_0.
    function tileQ4(bytes calldata w, bytes calldata x, uint256 blocks) internal pure returns (uint256) {
        _blocks(w, 144, x, blocks);
        return _tileBlocks(_fromHalves(_spread(_load(w, 0))), w, 16, 16, x, blocks);
    }

    /// @notice The exact sum of the products of 32 signed bytes each; a weight 0x80 counts as -127.
    /// @dev With 128 added bytes are unsigned, w' and x', and sum(w * x) = sum(w' * x') - 128 * sum(w' + x') + 32 * 128^2. A product of two words
    /// of eight 32-bit lanes has in its highest lane the sum of lane i times lane 7 - i, so x's lanes are reversed.
    function blockDot(uint256 w, uint256 x) internal pure returns (int256 s) {
        assembly ("memory-safe") {
            let top := 0x8080808080808080808080808080808080808080808080808080808080808080
            let ones := 0x0101010101010101010101010101010101010101010101010101010101010101
            w := xor(w, top)
            x := xor(x, top)
            // A zero byte is 0x80, which becomes 0x81. Its presence is seen at once; only then its places matter.
            if and(and(sub(w, ones), not(w)), top) {
                // The top bit of each byte: set where the byte is not zero.
                let set := or(w, add(and(w, not(top)), not(top)))
                w := or(w, shr(7, and(not(set), top)))
            }

            let lanes := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
            let pairs := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
            // Before x is turned: 16 lanes of 16 bits, each the sum of four bytes; their sum is the highest lane of a product.
            let bytesSum := add(add(and(w, pairs), and(shr(8, w), pairs)), add(and(x, pairs), and(shr(8, x), pairs)))
            bytesSum := shr(240, mul(bytesSum, 0x0001000100010001000100010001000100010001000100010001000100010001))

            x := or(shr(128, x), shl(128, x))
            let half := 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff
            x := or(and(shr(64, x), half), shl(64, and(x, half)))
            half := 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff
            x := or(and(shr(32, x), half), shl(32, and(x, half)))

            s := mul(and(w, lanes), and(x, lanes))
            s := add(s, mul(and(shr(8, w), lanes), and(shr(8, x), lanes)))
            s := add(s, mul(and(shr(16, w), lanes), and(shr(16, x), lanes)))
            s := add(s, mul(and(shr(24, w), lanes), and(shr(24, x), lanes)))
            s := sub(add(shr(224, s), 524288), shl(7, bytesSum))
        }
    }

    /// @notice The 32 signed bytes of the Q4_0 block in a word's first 16 bytes: low nibbles, then high ones, less 8.
    function nibbles(uint256 block_) internal pure returns (uint256 w) {
        assembly ("memory-safe") {
            let mask := 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f
            block_ := shr(128, block_)
            w := or(shl(128, and(block_, mask)), and(shr(4, block_), mask))
            // n - 8 in each byte without borrows between them: n + 0x78 has the top bit set from 8 on, and is then 0x80 more than n - 8.
            w := add(w, 0x7878787878787878787878787878787878787878787878787878787878787878)
            w := xor(w, 0x8080808080808080808080808080808080808080808080808080808080808080)
        }
    }

    /// @notice (dw * dx) * f32(s) of one block.
    function blockValue(uint256 dw, uint256 dx, int256 s) internal pure returns (uint256) {
        return Binary32.mul(Binary32.mul(dw, dx), Binary32.fromInt(s));
    }

    // Inside

    /// @dev `sum` in wide form, or OUT.
    function _begin(uint256 sum) private pure returns (int256) {
        return (sum >> 23) & 0xff < FIELD_LIMIT ? Wide.fromBits(sum) : OUT;
    }

    /// @dev Adds the first `count` (at most 8) lanes of 32 bits of a word, one after another, to a sum in wide form, or OUT and as bits.
    function _addLanes(int256 wide, uint256 sum, uint256 word, uint256 count) private pure returns (int256, uint256) {
        bool unusual;
        assembly ("memory-safe") {
            switch lt(count, 8)
            case 0 { count := 8 }
            default {
                // Lanes that are not added count as 1.
                let rest := sub(256, shl(5, count))
                word := or(shl(rest, shr(rest, word)), shr(shl(5, count), ONES))
            }
            // Bit 8 of field + 255 says field >= 1, of field + 33 field >= 223.
            let high := 0x0000010000000100000001000000010000000100000001000000010000000100
            let fields := and(shr(23, word), 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff)
            let low := add(fields, 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff)
            fields := add(fields, 0x0000002100000021000000210000002100000021000000210000002100000021)
            unusual := gt(or(and(or(not(low), fields), high), eq(wide, shl(255, 1))), 0)
            if iszero(unusual) {
                let end := sub(256, shl(5, count))
                for { let lane := 256 } gt(lane, end) {} {
                    lane := sub(lane, 32)
                    let a := shr(lane, word)
                    let sign := sub(0, and(shr(31, a), 1))
                    let w := shl(and(shr(23, a), 0xff), or(and(a, 0x7fffff), 0x800000))
                    wide := add(wide, sub(xor(w, sign), sign))
                    let last := shl(sub(232, clz(or(xor(wide, sar(255, wide)), 0x1000000))), 1)
                    wide := and(sub(add(wide, shr(1, last)), iszero(and(wide, last))), sub(0, last))
                }
            }
        }
        if (!unusual) return (wide, sum);
        return _addLanesAny(wide, sum, word, count);
    }

    /// @dev As `_addLanes`, for any operands.
    function _addLanesAny(int256 wide, uint256 sum, uint256 word, uint256 count)
        private
        pure
        returns (int256, uint256)
    {
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                uint256 a = word >> 224;
                word <<= 32;
                if (wide != OUT && (a >> 23) & 0xff < FIELD_LIMIT) {
                    wide = Wide.round(wide + Wide.fromBits(a));
                } else {
                    (wide, sum) = _addBits(wide, sum, a);
                }
            }
            return (wide, sum);
        }
    }

    /// @dev Adds the products of the first `count` (at most 8) lanes of two words.
    function _addProducts(int256 wide, uint256 sum, uint256 left, uint256 right, uint256 count)
        private
        pure
        returns (int256, uint256)
    {
        bool unusual;
        assembly ("memory-safe") {
            switch lt(count, 8)
            case 0 { count := 8 }
            default {
                let rest := sub(256, shl(5, count))
                left := or(shl(rest, shr(rest, left)), shr(shl(5, count), ONES))
                right := or(shl(rest, shr(rest, right)), shr(shl(5, count), ONES))
            }
            // Bit 8 of field + 192 says field >= 64, of field + 81 field >= 175.
            let high := 0x0000010000000100000001000000010000000100000001000000010000000100
            let mask := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
            let fields := and(shr(23, left), mask)
            let others := and(shr(23, right), mask)
            mask := 0x000000c0000000c0000000c0000000c0000000c0000000c0000000c0000000c0
            unusual := not(and(add(fields, mask), add(others, mask)))
            mask := 0x0000005100000051000000510000005100000051000000510000005100000051
            unusual := or(unusual, or(add(fields, mask), add(others, mask)))
            unusual := gt(or(and(unusual, high), eq(wide, shl(255, 1))), 0)
            if iszero(unusual) {
                // In every lane: the sum of the fields less 126, both significands, the sign.
                fields := sub(add(fields, others), 0x0000007e0000007e0000007e0000007e0000007e0000007e0000007e0000007e)
                let signs := shr(31, xor(left, right))
                mask := 0x0080000000800000008000000080000000800000008000000080000000800000
                left := or(left, mask)
                right := or(right, mask)
                let end := sub(256, shl(5, count))
                for { let lane := 256 } gt(lane, end) {} {
                    lane := sub(lane, 32)
                    // The product has 47 or 48 bits, of which 24 are kept; it is normal, so no more fall away.
                    let p := mul(and(shr(lane, left), 0xffffff), and(shr(lane, right), 0xffffff))
                    let short := iszero(shr(47, p))
                    p := shl(short, p)
                    p := shr(24, add(add(p, 0x7fffff), and(shr(24, p), 1)))
                    p := shl(sub(and(shr(lane, fields), 0x1ff), short), p)
                    let sign := sub(0, and(shr(lane, signs), 1))
                    wide := add(wide, sub(xor(p, sign), sign))
                    p := shl(sub(232, clz(or(xor(wide, sar(255, wide)), 0x1000000))), 1)
                    wide := and(sub(add(wide, shr(1, p)), iszero(and(wide, p))), sub(0, p))
                }
            }
        }
        if (!unusual) return (wide, sum);
        return _addProductsAny(wide, sum, left, right, count);
    }

    /// @dev As `_addProducts`, for any operands.
    function _addProductsAny(int256 wide, uint256 sum, uint256 left, uint256 right, uint256 count)
        private
        pure
        returns (int256, uint256)
    {
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                uint256 p = Binary32.mul(left >> 224, right >> 224);
                left <<= 32;
                right <<= 32;
                if (wide != OUT && (p >> 23) & 0xff < FIELD_LIMIT) {
                    wide = Wide.round(wide + Wide.fromBits(p));
                } else {
                    (wide, sum) = _addBits(wide, sum, p);
                }
            }
            return (wide, sum);
        }
    }

    /// @dev Adds a value by `Binary32`, and goes back to wide form if that is possible.
    function _addBits(int256 wide, uint256 sum, uint256 a) private pure returns (int256, uint256) {
        sum = Binary32.add(wide == OUT ? sum : Wide.toBits(wide), a);
        return (_begin(sum), sum);
    }

    /// @dev The sum of a tile of blocks. `scales` are the weight's, lanes of binary32; its integers begin at byte `offset`, `size` bytes a block: 32, or 16
    /// of nibbles.
    function _tileBlocks(
        uint256 scales,
        bytes calldata w,
        uint256 offset,
        uint256 size,
        bytes calldata x,
        uint256 blocks
    ) private pure returns (uint256) {
        uint256 others = _swap(_load(x, 0));
        bool unusual;
        uint256 fields;
        uint256 signs;
        assembly ("memory-safe") {
            // Lanes without a block count as 1.
            let ones := shr(shl(5, blocks), ONES)
            scales := or(scales, ones)
            others := or(others, ones)
            // Bit 8 of field + 192 says field >= 64, of field + 81 field >= 175, of field + 101 field >= 155.
            let mask := 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff
            fields := and(shr(23, scales), mask)
            let more := and(shr(23, others), mask)
            mask := 0x000000c0000000c0000000c0000000c0000000c0000000c0000000c0000000c0
            unusual := not(and(add(fields, mask), add(more, mask)))
            mask := 0x0000005100000051000000510000005100000051000000510000005100000051
            unusual := or(unusual, add(fields, mask))
            mask := 0x0000006500000065000000650000006500000065000000650000006500000065
            unusual := or(unusual, add(more, mask))
            unusual := gt(and(unusual, 0x0000010000000100000001000000010000000100000001000000010000000100), 0)
            // As in `_addProducts`.
            fields := sub(add(fields, more), 0x0000007e0000007e0000007e0000007e0000007e0000007e0000007e0000007e)
            signs := shr(31, xor(scales, others))
        }
        int256 wide = 0;
        uint256 sum = 0;
        unchecked {
            for (uint256 i = 0; i < blocks; ++i) {
                uint256 q = _load(w, offset + i * size);
                if (size == 16) q = nibbles(q);
                int256 s = blockDot(q, _load(x, 32 + 32 * i));
                uint256 lane = 224 - 32 * i;
                if (unusual) {
                    (wide, sum) = _addBits(wide, sum, blockValue(uint32(scales >> lane), uint32(others >> lane), s));
                    continue;
                }
                assembly ("memory-safe") {
                    // dw * dx rounded to 24 bits as in `_addProducts`, then times s, which has at most 20 bits and is exact in binary32.
                    let p :=
                        mul(
                            or(and(shr(lane, scales), 0x7fffff), 0x800000),
                            or(and(shr(lane, others), 0x7fffff), 0x800000)
                        )
                    let short := iszero(shr(47, p))
                    p := shl(short, p)
                    p := shr(24, add(add(p, 0x7fffff), and(shr(24, p), 1)))
                    let sign := sub(0, and(shr(lane, signs), 1))
                    p := shl(sub(and(shr(lane, fields), 0x1ff), short), mul(p, sub(xor(s, sign), sign)))
                    let last := shl(sub(232, clz(or(xor(p, sar(255, p)), 0x1000000))), 1)
                    p := and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last))
                    wide := add(wide, p)
                    last := shl(sub(232, clz(or(xor(wide, sar(255, wide)), 0x1000000))), 1)
                    wide := and(sub(add(wide, shr(1, last)), iszero(and(wide, last))), sub(0, last))
                }
            }
            return wide == OUT ? sum : Wide.toBits(wide);
        }
    }

    /// @dev The eight u16_le at a word's start, each at the low end of a lane of 32 bits.
    function _spread(uint256 word) private pure returns (uint256 r) {
        assembly ("memory-safe") {
            r := shr(128, word)
            r := and(or(r, shl(64, r)), 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff)
            r := and(or(r, shl(32, r)), 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff)
            r := or(r, shl(16, r))
            r := or(
                and(shr(8, r), 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff),
                and(shl(8, r), 0x0000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff00)
            )
        }
    }

    /// @dev Eight halves, each at the low end of a lane of 32 bits, as binary32.
    function _fromHalves(uint256 halves) private pure returns (uint256 r) {
        bool ordinary;
        assembly ("memory-safe") {
            let bit15 := 0x0000800000008000000080000000800000008000000080000000800000008000
            let bit10 := 0x0000040000000400000004000000040000000400000004000000040000000400
            let u := and(halves, not(bit15))
            // Normal: no carry into bit 15 of u + 2^10, and no borrow from it of u - 2^10.
            ordinary := iszero(and(or(add(u, bit10), not(sub(or(u, bit15), bit10))), bit15))
            if ordinary {
                r := add(shl(13, u), 0x3800000038000000380000003800000038000000380000003800000038000000)
                r := or(r, shl(16, and(halves, bit15)))
            }
        }
        if (ordinary) return r;
        for (uint256 i = 0; i < 8; ++i) {
            r = (r << 32) | Binary32.fromHalf((halves >> 224) & 0xffff);
            halves <<= 32;
        }
    }

    /// @dev The 32 bytes from `offset`; what is past the data is not read by the callers.
    function _load(bytes calldata data, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, offset))
        }
    }

    /// @dev Turns the bytes of each 4-byte lane round.
    function _swap(uint256 word) private pure returns (uint256 r) {
        assembly ("memory-safe") {
            let mask := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
            r := or(and(shr(8, word), mask), shl(8, and(word, mask)))
            mask := 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff
            r := or(and(shr(16, r), mask), shl(16, and(r, mask)))
        }
    }

    function _tile(uint256 count) private pure {
        if (count > TILE) revert OutOfBounds(count, TILE);
    }

    function _within(bytes calldata data, uint256 end) private pure {
        if (end > data.length) revert OutOfBounds(end, data.length);
    }

    function _blocks(bytes calldata w, uint256 bytes_, bytes calldata x, uint256 blocks) private pure {
        if (blocks > 8) revert OutOfBounds(blocks, 8);
        _within(w, bytes_);
        _within(x, 288);
    }
}
