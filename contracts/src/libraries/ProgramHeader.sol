// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IModels} from "../interfaces/IModels.sol";
import {Machine} from "./Machine.sol";

/// @title The header of a program
/// @notice `prover/SPEC.md` section 3.
library ProgramHeader {
    struct Header {
        uint32 context;
        uint32 vocabulary;
        uint256[3] entries; // of the head, body and tail
        uint256 layers;
        uint256[3] weights; // tensors of the head, of one layer, of the tail
    }

    /// @dev The entry that an error about no entry names.
    uint256 internal constant NO_ENTRY = type(uint256).max;

    /// @notice The header's fields. Reverts with `IModels.BadProgram` for a header that is not valid, or counts that are not the length's.
    function parse(bytes calldata program) internal pure returns (Header memory header) {
        if (program.length < Machine.HEADER_BYTES) revert IModels.BadProgram(NO_ENTRY, "length", program.length, 96);
        uint256 word = uint256(bytes32(program[0:32]));
        if (word >> 224 != Machine.PROGRAM_MAGIC) {
            revert IModels.BadProgram(NO_ENTRY, "magic", word >> 224, Machine.PROGRAM_MAGIC);
        }
        if (uint32(word) != 0) revert IModels.BadProgram(NO_ENTRY, "header bytes 28 to 31", uint32(word), 0);
        header.context = uint32(word >> 192);
        header.vocabulary = uint32(word >> 160);
        header.layers = uint16(word >> 96);
        _range("context", header.context, Machine.MAX_CONTEXT);
        _range("vocabulary size", header.vocabulary, Machine.MAX_DIMENSION);
        _range("layers", header.layers, Machine.MAX_LAYERS);
        uint256 length = Machine.HEADER_BYTES;
        for (uint256 i = 0; i < 3; ++i) {
            header.entries[i] = uint16(word >> (144 - 16 * i));
            header.weights[i] = uint16(word >> (80 - 16 * i));
            _range("entries of a table", header.entries[i], Machine.MAX_TABLE_ENTRIES);
            if (header.weights[i] > Machine.MAX_TABLE_WEIGHTS) {
                revert IModels.BadProgram(NO_ENTRY, "weights of a table", header.weights[i], Machine.MAX_TABLE_WEIGHTS);
            }
            length += header.entries[i] * Machine.ENTRY_BYTES;
        }
        if (program.length != length) revert IModels.BadProgram(NO_ENTRY, "length", program.length, length);
        _stopTokens(program, uint16(word >> 32), header.vocabulary);
    }

    /// @dev They rise and are below the vocabulary size; unused places hold no token.
    function _stopTokens(bytes calldata program, uint256 stops, uint256 vocabulary) private pure {
        if (stops > Machine.MAX_STOP_TOKENS) {
            revert IModels.BadProgram(NO_ENTRY, "number of stop tokens", stops, Machine.MAX_STOP_TOKENS);
        }
        uint256 least = 0;
        for (uint256 i = 0; i < Machine.MAX_STOP_TOKENS; ++i) {
            uint256 token = uint32(bytes4(program[32 + 4 * i:36 + 4 * i]));
            if (i >= stops) {
                if (token != Machine.NO_STOP_TOKEN) {
                    revert IModels.BadProgram(NO_ENTRY, "unused stop token", token, Machine.NO_STOP_TOKEN);
                }
                continue;
            }
            if (token < least) revert IModels.BadProgram(NO_ENTRY, "stop tokens rise", token, least);
            if (token >= vocabulary) revert IModels.BadProgram(NO_ENTRY, "stop token", token, vocabulary - 1);
            least = token + 1;
        }
    }

    function _range(string memory what, uint256 found, uint256 most) private pure {
        if (found == 0) revert IModels.BadProgram(NO_ENTRY, what, 0, 1);
        if (found > most) revert IModels.BadProgram(NO_ENTRY, what, found, most);
    }
}
