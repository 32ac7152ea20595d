// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title SHA-256 trees
/// @notice Trees of `prover/SPEC.md` sections 2 and 5: a node is `sha256(left || right)`, leaf counts are padded to a
/// power of two with the empty digest Z0 = 0, and Z(k+1) = sha256(Zk || Zk).
library Sha256Merkle {
    /// @notice The SHA-256 precompile failed: it only does when the gas is gone.
    error HashFailed();

    /// @notice Levels above the leaves of a tree of `count` leaves: log2(ceil_pow2(max(count, 1))).
    function depthOf(uint256 count) internal pure returns (uint256 depth) {
        unchecked {
            while ((1 << depth) < count && depth < 255) ++depth;
        }
    }

    /// @notice Z(level).
    function emptyDigest(uint256 level) internal view returns (bytes32 digest) {
        for (uint256 i = 0; i < level; ++i) {
            digest = hashPair(digest, digest);
        }
    }

    function hashPair(bytes32 left, bytes32 right) internal view returns (bytes32 digest) {
        bool ok;
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            ok := staticcall(gas(), 2, 0x00, 0x40, 0x00, 0x20)
            digest := mload(0x00)
        }
        if (!ok) revert HashFailed();
    }

    /// @notice The root that a leaf or inner node reaches by its siblings, given from below upwards.
    function climb(bytes32 digest, uint256 index, bytes32[] calldata path) internal view returns (bytes32) {
        bool ok = true;
        assembly ("memory-safe") {
            // A node goes to the half of the scratch space that its index says.
            index := shl(5, index)
            let sibling := path.offset
            for { let end := add(sibling, shl(5, path.length)) } lt(sibling, end) { sibling := add(sibling, 32) } {
                let half := and(index, 32)
                mstore(half, digest)
                mstore(xor(half, 32), calldataload(sibling))
                ok := and(ok, staticcall(gas(), 2, 0x00, 64, 0x00, 32))
                digest := mload(0x00)
                index := shr(1, index)
            }
        }
        if (!ok) revert HashFailed();
        return digest;
    }

    /// @notice Whether `digest` stands at `index` of the tree of 2^depth leaves under `root`.
    function verify(bytes32 root, bytes32 digest, uint256 index, uint256 depth, bytes32[] calldata path)
        internal
        view
        returns (bool)
    {
        return path.length == depth && depth < 256 && index >> depth == 0 && climb(digest, index, path) == root;
    }

    /// @notice Root of a text: leaves of 256 bytes, the last filled with zero bytes. An empty text has root Z0.
    function textRoot(bytes calldata text) internal view returns (bytes32) {
        return subtreeRoot(text, depthOf((text.length + 255) >> 8));
    }

    /// @notice Root of the subtree of 2^depth leaves that `text` begins; the caller made sure that it fits.
    /// @dev About 2.7 k gas a KiB. Leaves are hashed from one buffer; the digests' list shrinks in place:
    ///
    ///   | buffer, 256 bytes | d0 | d1 | d2 | ... | room for one Zk when a level has an odd number |
    function subtreeRoot(bytes calldata text, uint256 depth) internal view returns (bytes32 root) {
        bool ok = true;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let nodes := add(buffer, 256)
            let node := nodes
            let from := text.offset
            let rest := text.length
            for {} gt(rest, 255) { rest := sub(rest, 256) } {
                calldatacopy(buffer, from, 256)
                ok := and(ok, staticcall(gas(), 2, buffer, 256, node, 32))
                from := add(from, 256)
                node := add(node, 32)
            }
            if rest {
                calldatacopy(buffer, from, rest)
                // Reading past the end of the call's data gives zeros.
                calldatacopy(add(buffer, rest), calldatasize(), sub(256, rest))
                ok := and(ok, staticcall(gas(), 2, buffer, 256, node, 32))
                node := add(node, 32)
            }

            let count := shr(5, sub(node, nodes))
            // A tree without leaves is the tree whose only leaf is Z0.
            if iszero(count) {
                mstore(nodes, 0)
                count := 1
            }
            let empty := 0
            for { let level := 0 } lt(level, depth) { level := add(level, 1) } {
                if and(count, 1) { mstore(add(nodes, shl(5, count)), empty) }
                count := shr(1, add(count, 1))
                let pair := nodes
                let end := add(nodes, shl(5, count))
                for { node := nodes } lt(node, end) { node := add(node, 32) } {
                    ok := and(ok, staticcall(gas(), 2, pair, 64, node, 32))
                    pair := add(pair, 64)
                }
                mstore(0x00, empty)
                mstore(0x20, empty)
                ok := and(ok, staticcall(gas(), 2, 0x00, 0x40, 0x00, 0x20))
                empty := mload(0x00)
            }
            root := mload(nodes)
        }
        if (!ok) revert HashFailed();
    }
}
