// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../../interfaces/IFaults.sol";
import {Machine} from "../../libraries/Machine.sol";
import {Openings} from "../../libraries/Openings.sol";
import {Programs} from "../../libraries/Programs.sol";
import {Binary32} from "../../numeric/Binary32.sol";
import {Functions} from "../../numeric/Functions.sol";
import {Sums} from "../../numeric/Sums.sol";
import {LeafRange} from "./LeafRange.sol";
import {Sites} from "./Sites.sol";
import {Weights} from "./Weights.sol";

/// @title Elements that depend on few others
/// @notice Operations 1, 3, 4, 6, 7, 11 and 12 of `prover/SPEC.md` section 3.
library Elements {
    using Sites for Sites.Site;

    /// @notice The bits of the element `element` of the site's row, from leaves that are checked here; of a block's scale when `scale` is set.
    function recompute(
        Sites.Site memory s,
        uint256 element,
        bool scale,
        Openings.Row calldata row,
        Openings.Leaf[] calldata inputs,
        Openings.Leaf[] calldata weights
    ) internal view returns (uint256) {
        uint8 op = s.step.op;
        if (op == Machine.OP_EMBED) return _embed(s, element, row, inputs, weights);
        bytes32 root = s.rowRoot(row);
        if (op == Machine.OP_ROPE) return _rope(s, element, root, inputs, weights);
        if (op == Machine.OP_ADD || op == Machine.OP_SILU_MUL) {
            _count(inputs.length, 2, weights.length, 0);
            uint256 x = _same(s, root, inputs[0], 0, element);
            uint256 y = _same(s, root, inputs[1], 1, element);
            return op == Machine.OP_ADD ? Binary32.add(x, y) : Binary32.mul(Functions.silu(x), y);
        }
        if (op == Machine.OP_NORM_APPLY) {
            _count(inputs.length, 2, weights.length, 1);
            uint256 x = _same(s, root, inputs[0], 0, element);
            s.input(root, inputs[1], 1, 0, 1);
            s.weights(weights[0], 1, s.step.dims[0], 0, element / Machine.TILE_ELEMENTS, 1);
            uint256 w = Sums.f32(weights[0].data, element % Machine.TILE_ELEMENTS);
            return Binary32.mul(Binary32.mul(x, Sums.f32(inputs[1].data, 0)), w);
        }
        _count(inputs.length, 1, weights.length, 0);
        if (op == Machine.OP_TO_F16) return Binary32.toHalf(_same(s, root, inputs[0], 0, element));
        if (op == Machine.OP_QUANTISE) return _quantise(s, element, scale, root, inputs[0]);
        revert IFaults.BadWitness("operation");
    }

    function _embed(
        Sites.Site memory s,
        uint256 element,
        Openings.Row calldata row,
        Openings.Leaf[] calldata inputs,
        Openings.Leaf[] calldata weights
    ) private view returns (uint256) {
        _count(inputs.length, 1, weights.length, 1);
        if (row.path.length != 0) revert IFaults.BadWitness("row");
        uint256 tokens = s.rows + 1;
        uint256 leaves = (tokens + Machine.TOKEN_LEAF_ELEMENTS - 1) / Machine.TOKEN_LEAF_ELEMENTS;
        LeafRange.check(
            inputs[0],
            s.tokensRoot,
            s.row / Machine.TOKEN_LEAF_ELEMENTS,
            1,
            Programs.log2Ceil(leaves),
            4 * Machine.TOKEN_LEAF_ELEMENTS
        );
        uint256 token = Sums.f32(inputs[0].data, s.row % Machine.TOKEN_LEAF_ELEMENTS);
        s.weights(weights[0], s.program.vocabulary, s.step.dims[0], token, element / Machine.TILE_ELEMENTS, 1);
        return Weights.value(s.step.format, weights[0].data, element % Machine.TILE_ELEMENTS);
    }

    function _rope(
        Sites.Site memory s,
        uint256 element,
        bytes32 root,
        Openings.Leaf[] calldata inputs,
        Openings.Leaf[] calldata weights
    ) private view returns (uint256) {
        uint256 within = element % s.step.dims[1];
        uint256 rotated = s.step.dims[2];
        if (within >= rotated) {
            _count(inputs.length, 1, weights.length, 0);
            return _same(s, root, inputs[0], 0, element);
        }
        _count(inputs.length, 1, weights.length, 1);
        // The pair's first element; its leaf is the first one opened.
        uint256 odd = within & 1;
        uint256 from = element - odd;
        s.input(root, inputs[0], 0, from, from + 2);
        uint256 column = within - odd;
        s.weights(weights[0], s.program.context, rotated, s.row, column / Machine.TILE_ELEMENTS, 1);
        from %= Machine.F32_LEAF_ELEMENTS;
        column %= Machine.TILE_ELEMENTS;
        (uint256 y0, uint256 y1) = Functions.rope(
            Sums.f32(inputs[0].data, from),
            Sums.f32(inputs[0].data, from + 1),
            Sums.f32(weights[0].data, column),
            Sums.f32(weights[0].data, column + 1)
        );
        return odd == 0 ? y0 : y1;
    }

    function _quantise(Sites.Site memory s, uint256 element, bool scale, bytes32 root, Openings.Leaf calldata opened)
        private
        view
        returns (uint256)
    {
        s.input(root, opened, 0, element, element + 1);
        uint256 i = element % Machine.F32_LEAF_ELEMENTS;
        uint256 d = Functions.quantiseScale(Sums.largest32(opened.data, i - i % Machine.BLOCK_ELEMENTS));
        if (scale) return d;
        return uint8(int8(Functions.quantise(Sums.f32(opened.data, i), Functions.quantiseInverse(d))));
    }

    /// @dev Element `element` of input `i`, which is f32 and as wide as the output.
    function _same(Sites.Site memory s, bytes32 root, Openings.Leaf calldata opened, uint256 i, uint256 element)
        private
        view
        returns (uint256)
    {
        s.input(root, opened, i, element, element + 1);
        return Sums.f32(opened.data, element % Machine.F32_LEAF_ELEMENTS);
    }

    function _count(uint256 inputs, uint256 expectedInputs, uint256 weights, uint256 expectedWeights) private pure {
        if (inputs != expectedInputs) revert IFaults.BadWitness("inputs");
        if (weights != expectedWeights) revert IFaults.BadWitness("weights");
    }
}
