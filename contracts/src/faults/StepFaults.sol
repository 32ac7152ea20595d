// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {IModels} from "../interfaces/IModels.sol";
import {Machine} from "../libraries/Machine.sol";
import {Positions} from "../libraries/Positions.sol";
import {Elements} from "./steps/Elements.sol";
import {LeafData} from "./steps/LeafData.sol";
import {Sites} from "./steps/Sites.sol";
import {SHAPE, StepWitness, StepWitnesses} from "./steps/StepWitness.sol";

/// @title Faults of a step's element
/// @notice Judges fault 64 (step) of `prover/SPEC.md` section 10.3: here the shape of every leaf, and the elements that depend on few others. Elements of sums
/// and of attention, and faults 65 (combine) and 66 (total), go on to the contract of the step's operation, with the witness that it takes; a
/// witness of fault 64 starts with its row and step in any case.
contract StepFaults is IFaults {
    using Sites for Sites.Site;

    IModels public immutable models;
    /// @notice Judge of `matmul` and `norm_stat`.
    IFaults public immutable sums;
    /// @notice Judge of `attn_max`, `attn_sum` and `attn_mix`.
    IFaults public immutable attention;

    constructor(IModels models_, IFaults sums_, IFaults attention_) {
        models = models_;
        sums = sums_;
        attention = attention_;
    }

    /// @inheritdoc IFaults
    function isFault(Case calldata c, uint8 fault, bytes calldata witness) external view returns (bool) {
        if (fault == Machine.FAULT_STEP) return _step(c, StepWitnesses.read(witness));
        if (fault != Machine.FAULT_COMBINE && fault != Machine.FAULT_TOTAL) revert UnknownFault(fault);
        uint256 position = c.node.position;
        uint8 kind = Positions.kind(position);
        if (kind != Machine.NODE_TOTALS && kind != Machine.NODE_TILE) revert WrongNode(fault, position);
        // Only sums have faults of totals, only attention has tiles.
        if (fault == Machine.FAULT_TOTAL) return _forward(Machine.OP_MATMUL);
        if (kind == Machine.NODE_TILE) return _forward(Machine.OP_ATTN_MIX);
        (,, uint8 op) = Sites.program(models, c, Positions.a(position));
        return _forward(op);
    }

    function _step(Case calldata c, StepWitness calldata w) private view returns (bool) {
        uint256 lane = w.lane;
        Sites.Site memory s;
        uint8 op;
        (s.program, s.weightsRoot, op) = Sites.program(models, c, w.step);
        if (lane != SHAPE && !_isPlain(op)) return _forward(op);
        s.fill(c, w.row, w.step);
        s.claimed(c, c.node, w.claimed, w.leaf);
        bytes calldata data = w.claimed.data;
        if (lane == SHAPE) return !LeafData.wellShaped(s.step, w.leaf, data);
        if (data.length != LeafData.bytesOf(op)) revert BadWitness("claimed leaf");
        (uint256 element, bool scale) = LeafData.element(s.step, w.leaf, lane);
        return Elements.recompute(s, element, scale, w.trace, w.inputs, w.weights) != LeafData.read(op, data, lane);
    }

    function _isPlain(uint8 op) private pure returns (bool) {
        return op != Machine.OP_MATMUL && op != Machine.OP_NORM_STAT && !_isAttention(op);
    }

    function _isAttention(uint8 op) private pure returns (bool) {
        return op == Machine.OP_ATTN_MAX || op == Machine.OP_ATTN_SUM || op == Machine.OP_ATTN_MIX;
    }

    /// @dev The verdict of the contract of an operation, which gets this call's data.
    function _forward(uint8 op) private view returns (bool verdict) {
        IFaults judge = _isAttention(op) ? attention : sums;
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, 0, calldatasize())
            let ok := staticcall(gas(), judge, data, calldatasize(), 0x00, 0x20)
            if iszero(ok) {
                returndatacopy(data, 0, returndatasize())
                revert(data, returndatasize())
            }
            // No contract there, or another one.
            if or(lt(returndatasize(), 0x20), gt(mload(0x00), 1)) { revert(0x00, 0x00) }
            verdict := mload(0x00)
        }
    }
}
