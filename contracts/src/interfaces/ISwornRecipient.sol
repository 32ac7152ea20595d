// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title What a contract implements to receive answers
interface ISwornRecipient {
    /// @notice One run's result, as proven.
    struct Response {
        uint256 inputId;
        uint32 run; // 0-based
        uint32 nRuns;
        uint8 finish; // 0 length, 1 stop, 2 too_long, 3 scored
        uint32 promptTokens;
        uint32 newTokens;
        bytes32 modelId;
        bytes32 claimId;
        bytes32 textRoot;
        uint64 textLength; // bytes of the whole text
        uint32 chunk; // 0-based
        uint32 nChunks; // 1 unless the text is longer than 131,072 bytes
    }

    /// @notice Called by the vouchers contract, once per chunk, after finality. Check `msg.sender`.
    function onSwornResponse(Response calldata response, bytes calldata text) external;
}
