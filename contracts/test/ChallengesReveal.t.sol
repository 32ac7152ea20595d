// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IFaults} from "../src/interfaces/IFaults.sol";
import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {Positions} from "../src/libraries/Positions.sol";
import {Trees} from "../src/libraries/Trees.sol";
import {Arena} from "./utils/Arena.sol";
import {Forest} from "./utils/Forest.sol";

/// @dev A wallet that signs by its owner's key, as ERC-1271 has it.
contract Wallet {
    bytes32 public accepted;

    function accept(bytes32 hash) external {
        accepted = hash;
    }

    function isValidSignature(bytes32 hash, bytes calldata) external view returns (bytes4) {
        return hash == accepted ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    receive() external payable {}
}

/// @title Reveals: rules A6, A8, A11 and A13
contract ChallengesRevealTest is Arena {
    using Forest for bytes32[][];

    bytes32 private claimId;

    function setUp() external {
        deployArena();
        claimId = claimed(1);
    }

    // What is revealed is what was opened

    function test_A24_digestsGiveTheNode() external {
        bytes32[][] memory forest = traceForest();
        IChallenges.Record memory node = openTraceFrom(challenger, claimId, _jobNode(), 9, forest);
        bytes32[] memory digests = digestsOf(TRACE, forest, TRACE_TOP, 9, 4);
        same(digests.length, 6, "11 rows by 2");
        vm.expectRevert(abi.encodeWithSelector(Trees.WrongCount.selector, 0, 6));
        challenges.revealDigests(claimId, node, none());
        vm.expectRevert(abi.encodeWithSelector(Trees.WrongCount.selector, 7, 6));
        challenges.revealDigests(claimId, node, new bytes32[](7));
        bytes32 first = digests[0];
        digests[0] = "x";
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealDigests(claimId, node, digests);
        digests[0] = first;
        vm.recordLogs();
        vm.prank(attacker); // anyone
        challenges.revealDigests(claimId, node, digests);
        IChallenges.Record memory after_ = revealed();
        same(after_.value, node.value, "bound from the opening on");
        same(revealedAtOf(after_), time(), "revealed");
        same(slotOf(claimId, node), hashOf(claimId, after_), "slot");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AlreadyRevealed.selector, keyOf(claimId, node)));
        challenges.revealDigests(claimId, after_, digests);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.revealDigests(claimId, node, digests);
    }

    /// @dev Where nothing belongs nothing can stand: a trace with something in a row past the last can't be revealed.
    function test_A14_nothingInPadding() external {
        IFaults.Job memory job_ = job(0);
        // Four full nodes of leaves and half a fifth.
        bytes32[] memory leaves = new bytes32[](32);
        for (uint256 i = 0; i < 18; ++i) {
            leaves[i] = sha256(leafOf(TEXT, i));
        }
        // One in the last node that has some, one where no node is.
        (leaves[19], leaves[30]) = ("hidden", "hidden");
        bytes32[][] memory forest = Forest.grow(leaves);
        (job_.runs[0].textRoot, job_.runs[0].textLength) = (forest.root(), 18 * 256);
        (bytes32 id, IChallenges.Record memory jobNode) = _claimJob(job_);
        IChallenges.Record memory node = _openText(id, jobNode, job_, forest);
        bytes32[] memory digests = _cut(forest[2], 5);
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealDigests(id, node, digests);
        digests = new bytes32[](6);
        vm.expectRevert(abi.encodeWithSelector(Trees.WrongCount.selector, 6, 5));
        challenges.revealDigests(id, node, digests);
        // Only in the half empty one: its leaves are where it shows.
        leaves[30] = 0;
        forest = Forest.grow(leaves);
        job_.runs[0].textRoot = forest.root();
        (id, jobNode) = _claimJob(job_);
        _hiddenLeaf(id, _openText(id, jobNode, job_, forest), forest);
    }

    function _openText(
        bytes32 id,
        IChallenges.Record memory jobNode,
        IFaults.Job memory job_,
        bytes32[][] memory forest
    ) private returns (IChallenges.Record memory) {
        uint256 position = Positions.tree(TEXT, 0, 0, 5, 0);
        bytes32 root = forest.root();
        vm.recordLogs();
        challenges.openInJob{value: 1 ether}(id, jobNode, job_, position, root, none(), newLine());
        return opened();
    }

    function _hiddenLeaf(bytes32 id, IChallenges.Record memory node, bytes32[][] memory forest) private {
        bytes32[] memory digests = _cut(forest[2], 5);
        vm.recordLogs();
        challenges.revealDigests(id, node, digests);
        node = revealed();
        bytes32[] memory path = forest.path(2, 4, 3);
        vm.recordLogs();
        challenges.open{value: 1 ether}(id, node, Positions.tree(TEXT, 0, 0, 2, 4), forest[2][4], path, newLine());
        node = opened();
        bytes[] memory leaves = new bytes[](2);
        for (uint256 i = 0; i < 2; ++i) {
            leaves[i] = leafOf(TEXT, 16 + i);
        }
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealLeaves(id, node, leaves);
        leaves = new bytes[](3);
        vm.expectRevert(abi.encodeWithSelector(Trees.WrongCount.selector, 3, 2));
        challenges.revealLeaves(id, node, leaves);
    }

    function test_A24_leavesGiveTheNode() external {
        IChallenges.Record memory node = _opened(Positions.tree(TEXT, 0, 0, 2, 0));
        bytes[] memory leaves = leavesOf(TEXT, 2, 0);
        same(leaves.length, 4, "leaves");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadPosition.selector, "height", 2, CONTENT_LEVELS + 1));
        challenges.revealDigests(claimId, node, new bytes32[](4));
        bytes memory right = leaves[3];
        leaves[3] = new bytes(289);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 289, 288));
        challenges.revealLeaves(claimId, node, leaves);
        leaves[3] = new bytes(256);
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealLeaves(claimId, node, leaves);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 5, 4));
        challenges.revealLeaves(claimId, node, new bytes[](5));
        leaves[3] = right;
        challenges.revealLeaves(claimId, node, leaves);
    }

    function test_A24_eachKindHasItsForm() external {
        IChallenges.Record memory jobNode = openJob(challenger, claimId, 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadPosition.selector, "kind", JOB, TRACE));
        challenges.revealLeaves(claimId, jobNode, new bytes[](1));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadPosition.selector, "kind", JOB, TRACE));
        challenges.revealDigests(claimId, jobNode, new bytes32[](1));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadPosition.selector, "kind", JOB, TOTALS));
        challenges.revealPosted(claimId, jobNode, "", "");
        jobNode = revealJobFrom(proposer, claimId, jobNode);
        IChallenges.Record memory node =
            openInJobFrom(challenger, claimId, jobNode, Positions.posted(PROMPT, 0, 0, 0, 0, 0, 0));
        IFaults.Job memory job_ = job(0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadPosition.selector, "kind", PROMPT, JOB));
        challenges.revealJob(claimId, node, job_, none(), "");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadPosition.selector, "kind", PROMPT, TRACE));
        challenges.revealDigests(claimId, node, none());
    }

    function test_A14_jobsGiveTheirRecord() external {
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        IFaults.Job memory job_ = job(0);
        bytes32[] memory digests = jobDigests();
        vm.startPrank(proposer);
        job_.runs[1].nTokens = 2;
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealJob(claimId, node, job_, digests, "");
        job_ = job(0);
        job_.scoreRoot = "x";
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealJob(claimId, node, job_, digests, "");
        job_ = job(0);
        job_.traceRoots = new bytes32[](2);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 2, 3));
        challenges.revealJob(claimId, node, job_, digests, "");
        // A run without new tokens has no trace.
        job_ = job(0);
        job_.traceRoots[1] = "x";
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadContents.selector, bytes32("x"), bytes32(0)));
        challenges.revealJob(claimId, node, job_, digests, "");
        job_ = job(0);
        vm.recordLogs();
        challenges.revealJob(claimId, node, job_, digests, "");
        IChallenges.Record memory after_ = revealed();
        same(after_.value, keccak256(abi.encode(job_)), "value from now on");
        check(node.job == 0 && after_.job == after_.value, "and what is below is bound to");
    }

    /// @dev Every run that has a trace, one after the other; nothing else, and nothing left out.
    function test_A24_digestsOfTheTraces() external {
        IFaults.Job memory job_ = job(0);
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        bytes32[] memory right = jobDigests();
        same(right.length, 10 + 9, "299 rows by 32, 70 rows by 8");
        vm.startPrank(proposer);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 0, 10));
        challenges.revealJob(claimId, node, job_, none(), "");
        bytes32[] memory digests = _cut(right, 9);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 9, 10));
        challenges.revealJob(claimId, node, job_, digests, "");
        digests = _cut(right, 18);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 18, 19));
        challenges.revealJob(claimId, node, job_, digests, "");
        digests = _cut(right, 20);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 20, 19));
        challenges.revealJob(claimId, node, job_, digests, "");
        for (uint256 i = 0; i < 19; ++i) {
            digests = _cut(right, 19);
            digests[i] = "x";
            vm.expectPartialRevert(IChallenges.BadContents.selector);
            challenges.revealJob(claimId, node, job_, digests, "");
        }
        // The right ones of another order.
        digests = _cut(right, 19);
        (digests[0], digests[1]) = (right[1], right[0]);
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealJob(claimId, node, job_, digests, "");
        for (uint256 i = 0; i < 19; ++i) {
            digests[i] = right[(i + 10) % 19];
        }
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealJob(claimId, node, job_, digests, "");
        // Roots that they don't lead to.
        job_.traceRoots[2] = "x";
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealJob(claimId, node, job_, right, "");
        challenges.revealJob(claimId, node, job(0), right, "");
        vm.stopPrank();
    }

    /// @dev A trace of one row is as deep as a row: below the root of one run's three levels are published.
    function test_A24_digestsOfOneRow() external {
        IFaults.Job memory job_ = _oneRun();
        bytes32[] memory leaves = new bytes32[](32);
        for (uint256 i = 0; i < ROW_LEAVES; ++i) {
            leaves[i] = sha256(leafOf(TRACE, i));
        }
        bytes32[][] memory forest = Forest.grow(leaves);
        job_.traceRoots[0] = forest.root();
        (bytes32 id, IChallenges.Record memory node) = _openOther(job_);
        // 27 leaves are 7 nodes of four.
        bytes32[] memory digests = _cut(forest[2], 6);
        vm.startPrank(proposer);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 6, 7));
        challenges.revealJob(id, node, job_, digests, "");
        vm.recordLogs();
        digests = _cut(forest[2], 7);
        challenges.revealJob(id, node, job_, digests, "");
        vm.stopPrank();
        node = revealed();
        bytes32[] memory path = forest.path(2, 6, 3);
        uint256 position = Positions.tree(TRACE, 0, 0, 5, 0);
        vm.expectPartialRevert(IChallenges.BadPosition.selector); // the root is none
        challenges.openInJob(id, node, job_, position, forest.root(), none(), 0);
        // In what pads the row, and past it.
        for (uint64 i = 7; i < 9; ++i) {
            position = Positions.tree(TRACE, 0, 0, 2, i);
            vm.expectRevert(abi.encodeWithSelector(IChallenges.AbsentNode.selector, position));
            challenges.openInJob(id, node, job_, position, 0, path, 0);
        }
        position = Positions.tree(TRACE, 0, 0, 2, 6);
        vm.recordLogs();
        challenges.openInJob{value: 1 ether}(id, node, job_, position, forest[2][6], path, newLine());
        node = opened();
        bytes[] memory last = new bytes[](3);
        for (uint256 i = 0; i < 3; ++i) {
            last[i] = leafOf(TRACE, 24 + i);
        }
        challenges.revealLeaves(id, node, last);
    }

    /// @dev Rows below the published ones' height: those of early rows are fewer.
    function test_A24_digestsInsideRows() external {
        IFaults.Job memory job_ = _oneRun();
        (job_.runs[0].nPrompt, job_.runs[0].nTokens) = (2, 4);
        bytes32[] memory leaves = new bytes32[](4 << ROW_DEPTH);
        for (uint256 i = 0; i < 3 << ROW_DEPTH; ++i) {
            // Row 0 has no tail.
            if (i % 32 < (i < 32 ? ROW_LEAVES - TAIL_LEAVES : ROW_LEAVES)) leaves[i] = sha256(leafOf(TRACE, i));
        }
        bytes32[][] memory forest = Forest.grow(leaves);
        job_.traceRoots[0] = forest.root();
        (bytes32 id, IChallenges.Record memory node) = _openOther(job_);
        // Of eight nodes a row five of the first's, seven of the others', none of a fourth row's.
        bytes32[] memory digests = new bytes32[](19);
        for (uint256 i = 0; i < 19; ++i) {
            digests[i] = forest[2][i < 5 ? i : i < 12 ? i + 3 : i + 4];
        }
        vm.startPrank(proposer);
        bytes32[] memory twenty = _cut(digests, 20);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 20, 19));
        challenges.revealJob(id, node, job_, twenty, "");
        vm.recordLogs();
        challenges.revealJob(id, node, job_, digests, "");
        vm.stopPrank();
        node = revealed();
        uint256 position = Positions.tree(TRACE, 0, 0, 2, 5);
        bytes32[] memory path = forest.path(2, 5, 5);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AbsentNode.selector, position));
        challenges.openInJob(id, node, job_, position, forest[2][5], path, 0);
        position = Positions.tree(TRACE, 0, 0, 2, 13);
        path = forest.path(2, 13, 5);
        challenges.openInJob{value: 1 ether}(id, node, job_, position, forest[2][13], path, newLine());
    }

    /// @dev One run with one new token after a prompt of one.
    function _oneRun() private returns (IFaults.Job memory job_) {
        job_ = job(0);
        IVouchers.Run memory run = job_.runs[0];
        (run.nPrompt, run.nTokens) = (1, 2);
        (job_.runs, job_.traceRoots) = (new IVouchers.Run[](1), new bytes32[](1));
        job_.runs[0] = run;
    }

    function _cut(bytes32[] memory list, uint256 count) private pure returns (bytes32[] memory part) {
        part = new bytes32[](count);
        for (uint256 i = 0; i < count && i < list.length; ++i) {
            part[i] = list[i];
        }
    }

    function test_A24_postedContentsHaveOneLength() external {
        IChallenges.Record memory node = _opened(Positions.posted(SELECTION, 0, 0, 71, 0, 0, 0));
        uint256 length = 12 + 2 * 42;
        vm.startPrank(proposer);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, length - 1, length));
        challenges.revealPosted(claimId, node, new bytes(length - 1), "");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, length + 1, length));
        challenges.revealPosted(claimId, node, new bytes(length + 1), "");
        vm.recordLogs();
        challenges.revealPosted(claimId, node, new bytes(length), "");
        same(revealed().value, sha256(abi.encodePacked(new bytes(12), sha256(new bytes(2 * 42)))), "value");
        vm.stopPrank();
    }

    /// @dev Only the data of a transaction that is the call itself can stand for the event's.
    function test_A25_eventsRepeatWhatTransactionsDoNotShow() external {
        bytes memory contents = new bytes(12 + 2 * 42);
        address[3] memory origins = [proposer, challenger, proposer];
        for (uint256 i = 0; i < 3; ++i) {
            IChallenges.Record memory node = _opened(Positions.posted(SELECTION, 0, 0, uint64(70 + i), 0, 0, 0));
            // An account that delegates to code, EIP-7702.
            if (i == 2) vm.etch(proposer, abi.encodePacked(hex"ef0100", address(this)));
            vm.recordLogs();
            vm.prank(proposer, origins[i]);
            challenges.revealPosted(claimId, node, contents, "");
            same(revealedContents().length, i == 0 ? 0 : contents.length, "contents of the event");
        }
    }

    function test_A24_malformedIsAsLongAsItSays() external {
        IChallenges.Record memory node = _opened(Positions.posted(MALFORMED, 0, 1, 0, 0, 0, 0));
        vm.startPrank(proposer);
        bytes memory three = abi.encodePacked(uint32(3), uint32(1), uint32(6), uint32(11));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 4, 4 + 4 * 64));
        challenges.revealPosted(claimId, node, new bytes(4), "");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 8, 4));
        challenges.revealPosted(claimId, node, new bytes(8), "");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 20, 16));
        challenges.revealPosted(claimId, node, bytes.concat(three, "more"), "");
        bytes memory most = bytes.concat(bytes4(uint32(65)), new bytes(4 * 65));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 264, 260));
        challenges.revealPosted(claimId, node, most, "");
        challenges.revealPosted(claimId, node, three, "");
        vm.stopPrank();
    }

    // A13: what no hash binds is the proposer's

    function test_A13_onlyTheProposerOrItsSignature() external {
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        IFaults.Job memory job_ = job(0);
        bytes32[] memory digests = jobDigests();
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotAuthorised.selector, address(this)));
        challenges.revealJob(claimId, node, job_, digests, "");
        bytes32 value = keccak256(abi.encode(job_));
        bytes32 hash = challenges.revealHash(claimId, lineOf(claimId, node), node.position, value);
        bytes memory other = _sign("attacker", hash);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadSignature.selector, proposer));
        challenges.revealJob(claimId, node, job_, digests, other);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadSignature.selector, proposer));
        challenges.revealJob(claimId, node, job_, digests, "x");
        bytes memory right = _sign("proposer", hash);
        // Not for other trace roots.
        job_.traceRoots[0] = "x";
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadSignature.selector, proposer));
        challenges.revealJob(claimId, node, job_, digests, right);
        // Nor for another line, of whomever.
        _notSignedFor(openJob(challenger, claimId, 1), right);
        _notSignedFor(openIn(attacker, claimId, nothing(), jobAt(0), recordOf(job(0)), none(), numberOf(node)), right);
        challenges.revealJob(claimId, node, job(0), digests, right);
    }

    function _notSignedFor(IChallenges.Record memory node, bytes memory signature) private {
        IFaults.Job memory job_ = job(0);
        bytes32[] memory digests = jobDigests();
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadSignature.selector, proposer));
        challenges.revealJob(claimId, node, job_, digests, signature);
    }

    /// @dev Chain, contract, claim, node and contents are signed.
    function test_A13_signaturesAreOfOneReveal() external {
        bytes32 contents = keccak256("contents");
        bytes32 right = challenges.revealHash(claimId, "line", 1, contents);
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Sworn Challenges"),
                keccak256("1"),
                block.chainid,
                address(challenges)
            )
        );
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Reveal(bytes32 claimId,bytes32 line,uint256 position,bytes32 contentsHash)"),
                claimId,
                bytes32("line"),
                uint256(1),
                contents
            )
        );
        same(right, keccak256(bytes.concat(hex"1901", domain, message)), "EIP-712");
        check(right != challenges.revealHash("claim", "line", 1, contents), "claim");
        check(right != challenges.revealHash(claimId, "line", 2, contents), "node");
        check(right != challenges.revealHash(claimId, "other", 1, contents), "line");
        check(right != challenges.revealHash(claimId, "line", 1, "x"), "contents");
        vm.chainId(77);
        check(right != challenges.revealHash(claimId, "line", 1, contents), "chain");
    }

    function test_A13_contractsThatPropose() external {
        Wallet wallet = new Wallet();
        proposer = address(wallet);
        bytes32 id = claimDigests(proposer, 0, modelId, topDigests(jobsOf(1)));
        IChallenges.Record memory node = openJob(challenger, id, 1);
        IFaults.Job memory job_ = job(0);
        bytes32[] memory digests = jobDigests();
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadSignature.selector, proposer));
        challenges.revealJob(id, node, job_, digests, "any");
        wallet.accept(challenges.revealHash(id, lineOf(id, node), node.position, keccak256(abi.encode(job_))));
        challenges.revealJob(id, node, job_, digests, "any");
    }

    /// @dev A job without a trace is bound by hashes alone: anyone reveals it, and nobody is paid for computing.
    function test_A13_withoutTracesAnyoneReveals() external {
        IFaults.Job memory job_ = job(1);
        (job_.runs[0], job_.runs[2]) = (job_.runs[1], job_.runs[1]);
        job_.traceRoots = new bytes32[](3);
        (bytes32 id, IChallenges.Record memory node) = _openOther(job_);
        // Without traces there is nothing to publish either.
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 1, 0));
        challenges.revealJob(id, node, job_, new bytes32[](1), "");
        vm.recordLogs();
        vm.prank(attacker);
        challenges.revealJob(id, node, job_, none(), "");
        node = revealed();
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AbsentNode.selector, Positions.tree(TRACE, 0, 0, 3, 0)));
        challenges.openInJob(id, node, job_, Positions.tree(TRACE, 0, 0, 3, 0), 0, none(), 0);
        same(challenges.balanceOf(proposer), 0, "nothing to compute");
        check(spentOf(node) > 0 && challenges.balanceOf(attacker) == 0, "the gas, which the proposer is owed");
    }

    // A6 and A8: time

    function test_A6_proposersRunOutOfTime() external {
        IChallenges.Record memory node = _opened(Positions.tree(TEXT, 0, 0, 2, 0));
        bytes[] memory leaves = leavesOf(TEXT, 2, 0);
        vm.warp(time() + BUDGET + 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ProposerOutOfTime.selector, BUDGET + 1, BUDGET));
        challenges.revealLeaves(claimId, node, leaves);
        vm.warp(time() - 1);
        vm.recordLogs();
        challenges.revealLeaves(claimId, node, leaves);
        same(proposerSecondsOf(revealed()), BUDGET, "the last second");
    }

    function test_A8_revealedNodesKeepTheClaimAlive() external {
        uint64 end = claims.claimOf(claimId).windowEnd;
        IChallenges.Record memory jobNode = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        same(challenges.stateOf(claimId).aliveUntil, end, "early reveals end with the window");
        vm.warp(end - 3);
        IChallenges.Record memory node = openInJobFrom(challenger, claimId, jobNode, Positions.tree(TEXT, 0, 0, 2, 0));
        vm.warp(end + 5);
        check(!challenges.mayFinalise(claimId, end), "pending");
        revealTree(proposer, claimId, node, new bytes32[][](0));
        same(challenges.stateOf(claimId).aliveUntil, end + 5 + BUDGET, "the challengers' whole budget is left");
        same(challenges.stateOf(claimId).pending, 0, "nothing waits");
        vm.warp(end + 5 + 12);
        node = openInJobFrom(challenger, claimId, jobNode, Positions.tree(OFFSETS, 0, 0, 2, 0));
        same(challengerSecondsOf(node), 17, "of a path from before");
        vm.warp(end + 5 + 14);
        revealTree(proposer, claimId, node, forestOf(OFFSETS));
        same(challenges.stateOf(claimId).aliveUntil, end + 5 + BUDGET, "another node still allows for more");
        vm.warp(end + 5 + BUDGET);
        check(!challenges.mayFinalise(claimId, end), "to the last second");
        vm.warp(end + 5 + BUDGET + 1);
        check(challenges.mayFinalise(claimId, end), "over");
        claims.finalise(claimId);
    }

    function test_A8_untouchedClaims() external {
        uint64 end = claims.claimOf(claimId).windowEnd;
        vm.warp(end);
        check(!challenges.mayFinalise(claimId, end), "in the window");
        vm.warp(end + 1);
        check(challenges.mayFinalise(claimId, end), "after it");
    }

    function _sign(string memory name, bytes32 hash) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(uint256(keccak256(bytes(name))) >> 1, hash);
        return abi.encodePacked(r, s, v);
    }

    function _opened(uint256 position) private returns (IChallenges.Record memory) {
        return openInJobFrom(challenger, claimId, _jobNode(), position);
    }

    function _jobNode() private returns (IChallenges.Record memory) {
        return revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
    }

    /// @dev Claims another job for the lane, and opens it.
    function _openOther(IFaults.Job memory job_) private returns (bytes32 id, IChallenges.Record memory node) {
        job_.inputId = 0;
        bytes32 record = recordOf(job_);
        id = claimDigests(proposer, 0, modelId, one(record));
        vm.recordLogs();
        vm.deal(address(this), 100 ether);
        challenges.open{value: 1 ether}(id, nothing(), jobAt(0), record, none(), newLine());
        node = opened();
    }

    function _claimJob(IFaults.Job memory job_) private returns (bytes32 id, IChallenges.Record memory node) {
        (id, node) = _openOther(job_);
        bytes32[] memory digests = jobDigests();
        vm.recordLogs();
        vm.prank(proposer);
        challenges.revealJob(id, node, job_, digests, "");
        node = revealed();
    }
}
