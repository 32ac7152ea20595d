// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Whether a claim may become final, or has fallen
/// @notice The seam for the challenge contracts.
interface IDisputes {
    /// @notice True when nothing that is open can still defeat the claim.
    /// @param windowEnd Seconds; end of the claim's challenge window.
    function mayFinalise(bytes32 claimId, uint64 windowEnd) external view returns (bool);
}
