// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Machine} from "./Machine.sol";
import {Sha256Merkle} from "./Sha256Merkle.sol";
import {Shapes} from "./Shapes.sol";

/// @title Nodes from the digests below them
/// @notice `prover/SPEC.md` section 10.2: what is absent is left out and taken as Zk.
library Trees {
    /// @notice More or fewer digests or leaves than belong there.
    error WrongCount(uint256 found, uint256 expected);

    /// @dev What is laid out where.
    struct Plan {
        uint256 kind;
        uint256 shape;
        uint256 height; // of the digests
        uint256 first; // index of the next
        uint256 to; // its place in memory
        uint256 empty; // digest of nothing
    }

    /// @notice The digest of node (`height`, `index`) from those present `levels` below it.
    function node(bytes32[] memory given, uint256 kind, uint256 shape, uint256 height, uint256 index, uint256 levels)
        internal
        view
        returns (bytes32)
    {
        uint256 nodes;
        assembly ("memory-safe") {
            nodes := mload(0x40)
            mstore(0x40, add(nodes, shl(levels, 0x20)))
        }
        _layOut(given, Plan(kind, shape, height - levels, index << levels, nodes, 0), height, levels);
        return _fold(nodes, levels);
    }

    /// @dev Writes 2^levels digests: the given ones where something belongs, Zk elsewhere.
    function _layOut(bytes32[] memory given, Plan memory plan, uint256 height, uint256 levels) private view {
        uint256 used = 0;
        uint256 rowDepth = plan.kind == Machine.NODE_TRACE ? Shapes.rowDepth(plan.shape) : 0;
        if (plan.height < rowDepth && rowDepth < height) {
            // Of a trace the nodes inside a row may end before the next row begins.
            used = _rows(given, plan, 1 << (height - rowDepth), 1 << (rowDepth - plan.height));
        } else {
            uint256 width = 1 << levels;
            used =
                _segment(given, 0, plan, width, Shapes.present(plan.kind, plan.shape, plan.height, plan.first, width));
        }
        if (used != given.length) revert WrongCount(given.length, used);
    }

    /// @dev Writes `width` digests for every one of `rows` rows of a trace, from the one of `plan.first` on.
    function _rows(bytes32[] memory given, Plan memory plan, uint256 rows, uint256 width)
        private
        view
        returns (uint256 used)
    {
        unchecked {
            uint256 row = plan.first / width;
            uint256 end = Shapes.rows(Shapes.nPrompt(plan.shape), Shapes.nTokens(plan.shape));
            // Rows before the prompt's last token, and from it on.
            uint256 early = Shapes.nPrompt(plan.shape) == 0 ? 0 : Shapes.nPrompt(plan.shape) - 1;
            uint256 narrow = Shapes.ceil(Shapes.leavesAt(plan.shape, 0), plan.height);
            if (early == 0 || narrow > width) narrow = width;
            uint256 wide = Shapes.ceil(Shapes.count(plan.shape), plan.height);
            if (wide > width) wide = width;
            for (rows += row; row < rows; ++row) {
                used = _segment(given, used, plan, width, row >= end ? 0 : row < early ? narrow : wide);
            }
        }
    }

    /// @dev Writes `width` digests, of which those present come first.
    function _segment(bytes32[] memory given, uint256 used, Plan memory plan, uint256 width, uint256 found)
        private
        view
        returns (uint256)
    {
        if (found > given.length - used) revert WrongCount(given.length, used + found);
        if (found < width && plan.empty == 0) plan.empty = uint256(Sha256Merkle.emptyDigest(plan.height));
        uint256 to = plan.to;
        uint256 empty = plan.empty;
        assembly ("memory-safe") {
            mcopy(to, add(add(given, 0x20), shl(5, used)), shl(5, found))
            let end := add(to, shl(5, width))
            for { to := add(to, shl(5, found)) } lt(to, end) { to := add(to, 0x20) } { mstore(to, empty) }
        }
        plan.to = to;
        unchecked {
            plan.first += width;
            return used + found;
        }
    }

    /// @dev The root over 2^levels digests, in their place.
    function _fold(uint256 nodes, uint256 levels) private view returns (bytes32 root) {
        bool ok = true;
        assembly ("memory-safe") {
            for { let size := shl(levels, 0x20) } gt(size, 0x20) { size := shr(1, size) } {
                let to := nodes
                let end := add(nodes, size)
                for { let from := nodes } lt(from, end) { from := add(from, 0x40) } {
                    ok := and(ok, staticcall(gas(), 2, from, 0x40, to, 0x20))
                    to := add(to, 0x20)
                }
            }
            root := mload(nodes)
        }
        if (!ok) revert Sha256Merkle.HashFailed();
    }
}
