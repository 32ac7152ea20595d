// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Positions of nodes
/// @notice `prover/SPEC.md` section 10.2; from the most significant byte:
/// kind u8 | lane u32 | run u8 | height u8 | index u64 | a u32 | b u32 | c u32 | 5 zero bytes.
library Positions {
    function kind(uint256 position) internal pure returns (uint8) {
        return uint8(position >> 248);
    }

    function lane(uint256 position) internal pure returns (uint32) {
        return uint32(position >> 216);
    }

    function run(uint256 position) internal pure returns (uint8) {
        return uint8(position >> 208);
    }

    function height(uint256 position) internal pure returns (uint8) {
        return uint8(position >> 200);
    }

    function index(uint256 position) internal pure returns (uint64) {
        return uint64(position >> 136);
    }

    function a(uint256 position) internal pure returns (uint32) {
        return uint32(position >> 104);
    }

    function b(uint256 position) internal pure returns (uint32) {
        return uint32(position >> 72);
    }

    function c(uint256 position) internal pure returns (uint32) {
        return uint32(position >> 40);
    }

    /// @notice A node of a tree: a claim's (run 0), or a run's tokens, offsets, text or trace.
    function tree(uint8 kind_, uint32 lane_, uint8 run_, uint8 height_, uint64 index_) internal pure returns (uint256) {
        return (uint256(kind_) << 248) | (uint256(lane_) << 216) | (uint256(run_) << 208) | (uint256(height_) << 200)
            | (uint256(index_) << 136);
    }

    /// @notice A node of posted contents.
    function posted(uint8 kind_, uint32 lane_, uint8 run_, uint64 index_, uint32 a_, uint32 b_, uint32 c_)
        internal
        pure
        returns (uint256)
    {
        return tree(kind_, lane_, run_, 0, index_) | (uint256(a_) << 104) | (uint256(b_) << 72) | (uint256(c_) << 40);
    }
}
