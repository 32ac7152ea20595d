// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../../interfaces/IFaults.sol";
import {Openings} from "../../libraries/Openings.sol";
import {Sha256Merkle} from "../../libraries/Sha256Merkle.sol";

/// @title Several leaves in a row under one path
/// @notice The path has, level by level from below, the left sibling of the first node if that is a right child, then the right sibling of the last node if that
/// is a left child. For one leaf it is the leaf's path.
library LeafRange {
    /// @notice Checks that `opened.data` is the `count` leaves of `leafBytes` bytes from index `first` of the tree of 2^depth leaves under `root`.
    function check(
        Openings.Leaf calldata opened,
        bytes32 root,
        uint256 first,
        uint256 count,
        uint256 depth,
        uint256 leafBytes
    ) internal view {
        bytes calldata data = opened.data;
        bytes32[] calldata path = opened.path;
        if (count == 0 || data.length != count * leafBytes) revert IFaults.BadWitness("leaf length");
        if (depth > 128 || first + count > (1 << depth)) revert IFaults.BadWitness("leaf index");
        bool ok = true;
        bytes32 found;
        uint256 used;
        assembly ("memory-safe") {
            // room for a left sibling | nodes | room for a right one | a leaf
            let start := add(mload(0x40), 32)
            let leaf := add(start, shl(5, add(count, 1)))
            let from := data.offset
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                calldatacopy(leaf, from, leafBytes)
                ok := and(ok, staticcall(gas(), 2, leaf, leafBytes, add(start, shl(5, i)), 32))
                from := add(from, leafBytes)
            }
            let sibling := path.offset
            let level := 0
            for {} and(lt(level, depth), gt(count, 1)) { level := add(level, 1) } {
                let pair := start
                if and(first, 1) {
                    pair := sub(start, 32)
                    mstore(pair, calldataload(sibling))
                    sibling := add(sibling, 32)
                    count := add(count, 1)
                }
                if and(count, 1) {
                    mstore(add(pair, shl(5, count)), calldataload(sibling))
                    sibling := add(sibling, 32)
                    count := add(count, 1)
                }
                first := shr(1, first)
                count := shr(1, count)
                let end := add(start, shl(5, count))
                for { let node := start } lt(node, end) { node := add(node, 32) } {
                    ok := and(ok, staticcall(gas(), 2, pair, 64, node, 32))
                    pair := add(pair, 64)
                }
            }
            found := mload(start)
            used := shr(5, sub(sibling, path.offset))
            depth := sub(depth, level)
        }
        if (!ok) revert Sha256Merkle.HashFailed();
        // One node is left, with one sibling a level.
        if (used > path.length) revert IFaults.BadWitness("leaf path");
        climb(found, path[used:], root, first, depth);
    }

    /// @notice Checks that a digest stands at `index` of the tree of 2^depth leaves under `root`.
    function climb(bytes32 digest, bytes32[] calldata path, bytes32 root, uint256 index, uint256 depth) internal view {
        if (path.length != depth || index >> depth != 0) revert IFaults.BadWitness("path length");
        bool ok = true;
        assembly ("memory-safe") {
            // A node goes to the half of the scratch space that its index says.
            index := shl(5, index)
            let sibling := path.offset
            for { let end := add(sibling, shl(5, depth)) } lt(sibling, end) { sibling := add(sibling, 32) } {
                let half := and(index, 32)
                mstore(half, digest)
                mstore(xor(half, 32), calldataload(sibling))
                ok := and(ok, staticcall(gas(), 2, 0x00, 64, 0x00, 32))
                digest := mload(0x00)
                index := shr(1, index)
            }
        }
        if (!ok) revert Sha256Merkle.HashFailed();
        if (digest != root) revert IFaults.BadWitness("path");
    }
}
