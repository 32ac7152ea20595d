// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Bytes kept as contract code
/// @notice The code is `0x00 || data`: it starts with STOP, so it can't run. Cheaper to read than storage, and fixed.
library CodeStore {
    /// @notice The most bytes that fit: the chain's limit on code, less the leading byte.
    uint256 internal constant MAX_BYTES = 24_575;

    error CreationFailed(uint256 length);

    /// @notice Creates the contract.
    function write(bytes memory data) internal returns (address store) {
        if (data.length > MAX_BYTES) revert CreationFailed(data.length);
        // PUSH2 size, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN: returns what follows these ten bytes.
        bytes memory creation = abi.encodePacked(hex"61", uint16(data.length + 1), hex"80600a5f395ff3", hex"00", data);
        assembly ("memory-safe") {
            store := create(0, add(creation, 32), mload(creation))
        }
        if (store == address(0)) revert CreationFailed(data.length);
    }

    /// @notice Bytes kept.
    function size(address store) internal view returns (uint256) {
        uint256 length = store.code.length;
        return length == 0 ? 0 : length - 1;
    }

    /// @notice The first `length` bytes kept; the caller made sure that there are as many.
    function read(address store, uint256 length) internal view returns (bytes memory data) {
        data = new bytes(length);
        assembly ("memory-safe") {
            extcodecopy(store, add(data, 32), 1, length)
        }
    }
}
