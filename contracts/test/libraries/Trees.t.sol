// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Machine} from "../../src/libraries/Machine.sol";
import {Shapes} from "../../src/libraries/Shapes.sol";
import {Trees} from "../../src/libraries/Trees.sol";
import {Forest} from "../utils/Forest.sol";
import {Test} from "../utils/Test.sol";

/// @title Nodes from what is present, against whole trees
contract TreesTest is Test {
    uint256 private constant CLAIM = 1;
    uint256 private constant TRACE = 6;
    uint256 private constant TEXT = 5;

    struct Trace {
        uint256 nPrompt;
        uint256 nTokens;
        uint256 leaves;
        uint256 tail;
        uint256 rowDepth;
    }

    function node(bytes32[] memory given, uint256 kind, uint256 shape, uint256 height, uint256 index, uint256 levels)
        external
        view
        returns (bytes32)
    {
        return Trees.node(given, kind, shape, height, index, levels);
    }

    function testFuzz_lists(uint256 count, uint256 height, uint256 levels, uint256 index) external view {
        count = within(count, 1, 200);
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            leaves[i] = keccak256(abi.encode(i));
        }
        bytes32[][] memory forest = Forest.grow(leaves);
        height = within(height, 0, forest.length - 1);
        levels = within(levels, 0, height < 6 ? height : 6);
        index = within(index, 0, forest[height].length - 1);
        uint256 shape = Shapes.pack(0, 0, count, 0, 0);
        if (index << height >= count) {
            same(Shapes.present(TEXT, shape, height, index, 1), 0, "absent");
            return;
        }
        same(Shapes.present(TEXT, shape, height, index, 1), 1, "present");
        bytes32[] memory given = new bytes32[](1 << levels);
        uint256 used = 0;
        for (uint256 i = index << levels; i < (index + 1) << levels; ++i) {
            if (i << (height - levels) < count) given[used++] = forest[height - levels][i];
        }
        _same(_cut(given, used), TEXT, shape, height, index, levels, forest[height][index]);
    }

    function testFuzz_traces(uint256 seed, uint256 height, uint256 levels, uint256 index) external view {
        Trace memory t;
        t.nPrompt = 1 + seed % 7;
        t.nTokens = t.nPrompt + 1 + (seed >> 8) % 9;
        t.tail = (seed >> 16) % 5;
        t.leaves = t.tail + 1 + (seed >> 24) % 12;
        while (1 << t.rowDepth < t.leaves) ++t.rowDepth;
        bytes32[] memory leaves = new bytes32[]((t.nTokens - 1) << t.rowDepth);
        for (uint256 i = 0; i < leaves.length; ++i) {
            if (_isLeaf(t, i)) leaves[i] = keccak256(abi.encode(i));
        }
        bytes32[][] memory forest = Forest.grow(leaves);
        height = within(height, 0, forest.length - 1);
        index = within(index, 0, forest[height].length - 1);
        levels = within(levels, 0, height < 6 ? height : 6);
        _trace(t, forest, height, index, levels);
        _whole(t, forest.length - 1, height);
    }

    /// @dev As many nodes as there are in a whole trace, and its depth.
    function _whole(Trace memory t, uint256 depth, uint256 height) private pure {
        uint256 shape = Shapes.pack(t.nPrompt, t.nTokens, t.leaves, t.tail, t.rowDepth);
        same(Shapes.traceDepth(shape), depth, "depth");
        uint256 count = 0;
        for (uint256 i = 0; i < 1 << (depth - height); ++i) {
            if (_isPresent(t, height, i)) ++count;
        }
        same(Shapes.presentInTrace(shape, height), count, "in all");
        // What a job's record says of all its traces has no run's numbers.
        same(Shapes.ofTrace(Shapes.pack(7, 9, t.leaves, t.tail, t.rowDepth), t.nPrompt, t.nTokens), shape, "shape");
    }

    /// @dev As few openings as possible, none of more than six levels, all of about the same depth, down to what holds leaves' bytes or jobs.
    function test_levels() external pure {
        for (uint256 kind = CLAIM; kind <= TRACE; ++kind) {
            if (kind == 2) continue; // a job is no tree
            uint256 contents = kind == CLAIM ? 0 : Machine.CONTENT_LEVELS;
            for (uint256 height = 0; height <= 80; ++height) {
                uint256 at_ = height;
                uint256 openings = 0;
                uint256 most = 0;
                uint256 least = 6;
                while (Shapes.levels(kind, at_) != 0) {
                    uint256 levels = Shapes.levels(kind, at_);
                    check(levels <= 6, "one opening");
                    if (levels > most) most = levels;
                    if (levels < least) least = levels;
                    at_ -= levels;
                    ++openings;
                }
                uint256 rest = height > contents ? height - contents : 0;
                same(at_, height - rest, "the end");
                same(openings, (rest + 5) / 6, "openings");
                if (openings > 0) check(most - least <= 1, "balanced");
            }
        }
    }

    /// @dev All runs' digests together are one opening's at most, half of that of more than 8 runs, and none below what holds leaves.
    function test_levelsInJob() external pure {
        for (uint256 runs = 1; runs <= 16; ++runs) {
            uint256 padded = 1;
            while (padded < runs) padded *= 2;
            for (uint256 depth = 0; depth <= 50; ++depth) {
                uint256 levels = Shapes.levelsInJob(runs, depth);
                uint256 most = runs > 8 ? 32 : 64;
                check(padded << levels <= most, "one opening's");
                uint256 rest = depth > Machine.CONTENT_LEVELS ? depth - Machine.CONTENT_LEVELS : 0;
                check(levels == rest || levels < rest && padded << (levels + 1) > most, "as low as that");
            }
        }
    }

    function _trace(Trace memory t, bytes32[][] memory forest, uint256 height, uint256 index, uint256 levels)
        private
        view
    {
        uint256 shape = Shapes.pack(t.nPrompt, t.nTokens, t.leaves, t.tail, t.rowDepth);
        bool present = _isPresent(t, height, index);
        same(Shapes.present(TRACE, shape, height, index, 1), present ? 1 : 0, "present");
        if (!present) return;
        bytes32[] memory given = new bytes32[](1 << levels);
        uint256 used = 0;
        for (uint256 i = index << levels; i < (index + 1) << levels; ++i) {
            if (_isPresent(t, height - levels, i)) given[used++] = forest[height - levels][i];
        }
        _same(_cut(given, used), TRACE, shape, height, index, levels, forest[height][index]);
    }

    /// @dev With what is present the node comes out; with one digest more or less nothing does.
    function _same(
        bytes32[] memory given,
        uint256 kind,
        uint256 shape,
        uint256 height,
        uint256 index,
        uint256 levels,
        bytes32 expected
    ) private view {
        same(this.node(given, kind, shape, height, index, levels), expected, "node");
        bytes32[] memory more = new bytes32[](given.length + 1);
        try this.node(more, kind, shape, height, index, levels) {
            revert NotTrue("one more is too many");
        } catch {}
        try this.node(_cut(given, given.length - 1), kind, shape, height, index, levels) {
            revert NotTrue("one less is too few");
        } catch {}
    }

    function _isLeaf(Trace memory t, uint256 index) private pure returns (bool) {
        uint256 row = index >> t.rowDepth;
        uint256 leaf = index % (1 << t.rowDepth);
        if (row >= t.nTokens - 1) return false;
        return leaf < t.leaves - t.tail || leaf < t.leaves && row >= t.nPrompt - 1;
    }

    function _isPresent(Trace memory t, uint256 height, uint256 index) private pure returns (bool) {
        for (uint256 i = index << height; i < (index + 1) << height; ++i) {
            if (_isLeaf(t, i)) return true;
        }
        return false;
    }

    function _cut(bytes32[] memory list, uint256 length) private pure returns (bytes32[] memory) {
        assembly ("memory-safe") {
            mstore(list, length)
        }
        return list;
    }
}
