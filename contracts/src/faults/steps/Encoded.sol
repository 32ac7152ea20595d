// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../../interfaces/IFaults.sol";

/// @title Reading a witness where it is
/// @notice A witness is `abi.encode` of one struct. It is not copied: every access of a field is checked to lie within the call's data.
library Encoded {
    /// @notice Where the struct starts in the call's data; `words` are those of its head.
    function start(bytes calldata witness, uint256 words) internal pure returns (uint256 offset) {
        if (witness.length < 32 * (words + 1) || uint256(bytes32(witness[:32])) != 32) {
            revert IFaults.BadWitness("encoding");
        }
        assembly ("memory-safe") {
            offset := add(witness.offset, 32)
        }
    }
}
