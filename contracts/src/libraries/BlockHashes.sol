// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Hashes of past blocks
/// @notice BLOCKHASH reaches 256 blocks back; the history contract of EIP-2935, where a chain has one, 8191.
library BlockHashes {
    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    uint256 internal constant REACH = 256;
    uint256 internal constant HISTORY_REACH = 8191;

    /// @notice The hash of a block, or 0 when it is out of reach.
    /// @dev What stands at the history address is asked only inside its reach and after it gave the right answer for the
    /// parent block, so one that is missing or dead reads as out of reach. One that lies on purpose could pass off a header
    /// of its own: only a chain that puts it there can do that, and such a chain makes its block hashes anyway.
    function hashOf(uint256 blockNumber) internal view returns (bytes32 hash) {
        if (blockNumber >= block.number) return 0;
        hash = blockhash(blockNumber);
        if (hash != 0) return hash;
        if (block.number - blockNumber > HISTORY_REACH) return 0;
        bytes32 parent = blockhash(block.number - 1);
        if (parent == 0 || _ask(block.number - 1) != parent) return 0;
        return _ask(blockNumber);
    }

    /// @dev The history contract's answer, or 0 when there is none. It can't return more than the one word read, and it
    /// gets little gas: the real one needs about 2,300.
    function _ask(uint256 blockNumber) private view returns (bytes32 answer) {
        address history = HISTORY;
        assembly ("memory-safe") {
            mstore(0x00, blockNumber)
            let ok := staticcall(50000, history, 0x00, 0x20, 0x00, 0x20)
            if and(ok, eq(returndatasize(), 0x20)) { answer := mload(0x00) }
        }
    }
}
