// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Machine} from "../../libraries/Machine.sol";
import {Programs} from "../../libraries/Programs.sol";
import {Functions} from "../../numeric/Functions.sol";
import {Sums} from "../../numeric/Sums.sol";
import {Wide} from "../../numeric/Wide.sol";
import {LeafData} from "./LeafData.sol";

/// @title Long sums
/// @notice The tile sums of `matmul` and `norm_stat` and what they give (`prover/SPEC.md` sections 1.4 and 3).
library Tiles {
    /// @notice Addends of a sum: elements of the input.
    function inner(Programs.Step memory step) internal pure returns (uint256) {
        return step.op == Machine.OP_MATMUL ? step.dims[1] : step.dims[0];
    }

    /// @notice Tiles of a sum.
    function count(Programs.Step memory step) internal pure returns (uint256) {
        return (inner(step) + Machine.TILE_ELEMENTS - 1) / Machine.TILE_ELEMENTS;
    }

    /// @notice Whether a sum is proven tile by tile, not at once.
    function isLong(Programs.Step memory step) internal pure returns (bool) {
        // Only quantised weights have formats above F16; `norm_stat` has format 0.
        return count(step) > (step.format > Machine.WEIGHT_FORMAT_F16 ? Machine.DIRECT_TILES : 1);
    }

    /// @notice The sum of tile `tile`. The opened leaves, which the caller checked, are those from tile `first` on; `weights` is unused for `norm_stat`.
    function sum(Programs.Step memory step, uint256 tile, uint256 first, bytes calldata input, bytes calldata weights)
        internal
        pure
        returns (uint256)
    {
        uint256 n = inner(step) - tile * Machine.TILE_ELEMENTS;
        if (n > Machine.TILE_ELEMENTS) n = Machine.TILE_ELEMENTS;
        uint256 place = tile - first;
        uint256 from = place * Machine.TILE_ELEMENTS;
        if (step.op == Machine.OP_NORM_STAT) return _squares(input, from, n);
        uint8 format = step.format;
        if (format == Machine.WEIGHT_FORMAT_F32) return Sums.dot(0, weights, from, input, from, n);
        if (format == Machine.WEIGHT_FORMAT_F16) return Sums.dotHalf(0, weights, from, input, from, n);
        weights = weights[place * LeafData.weightBytes(format):];
        input = input[place * LeafData.QUANTISED_BYTES:];
        n /= Machine.BLOCK_ELEMENTS;
        if (format == Machine.WEIGHT_FORMAT_Q8_0) return Sums.tileQ8(weights, input, n);
        if (format == Machine.WEIGHT_FORMAT_Q4_0) return Sums.tileQ4(weights, input, n);
        return Sums.tileQ8F(weights, input, n);
    }

    /// @notice The element that tile sums give; they are f32_be.
    function combine(Programs.Step memory step, bytes calldata totals) internal pure returns (uint256) {
        uint256 total = 0;
        uint256 left = totals.length / 4;
        for (uint256 from = 0; left > 0; from += Sums.TILE) {
            uint256 n = left < Sums.TILE ? left : Sums.TILE;
            total = Sums.addBig(total, totals, from, n);
            left -= n;
        }
        return finish(step, total);
    }

    /// @notice The element that the sum of the tiles gives.
    function finish(Programs.Step memory step, uint256 total) internal pure returns (uint256) {
        if (step.op == Machine.OP_MATMUL) return total;
        return Functions.inverseRoot(total, step.dims[0], step.constants[0]);
    }

    /// @dev As `Sums.squares` from 0, for ordinary elements at two thirds of the cost: no sum is negative.
    function _squares(bytes calldata x, uint256 from, uint256 n) private pure returns (uint256) {
        if (x.length < 4 * (from + n)) revert Sums.OutOfBounds(4 * (from + n), x.length);
        unchecked {
            uint256 wide = 0;
            for (uint256 i = 0; i < n; i += 8) {
                bool unusual;
                assembly ("memory-safe") {
                    // Turn the bytes of each lane round.
                    let w := calldataload(add(x.offset, shl(2, add(from, i))))
                    let mask := 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
                    w := or(and(shr(8, w), mask), shl(8, and(w, mask)))
                    mask := 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff
                    w := or(and(shr(16, w), mask), shl(16, and(w, mask)))
                    // Ordinary are fields of 64..174: bit 8 of field + 192 is set, of field + 81 not.
                    let fields := and(shr(23, w), 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff)
                    let low := add(fields, 0x000000c0000000c0000000c0000000c0000000c0000000c0000000c0000000c0)
                    let high := add(fields, 0x0000005100000051000000510000005100000051000000510000005100000051)
                    mask := 0x0000010000000100000001000000010000000100000001000000010000000100
                    unusual := gt(and(or(not(low), high), mask), 0)
                    if iszero(unusual) {
                        // A square is significand^2 * 2^(2 * field - 126) units of the wide form, with 24 of its 47 or 48 bits kept.
                        fields := sub(
                            shl(1, fields),
                            0x0000007e0000007e0000007e0000007e0000007e0000007e0000007e0000007e
                        )
                        w := or(w, 0x0080000000800000008000000080000000800000008000000080000000800000)
                        let lanes := sub(n, i)
                        if gt(lanes, 8) { lanes := 8 }
                        let end := sub(256, shl(5, lanes))
                        for { let lane := 256 } gt(lane, end) {} {
                            lane := sub(lane, 32)
                            let p := and(shr(lane, w), 0xffffff)
                            p := mul(p, p)
                            let short := iszero(shr(47, p))
                            p := shl(short, p)
                            p := shr(24, add(add(p, 0x7fffff), and(shr(24, p), 1)))
                            wide := add(wide, shl(sub(and(shr(lane, fields), 0x1ff), short), p))
                            // The last of 24 bits: half of it less one, and one more if it is set, carries to nearest even.
                            p := shl(sub(232, clz(wide)), 1)
                            wide := and(sub(add(wide, shr(1, p)), iszero(and(wide, p))), sub(0, p))
                        }
                    }
                }
                if (unusual) return Sums.squares(Wide.toBits(int256(wide)), x, from + i, n - i);
            }
            return Wide.toBits(int256(wide));
        }
    }
}
