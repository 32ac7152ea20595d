// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IModels} from "../interfaces/IModels.sol";
import {Machine} from "./Machine.sol";
import {ProgramTables as T} from "./ProgramTables.sol";

/// @title The rules of attention, whose three operations stand together
/// @notice `prover/SPEC.md` section 3.
library ProgramAttention {
    /// @dev The fields that all three have in common: the first two inputs, the dimensions, c0.
    uint256 private constant COMMON = 0x0000_ffff_ffff_0000_0000_0000_ffffffff_ffffffff_ffffffff_ffffffff_00000000;

    /// @notice Checks one of the three and gives its output's shape. Its dimensions are at least 1.
    function check(T.Tables memory t, uint256 number, uint256 word) internal pure returns (uint256 shape) {
        uint256 op = T.op(word);
        uint256 heads = T.dim(word, 0);
        uint256 kvHeads = T.dim(word, 1);
        uint256 headDim = T.dim(word, 2);
        if (heads % kvHeads != 0) revert IModels.BadProgram(number, "heads, of key/value heads", heads, kvHeads);
        if (headDim > Machine.MAX_HEAD_DIM) {
            revert IModels.BadProgram(number, "size of a head", headDim, Machine.MAX_HEAD_DIM);
        }
        // Key/value heads are not more than heads.
        if (heads * headDim > Machine.MAX_DIMENSION) {
            revert IModels.BadProgram(number, "size of all heads", heads * headDim, Machine.MAX_DIMENSION);
        }
        uint256 first = _together(t, number, word, op);
        T.takes(t, number, word, 0, T.F32 | (heads * headDim));
        _takesCached(t, number, word, 1, T.F16 | (kvHeads * headDim));
        if (op == Machine.OP_ATTN_MAX) return T.MAXIMA | heads;
        if (op == Machine.OP_ATTN_SUM) {
            T.takes(t, number, word, 2, T.MAXIMA | heads);
            if (T.input(word, 2) != first) {
                revert IModels.BadProgram(number, "maximum", T.input(word, 2), first);
            }
            return T.F32 | heads;
        }
        _takesCached(t, number, word, 2, T.F16 | (kvHeads * headDim));
        if (T.constant_(word, 1) != 1) revert IModels.BadProgram(number, "c1", T.constant_(word, 1), 1);
        return T.F32 | (heads * headDim);
    }

    /// @dev The three stand in a row in the body and agree. Gives the first one's number.
    function _together(T.Tables memory t, uint256 number, uint256 word, uint256 op)
        private
        pure
        returns (uint256 first)
    {
        uint256 behind = op - Machine.OP_ATTN_MAX;
        // Nothing of the head is in the body, so the first is at least 1.
        if (number < behind + t.bodyStart || number - behind + 2 >= t.tailStart) {
            revert IModels.BadProgram(number, "attention in the body", number, t.bodyStart + behind);
        }
        first = number - behind;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 other = T.entry(t, first + i);
            if (T.op(other) != Machine.OP_ATTN_MAX + i) {
                revert IModels.BadProgram(first + i, "attention in a row", T.op(other), Machine.OP_ATTN_MAX + i);
            }
            if ((other ^ word) & COMMON != 0) {
                revert IModels.BadProgram(first + i, "attention that agrees", other & COMMON, word & COMMON);
            }
        }
    }

    /// @dev Keys and values are what a cache holds: outputs of to_f16 of the same layer.
    function _takesCached(T.Tables memory t, uint256 number, uint256 word, uint256 slot, uint256 shape) private pure {
        T.takes(t, number, word, slot, shape);
        uint256 named = T.input(word, slot);
        if (!T.inBody(t, named) || T.op(T.entry(t, named)) != Machine.OP_TO_F16) {
            revert IModels.BadProgram(number, "to_f16 entry of the body", named, t.bodyStart);
        }
    }
}
