// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Programs for tests
/// @notice A small llama: 64 wide, 4 heads of 16 over 2 key/value heads, 4 layers, tied int8 matrices.
library Programs {
    struct Fields {
        uint32 magic;
        uint32 context;
        uint32 vocabulary;
        uint16 head;
        uint16 body;
        uint16 tail;
        uint16 layers;
        uint16[3] weights;
        uint16 stops;
        uint32 zero;
        uint32[16] stopTokens;
        Entry[] entries;
    }

    struct Entry {
        uint8 op;
        uint8 format;
        uint16[3] inputs;
        uint16[2] weights;
        uint32[3] dims;
        uint32[2] constants;
    }

    uint16 internal constant CARRY = 0xfffe;
    uint16 internal constant NONE = 0xffff;
    uint8 private constant Q8_0 = 2;
    uint16 private constant ROPE_TABLE = 1;

    function fields() internal pure returns (Fields memory) {
        return withAdds(0);
    }

    /// @dev The body ends with as many additions of the carry to itself more.
    function withAdds(uint16 adds) internal pure returns (Fields memory made) {
        made.magic = 0x53575031;
        made.context = 256;
        made.vocabulary = 512;
        (made.head, made.body, made.tail) = (1, 25 + adds, 4);
        made.layers = 4;
        made.weights = [uint16(2), 9, 1];
        made.stops = 2;
        for (uint256 i = 0; i < 16; ++i) {
            made.stopTokens[i] = 0xffffffff;
        }
        (made.stopTokens[0], made.stopTokens[1]) = (1, 2);

        made.entries = new Entry[](30 + adds);
        Entry[] memory e = made.entries;
        e[0] = _entry(1, [NONE, NONE, NONE], 0, [uint32(64), 0, 0]);
        e[0].format = Q8_0;
        _attention(e);
        _feedForward(e);
        for (uint16 i = 0; i < adds; ++i) {
            e[26 + i] = _entry(11, [CARRY, CARRY, NONE], NONE, [uint32(64), 0, 0]);
        }
        uint16 tail = 26 + adds;
        _normalise(e, tail, CARRY, 11);
        e[tail + 3] = _matmul(tail + 2, 0, 512, 64);
    }

    function encode(Fields memory made) internal pure returns (bytes memory data) {
        data = abi.encodePacked(made.magic, made.context, made.vocabulary, made.head, made.body, made.tail);
        data = abi.encodePacked(data, made.layers, made.weights[0], made.weights[1], made.weights[2]);
        data = abi.encodePacked(data, made.stops, made.zero);
        for (uint256 i = 0; i < 16; ++i) {
            data = abi.encodePacked(data, made.stopTokens[i]);
        }
        bytes memory entries = new bytes(32 * made.entries.length);
        for (uint256 i = 0; i < made.entries.length; ++i) {
            bytes32 word = pack(made.entries[i]);
            assembly ("memory-safe") {
                mstore(add(add(entries, 32), mul(i, 32)), word)
            }
        }
        return bytes.concat(data, entries);
    }

    function pack(Entry memory entry) internal pure returns (bytes32) {
        uint256 word = (uint256(entry.op) << 248) | (uint256(entry.format) << 240);
        for (uint256 i = 0; i < 3; ++i) {
            word |= uint256(entry.inputs[i]) << (224 - 16 * i);
            word |= uint256(entry.dims[i]) << (128 - 32 * i);
        }
        for (uint256 i = 0; i < 2; ++i) {
            word |= uint256(entry.weights[i]) << (176 - 16 * i);
            word |= uint256(entry.constants[i]) << (32 - 32 * i);
        }
        return bytes32(word);
    }

    function small() internal pure returns (bytes memory) {
        return encode(fields());
    }

    /// @dev Entries 1 to 16: from the carry to the sum with the attention's output.
    function _attention(Entry[] memory e) private pure {
        _normalise(e, 1, CARRY, 2);
        e[4] = _matmul(3, 3, 64, 64);
        e[5] = _matmul(3, 4, 32, 64);
        e[6] = _matmul(3, 5, 32, 64);
        e[7] = _entry(6, [4, NONE, NONE], ROPE_TABLE, [uint32(64), 16, 16]);
        e[8] = _entry(6, [5, NONE, NONE], ROPE_TABLE, [uint32(32), 16, 16]);
        e[9] = _entry(7, [8, NONE, NONE], NONE, [uint32(32), 0, 0]);
        e[10] = _entry(7, [6, NONE, NONE], NONE, [uint32(32), 0, 0]);
        e[11] = _entry(8, [uint16(7), 9, NONE], NONE, [uint32(4), 2, 16]);
        e[12] = _entry(9, [uint16(7), 9, 11], NONE, [uint32(4), 2, 16]);
        e[13] = _entry(10, [uint16(7), 9, 10], NONE, [uint32(4), 2, 16]);
        for (uint256 i = 11; i < 14; ++i) {
            e[i].constants[0] = 0x3e800000; // 1 / sqrt(16)
        }
        e[13].constants[1] = 1;
        e[14] = _entry(4, [13, NONE, NONE], NONE, [uint32(64), 0, 0]);
        e[15] = _matmul(14, 6, 64, 64);
        e[16] = _entry(11, [CARRY, 15, NONE], NONE, [uint32(64), 0, 0]);
    }

    /// @dev Entries 17 to 25.
    function _feedForward(Entry[] memory e) private pure {
        _normalise(e, 17, 16, 7);
        e[20] = _matmul(19, 8, 96, 64);
        e[21] = _matmul(19, 9, 96, 64);
        e[22] = _entry(12, [20, 21, NONE], NONE, [uint32(96), 0, 0]);
        e[23] = _entry(4, [22, NONE, NONE], NONE, [uint32(96), 0, 0]);
        e[24] = _matmul(23, 10, 64, 96);
        e[25] = _entry(11, [16, 24, NONE], NONE, [uint32(64), 0, 0]);
    }

    /// @dev norm_stat, norm_apply, quantise as entries n, n + 1, n + 2.
    function _normalise(Entry[] memory e, uint16 n, uint16 x, uint16 weight) private pure {
        e[n] = _entry(2, [x, NONE, NONE], NONE, [uint32(64), 0, 0]);
        e[n].constants[0] = 0x3727c5ac; // 1e-5
        e[n + 1] = _entry(3, [x, n, NONE], weight, [uint32(64), 0, 0]);
        e[n + 2] = _entry(4, [n + 1, NONE, NONE], NONE, [uint32(64), 0, 0]);
    }

    function _matmul(uint16 x, uint16 weight, uint32 rows, uint32 cols) private pure returns (Entry memory made) {
        made = _entry(5, [x, NONE, NONE], weight, [rows, cols, 0]);
        made.format = Q8_0;
    }

    function _entry(uint8 op, uint16[3] memory inputs, uint16 weight, uint32[3] memory dims)
        private
        pure
        returns (Entry memory made)
    {
        made.op = op;
        made.inputs = inputs;
        made.weights = [weight, NONE];
        made.dims = dims;
    }
}
