// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Reads a field of a block's RLP header
/// @notice A header is an RLP list whose fields are strings; field 13 is the 32-byte mixHash (prevRandao).
library BlockHeader {
    uint256 private constant MIX_HASH_FIELD = 13;

    /// @notice The mixHash, and whether the bytes are one RLP list that has it. Never reads outside of `header`.
    function mixHash(bytes calldata header) internal pure returns (bool ok, bytes32 value) {
        (bool listed, uint256 position, uint256 end) = _list(header);
        if (!listed) return (false, 0);
        for (uint256 field = 0;; ++field) {
            (bool read, uint256 start, uint256 length) = _string(header, position, end);
            if (!read) return (false, 0);
            if (field == MIX_HASH_FIELD) {
                if (length != 32) return (false, 0);
                return (true, bytes32(header[start:start + 32]));
            }
            position = start + length;
        }
    }

    /// @dev Bounds of the contents of the one list that `data` is.
    function _list(bytes calldata data) private pure returns (bool ok, uint256 start, uint256 end) {
        if (data.length == 0) return (false, 0, 0);
        uint256 prefix = uint8(data[0]);
        if (prefix < 0xc0) return (false, 0, 0);
        uint256 length;
        if (prefix < 0xf8) {
            start = 1;
            length = prefix - 0xc0;
        } else {
            uint256 width = prefix - 0xf7;
            if (data.length < 1 + width) return (false, 0, 0);
            start = 1 + width;
            length = _integer(data, 1, width);
        }
        // `length` is below 2^64, so the sum can't wrap.
        return (start + length == data.length, start, data.length);
    }

    /// @dev Where the bytes of the string at `position` lie; lists, and anything that leaves [position, end), are refused.
    function _string(bytes calldata data, uint256 position, uint256 end)
        private
        pure
        returns (bool ok, uint256 start, uint256 length)
    {
        if (position >= end) return (false, 0, 0);
        uint256 prefix = uint8(data[position]);
        if (prefix < 0x80) return (true, position, 1);
        if (prefix < 0xb8) {
            start = position + 1;
            length = prefix - 0x80;
        } else if (prefix < 0xc0) {
            uint256 width = prefix - 0xb7;
            if (end - position < 1 + width) return (false, 0, 0);
            start = position + 1 + width;
            length = _integer(data, position + 1, width);
        } else {
            return (false, 0, 0);
        }
        return (start + length <= end, start, length);
    }

    /// @dev Big-endian integer of at most 8 bytes; the caller checked the bounds.
    function _integer(bytes calldata data, uint256 position, uint256 width) private pure returns (uint256 value) {
        for (uint256 i = 0; i < width; ++i) {
            value = (value << 8) | uint8(data[position + i]);
        }
    }
}
