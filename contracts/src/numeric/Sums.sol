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
            uint256 word;
            for (uint256 i = 0; i < count; ++i) {
                word = i & 7 == 0 ? _swap(_load(x, 4 * (from + i))) : word << 32;
                int256 next = _add(wide, word >> 224);
                if (next == OUT) {
                    if (wide != OUT) sum = Wide.toBits(wide);
                    sum = Binary32.add(sum, word >> 224);
                    next = _begin(sum);
                }
                wide = next;
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
            uint256 word;
            for (uint256 i = 0; i < count; ++i) {
                word = i & 7 == 0 ? _load(x, 4 * (from + i)) : word << 32;
                int256 next = _add(wide, word >> 224);
                if (next == OUT) {
                    if (wide != OUT) sum = Wide.toBits(wide);
                    sum = Binary32.add(sum, word >> 224);
                    next = _begin(sum);
                }
                wide = next;
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
            uint256 left;
            uint256 right;
            for (uint256 i = 0; i < count; ++i) {
                if (i & 7 == 0) {
                    left = _swap(_load(a, 4 * (aFrom + i)));
                    right = _swap(_load(b, 4 * (bFrom + i)));
                } else {
                    left <<= 32;
                    right <<= 32;
                }
                int256 next = _addProduct(wide, left >> 224, right >> 224);
                if (next == OUT) {
                    if (wide != OUT) sum = Wide.toBits(wide);
                    sum = Binary32.add(sum, Binary32.mul(left >> 224, right >> 224));
                    next = _begin(sum);
                }
                wide = next;
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
            uint256 halves;
            uint256 right;
            for (uint256 i = 0; i < count; ++i) {
                if (i & 7 == 0) {
                    halves = _swap(_load(h, 2 * (hFrom + i)));
                    // 16-bit lanes stand in pairs; put them in order.
                    assembly ("memory-safe") {
                        let mask := 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff
                        halves := or(and(shr(16, halves), mask), shl(16, and(halves, mask)))
                    }
                    right = _swap(_load(x, 4 * (xFrom + i)));
                } else {
                    halves <<= 16;
                    right <<= 32;
                }
                uint256 left = Binary32.fromHalf(halves >> 240);
                int256 next = _addProduct(wide, left, right >> 224);
                if (next == OUT) {
                    if (wide != OUT) sum = Wide.toBits(wide);
                    sum = Binary32.add(sum, Binary32.mul(left, right >> 224));
                    next = _begin(sum);
                }
                wide = next;
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
            for (uint256 i = 0; i < count; ++i) {
                uint256 word = _load(pairs, 6 * (from + i));
                uint256 value = Binary32.fromHalf((word >> 208) & 0xffff);
                int256 next = _addProduct(wide, word >> 224, value);
                if (next == OUT) {
                    if (wide != OUT) sum = Wide.toBits(wide);
                    sum = Binary32.add(sum, Binary32.mul(word >> 224, value));
                    next = _begin(sum);
                }
                wide = next;
            }
            return wide == OUT ? sum : Wide.toBits(wide);
        }
    }

    // Sums of blocks

    /// @notice The tile sum of `blocks` (at most 8) blocks of a weight leaf of Q8_0 and a quantised activation's leaf.
    function tileQ8(bytes calldata w, bytes calldata x, uint256 blocks) internal pure returns (uint256) {
        _blocks(w, 272, x, blocks);
        unchecked {
            int256 wide = 0;
            uint256 sum;
            for (uint256 i = 0; i < blocks; ++i) {
                int256 s = blockDot(_load(w, 16 + 32 * i), _load(x, 32 + 32 * i));
                (wide, sum) = _addBlock(wide, sum, _half(w, 2 * i), _swap(_load(x, 4 * i)) >> 224, s);
            }
            return wide == OUT ? sum : Wide.toBits(wide);
        }
    }

    /// @notice The same of a leaf of Q8F.
    function tileQ8F(bytes calldata w, bytes calldata x, uint256 blocks) internal pure returns (uint256) {
        _blocks(w, 288, x, blocks);
        unchecked {
            int256 wide = 0;
            uint256 sum;
            for (uint256 i = 0; i < blocks; ++i) {
                int256 s = blockDot(_load(w, 32 + 32 * i), _load(x, 32 + 32 * i));
                (wide, sum) = _addBlock(wide, sum, _swap(_load(w, 4 * i)) >> 224, _swap(_load(x, 4 * i)) >> 224, s);
            }
            return wide == OUT ? sum : Wide.toBits(wide);
        }
    }

    /// @notice The same of a leaf of Q4_0.
    function tileQ4(bytes calldata w, bytes calldata x, uint256 blocks) internal pure returns (uint256) {
        _blocks(w, 144, x, blocks);
        unchecked {
            int256 wide = 0;
            uint256 sum;
            for (uint256 i = 0; i < blocks; ++i) {
                int256 s = blockDot(nibbles(_load(w, 16 + 16 * i)), _load(x, 32 + 32 * i));
                (wide, sum) = _addBlock(wide, sum, _half(w, 2 * i), _swap(_load(x, 4 * i)) >> 224, s);
            }
            return wide == OUT ? sum : Wide.toBits(wide);
        }
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

    /// @dev wide + a, or OUT.
    function _add(int256 wide, uint256 a) private pure returns (int256 r) {
        assembly ("memory-safe") {
            let e := and(shr(23, a), 0xff)
            r := shl(255, 1)
            // Fields up to 223; the sum stays below 2^255 since 256 of them do.
            if iszero(or(gt(e, 222), eq(wide, r))) {
                let subnormal := iszero(e)
                r := shl(add(e, subnormal), xor(or(and(a, 0x7fffff), 0x800000), shl(23, subnormal)))
                let sign := sub(0, shr(31, a))
                r := add(wide, sub(xor(r, sign), sign))
                let last := shl(sub(232, clz(or(xor(r, sar(255, r)), 0x1000000))), 1)
                r := and(sub(add(r, shr(1, last)), iszero(and(r, last))), sub(0, last))
            }
        }
    }

    /// @dev wide + a * b, or OUT.
    function _addProduct(int256 wide, uint256 a, uint256 b) private pure returns (int256 r) {
        assembly ("memory-safe") {
            let ea := and(shr(23, a), 0xff)
            let eb := and(shr(23, b), 0xff)
            r := shl(255, 1)
            switch or(or(gt(sub(ea, 64), 110), gt(sub(eb, 64), 110)), eq(wide, r))
            case 0 {
                // The product has 47 or 48 bits, of which 24 are kept; it is normal, so no more fall away.
                let p := mul(or(and(a, 0x7fffff), 0x800000), or(and(b, 0x7fffff), 0x800000))
                let short := iszero(shr(47, p))
                p := shl(short, p)
                p := shr(24, add(add(p, 0x7fffff), and(shr(24, p), 1)))
                p := shl(sub(add(ea, eb), add(126, short)), p)
                let sign := sub(0, shr(31, xor(a, b)))
                r := add(wide, sub(xor(p, sign), sign))
                let last := shl(sub(232, clz(or(xor(r, sar(255, r)), 0x1000000))), 1)
                r := and(sub(add(r, shr(1, last)), iszero(and(r, last))), sub(0, last))
            }
            default {
                // A zero times something finite adds nothing.
                if iszero(or(mul(and(a, 0x7fffffff), and(b, 0x7fffffff)), or(eq(ea, 255), eq(eb, 255)))) { r := wide }
            }
        }
    }

    /// @dev The sum after another block, in wide form, or OUT and as bits.
    function _addBlock(int256 wide, uint256 sum, uint256 dw, uint256 dx, int256 s)
        private
        pure
        returns (int256 next, uint256)
    {
        assembly ("memory-safe") {
            let ew := and(shr(23, dw), 0xff)
            let ex := and(shr(23, dx), 0xff)
            next := shl(255, 1)
            if iszero(or(or(gt(sub(ew, 64), 110), gt(sub(ex, 64), 90)), eq(wide, next))) {
                // dw * dx as in `_addProduct`, then times s, which has at most 20 bits and is exact in binary32.
                let p := mul(or(and(dw, 0x7fffff), 0x800000), or(and(dx, 0x7fffff), 0x800000))
                let short := iszero(shr(47, p))
                p := shl(short, p)
                p := shr(24, add(add(p, 0x7fffff), and(shr(24, p), 1)))
                let sign := sub(0, shr(31, xor(dw, dx)))
                p := shl(sub(add(ew, ex), add(126, short)), mul(p, sub(xor(s, sign), sign)))
                let last := shl(sub(232, clz(or(xor(p, sar(255, p)), 0x1000000))), 1)
                p := and(sub(add(p, shr(1, last)), iszero(and(p, last))), sub(0, last))
                next := add(wide, p)
                last := shl(sub(232, clz(or(xor(next, sar(255, next)), 0x1000000))), 1)
                next := and(sub(add(next, shr(1, last)), iszero(and(next, last))), sub(0, last))
            }
        }
        if (next == OUT) {
            if (wide != OUT) sum = Wide.toBits(wide);
            sum = Binary32.add(sum, blockValue(dw, dx, s));
            next = _begin(sum);
        }
        return (next, sum);
    }

    function _half(bytes calldata data, uint256 offset) private pure returns (uint256) {
        uint256 h = _load(data, offset) >> 240;
        return Binary32.fromHalf((h >> 8) | ((h & 0xff) << 8));
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
