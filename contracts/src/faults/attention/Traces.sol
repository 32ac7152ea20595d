// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../../interfaces/IFaults.sol";
import {IModels} from "../../interfaces/IModels.sol";
import {IVouchers} from "../../interfaces/IVouchers.sol";
import {Machine} from "../../libraries/Machine.sol";
import {Openings} from "../../libraries/Openings.sol";
import {Positions} from "../../libraries/Positions.sol";
import {Programs} from "../../libraries/Programs.sol";
import {Spans} from "./Spans.sol";

/// @title The trace of a case's run
/// @notice `prover/SPEC.md` section 10.1.
library Traces {
    struct Trace {
        Programs.Program program;
        bytes32 root;
        uint256 rows;
        uint256 nPrompt;
        uint256 nTokens;
        bytes32 tokensRoot;
    }

    /// @notice The trace of the run that the case's node is of.
    function load(IModels models, IFaults.Case calldata c) internal view returns (Trace memory trace) {
        uint256 index = Positions.run(c.node.position);
        if (index >= c.job.runs.length || index >= c.job.traceRoots.length) revert IFaults.BadWitness("run");
        IVouchers.Run calldata run = c.job.runs[index];
        (trace.nPrompt, trace.nTokens, trace.tokensRoot) = (run.nPrompt, run.nTokens, run.tokensRoot);
        if (trace.nTokens <= trace.nPrompt) revert IFaults.BadWitness("no trace");
        trace.root = c.job.traceRoots[index];
        trace.rows = trace.nTokens - 1;
        address code = models.programCodeOf(c.modelId);
        trace.program = Programs.load(code);
    }

    /// @notice The root of row `t`.
    function row(Trace memory trace, Openings.Row calldata opened, uint256 t) internal view returns (bytes32) {
        return Openings.row(opened, trace.root, t, trace.rows);
    }

    /// @notice The first leaf, in its row, of the output of step `s`: `Programs.step(s).firstLeaf`, without the rest of the step.
    function firstLeaf(Trace memory trace, uint256 s) internal view returns (uint256 leaf) {
        Programs.Program memory p = trace.program;
        unchecked {
            uint256 head = p.headEntries;
            uint256 body = p.bodyEntries;
            uint256 tail = head + uint256(p.layers) * body;
            uint256 entry = s;
            if (s >= tail) {
                leaf = uint256(p.headLeaves) + uint256(p.layers) * p.bodyLeaves;
                entry = s - tail + head + body;
            } else if (s >= head) {
                uint256 layer = (s - head) / body;
                leaf = p.headLeaves + layer * p.bodyLeaves;
                entry = s - layer * body;
            }
            // The index behind the program has a u32 an entry.
            uint256 place = 1 + Machine.HEADER_BYTES + Machine.ENTRY_BYTES * (head + body + p.tailEntries) + 4 * entry;
            address code = p.code;
            assembly ("memory-safe") {
                mstore(0x00, 0)
                extcodecopy(code, 0x1c, place, 4)
                leaf := add(leaf, mload(0x00))
            }
        }
    }

    /// @notice Checks the span of the leaves that hold `count` elements from `start` on, of a step whose leaves of `each` elements start at `firstLeaf_`.
    /// @return at Where the first of these elements is, in elements from the span's start.
    function span(
        Trace memory trace,
        Openings.Leaf calldata opened,
        bytes32 rowRoot,
        uint256 firstLeaf_,
        uint256 each,
        uint256 start,
        uint256 count
    ) internal view returns (uint256 at) {
        uint256 first = start / each;
        uint256 leaves = (start + count - 1) / each - first + 1;
        Spans.check(opened, rowRoot, firstLeaf_ + first, leaves, trace.program.rowDepth);
        return start % each;
    }

    /// @notice As `span`, beside a leaf of the same row whose path is checked (see `Spans.checkBeside`).
    function spanBeside(
        Trace memory trace,
        Openings.Leaf calldata opened,
        bytes32 rowRoot,
        uint256 firstLeaf_,
        uint256 each,
        uint256 start,
        uint256 count,
        bytes32[] calldata otherPath,
        uint256 otherLeaf
    ) internal view returns (uint256 offset) {
        uint256 first = start / each;
        uint256 leaves = (start + count - 1) / each - first + 1;
        uint256 depth = trace.program.rowDepth;
        Spans.checkBeside(opened, rowRoot, firstLeaf_ + first, leaves, depth, otherPath, otherLeaf);
        return start % each;
    }

    /// @notice Checks that `opened` is the leaf of the row in a node of the trace's tree.
    function inNode(
        Trace memory trace,
        Openings.Leaf calldata opened,
        IFaults.Node calldata node,
        uint256 t,
        uint256 leaf
    ) internal view {
        if (t >= trace.rows) revert IFaults.BadWitness("row");
        Openings.inNode(opened, node, (t << trace.program.rowDepth) | leaf);
    }

    /// @notice The u32, little-endian, at element `i` of a leaf of whose length the caller made sure.
    function word(bytes calldata data, uint256 i) internal pure returns (uint256 w) {
        assembly ("memory-safe") {
            w := shr(224, calldataload(add(data.offset, shl(2, i))))
            w := or(shl(8, and(w, 0x00ff00ff)), and(shr(8, w), 0x00ff00ff))
            w := or(shl(16, and(w, 0xffff)), shr(16, w))
        }
    }

    /// @notice The u16, little-endian, at element `i` of a leaf of whose length the caller made sure.
    function half(bytes calldata data, uint256 i) internal pure returns (uint256 h) {
        assembly ("memory-safe") {
            h := shr(240, calldataload(add(data.offset, shl(1, i))))
            h := or(shl(8, and(h, 0xff)), shr(8, h))
        }
    }
}
