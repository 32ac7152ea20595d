// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Payloads
/// @notice A `generate` payload of `prover/SPEC.md` section 6: byte 1, then segments.
library Payload {
    /// @notice Bytes that a payload of one text segment has besides the text.
    uint256 internal constant TEXT_OVERHEAD = 6;

    /// @notice One text segment: `0x01 || 0x00 || u32_be length || bytes`.
    function ofText(string memory text) internal pure returns (bytes memory) {
        // Longer texts than 2^32 bytes don't fit into a transaction.
        return abi.encodePacked(hex"0100", uint32(bytes(text).length), text);
    }
}
