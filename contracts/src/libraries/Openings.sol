// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {Positions} from "./Positions.sol";
import {Programs} from "./Programs.sol";
import {Sha256Merkle} from "./Sha256Merkle.sol";

/// @title Openings of leaves
/// @notice `prover/SPEC.md` sections 2 and 10.1. All functions revert with `IFaults.BadWitness` when a path does not lead to its root.
library Openings {
    /// @notice A leaf's bytes with the siblings from it upwards, to the root that the function's name states.
    struct Leaf {
        bytes data;
        bytes32[] path;
    }

    /// @notice The root of a trace's row, with its siblings up to the trace root.
    struct Row {
        bytes32 root;
        bytes32[] path;
    }

    /// @notice The root of row `t` of a trace of `rows` rows.
    function row(Row calldata opened, bytes32 traceRoot, uint256 t, uint256 rows) internal view returns (bytes32) {
        if (t >= rows) revert IFaults.BadWitness("row");
        if (!Sha256Merkle.verify(traceRoot, opened.root, t, Programs.log2Ceil(rows), opened.path)) {
            revert IFaults.BadWitness("row path");
        }
        return opened.root;
    }

    /// @notice Checks that a leaf stands at `index` of the tree of 2^depth leaves under `root`.
    function leaf(Leaf calldata opened, bytes32 root, uint256 index, uint256 depth) internal view {
        if (!Sha256Merkle.verify(root, sha256(opened.data), index, depth, opened.path)) {
            revert IFaults.BadWitness("leaf path");
        }
    }

    /// @notice Checks a leaf of a weight tensor of `rows` rows of `tiles` tiles; the path goes on from the tensor's root to `weightsRoot`.
    function weight(
        Leaf calldata opened,
        bytes32 weightsRoot,
        uint256 weightsDepth,
        uint256 tensor,
        uint256 rows,
        uint256 tiles,
        uint256 row_,
        uint256 tile
    ) internal view {
        if (row_ >= rows || tile >= tiles) revert IFaults.BadWitness("weight index");
        uint256 tileDepth = Programs.log2Ceil(tiles);
        uint256 depth = tileDepth + Programs.log2Ceil(rows);
        leaf(opened, weightsRoot, (tensor << depth) | (row_ << tileDepth) | tile, depth + weightsDepth);
    }

    /// @notice Checks that a leaf is the one of index `index` of the tree that a revealed node is of: the path leads to the node.
    function inNode(Leaf calldata opened, IFaults.Node calldata node, uint256 index) internal view {
        uint256 height = Positions.height(node.position);
        if (index >> height != Positions.index(node.position)) revert IFaults.BadWitness("leaf outside the node");
        bytes32 digest = sha256(opened.data);
        // Below a node of height h the path has h digests and the index's low bits say the sides.
        if (opened.path.length != height || Sha256Merkle.climb(digest, index, opened.path) != node.value) {
            revert IFaults.BadWitness("node path");
        }
    }
}
