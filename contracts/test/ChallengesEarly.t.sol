// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IClaims} from "../src/interfaces/IClaims.sol";
import {IDisputes} from "../src/interfaces/IDisputes.sol";
import {Positions} from "../src/libraries/Positions.sol";
import {Arena} from "./utils/Arena.sol";

/// @title Nodes for which the window has time enough for all that both sides may take: the claim's state doesn't count them
contract ChallengesEarlyTest is Arena {
    uint64 private constant SHORT = 20; // the budget: two are less than a window
    bytes32 private claimId;
    uint64 private _end;

    function makeDisputes(address claims_) internal override returns (IDisputes) {
        challenges = IChallenges(make("Challenges", abi.encode(claims_, inbox, judge, SHORT, SHORT, NAMING)));
        return challenges;
    }

    function setUp() external {
        deployArena();
        claimId = claimed(1);
        _end = claims.claimOf(claimId).windowEnd;
    }

    function test_A8_whatIsOverInTheWindowIsNotCounted() external {
        vm.warp(_end - 2 * SHORT);
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        check(!isCounted(node), "both have all their time");
        same(challenges.stateOf(claimId).pending, 0, "not counted");
        node = revealJobFrom(proposer, claimId, node);
        same(challenges.stateOf(claimId).aliveUntil, _end, "nor does it hold finality up");
        // A second later there isn't time for both.
        vm.warp(_end - 2 * SHORT + 1);
        IChallenges.Record memory other = openJob(challenger, claimId, 1);
        check(isCounted(other), "counted");
        same(challenges.stateOf(claimId).pending, 1, "waits");
        other = revealJobFrom(proposer, claimId, other);
        same(challenges.stateOf(claimId).pending, 0, "revealed");
        // A child is what its own time makes it.
        node = openInJobFrom(challenger, claimId, node, Positions.tree(TEXT, 0, 0, 2, 0));
        check(isCounted(node), "a later one");
        same(challenges.stateOf(claimId).pending, 1, "waits too");
    }

    /// @dev Used time of either side is time that the window needs no more.
    function test_A8_usedTimeIsNotWaitedFor() external {
        vm.warp(_end - 2 * SHORT);
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        vm.warp(time() + 5);
        node = revealJobFrom(proposer, claimId, node);
        IChallenges.Record memory child = openInJobFrom(challenger, claimId, node, Positions.tree(TEXT, 0, 0, 2, 0));
        check(!isCounted(child), "five seconds later, with five seconds less");
        vm.warp(time() + 1);
        child = openInJobFrom(challenger, claimId, node, Positions.tree(OFFSETS, 0, 0, 2, 0));
        check(isCounted(child), "the challenger's second");
    }

    /// @dev Silence about a node that isn't counted: it is expired in the window, for as long as the challengers have time at least.
    function test_A8_silenceAboutEarlyNodesFellsTheClaim() external {
        vm.warp(_end - 2 * SHORT);
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        vm.warp(openedAtOf(node) + SHORT);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ProposerInTime.selector, SHORT, SHORT));
        challenges.expire(claimId, node);
        vm.warp(_end);
        check(!challenges.mayFinalise(claimId, _end), "in the window");
        vm.recordLogs();
        vm.prank(challenger);
        challenges.expire(claimId, node);
        check(claims.claimOf(claimId).status == IClaims.Status.Fallen, "fallen");
        IChallenges.Verdict memory verdict = expired();
        vm.warp(time() + NAMING + 1);
        challenges.settle(claimId, verdict);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle(claimId, verdict);
    }

    function test_A8_earlyNodesDoNotOutliveTheWindow() external {
        IChallenges.Record memory node = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        check(!isCounted(node), "early");
        vm.warp(_end + 1);
        uint256 position = Positions.tree(TEXT, 0, 0, 2, 0);
        bytes32 root = job(0).runs[0].textRoot;
        uint256 price = 10 ether;
        vm.deal(challenger, price);
        vm.prank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.PastFinality.selector, claimId, _end, _end + 1));
        challenges.openInJob{value: price}(claimId, node, job(0), position, root, none(), 9);
        IChallenges.Record[] memory path = new IChallenges.Record[](1);
        path[0] = node;
        judge.setGuilty(true);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.PastFinality.selector, claimId, _end, _end + 1));
        challenges.prove(claimId, path, job(0), 50, "", 0);
        check(challenges.mayFinalise(claimId, _end), "over");
        claims.finalise(claimId);
    }

    /// @dev A claim that nobody counted anything of falls by a proof as well, once.
    function test_A8_provenInTheWindow() external {
        judge.setGuilty(true);
        IChallenges.Record[] memory path = new IChallenges.Record[](1);
        path[0] = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        IChallenges.Record[] memory second = new IChallenges.Record[](1);
        second[0] = revealJobFrom(proposer, claimId, openJob(attacker, claimId, 1));
        challenges.prove(claimId, path, job(0), 50, "", 0);
        vm.expectRevert(abi.encodeWithSelector(IClaims.NotStanding.selector, claimId, IClaims.Status.Fallen));
        challenges.prove(claimId, second, job(0), 50, "", 0);
    }
}
