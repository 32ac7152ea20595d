// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Machine} from "../../libraries/Machine.sol";
import {Binary32} from "../../numeric/Binary32.sol";
import {Sums} from "../../numeric/Sums.sol";

/// @title Leaves of 256 weights
/// @notice `prover/SPEC.md` section 2.
library Weights {
    /// @dev Bytes of eight scales, f16 and f32.
    uint256 private constant HALF_SCALES = 16;
    uint256 private constant SCALES = 32;

    /// @notice The value of weight `i`; any NaN is the canonical one.
    function value(uint8 format, bytes calldata data, uint256 i) internal pure returns (uint256) {
        if (format == Machine.WEIGHT_FORMAT_F32) return Binary32.canonical(Sums.f32(data, i));
        if (format == Machine.WEIGHT_FORMAT_F16) return Binary32.fromHalf(Sums.f16(data, i));
        uint256 block_ = i / Machine.BLOCK_ELEMENTS;
        if (format == Machine.WEIGHT_FORMAT_Q8F) {
            return _product(Sums.f32(data, block_), Sums.i8At(data, SCALES + i));
        }
        uint256 scale = Binary32.fromHalf(Sums.f16(data, block_));
        if (format == Machine.WEIGHT_FORMAT_Q8_0) return _product(scale, Sums.i8At(data, HALF_SCALES + i));
        // Q4_0: byte j holds element j in its low and j + 16 in its high nibble.
        uint256 pair = uint8(data[HALF_SCALES + 16 * block_ + i % 16]);
        uint256 nibble = i % 32 < 16 ? pair & 15 : pair >> 4;
        return _product(scale, int256(nibble) - 8);
    }

    function _product(uint256 scale, int256 q) private pure returns (uint256) {
        return Binary32.mul(scale, Binary32.fromInt(q == -128 ? int256(-127) : q));
    }
}
