// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Machine} from "./Machine.sol";

/// @title The header of a program
/// @notice `prover/SPEC.md` section 3. Only the header is checked here; the entries are not yet.
library ProgramHeader {
    uint256 private constant NO_TOKEN = 0xffffffff;

    struct Header {
        uint32 context;
        uint32 vocabulary;
        uint256[3] entries; // of the head, body and tail
        uint256 layers;
        uint256[3] weights; // tensors of the head, of one layer, of the tail
    }

    /// @notice The header's fields, and whether the bytes can be a program: magic, sizes, counts against the length, and
    /// stop tokens that rise inside the vocabulary.
    function parse(bytes calldata program) internal pure returns (bool ok, Header memory header) {
        if (program.length < Machine.HEADER_BYTES) return (false, header);
        uint256 word = uint256(bytes32(program[0:32]));
        if (word >> 224 != Machine.PROGRAM_MAGIC) return (false, header);
        header.context = uint32(word >> 192);
        header.vocabulary = uint32(word >> 160);
        if (header.context == 0 || header.vocabulary == 0) return (false, header);

        header.entries = [uint256(uint16(word >> 144)), uint16(word >> 128), uint16(word >> 112)];
        header.layers = uint16(word >> 96);
        header.weights = [uint256(uint16(word >> 80)), uint16(word >> 64), uint16(word >> 48)];
        uint256 entries = header.entries[0] + header.entries[1] + header.entries[2];
        if (entries == 0 || program.length != Machine.HEADER_BYTES + entries * Machine.ENTRY_BYTES) {
            return (false, header);
        }
        uint256 stops = uint16(word >> 32);
        if (stops > Machine.MAX_STOP_TOKENS || uint32(word) != 0) return (false, header);

        uint256 least = 0;
        for (uint256 i = 0; i < Machine.MAX_STOP_TOKENS; ++i) {
            uint256 token = uint32(bytes4(program[32 + 4 * i:36 + 4 * i]));
            if (i < stops) {
                if (token < least || token >= header.vocabulary) return (false, header);
                least = token + 1;
            } else if (token != NO_TOKEN) {
                return (false, header);
            }
        }
        return (true, header);
    }
}
