// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Machine} from "../../libraries/Machine.sol";
import {Programs} from "../../libraries/Programs.sol";
import {Functions} from "../../numeric/Functions.sol";
import {Sums} from "../../numeric/Sums.sol";
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
        if (step.op == Machine.OP_NORM_STAT) return Sums.squares(0, input, from, n);
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
}
