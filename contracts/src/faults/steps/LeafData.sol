// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../../interfaces/IFaults.sol";
import {Machine} from "../../libraries/Machine.sol";
import {Programs} from "../../libraries/Programs.sol";
import {Sums} from "../../numeric/Sums.sol";

/// @title What leaves hold
/// @notice `prover/SPEC.md` sections 2 and 10.1.
library LeafData {
    /// @notice Bytes of a leaf of an f32, f16 or maxima value, and of a quantised one.
    uint256 internal constant PLAIN_BYTES = 256;
    uint256 internal constant QUANTISED_BYTES = 288;
    /// @notice Bytes of the scales at the start of a quantised leaf.
    uint256 internal constant SCALES_BYTES = 32;

    /// @notice Bytes of every leaf of an operation's output.
    function bytesOf(uint8 op) internal pure returns (uint256) {
        return op == Machine.OP_QUANTISE ? QUANTISED_BYTES : PLAIN_BYTES;
    }

    /// @notice Elements of a full leaf of an operation's output.
    function elementsOf(uint8 op) internal pure returns (uint256) {
        if (op == Machine.OP_QUANTISE) return Machine.TILE_ELEMENTS;
        if (op == Machine.OP_TO_F16) return Machine.F16_LEAF_ELEMENTS;
        if (op == Machine.OP_ATTN_MAX) return Machine.MAXIMA_LEAF_ELEMENTS;
        return Machine.F32_LEAF_ELEMENTS;
    }

    /// @notice Elements of a step's output at a row.
    function width(Programs.Step memory step) internal pure returns (uint256) {
        if (step.op == Machine.OP_NORM_STAT) return 1;
        if (step.op == Machine.OP_ATTN_MIX) return uint256(step.dims[0]) * step.dims[2];
        return step.dims[0];
    }

    /// @notice Bytes of a leaf of 256 weights.
    function weightBytes(uint8 format) internal pure returns (uint256) {
        if (format == Machine.WEIGHT_FORMAT_F32) return 1024;
        if (format == Machine.WEIGHT_FORMAT_F16) return 512;
        if (format == Machine.WEIGHT_FORMAT_Q8_0) return 272;
        if (format == Machine.WEIGHT_FORMAT_Q4_0) return 144;
        return 288;
    }

    /// @notice Whether leaf `leaf` of a step's output has its length, and zeros past its elements.
    function wellShaped(Programs.Step memory step, uint256 leaf, bytes calldata data) internal pure returns (bool) {
        if (data.length != bytesOf(step.op)) return false;
        uint256 each = elementsOf(step.op);
        uint256 left = width(step) - leaf * each;
        if (left >= each) return true;
        if (step.op == Machine.OP_QUANTISE) {
            return zero(data, left / 8, SCALES_BYTES) && zero(data, SCALES_BYTES + left, QUANTISED_BYTES);
        }
        return zero(data, left * (PLAIN_BYTES / each), PLAIN_BYTES);
    }

    /// @notice Whether bytes `from` to `end` of the data, which has that many, are zero.
    function zero(bytes calldata data, uint256 from, uint256 end) internal pure returns (bool) {
        uint256 seen;
        assembly ("memory-safe") {
            for {} lt(from, end) { from := add(from, 32) } {
                let piece := calldataload(add(data.offset, from))
                let left := sub(end, from)
                if lt(left, 32) { piece := shr(sub(256, shl(3, left)), piece) }
                seen := or(seen, piece)
            }
        }
        return seen == 0;
    }

    /// @notice The element at a place of a leaf of a step's output, and whether the place is a scale's: then it is the first of its block.
    function element(Programs.Step memory step, uint256 leaf, uint256 lane)
        internal
        pure
        returns (uint256 element_, bool scale)
    {
        if (step.op == Machine.OP_QUANTISE && lane >= Machine.TILE_ELEMENTS) {
            scale = true;
            lane = (lane - Machine.TILE_ELEMENTS) * Machine.BLOCK_ELEMENTS;
        }
        uint256 each = elementsOf(step.op);
        element_ = leaf * each + lane;
        if (lane >= each || element_ >= width(step)) revert IFaults.BadWitness("lane");
    }

    /// @notice The bits at a place of a leaf: of an f32, an f16, or a byte. In a quantised leaf lanes from 256 on are the scales.
    function read(uint8 op, bytes calldata data, uint256 lane) internal pure returns (uint256) {
        if (op == Machine.OP_TO_F16) return Sums.f16(data, lane);
        if (op != Machine.OP_QUANTISE) return Sums.f32(data, lane);
        if (lane >= Machine.TILE_ELEMENTS) return Sums.f32(data, lane - Machine.TILE_ELEMENTS);
        return uint8(data[SCALES_BYTES + lane]);
    }
}
