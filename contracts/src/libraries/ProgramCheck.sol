// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IModels} from "../interfaces/IModels.sol";
import {Machine} from "./Machine.sol";
import {ProgramAttention} from "./ProgramAttention.sol";
import {ProgramHeader} from "./ProgramHeader.sol";
import {ProgramIndex} from "./ProgramIndex.sol";
import {ProgramTables as T} from "./ProgramTables.sol";

/// @title The rules of a valid program
/// @notice `prover/SPEC.md` section 3, "Validity": accepts what the Rust checker accepts (`inference/src/program/check.rs`), byte for byte.
library ProgramCheck {
    /// @dev Fields in use, by operation from the lowest 16 bits: inputs, weights, dimensions, constants, a hexadecimal digit each.
    uint256 private constant USED = 0x2010_2010_3032_3031_2031_1010_1130_1120_1010_2110_1011_0110_0000;

    /// @notice Checks a whole program; gives the index to keep behind it. Reverts with `IModels.BadProgram`.
    function check(bytes calldata program) internal pure returns (bytes memory index) {
        T.Tables memory t = T.load(program);
        for (uint256 number = 0; number < t.count; ++number) {
            t.values[number] = _entry(t, number);
        }
        _ends(t);
        for (uint256 i = 0; i < t.weights.length; ++i) {
            if (t.weights[i] == 0) revert IModels.BadProgram(ProgramHeader.NO_ENTRY, "weight that nothing uses", i, 0);
        }
        uint256 leaves;
        (index, leaves) = ProgramIndex.make(program, t.header.entries, t.header.layers);
        if (leaves > type(uint32).max) {
            revert IModels.BadProgram(ProgramHeader.NO_ENTRY, "leaves of a row", leaves, type(uint32).max);
        }
    }

    /// @dev The carry keeps its shape, and the last entry gives the logits.
    function _ends(T.Tables memory t) private pure {
        uint256 carry = t.values[t.bodyStart - 1];
        if (carry >> 32 != T.F32 >> 32) {
            revert IModels.BadProgram(t.bodyStart - 1, "f32 output of the head", carry, T.F32 | uint32(carry));
        }
        uint256 last = t.tailStart - 1;
        if (t.values[last] != carry) revert IModels.BadProgram(last, "output of the body", t.values[last], carry);
        last = t.count - 1;
        uint256 logits = T.F32 | t.header.vocabulary;
        if (t.values[last] != logits) revert IModels.BadProgram(last, "output of the tail", t.values[last], logits);
    }

    /// @dev Checks an entry and gives the shape of its output.
    function _entry(T.Tables memory t, uint256 number) private pure returns (uint256) {
        uint256 word = T.entry(t, number);
        uint256 op = T.op(word);
        if (op < Machine.OP_EMBED || op > Machine.OP_SILU_MUL) {
            revert IModels.BadProgram(number, "operation", op, Machine.OP_SILU_MUL);
        }
        _unused(number, word, uint16(USED >> (16 * op)));
        uint256 d0 = T.dim(word, 0);
        if (op == Machine.OP_MATMUL) return _matmul(t, number, word);
        if (op == Machine.OP_EMBED) {
            T.uses(t, number, word, uint8(word >> 240), t.header.vocabulary, d0);
            return T.F32 | d0;
        }
        if (op == Machine.OP_ROPE) return _rope(t, number, word);
        if (op >= Machine.OP_ATTN_MAX && op <= Machine.OP_ATTN_MIX) return ProgramAttention.check(t, number, word);
        T.takes(t, number, word, 0, T.F32 | d0);
        if (op == Machine.OP_NORM_STAT) return T.F32 | 1;
        if (op == Machine.OP_TO_F16) return T.F16 | d0;
        if (op == Machine.OP_QUANTISE) {
            _blocks(number, d0);
            return T.QUANTISED | d0;
        }
        if (op == Machine.OP_NORM_APPLY) {
            T.takes(t, number, word, 1, T.F32 | 1);
            T.uses(t, number, word, Machine.WEIGHT_FORMAT_F32, 1, d0);
        } else {
            // add, silu_mul
            T.takes(t, number, word, 1, T.F32 | d0);
        }
        return T.F32 | d0;
    }

    /// @dev Fields that the operation does not use have their one unused value, dimensions in use are within their bounds.
    function _unused(uint256 number, uint256 word, uint256 used) private pure {
        uint256 fields = used >> 12;
        for (uint256 i = fields; i < 3; ++i) {
            _is(number, "unused input", T.input(word, i), Machine.INPUT_UNUSED);
        }
        fields = (used >> 8) & 15;
        for (uint256 i = fields; i < 2; ++i) {
            _is(number, "unused weight", uint16(word >> (176 - 16 * i)), Machine.INPUT_UNUSED);
        }
        fields = (used >> 4) & 15;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 dim = T.dim(word, i);
            if (i >= fields) {
                _is(number, "unused dimension", dim, 0);
            } else if (dim == 0) {
                revert IModels.BadProgram(number, "dimension", 0, 1);
            } else if (dim > Machine.MAX_DIMENSION) {
                revert IModels.BadProgram(number, "dimension", dim, Machine.MAX_DIMENSION);
            }
        }
        fields = used & 15;
        for (uint256 i = fields; i < 2; ++i) {
            _is(number, "unused constant", T.constant_(word, i), 0);
        }
        uint256 format = uint8(word >> 240);
        uint256 op = T.op(word);
        if (op != Machine.OP_EMBED && op != Machine.OP_MATMUL) {
            _is(number, "unused weight format", format, 0);
        } else if (format > Machine.WEIGHT_FORMAT_Q8F) {
            revert IModels.BadProgram(number, "weight format", format, Machine.WEIGHT_FORMAT_Q8F);
        }
    }

    function _matmul(T.Tables memory t, uint256 number, uint256 word) private pure returns (uint256) {
        uint256 format = uint8(word >> 240);
        uint256 inner = T.dim(word, 1);
        if (format == Machine.WEIGHT_FORMAT_F32 || format == Machine.WEIGHT_FORMAT_F16) {
            T.takes(t, number, word, 0, T.F32 | inner);
        } else {
            _blocks(number, inner);
            T.takes(t, number, word, 0, T.QUANTISED | inner);
        }
        uint256 outputs = T.dim(word, 0);
        T.uses(t, number, word, format, outputs, inner);
        return T.F32 | outputs;
    }

    function _rope(T.Tables memory t, uint256 number, uint256 word) private pure returns (uint256) {
        uint256 d0 = T.dim(word, 0);
        uint256 headDim = T.dim(word, 1);
        uint256 rotated = T.dim(word, 2);
        if (d0 % headDim != 0) revert IModels.BadProgram(number, "size of all heads, of a head", d0, headDim);
        if (rotated > headDim) revert IModels.BadProgram(number, "rotated dimensions", rotated, headDim);
        if (rotated % 2 != 0) revert IModels.BadProgram(number, "even rotated dimensions", rotated, rotated - 1);
        T.takes(t, number, word, 0, T.F32 | d0);
        T.uses(t, number, word, Machine.WEIGHT_FORMAT_F32, t.header.context, rotated);
        return T.F32 | d0;
    }

    /// @dev What is quantised has whole blocks.
    function _blocks(uint256 number, uint256 dim) private pure {
        if (dim % Machine.BLOCK_ELEMENTS != 0) {
            revert IModels.BadProgram(number, "multiple of a block", dim, Machine.BLOCK_ELEMENTS);
        }
    }

    /// @dev Literals are passed as words, as a string would be copied for every field.
    function _is(uint256 number, bytes32 what, uint256 found, uint256 expected) private pure {
        if (found == expected) return;
        uint256 length = 0;
        while (length < 32 && what[length] != 0) ++length;
        bytes memory text = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            text[i] = what[i];
        }
        revert IModels.BadProgram(number, string(text), found, expected);
    }
}
