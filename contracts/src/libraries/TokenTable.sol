// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {Machine} from "./Machine.sol";
import {Openings} from "./Openings.sol";
import {Programs} from "./Programs.sol";
import {Sha256Merkle} from "./Sha256Merkle.sol";

/// @title Tokens and merges of a committed tokenizer
/// @notice `prover/SPEC.md` sections 6 and 7. What does not open under the tokenizer root reverts with `IFaults.BadWitness`.
library TokenTable {
    /// @notice The fields of the tokenizer record, in its order.
    struct Tokenizer {
        uint32 kind;
        uint32 flags;
        uint32 bos;
        uint32 vocabulary;
        bytes32 tableRoot;
        bytes32 mergesRoot;
        uint32 mergeCount;
    }

    /// @notice A token's table leaf with its path under the table root.
    struct Entry {
        uint8 kind; // Machine.TOKEN_*
        uint32 left;
        uint32 right;
        uint32 rank;
        bytes piece; // as the model's file has it
        bytes32[] path;
    }

    /// @notice An entry of the merge table.
    struct Merge {
        uint32 left;
        uint32 right;
        uint32 rank;
        uint32 result;
    }

    uint256 private constant MERGE_BYTES = 16;

    /// @notice Checks the fields against the model's tokenizer root.
    function check(Tokenizer calldata tokenizer, bytes32 tokenizerRoot) internal pure {
        if (sha256(abi.encode(Machine.TAG_TOKENIZER, tokenizer)) != tokenizerRoot) {
            revert IFaults.BadWitness("tokenizer");
        }
    }

    /// @notice Checks that the entry is the one of `token`.
    function check(Tokenizer calldata tokenizer, Entry calldata entry, uint256 token) internal view {
        if (token >= tokenizer.vocabulary) revert IFaults.BadWitness("token");
        // A longer piece has no leaf: its length would not fit.
        if (entry.piece.length > type(uint16).max) revert IFaults.BadWitness("piece");
        bytes32 digest = sha256(
            abi.encodePacked(entry.kind, entry.left, entry.right, entry.rank, uint16(entry.piece.length), entry.piece)
        );
        uint256 depth = Programs.log2Ceil(tokenizer.vocabulary);
        if (!Sha256Merkle.verify(tokenizer.tableRoot, digest, token, depth, entry.path)) {
            revert IFaults.BadWitness("token path");
        }
    }

    /// @notice Merge `index` of the table, from its opened leaf.
    function merge(Tokenizer calldata tokenizer, Openings.Leaf calldata leaf, uint256 index)
        internal
        view
        returns (Merge memory entry)
    {
        if (index >= tokenizer.mergeCount) revert IFaults.BadWitness("merge");
        uint256 leaves = (uint256(tokenizer.mergeCount) + Machine.MERGE_LEAF_ENTRIES - 1) / Machine.MERGE_LEAF_ENTRIES;
        if (leaf.data.length != MERGE_BYTES * Machine.MERGE_LEAF_ENTRIES) revert IFaults.BadWitness("merge leaf");
        uint256 leafIndex = index / Machine.MERGE_LEAF_ENTRIES;
        Openings.leaf(leaf, tokenizer.mergesRoot, leafIndex, Programs.log2Ceil(leaves));
        uint256 offset = (index % Machine.MERGE_LEAF_ENTRIES) * MERGE_BYTES;
        uint256 word = uint256(bytes32(leaf.data[offset:offset + MERGE_BYTES]));
        entry.left = uint32(word >> 224);
        entry.right = uint32(word >> 192);
        entry.rank = uint32(word >> 160);
        entry.result = uint32(word >> 128);
    }

    /// @notice What the token adds to a text, without the rule of flag 3: U+2581 is a space; a byte token is its byte; control, unknown and
    /// unused tokens add nothing.
    function text(Entry calldata entry) internal pure returns (bytes memory out) {
        if (entry.kind == Machine.TOKEN_BYTE) return abi.encodePacked(byteOf(entry));
        if (entry.kind != Machine.TOKEN_NORMAL && entry.kind != Machine.TOKEN_USER_DEFINED) return out;
        bytes calldata piece = entry.piece;
        out = new bytes(piece.length);
        assembly ("memory-safe") {
            let to := add(out, 32)
            let from := piece.offset
            let end := add(from, piece.length)
            let ones := 0x0101010101010101010101010101010101010101010101010101010101010101
            for {} lt(from, end) {} {
                let word := calldataload(from)
                // 32 bytes of which none is 0xe2: their exclusive or with it has no zero byte.
                let zero := xor(word, mul(0xe2, ones))
                zero := and(and(sub(zero, ones), not(zero)), mul(0x80, ones))
                if iszero(or(zero, gt(add(from, 32), end))) {
                    mstore(to, word)
                    to := add(to, 32)
                    from := add(from, 32)
                    continue
                }
                // No character's bytes begin with another's: E2 96 81 is U+2581 wherever it stands.
                switch and(eq(shr(232, word), 0xe29681), lt(add(from, 2), end))
                case 1 {
                    mstore8(to, 0x20)
                    from := add(from, 3)
                }
                default {
                    mstore8(to, byte(0, word))
                    from := add(from, 1)
                }
                to := add(to, 1)
            }
            mstore(out, sub(sub(to, out), 32))
        }
    }

    /// @notice As `text`, with the rule of flag 3: the piece after BOS loses one space at its start.
    function textAfter(Tokenizer calldata tokenizer, uint256 previous, Entry calldata entry)
        internal
        pure
        returns (bytes memory out)
    {
        out = text(entry);
        if (tokenizer.flags & Machine.TOKENIZER_FLAG_STRIP_AFTER_BOS == 0 || previous != tokenizer.bos) return out;
        if (out.length == 0 || out[0] != " ") return out;
        assembly ("memory-safe") {
            let length := sub(mload(out), 1)
            out := add(out, 1)
            mstore(out, length)
        }
    }

    /// @notice The byte of a byte token, whose piece is `<0xNN>` with upper-case digits.
    function byteOf(Entry calldata entry) internal pure returns (bytes1) {
        bytes calldata piece = entry.piece;
        if (entry.kind != Machine.TOKEN_BYTE || piece.length != 6) revert IFaults.BadWitness("byte token");
        if (bytes3(piece[0:3]) != "<0x" || piece[5] != ">") revert IFaults.BadWitness("byte token");
        return bytes1((_digit(uint8(piece[3])) << 4) | _digit(uint8(piece[4])));
    }

    function _digit(uint8 character) private pure returns (uint8) {
        if (character >= 0x30 && character <= 0x39) return character - 0x30;
        if (character >= 0x41 && character <= 0x46) return character - 0x37;
        revert IFaults.BadWitness("byte token");
    }
}
