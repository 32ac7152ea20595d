// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Vm} from "./Vm.sol";

/// @title Assertions and small helpers
/// @dev A test fails by reverting.
abstract contract Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    error NotTrue(string what);
    error UintsDiffer(string what, uint256 found, uint256 expected);
    error WordsDiffer(string what, bytes32 found, bytes32 expected);
    error AddressesDiffer(string what, address found, address expected);
    error BytesDiffer(string what, bytes found, bytes expected);

    Vm internal constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    bool public constant IS_TEST = true;

    function check(bool condition, string memory what) internal pure {
        if (!condition) revert NotTrue(what);
    }

    function same(uint256 found, uint256 expected, string memory what) internal pure {
        if (found != expected) revert UintsDiffer(what, found, expected);
    }

    function same(bytes32 found, bytes32 expected, string memory what) internal pure {
        if (found != expected) revert WordsDiffer(what, found, expected);
    }

    function same(address found, address expected, string memory what) internal pure {
        if (found != expected) revert AddressesDiffer(what, found, expected);
    }

    function same(bytes memory found, bytes memory expected, string memory what) internal pure {
        if (keccak256(found) != keccak256(expected)) revert BytesDiffer(what, found, expected);
    }

    function same(string memory found, string memory expected, string memory what) internal pure {
        same(bytes(found), bytes(expected), what);
    }

    /// @dev A value in [low, high] from any value.
    function within(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        if (value >= low && value <= high) return value;
        uint256 size = high - low + 1;
        return size == 0 ? value : low + value % size;
    }

    /// @dev Creates a contract from its artifact, compiled as for deployment, unlike what `new` creates in a test.
    function make(string memory name, bytes memory arguments) internal returns (address) {
        return vm.deployCode(string.concat("out/", name, ".sol/", name, ".json"), arguments);
    }

    /// @dev The current block's number. Not NUMBER: the compiler takes that for constant within a call, past `vm.roll`.
    function height() internal view returns (uint256) {
        return vm.getBlockNumber();
    }

    /// @dev The current block's time in seconds; see `height`.
    function time() internal view returns (uint256) {
        return vm.getBlockTimestamp();
    }

    function account(string memory name) internal returns (address made) {
        made = vm.addr(uint256(keccak256(bytes(name))) >> 1);
        vm.label(made, name);
    }

    /// @dev Bytes that depend on `seed` only.
    function randomBytes(uint256 seed, uint256 length) internal pure returns (bytes memory data) {
        data = new bytes(length);
        for (uint256 i = 0; i < length; i += 32) {
            bytes32 word = keccak256(abi.encode(seed, i));
            for (uint256 j = 0; j < 32 && i + j < length; ++j) {
                data[i + j] = word[j];
            }
        }
    }
}
