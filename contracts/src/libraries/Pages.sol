// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Bounds of pages
library Pages {
    /// @notice How many of `count` items a page from `from` of at most `limit` holds; any arguments are allowed.
    function length(uint256 count, uint256 from, uint256 limit) internal pure returns (uint256) {
        if (from >= count) return 0;
        uint256 rest = count - from;
        return limit < rest ? limit : rest;
    }
}
