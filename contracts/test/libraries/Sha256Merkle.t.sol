// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Sha256Merkle} from "../../src/libraries/Sha256Merkle.sol";
import {Naive} from "../utils/Naive.sol";
import {Test} from "../utils/Test.sol";

contract Sha256MerkleHarness {
    /// @dev Memory is dirtied first: nothing may be taken for zero.
    function textRoot(bytes calldata text, bytes calldata) external view returns (bytes32) {
        _dirty();
        return Sha256Merkle.textRoot(text);
    }

    function subtreeRoot(bytes calldata text, uint256 depth) external view returns (bytes32) {
        _dirty();
        return Sha256Merkle.subtreeRoot(text, depth);
    }

    function verify(bytes32 root, bytes32 digest, uint256 index, uint256 depth, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        return Sha256Merkle.verify(root, digest, index, depth, path);
    }

    function _dirty() private pure {
        assembly ("memory-safe") {
            let free := mload(0x40)
            for { let i := 0 } lt(i, 4096) { i := add(i, 32) } { mstore(add(free, i), not(0)) }
        }
    }
}

contract Sha256MerkleTest is Test {
    Sha256MerkleHarness private harness = new Sha256MerkleHarness();

    function test_depth() external pure {
        uint8[10] memory depths = [0, 0, 1, 2, 2, 3, 3, 3, 3, 4];
        for (uint256 count = 0; count < depths.length; ++count) {
            same(Sha256Merkle.depthOf(count), depths[count], "depth");
        }
        same(Sha256Merkle.depthOf(2 ** 255), 255, "largest");
    }

    function test_emptyDigests() external view {
        same(Sha256Merkle.emptyDigest(0), bytes32(0), "Z0");
        same(Sha256Merkle.emptyDigest(1), sha256(new bytes(64)), "Z1");
        bytes32 z1 = sha256(new bytes(64));
        same(Sha256Merkle.emptyDigest(2), sha256(bytes.concat(z1, z1)), "Z2");
    }

    function test_emptyText() external view {
        same(harness.textRoot("", "tail"), bytes32(0), "root of nothing");
        same(harness.subtreeRoot("", 9), Sha256Merkle.emptyDigest(9), "subtree of nothing");
    }

    /// @dev Every length around the leaves' borders, with bytes after the text in the call's data.
    function test_textRootAtBorders() external view {
        for (uint256 leaves = 1; leaves <= 9; ++leaves) {
            for (uint256 extra = 0; extra < 3; ++extra) {
                bytes memory text = randomBytes(leaves, 256 * leaves - 1 + extra);
                same(harness.textRoot(text, hex"ffffffffffffffff"), Naive.textRoot(text), "root");
            }
        }
    }

    function testFuzz_textRoot(bytes calldata text, uint256 seed, uint16 length) external view {
        same(harness.textRoot(text, "tail"), Naive.textRoot(text), "short");
        bytes memory long = randomBytes(seed, length % 5000);
        same(harness.textRoot(long, "tail"), Naive.textRoot(long), "long");
    }

    function testFuzz_subtreeRoot(uint256 seed, uint256 length, uint256 depth) external view {
        depth = within(depth, 0, 5);
        bytes memory text = randomBytes(seed, within(length, 0, 256 << depth));
        bytes32 expected = Naive.subtree(Naive.textLeaves(text), 0, 1 << depth);
        same(harness.subtreeRoot(text, depth), expected, "subtree");
    }

    function testFuzz_path(uint256 seed, uint256 count, uint256 index, uint256 flip) external view {
        count = within(count, 1, 20);
        index = within(index, 0, count - 1);
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            leaves[i] = keccak256(abi.encode(seed, i));
        }
        bytes32 root = Naive.root(leaves);
        bytes32[] memory path = Naive.path(leaves, index, 1);
        uint256 depth = Sha256Merkle.depthOf(count);
        check(harness.verify(root, leaves[index], index, depth, path), "true path");

        check(!harness.verify(root, leaves[index], index, depth + 1, path), "wrong depth");
        check(!harness.verify(root, leaves[index], index + (1 << depth), depth, path), "index outside");
        check(!harness.verify(root, ~leaves[index], index, depth, path), "other leaf");
        check(!harness.verify(~root, leaves[index], index, depth, path), "other root");
        if (depth > 0) {
            check(!harness.verify(root, leaves[index], index ^ 1, depth, path), "other index");
            path[flip % depth] ^= bytes32(uint256(1) << (flip % 256));
            check(!harness.verify(root, leaves[index], index, depth, path), "bent path");
        }
    }

    function test_outOfGas() external view {
        // The precompile failing must never give a root.
        bytes memory text = randomBytes(3, 100_000);
        uint256 failures = 0;
        for (uint256 gas_ = 60_000; gas_ < 400_000; gas_ += 20_000) {
            try harness.textRoot{gas: gas_}(text, "") returns (bytes32 root) {
                same(root, Naive.textRoot(text), "root");
            } catch {
                ++failures;
            }
        }
        check(failures > 0, "some failed");
    }
}
