// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IFaults} from "../src/interfaces/IFaults.sol";
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
        IChallenges.Record memory node = _opened(Positions.tree(TRACE, 0, 0, uint8(TRACE_DEPTH), 0));
        bytes32[] memory digests = digestsOf(TRACE, forest, TRACE_DEPTH, 0, 6);
        same(digests.length, 38, "299 rows by 8");
        vm.expectRevert(abi.encodeWithSelector(Trees.WrongCount.selector, 0, 38));
        challenges.revealDigests(claimId, node, none());
        vm.expectRevert(abi.encodeWithSelector(Trees.WrongCount.selector, 39, 38));
        challenges.revealDigests(claimId, node, new bytes32[](39));
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
        same(challenges.slotOf(keyOf(claimId, node)), keccak256(abi.encode(after_)), "slot");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AlreadyRevealed.selector, keyOf(claimId, node)));
        challenges.revealDigests(claimId, after_, digests);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.revealDigests(claimId, node, digests);
    }

    /// @dev Where nothing belongs nothing can stand: a trace with something in a row past the last can't be revealed.
    function test_A14_nothingInPadding() external {
        IFaults.Job memory job_ = job(0);
        bytes32[] memory leaves = new bytes32[](8);
        for (uint256 i = 0; i < 5; ++i) {
            leaves[i] = sha256(leafOf(TOKENS, i));
        }
        leaves[6] = "hidden";
        bytes32[][] memory forest = Forest.grow(leaves);
        job_.runs[0].tokensRoot = forest.root();
        (bytes32 id, IChallenges.Record memory jobNode) = _claimJob(job_);
        vm.recordLogs();
        challenges.openInJob{value: 1 ether}(id, jobNode, job_, Positions.tree(TOKENS, 0, 0, 3, 0));
        _hiddenLeaf(id, opened(), forest);
    }

    function _hiddenLeaf(bytes32 id, IChallenges.Record memory node, bytes32[][] memory forest) private {
        bytes32[] memory digests = new bytes32[](2);
        (digests[0], digests[1]) = (forest[2][0], forest[2][1]);
        // The second is half empty: its leaves are where it shows.
        vm.recordLogs();
        challenges.revealDigests(id, node, digests);
        node = revealed();
        bytes32[] memory path = forest.path(2, 1, 1);
        vm.recordLogs();
        challenges.open{value: 1 ether}(id, node, Positions.tree(TOKENS, 0, 0, 2, 1), forest[2][1], path);
        node = opened();
        bytes[] memory leaves = new bytes[](1);
        leaves[0] = leafOf(TOKENS, 4);
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealLeaves(id, node, leaves);
        leaves = new bytes[](3);
        vm.expectRevert(abi.encodeWithSelector(Trees.WrongCount.selector, 3, 1));
        challenges.revealLeaves(id, node, leaves);
    }

    function test_A24_leavesGiveTheNode() external {
        IChallenges.Record memory node = _opened(Positions.tree(TEXT, 0, 0, 2, 0));
        bytes[] memory leaves = leavesOf(TEXT, 2, 0);
        same(leaves.length, 4, "leaves");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadPosition.selector, "height", 2, 3));
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
        challenges.revealJob(claimId, node, job_, "");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadPosition.selector, "kind", PROMPT, TRACE));
        challenges.revealDigests(claimId, node, none());
    }

    function test_A14_jobsGiveTheirRecord() external {
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        IFaults.Job memory job_ = job(0);
        vm.startPrank(proposer);
        job_.runs[1].nTokens = 2;
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealJob(claimId, node, job_, "");
        job_ = job(0);
        job_.scoreRoot = "x";
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.revealJob(claimId, node, job_, "");
        job_ = job(0);
        job_.traceRoots = new bytes32[](2);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 2, 3));
        challenges.revealJob(claimId, node, job_, "");
        // A run without new tokens has no trace.
        job_ = job(0);
        job_.traceRoots[1] = "x";
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadContents.selector, bytes32("x"), bytes32(0)));
        challenges.revealJob(claimId, node, job_, "");
        job_ = job(0);
        vm.recordLogs();
        challenges.revealJob(claimId, node, job_, "");
        same(revealed().value, keccak256(abi.encode(job_)), "value from now on");
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
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotAuthorised.selector, address(this)));
        challenges.revealJob(claimId, node, job_, "");
        bytes32 hash = challenges.revealHash(claimId, node.position, 0, keccak256(abi.encode(job_)));
        bytes memory other = _sign("attacker", hash);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadSignature.selector, proposer));
        challenges.revealJob(claimId, node, job_, other);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadSignature.selector, proposer));
        challenges.revealJob(claimId, node, job_, "x");
        bytes memory right = _sign("proposer", hash);
        // Not for other trace roots.
        job_.traceRoots[0] = "x";
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadSignature.selector, proposer));
        challenges.revealJob(claimId, node, job_, right);
        challenges.revealJob(claimId, node, job(0), right);
    }

    /// @dev Chain, contract, claim, node and contents are signed.
    function test_A13_signaturesAreOfOneReveal() external {
        bytes32 contents = keccak256("contents");
        bytes32 right = challenges.revealHash(claimId, 1, "parent", contents);
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
                keccak256("Reveal(bytes32 claimId,uint256 position,bytes32 parentKey,bytes32 contentsHash)"),
                claimId,
                uint256(1),
                bytes32("parent"),
                contents
            )
        );
        same(right, keccak256(bytes.concat(hex"1901", domain, message)), "EIP-712");
        check(right != challenges.revealHash("claim", 1, "parent", contents), "claim");
        check(right != challenges.revealHash(claimId, 2, "parent", contents), "node");
        check(right != challenges.revealHash(claimId, 1, "other", contents), "parent");
        check(right != challenges.revealHash(claimId, 1, "parent", "x"), "contents");
        vm.chainId(77);
        check(right != challenges.revealHash(claimId, 1, "parent", contents), "chain");
    }

    function test_A13_contractsThatPropose() external {
        Wallet wallet = new Wallet();
        proposer = address(wallet);
        bytes32 id = claimDigests(proposer, 0, modelId, topDigests(jobsOf(1)));
        IChallenges.Record memory node = openJob(challenger, id, 1);
        IFaults.Job memory job_ = job(0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadSignature.selector, proposer));
        challenges.revealJob(id, node, job_, "any");
        wallet.accept(challenges.revealHash(id, node.position, 0, keccak256(abi.encode(job_))));
        challenges.revealJob(id, node, job_, "any");
    }

    /// @dev A job without a trace is bound by hashes alone: anyone reveals it, and nobody is paid for computing.
    function test_A13_withoutTracesAnyoneReveals() external {
        IFaults.Job memory job_ = job(1);
        (job_.runs[0], job_.runs[2]) = (job_.runs[1], job_.runs[1]);
        job_.traceRoots = new bytes32[](3);
        (bytes32 id, IChallenges.Record memory node) = _openOther(job_);
        vm.prank(attacker);
        challenges.revealJob(id, node, job_, "");
        same(challenges.balanceOf(proposer), 0, "nothing to compute");
        check(challenges.balanceOf(attacker) > 0, "its gas");
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
        IChallenges.Record memory jobNode = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        return openInJobFrom(challenger, claimId, jobNode, position);
    }

    /// @dev Claims another job for the lane, and opens it.
    function _openOther(IFaults.Job memory job_) private returns (bytes32 id, IChallenges.Record memory node) {
        job_.inputId = 0;
        bytes32 record = recordOf(job_);
        id = claimDigests(proposer, 0, modelId, one(record));
        vm.recordLogs();
        vm.deal(address(this), 100 ether);
        challenges.open{value: 1 ether}(id, nothing(), jobAt(0), record, none());
        node = opened();
    }

    function _claimJob(IFaults.Job memory job_) private returns (bytes32 id, IChallenges.Record memory node) {
        (id, node) = _openOther(job_);
        vm.recordLogs();
        vm.prank(proposer);
        challenges.revealJob(id, node, job_, "");
        node = revealed();
    }
}
