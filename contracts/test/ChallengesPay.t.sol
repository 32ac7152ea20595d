// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IFaults} from "../src/interfaces/IFaults.sol";
import {Positions} from "../src/libraries/Positions.sol";
import {Arena} from "./utils/Arena.sol";
import {Forest} from "./utils/Forest.sol";

/// @title What is paid for reveals, proofs and reclaims: rules A9 to A11
/// @dev Calls run inside the test's own transaction: whole transactions (`isolate`) have no base fee. So what a reveal costs is what its call took, as the first
/// of its test (then everything is cold), and what a transaction pays for its data.
contract ChallengesPayTest is Arena {
    using Forest for bytes32[][];

    bytes32 private claimId;
    bytes32 private _second;
    IChallenges.Record private _job;
    IChallenges.Record private _closedJob;
    IChallenges.Record private _closedRoot;
    IChallenges.Record private _leaves;
    IChallenges.Record private _posted;
    uint256 private _owedWei;

    function setUp() external {
        deployArena();
        claimId = claimed(1);
        _second = claimDigests(attacker, 0, modelId, topDigests(jobsOf(1)));
        _closedJob = openJob(challenger, _second, 1);
        _job = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        _closedRoot = openTraceFrom(challenger, claimId, _job, 0, traceForest());
        _leaves = openInJobFrom(challenger, claimId, _job, Positions.tree(TEXT, 0, 0, 2, 0));
        _posted = openInJobFrom(challenger, claimId, _job, Positions.posted(SELECTION, 0, 0, 99, 0, 0, 0));
        judge.setGuilty(true);
    }

    function test_A11_jobs() external {
        IFaults.Job memory job_ = job(0);
        bytes32[] memory digests = jobDigests();
        IChallenges.Record memory node = _closedJob;
        vm.recordLogs();
        vm.prank(attacker);
        challenges.revealJob(_second, node, job_, digests, "");
        uint256 cost = _cost(abi.encodeCall(challenges.revealJob, (_second, node, job_, digests, "")));
        uint256 jobWei = node.shape;
        node = revealed();
        _fair(node, spentOf(node) - jobWei, cost);
    }

    function test_A11_digests() external {
        bytes32[] memory digests = digestsOf(TRACE, traceForest(), TRACE_TOP, 0, 4);
        IChallenges.Record memory node = _closedRoot;
        vm.recordLogs();
        vm.prank(proposer);
        challenges.revealDigests(claimId, node, digests);
        uint256 cost = _cost(abi.encodeCall(challenges.revealDigests, (claimId, node, digests)));
        node = revealed();
        _fair(node, spentOf(node), cost);
    }

    function test_A11_digestsBySomebodyNew() external {
        bytes32[] memory digests = digestsOf(TRACE, traceForest(), TRACE_TOP, 0, 4);
        IChallenges.Record memory node = _closedRoot;
        vm.recordLogs();
        vm.prank(attacker);
        challenges.revealDigests(claimId, node, digests);
        uint256 cost = _cost(abi.encodeCall(challenges.revealDigests, (claimId, node, digests)));
        node = revealed();
        _fair(node, spentOf(node), cost);
    }

    function test_A11_leaves() external {
        bytes[] memory leaves = leavesOf(TEXT, 2, 0);
        IChallenges.Record memory node = _leaves;
        vm.recordLogs();
        vm.prank(proposer);
        challenges.revealLeaves(claimId, node, leaves);
        uint256 cost = _cost(abi.encodeCall(challenges.revealLeaves, (claimId, node, leaves)));
        node = revealed();
        _fair(node, spentOf(node), cost);
    }

    function test_A11_posted() external {
        bytes memory contents = new bytes(countOf(_posted));
        IChallenges.Record memory node = _posted;
        vm.recordLogs();
        vm.prank(proposer);
        challenges.revealPosted(claimId, node, contents, "");
        uint256 cost = _cost(abi.encodeCall(challenges.revealPosted, (claimId, node, contents, "")));
        node = revealed();
        _fair(node, spentOf(node), cost);
    }

    /// @dev Who proves is paid the cost and a tenth as well.
    function test_A10_proofsArePaid() external {
        IChallenges.Record[] memory path = new IChallenges.Record[](1);
        path[0] = _job;
        IFaults.Job memory job_ = job(0);
        vm.recordLogs();
        vm.prank(attacker);
        challenges.prove(claimId, path, job_, 16, "witness", 0);
        uint256 cost = _cost(abi.encodeCall(challenges.prove, (claimId, path, job_, 16, "witness", 0)));
        uint256 paidWei = challenges.balanceOf(attacker);
        same(paidWei, BOND / 4 - proven().rewardWei, "of the rewards");
        _between(paidWei, cost);
    }

    /// @dev The owner's part waits for the settlement; it is measured without a new balance.
    function test_A10_ownersProofsArePaid() external {
        IChallenges.Record[] memory path = new IChallenges.Record[](1);
        path[0] = _job;
        IFaults.Job memory job_ = job(0);
        vm.recordLogs();
        vm.prank(challenger);
        challenges.prove(claimId, path, job_, 16, "witness", 0);
        uint256 cost = _cost(abi.encodeCall(challenges.prove, (claimId, path, job_, 16, "witness", 0)));
        IChallenges.Verdict memory verdict = proven();
        same(challenges.balanceOf(challenger), 0, "not now");
        same(verdict.senderWei, BOND / 4 - verdict.rewardWei, "of the rewards");
        // The measure counts a balance that isn't written.
        _between(verdict.senderWei, cost + 5_000);
        check(verdict.senderWei > cost * BASE_FEE * 11 / 10, "no less than the cost");
    }

    function test_A10_expiriesArePaid() external {
        vm.warp(time() + BUDGET + 1);
        IChallenges.Record memory node = _leaves;
        vm.prank(attacker);
        challenges.expire(claimId, node);
        uint256 cost = _cost(abi.encodeCall(challenges.expire, (claimId, node)));
        _between(challenges.balanceOf(attacker), cost);
    }

    /// @dev 200 bogus openings: the proposer answers them all, is owed its costs, and the claim is final in time.
    function test_A9_floodsLeaveTheProposerWhole() external {
        bytes32[][] memory forest = traceForest();
        uint256 costWei = 0;
        uint256 openings = 0;
        for (uint256 i = 0; openings < 200; ++i) {
            IChallenges.Record memory node = openTraceFrom(attacker, claimId, _job, i % 10, forest);
            node = _floodReveal(node, forest);
            costWei += _floodCost();
            ++openings;
            for (uint256 j = 0; j < 6 && openings < 200; ++j) {
                costWei += _floodBranch(node, 16 * (i % 10) + j, forest);
                openings += 3;
            }
        }
        check(openings >= 200, "openings");
        check(_owedWei >= costWei, "made whole");
        vm.warp(time() + 1);
        revealTree(proposer, claimId, _closedRoot, forest);
        revealTree(proposer, claimId, _leaves, forest);
        revealPostedFrom(proposer, claimId, _posted);
        passWindow();
        claims.finalise(claimId);
        same(claims.balanceOf(proposer), BOND, "the bond");
    }

    /// @dev A node of two rows, opened in a line of its own that goes on to leaves, and once more for others; what the reveals cost.
    function _floodBranch(IChallenges.Record memory node, uint256 index, bytes32[][] memory forest)
        private
        returns (uint256 costWei)
    {
        node = openFrom(attacker, claimId, node, _trace(6, index), forest[6][index], forest.path(6, index, 4));
        node = _floodReveal(node, forest);
        costWei = _floodCost();
        index = 16 * index;
        IChallenges.Record memory leaf =
            openFrom(attacker, claimId, node, _trace(2, index), forest[2][index], forest.path(2, index, 4));
        _floodReveal(leaf, forest);
        costWei += _floodCost();
        ++index;
        leaf = goOn(claimId, node, _trace(2, index), forest[2][index], forest.path(2, index, 4));
        _floodReveal(leaf, forest);
        costWei += _floodCost();
    }

    function _floodReveal(IChallenges.Record memory node, bytes32[][] memory forest)
        private
        returns (IChallenges.Record memory)
    {
        uint256 before = spentOf(node);
        node = revealTree(proposer, claimId, node, forest);
        _owedWei += spentOf(node) - before;
        return node;
    }

    /// @dev The gas of a right claim's proposer that takes what it is owed comes of what is left.
    function test_A9_reclaimsOfProposersArePaid() external {
        revealTree(proposer, claimId, _closedRoot, traceForest());
        revealTree(proposer, claimId, _leaves, new bytes32[][](0));
        IChallenges.Record memory node = revealPostedFrom(proposer, claimId, _posted);
        passWindow();
        claims.finalise(claimId);
        // Whose balances are not new.
        challenges.reclaim(claimId, _job);
        (uint256 ofProposer, uint256 ofOpener) = (challenges.balanceOf(proposer), challenges.balanceOf(challenger));
        check(
            challenges.balanceOf(address(this)) == 0 && ofProposer == spentOf(_job), "nobody else gets anything for it"
        );
        vm.prank(proposer);
        challenges.reclaim(claimId, node);
        uint256 cost = _cost(abi.encodeCall(challenges.reclaim, (claimId, node)));
        uint256 paidWei = challenges.balanceOf(proposer) - ofProposer - spentOf(node);
        check(paidWei > cost * BASE_FEE, "its gas");
        same(challenges.balanceOf(challenger) - ofOpener, prepaidOf(node) - paidWei, "of the opener's rest");
    }

    /// @dev Of the last reveal, without its data.
    function _floodCost() private view returns (uint256) {
        (, uint64 used,,,) = vm.lastCallGas();
        return (21_000 + uint256(used)) * BASE_FEE;
    }

    function _trace(uint256 height, uint256 index) private pure returns (uint256) {
        return Positions.tree(TRACE, 0, 0, uint8(height), uint64(index));
    }

    /// @dev Gas of the transaction that the last call would be.
    function _cost(bytes memory data) private view returns (uint256) {
        (, uint64 used,,,) = vm.lastCallGas();
        uint256 tokens = 0;
        for (uint256 i = 0; i < data.length; ++i) {
            tokens += data[i] == 0 ? 1 : 4;
        }
        uint256 standard = 21_000 + 4 * tokens + used;
        uint256 least = 21_000 + 10 * tokens;
        return standard > least ? standard : least;
    }

    /// @dev Rather more than it cost, by the table; only who challenges a right claim pays it.
    function _fair(IChallenges.Record memory record, uint256 paidWei, uint256 cost) private pure {
        if (paidWei < cost * BASE_FEE * 104 / 100) revert UintsDiffer("paid", paidWei / BASE_FEE, cost);
        if (paidWei > cost * BASE_FEE * 4) revert UintsDiffer("paid too much", paidWei / BASE_FEE, cost);
        check(prepaidOf(record) > 7 * paidWei, "prices can rise a lot");
    }

    function _between(uint256 paidWei, uint256 cost) private pure {
        if (paidWei < cost * BASE_FEE * 104 / 100) revert UintsDiffer("paid", paidWei / BASE_FEE, cost);
        if (paidWei > cost * BASE_FEE * 114 / 100) revert UintsDiffer("paid too much", paidWei / BASE_FEE, cost);
    }
}
