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
        IFaults step; // 64 to 66, of any operation: it knows attention's and sums' judges
        IFaults attention; // 67 to 79
        IFaults selection; // from 80 on
    }

    IFaults public immutable job;
    IFaults public immutable token;
    IFaults public immutable prompt;
    IFaults public immutable step;
    IFaults public immutable attention;
    IFaults public immutable selection;

    constructor(Families memory families) {
        (job, token, prompt) = (families.job, families.token, families.prompt);
        (step, attention, selection) = (families.step, families.attention, families.selection);
    }

    /// @inheritdoc IFaults
    function isFault(Case calldata, uint8 fault, bytes calldata) external view returns (bool) {
        address family = address(familyOf(fault));
        // A call to nothing succeeds.
        if (family.code.length == 0) revert UnknownFault(fault);
        // The very call, to the family: what it returns or reverts with is this function's.
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, 0, calldatasize())
            let ok := staticcall(gas(), family, data, calldatasize(), 0, 0)
            returndatacopy(data, 0, returndatasize())
            if iszero(ok) { revert(data, returndatasize()) }
            return(data, returndatasize())
        }
    }

    /// @notice The contract that judges a fault.
    function familyOf(uint8 fault) public view returns (IFaults) {
        if (fault >= Machine.FAULT_ARGMAX) return selection;
        if (fault >= Machine.FAULT_ADDENDS) return attention;
        if (fault >= Machine.FAULT_STEP) return step;
        if (fault >= Machine.FAULT_BOS) return prompt;
        if (fault >= Machine.FAULT_TOKEN) return token;
        return job;
    }
}
