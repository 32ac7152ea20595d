// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IFaults} from "../src/interfaces/IFaults.sol";
import {Positions} from "../src/libraries/Positions.sol";
import {Arena} from "./utils/Arena.sol";
import {Forest} from "./utils/Forest.sol";
import {Naive} from "./utils/Naive.sol";

/// @title Lines: each is its owner's, keeps one slot, and takes its money along
contract ChallengesLinesTest is Arena {
    using Forest for bytes32[][];

    bytes32 private claimId;

    function setUp() external {
        deployArena();
        claimId = claimed(1);
        vm.deal(address(this), 1000 ether);
    }

    // One slot

    function test_A24_aLineThatGoesOnKeepsItsSlot() external {
        IChallenges.Record memory above = _job(challenger, 7);
        bytes32 line = lineOf(claimId, above);
        same(line, challenges.lineOf(claimId, challenger, 7), "line");
        same(challenges.slotOf(line), hashOf(claimId, above), "the job");
        IChallenges.Record memory node = goOnInJob(claimId, above, _prompt());
        same(lineOf(claimId, node), line, "the same line");
        same(challenges.slotOf(line), hashOf(claimId, node), "the node took its parent's place");
        same(node.parentHash, hashOf(claimId, above), "which it names");
        same(node.job, keccak256(abi.encode(job(0))), "and the job");
        same(challenges.stateOf(claimId).pending, 1, "waits");
        check(keyOf(claimId, node) != keyOf(claimId, above), "each node has a name");
        node = revealPostedFrom(proposer, claimId, node);
        IChallenges.Record memory lowest = goOn(claimId, node, _starts(0), 0, none());
        same(challenges.slotOf(line), hashOf(claimId, lowest), "and so on");
        same(lowest.parentHash, hashOf(claimId, node), "one level up only");
        same(lowest.job, node.job, "the job stays");
        same(openerOf(lowest), challenger, "opener");
        same(numberOf(lowest), 7, "number");
    }

    /// @dev Where a line was there is nothing any more, for nobody.
    function test_A24_whatALineLeftIsNothing() external {
        IChallenges.Record memory above = _job(challenger, 7);
        IChallenges.Record memory node = goOnInJob(claimId, above, _prompt());
        _nothing(above);
        // As it was before its reveal neither.
        IChallenges.Record memory closed = node;
        node = revealPostedFrom(proposer, claimId, node);
        _nothing(above);
        _nothing(closed);
        _nothingPosted(closed);
        IChallenges.Record memory lowest = goOn(claimId, node, _starts(0), 0, none());
        _nothing(node);
        _nothingPosted(node);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.open{value: 1 ether}(claimId, node, _starts(1), 0, none(), 7);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.open{value: 1 ether}(claimId, node, _starts(1), 0, none(), 8);
        // Nor when all is over.
        vm.warp(time() + BUDGET + 1);
        vm.recordLogs();
        challenges.expire(claimId, lowest);
        IChallenges.Verdict memory verdict = expired();
        _nothingToReclaim(above);
        _nothingToReclaim(lowest);
        vm.warp(time() + NAMING + 1);
        challenges.settle(claimId, verdict);
        _nothingToReclaim(above);
        _nothingToReclaim(node);
        _nothingToReclaim(lowest);
        same(slotOf(claimId, lowest), 0, "free");
        bytes32 root = _root();
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotLive.selector, claimId));
        challenges.open{value: 1 ether}(claimId, nothing(), jobAt(0), root, none(), 7);
    }

    function test_A24_aLineWaitsForItsReveal() external {
        IChallenges.Record memory node = openIn(challenger, claimId, nothing(), jobAt(0), _root(), none(), 7);
        IFaults.Job memory job_ = job(0);
        bytes32 key = keyOf(claimId, node);
        vm.deal(challenger, 1 ether);
        vm.startPrank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotRevealed.selector, key));
        challenges.openInJob{value: 1 ether}(claimId, node, job_, _prompt(), 0, none(), 7);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotRevealed.selector, key));
        challenges.openInJob{value: 1 ether}(claimId, node, job_, _prompt(), 0, none(), 8);
        vm.stopPrank();
    }

    // Whose lines are

    function test_A24_nobodyMovesAnothersLine() external {
        IChallenges.Record memory above = _job(challenger, 7);
        IChallenges.Record memory node = _inJob(attacker, above, 7);
        same(openerOf(node), attacker, "its own");
        check(lineOf(claimId, node) != lineOf(claimId, above), "another line of that number");
        same(slotOf(claimId, above), hashOf(claimId, above), "the parent stays");
        same(node.parentHash, hashOf(claimId, above), "and is the parent");
        check(spentOf(node) == 0 && prepaidOf(above) > 0, "without its money");
        // Nor by saying that it is somebody's.
        IChallenges.Record memory forged = abi.decode(abi.encode(above), (IChallenges.Record));
        forged.times = (uint256(uint160(attacker)) << 96) | uint96(above.times);
        IFaults.Job memory job_ = job(0);
        vm.deal(attacker, 1 ether);
        vm.startPrank(attacker);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.openInJob{value: 1 ether}(claimId, forged, job_, _prompt(), 0, none(), 7);
        vm.stopPrank();
        // What becomes of either is nothing to the other.
        node = revealPostedFrom(proposer, claimId, node);
        goOn(claimId, node, _starts(0), 0, none());
        same(slotOf(claimId, above), hashOf(claimId, above), "as it was");
        IChallenges.Record memory own = goOnInJob(claimId, above, _prompt());
        same(own.position, node.position, "the same node in two lines");
        revealPostedFrom(proposer, claimId, own);
    }

    function test_A24_ownersBeginNewLinesUnderTheirOwn() external {
        IChallenges.Record memory above = _job(challenger, 7);
        IChallenges.Record memory node = _inJob(challenger, above, 8);
        same(slotOf(claimId, above), hashOf(claimId, above), "the parent stays");
        same(slotOf(claimId, node), hashOf(claimId, node), "beside it");
        check(spentOf(node) == 0 && prepaidOf(above) > 0, "each with its money");
        same(challenges.lineOf(claimId, challenger, 8), lineOf(claimId, node), "of that number");
        _inJob(challenger, above, 0);
        _inJob(challenger, above, type(uint16).max);
        _inJob(challenger, above, 7);
        check(slotOf(claimId, above) != hashOf(claimId, above), "went on at last");
    }

    function test_A24_aLineIsInOnePlace() external {
        IChallenges.Record memory first = _job(challenger, 1);
        IChallenges.Record memory second = _job(challenger, 2);
        IChallenges.Record memory foreign = _job(attacker, 3);
        _inUse(first, 2);
        _inUse(second, 1);
        _inUse(foreign, 1);
        _inUse(foreign, 2);
        bytes32 root = _root();
        vm.deal(challenger, 2 ether);
        vm.startPrank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.LineInUse.selector, lineOf(claimId, first)));
        challenges.open{value: 1 ether}(claimId, nothing(), jobAt(0), root, none(), 1);
        vm.stopPrank();
        // A line that waits is in use too.
        IChallenges.Record memory closed = _inJob(challenger, second, 4);
        _inUse(first, 4);
        _inUse(second, 4);
        check(revealedAtOf(closed) == 0, "closed");
        // Others' numbers, and other claims, are free.
        _inJob(challenger, foreign, 3);
        bytes32 rival = claimDigests(attacker, 0, modelId, topDigests(jobsOf(1)));
        openIn(challenger, rival, nothing(), jobAt(0), root, none(), 1);
    }

    // Money and clocks

    function test_A11_aLineTakesItsMoneyAlong() external {
        IChallenges.Record memory node = openIn(challenger, claimId, nothing(), jobAt(0), _root(), none(), 7);
        uint256 paidWei = prepaidOf(node);
        node = revealJobFrom(proposer, claimId, node);
        uint256 leftWei = prepaidOf(node);
        check(spentOf(node) > 0 && leftWei + spentOf(node) == paidWei, "of the job");
        // What is left is more than what the next takes.
        node = _goOnFor(node, _prompt(), 0);
        check(prepaidOf(node) == leftWei && spentOf(node) + leftWei == paidWei, "nothing paid");
        uint256 spentWei = spentOf(node);
        node = revealPostedFrom(proposer, claimId, node);
        check(spentOf(node) > spentWei, "added up");
        same(prepaidOf(node) + spentOf(node), paidWei, "all of it");
        // Prices rise: what is missing is paid, to the wei.
        vm.fee(400 * BASE_FEE);
        (uint256 gas_,) = challenges.quoteOpen(claimId, node, _starts(0));
        uint256 leastWei = gas_ * 10 * 400 * BASE_FEE;
        leftWei = prepaidOf(node);
        check(leftWei < leastWei, "dearer than what is left");
        vm.deal(challenger, 1 ether + 2 ** 88);
        vm.prank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotEnoughPaid.selector, leastWei - 1, leastWei));
        challenges.open{value: leastWei - leftWei - 1}(claimId, node, _starts(0), 0, none(), 7);
        // In a new line all of it.
        vm.prank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotEnoughPaid.selector, leastWei - leftWei, leastWei));
        challenges.open{value: leastWei - leftWei}(claimId, node, _starts(0), 0, none(), 8);
        // No more than the record holds, with what is left.
        vm.prank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.TooMuchPaid.selector, 2 ** 88));
        challenges.open{value: 2 ** 88 - leftWei}(claimId, node, _starts(0), 0, none(), 7);
        spentWei = spentOf(node);
        node = _goOnFor(node, _starts(0), leastWei - leftWei);
        check(prepaidOf(node) == leastWei && spentOf(node) == spentWei, "as much as it takes");
    }

    /// @dev The whole line's reveals are refunded, once, and what is left comes back, once.
    function test_A9_aLineIsPaidBackAsAWhole() external {
        IChallenges.Record memory node = _lowest();
        uint256 heldWei = address(challenges).balance;
        same(heldWei, prepaidOf(node) + spentOf(node), "one line's money");
        same(challenges.balanceOf(proposer), 0, "nobody's yet");
        judge.setGuilty(true);
        IChallenges.Record[] memory path = new IChallenges.Record[](1);
        path[0] = node;
        vm.recordLogs();
        challenges.prove(claimId, path, job(0), 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        vm.warp(time() + NAMING + 1);
        challenges.settle(claimId, verdict);
        same(challenges.balanceOf(challenger), heldWei + verdict.rewardWei, "all that was paid, and the reward");
    }

    /// @dev Of a claim that is final what is left comes back, from the one record.
    function test_A9_aLineIsReclaimedAsAWhole() external {
        IChallenges.Record memory node = _lowest();
        passWindow();
        claims.finalise(claimId);
        challenges.reclaim(claimId, node);
        same(challenges.balanceOf(challenger), prepaidOf(node), "what is left");
        same(challenges.balanceOf(proposer), spentOf(node), "the reveals");
        same(address(challenges).balance, prepaidOf(node) + challenges.balanceOf(proposer), "nothing stuck");
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.reclaim(claimId, node);
    }

    /// @dev A line pays its deposit when it first does something late, and never again.
    function test_A7_aLineHasOneDeposit() external {
        IChallenges.Record memory node = _job(challenger, 7);
        check(!isLate(node), "in time");
        vm.warp(claims.claimOf(claimId).windowEnd - GRACE + 1);
        IFaults.Job memory job_ = job(0);
        (uint256 gas_, uint256 extraWei) = challenges.quoteOpenInJob(claimId, node, job_, _prompt());
        same(extraWei, BOND / 10, "quoted");
        uint256 leastWei = gas_ * 10 * BASE_FEE + BOND / 10;
        uint256 leftWei = prepaidOf(node);
        vm.deal(challenger, 10 ether);
        vm.prank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotEnoughPaid.selector, leastWei - 1, leastWei));
        challenges.openInJob{value: leastWei - leftWei - 1}(claimId, node, job_, _prompt(), 0, none(), 7);
        vm.recordLogs();
        vm.prank(challenger);
        challenges.openInJob{value: leastWei - leftWei}(claimId, node, job_, _prompt(), 0, none(), 7);
        node = opened();
        check(isLate(node), "late from now on");
        same(prepaidOf(node), leastWei - BOND / 10, "the deposit is no prepayment");
        node = revealPostedFrom(proposer, claimId, node);
        (gas_,) = challenges.quoteOpen(claimId, node, _starts(0));
        leastWei = gas_ * 10 * BASE_FEE;
        node = _goOnFor(node, _starts(0), leastWei - prepaidOf(node));
        check(isLate(node) && prepaidOf(node) == leastWei, "not once more");
        // A new line has its own, even under that one.
        node = revealPostedFrom(proposer, claimId, node);
        uint256 heldWei = address(challenges).balance;
        same(heldWei, prepaidOf(node) + BOND / 10 + spentOf(node), "one deposit");
        vm.warp(challenges.stateOf(claimId).aliveUntil + 1);
        claims.finalise(claimId);
        uint256 before = challenges.balanceOf(proposer);
        challenges.reclaim(claimId, node);
        same(challenges.balanceOf(proposer) - before, BOND / 10 + spentOf(node), "for the delay, once");
        same(address(challenges).balance, challenges.balanceOf(proposer) + challenges.balanceOf(challenger), "all");
    }

    function test_A7_newLinesUnderLateOnesHaveTheirOwnDeposit() external {
        vm.warp(claims.claimOf(claimId).windowEnd - GRACE + 1);
        IChallenges.Record memory above = _job(challenger, 7);
        check(isLate(above), "late");
        IFaults.Job memory job_ = job(0);
        (uint256 gas_,) = challenges.quoteOpenInJob(claimId, above, job_, _prompt());
        uint256 leastWei = gas_ * 10 * BASE_FEE + BOND / 10;
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotEnoughPaid.selector, leastWei - 1, leastWei));
        challenges.openInJob{value: leastWei - 1}(claimId, above, job_, _prompt(), 0, none(), 7);
        vm.recordLogs();
        challenges.openInJob{value: leastWei}(claimId, above, job_, _prompt(), 0, none(), 7);
        IChallenges.Record memory node = opened();
        check(isLate(node) && prepaidOf(node) == leastWei - BOND / 10, "its own");
    }

    /// @dev The clocks of a line are those of a path, whoever goes on.
    function test_A6_aLineTakesItsClocksAlong() external {
        uint64 end = claims.claimOf(claimId).windowEnd;
        vm.warp(end - 4);
        IChallenges.Record memory node = openIn(challenger, claimId, nothing(), jobAt(0), _root(), none(), 7);
        vm.warp(end + 3);
        node = revealJobFrom(proposer, claimId, node);
        vm.warp(end + 5);
        IChallenges.Record memory foreign = _inJob(attacker, node, 7);
        node = goOnInJob(claimId, node, _prompt());
        check(proposerSecondsOf(node) == 7 && challengerSecondsOf(node) == 2, "the line's");
        check(proposerSecondsOf(foreign) == 7 && challengerSecondsOf(foreign) == 2, "and of one under it");
        vm.warp(end + 6);
        node = revealPostedFrom(proposer, claimId, node);
        vm.warp(end + 9);
        node = goOn(claimId, node, _starts(0), 0, none());
        check(proposerSecondsOf(node) == 8 && challengerSecondsOf(node) == 5, "they add up");
        vm.warp(end + 9 + BUDGET - 8);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ProposerInTime.selector, BUDGET, BUDGET));
        challenges.expire(claimId, node);
        vm.warp(time() + 1);
        challenges.expire(claimId, node);
    }

    // What a line says is of its job

    /// @dev A lane's job is no other lane's, however alike they are.
    function test_A24_jobsOfTwoLanes() external {
        (bytes32 id, bytes32[] memory jobs) = _claimTwo();
        bytes32[] memory path = Naive.path(jobs, 1, 1);
        IChallenges.Record memory node = openIn(challenger, id, nothing(), jobAt(1), jobs[1], path, 7);
        IFaults.Job memory job_ = _laneJob(0);
        bytes32[] memory digests = jobDigests();
        vm.prank(proposer);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadContents.selector, jobs[0], jobs[1]));
        challenges.revealJob(id, node, job_, digests, "");
        IFaults.Job memory right = _laneJob(1);
        vm.recordLogs();
        vm.prank(proposer);
        challenges.revealJob(id, node, right, digests, "");
        node = revealed();
        uint256 position = Positions.tree(TEXT, 1, 0, 2, 0);
        bytes32 root = right.runs[0].textRoot;
        bytes32 found = keccak256(abi.encode(job_));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadContents.selector, found, node.job));
        challenges.openInJob{value: 1 ether}(id, node, job_, position, root, none(), 9);
        // Nor can a line be led to another lane.
        vm.expectPartialRevert(IChallenges.BadPosition.selector);
        challenges.openInJob{value: 1 ether}(id, node, right, Positions.tree(TEXT, 0, 0, 2, 0), root, none(), 9);
        vm.recordLogs();
        challenges.openInJob{value: 1 ether}(id, node, right, position, root, none(), 9);
        node = revealTree(proposer, id, opened(), new bytes32[][](0));
        judge.setGuilty(true);
        IChallenges.Record[] memory one_ = new IChallenges.Record[](1);
        one_[0] = node;
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadContents.selector, found, node.job));
        challenges.prove(id, one_, job_, 37, "", 0);
        challenges.prove(id, one_, right, 37, "", 0);
    }

    /// @dev The proposer can say other trace roots in another line; each line's nodes are judged by their own.
    function test_A24_otherTraceRootsInAnotherLine() external {
        IChallenges.Record memory first = _job(challenger, 1);
        IChallenges.Record memory second = openIn(challenger, claimId, nothing(), jobAt(0), _root(), none(), 2);
        bytes32[][] memory forest = traceForest();
        (IFaults.Job memory lied, bytes32[] memory digests, bytes32[][] memory top) = _lied(forest);
        vm.recordLogs();
        vm.prank(proposer);
        challenges.revealJob(claimId, second, lied, digests, "");
        second = revealed();
        check(second.value != first.value && second.job == second.value, "two jobs of one digest");
        // What one says is not below the other.
        uint256 position = Positions.tree(TRACE, 0, 0, uint8(TRACE_TOP), 1);
        bytes32[] memory path = top.path(0, 1, JOB_LEVELS);
        bytes32 value = top[0][1];
        IFaults.Job memory job_ = job(0);
        vm.expectPartialRevert(IChallenges.BadPath.selector);
        challenges.openInJob{value: 1 ether}(claimId, first, job_, position, value, path, 9);
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.openInJob{value: 1 ether}(claimId, first, lied, position, value, path, 9);
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.openInJob{value: 1 ether}(claimId, second, job_, position, value, path, 9);
        vm.recordLogs();
        challenges.openInJob{value: 1 ether}(claimId, second, lied, position, value, path, 9);
        IChallenges.Record memory node = revealTree(proposer, claimId, opened(), forest);
        judge.setGuilty(true);
        IChallenges.Record[] memory two = new IChallenges.Record[](2);
        (two[0], two[1]) = (node, first);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.prove(claimId, two, job_, 50, "", 0);
        two[1] = second;
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.prove(claimId, two, job_, 50, "", 0);
        challenges.prove(claimId, two, lied, 50, "", 0);
    }

    // What the tests above say often

    /// @dev Run 0's trace with another first node of those that are published.
    function _lied(bytes32[][] memory forest)
        private
        returns (IFaults.Job memory lied, bytes32[] memory digests, bytes32[][] memory top)
    {
        (lied, digests) = (job(0), jobDigests());
        bytes32[] memory nodes = new bytes32[](16);
        for (uint256 i = 0; i < 16; ++i) {
            nodes[i] = forest[TRACE_TOP][i];
        }
        nodes[0] = "a lie";
        digests[0] = "a lie";
        top = Forest.grow(nodes);
        lied.traceRoots[0] = top.root();
    }

    function _claimTwo() private returns (bytes32 id, bytes32[] memory jobs) {
        vm.roll(1200);
        uint64 epoch = inbox.currentEpoch();
        submitFrom(asker, modelId, 3, asker);
        submitFrom(asker, modelId, 3, asker);
        mine(SEAL_DELAY + 1);
        inbox.seal(headerOf(1200 + SEAL_DELAY), 100);
        endEpoch(epoch);
        jobs = new bytes32[](2);
        (jobs[0], jobs[1]) = (recordOf(_laneJob(0)), recordOf(_laneJob(1)));
        id = claimDigests(proposer, epoch, modelId, topDigests(jobs));
    }

    function _laneJob(uint256 lane) private returns (IFaults.Job memory) {
        return job(1 + lane);
    }

    function _root() private returns (bytes32) {
        return recordOf(job(0));
    }

    function _prompt() private pure returns (uint256) {
        return Positions.posted(PROMPT, 0, 0, 0, 0, 0, 0);
    }

    function _starts(uint64 leaf) private pure returns (uint256) {
        return Positions.posted(STARTS, 0, 0, leaf, 0, 0, 0);
    }

    function _job(address who, uint16 number) private returns (IChallenges.Record memory) {
        return revealJobFrom(proposer, claimId, openIn(who, claimId, nothing(), jobAt(0), _root(), none(), number));
    }

    function _inJob(address who, IChallenges.Record memory above, uint16 number)
        private
        returns (IChallenges.Record memory)
    {
        return openInJobIn(who, claimId, above, _prompt(), 0, none(), number);
    }

    /// @dev The challenger's line 7 down to the places of a leaf, all revealed.
    function _lowest() private returns (IChallenges.Record memory node) {
        node = goOnInJob(claimId, _job(challenger, 7), _prompt());
        node = revealPostedFrom(proposer, claimId, node);
        node = goOn(claimId, node, _starts(0), 0, none());
        node = revealPostedFrom(proposer, claimId, node);
    }

    /// @dev The challenger's line 7 goes on for that much.
    function _goOnFor(IChallenges.Record memory above, uint256 position, uint256 valueWei)
        private
        returns (IChallenges.Record memory)
    {
        IFaults.Job memory job_ = job(0);
        vm.deal(challenger, valueWei);
        vm.recordLogs();
        vm.prank(challenger);
        if (Positions.kind(above.position) == JOB) {
            challenges.openInJob{value: valueWei}(claimId, above, job_, position, 0, none(), 7);
        } else {
            challenges.open{value: valueWei}(claimId, above, position, 0, none(), 7);
        }
        return opened();
    }

    /// @dev The challenger can't begin a line of that number under the job.
    function _inUse(IChallenges.Record memory above, uint16 number) private {
        IFaults.Job memory job_ = job(0);
        bytes32 line = challenges.lineOf(claimId, challenger, number);
        vm.deal(challenger, 1 ether);
        vm.startPrank(challenger);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.LineInUse.selector, line));
        challenges.openInJob{value: 1 ether}(claimId, above, job_, _prompt(), 0, none(), number);
        vm.stopPrank();
    }

    /// @dev That record is refused wherever one is taken.
    function _nothing(IChallenges.Record memory record) private {
        IFaults.Job memory job_ = job(0);
        bytes32[] memory digests = jobDigests();
        IChallenges.Record[] memory path = new IChallenges.Record[](1);
        path[0] = record;
        judge.setGuilty(true);
        vm.deal(challenger, 2 ether);
        vm.startPrank(challenger);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.openInJob{value: 1 ether}(claimId, record, job_, _prompt(), 0, none(), 7);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.openInJob{value: 1 ether}(claimId, record, job_, _prompt(), 0, none(), 8);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.open{value: 1 ether}(claimId, record, _starts(0), 0, none(), 7);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.prove(claimId, path, job_, 50, "", 0);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.expire(claimId, record);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.revealDigests(claimId, record, none());
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.revealLeaves(claimId, record, new bytes[](0));
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.revealJob(claimId, record, job_, digests, "");
        vm.stopPrank();
        _nothingToReclaim(record);
    }

    function _nothingPosted(IChallenges.Record memory record) private {
        vm.prank(proposer);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.revealPosted(claimId, record, new bytes(16), "");
    }

    function _nothingToReclaim(IChallenges.Record memory record) private {
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.reclaim(claimId, record);
    }
}
