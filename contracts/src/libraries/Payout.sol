// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Sends the native coin
/// @notice Without copying what the receiver returns: a return bomb costs the receiver's caller nothing.
library Payout {
    function send(address to, uint256 amountWei) internal returns (bool ok) {
        assembly ("memory-safe") {
            ok := call(gas(), to, amountWei, 0, 0, 0, 0)
        }
    }
}
