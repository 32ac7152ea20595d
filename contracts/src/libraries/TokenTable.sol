// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {Machine} from "./Machine.sol";
import {Openings} from "./Openings.sol";
import {Programs} from "./Programs.sol";
import {Sha256Merkle} from "./Sha256Merkle.sol";

/// @title Openings of a tokenizer
/// @notice `prover/SPEC.md` section 7. All functions revert with `IFaults.BadWitness` for what does not lead to the tokenizer's root.
library TokenTable {
    /// @notice The fields of a tokenizer's record.
    struct Tokenizer {
        uint32 kind;
        uint32 flags;
        uint32 bos;
        uint32 vocabulary;
        bytes32 tableRoot;
        bytes32 mergesRoot;
        uint32 mergeCount;
    }

    /// @notice A leaf of the token table with its siblings upwards.
    struct TokenEntry {
        uint8 tokenType;
        uint32 left;
        uint32 right;
        uint32 rank;
        bytes data; // the piece as the model's file has it
        bytes32[] path;
    }

    /// @notice No token, no rank.
    uint32 internal constant NONE = type(uint32).max;

    /// @notice Checks that the fields are those of the record `root`.
    function check(Tokenizer calldata t, bytes32 root) internal pure {
        bytes32 record = sha256(
            abi.encode(
                Machine.TAG_TOKENIZER, t.kind, t.flags, t.bos, t.vocabulary, t.tableRoot, t.mergesRoot, t.mergeCount
            )
        );
        if (record != root) revert IFaults.BadWitness("tokenizer");
    }

    /// @notice Checks that the entry is the one of token `id` in a tokenizer that was checked.
    function open(Tokenizer calldata t, uint256 id, TokenEntry calldata entry) internal view {
        if (id >= t.vocabulary) revert IFaults.BadWitness("token");
        bytes calldata data = entry.data;
        if (data.length > type(uint16).max) revert IFaults.BadWitness("piece length");
        bytes32 digest =
            sha256(abi.encodePacked(entry.tokenType, entry.left, entry.right, entry.rank, uint16(data.length), data));
        if (!Sha256Merkle.verify(t.tableRoot, digest, id, Programs.log2Ceil(t.vocabulary), entry.path)) {
            revert IFaults.BadWitness("token path");
        }
    }

    /// @notice What a token reads as, without the rule of flag 3.
    function reading(TokenEntry calldata entry) internal pure returns (bytes memory text) {
        uint8 type_ = entry.tokenType;
        if (type_ == Machine.TOKEN_BYTE) return abi.encodePacked(byteOf(entry));
        if (type_ != Machine.TOKEN_NORMAL && type_ != Machine.TOKEN_USER_DEFINED) return "";
        bytes calldata data = entry.data;
        text = new bytes(data.length);
        assembly ("memory-safe") {
            let to := add(text, 32)
            let from := data.offset
            let end := add(from, data.length)
            for {} lt(from, end) { to := add(to, 1) } {
                let word := calldataload(from)
                // U+2581; it ends before the piece does.
                if and(eq(shr(232, word), 0xe29681), iszero(gt(add(from, 3), end))) {
                    mstore8(to, 0x20)
                    from := add(from, 3)
                    continue
                }
                mstore8(to, byte(0, word))
                from := add(from, 1)
            }
            mstore(text, sub(to, add(text, 32)))
        }
    }

    /// @notice The byte that a byte token, `<0xNN>`, stands for.
    function byteOf(TokenEntry calldata entry) internal pure returns (uint8) {
        bytes calldata data = entry.data;
        if (data.length != 6 || bytes3(data) != "<0x" || data[5] != ">") revert IFaults.BadWitness("byte token");
        return 16 * _digit(uint8(data[3])) + _digit(uint8(data[4]));
    }

    /// @notice Rank and result of the merge of two tokens, the entry of number `index` of the merge table.
    function merge(Tokenizer calldata t, Openings.Leaf calldata leaf, uint256 index, uint256 left, uint256 right)
        internal
        view
        returns (uint32 rank, uint32 result)
    {
        if (index >= t.mergeCount) revert IFaults.BadWitness("merge");
        uint256 leaves = (uint256(t.mergeCount) + Machine.MERGE_LEAF_ENTRIES - 1) / Machine.MERGE_LEAF_ENTRIES;
        Openings.leaf(leaf, t.mergesRoot, index / Machine.MERGE_LEAF_ENTRIES, Programs.log2Ceil(leaves));
        uint256 start = 16 * (index % Machine.MERGE_LEAF_ENTRIES);
        uint256 word = uint128(bytes16(leaf.data[start:start + 16]));
        if (word >> 96 != left || uint32(word >> 64) != right) revert IFaults.BadWitness("merge of other tokens");
        return (uint32(word >> 32), uint32(word));
    }

    function _digit(uint8 character) private pure returns (uint8) {
        if (character >= 0x30 && character <= 0x39) return character - 0x30;
        if (character >= 0x41 && character <= 0x46) return character - 0x37;
        revert IFaults.BadWitness("byte token");
    }
}
