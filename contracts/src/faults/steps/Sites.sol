// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../../interfaces/IFaults.sol";
import {IModels} from "../../interfaces/IModels.sol";
import {IVouchers} from "../../interfaces/IVouchers.sol";
import {Machine} from "../../libraries/Machine.sol";
import {Openings} from "../../libraries/Openings.sol";
import {Positions} from "../../libraries/Positions.sol";
import {Programs} from "../../libraries/Programs.sol";
import {LeafData} from "./LeafData.sol";
import {LeafRange} from "./LeafRange.sol";

/// @title The step and row that a fault is about
library Sites {
    /// @notice A step of a row, and the roots that its leaves are opened under.
    struct Site {
        Programs.Program program;
        Programs.Step step;
        uint256 row;
        uint256 rows;
        bytes32 traceRoot;
        bytes32 tokensRoot;
        bytes32 weightsRoot;
    }

    /// @notice Step `step` of row `row` of the node's run; reverts if there is none.
    function load(IModels models, IFaults.Case calldata c, uint256 row, uint256 step)
        internal
        view
        returns (Site memory s)
    {
        (s.program, s.weightsRoot,) = program(models, c, step);
        fill(s, c, row, step);
    }

    /// @notice The program and the weights of the case's model, and the operation of step `step`; reverts if there is none.
    function program(IModels models, IFaults.Case calldata c, uint256 step)
        internal
        view
        returns (Programs.Program memory p, bytes32 weightsRoot, uint8 op)
    {
        address code;
        (code, weightsRoot) = models.weightsOf(c.modelId);
        p = Programs.load(code);
        if (step >= Programs.stepCount(p)) revert IFaults.BadWitness("step");
        (op,) = Programs.place(p, step);
    }

    /// @notice Fills in what follows from the run of the node, of a site that has its program.
    function fill(Site memory s, IFaults.Case calldata c, uint256 row, uint256 step) internal view {
        uint256 index = Positions.run(c.node.position);
        if (index >= c.job.runs.length || index >= c.job.traceRoots.length) revert IFaults.BadWitness("run");
        IVouchers.Run calldata run = c.job.runs[index];
        // Without a new token there is no trace; the last token is no input.
        s.rows = run.nTokens > run.nPrompt ? run.nTokens - 1 : 0;
        if (row >= s.rows) revert IFaults.BadWitness("row");
        s.step = Programs.step(s.program, step);
        if (s.step.inTail && row + 1 < run.nPrompt) revert IFaults.BadWitness("tail");
        s.row = row;
        s.traceRoot = c.job.traceRoots[index];
        s.tokensRoot = run.tokensRoot;
    }

    /// @notice Checks that a leaf is leaf `leaf` of the step's output, by its path to a trace node of the run of `c.node`.
    function claimed(
        Site memory s,
        IFaults.Case calldata c,
        IFaults.Node calldata node,
        Openings.Leaf calldata opened,
        uint256 leaf
    ) internal view {
        if (
            Positions.kind(node.position) != Machine.NODE_TRACE
                || Positions.lane(node.position) != Positions.lane(c.node.position)
                || Positions.run(node.position) != Positions.run(c.node.position)
        ) revert IFaults.BadWitness("node");
        if (leaf >= s.step.leafCount) revert IFaults.BadWitness("leaf");
        Openings.inNode(opened, node, (s.row << s.program.rowDepth) + s.step.firstLeaf + leaf);
    }

    /// @notice Checks the leaves that hold elements `from` to `end` of input `i`, which is not empty, under the root of the row.
    function input(Site memory s, bytes32 root, Openings.Leaf calldata opened, uint256 i, uint256 from, uint256 end)
        internal
        view
    {
        (uint8 op, uint256 start) = Programs.place(s.program, s.step.inputs[i]);
        unchecked {
            uint256 each = LeafData.elementsOf(op);
            uint256 first = from / each;
            uint256 count = (end - 1) / each - first + 1;
            LeafRange.check(opened, root, start + first, count, s.program.rowDepth, LeafData.bytesOf(op));
        }
    }

    /// @notice Checks tiles `from` to `from + count` of row `row` of the step's weight tensor of `rows` rows of `cols` elements.
    function weights(
        Site memory s,
        Openings.Leaf calldata opened,
        uint256 rows,
        uint256 cols,
        uint256 row,
        uint256 from,
        uint256 count
    ) internal view {
        unchecked {
            uint256 tiles = (cols + Machine.TILE_ELEMENTS - 1) / Machine.TILE_ELEMENTS;
            if (row >= rows || from + count > tiles) revert IFaults.BadWitness("weight index");
            uint256 tileDepth = Programs.log2Ceil(tiles);
            uint256 depth = tileDepth + Programs.log2Ceil(rows);
            uint256 index = (uint256(s.step.weights[0]) << depth) | (row << tileDepth) | from;
            uint256 size = LeafData.weightBytes(s.step.format);
            LeafRange.check(opened, s.weightsRoot, index, count, depth + s.program.weightsDepth, size);
        }
    }

    /// @notice The root of the site's row.
    function rowRoot(Site memory s, Openings.Row calldata opened) internal view returns (bytes32) {
        LeafRange.climb(opened.root, opened.path, s.traceRoot, s.row, Programs.log2Ceil(s.rows));
        return opened.root;
    }
}
