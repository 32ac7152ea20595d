// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../../src/interfaces/IFaults.sol";
import {Contents} from "../../src/libraries/Contents.sol";
import {Openings} from "../../src/libraries/Openings.sol";
import {Positions} from "../../src/libraries/Positions.sol";
import {Test} from "../utils/Test.sol";

/// @notice Digests and parts of posted contents (`prover/SPEC.md` section 10.2) against one that hashes node by node.
contract ContentsTest is Test {
    function digestOf(uint256 position, bytes calldata contents) external view returns (bytes32) {
        return Contents.digest(position, contents);
    }

    function checkPart(
        Openings.Leaf calldata opened,
        bytes32 value,
        uint256 length,
        uint256 head,
        uint256 each,
        uint256 index
    ) external view {
        Contents.checkPart(opened, value, length, head, each, index);
    }

    function test_everyKindIsCutAsTheTextSays() external view {
        for (uint256 n = 1; n < 40; n += 3) {
            _same(Positions.posted(7, 3, 1, 9, 2, 5, 0), _bytes(4 * n), 0, 64);
            _same(Positions.posted(9, 3, 1, 9, 0, 0, 0), _bytes(12 + 42 * n), 12, 168);
            _same(Positions.posted(10, 3, 1, 9, 2, 5, 0), _bytes(6 * n), 0, 96);
            _same(Positions.posted(11, 3, 1, 0, 0, 0, 0), _bytes(8 * n), 0, 128);
        }
        // Rows 0, 31, 32 and 700: 1, 32, 33 and, in tiles 1 and 2, 256 and 189 addends.
        _same(Positions.posted(8, 0, 0, 0, 7, 1, 0), _bytes(4 + 6), 4, 192);
        _same(Positions.posted(8, 0, 0, 31, 7, 1, 0), _bytes(4 + 4 * 32), 4, 128);
        _same(Positions.posted(8, 0, 0, 32, 7, 1, 0), _bytes(8 + 6 * 33), 8, 192);
        _same(Positions.posted(8, 0, 0, 700, 7, 1, 1), _bytes(32 + 6 * 256), 32, 192);
        _same(Positions.posted(8, 0, 0, 700, 7, 1, 2), _bytes(24 + 4 * 189), 24, 128);
        bytes memory places = _bytes(24);
        same(this.digestOf(Positions.posted(12, 0, 0, 0, 0, 0, 0), places), sha256(places), "hashed whole");
    }

    function test_onlyThePartAtItsPlaceIsTaken() external {
        bytes memory contents = _bytes(12 + 5 * 10 + 3);
        (bytes32 root, bytes32[] memory leaves) = _root(contents, 12, 10);
        bytes32 value = sha256(abi.encodePacked(_slice(contents, 0, 12), root));
        for (uint256 index = 0; index < 6; ++index) {
            uint256 from = 12 + 10 * index;
            uint256 size = index == 5 ? 3 : 10;
            bytes memory data = abi.encodePacked(_slice(contents, 0, 12), _slice(contents, from, size));
            Openings.Leaf memory opened = Openings.Leaf(data, _path(leaves, index));
            this.checkPart(opened, value, contents.length, 12, 10, index);
            for (uint256 other = 0; other < 8; ++other) {
                if (other == index) continue;
                vm.expectPartialRevert(IFaults.BadWitness.selector);
                this.checkPart(opened, value, contents.length, 12, 10, other);
            }
            // Another byte of the head, of the part, of the path.
            for (uint256 i = 0; i < data.length; i += 5) {
                data[i] ^= 0x01;
                vm.expectPartialRevert(IFaults.BadWitness.selector);
                this.checkPart(opened, value, contents.length, 12, 10, index);
                data[i] ^= 0x01;
            }
            opened.path[2] ^= bytes32(uint256(1));
            vm.expectPartialRevert(IFaults.BadWitness.selector);
            this.checkPart(opened, value, contents.length, 12, 10, index);
            opened.path = new bytes32[](2);
            vm.expectPartialRevert(IFaults.BadWitness.selector);
            this.checkPart(opened, value, contents.length, 12, 10, index);
        }
    }

    function _same(uint256 position, bytes memory contents, uint256 head, uint256 each) private view {
        (bytes32 root,) = _root(contents, head, each);
        bytes32 expected = sha256(abi.encodePacked(_slice(contents, 0, head), root));
        same(this.digestOf(position, contents), expected, "digest");
    }

    function _bytes(uint256 length) private pure returns (bytes memory made) {
        made = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            made[i] = bytes1(uint8(i * 7 + i / 250));
        }
    }

    function _slice(bytes memory data, uint256 from, uint256 size) private pure returns (bytes memory made) {
        made = new bytes(size);
        for (uint256 i = 0; i < size; ++i) {
            made[i] = data[from + i];
        }
    }

    function _root(bytes memory contents, uint256 head, uint256 each)
        private
        pure
        returns (bytes32 root, bytes32[] memory leaves)
    {
        uint256 rest = contents.length - head;
        uint256 count = (rest + each - 1) / each;
        uint256 padded = 1;
        while (padded < count) padded *= 2;
        leaves = new bytes32[](padded);
        for (uint256 i = 0; i < count; ++i) {
            uint256 size = rest - i * each < each ? rest - i * each : each;
            leaves[i] = sha256(_slice(contents, head + i * each, size));
        }
        bytes32[] memory level = leaves;
        while (level.length > 1) {
            level = _above(level);
        }
        root = level[0];
    }

    function _above(bytes32[] memory level) private pure returns (bytes32[] memory made) {
        made = new bytes32[](level.length / 2);
        for (uint256 i = 0; i < made.length; ++i) {
            made[i] = sha256(abi.encodePacked(level[2 * i], level[2 * i + 1]));
        }
    }

    function _path(bytes32[] memory level, uint256 index) private pure returns (bytes32[] memory path) {
        path = new bytes32[](3);
        for (uint256 i = 0; i < 3; ++i) {
            path[i] = level[index ^ 1];
            level = _above(level);
            index /= 2;
        }
    }
}
