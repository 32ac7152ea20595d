// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../../interfaces/IFaults.sol";
import {Openings} from "../../libraries/Openings.sol";

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
        bytes calldata data = opened.data;
        if (count == 0 || data.length != count * LEAF_BYTES) revert IFaults.BadWitness("span length");
        bytes32[] calldata path = opened.path;
        bool good;
        assembly ("memory-safe") {
            // One word is kept free before the nodes, for a left sibling; the buffer of leaves is behind them.
            let base := mload(0x40)
            let nodes := add(base, 32)
            let buffer := add(nodes, shl(5, add(count, 1)))
            good := 1
            calldatacopy(buffer, data.offset, data.length)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                good := and(good, staticcall(gas(), 2, add(buffer, shl(8, i)), 256, add(nodes, shl(5, i)), 32))
            }
            let sibling := path.offset
            let end := add(sibling, shl(5, path.length))
            for {} depth { depth := sub(depth, 1) } {
                let from := nodes
                if and(first, 1) {
                    good := and(good, lt(sibling, end))
                    from := base
                    mstore(from, calldataload(sibling))
                    sibling := add(sibling, 32)
                    count := add(count, 1)
                }
                if and(count, 1) {
                    good := and(good, lt(sibling, end))
                    mstore(add(from, shl(5, count)), calldataload(sibling))
                    sibling := add(sibling, 32)
                    count := add(count, 1)
                }
                count := shr(1, count)
                first := shr(1, first)
                // A pair's digest lands where the pair was or before it.
                for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                    good := and(good, staticcall(gas(), 2, add(from, shl(6, i)), 64, add(nodes, shl(5, i)), 32))
                }
            }
            good := and(good, eq(sibling, end))
            good := and(good, and(eq(count, 1), iszero(first)))
            good := and(good, eq(mload(nodes), root))
        }
        if (!good) revert IFaults.BadWitness("span path");
    }
}
