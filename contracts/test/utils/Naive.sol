// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Naive twins
/// @notice The definitions of `prover/SPEC.md`, written for reading and compared with the contracts' libraries.
library Naive {
    function ceilPow2(uint256 count) internal pure returns (uint256 power) {
        power = 1;
        while (power < count) power *= 2;
    }

    /// @notice The leaves of a text: sha256 of 256 bytes each, the last filled with zero bytes.
    function textLeaves(bytes memory text) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[]((text.length + 255) / 256);
        bytes memory leaf = new bytes(256);
        for (uint256 i = 0; i < leaves.length; ++i) {
            uint256 length = text.length - 256 * i < 256 ? text.length - 256 * i : 256;
            assembly ("memory-safe") {
                mcopy(add(leaf, 32), add(add(text, 32), mul(i, 256)), length)
            }
            for (uint256 j = length; j < 256; ++j) {
                leaf[j] = 0;
            }
            leaves[i] = sha256(leaf);
        }
    }

    function textRoot(bytes memory text) internal pure returns (bytes32) {
        return root(textLeaves(text));
    }

    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        return subtree(leaves, 0, ceilPow2(leaves.length));
    }

    /// @notice The subtree over leaves [from, from + width); absent leaves are zero.
    function subtree(bytes32[] memory leaves, uint256 from, uint256 width) internal pure returns (bytes32) {
        if (width == 1) return from < leaves.length ? leaves[from] : bytes32(0);
        bytes32 left = subtree(leaves, from, width / 2);
        bytes32 right = subtree(leaves, from + width / 2, width / 2);
        return sha256(abi.encodePacked(left, right));
    }

    /// @notice Siblings of the subtree of `width` leaves number `index`, from below upwards.
    function path(bytes32[] memory leaves, uint256 index, uint256 width) internal pure returns (bytes32[] memory) {
        uint256 total = ceilPow2(leaves.length);
        uint256 depth = 0;
        for (uint256 size = width; size < total; size *= 2) {
            ++depth;
        }
        bytes32[] memory siblings = new bytes32[](depth);
        for (uint256 i = 0; i < depth; ++i) {
            siblings[i] = subtree(leaves, (index ^ 1) * width, width);
            index /= 2;
            width *= 2;
        }
        return siblings;
    }

    /// @notice Whether places are a ranking: sorted, they start at 1 and rise by 0 or 1.
    function isRanking(uint8[] memory places) internal pure returns (bool) {
        uint8[] memory sorted = new uint8[](places.length);
        for (uint256 i = 0; i < places.length; ++i) {
            uint256 j = i;
            while (j > 0 && sorted[j - 1] > places[i]) {
                sorted[j] = sorted[j - 1];
                --j;
            }
            sorted[j] = places[i];
        }
        for (uint256 i = 0; i < sorted.length; ++i) {
            uint256 before = i == 0 ? 0 : sorted[i - 1];
            if (sorted[i] != before + 1 && (i == 0 || sorted[i] != before)) return false;
        }
        return true;
    }

    // RLP, as much as headers need.

    function rlpString(bytes memory data) internal pure returns (bytes memory) {
        if (data.length == 1 && uint8(data[0]) < 0x80) return data;
        return abi.encodePacked(rlpPrefix(data.length, 0x80), data);
    }

    function rlpList(bytes memory items) internal pure returns (bytes memory) {
        return abi.encodePacked(rlpPrefix(items.length, 0xc0), items);
    }

    function rlpPrefix(uint256 length, uint8 base) internal pure returns (bytes memory) {
        if (length < 56) return abi.encodePacked(uint8(base + length));
        bytes memory digits;
        for (uint256 rest = length; rest > 0; rest >>= 8) {
            digits = abi.encodePacked(uint8(rest), digits);
        }
        return abi.encodePacked(uint8(base + 55 + digits.length), digits);
    }

    function rlpInteger(uint256 value) internal pure returns (bytes memory) {
        bytes memory digits;
        for (uint256 rest = value; rest > 0; rest >>= 8) {
            digits = abi.encodePacked(uint8(rest), digits);
        }
        return rlpString(digits);
    }

    /// @notice A header as today's chains have it (21 fields), with other contents drawn from `seed`.
    function header(bytes32 mixHash, uint256 number, uint256 seed) internal pure returns (bytes memory) {
        bytes memory first = bytes.concat(
            rlpString(bytes.concat(keccak256(abi.encode(seed, "parent")))),
            rlpString(bytes.concat(keccak256(abi.encode(seed, "ommers")))),
            rlpString(abi.encodePacked(address(uint160(uint256(keccak256(abi.encode(seed, "coinbase"))))))),
            rlpString(bytes.concat(keccak256(abi.encode(seed, "state")))),
            rlpString(bytes.concat(keccak256(abi.encode(seed, "transactions")))),
            rlpString(bytes.concat(keccak256(abi.encode(seed, "receipts")))),
            rlpString(new bytes(256)),
            rlpInteger(0),
            rlpInteger(number)
        );
        bytes memory second = bytes.concat(
            rlpInteger(uint64(seed >> 1)),
            rlpInteger(uint64(seed >> 65)),
            rlpInteger(uint64(seed >> 129)),
            rlpString(new bytes(seed % 33)),
            rlpString(bytes.concat(mixHash)),
            rlpString(new bytes(8)),
            rlpInteger(uint64(seed >> 193)),
            rlpString(bytes.concat(keccak256(abi.encode(seed, "withdrawals"))))
        );
        bytes memory third = bytes.concat(
            rlpInteger(0),
            rlpInteger(seed % 1000),
            rlpString(bytes.concat(keccak256(abi.encode(seed, "beacon")))),
            rlpString(bytes.concat(keccak256(abi.encode(seed, "requests"))))
        );
        return rlpList(bytes.concat(first, second, third));
    }
}
