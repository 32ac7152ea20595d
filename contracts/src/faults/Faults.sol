// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {Machine} from "../libraries/Machine.sol";

/// @title The judge of all faults
/// @notice Passes every case on to the contract of the fault's family, unchanged.
contract Faults is IFaults {
    /// @notice The families' contracts.
    struct Families {
        IFaults job; // 16 to 31
        IFaults token; // 32 to 47
        IFaults prompt; // 48 to 63
        IFaults step; // 64 to 66; it passes on what is attention's
        IFaults attention; // 67 to 69, and 64, 65 of attention through `step`
        IFaults selection; // 80 to 84
    }

    IFaults private immutable _job;
    IFaults private immutable _token;
    IFaults private immutable _prompt;
    IFaults private immutable _step;
    IFaults private immutable _attention;
    IFaults private immutable _selection;

    constructor(Families memory families) {
        (_job, _token, _prompt) = (families.job, families.token, families.prompt);
        (_step, _attention, _selection) = (families.step, families.attention, families.selection);
    }

    /// @inheritdoc IFaults
    function isFault(Case calldata, uint8 fault, bytes calldata) external view returns (bool) {
        address family = address(familyOf(fault));
        if (family.code.length == 0) revert UnknownFault(fault);
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

    /// @notice The contract that judges a fault, or the zero address.
    function familyOf(uint8 fault) public view returns (IFaults) {
        if (fault >= Machine.FAULT_ARGMAX) return _selection;
        if (fault >= Machine.FAULT_ADDENDS) return _attention;
        if (fault >= Machine.FAULT_STEP) return _step;
        if (fault >= Machine.FAULT_BOS) return _prompt;
        if (fault >= Machine.FAULT_TOKEN) return _token;
        return _job;
    }
}
