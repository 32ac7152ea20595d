// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../../src/interfaces/IFaults.sol";
import {IVouchers} from "../../src/interfaces/IVouchers.sol";
import {Test} from "../utils/Test.sol";

/// @dev A family that says who it is by what it reverts with, or that something is a fault.
contract TestFamily is IFaults {
    uint256 private immutable _number;

    error Asked(uint256 number, bytes32 data);

    constructor(uint256 number) {
        _number = number;
    }

    function isFault(Case calldata, uint8, bytes calldata witness) external view returns (bool) {
        if (witness.length == 1) return true;
        if (witness.length == 2) return false;
        revert Asked(_number, keccak256(msg.data));
    }
}

contract FaultsTest is Test {
    IFaults private faults;

    function setUp() external {
        address[6] memory families;
        for (uint256 i = 0; i < 5; ++i) {
            families[i] = address(new TestFamily(i));
        }
        faults = IFaults(make("Faults", abi.encode(families)));
    }

    /// @dev Every fault has one family, which gets the very call.
    function test_families() external {
        IFaults.Case memory case_;
        case_.job.runs = new IVouchers.Run[](2);
        for (uint256 fault = 0; fault < 256; ++fault) {
            uint256 family = fault < 32 ? 0 : fault < 48 ? 1 : fault < 64 ? 2 : fault < 67 ? 3 : fault < 80 ? 4 : 5;
            bytes32 data = keccak256(abi.encodeCall(IFaults.isFault, (case_, uint8(fault), "witness")));
            if (family < 5) vm.expectRevert(abi.encodeWithSelector(TestFamily.Asked.selector, family, data));
            else vm.expectRevert(abi.encodeWithSelector(IFaults.UnknownFault.selector, fault)); // nothing there
            faults.isFault(case_, uint8(fault), "witness");
        }
    }

    function test_verdicts() external view {
        IFaults.Case memory case_;
        check(faults.isFault(case_, 16, "1"), "a fault");
        check(!faults.isFault(case_, 64, "22"), "none");
    }
}
