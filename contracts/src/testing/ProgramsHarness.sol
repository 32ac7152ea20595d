// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {CodeStore} from "../libraries/CodeStore.sol";
import {ProgramCheck} from "../libraries/ProgramCheck.sol";
import {Programs} from "../libraries/Programs.sol";

/// @title Programs as the registry checks and keeps them, for tests against Rust
contract ProgramsHarness {
    function check(bytes calldata program) external pure returns (bytes memory index) {
        return ProgramCheck.check(program);
    }

    function write(bytes calldata program) external returns (address code) {
        return CodeStore.write(bytes.concat(program, ProgramCheck.check(program)));
    }

    function load(address code) external view returns (Programs.Program memory) {
        return Programs.load(code);
    }

    /// @notice Steps from..to of a row.
    function steps(address code, uint256 from, uint256 to) external view returns (Programs.Step[] memory found) {
        Programs.Program memory p = Programs.load(code);
        found = new Programs.Step[](to - from);
        for (uint256 s = from; s < to; ++s) {
            found[s - from] = Programs.step(p, s);
        }
    }

    function stepCount(address code) external view returns (uint256) {
        return Programs.stepCount(Programs.load(code));
    }

    function isStop(address code, uint256 token) external view returns (bool) {
        return Programs.isStop(Programs.load(code), token);
    }
}
