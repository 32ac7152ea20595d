// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Whole trees, for tests
/// @notice All digests of a tree by height and index, made from its leaves' digests as `prover/SPEC.md` section 2 says.
library Forest {
    function grow(bytes32[] memory leaves) internal pure returns (bytes32[][] memory levels) {
        uint256 depth = 0;
        while (1 << depth < leaves.length) ++depth;
        levels = new bytes32[][](depth + 1);
        levels[0] = new bytes32[](1 << depth);
        for (uint256 i = 0; i < leaves.length; ++i) {
            levels[0][i] = leaves[i];
        }
        for (uint256 height = 1; height <= depth; ++height) {
            levels[height] = new bytes32[](1 << (depth - height));
            for (uint256 i = 0; i < levels[height].length; ++i) {
                levels[height][i] = sha256(bytes.concat(levels[height - 1][2 * i], levels[height - 1][2 * i + 1]));
            }
        }
    }

    function root(bytes32[][] memory levels) internal pure returns (bytes32) {
        return levels[levels.length - 1][0];
    }

    /// @notice The siblings of a node on its way up by so many levels.
    function path(bytes32[][] memory levels, uint256 height, uint256 index, uint256 up)
        internal
        pure
        returns (bytes32[] memory siblings)
    {
        siblings = new bytes32[](up);
        for (uint256 i = 0; i < up; ++i) {
            siblings[i] = levels[height + i][(index >> i) ^ 1];
        }
    }
}
