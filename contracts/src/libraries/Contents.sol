// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {Machine} from "./Machine.sol";
import {Openings} from "./Openings.sol";
import {Positions} from "./Positions.sol";
import {Programs} from "./Programs.sol";
import {Sha256Merkle} from "./Sha256Merkle.sol";

/// @title Digests of posted contents
/// @notice `prover/SPEC.md` section 10.2: contents are a head and parts of one size, of which the last may be shorter, and have the digest
/// `sha256(head || root of the tree over the parts)`. So a proof carries the head and the parts that it reads. Contents of other kinds are hashed whole.
library Contents {
    uint256 internal constant TOTALS_PART = 4 * Machine.PART_SUMS;
    uint256 internal constant GROUP_PART = 6 * Machine.PART_SUMS;
    uint256 internal constant SELECTION_HEAD = 12;
    uint256 internal constant SELECTION_GROUP = 6 * Machine.COMPONENT_COUNT;
    uint256 internal constant SELECTION_PART = SELECTION_GROUP * Machine.PART_GROUPS;
    uint256 internal constant PROMPT_PART = 8 * Machine.PART_PLACES;
    /// @notice The end of contents of which only the head is read.
    uint256 internal constant ROOT_BYTES = 32;

    /// @notice The digest of contents whose length was checked against the position.
    function digest(uint256 position, bytes calldata contents) internal view returns (bytes32) {
        uint256 kind = Positions.kind(position);
        uint256 head = 0;
        uint256 each = TOTALS_PART;
        if (kind == Machine.NODE_TILE) {
            uint256 addends = tileAddends(Positions.index(position), Positions.c(position));
            head = tileHead(addends);
            each = (contents.length - head) / addends * Machine.RUN_ADDENDS;
        } else if (kind == Machine.NODE_SELECTION) {
            (head, each) = (SELECTION_HEAD, SELECTION_PART);
        } else if (kind == Machine.NODE_GROUP) {
            each = GROUP_PART;
        } else if (kind == Machine.NODE_PROMPT) {
            each = PROMPT_PART;
        } else if (kind != Machine.NODE_TOTALS) {
            return sha256(contents);
        }
        return whole(contents, head, each);
    }

    /// @notice Addends of a tile of a row, which reaches up to the row's position; the caller made sure that the tile begins before it.
    function tileAddends(uint256 row, uint256 tile) internal pure returns (uint256 addends) {
        addends = row + 1 - tile * Machine.TILE_ELEMENTS;
        if (addends > Machine.TILE_ELEMENTS) addends = Machine.TILE_ELEMENTS;
    }

    /// @notice Bytes of a tile's running sums.
    function tileHead(uint256 addends) internal pure returns (uint256) {
        return 4 * ((addends + Machine.RUN_ADDENDS - 1) / Machine.RUN_ADDENDS);
    }

    /// @notice The digest of contents with a head of `head` bytes and parts of `each`; they have at least that head.
    function whole(bytes calldata contents, uint256 head, uint256 each) internal view returns (bytes32 found) {
        bool ok = true;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let bytes_ := each
            if lt(bytes_, add(head, 32)) { bytes_ := add(head, 32) }
            let nodes := add(buffer, bytes_)
            let next := nodes
            mstore(nodes, 0)
            let end := add(contents.offset, contents.length)
            for { let from := add(contents.offset, head) } lt(from, end) { from := add(from, each) } {
                let size := sub(end, from)
                if gt(size, each) { size := each }
                calldatacopy(buffer, from, size)
                ok := and(ok, staticcall(gas(), 2, buffer, size, next, 32))
                next := add(next, 32)
            }
            let count := shr(5, sub(next, nodes))
            let empty := 0
            for {} gt(count, 1) {} {
                if and(count, 1) {
                    mstore(add(nodes, shl(5, count)), empty)
                    count := add(count, 1)
                }
                count := shr(1, count)
                for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                    ok := and(ok, staticcall(gas(), 2, add(nodes, shl(6, i)), 64, add(nodes, shl(5, i)), 32))
                }
                // Zk of the next level.
                mstore(0x00, empty)
                mstore(0x20, empty)
                ok := and(ok, staticcall(gas(), 2, 0x00, 64, 0x00, 32))
                empty := mload(0x00)
            }
            calldatacopy(buffer, contents.offset, head)
            mstore(add(buffer, head), mload(nodes))
            ok := and(ok, staticcall(gas(), 2, buffer, add(head, 32), 0x00, 32))
            found := mload(0x00)
        }
        if (!ok) revert Sha256Merkle.HashFailed();
    }

    /// @notice Checks whole contents against their node's value.
    function check(bytes calldata contents, bytes32 value, uint256 length, uint256 head, uint256 each) internal view {
        if (contents.length != length) revert IFaults.BadWitness("contents length");
        if (whole(contents, head, each) != value) revert IFaults.BadWitness("contents");
    }

    /// @notice Checks a head that is followed by the root of the tree over the parts.
    function checkHead(bytes calldata headAndRoot, bytes32 value, uint256 head) internal pure {
        if (headAndRoot.length != head + ROOT_BYTES) revert IFaults.BadWitness("contents length");
        if (sha256(headAndRoot) != value) revert IFaults.BadWitness("contents");
    }

    /// @notice Checks part `index` of contents of `length` bytes: `opened` is the head with the part, and the part's path.
    function checkPart(
        Openings.Leaf calldata opened,
        bytes32 value,
        uint256 length,
        uint256 head,
        uint256 each,
        uint256 index
    ) internal view {
        uint256 size = length - head;
        if (opened.path.length != Programs.log2Ceil((size + each - 1) / each)) {
            revert IFaults.BadWitness("contents path");
        }
        if (index * each >= size) revert IFaults.BadWitness("part");
        size -= index * each;
        if (size > each) size = each;
        if (opened.data.length != head + size) revert IFaults.BadWitness("contents length");
        bytes32 root = Sha256Merkle.climb(sha256(opened.data[head:]), index, opened.path);
        if (sha256(bytes.concat(opened.data[:head], root)) != value) revert IFaults.BadWitness("contents");
    }
}
