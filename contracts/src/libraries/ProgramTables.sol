// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IModels} from "../interfaces/IModels.sol";
import {Machine} from "./Machine.sol";
import {ProgramHeader} from "./ProgramHeader.sol";

/// @title The tables of a program that is being checked
/// @notice Entries, the shapes of the values known so far, and the shapes that entries gave to weights (`prover/SPEC.md` section 3).
library ProgramTables {
    /// @dev A value's shape is `kind << 32 | elements`, a weight's `1 << 80 | format << 64 | rows << 32 | cols`; 0 is unknown.
    struct Tables {
        uint256 start; // of the entries in the call's data
        uint256 bodyStart; // number of the first entry of the body
        uint256 tailStart;
        uint256 count; // of all entries
        ProgramHeader.Header header;
        uint256[] values; // by entry
        uint256[] weights; // by number in the entries
    }

    uint256 internal constant F32 = 1 << 32;
    uint256 internal constant F16 = 2 << 32;
    uint256 internal constant QUANTISED = 3 << 32;
    uint256 internal constant MAXIMA = 4 << 32;

    function load(bytes calldata program) internal pure returns (Tables memory t) {
        ProgramHeader.Header memory header = ProgramHeader.parse(program);
        t.header = header;
        uint256 start;
        assembly ("memory-safe") {
            start := add(program.offset, 96)
        }
        t.start = start;
        t.bodyStart = header.entries[0];
        t.tailStart = t.bodyStart + header.entries[1];
        t.count = t.tailStart + header.entries[2];
        t.values = new uint256[](t.count);
        t.weights = new uint256[](header.weights[0] + header.weights[1] + header.weights[2]);
    }

    /// @notice Entry `number`; it exists.
    function entry(Tables memory t, uint256 number) internal pure returns (uint256 word) {
        uint256 place = t.start + number * Machine.ENTRY_BYTES;
        assembly ("memory-safe") {
            word := calldataload(place)
        }
    }

    function op(uint256 word) internal pure returns (uint256) {
        return word >> 248;
    }

    function input(uint256 word, uint256 slot) internal pure returns (uint256) {
        return uint16(word >> (224 - 16 * slot));
    }

    function dim(uint256 word, uint256 slot) internal pure returns (uint256) {
        return uint32(word >> (128 - 32 * slot));
    }

    function constant_(uint256 word, uint256 slot) internal pure returns (uint256) {
        return uint32(word >> (32 - 32 * slot));
    }

    function inBody(Tables memory t, uint256 number) internal pure returns (bool) {
        return number >= t.bodyStart && number < t.tailStart;
    }

    /// @notice Checks that an input of entry `number` is within its reach and has the shape that it takes.
    function takes(Tables memory t, uint256 number, uint256 word, uint256 slot, uint256 shape) internal pure {
        uint256 named = input(word, slot);
        uint256 found;
        if (named == Machine.INPUT_CARRY && number >= t.bodyStart) {
            // That the body keeps the shape of its carry is checked when all shapes are known.
            found = t.values[t.bodyStart - 1];
        } else {
            if (named >= number || (number >= t.tailStart && inBody(t, named))) {
                revert IModels.BadProgram(number, "input within reach", named, number);
            }
            found = t.values[named];
        }
        if (found != shape) revert IModels.BadProgram(number, "shape of an input", found, shape);
    }

    /// @notice Notes the shape that entry `number` gives its weight; all uses of a weight agree.
    function uses(Tables memory t, uint256 number, uint256 word, uint256 format, uint256 rows, uint256 cols)
        internal
        pure
    {
        uint256 named = uint16(word >> 176);
        uint256 end = t.header.weights[0];
        if (named >= end && number >= t.bodyStart) {
            uint256 start = end;
            end += t.header.weights[1];
            if (number >= t.tailStart) {
                start = end;
                end += t.header.weights[2];
            }
            if (named < start) revert IModels.BadProgram(number, "weight within reach", named, start);
        }
        if (named >= end) revert IModels.BadProgram(number, "weight within reach", named, end);

        uint256 shape = (1 << 80) | (format << 64) | (rows << 32) | cols;
        uint256 known = t.weights[named];
        if (known != 0 && known != shape) revert IModels.BadProgram(number, "shape of a weight", shape, known);
        t.weights[named] = shape;
    }
}
