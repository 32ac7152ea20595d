// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Machine} from "./Machine.sol";
import {Programs} from "./Programs.sol";

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
    /// @dev As few openings as possible, all about as deep.
    function levels(uint256 kind, uint256 height) internal pure returns (uint256) {
        unchecked {
            uint256 contents = kind == Machine.NODE_CLAIM ? 0 : Machine.CONTENT_LEVELS;
            if (height <= contents) return 0;
            uint256 rest = height - contents;
            uint256 openings = (rest + Machine.OPEN_LEVELS - 1) / Machine.OPEN_LEVELS;
            return (rest + openings - 1) / openings;
        }
    }

    /// @notice How many levels below the root of a trace of that depth the digests are that come with a job of `runs` runs.
    function levelsInJob(uint256 runs, uint256 depth) internal pure returns (uint256) {
        unchecked {
            uint256 rest = depth > Machine.CONTENT_LEVELS ? depth - Machine.CONTENT_LEVELS : 0;
            // Jobs of many runs have less room.
            uint256 most = Machine.OPEN_LEVELS - Programs.log2Ceil(runs) - (runs > 8 ? 1 : 0);
            return rest < most ? rest : most;
        }
    }

    /// @notice The shape of a run's trace, from what its job's record says of all.
    function ofTrace(uint256 shape, uint256 nPrompt_, uint256 nTokens_) internal pure returns (uint256) {
        return (shape & ~uint256(type(uint64).max)) | nPrompt_ | (nTokens_ << 32);
    }

    /// @notice Levels of a run's trace; it has a row.
    function traceDepth(uint256 shape) internal pure returns (uint256) {
        return rowDepth(shape) + Programs.log2Ceil(rows(nPrompt(shape), nTokens(shape)));
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
                    end = ceil(rows_, height - depth);
                } else {
                    uint256 row = first >> (depth - height);
                    if (row >= rows_) return 0;
                    end = (row << (depth - height)) + ceil(leavesAt(shape, row), height);
                }
            } else {
                end = ceil(count(shape), height);
            }
            if (end <= first) return 0;
            found = end - first;
            if (found > width) found = width;
        }
    }

    /// @notice How many nodes of that height hold something, in a whole trace.
    function presentInTrace(uint256 shape, uint256 height) internal pure returns (uint256 found) {
        unchecked {
            uint256 rows_ = rows(nPrompt(shape), nTokens(shape));
            uint256 depth = rowDepth(shape);
            if (height >= depth) return ceil(rows_, height - depth);
            uint256 early = nPrompt(shape) == 0 ? 0 : nPrompt(shape) - 1;
            if (early > rows_) early = rows_;
            return early * ceil(count(shape) - tail(shape), height) + (rows_ - early) * ceil(count(shape), height);
        }
    }

    /// @notice Nodes over `n` leaves, `bits` levels above them.
    function ceil(uint256 n, uint256 bits) internal pure returns (uint256) {
        unchecked {
            return (n + (uint256(1) << bits) - 1) >> bits;
        }
    }
}
