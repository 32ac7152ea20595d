// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Machine} from "./Machine.sol";

/// @title Shapes of trees: where something belongs
/// @notice A shape is a word of a node's record (`IChallenges.Record`), from the most significant byte:
///
///   | 11 zero bytes | rowDepth u8 | tail u32 | count u64 | nTokens u32 | nPrompt u32 |
library Shapes {
    function pack(uint256 nPrompt_, uint256 nTokens_, uint256 count_, uint256 tail_, uint256 rowDepth_)
        internal
        pure
        returns (uint256)
    {
        return nPrompt_ | (nTokens_ << 32) | (count_ << 64) | (tail_ << 128) | (rowDepth_ << 160);
    }

    function nPrompt(uint256 shape) internal pure returns (uint256) {
        return uint32(shape);
    }

    function nTokens(uint256 shape) internal pure returns (uint256) {
        return uint32(shape >> 32);
    }

    /// @notice Leaves of a tree (of a row, in a trace), or bytes of posted contents.
    function count(uint256 shape) internal pure returns (uint256) {
        return uint64(shape >> 64);
    }

    function tail(uint256 shape) internal pure returns (uint256) {
        return uint32(shape >> 128);
    }

    function rowDepth(uint256 shape) internal pure returns (uint256) {
        return uint8(shape >> 160);
    }

    /// @notice Rows of the trace of a run.
    function rows(uint256 nPrompt_, uint256 nTokens_) internal pure returns (uint256) {
        unchecked {
            return nTokens_ > nPrompt_ ? nTokens_ - 1 : 0;
        }
    }

    /// @notice Leaves of row `row` of a trace.
    function leavesAt(uint256 shape, uint256 row) internal pure returns (uint256) {
        unchecked {
            return row + 1 >= nPrompt(shape) ? count(shape) : count(shape) - tail(shape);
        }
    }

    /// @notice How many levels a node's opening goes down; 0: its contents are its leaves' bytes.
    function levels(uint256 kind, uint256 height) internal pure returns (uint256) {
        uint256 contents = kind == Machine.NODE_CLAIM ? 0 : Machine.CONTENT_LEVELS;
        if (height <= contents) return 0;
        return height - contents < Machine.OPEN_LEVELS ? height - contents : Machine.OPEN_LEVELS;
    }

    /// @notice How many of the `width` nodes of `height` from `first` on hold something that belongs there. They come first, if they are
    /// of one row or rows are lower than they.
    /// @dev Nothing overflows: counts have 64 bits at most, and indices too, moved by less than 128.
    function present(uint256 kind, uint256 shape, uint256 height, uint256 first, uint256 width)
        internal
        pure
        returns (uint256 found)
    {
        unchecked {
            uint256 end;
            if (kind == Machine.NODE_TRACE) {
                uint256 depth = rowDepth(shape);
                uint256 rows_ = rows(nPrompt(shape), nTokens(shape));
                if (height >= depth) {
                    end = _ceil(rows_, height - depth);
                } else {
                    uint256 row = first >> (depth - height);
                    if (row >= rows_) return 0;
                    end = (row << (depth - height)) + _ceil(leavesAt(shape, row), height);
                }
            } else {
                end = _ceil(count(shape), height);
            }
            if (end <= first) return 0;
            found = end - first;
            if (found > width) found = width;
        }
    }

    function _ceil(uint256 n, uint256 bits) private pure returns (uint256) {
        unchecked {
            return (n + (uint256(1) << bits) - 1) >> bits;
        }
    }
}
