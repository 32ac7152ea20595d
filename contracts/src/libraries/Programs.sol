// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Machine} from "./Machine.sol";

/// @title Reading registered programs
/// @notice `prover/SPEC.md` sections 3 and 10.1. A program was checked when it was registered, so nothing is checked here.
/// @dev The code is `0x00 || program || index`. The index, made at registration, is one u32 an entry, the number of trace leaves before the entry in
/// its table, then three u32: the leaves of the head, of one layer, of the tail.
library Programs {
    /// @notice A program's counts.
    struct Program {
        address code;
        uint32 context;
        uint32 vocabulary;
        uint32 headEntries;
        uint32 bodyEntries;
        uint32 tailEntries;
        uint32 layers;
        uint32 headWeights;
        uint32 layerWeights;
        uint32 tailWeights;
        uint32 stopCount;
        uint32 headLeaves;
        uint32 bodyLeaves;
        uint32 tailLeaves;
        uint32 rowDepth; // log2 of the leaves of a padded row
        uint32 weightsDepth; // of the tree over the weight tensors' roots
    }

    /// @notice A step of a row: an entry at its layer, with everything resolved.
    struct Step {
        uint8 op;
        uint8 format;
        uint32 layer;
        bool inTail;
        uint32[3] inputs; // step numbers; type(uint32).max where unused
        uint32[2] weights; // global tensor numbers; type(uint32).max where unused
        uint32[3] dims;
        uint32[2] constants;
        uint32 firstLeaf; // in the row
        uint32 leafCount;
    }

    uint32 internal constant NONE = type(uint32).max;

    /// @notice The counts of the program that `code` keeps.
    function load(address code) internal view returns (Program memory p) {
        uint256 word;
        uint256 leaves;
        assembly ("memory-safe") {
            extcodecopy(code, 0x00, 1, 32)
            word := mload(0x00)
            mstore(0x00, 0)
            extcodecopy(code, 0x14, sub(extcodesize(code), 12), 12)
            leaves := mload(0x00)
        }
        p.code = code;
        p.context = uint32(word >> 192);
        p.vocabulary = uint32(word >> 160);
        p.headEntries = uint16(word >> 144);
        p.bodyEntries = uint16(word >> 128);
        p.tailEntries = uint16(word >> 112);
        p.layers = uint16(word >> 96);
        p.headWeights = uint16(word >> 80);
        p.layerWeights = uint16(word >> 64);
        p.tailWeights = uint16(word >> 48);
        p.stopCount = uint16(word >> 32);
        p.headLeaves = uint32(leaves >> 64);
        p.bodyLeaves = uint32(leaves >> 32);
        p.tailLeaves = uint32(leaves);
        unchecked {
            p.rowDepth = log2Ceil(uint256(p.headLeaves) + uint256(p.layers) * p.bodyLeaves + p.tailLeaves);
            p.weightsDepth = log2Ceil(uint256(p.headWeights) + uint256(p.layers) * p.layerWeights + p.tailWeights);
        }
    }

    /// @notice Steps of a row.
    function stepCount(Program memory p) internal pure returns (uint256) {
        unchecked {
            return uint256(p.headEntries) + uint256(p.layers) * p.bodyEntries + p.tailEntries;
        }
    }

    /// @notice Step `s`; the caller made sure that it is below `stepCount`.
    function step(Program memory p, uint256 s) internal view returns (Step memory out) {
        (uint256 entry, uint256 layer, uint256 base) = _locate(p, s);
        uint256 word = _entry(p, entry);
        out.op = uint8(word >> 248);
        out.format = uint8(word >> 240);
        out.layer = uint32(layer);
        unchecked {
            out.inTail = entry >= p.headEntries + p.bodyEntries;
            for (uint256 i = 0; i < 3; ++i) {
                out.inputs[i] = _input(p, layer, s, uint16(word >> (224 - 16 * i)));
                out.dims[i] = uint32(word >> (128 - 32 * i));
            }
            for (uint256 i = 0; i < 2; ++i) {
                out.weights[i] = _weight(p, layer, uint16(word >> (176 - 16 * i)));
                out.constants[i] = uint32(word >> (32 - 32 * i));
            }
            out.firstLeaf = uint32(base + _leavesBefore(p, entry));
        }
        out.leafCount = leavesOf(out.op, out.dims);
    }

    /// @notice Operation and first leaf of step `s`: less work than all of it.
    function place(Program memory p, uint256 s) internal view returns (uint8 op, uint256 firstLeaf) {
        (uint256 entry,, uint256 base) = _locate(p, s);
        op = uint8(_entry(p, entry) >> 248);
        unchecked {
            firstLeaf = base + _leavesBefore(p, entry);
        }
    }

    /// @notice Leaves of an operation's output at one row.
    function leavesOf(uint8 op, uint32[3] memory dims) internal pure returns (uint32) {
        uint256 d0 = dims[0];
        if (op == Machine.OP_NORM_STAT) return 1;
        if (op == Machine.OP_QUANTISE) return uint32((d0 + Machine.TILE_ELEMENTS - 1) / Machine.TILE_ELEMENTS);
        if (op == Machine.OP_TO_F16) return uint32((d0 + Machine.F16_LEAF_ELEMENTS - 1) / Machine.F16_LEAF_ELEMENTS);
        if (op == Machine.OP_ATTN_MAX) {
            return uint32((d0 + Machine.MAXIMA_LEAF_ELEMENTS - 1) / Machine.MAXIMA_LEAF_ELEMENTS);
        }
        if (op == Machine.OP_ATTN_MIX) d0 *= dims[2];
        return uint32((d0 + Machine.F32_LEAF_ELEMENTS - 1) / Machine.F32_LEAF_ELEMENTS);
    }

    /// @notice Whether a token is one of the stop tokens.
    function isStop(Program memory p, uint256 token) internal view returns (bool) {
        address code = p.code;
        for (uint256 i = 0; i < p.stopCount; ++i) {
            uint256 found;
            assembly ("memory-safe") {
                mstore(0x00, 0)
                extcodecopy(code, 0x1c, add(33, shl(2, i)), 4)
                found := mload(0x00)
            }
            if (found == token) return true;
        }
        return false;
    }

    /// @notice The smallest d with 2^d >= n; 0 for n = 0.
    function log2Ceil(uint256 n) internal pure returns (uint32 d) {
        assembly ("memory-safe") {
            if gt(n, 1) { d := sub(256, clz(sub(n, 1))) }
        }
    }

    /// @dev The entry of step `s`, its layer (0 outside the body), and the leaves of the row before the entry's table at that layer.
    function _locate(Program memory p, uint256 s) private pure returns (uint256 entry, uint256 layer, uint256 base) {
        unchecked {
            uint256 head = p.headEntries;
            uint256 body = p.bodyEntries;
            uint256 tailStart = head + uint256(p.layers) * body;
            if (s < head) {
                entry = s;
            } else if (s < tailStart) {
                layer = (s - head) / body;
                entry = head + (s - head) % body;
                base = p.headLeaves + layer * p.bodyLeaves;
            } else {
                entry = head + body + (s - tailStart);
                base = p.headLeaves + uint256(p.layers) * p.bodyLeaves;
            }
        }
    }

    function _entry(Program memory p, uint256 entry) private view returns (uint256 word) {
        address code = p.code;
        uint256 at;
        unchecked {
            at = 1 + Machine.HEADER_BYTES + entry * Machine.ENTRY_BYTES;
        }
        assembly ("memory-safe") {
            extcodecopy(code, 0x00, at, 32)
            word := mload(0x00)
        }
    }

    function _leavesBefore(Program memory p, uint256 entry) private view returns (uint256 leaves) {
        address code = p.code;
        uint256 at;
        unchecked {
            uint256 entries = uint256(p.headEntries) + p.bodyEntries + p.tailEntries;
            at = 1 + Machine.HEADER_BYTES + entries * Machine.ENTRY_BYTES + 4 * entry;
        }
        assembly ("memory-safe") {
            mstore(0x00, 0)
            extcodecopy(code, 0x1c, at, 4)
            leaves := mload(0x00)
        }
    }

    /// @dev The step that an entry's input field names, for the entry of step `s`.
    function _input(Program memory p, uint256 layer, uint256 s, uint256 input) private pure returns (uint32) {
        unchecked {
            if (input == Machine.INPUT_UNUSED) return NONE;
            uint256 bodyStart = p.headEntries;
            uint256 tailStart = bodyStart + uint256(p.layers) * p.bodyEntries;
            if (input == Machine.INPUT_CARRY) {
                return uint32(s < tailStart ? bodyStart + layer * p.bodyEntries - 1 : tailStart - 1);
            }
            if (input < bodyStart) return uint32(input);
            if (input < bodyStart + p.bodyEntries) return uint32(input + layer * p.bodyEntries);
            return uint32(tailStart + input - bodyStart - p.bodyEntries);
        }
    }

    function _weight(Program memory p, uint256 layer, uint256 weight) private pure returns (uint32) {
        unchecked {
            if (weight == Machine.INPUT_UNUSED) return NONE;
            uint256 body = uint256(p.headWeights) + p.layerWeights;
            if (weight < p.headWeights) return uint32(weight);
            if (weight < body) return uint32(weight + layer * p.layerWeights);
            return uint32(weight + uint256(p.layers - 1) * p.layerWeights);
        }
    }
}
