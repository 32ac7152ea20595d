// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IInbox} from "../interfaces/IInbox.sol";
import {Machine} from "./Machine.sol";

/// @title Payloads
/// @notice A `generate` payload of `prover/SPEC.md` section 6: byte 1, then segments: `0x00 || u32_be length || bytes` (text) or
/// `0x01 || u32_be id` (control token).
library Payload {
    /// @notice Bytes that a payload of one text segment has besides the text.
    uint256 internal constant TEXT_OVERHEAD = 6;

    /// @notice Bytes of a segment's header: its type, and its text's length or its token.
    uint256 internal constant HEADER_BYTES = 5;

    /// @notice One text segment: `0x01 || 0x00 || u32_be length || bytes`.
    function ofText(string memory text) internal pure returns (bytes memory) {
        // Longer texts than 2^32 bytes don't fit into a transaction.
        return abi.encodePacked(hex"0100", uint32(bytes(text).length), text);
    }

    /// @notice Reverts unless the payload is well-formed, as far as that can be seen without a vocabulary. About 200 gas a segment.
    function check(bytes calldata payload) internal pure {
        uint256 end = payload.length;
        uint8 version = end == 0 ? 0 : uint8(payload[0]);
        if (version != Machine.PAYLOAD_VERSION) revert IInbox.BadPayloadVersion(version, Machine.PAYLOAD_VERSION);
        uint256 offset = 1;
        for (uint256 segments = 0; offset < end; ++segments) {
            if (segments == Machine.MAX_SEGMENTS) revert IInbox.TooManySegments(offset, Machine.MAX_SEGMENTS);
            uint256 header;
            // Past the end of the call's data this reads zeros; what is past the payload's end is not used.
            assembly ("memory-safe") {
                header := shr(216, calldataload(add(payload.offset, offset)))
            }
            uint8 type_ = uint8(header >> 32);
            if (type_ > Machine.PAYLOAD_CONTROL) revert IInbox.BadSegmentType(offset, type_, Machine.PAYLOAD_CONTROL);
            uint256 length = HEADER_BYTES;
            if (length <= end - offset && type_ == Machine.PAYLOAD_TEXT) length += uint32(header);
            if (length > end - offset) revert IInbox.SegmentCutOff(offset, end - offset, length);
            unchecked {
                offset += length;
            }
        }
    }
}
