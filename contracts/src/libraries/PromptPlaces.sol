// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {Machine} from "./Machine.sol";
import {Openings} from "./Openings.sol";
import {Payload} from "./Payload.sol";
import {Programs} from "./Programs.sol";

/// @title Places of prompt tokens in a payload
/// @notice `prover/SPEC.md` sections 6, 7, 10.2 and 10.5. A place is `header << 32 | within`. All functions revert with
/// `IFaults.BadWitness` when a byte that they need is not opened.
library PromptPlaces {
    /// @notice Opened leaves of a payload: `leaves[i]` is leaf `indices[i]`.
    struct Leaves {
        uint32[] indices;
        Openings.Leaf[] leaves;
    }

    /// @notice A segment as its header says.
    struct Segment {
        bool isText;
        uint256 number; // bytes of the text, or the control token
    }

    /// @notice A text segment's text with the space put before it.
    struct Text {
        uint256 start; // offset of the text in the payload
        bool space;
        uint256 length; // with the space
    }

    /// @notice Bit of `within`: a space is put before the segment's text.
    uint64 internal constant SPACE = 1 << 31;

    /// @notice The place number `slot` of a list of places.
    function placeAt(bytes calldata places, uint256 slot) internal pure returns (uint64) {
        if (places.length / 8 <= slot) revert IFaults.BadWitness("place");
        return uint64(bytes8(places[8 * slot:8 * slot + 8]));
    }

    function header(uint64 place) internal pure returns (uint256) {
        return place >> 32;
    }

    /// @notice Bytes into the text, with the space put before it.
    function within(uint64 place) internal pure returns (uint256) {
        return place & (SPACE - 1);
    }

    /// @notice Checks that the leaves are those of the payload of `length` bytes under `root`.
    function check(Leaves calldata opened, bytes32 root, uint256 length) internal view {
        uint256 count = (length + Machine.TEXT_LEAF_BYTES - 1) / Machine.TEXT_LEAF_BYTES;
        uint256 depth = Programs.log2Ceil(count);
        if (opened.indices.length != opened.leaves.length) revert IFaults.BadWitness("payload leaves");
        for (uint256 i = 0; i < opened.indices.length; ++i) {
            Openings.Leaf calldata leaf = opened.leaves[i];
            if (opened.indices[i] >= count) revert IFaults.BadWitness("payload leaf index");
            if (leaf.data.length != Machine.TEXT_LEAF_BYTES) revert IFaults.BadWitness("payload leaf length");
            Openings.leaf(leaf, root, opened.indices[i], depth);
        }
    }

    /// @notice The byte of the payload at `offset`; the caller made sure that the payload has it.
    function byteAt(Leaves calldata opened, uint256 offset) internal pure returns (uint8) {
        uint256 leaf = offset / Machine.TEXT_LEAF_BYTES;
        for (uint256 i = 0; i < opened.indices.length; ++i) {
            if (opened.indices[i] == leaf) return uint8(opened.leaves[i].data[offset % Machine.TEXT_LEAF_BYTES]);
        }
        revert IFaults.BadWitness("payload byte");
    }

    /// @notice The segment whose header is at `offset` of a payload of `length` bytes.
    function segmentAt(Leaves calldata opened, uint256 length, uint256 offset)
        internal
        pure
        returns (Segment memory s)
    {
        if (offset == 0 || offset + Payload.HEADER_BYTES > length) {
            revert IFaults.BadWitness("segment");
        }
        uint8 type_ = byteAt(opened, offset);
        if (type_ > Machine.PAYLOAD_CONTROL) revert IFaults.BadWitness("segment type");
        s.isText = type_ == Machine.PAYLOAD_TEXT;
        for (uint256 i = 1; i < Payload.HEADER_BYTES; ++i) {
            s.number = (s.number << 8) | byteAt(opened, offset + i);
        }
    }

    /// @notice Where the next segment's header is, or the payload's end.
    function afterSegment(uint256 offset, Segment memory s) internal pure returns (uint256) {
        return offset + Payload.HEADER_BYTES + (s.isText ? s.number : 0);
    }

    /// @notice The place of the first token of the segments from `offset` on; `afterText`: the segment before is a text.
    function first(Leaves calldata opened, uint256 length, uint256 flags, uint256 offset, bool afterText)
        internal
        pure
        returns (bool found, uint64 place)
    {
        while (offset < length) {
            Segment memory s = segmentAt(opened, length, offset);
            place = uint64(offset << 32);
            if (!s.isText) return (true, place);
            if (s.number > 0) {
                bool space = !afterText && flags & Machine.TOKENIZER_FLAG_SPACE_PREFIX != 0;
                return (true, space ? place | SPACE : place);
            }
            afterText = true;
            offset += Payload.HEADER_BYTES;
        }
        return (false, 0);
    }

    /// @notice The text that a token's place is in.
    function text(Leaves calldata opened, uint256 length, uint64 place) internal pure returns (Text memory t) {
        Segment memory s = segmentAt(opened, length, header(place));
        if (!s.isText) revert IFaults.BadWitness("no text segment");
        t.start = header(place) + Payload.HEADER_BYTES;
        t.space = place & SPACE != 0;
        t.length = t.space ? s.number + 1 : s.number;
        if (t.start + s.number > length) revert IFaults.BadWitness("text segment");
    }

    /// @notice A byte of a text; `i` is below its length.
    function textByte(Leaves calldata opened, Text memory t, uint256 i) internal pure returns (uint8) {
        if (!t.space) return byteAt(opened, t.start + i);
        return i == 0 ? 0x20 : byteAt(opened, t.start + i - 1);
    }

    /// @notice The character that byte `i` of a text belongs to: a well-formed UTF-8 sequence, or a single byte.
    function characterAt(Leaves calldata opened, Text memory t, uint256 i)
        internal
        pure
        returns (uint256 start, uint256 length)
    {
        // A sequence starts at its only byte that does not continue one, so at most 3 bytes before.
        start = i;
        while (start > 0 && i - start < 3 && textByte(opened, t, start) & 0xc0 == 0x80) --start;
        bytes memory sequence = new bytes(t.length - start < 4 ? t.length - start : 4);
        uint256 need = _sequenceLength(textByte(opened, t, start));
        if (sequence.length > need) {
            assembly ("memory-safe") {
                mstore(sequence, need)
            }
        }
        for (uint256 k = 0; k < sequence.length; ++k) {
            sequence[k] = bytes1(textByte(opened, t, start + k));
        }
        length = characterLength(sequence);
        return i - start < length ? (start, length) : (i, 1);
    }

    /// @notice Bytes of the character that some text starts with; 0 for none.
    function characterLength(bytes memory s) internal pure returns (uint256) {
        if (s.length == 0) return 0;
        uint8 lead = uint8(s[0]);
        uint256 length = _sequenceLength(lead);
        if (length == 1 || s.length < length) return 1;
        for (uint256 i = 1; i < length; ++i) {
            if (uint8(s[i]) & 0xc0 != 0x80) return 1;
        }
        uint8 second = uint8(s[1]);
        // No overlong forms, no surrogates, nothing past U+10FFFF.
        if (lead == 0xe0 && second < 0xa0) return 1;
        if (lead == 0xed && second > 0x9f) return 1;
        if (lead == 0xf0 && second < 0x90) return 1;
        if (lead == 0xf4 && second > 0x8f) return 1;
        return length;
    }

    function _sequenceLength(uint8 lead) private pure returns (uint256) {
        if (lead < 0xc2 || lead > 0xf4) return 1;
        if (lead < 0xe0) return 2;
        return lead < 0xf0 ? 3 : 4;
    }
}
