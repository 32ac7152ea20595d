// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Openings} from "../../libraries/Openings.sol";
import {LeafRange} from "../steps/LeafRange.sol";

/// @title Adjacent leaves opened with one path
/// @notice The path has, from the leaves upwards, the left sibling of the span's first node where that has an odd index, then the right sibling of
/// its last node where that has an even one. For one leaf it is the leaf's path. All leaves have 256 bytes.
library Spans {
    uint256 internal constant LEAF_BYTES = 256;

    /// @notice Checks that the `count` leaves of `opened.data` stand from index `first` on in the tree of 2^depth leaves under `root`.
    function check(Openings.Leaf calldata opened, bytes32 root, uint256 first, uint256 count, uint256 depth)
        internal
        view
    {
        LeafRange.check(opened, root, first, count, depth, LEAF_BYTES);
    }

    /// @notice The same beside leaf `otherIndex`, whose path is checked: where a sibling on that path is over the whole span, the span's path ends there.
    function checkBeside(
        Openings.Leaf calldata opened,
        bytes32 root,
        uint256 first,
        uint256 count,
        uint256 depth,
        bytes32[] calldata otherPath,
        uint256 otherIndex
    ) internal view {
        uint256 differing = first ^ otherIndex;
        if (count != 0 && differing != 0 && differing >> depth == 0) {
            uint256 height;
            assembly ("memory-safe") {
                height := sub(255, clz(differing))
            }
            if ((first + count - 1) >> height == first >> height) {
                (root, depth) = (otherPath[height], height);
                first &= (uint256(1) << height) - 1;
            }
        }
        LeafRange.check(opened, root, first, count, depth, LEAF_BYTES);
    }
}
