// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IClaims} from "../src/interfaces/IClaims.sol";
import {IFaults} from "../src/interfaces/IFaults.sol";
import {IInbox} from "../src/interfaces/IInbox.sol";
import {IInputParams} from "../src/interfaces/IInputParams.sol";
import {Positions} from "../src/libraries/Positions.sol";
import {Arena} from "./utils/Arena.sol";
import {Forest} from "./utils/Forest.sol";
import {Naive} from "./utils/Naive.sol";

/// @title Openings: rules A5 to A7, A11 and A24
contract ChallengesOpenTest is Arena {
    using Forest for bytes32[][];

    bytes32 private claimId;

    function setUp() external {
        deployArena();
        claimId = claimed(3);
    }

    function test_A24_theRecordIsStoredAsItsHash() external {
        IChallenges.Record memory record = openJob(challenger, claimId, 3);
        same(record.position, jobAt(2), "position");
        check(record.parentHash == 0 && record.job == 0, "under the claim");
        same(record.value, recordOf(job(2)), "value");
        same(openerOf(record), challenger, "opener");
        same(openedAtOf(record), time(), "opened now");
        check(revealedAtOf(record) == 0 && proposerSecondsOf(record) == 0 && spentOf(record) == 0, "nothing yet");
        bytes32 line = challenges.lineOf(claimId, challenger, numberOf(record));
        same(line, lineOf(claimId, record), "line");
        same(challenges.slotOf(line), hashOf(claimId, record), "slot");
        IChallenges.State memory state = challenges.stateOf(claimId);
        same(state.windowEnd, claims.claimOf(claimId).windowEnd, "window");
        same(state.aliveUntil, state.windowEnd, "alive");
        same(state.pending, 1, "pending");
        check(!state.fallen, "standing");
        same(address(challenges).balance, prepaidOf(record), "money");
    }

    function test_A24_pathsLeadToTheParent() external {
        bytes32[] memory path = Naive.path(jobsOf(3), 2, 1);
        bytes32 value = recordOf(job(2));
        uint256 price = priceFor(claimId, nothing(), jobAt(2));
        vm.expectPartialRevert(IChallenges.BadPath.selector);
        challenges.open{value: price}(claimId, nothing(), jobAt(2), "x", path, 0);
        vm.expectPartialRevert(IChallenges.BadPath.selector);
        challenges.open{value: price}(claimId, nothing(), jobAt(1), value, path, 0);
        path[0] = "x";
        vm.expectPartialRevert(IChallenges.BadPath.selector);
        challenges.open{value: price}(claimId, nothing(), jobAt(2), value, path, 0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 0, 2));
        challenges.open{value: price}(claimId, nothing(), jobAt(2), value, none(), 0);
    }

    function test_A24_nothingOutsideTheShape() external {
        bytes32[] memory path = Naive.path(jobsOf(3), 2, 1);
        // The fourth leaf of the tree over three jobs.
        _refused(nothing(), jobAt(3), abi.encodeWithSelector(IChallenges.AbsentNode.selector, jobAt(3)));
        _refused(nothing(), jobAt(4), abi.encodeWithSelector(IChallenges.BadPosition.selector, "index", 1, 0));
        uint256 odd = Positions.tree(JOB, 2, 1, 0, 0);
        _refused(nothing(), odd, abi.encodeWithSelector(IChallenges.BadPosition.selector, "position", odd, jobAt(2)));
        odd = jobAt(2) | 1;
        _refused(nothing(), odd, abi.encodeWithSelector(IChallenges.BadPosition.selector, "position", odd, jobAt(2)));
        // Nothing but jobs is under a claim of so few.
        odd = Positions.tree(CLAIM, 0, 0, 2, 0);
        vm.expectPartialRevert(IChallenges.BadPosition.selector);
        challenges.open(claimId, nothing(), odd, "x", path, 0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotLive.selector, bytes32("other")));
        challenges.open("other", nothing(), jobAt(2), "x", path, 0);
    }

    function test_A24_parentsAreRevealedAndBrought() external {
        IChallenges.Record memory parent = openJob(challenger, claimId, 3);
        IFaults.Job memory job_ = job(2);
        uint256 position = Positions.tree(TOKENS, 2, 0, 3, 0);
        bytes32 root = job_.runs[0].tokensRoot;
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotRevealed.selector, keyOf(claimId, parent)));
        challenges.openInJob(claimId, parent, job_, position, root, none(), 0);
        parent = revealJobFrom(proposer, claimId, parent);
        IChallenges.Record memory other = abi.decode(abi.encode(parent), (IChallenges.Record));
        other.funds += 1 << 104;
        vm.expectRevert(
            abi.encodeWithSelector(
                IChallenges.WrongRecord.selector,
                lineOf(claimId, parent),
                hashOf(claimId, other),
                hashOf(claimId, parent)
            )
        );
        challenges.openInJob(claimId, other, job_, position, root, none(), 0);
        // Of another claim the same record is none.
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.openInJob("other claim", parent, job_, position, root, none(), 0);
        job_.runs[0].nTokens += 1;
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.openInJob(claimId, parent, job_, position, root, none(), 0);
        // The root is the job's.
        job_ = job(2);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadPath.selector, bytes32("x"), root));
        challenges.openInJob(claimId, parent, job_, position, "x", none(), 0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 1, 0));
        challenges.openInJob(claimId, parent, job_, position, root, new bytes32[](1), 0);
        openInJobFrom(challenger, claimId, parent, position);
    }

    function test_A24_childrenOfAJob() external {
        IChallenges.Record memory parent = _job();
        // The root of each tree stands at its depth.
        openInJobFrom(challenger, claimId, parent, Positions.tree(TOKENS, 2, 0, 3, 0));
        openInJobFrom(challenger, claimId, parent, Positions.tree(OFFSETS, 2, 0, 2, 0));
        openInJobFrom(challenger, claimId, parent, Positions.tree(TEXT, 2, 0, 2, 0));
        bytes32[][] memory forest = traceForest();
        IChallenges.Record memory trace = openTraceFrom(challenger, claimId, parent, 9, forest);
        same(trace.value, forest[TRACE_TOP][9], "a published node");
        check(trace.parentHash == hashOf(claimId, parent) && trace.job == parent.value, "whose it is");
        same(trace.shape, _shape(ROW_LEAVES, TAIL_LEAVES, ROW_DEPTH), "shape of a trace");
        IChallenges.Record memory posted = openInJobFrom(challenger, claimId, parent, _posted(SELECTION, 0, 71, 0, 0));
        same(posted.value, 0, "posted contents have no digest");
        // 8 leaves in groups of 4.
        same(posted.shape, _shape(12 + 2 * 42, 512, 0), "shape of a selection");
        posted = openInJobFrom(challenger, claimId, parent, _posted(PROMPT, 0, 0, 0, 0));
        same(posted.shape, _shape(2 * 8, 0, 0), "shape of a prompt");
        posted = openInJobFrom(challenger, claimId, parent, _posted(MALFORMED, 1, 0, 0, 0));
        same(countOf(posted), 4 + 64 * 4, "shape of a malformed payload's");

        // Not at another height, nor another index, nor of a run that isn't there.
        uint256 right = Positions.tree(TOKENS, 2, 0, 3, 0);
        _refusedInJob(parent, Positions.tree(TOKENS, 2, 0, 2, 0), "position", right);
        _refusedInJob(parent, Positions.tree(TOKENS, 2, 0, 3, 1), "position", right);
        _refusedInJob(parent, Positions.tree(TOKENS, 1, 0, 3, 0), "position", right);
        _refusedInJob(parent, right | 1, "position", right);
        _refusedInJob(parent, _posted(TOKENS, 3, 0, 0, 0), "run", 3);
        _refusedInJob(parent, jobAt(2), "kind", JOB);
        _refusedInJob(parent, Positions.tree(CLAIM, 0, 0, 0, 0), "kind", JOB);
        _refusedInJob(parent, _posted(TOTALS, 0, 0, 0, 0), "kind", JOB);
        _refusedInJob(parent, _posted(GROUP, 0, 71, 0, 0), "kind", JOB);
        _refusedInJob(parent, _posted(STARTS, 0, 0, 0, 0), "kind", JOB);
        _refusedInJob(parent, _posted(14, 0, 0, 0, 0), "kind", JOB);
        // New tokens only are selected.
        _refusedInJob(parent, _posted(SELECTION, 0, 69, 0, 0), "index", N_PROMPT);
        _refusedInJob(parent, _posted(SELECTION, 0, N_TOKENS, 0, 0), "index", N_TOKENS);
        // A run is malformed, or has a prompt.
        _refusedInJob(parent, _posted(MALFORMED, 0, 0, 0, 0), "kind", PROMPT);
        _refusedInJob(parent, _posted(PROMPT, 1, 0, 0, 0), "kind", MALFORMED);
        // Runs without new tokens, or without text.
        _absentInJob(parent, Positions.tree(TRACE, 2, 1, 0, 0));
        _absentInJob(parent, Positions.tree(TRACE, 2, 1, uint8(TRACE_TOP), 0));
        _absentInJob(parent, Positions.tree(OFFSETS, 2, 1, 0, 0));
        _absentInJob(parent, Positions.tree(TEXT, 2, 2, 0, 0));
    }

    /// @dev Nodes of a trace that come with the job, of every run that has one.
    function test_A24_tracesUnderAJob() external {
        IChallenges.Record memory parent = _job();
        IFaults.Job memory job_ = job(2);
        bytes32[][] memory forest = traceForest();
        // Not the root, nor another height than that of the digests that were published.
        uint256 right = _trace(TRACE_TOP, 0);
        for (uint256 at_ = CONTENT_LEVELS; at_ <= TRACE_DEPTH; ++at_) {
            if (at_ != TRACE_TOP) _refusedInJob(parent, _trace(at_, 0), "position", right);
        }
        _refusedInJob(parent, right | 1, "position", right);
        _refusedInJob(parent, Positions.tree(TRACE, 1, 0, uint8(TRACE_TOP), 0), "position", right);
        _refusedInJob(parent, Positions.tree(TRACE, 2, 3, uint8(TRACE_TOP), 0), "run", 3);
        // 299 rows by 32 are 10 nodes of 16.
        for (uint256 i = 10; i < 18; ++i) {
            _absentInJob(parent, _trace(TRACE_TOP, i));
        }
        bytes32[] memory path = forest.path(TRACE_TOP, 4, JOB_LEVELS);
        bytes32 value = forest[TRACE_TOP][4];
        vm.expectPartialRevert(IChallenges.BadPath.selector);
        challenges.openInJob(claimId, parent, job_, _trace(TRACE_TOP, 5), value, path, 0);
        vm.expectPartialRevert(IChallenges.BadPath.selector);
        challenges.openInJob(claimId, parent, job_, _trace(TRACE_TOP, 4), "x", path, 0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 0, JOB_LEVELS));
        challenges.openInJob(claimId, parent, job_, _trace(TRACE_TOP, 4), value, none(), 0);
        _shortTrace(parent, job_, path, value);
    }

    /// @dev Of run 2, which has a depth of its own.
    function _shortTrace(
        IChallenges.Record memory parent,
        IFaults.Job memory job_,
        bytes32[] memory path,
        bytes32 value
    ) private {
        uint256 top = SHORT_DEPTH - JOB_LEVELS;
        uint256 position = Positions.tree(TRACE, 2, 2, uint8(top), 4);
        _refusedInJob(parent, Positions.tree(TRACE, 2, 2, uint8(TRACE_TOP), 4), "position", position);
        // Of the other run's trace nothing is in it.
        vm.expectPartialRevert(IChallenges.BadPath.selector);
        challenges.openInJob(claimId, parent, job_, position, value, path, 0);
        bytes32[][] memory forest = shortForest();
        path = forest.path(top, 4, JOB_LEVELS);
        vm.deal(address(this), 1 ether);
        vm.recordLogs();
        challenges.openInJob{value: 1 ether}(claimId, parent, job_, position, forest[top][4], path, 0);
        uint256 shape = _shape(ROW_LEAVES, TAIL_LEAVES, ROW_DEPTH);
        same(opened().shape, shape - (uint256(N_TOKENS - N_PROMPT - 1) << 32), "the run's own tokens");
        _absentInJob(parent, Positions.tree(TRACE, 2, 2, uint8(top), 9));
    }

    function test_A24_childrenOfATree() external {
        IChallenges.Record memory jobNode = _job();
        bytes32[][] memory forest = traceForest();
        // 14 levels: 4 come with the job, then 4 and 4 are opened. 10 high is 32 rows.
        IChallenges.Record memory last = openTraceFrom(challenger, claimId, jobNode, 9, forest);
        last = revealTree(proposer, claimId, last, forest);
        // Rows 288 to 319, of which there are 11: 6 nodes of two.
        uint256 position = _trace(6, 149);
        IChallenges.Record memory node =
            openFrom(challenger, claimId, last, position, forest[6][149], forest.path(6, 149, 4));
        same(node.shape, last.shape, "a tree has one shape");
        same(node.parentHash, hashOf(claimId, last), "parent's hash");
        same(node.job, jobNode.value, "the job it is under");
        _refused(last, _trace(6, 150), abi.encodeWithSelector(IChallenges.AbsentNode.selector, _trace(6, 150)));
        _refused(last, _trace(6, 160), abi.encodeWithSelector(IChallenges.BadPosition.selector, "index", 10, 9));
        _refused(last, _trace(6, 143), abi.encodeWithSelector(IChallenges.BadPosition.selector, "index", 8, 9));
        position = _trace(5, 149);
        _refused(
            last,
            position,
            abi.encodeWithSelector(IChallenges.BadPosition.selector, "position", position, _trace(6, 149))
        );
        position = Positions.tree(TOKENS, 2, 0, 2, 0);
        _refused(last, position, abi.encodeWithSelector(IChallenges.BadPosition.selector, "kind", TOKENS, TRACE));

        // Rows 68 and 69: only from row 69 on there are logits.
        uint256 leaf = (69 << ROW_DEPTH) + 24;
        node = descend(claimId, jobNode, TRACE, leaf, 6, forest);
        openFrom(challenger, claimId, node, _trace(2, leaf >> 2), forest[2][leaf >> 2], forest.path(2, leaf >> 2, 4));
        leaf = (68 << ROW_DEPTH) + 24;
        position = _trace(2, leaf >> 2);
        _refused(node, position, abi.encodeWithSelector(IChallenges.AbsentNode.selector, position));
        // Below the lowest nodes there are bytes.
        node = descend(claimId, jobNode, OFFSETS, 0, 2, forestOf(OFFSETS));
        position = Positions.tree(OFFSETS, 2, 0, 1, 0);
        _refused(node, position, abi.encodeWithSelector(IChallenges.BadPosition.selector, "kind", OFFSETS, 0));
    }

    function test_A24_totalsAndTiles() external {
        IChallenges.Record memory jobNode = _job();
        bytes32[][] memory forest = traceForest();
        // Row 260: leaves 0 to 7 are of steps 0 to 7, four in a node.
        uint64 row = 260;
        uint256 first = uint256(row) << ROW_DEPTH;
        IChallenges.Record memory node = descend(claimId, jobNode, TRACE, first, CONTENT_LEVELS, forest);
        IChallenges.Record memory high = openFrom(challenger, claimId, node, _posted(TOTALS, 0, row, 1, 0), 0, none());
        same(high.shape, _shape(32, 0, 2), "norm_stat of 8 tiles");
        IChallenges.Record memory child = openFrom(challenger, claimId, node, _posted(TOTALS, 0, row, 2, 63), 0, none());
        same(child.shape, _shape(32, 0, 5), "matmul of 8 tiles");
        _refusedUnder(node, _posted(TOTALS, 0, row, 2, 64), "b", 64);
        _refusedUnder(node, _posted(TOTALS, 0, row, 1, 1), "b", 1);
        _refusedUnder(node, _posted(TOTALS, 0, row, 3, 0), "tiles", 4); // short enough
        _refusedUnder(node, _posted(TOTALS, 0, row, 0, 0), "operation", 1); // embed
        _refusedUnder(node, _posted(TOTALS, 0, row, 18, 0), "a", 18); // there are 18 steps
        _refusedUnder(node, _posted(TOTALS, 0, row, 10, 0), "leaf", (first + 11) >> CONTENT_LEVELS); // the other layer's leaf
        _refusedUnder(node, _posted(TOTALS, 0, row + 1, 2, 0), "leaf", (first + 34) >> CONTENT_LEVELS);
        _refusedUnder(node, _posted(TOTALS, 0, 299, 2, 0), "index", 299);
        uint256 odd = _posted(TOTALS, 0, row, 2, 0) | (1 << 40);
        _refusedUnder(node, odd, "position", odd);
        odd = _posted(TOTALS, 1, row, 2, 0);
        _refusedUnder(node, odd, "position", odd);
        // Posted contents have no digest and no path.
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.open(claimId, node, _posted(TOTALS, 0, row, 2, 1), "x", none(), 0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 1, 0));
        challenges.open(claimId, node, _posted(TOTALS, 0, row, 2, 1), 0, new bytes32[](1), 0);
        // Totals of a matmul have no tiles to open.
        child = revealPostedFrom(proposer, claimId, child);
        _refusedUnder(child, _posted(TILE, 0, row, 2, 63), "operation", 5);
        _refusedUnder(node, _posted(TOTALS, 0, row, 4, 5), "leaf", (first + 4) >> CONTENT_LEVELS);
        _tilesOfAttention(descend(claimId, jobNode, TRACE, first + 4, CONTENT_LEVELS, forest), row);
    }

    function _tilesOfAttention(IChallenges.Record memory parent, uint64 row) private {
        uint256 first = uint256(row) << ROW_DEPTH;
        IChallenges.Record memory node = openFrom(challenger, claimId, parent, _posted(TOTALS, 0, row, 4, 5), 0, none());
        same(node.shape, _shape(8, 0, 5), "f16 matmul of 2 tiles");
        node = openFrom(challenger, claimId, parent, _posted(TOTALS, 0, row, 7, 63), 0, none());
        same(node.shape, _shape(8, 0, 10), "261 positions are 2 tiles");
        // Element 64 of the mix is in the next leaf, that of the next node.
        _refusedUnder(parent, _posted(TOTALS, 0, row, 7, 64), "leaf", (first + 8) >> CONTENT_LEVELS);
        _refusedUnder(parent, _posted(TILE, 0, row, 7, 63), "tiles", 2);
        node = revealPostedFrom(proposer, claimId, node);
        IChallenges.Record memory tile = openFrom(challenger, claimId, node, _tile(row, 7, 63, 0), 0, none());
        same(tile.shape, _shape(256 * 6 + 8 * 4, 0, 10), "a full tile of the mix");
        tile = openFrom(challenger, claimId, node, _tile(row, 7, 63, 1), 0, none());
        same(tile.shape, _shape(5 * 6 + 4, 0, 10), "the last tile");
        _refusedUnder(node, _tile(row, 7, 63, 2), "c", 2);
        _refusedUnder(node, _tile(row, 7, 62, 0), "position", 62);
        _refusedUnder(node, _tile(row, 6, 63, 0), "position", 6);
        _refusedUnder(node, _tile(row + 1, 7, 63, 0), "index", row + 1);
        node = openFrom(challenger, claimId, parent, _posted(TOTALS, 0, row, 6, 1), 0, none());
        node = revealPostedFrom(proposer, claimId, node);
        tile = openFrom(challenger, claimId, node, _tile(row, 6, 1, 0), 0, none());
        same(tile.shape, _shape(256 * 4 + 8 * 4, 0, 9), "a tile of the sum");
    }

    /// @dev Short sums of attention have one tile, right under the leaf.
    function test_A24_theOnlyTile() external {
        IChallenges.Record memory parent =
            descend(claimId, _job(), TRACE, (50 << ROW_DEPTH) + 4, CONTENT_LEVELS, traceForest());
        IChallenges.Record memory tile = openFrom(challenger, claimId, parent, _tile(50, 6, 0, 0), 0, none());
        same(tile.shape, _shape(51 * 4 + 2 * 4, 0, 9), "the only tile");
        _refusedUnder(parent, _tile(50, 6, 0, 1), "c", 1);
        _refusedUnder(parent, _posted(TOTALS, 0, 50, 6, 0), "tiles", 1);
        _refusedUnder(parent, _posted(TILE, 0, 50, 4, 0), "tiles", 2);
    }

    /// @dev Rows of a tail step before the last of the prompt's have no logits.
    function test_A24_noTotalsOfAbsentSteps() external {
        IChallenges.Record memory jobNode = _job();
        IChallenges.Record memory node =
            descend(claimId, jobNode, TRACE, (68 << ROW_DEPTH) + 16, CONTENT_LEVELS, traceForest());
        uint256 position = _posted(TOTALS, 0, 68, 17, 0);
        _refused(node, position, abi.encodeWithSelector(IChallenges.AbsentNode.selector, position));
    }

    function test_A24_selectionsAndPrompts() external {
        IChallenges.Record memory jobNode = _job();
        IChallenges.Record memory tokens = descend(claimId, jobNode, TOKENS, 0, CONTENT_LEVELS, forestOf(TOKENS));
        IChallenges.Record memory node =
            openFrom(challenger, claimId, tokens, _posted(SELECTION, 0, 70, 0, 0), 0, none());
        same(node.shape, _shape(12 + 2 * 42, 512, 0), "selection");
        node = revealPostedFrom(proposer, claimId, node);
        IChallenges.Record memory child = openFrom(challenger, claimId, node, _posted(GROUP, 0, 70, 6, 1), 0, none());
        same(child.shape, _shape(16 * 6, 512, 0), "group");
        _refusedUnder(node, _posted(GROUP, 0, 70, 7, 1), "a", 7);
        _refusedUnder(node, _posted(GROUP, 0, 70, 6, 2), "b", 2);
        _refusedUnder(node, _posted(GROUP, 0, 71, 6, 1), "position", _posted(GROUP, 0, 71, 6, 1));
        // Whether a run has a prompt that can be read its job says.
        _refusedUnder(tokens, _posted(PROMPT, 0, 0, 0, 0), "kind", PROMPT);
        node = openInJobFrom(challenger, claimId, jobNode, _posted(PROMPT, 0, 0, 0, 0));
        node = revealPostedFrom(proposer, claimId, node);
        child = openFrom(challenger, claimId, node, _posted(STARTS, 0, 1, 0, 0), 0, none());
        same(child.shape, _shape(6 * 8, 0, 0), "starts of the last leaf");
        uint256 position = _posted(STARTS, 0, 2, 0, 0);
        _refused(node, position, abi.encodeWithSelector(IChallenges.AbsentNode.selector, position));
        bytes32[][] memory forest = traceForest();
        IChallenges.Record memory trace = openTraceFrom(challenger, claimId, jobNode, 0, forest);
        trace = revealTree(proposer, claimId, trace, forest);
        openFrom(challenger, claimId, trace, _posted(SELECTION, 0, 299, 0, 0), 0, none());
        _refusedUnder(trace, _posted(PROMPT, 0, 0, 0, 0), "kind", PROMPT);
    }

    /// @dev At temperature 0 nothing is drawn.
    function test_A24_noSelectionAtZeroTemperature() external {
        IChallenges.Record memory jobNode = _job();
        IFaults.Job memory job_ = job(2);
        IInbox.Params memory params = inbox.unpackParams(inbox.paramsOf(2));
        params.temperatureMilli = 0;
        bytes memory packed = abi.encode(inbox.packParams(params));
        vm.mockCall(address(inbox), abi.encodeCall(IInputParams.paramsOf, (2)), packed);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadPosition.selector, "temperature", 0, 1));
        challenges.openInJob(claimId, jobNode, job_, _posted(SELECTION, 0, 71, 0, 0), 0, none(), 0);
    }

    /// @dev A lane of more than 64 inputs has a level of claim nodes.
    function test_A24_longLanes() external {
        bytes32[] memory jobs = new bytes32[](70);
        for (uint256 i = 0; i < 70; ++i) {
            jobs[i] = keccak256(abi.encode(i));
        }
        bytes32 id = _claimLong(jobs);
        bytes32[][] memory forest = Forest.grow(jobs);
        same(claims.claimOf(id).root, forest.root(), "root");

        // 7 levels: 4, then 3. The last node of 8 jobs has 6.
        uint256 position = Positions.tree(CLAIM, 0, 0, 3, 8);
        bytes32[] memory path = forest.path(3, 8, 4);
        IChallenges.Record memory node = openFrom(challenger, id, nothing(), position, forest[3][8], path);
        position = Positions.tree(CLAIM, 0, 0, 3, 9);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AbsentNode.selector, position));
        challenges.open(id, nothing(), position, 0, path, 0);
        position = Positions.tree(CLAIM, 0, 0, 1, 8);
        vm.expectPartialRevert(IChallenges.BadPosition.selector);
        challenges.open(id, nothing(), position, 0, path, 0);
        bytes32[] memory six = new bytes32[](6);
        for (uint256 i = 0; i < 6; ++i) {
            six[i] = jobs[64 + i];
        }
        vm.recordLogs();
        challenges.revealDigests(id, node, six);
        node = revealed();
        check(node.job == 0, "no job yet");
        path = forest.path(0, 69, 3);
        IChallenges.Record memory child = goOn(id, node, jobAt(69), jobs[69], path);
        same(child.parentHash, hashOf(id, node), "under the node");
        check(child.job == 0, "nor before it is revealed");
        same(child.shape, 2 * priceOf(1, textPayload("Once upon a time").length), "its own price");
        same(slotOf(id, node), hashOf(id, child), "the line went on");
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.open(id, node, jobAt(70), jobs[69], path, 0);
        node = openFrom(attacker, id, nothing(), Positions.tree(CLAIM, 0, 0, 3, 8), forest[3][8], forest.path(3, 8, 4));
        vm.recordLogs();
        challenges.revealDigests(id, node, six);
        node = revealed();
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AbsentNode.selector, jobAt(70)));
        challenges.open(id, node, jobAt(70), jobs[69], path, 0);
        _nothingToJudge(id, node);
    }

    /// @dev Nodes above the jobs are bound by hashes: there is no job by which they could be judged.
    function _nothingToJudge(bytes32 id, IChallenges.Record memory node) private {
        judge.setGuilty(true);
        IFaults.Job memory job_;
        IChallenges.Record[] memory path = new IChallenges.Record[](1);
        path[0] = node;
        bytes32 found = keccak256(abi.encode(job_));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadContents.selector, found, bytes32(0)));
        challenges.prove(id, path, job_, 16, "", 0);
        job_ = job(0);
        found = keccak256(abi.encode(job_));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadContents.selector, found, bytes32(0)));
        challenges.prove(id, path, job_, 16, "", 0);
        vm.expectRevert(
            abi.encodeWithSelector(IChallenges.BadPosition.selector, "parent's kind", uint256(CLAIM), uint256(JOB))
        );
        challenges.openInJob(id, node, job_, jobAt(69), 0, none(), 0);
    }

    /// @dev Claims 70 inputs in an epoch of their own.
    function _claimLong(bytes32[] memory jobs) private returns (bytes32) {
        vm.roll(1200);
        uint64 epoch = inbox.currentEpoch();
        for (uint256 i = 0; i < 70; ++i) {
            submitFrom(asker, modelId, 1, asker);
        }
        mine(SEAL_DELAY + 1);
        inbox.seal(headerOf(1200 + SEAL_DELAY), 100);
        check(inbox.laneCount(epoch, modelId) == 70, "in one lane");
        endEpoch(epoch);
        bytes32[] memory digests = topDigests(jobs);
        same(digests.length, 9, "nodes of eight jobs");
        bytes32 accumulator = inbox.accumulatorAt(epoch);
        vm.deal(proposer, BOND);
        vm.prank(proposer);
        vm.expectRevert(abi.encodeWithSelector(IClaims.WrongDigests.selector, 10, 9));
        claims.claim{value: BOND}(epoch, modelId, accumulator, new bytes32[](10));
        return claimDigests(proposer, epoch, modelId, digests);
    }

    // A5 and A11: who pays what

    function test_A5_aJobPrepaysTwiceItsPriceToTheProposer() external {
        uint256 jobWei = 2 * priceOf(3, textPayload("Once upon a time").length);
        (, uint256 extraWei) = challenges.quoteOpen(claimId, nothing(), jobAt(2));
        same(extraWei, jobWei, "quoted");
        _needsAllOf(jobWei);
        IChallenges.Record memory record = openJob(challenger, claimId, 3);
        same(record.shape, jobWei, "kept with the node");
        // Whoever reveals, the proposer is owed it.
        IFaults.Job memory job_ = job(2);
        bytes memory signature =
            _sign(challenges.revealHash(claimId, lineOf(claimId, record), jobAt(2), keccak256(abi.encode(job_))));
        bytes32[] memory digests = jobDigests();
        vm.recordLogs();
        vm.prank(attacker);
        challenges.revealJob(claimId, record, job_, digests, signature);
        record = revealed();
        check(spentOf(record) > jobWei, "and the gas");
        same(challenges.balanceOf(proposer) + challenges.balanceOf(attacker), 0, "not before the claim is known right");
        check(prepaidOf(record) > 0, "the rest is the opener's");
    }

    /// @dev An opening of the last job is refused with a wei less than this and the price of its reveal.
    function _needsAllOf(uint256 jobWei) private {
        bytes32[] memory path = Naive.path(jobsOf(3), 2, 1);
        bytes32 value = recordOf(job(2));
        (uint256 gas_,) = challenges.quoteOpen(claimId, nothing(), jobAt(2));
        uint256 price = gas_ * 10 * block.basefee + jobWei;
        vm.deal(challenger, 10 ether);
        vm.prank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotEnoughPaid.selector, price - 1, price));
        challenges.open{value: price - 1}(claimId, nothing(), jobAt(2), value, path, 0);
    }

    function test_A11_prepaymentGoesByTheBaseFee() external {
        bytes32[] memory path = Naive.path(jobsOf(3), 2, 1);
        bytes32 value = recordOf(job(2));
        (uint256 gas_, uint256 extraWei) = challenges.quoteOpen(claimId, nothing(), jobAt(2));
        vm.fee(100 gwei);
        uint256 price = gas_ * 10 * 100 gwei + extraWei;
        vm.deal(challenger, 10 ether);
        vm.prank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotEnoughPaid.selector, price - 1, price));
        challenges.open{value: price - 1}(claimId, nothing(), jobAt(2), value, path, 0);
        vm.deal(address(this), 2 ** 90);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.TooMuchPaid.selector, 2 ** 88));
        challenges.open{value: 2 ** 88}(claimId, nothing(), jobAt(2), value, path, 0);
        // What is above stays the opener's.
        vm.recordLogs();
        vm.prank(challenger);
        challenges.open{value: price + 5}(claimId, nothing(), jobAt(2), value, path, 0);
        same(prepaidOf(opened()), price + 5, "kept");
    }

    // A6 and A7: time

    /// @dev Before the window's end challengers take the time they want, and an accomplice that waits uses up nothing.
    function test_A6_challengersTimeCountsAfterTheWindow() external {
        uint64 end = claims.claimOf(claimId).windowEnd;
        vm.warp(end - 5);
        IChallenges.Record memory node = openJob(attacker, claimId, 3);
        same(challengerSecondsOf(node), 0, "in the window");
        vm.warp(end - 2);
        node = revealJobFrom(proposer, claimId, node);
        same(proposerSecondsOf(node), 3, "the proposer's always counts");
        // From the window's end, not from the reveal.
        vm.warp(end + 7);
        IChallenges.Record memory child = openInJobFrom(attacker, claimId, node, Positions.tree(TOKENS, 2, 0, 3, 0));
        same(challengerSecondsOf(child), 7, "after the window");
        same(proposerSecondsOf(child), 3, "inherited");
        vm.warp(end + 17);
        child = revealTree(proposer, claimId, child, forestOf(TOKENS));
        same(proposerSecondsOf(child), 13, "and added up");
        vm.warp(end + 20);
        IChallenges.Record memory third = openFrom(attacker, claimId, child, _posted(SELECTION, 0, 70, 0, 0), 0, none());
        same(challengerSecondsOf(third), 10, "from the reveal now");
        // A path of its own has clocks of its own.
        child = openInJobFrom(challenger, claimId, node, Positions.tree(TEXT, 2, 0, 2, 0));
        same(challengerSecondsOf(child), 20, "since the window's end");
        same(proposerSecondsOf(child), 3, "of this path");
    }

    function test_A6_challengersRunOutOfTime() external {
        uint64 end = claims.claimOf(claimId).windowEnd;
        IChallenges.Record memory node = _job();
        // Something else keeps the claim alive.
        vm.warp(end);
        openInJobFrom(attacker, claimId, node, Positions.tree(OFFSETS, 2, 0, 2, 0));
        vm.warp(end + BUDGET);
        IChallenges.Record memory last = openInJobFrom(attacker, claimId, node, Positions.tree(TEXT, 2, 0, 2, 0));
        same(challengerSecondsOf(last), BUDGET, "the last second");
        vm.warp(end + BUDGET + 1);
        IFaults.Job memory job_ = job(2);
        bytes32 root = job_.runs[0].tokensRoot;
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ChallengersOutOfTime.selector, BUDGET + 1, BUDGET));
        challenges.openInJob(claimId, node, job_, Positions.tree(TOKENS, 2, 0, 3, 0), root, none(), 0);
        // Under the claim itself too.
        bytes32[] memory path = Naive.path(jobsOf(3), 0, 1);
        bytes32 value = jobsOf(3)[0];
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ChallengersOutOfTime.selector, BUDGET + 1, BUDGET));
        challenges.open(claimId, nothing(), jobAt(0), value, path, 0);
    }

    /// @dev Nobody can bring a record of the claim itself with clocks that suit.
    function test_A6_theClaimItselfHasNoRecord() external {
        vm.warp(claims.claimOf(claimId).windowEnd);
        IChallenges.Record memory parent;
        parent.funds = uint256(7) << 192;
        parent.times = (time() + 100) << 16;
        parent.parentHash = "x";
        parent.job = "x";
        IChallenges.Record memory node =
            openFrom(challenger, claimId, parent, jobAt(2), recordOf(job(2)), Naive.path(jobsOf(3), 2, 1));
        check(challengerSecondsOf(node) == 0 && node.parentHash == 0 && node.job == 0, "as if there were none");
    }

    function test_A7_lateOpeningsCarryADeposit() external {
        uint64 end = claims.claimOf(claimId).windowEnd;
        vm.warp(end - GRACE);
        IChallenges.Record memory node = _job();
        check(!isLate(node), "in time");
        vm.warp(end - GRACE + 1);
        bytes32[] memory path = Naive.path(jobsOf(3), 0, 1);
        bytes32 value = jobsOf(3)[0];
        (uint256 gas_, uint256 extraWei) = challenges.quoteOpen(claimId, nothing(), jobAt(0));
        same(extraWei, 2 * priceOf(3, textPayload("Once upon a time").length) + BOND / 10, "with a tenth of the bond");
        uint256 price = gas_ * 10 * BASE_FEE + extraWei;
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotEnoughPaid.selector, price - 1, price));
        challenges.open{value: price - 1}(claimId, nothing(), jobAt(0), value, path, 0);
        node = openFrom(challenger, claimId, nothing(), jobAt(0), value, path);
        check(isLate(node), "late");
        same(prepaidOf(node), price - BOND / 10, "the deposit is no prepayment");
    }

    function test_A8_notPastFinality() external {
        uint64 end = claims.claimOf(claimId).windowEnd;
        bytes32[] memory path = Naive.path(jobsOf(3), 0, 1);
        bytes32 value = jobsOf(3)[0];
        vm.warp(end + 1);
        uint256 price = priceFor(claimId, nothing(), jobAt(0));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.PastFinality.selector, claimId, end, end + 1));
        challenges.open{value: price}(claimId, nothing(), jobAt(0), value, path, 0);
        vm.warp(end);
        openFrom(challenger, claimId, nothing(), jobAt(0), value, path);
    }

    function test_A22_notWhenTheLaneIsFinal() external {
        bytes32 equal = claimDigests(challenger, 0, modelId, topDigests(jobsOf(3)));
        bytes32[] memory path = Naive.path(jobsOf(3), 0, 1);
        bytes32 value = jobsOf(3)[0];
        openJob(challenger, claimId, 3);
        passWindow();
        claims.finalise(equal);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotLive.selector, claimId));
        challenges.open{value: 1 ether}(claimId, nothing(), jobAt(0), value, path, 0);
        claims.resolveRival(claimId);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotLive.selector, claimId));
        challenges.open{value: 1 ether}(claimId, nothing(), jobAt(0), value, path, 0);
    }

    // What the tests above say often

    function _job() private returns (IChallenges.Record memory) {
        return revealJobFrom(proposer, claimId, openJob(challenger, claimId, 3));
    }

    function _shape(uint256 count, uint256 tail, uint256 rowDepth) private pure returns (uint256) {
        return N_PROMPT | (uint256(N_TOKENS) << 32) | (count << 64) | (tail << 128) | (rowDepth << 160);
    }

    function _trace(uint256 height, uint256 index) private pure returns (uint256) {
        return Positions.tree(TRACE, 2, 0, uint8(height), uint64(index));
    }

    function _posted(uint8 kind, uint8 run, uint64 index, uint32 a, uint32 b) private pure returns (uint256) {
        return Positions.posted(kind, 2, run, index, a, b, 0);
    }

    function _tile(uint64 row, uint32 step, uint32 element, uint32 tile) private pure returns (uint256) {
        return Positions.posted(TILE, 2, 0, row, step, element, tile);
    }

    function _sign(bytes32 hash) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(uint256(keccak256("proposer")) >> 1, hash);
        return abi.encodePacked(r, s, v);
    }

    function _refused(IChallenges.Record memory parent, uint256 position, bytes memory error_) private {
        vm.expectRevert(error_);
        challenges.quoteOpen(claimId, parent, position);
        vm.expectRevert(error_);
        challenges.open(claimId, parent, position, 0, none(), 0);
    }

    function _refusedUnder(IChallenges.Record memory parent, uint256 position, string memory field, uint256 found)
        private
    {
        try challenges.open(claimId, parent, position, 0, none(), 0) {
            revert NotTrue("refused");
        } catch (bytes memory error_) {
            _isBadPosition(error_, field, found, false);
        }
    }

    function _refusedInJob(IChallenges.Record memory parent, uint256 position, string memory field, uint256 expected)
        private
    {
        IFaults.Job memory job_ = job(2);
        try challenges.openInJob(claimId, parent, job_, position, 0, none(), 0) {
            revert NotTrue("refused");
        } catch (bytes memory error_) {
            _isBadPosition(error_, field, expected, true);
        }
    }

    function _isBadPosition(bytes memory error_, string memory field, uint256 value, bool isExpected) private pure {
        same(bytes32(bytes4(error_)), bytes32(IChallenges.BadPosition.selector), "BadPosition");
        assembly ("memory-safe") {
            mstore(add(error_, 4), sub(mload(error_), 4))
            error_ := add(error_, 4)
        }
        (string memory found, uint256 first, uint256 second) = abi.decode(error_, (string, uint256, uint256));
        same(found, field, "field");
        same(isExpected ? second : first, value, "value");
    }

    function _absentInJob(IChallenges.Record memory parent, uint256 position) private {
        IFaults.Job memory job_ = job(2);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AbsentNode.selector, position));
        challenges.openInJob(claimId, parent, job_, position, 0, none(), 0);
    }
}
