// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {IModels} from "../interfaces/IModels.sol";
import {Machine} from "../libraries/Machine.sol";
import {Positions} from "../libraries/Positions.sol";
import {Programs} from "../libraries/Programs.sol";

/// @title The judge of all faults
/// @notice Passes every case on to the contract of the fault's family, unchanged.
contract Faults is IFaults {
    /// @notice The families' contracts.
    struct Families {
        IFaults job; // 16 to 31
        IFaults token; // 32 to 47
        IFaults prompt; // 48 to 63
        IFaults step; // 64, 65 of the other operations, 66
        IFaults attention; // 64, 65 of attention, 67 to 69
        IFaults selection; // 80 to 84
    }

    IModels private immutable _models;
    IFaults private immutable _job;
    IFaults private immutable _token;
    IFaults private immutable _prompt;
    IFaults private immutable _step;
    IFaults private immutable _attention;
    IFaults private immutable _selection;

    constructor(IModels models_, Families memory families) {
        _models = models_;
        (_job, _token, _prompt) = (families.job, families.token, families.prompt);
        (_step, _attention, _selection) = (families.step, families.attention, families.selection);
    }

    /// @inheritdoc IFaults
    function isFault(Case calldata c, uint8 fault, bytes calldata witness) external view returns (bool) {
        address family = address(familyOf(c, fault, witness));
        // The very call, to the family: what it returns or reverts with is this function's.
        assembly ("memory-safe") {
            let at := mload(0x40)
            calldatacopy(at, 0, calldatasize())
            let ok := staticcall(gas(), family, at, calldatasize(), 0, 0)
            returndatacopy(at, 0, returndatasize())
            if iszero(ok) { revert(at, returndatasize()) }
            return(at, returndatasize())
        }
    }

    /// @notice The family that judges a fault. `step` and `combine` belong to the family of the step's operation.
    function familyOf(Case calldata c, uint8 fault, bytes calldata witness) public view returns (IFaults family) {
        if (fault >= Machine.FAULT_ARGMAX) family = _selection;
        else if (fault >= Machine.FAULT_ADDENDS) family = _attention;
        else if (fault == Machine.FAULT_TOTAL) family = _step;
        else if (fault == Machine.FAULT_COMBINE) family = _familyOfStep(c.modelId, Positions.a(c.node.position));
        else if (fault == Machine.FAULT_STEP) family = _familyOfStep(c.modelId, _stepOf(witness));
        else if (fault >= Machine.FAULT_BOS) family = _prompt;
        else if (fault >= Machine.FAULT_TOKEN) family = _token;
        else family = _job;
        if (address(family).code.length == 0) revert UnknownFault(fault);
    }

    /// @dev Both families' witnesses of fault 64 are abi.encode of a struct that begins with the row and the step, and has parts of variable length.
    function _stepOf(bytes calldata witness) private pure returns (uint256) {
        if (witness.length < 96 || uint256(bytes32(witness[0:32])) != 32) revert BadWitness("row and step");
        return uint256(bytes32(witness[64:96]));
    }

    function _familyOfStep(bytes32 modelId, uint256 step) private view returns (IFaults) {
        (address code,,) = _models.commitmentsOf(modelId);
        Programs.Program memory program = Programs.load(code);
        if (step >= Programs.stepCount(program)) revert BadWitness("step");
        uint8 op = Programs.step(program, step).op;
        return op >= Machine.OP_ATTN_MAX && op <= Machine.OP_ATTN_MIX ? _attention : _step;
    }
}
