// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Programs for tests
library Programs {
    struct Fields {
        uint32 magic;
        uint32 context;
        uint32 vocabulary;
        uint16 head;
        uint16 body;
        uint16 tail;
        uint16 stops;
        uint32 zero;
        uint32[16] stopTokens;
    }

    function fields() internal pure returns (Fields memory made) {
        made.magic = 0x53575031;
        made.context = 256;
        made.vocabulary = 512;
        (made.head, made.body, made.tail) = (1, 14, 3);
        made.stops = 2;
        for (uint256 i = 0; i < 16; ++i) {
            made.stopTokens[i] = 0xffffffff;
        }
        (made.stopTokens[0], made.stopTokens[1]) = (1, 2);
    }

    function encode(Fields memory made) internal pure returns (bytes memory data) {
        data = abi.encodePacked(made.magic, made.context, made.vocabulary, made.head, made.body, made.tail, uint16(4));
        data = abi.encodePacked(data, uint16(1), uint16(9), uint16(2), made.stops, made.zero);
        for (uint256 i = 0; i < 16; ++i) {
            data = abi.encodePacked(data, made.stopTokens[i]);
        }
        uint256 entries = uint256(made.head) + made.body + made.tail;
        data = abi.encodePacked(data, new bytes(32 * entries));
        for (uint256 i = 96; i < data.length; i += 7) {
            data[i] = bytes1(uint8(i));
        }
    }

    function small() internal pure returns (bytes memory) {
        return encode(fields());
    }
}
