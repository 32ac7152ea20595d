// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../interfaces/IChallenges.sol";
import {IFaults} from "../interfaces/IFaults.sol";
import {IVouchers} from "../interfaces/IVouchers.sol";
import {Contents} from "./Contents.sol";
import {Machine} from "./Machine.sol";
import {Positions} from "./Positions.sol";
import {Programs} from "./Programs.sol";
import {Shapes} from "./Shapes.sol";

/// @title What can be opened under what
/// @notice The table of `prover/SPEC.md` section 10.2. Every function gives the child's shape, and reverts for a position that can't be opened.
library Children {
    using Shapes for uint256;

    uint256 private constant U48_BYTES = 6;

    /// @notice A node of a run's tree under a node of the same tree.
    function inTree(uint256 parent, uint256 shape, uint256 position) internal pure returns (uint256 levels) {
        uint256 kind = Positions.kind(parent);
        levels = below(kind, parent, position);
        _same(
            position,
            Positions.tree(
                uint8(kind),
                Positions.lane(parent),
                Positions.run(parent),
                uint8(Positions.height(parent) - levels),
                Positions.index(position)
            )
        );
        if (Shapes.present(kind, shape, Positions.height(position), Positions.index(position), 1) == 0) {
            revert IChallenges.AbsentNode(position);
        }
    }

    /// @notice The levels from a tree's node to its children, of which `position` says one that is below it.
    function below(uint256 kind, uint256 parent, uint256 position) internal pure returns (uint256 levels) {
        levels = Shapes.levels(kind, Positions.height(parent));
        // Below a node of the lowest kind there are leaves' bytes only.
        if (levels == 0) revert IChallenges.BadPosition("kind", Positions.kind(position), 0);
        uint256 index = kind == Machine.NODE_CLAIM && levels == Positions.height(parent)
            ? Positions.lane(position)
            : Positions.index(position);
        if (index >> levels != Positions.index(parent)) {
            revert IChallenges.BadPosition("index", index >> levels, Positions.index(parent));
        }
    }

    /// @notice A node of a run's trace whose digest came with the job.
    /// @param shape Of the revealed job.
    /// @return shape_ The trace's.
    /// @return root The trace's.
    /// @return levels From the root down to the node.
    function traceInJob(IFaults.Job calldata job, uint256 parent, uint256 shape, uint256 position)
        internal
        pure
        returns (uint256 shape_, bytes32 root, uint256 levels)
    {
        uint256 run = Positions.run(position);
        if (run >= job.runs.length) revert IChallenges.BadPosition("run", run, job.runs.length);
        IVouchers.Run calldata fields = job.runs[run];
        if (Shapes.rows(fields.nPrompt, fields.nTokens) == 0) revert IChallenges.AbsentNode(position);
        root = job.traceRoots[run];
        shape_ = Shapes.ofTrace(shape, fields.nPrompt, fields.nTokens);
        uint256 depth = Shapes.traceDepth(shape_);
        levels = Shapes.levelsInJob(job.runs.length, depth);
        uint64 index = Positions.index(position);
        _same(
            position,
            Positions.tree(Machine.NODE_TRACE, Positions.lane(parent), uint8(run), uint8(depth - levels), index)
        );
        // Absent as well when the index is past the end.
        if (Shapes.present(Machine.NODE_TRACE, shape_, depth - levels, index, 1) == 0) {
            revert IChallenges.AbsentNode(position);
        }
    }

    /// @notice The root of a tree of a run but its trace, or posted contents, under the job.
    /// @param program Of the model; only loaded for kinds that need it.
    /// @return shape The child's.
    /// @return value The root; 0 for posted contents.
    function inJob(IFaults.Job calldata job, uint256 parent, uint256 position, Programs.Program memory program)
        internal
        pure
        returns (uint256 shape, bytes32 value)
    {
        uint256 run = Positions.run(position);
        if (run >= job.runs.length) revert IChallenges.BadPosition("run", run, job.runs.length);
        IVouchers.Run calldata fields = job.runs[run];
        uint256 kind = Positions.kind(position);
        uint256 nTokens = fields.nTokens;
        uint256 count = 0;
        if (kind == Machine.NODE_TOKENS) {
            (value, count) = (fields.tokensRoot, _leaves(nTokens));
        } else if (kind == Machine.NODE_OFFSETS) {
            (value, count) = (fields.offsetsRoot, nTokens > fields.nPrompt ? _leaves(nTokens - fields.nPrompt) : 0);
        } else if (kind == Machine.NODE_TEXT) {
            (value, count) =
            (fields.textRoot, (uint256(fields.textLength) + Machine.TEXT_LEAF_BYTES - 1) / Machine.TEXT_LEAF_BYTES);
        } else if (kind == Machine.NODE_MALFORMED) {
            // Only of a run that says so.
            if (!_saysMalformed(fields)) revert IChallenges.BadPosition("kind", kind, Machine.NODE_PROMPT);
            count = 4 + 4 * Machine.MAX_SEGMENTS;
        } else if (kind == Machine.NODE_PROMPT && _saysMalformed(fields)) {
            revert IChallenges.BadPosition("kind", kind, Machine.NODE_MALFORMED);
        }

        shape = Shapes.pack(fields.nPrompt, nTokens, count, 0, 0);
        if (kind == Machine.NODE_PROMPT) {
            shape = prompt(parent, shape, position);
        } else if (kind == Machine.NODE_SELECTION) {
            shape = selection(parent, shape, position, program);
        } else {
            if (count == 0) revert IChallenges.AbsentNode(position);
            uint256 depth = kind < Machine.NODE_TRACE ? Programs.log2Ceil(count) : 0;
            _same(position, Positions.tree(uint8(kind), Positions.lane(parent), uint8(run), uint8(depth), 0));
        }
    }

    /// @notice Tile totals under the trace node that holds the element's leaf.
    function totals(uint256 parent, uint256 shape, uint256 position, Programs.Program memory program)
        internal
        view
        returns (uint256)
    {
        (Programs.Step memory step, uint256 tiles) = _sum(parent, shape, position, program);
        uint256 direct =
            step.op == Machine.OP_MATMUL && step.format > Machine.WEIGHT_FORMAT_F16 ? Machine.DIRECT_TILES : 1;
        if (tiles <= direct) revert IChallenges.BadPosition("tiles", tiles, direct + 1);
        _same(position, _of(parent, position, Positions.b(position), 0));
        return Shapes.pack(shape.nPrompt(), shape.nTokens(), 4 * tiles, 0, step.op);
    }

    /// @notice The only tile of a sum of one tile, under the trace node that holds the element's leaf.
    function onlyTile(uint256 parent, uint256 shape, uint256 position, Programs.Program memory program)
        internal
        view
        returns (uint256)
    {
        (Programs.Step memory step, uint256 tiles) = _sum(parent, shape, position, program);
        if (tiles != 1) revert IChallenges.BadPosition("tiles", tiles, 1);
        return _tile(parent, Shapes.pack(shape.nPrompt(), shape.nTokens(), 4, 0, step.op), position);
    }

    /// @notice A tile under totals.
    function tile(uint256 parent, uint256 shape, uint256 position) internal pure returns (uint256) {
        if (Positions.index(position) != Positions.index(parent)) {
            revert IChallenges.BadPosition("index", Positions.index(position), Positions.index(parent));
        }
        _same(Positions.a(position), Positions.a(parent));
        _same(Positions.b(position), Positions.b(parent));
        return _tile(parent, shape, position);
    }

    /// @notice The selection of a token, under a job, a node of the run's tokens or one of its trace. The caller made sure that the temperature isn't 0.
    function selection(uint256 parent, uint256 shape, uint256 position, Programs.Program memory program)
        internal
        pure
        returns (uint256)
    {
        uint256 token = Positions.index(position);
        if (token < shape.nPrompt() || token == 0) revert IChallenges.BadPosition("index", token, shape.nPrompt());
        if (token >= shape.nTokens()) revert IChallenges.BadPosition("index", token, shape.nTokens());
        _same(position, _inRun(parent, position, Machine.NODE_SELECTION, token, 0, 0));
        uint256 leaves = _leaves(program.vocabulary);
        uint256 size = groupSize(leaves);
        uint256 groups = (leaves + size - 1) / size;
        return Shapes.pack(
            shape.nPrompt(),
            shape.nTokens(),
            Contents.SELECTION_HEAD + groups * Contents.SELECTION_GROUP,
            program.vocabulary,
            0
        );
    }

    /// @notice A group of a selection.
    function group(uint256 parent, uint256 shape, uint256 position) internal pure returns (uint256) {
        uint256 component = Positions.a(position);
        if (component >= Machine.COMPONENT_COUNT) {
            revert IChallenges.BadPosition("a", component, Machine.COMPONENT_COUNT - 1);
        }
        uint256 vocabulary = shape.tail();
        uint256 size = groupSize(_leaves(vocabulary)) * Machine.F32_LEAF_ELEMENTS;
        uint256 first = Positions.b(position) * size;
        if (first >= vocabulary) revert IChallenges.BadPosition("b", Positions.b(position), (vocabulary - 1) / size);
        uint256 tokens = vocabulary - first < size ? vocabulary - first : size;
        uint256 sums = (tokens + Machine.SUM_TOKENS - 1) / Machine.SUM_TOKENS;
        _same(
            position,
            _inRun(parent, position, Machine.NODE_GROUP, Positions.index(parent), component, Positions.b(position))
        );
        return Shapes.pack(shape.nPrompt(), shape.nTokens(), sums * U48_BYTES, vocabulary, 0);
    }

    /// @notice The places of tokens leaves, under a job: its fields say whether the run has any.
    function prompt(uint256 parent, uint256 shape, uint256 position) internal pure returns (uint256) {
        uint256 leaves = _leaves(shape.nPrompt());
        if (leaves == 0) revert IChallenges.AbsentNode(position);
        _same(position, _inRun(parent, position, Machine.NODE_PROMPT, 0, 0, 0));
        return Shapes.pack(shape.nPrompt(), shape.nTokens(), 8 * leaves, 0, 0);
    }

    /// @notice The places of the prompt tokens of a leaf, under `prompt`.
    function starts(uint256 parent, uint256 shape, uint256 position) internal pure returns (uint256) {
        uint256 leaf = Positions.index(position);
        uint256 first = leaf * Machine.TOKEN_LEAF_ELEMENTS;
        if (first >= shape.nPrompt()) revert IChallenges.AbsentNode(position);
        uint256 members = shape.nPrompt() - first;
        if (members > Machine.TOKEN_LEAF_ELEMENTS) members = Machine.TOKEN_LEAF_ELEMENTS;
        _same(position, _inRun(parent, position, Machine.NODE_STARTS, leaf, 0, 0));
        return Shapes.pack(shape.nPrompt(), shape.nTokens(), 8 * members, 0, 0);
    }

    /// @notice Leaves of a full group.
    function groupSize(uint256 leaves) internal pure returns (uint256) {
        return uint256(1) << ((Programs.log2Ceil(leaves) + 1) / 2);
    }

    /// @dev The step of a sum's element and its number of tiles. The element's leaf has to be in the parent, which holds leaves.
    function _sum(uint256 parent, uint256 shape, uint256 position, Programs.Program memory program)
        private
        view
        returns (Programs.Step memory step, uint256 tiles)
    {
        if (Positions.height(parent) > Machine.CONTENT_LEVELS) {
            revert IChallenges.BadPosition("parent's height", Positions.height(parent), Machine.CONTENT_LEVELS);
        }
        uint256 row = Positions.index(position);
        uint256 rows = Shapes.rows(shape.nPrompt(), shape.nTokens());
        if (row >= rows) revert IChallenges.BadPosition("index", row, rows);
        uint256 steps = Programs.stepCount(program);
        if (Positions.a(position) >= steps) revert IChallenges.BadPosition("a", Positions.a(position), steps);
        step = Programs.step(program, Positions.a(position));
        if (step.inTail && row + 1 < shape.nPrompt()) revert IChallenges.AbsentNode(position);
        uint256 elements;
        if (step.op == Machine.OP_MATMUL) {
            (elements, tiles) = (step.dims[0], _tiles(step.dims[1]));
        } else if (step.op == Machine.OP_NORM_STAT) {
            (elements, tiles) = (1, _tiles(step.dims[0]));
        } else if (step.op == Machine.OP_ATTN_SUM) {
            (elements, tiles) = (step.dims[0], _tiles(row + 1));
        } else if (step.op == Machine.OP_ATTN_MIX) {
            (elements, tiles) = (uint256(step.dims[0]) * step.dims[2], _tiles(row + 1));
        } else {
            revert IChallenges.BadPosition("operation", step.op, Machine.OP_MATMUL);
        }
        uint256 element = Positions.b(position);
        if (element >= elements) revert IChallenges.BadPosition("b", element, elements);
        uint256 leaf = (row << shape.rowDepth()) + step.firstLeaf + element / Machine.F32_LEAF_ELEMENTS;
        if (leaf >> Positions.height(parent) != Positions.index(parent)) {
            revert IChallenges.BadPosition("leaf", leaf >> Positions.height(parent), Positions.index(parent));
        }
    }

    /// @dev `shape` is that of the totals.
    function _tile(uint256 parent, uint256 shape, uint256 position) private pure returns (uint256) {
        uint256 op = shape.rowDepth();
        if (op != Machine.OP_ATTN_SUM && op != Machine.OP_ATTN_MIX) {
            revert IChallenges.BadPosition("operation", op, Machine.OP_ATTN_MIX);
        }
        uint256 tiles = shape.count() / 4;
        uint256 c = Positions.c(position);
        if (c >= tiles) revert IChallenges.BadPosition("c", c, tiles);
        _same(position, _of(parent, position, Positions.b(position), c));
        uint256 addends = Contents.tileAddends(Positions.index(position), c);
        uint256 length = Contents.tileHead(addends) + addends * (op == Machine.OP_ATTN_MIX ? 6 : 4);
        return Shapes.pack(shape.nPrompt(), shape.nTokens(), length, 0, op);
    }

    /// @dev The position with the fields that totals and tiles use.
    function _of(uint256 parent, uint256 position, uint32 element, uint256 c) private pure returns (uint256) {
        return Positions.posted(
            Positions.kind(position),
            Positions.lane(parent),
            Positions.run(parent),
            Positions.index(position),
            Positions.a(position),
            element,
            uint32(c)
        );
    }

    /// @dev A position of posted contents of the parent's run; under a job of any run that there is.
    function _inRun(uint256 parent, uint256 position, uint8 kind, uint256 index, uint256 a, uint256 b)
        private
        pure
        returns (uint256)
    {
        uint8 run = Positions.kind(parent) == Machine.NODE_JOB ? Positions.run(position) : Positions.run(parent);
        return Positions.posted(kind, Positions.lane(parent), run, uint64(index), uint32(a), uint32(b), 0);
    }

    function _saysMalformed(IVouchers.Run calldata run) private pure returns (bool) {
        return run.nPrompt == 1 && run.nTokens == 1 && run.finish == Machine.FINISH_TOO_LONG;
    }

    function _leaves(uint256 elements) private pure returns (uint256) {
        return (elements + Machine.TOKEN_LEAF_ELEMENTS - 1) / Machine.TOKEN_LEAF_ELEMENTS;
    }

    function _tiles(uint256 elements) private pure returns (uint256) {
        return (elements + Machine.TILE_ELEMENTS - 1) / Machine.TILE_ELEMENTS;
    }

    function _same(uint256 position, uint256 expected) private pure {
        if (position != expected) revert IChallenges.BadPosition("position", position, expected);
    }
}
