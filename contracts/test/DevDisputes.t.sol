// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {DevDisputes} from "../src/DevDisputes.sol";
import {Test} from "./utils/Test.sol";

contract DevDisputesTest is Test {
    function testFuzz_windowOnly(uint64 nowSeconds, uint64 windowEnd, bytes32 claimId) external {
        DevDisputes disputes = DevDisputes(make("DevDisputes", ""));
        vm.warp(nowSeconds);
        check(disputes.mayFinalise(claimId, windowEnd) == (nowSeconds > windowEnd), "after the window only");
    }
}
