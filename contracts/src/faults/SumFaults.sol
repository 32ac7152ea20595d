// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {IModels} from "../interfaces/IModels.sol";
import {Contents} from "../libraries/Contents.sol";
import {Machine} from "../libraries/Machine.sol";
import {Openings} from "../libraries/Openings.sol";
import {Positions} from "../libraries/Positions.sol";
import {Programs} from "../libraries/Programs.sol";
import {Binary32} from "../numeric/Binary32.sol";
import {Sums} from "../numeric/Sums.sol";
import {Encoded} from "./steps/Encoded.sol";
import {LeafData} from "./steps/LeafData.sol";
import {Sites} from "./steps/Sites.sol";
import {StepWitness, StepWitnesses} from "./steps/StepWitness.sol";
import {Tiles} from "./steps/Tiles.sol";

/// @title Faults of `matmul` and `norm_stat`
/// @notice Judges elements of few tiles (fault 64, step, without the leaf's shape), and of more by a node of totals: 65 (combine) and 66 (total) of
/// `prover/SPEC.md` section 10.3. Witnesses are `abi.encode` of `StepWitness` and the structs below.
contract SumFaults is IFaults {
    using Sites for Sites.Site;

    /// @notice Fault 65: the totals of `c.node` do not give their element.
    struct CombineWitness {
        bytes contents;
        Openings.Leaf claimed; // to the parent
    }

    /// @notice Fault 66: a total of `c.node` differs from the sum of its tile.
    struct TotalWitness {
        uint32 tile;
        Openings.Leaf contents; // part of the node
        Openings.Row trace;
        Openings.Leaf input; // the tile's leaves of the input, to the row's root
        Openings.Leaf[] weights; // matmul: the tile's leaf
    }

    IModels public immutable models;

    constructor(IModels models_) {
        models = models_;
    }

    /// @inheritdoc IFaults
    function isFault(Case calldata c, uint8 fault, bytes calldata witness) external view returns (bool) {
        if (fault == Machine.FAULT_STEP) return _step(c, StepWitnesses.read(witness));
        if (fault != Machine.FAULT_COMBINE && fault != Machine.FAULT_TOTAL) revert UnknownFault(fault);
        uint256 position = c.node.position;
        if (Positions.kind(position) != Machine.NODE_TOTALS) revert WrongNode(fault, position);
        Sites.Site memory s = Sites.load(models, c, Positions.index(position), Positions.a(position));
        _checkSum(s.step);
        if (!Tiles.isLong(s.step)) revert WrongNode(fault, position);
        return fault == Machine.FAULT_COMBINE ? _combine(s, c, _combineOf(witness)) : _total(s, c, _totalOf(witness));
    }

    /// @dev An element of a short sum, whole.
    function _step(Case calldata c, StepWitness calldata w) private view returns (bool) {
        Sites.Site memory s = Sites.load(models, c, w.row, w.step);
        _checkSum(s.step);
        if (Tiles.isLong(s.step)) revert BadWitness("long sum");
        (uint256 element,) = LeafData.element(s.step, w.leaf, w.lane);
        uint256 claimed = _claimed(s, c, c.node, w.claimed, element);
        if (w.inputs.length != 1) revert BadWitness("inputs");
        bytes calldata input = w.inputs[0].data;
        uint256 tiles = Tiles.count(s.step);
        s.input(s.rowRoot(w.trace), w.inputs[0], 0, 0, Tiles.inner(s.step));
        bytes calldata weights = _weights(s, w.weights, element, 0, tiles);
        uint256 total = 0;
        for (uint256 tile = 0; tile < tiles; ++tile) {
            total = Binary32.add(total, Tiles.sum(s.step, tile, 0, input, weights));
        }
        return Tiles.finish(s.step, total) != claimed;
    }

    function _combine(Sites.Site memory s, Case calldata c, CombineWitness calldata w) private view returns (bool) {
        uint256 element = _element(s, c);
        Contents.check(w.contents, c.node.value, 4 * Tiles.count(s.step), 0, Contents.TOTALS_PART);
        uint256 claimed = _claimed(s, c, c.parent, w.claimed, element);
        return Tiles.combine(s.step, w.contents) != claimed;
    }

    function _total(Sites.Site memory s, Case calldata c, TotalWitness calldata w) private view returns (bool) {
        uint256 element = _element(s, c);
        uint256 tile = w.tile;
        uint256 tiles = Tiles.count(s.step);
        if (tile >= tiles) revert BadWitness("tile");
        Contents.checkPart(w.contents, c.node.value, 4 * tiles, 0, Contents.TOTALS_PART, tile / Machine.PART_SUMS);
        uint256 from = tile * Machine.TILE_ELEMENTS;
        uint256 end = from + Machine.TILE_ELEMENTS;
        if (end > Tiles.inner(s.step)) end = Tiles.inner(s.step);
        s.input(s.rowRoot(w.trace), w.input, 0, from, end);
        uint256 sum = Tiles.sum(s.step, tile, tile, w.input.data, _weights(s, w.weights, element, tile, 1));
        // Which NaN a total holds can't be seen.
        return sum != Binary32.canonical(Sums.u32BigAt(w.contents.data, 4 * (tile % Machine.PART_SUMS)));
    }

    /// @dev The claimed bits of an f32 element, whose leaf is opened in `node`.
    function _claimed(
        Sites.Site memory s,
        Case calldata c,
        Node calldata node,
        Openings.Leaf calldata opened,
        uint256 element
    ) private view returns (uint256) {
        s.claimed(c, node, opened, element / Machine.F32_LEAF_ELEMENTS);
        if (opened.data.length != LeafData.PLAIN_BYTES) revert BadWitness("claimed leaf");
        return Sums.f32(opened.data, element % Machine.F32_LEAF_ELEMENTS);
    }

    /// @dev The checked tiles of the weights of an element; nothing for `norm_stat`.
    function _weights(
        Sites.Site memory s,
        Openings.Leaf[] calldata opened,
        uint256 element,
        uint256 from,
        uint256 tiles
    ) private view returns (bytes calldata data) {
        bool matmul = s.step.op == Machine.OP_MATMUL;
        if (opened.length != (matmul ? 1 : 0)) revert BadWitness("weights");
        data = msg.data[0:0];
        if (matmul) {
            s.weights(opened[0], s.step.dims[0], s.step.dims[1], element, from, tiles);
            data = opened[0].data;
        }
    }

    /// @dev The element that the node's totals are of.
    function _element(Sites.Site memory s, Case calldata c) private pure returns (uint256 element) {
        element = Positions.b(c.node.position);
        if (element >= LeafData.width(s.step)) revert BadWitness("element");
    }

    function _checkSum(Programs.Step memory step) private pure {
        if (step.op != Machine.OP_MATMUL && step.op != Machine.OP_NORM_STAT) revert BadWitness("operation");
    }

    function _combineOf(bytes calldata witness) private pure returns (CombineWitness calldata w) {
        uint256 start = Encoded.start(witness, 2);
        assembly ("memory-safe") {
            w := start
        }
    }

    function _totalOf(bytes calldata witness) private pure returns (TotalWitness calldata w) {
        uint256 start = Encoded.start(witness, 5);
        assembly ("memory-safe") {
            w := start
        }
    }
}
