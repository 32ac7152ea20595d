// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {BlockHeader} from "../../src/libraries/BlockHeader.sol";
import {Naive} from "../utils/Naive.sol";
import {Test} from "../utils/Test.sol";

contract BlockHeaderHarness {
    function mixHash(bytes calldata header, bytes calldata) external pure returns (bool, bytes32) {
        return BlockHeader.mixHash(header);
    }
}

contract BlockHeaderTest is Test {
    BlockHeaderHarness private harness = new BlockHeaderHarness();

    function testFuzz_mixHash(bytes32 mixHash, uint64 number, uint256 seed) external view {
        (bool ok, bytes32 found) = harness.mixHash(Naive.header(mixHash, number, seed), "");
        check(ok, "header is read");
        same(found, mixHash, "mixHash");
    }

    /// @dev No cut and no longer header is taken, and none reads past its end into other call data.
    function testFuzz_wrongLength(bytes32 mixHash, uint256 seed, uint256 cut, uint8 extra) external view {
        bytes memory header = Naive.header(mixHash, 7, seed);
        bytes memory shorter = _slice(header, within(cut, 0, header.length - 1));
        (bool ok,) = harness.mixHash(shorter, header);
        check(!ok, "cut");
        (ok,) = harness.mixHash(bytes.concat(header, new bytes(uint256(extra) + 1)), header);
        check(!ok, "longer");
    }

    /// @dev Any bytes give an answer, never a panic.
    function testFuzz_anyBytes(bytes calldata data) external view {
        harness.mixHash(data, "");
    }

    /// @dev Any byte changed: an answer, never a panic.
    function testFuzz_bentHeader(uint256 seed, uint256 place, uint8 value) external view {
        bytes memory header = Naive.header(keccak256("mix"), 7, seed);
        header[place % header.length] = bytes1(value);
        harness.mixHash(header, "");
    }

    function test_shortMixHash() external view {
        bytes memory items;
        for (uint256 i = 0; i < 13; ++i) {
            items = bytes.concat(items, Naive.rlpInteger(i));
        }
        (bool ok,) = harness.mixHash(Naive.rlpList(bytes.concat(items, Naive.rlpString(new bytes(31)))), "");
        check(!ok, "31 bytes");
        (ok,) = harness.mixHash(Naive.rlpList(bytes.concat(items, Naive.rlpString(new bytes(33)))), "");
        check(!ok, "33 bytes");
        (ok,) = harness.mixHash(Naive.rlpList(bytes.concat(items, Naive.rlpString(new bytes(32)))), "");
        check(ok, "32 bytes");
        (ok,) = harness.mixHash(Naive.rlpList(items), "");
        check(!ok, "13 fields");
        (ok,) = harness.mixHash(Naive.rlpString(items), "");
        check(!ok, "a string");
        (ok,) = harness.mixHash(Naive.rlpList(bytes.concat(Naive.rlpList(items), items)), "");
        check(!ok, "a list inside");
    }

    /// @dev Lengths of up to 2^64 - 1 in the prefixes.
    function test_hugeLengths() external view {
        (bool ok,) = harness.mixHash(hex"ffffffffffffffffff", "");
        check(!ok, "huge list");
        (ok,) = harness.mixHash(Naive.rlpList(hex"bfffffffffffffffff"), "");
        check(!ok, "huge string");
        (ok,) = harness.mixHash(hex"f9", "");
        check(!ok, "length of the length missing");
        (ok,) = harness.mixHash(Naive.rlpList(hex"b9ff"), "");
        check(!ok, "length of a string's length missing");
    }

    function _slice(bytes memory data, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            part[i] = data[i];
        }
    }
}
