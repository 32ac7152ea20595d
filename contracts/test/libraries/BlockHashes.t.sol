// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {BlockHashes} from "../../src/libraries/BlockHashes.sol";
import {Test} from "../utils/Test.sol";

/// @dev What stands at the history address in these tests; storage says how it behaves.
contract FakeHistory {
    enum Mode {
        Honest,
        Reverts,
        Short,
        Long,
        BurnsGas,
        LiesAboutAll,
        Empty
    }

    Mode public mode;
    mapping(uint256 => bytes32) public hashes;

    function set(Mode mode_) external {
        mode = mode_;
    }

    function put(uint256 number, bytes32 hash) external {
        hashes[number] = hash;
    }

    fallback() external {
        uint256 number = abi.decode(msg.data, (uint256));
        bytes32 answer = hashes[number];
        Mode current = mode;
        if (current == Mode.Reverts) revert();
        if (current == Mode.BurnsGas) while (true) {}
        if (current == Mode.LiesAboutAll) answer = keccak256(abi.encode("lie", number));
        if (current == Mode.Empty) answer = 0;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, answer)
            mstore(add(free, 0x20), answer)
            switch current
            case 2 { return(free, 31) }
            case 3 { return(free, 64) }
            default { return(free, 32) }
        }
    }
}

contract BlockHashesTest is Test {
    uint256 private constant NOW = 20_000;
    FakeHistory private history;

    function setUp() external {
        vm.roll(NOW);
        vm.setBlockhash(NOW - 1, keccak256("parent"));
    }

    function test_near() external {
        vm.setBlockhash(NOW - 256, keccak256("near"));
        same(BlockHashes.hashOf(NOW - 256), keccak256("near"), "BLOCKHASH");
        same(BlockHashes.hashOf(NOW - 1), keccak256("parent"), "parent");
        same(BlockHashes.hashOf(NOW), 0, "the current block has none yet");
        same(BlockHashes.hashOf(NOW + 1), 0, "nor a later one");
    }

    function test_noHistory() external {
        vm.etch(BlockHashes.HISTORY, "");
        same(BlockHashes.hashOf(NOW - 257), 0, "out of reach");
    }

    function test_history() external {
        _place(FakeHistory.Mode.Honest);
        same(BlockHashes.hashOf(NOW - 257), keccak256("old"), "old");
        same(BlockHashes.hashOf(NOW - 8191), keccak256("oldest"), "oldest");
        same(BlockHashes.hashOf(NOW - 8192), 0, "beyond its reach, whatever it says");
    }

    function test_brokenHistory() external {
        for (uint8 mode = 1; mode <= 6; ++mode) {
            _place(FakeHistory.Mode(mode));
            same(BlockHashes.hashOf(NOW - 257), 0, "no answer is taken");
            same(BlockHashes.hashOf(NOW - 1), keccak256("parent"), "BLOCKHASH goes on");
        }
    }

    function _place(FakeHistory.Mode mode) private {
        vm.etch(BlockHashes.HISTORY, address(new FakeHistory()).code);
        history = FakeHistory(payable(BlockHashes.HISTORY));
        history.put(NOW - 1, keccak256("parent"));
        history.put(NOW - 257, keccak256("old"));
        history.put(NOW - 8191, keccak256("oldest"));
        history.put(NOW - 8192, keccak256("too old"));
        history.set(mode);
    }
}
