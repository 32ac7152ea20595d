// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IClaims} from "../src/interfaces/IClaims.sol";
import {IFaults} from "../src/interfaces/IFaults.sol";
import {Positions} from "../src/libraries/Positions.sol";
import {Arena} from "./utils/Arena.sol";
import {Grabber} from "./utils/Hostile.sol";

/// @title Proofs, expiries and what becomes of the money: rules A6 to A11 and A22
contract ChallengesJudgeTest is Arena {
    bytes32 private claimId;
    uint256 private _burned;

    function setUp() external {
        deployArena();
        claimId = claimed(1);
        _burned = address(0).balance;
    }

    // Proofs

    /// @dev The judge gets the claim's lane, the job, the node and its parent, encoded as any caller would.
    function test_A24_theCase() external {
        IChallenges.Record[] memory path = _path();
        IFaults.Case memory case_ = IFaults.Case({
            epoch: 0,
            modelId: modelId,
            job: job(0),
            node: IFaults.Node(path[0].position, path[0].value),
            parent: IFaults.Node(path[1].position, path[1].value)
        });
        for (uint256 length = 0; length < 70; length += 23) {
            bytes memory witness = randomBytes(1, length);
            judge.expect(keccak256(abi.encode(case_, uint8(50), witness)));
            vm.expectRevert(abi.encodeWithSelector(IChallenges.NoFault.selector, 50));
            challenges.prove(claimId, path, job(0), 50, witness, 0);
        }
        // Under a job, and of a job itself.
        case_.node = case_.parent;
        case_.parent = IFaults.Node(path[2].position, path[2].value);
        judge.expect(keccak256(abi.encode(case_, uint8(50), bytes("w"))));
        IChallenges.Record[] memory shorter = _slice(path, 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NoFault.selector, 50));
        challenges.prove(claimId, shorter, job(0), 50, "w", 0);
        case_.node = case_.parent;
        case_.parent = IFaults.Node(0, 0);
        judge.expect(keccak256(abi.encode(case_, uint8(16), bytes("w"))));
        shorter = _slice(path, 2);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NoFault.selector, 16));
        challenges.prove(claimId, shorter, job(0), 16, "w", 0);
    }

    function test_A24_proofsBringWhatIsRevealed() external {
        judge.setGuilty(true);
        IChallenges.Record[] memory path = _path();
        IFaults.Job memory job_ = job(0);
        IChallenges.Record[] memory wrong = _slice(path, 1);
        wrong[0] = path[0];
        vm.expectPartialRevert(IChallenges.WrongRecord.selector); // the job isn't its parent
        challenges.prove(claimId, wrong, job_, 50, "", 0);
        wrong = new IChallenges.Record[](1);
        wrong[0] = path[0];
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 1, 2));
        challenges.prove(claimId, wrong, job_, 50, "", 0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 0, 1));
        challenges.prove(claimId, new IChallenges.Record[](0), job_, 50, "", 0);
        wrong = new IChallenges.Record[](2);
        (wrong[0], wrong[1]) = (path[0], path[1]);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 2, 3));
        challenges.prove(claimId, wrong, job_, 50, "", 0);
        wrong = new IChallenges.Record[](3);
        (wrong[0], wrong[1], wrong[2]) = (path[1], path[2], path[2]);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 3, 2));
        challenges.prove(claimId, wrong, job_, 50, "", 0);
        (wrong[0], wrong[1], wrong[2]) = (path[0], path[1], path[1]);
        vm.expectPartialRevert(IChallenges.BadPosition.selector);
        challenges.prove(claimId, wrong, job_, 50, "", 0);
        path[0].value = "another";
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.prove(claimId, path, job_, 50, "", 0);
        path = _again(path);
        path[1].value = "another";
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.prove(claimId, path, job_, 50, "", 0);
        path = _again(path);
        job_.traceRoots[0] = "another";
        vm.expectPartialRevert(IChallenges.BadContents.selector);
        challenges.prove(claimId, path, job_, 50, "", 0);
        // Of another claim.
        bytes32 rival = claimDigests(attacker, 0, modelId, topDigests(jobsOf(1)));
        openJob(challenger, rival, 1);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.prove(rival, path, job(0), 50, "", 0);
        // What the judge reverts with comes through.
        vm.expectRevert(abi.encodeWithSelector(IFaults.BadWitness.selector, "as told"));
        challenges.prove(claimId, path, job(0), 50, "revert", 0);
        challenges.prove(claimId, path, job(0), 50, "", 0);
    }

    function test_A24_noProofOfAClosedNode() external {
        judge.setGuilty(true);
        IChallenges.Record[] memory path = _path();
        IChallenges.Record memory node =
            openInJobFrom(challenger, claimId, path[2], Positions.tree(OFFSETS, 0, 0, 2, 0));
        path = _slice(path, 1);
        path[0] = node;
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotRevealed.selector, keyOf(claimId, node)));
        challenges.prove(claimId, path, job(0), 50, "", 0);
    }

    function test_A8_proofsAreValidUntilFinality() external {
        judge.setGuilty(true);
        IChallenges.Record[] memory path = _path();
        IFaults.Job memory job_ = job(0);
        uint64 end = claims.claimOf(claimId).windowEnd;
        vm.warp(end + 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.PastFinality.selector, claimId, end, end + 1));
        challenges.prove(claimId, path, job_, 50, "", 0);
        vm.warp(end);
        openInJobFrom(attacker, claimId, path[2], Positions.tree(OFFSETS, 0, 0, 2, 0));
        // As long as anything waits, and however late it is.
        vm.warp(end + 10 * BUDGET);
        challenges.prove(claimId, path, job_, 50, "", 0);
        check(claims.claimOf(claimId).status == IClaims.Status.Fallen, "fallen");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AlreadyFallen.selector, claimId));
        challenges.prove(claimId, path, job_, 50, "", 0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AlreadyFallen.selector, claimId));
        challenges.openInJob(claimId, path[2], job_, Positions.tree(TEXT, 0, 0, 2, 0));
    }

    // Expiry

    function test_A8_silenceFellsTheClaim() external {
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        vm.warp(openedAtOf(node) + BUDGET);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ProposerInTime.selector, BUDGET, BUDGET));
        challenges.expire(claimId, node);
        vm.warp(openedAtOf(node) + BUDGET + 1);
        uint64 end = claims.claimOf(claimId).windowEnd;
        check(!challenges.mayFinalise(claimId, end), "blocked until somebody says so");
        vm.warp(end + 100 * BUDGET);
        check(!challenges.mayFinalise(claimId, end), "however long");
        vm.recordLogs();
        vm.prank(attacker);
        challenges.expire(claimId, node);
        IChallenges.Verdict memory verdict = expired();
        check(claims.claimOf(claimId).status == IClaims.Status.Fallen, "fallen");
        check(challenges.stateOf(claimId).fallen, "here too");
        check(!challenges.mayFinalise(claimId, end), "for ever");
        same(
            challenges.slotOf(keyOf(claimId, node)),
            keccak256(abi.encode(verdict)),
            "the culprit's slot has the verdict"
        );
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AlreadyFallen.selector, claimId));
        challenges.expire(claimId, node);
        IFaults.Job memory job_ = job(0);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AlreadyFallen.selector, claimId));
        challenges.revealJob(claimId, node, job_, "");
    }

    function test_A8_whatIsRevealedDoesNotExpire() external {
        IChallenges.Record memory node = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        vm.warp(time() + 2 * BUDGET);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AlreadyRevealed.selector, keyOf(claimId, node)));
        challenges.expire(claimId, node);
    }

    /// @dev The proposer's seconds of a path add up over its nodes.
    function test_A6_latenessAddsUp() external {
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        vm.warp(time() + BUDGET - 5);
        node = revealJobFrom(proposer, claimId, node);
        IChallenges.Record memory child = openInJobFrom(challenger, claimId, node, Positions.tree(TEXT, 0, 0, 2, 0));
        vm.warp(time() + 5);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ProposerInTime.selector, BUDGET, BUDGET));
        challenges.expire(claimId, child);
        vm.warp(time() + 1);
        challenges.expire(claimId, child);
    }

    // Money of a fallen claim

    /// @dev Nothing burns, and nobody but the sender is paid, before the settlement.
    function test_A9_theBondWaitsForItsSettlement() external {
        uint256 before = address(challenges).balance;
        (, IChallenges.Verdict memory verdict) = _fell();
        same(address(0).balance, _burned, "burned");
        check(address(challenges).balance > before + BOND, "the bond and prepayments");
        check(verdict.rewardWei < BOND / 4, "the sender was paid");
    }

    /// @dev Refunds of the path, rewards in equal parts, the rest burns; nobody else gets anything but what is left of a prepayment.
    function test_A9_onlyThePathIsRefunded() external {
        judge.setGuilty(true);
        IChallenges.Record[] memory path = _path();
        IChallenges.Record memory beside =
            openInJobFrom(attacker, claimId, path[2], Positions.tree(OFFSETS, 0, 0, 2, 0));
        beside = revealTree(proposer, claimId, beside, forestOf(OFFSETS));
        address prover = account("prover");
        vm.recordLogs();
        vm.prank(prover);
        challenges.prove(claimId, path, job(0), 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        uint256 proverWei = challenges.balanceOf(prover);
        check(proverWei > 0 && proverWei == BOND / 4 - verdict.rewardWei, "the prover's costs are of the rewards");

        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotDecided.selector, claimId));
        challenges.reclaim(claimId, beside); // after the settlement only
        vm.warp(time() + NAMING);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.TooEarly.selector, time(), time() + 1));
        challenges.settle(claimId, verdict, _slice(path, 1));
        vm.warp(time() + 1);
        uint256 before = challenges.balanceOf(challenger);
        vm.prank(attacker); // anyone
        challenges.settle(claimId, verdict, _slice(path, 1));
        uint256 prepaidWei = 0;
        uint256 spentWei = 0;
        for (uint256 i = 0; i < 3; ++i) {
            prepaidWei += prepaidOf(path[i]);
            spentWei += spentOf(path[i]);
            same(challenges.slotOf(keyOf(claimId, path[i])), 0, "paid out");
        }
        uint256 shareWei = verdict.rewardWei / 3;
        same(challenges.balanceOf(challenger) - before, prepaidWei + spentWei + 3 * shareWei, "made whole and rewarded");
        same(address(0).balance - _burned, BOND - proverWei - spentWei - 3 * shareWei, "all else burned");
        same(challenges.balanceOf(attacker), 0, "nothing for others");
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle(claimId, verdict, _slice(path, 1)); // once

        challenges.reclaim(claimId, beside);
        same(challenges.balanceOf(attacker), prepaidOf(beside), "what the reveal took is gone");
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.reclaim(claimId, beside);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.reclaim(claimId, path[1]);
        _nothingLeft();
    }

    /// @dev Whoever opens at any price can't take more of the bond than its quarter.
    function test_A9_refundsAreAQuarterAtMost() external {
        vm.fee(20_000 gwei);
        IChallenges.Record[] memory path = _path();
        uint256 spentWei = spentOf(path[0]) + spentOf(path[1]) + spentOf(path[2]);
        check(spentWei > BOND, "dearer than the bond");
        judge.setGuilty(true);
        vm.recordLogs();
        challenges.prove(claimId, path, job(0), 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        same(verdict.rewardWei, 0, "the proof took the rewards");
        same(challenges.balanceOf(address(this)), BOND / 4, "and no more than them");
        vm.warp(time() + NAMING + 1);
        uint256 before = challenges.balanceOf(challenger);
        challenges.settle(claimId, verdict, _slice(path, 1));
        uint256 prepaidWei = prepaidOf(path[0]) + prepaidOf(path[1]) + prepaidOf(path[2]);
        uint256 refundedWei = challenges.balanceOf(challenger) - before - prepaidWei;
        check(refundedWei <= BOND / 4 && refundedWei + 3 > BOND / 4, "a quarter");
        check(address(0).balance - _burned >= BOND / 2, "half burns all the same");
        _nothingLeft();
    }

    function test_A9_theWholePathSettles() external {
        (IChallenges.Record[] memory path, IChallenges.Verdict memory verdict) = _fell();
        vm.warp(time() + NAMING + 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.BadLength.selector, 1, 2));
        challenges.settle(claimId, verdict, _only(path[1]));
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle(claimId, verdict, _only(path[2]));
        verdict.rewardWei += 1;
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.settle(claimId, verdict, _slice(path, 1));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotFallen.selector, bytes32("x")));
        challenges.settle("x", verdict, _slice(path, 1));
    }

    // A10: declarations

    function test_A10_theEarliestDeclarationTakesTheReward() external {
        judge.setGuilty(true);
        IChallenges.Record[] memory path = _path();
        bytes32 key = keyOf(claimId, path[0]);
        bytes32 first = _declare(key, challenger, "first");
        vm.warp(time() + 1);
        _declare(key, attacker, "second");
        vm.warp(time() + 1);
        // The proof is stolen, and sent with a declaration of its own.
        vm.recordLogs();
        vm.prank(attacker);
        challenges.prove(claimId, path, job(0), 50, "", "second");
        IChallenges.Verdict memory verdict = proven();
        check(verdict.winner == attacker && verdict.declaredAt + 1 == time(), "so far");
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.redeem(claimId, verdict, challenger, "second");
        vm.expectPartialRevert(IChallenges.NotEarlier.selector);
        challenges.redeem(claimId, verdict, attacker, "second");
        vm.recordLogs();
        challenges.redeem(claimId, verdict, challenger, "first");
        verdict = redeemed();
        check(verdict.winner == challenger && verdict.declaredAt == challenges.declaredAt(first), "earlier");
        vm.warp(time() + NAMING + 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.TooLate.selector, time(), time() - 1));
        challenges.redeem(claimId, verdict, attacker, "second");
        uint256 before = challenges.balanceOf(challenger);
        challenges.settle(claimId, verdict, _slice(path, 1));
        uint256 backWei = 0;
        for (uint256 i = 0; i < 3; ++i) {
            backWei += prepaidOf(path[i]) + spentOf(path[i]);
        }
        same(challenges.balanceOf(challenger) - before, verdict.rewardWei + backWei, "all of the reward");
        _nothingLeft();
    }

    /// @dev A declaration of the block of the proof, or from before the node was revealed, says nothing about who found the fault.
    function test_A10_neitherTooLateNorTooEarly() external {
        judge.setGuilty(true);
        bytes32 key = challenges.keyOf(claimId, jobAt(0), 0);
        _declare(key, attacker, "blind");
        vm.warp(time() + 1);
        IChallenges.Record memory node = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        IChallenges.Record[] memory path = _only(node);
        IFaults.Job memory job_ = job(0);
        vm.prank(attacker);
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.prove(claimId, path, job_, 50, "", "blind");
        _declare(key, attacker, "same block");
        vm.prank(attacker);
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.prove(claimId, path, job_, 50, "", "same block");
        vm.recordLogs();
        challenges.prove(claimId, path, job_, 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.redeem(claimId, verdict, attacker, "blind");
        vm.expectPartialRevert(IChallenges.BadDeclaration.selector);
        challenges.redeem(claimId, verdict, attacker, "same block");
    }

    function test_A10_declarationsAreKeptOnce() external {
        bytes32 declaration = _declare("key", challenger, "salt");
        bytes32 expected = sha256(
            abi.encode(
                bytes32("sworn/declaration/1"),
                block.chainid,
                address(challenges),
                claimId,
                bytes32("key"),
                challenger,
                bytes32("salt")
            )
        );
        same(declaration, expected, "hash");
        same(challenges.declaredAt(declaration), time(), "time");
        vm.warp(time() + 1);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.AlreadyDeclared.selector, declaration));
        challenges.declare(declaration);
    }

    // A7 and A22: deposits, and claims that did not fall

    function test_A7_depositsOfARightClaimAreItsProposers() external {
        IChallenges.Record memory node = _late();
        uint256 before = challenges.balanceOf(proposer);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NotDecided.selector, claimId));
        challenges.reclaim(claimId, node);
        vm.warp(challenges.stateOf(claimId).aliveUntil + 1);
        claims.finalise(claimId);
        challenges.reclaim(claimId, node);
        same(challenges.balanceOf(proposer) - before, BOND / 10, "for the delay");
        same(challenges.balanceOf(attacker), prepaidOf(node), "the rest of the prepayment");
    }

    function test_A7_depositsComeBackWhenTheClaimFalls() external {
        judge.setGuilty(true);
        IChallenges.Record memory jobNode = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        vm.warp(claims.claimOf(claimId).windowEnd);
        IChallenges.Record memory node = openInJobFrom(attacker, claimId, jobNode, Positions.tree(TEXT, 0, 0, 2, 0));
        IChallenges.Record memory culprit =
            openInJobFrom(challenger, claimId, jobNode, Positions.tree(OFFSETS, 0, 0, 2, 0));
        culprit = revealTree(proposer, claimId, culprit, forestOf(OFFSETS));
        IChallenges.Record[] memory path = new IChallenges.Record[](2);
        (path[0], path[1]) = (culprit, jobNode);
        vm.recordLogs();
        challenges.prove(claimId, path, job(0), 50, "", 0);
        IChallenges.Verdict memory verdict = proven();
        vm.warp(time() + NAMING + 1);
        uint256 before = challenges.balanceOf(challenger);
        challenges.settle(claimId, verdict, _only(jobNode));
        uint256 backWei = prepaidOf(culprit) + spentOf(culprit) + prepaidOf(jobNode) + spentOf(jobNode);
        same(
            challenges.balanceOf(challenger) - before,
            backWei + 2 * (verdict.rewardWei / 2) + BOND / 10,
            "the path's deposit"
        );
        challenges.reclaim(claimId, node);
        same(challenges.balanceOf(attacker), prepaidOf(node) + BOND / 10, "and that of a node that waits");
        _nothingLeft();
    }

    /// @dev When another claim of the lane is final: an equal one was right, an unequal one wrong.
    function test_A22_supersededClaims() external {
        IChallenges.Record memory node = _late();
        bytes32 rival = claimDigests(challenger, 0, modelId, topDigests(jobsOf(1)));
        vm.warp(claims.claimOf(rival).windowEnd + 1);
        claims.finalise(rival);
        uint256 before = challenges.balanceOf(proposer);
        challenges.reclaim(claimId, node); // even before somebody resolves it
        same(challenges.balanceOf(proposer) - before, BOND / 10, "an equal one is delayed");
        claims.resolveRival(claimId);
        _nothingLeftOf(claimId);
    }

    function test_A22_supersededWrongClaims() external {
        bytes32 rival = claimDigests(challenger, 0, modelId, one("another job"));
        vm.warp(claims.claimOf(rival).windowEnd - 1);
        uint256 price = priceFor(rival, nothing(), jobAt(0));
        vm.deal(attacker, price);
        vm.recordLogs();
        vm.prank(attacker);
        challenges.open{value: price}(rival, nothing(), jobAt(0), "another job", none());
        IChallenges.Record memory node = opened();
        vm.warp(time() + 10);
        claims.finalise(claimId);
        challenges.reclaim(rival, node);
        same(challenges.balanceOf(attacker), price, "all back");
        // What waits on it can't fell it any more.
        vm.warp(time() + BUDGET);
        vm.expectPartialRevert(IChallenges.WrongRecord.selector);
        challenges.expire(rival, node);
    }

    function test_A22_aFinalLaneIsOver() external {
        bytes32 rival = claimDigests(challenger, 0, modelId, one("another job"));
        uint256 price = priceFor(rival, nothing(), jobAt(0));
        vm.recordLogs();
        vm.deal(address(this), price);
        challenges.open{value: price}(rival, nothing(), jobAt(0), "another job", none());
        IChallenges.Record memory node = opened();
        passWindow();
        claims.finalise(claimId);
        vm.expectRevert(abi.encodeWithSelector(IClaims.LaneIsFinal.selector, claimId));
        challenges.expire(rival, node);
    }

    // Money leaves by withdrawals

    function test_withdraw() external {
        _fell();
        uint256 balance = challenges.balanceOf(proposer);
        check(balance > 0, "of the reveals");
        vm.startPrank(proposer);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.ZeroReceiver.selector));
        challenges.withdraw(payable(address(0)));
        address purse = account("purse");
        vm.expectEmit(address(challenges));
        emit IChallenges.Withdrawn(proposer, purse, balance);
        challenges.withdraw(payable(purse));
        same(purse.balance, balance, "paid");
        vm.expectRevert(abi.encodeWithSelector(IChallenges.NothingToWithdraw.selector, proposer));
        challenges.withdraw(payable(purse));
        vm.stopPrank();
        vm.deal(address(this), 1);
        vm.expectRevert();
        payable(address(challenges)).transfer(1); // takes bonds only
    }

    function test_reentrantWithdraw() external {
        Grabber grabber = new Grabber();
        IChallenges.Record memory node = openJob(challenger, claimId, 1);
        node = revealJobFrom(proposer, claimId, node);
        node = openInJobFrom(challenger, claimId, node, Positions.tree(TEXT, 0, 0, 2, 0));
        revealTree(address(grabber), claimId, node, new bytes32[][](0));
        uint256 balance = challenges.balanceOf(address(grabber));
        grabber.grab(address(challenges));
        same(address(grabber).balance, balance, "once");
    }

    function test_configuration() external {
        same(address(challenges.claims()), address(claims), "claims");
        same(address(challenges.inbox()), address(inbox), "inbox");
        same(address(challenges.faults()), address(judge), "faults");
        same(challenges.budgetSeconds(), BUDGET, "budget");
        same(challenges.graceSeconds(), GRACE, "grace");
        same(challenges.declarationSeconds(), NAMING, "naming");
        check(address(challenges.rules()).code.length > 0, "rules");
        vm.expectRevert();
        make("Challenges", abi.encode(claims, inbox, judge, 0, GRACE, NAMING));
        vm.expectRevert();
        make("Challenges", abi.encode(claims, inbox, judge, BUDGET, GRACE, 0));
        vm.expectRevert();
        make("Challenges", abi.encode(claims, inbox, judge, BUDGET, BUDGET - 1, NAMING));
        make("Challenges", abi.encode(claims, inbox, judge, BUDGET, BUDGET, NAMING));
    }

    // What the tests above say often

    /// @dev The lowest node, its parent, the job, all revealed.
    function _path() private returns (IChallenges.Record[] memory path) {
        path = new IChallenges.Record[](3);
        path[2] = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        path[1] = openInJobFrom(challenger, claimId, path[2], Positions.posted(PROMPT, 0, 0, 0, 0, 0, 0));
        path[1] = revealPostedFrom(proposer, claimId, path[1]);
        path[0] = openFrom(challenger, claimId, path[1], Positions.posted(STARTS, 0, 0, 1, 0, 0, 0), 0, none());
        path[0] = revealPostedFrom(proposer, claimId, path[0]);
    }

    function _fell() private returns (IChallenges.Record[] memory path, IChallenges.Verdict memory verdict) {
        judge.setGuilty(true);
        path = _path();
        vm.recordLogs();
        challenges.prove(claimId, path, job(0), 50, "", 0);
        verdict = proven();
    }

    /// @dev A late node of the attacker's, revealed.
    function _late() private returns (IChallenges.Record memory node) {
        IChallenges.Record memory jobNode = revealJobFrom(proposer, claimId, openJob(challenger, claimId, 1));
        vm.warp(claims.claimOf(claimId).windowEnd);
        node = openInJobFrom(attacker, claimId, jobNode, Positions.tree(TEXT, 0, 0, 2, 0));
        node = revealTree(account("helper"), claimId, node, new bytes32[][](0));
    }

    function _declare(bytes32 key, address who, bytes32 salt) private returns (bytes32 declaration) {
        declaration = challenges.declarationOf(claimId, key, who, salt);
        vm.prank(who);
        challenges.declare(declaration);
    }

    function _slice(IChallenges.Record[] memory path, uint256 from)
        private
        pure
        returns (IChallenges.Record[] memory rest)
    {
        rest = new IChallenges.Record[](path.length - from);
        for (uint256 i = 0; i < rest.length; ++i) {
            rest[i] = path[from + i];
        }
    }

    function _only(IChallenges.Record memory record) private pure returns (IChallenges.Record[] memory path) {
        path = new IChallenges.Record[](1);
        path[0] = record;
    }

    /// @dev The path without what a test changed in it.
    function _again(IChallenges.Record[] memory path) private view returns (IChallenges.Record[] memory) {
        path[0].value = sha256(new bytes(countOf(path[0])));
        path[1].value = sha256(abi.encodePacked(sha256(new bytes(countOf(path[1])))));
        check(challenges.slotOf(keyOf(claimId, path[0])) == keccak256(abi.encode(path[0])), "as it was");
        return path;
    }

    /// @dev All that is here is somebody's balance.
    function _nothingLeft() private {
        uint256 sum = challenges.balanceOf(proposer) + challenges.balanceOf(challenger) + challenges.balanceOf(attacker);
        sum += challenges.balanceOf(account("prover")) + challenges.balanceOf(address(this));
        same(address(challenges).balance, sum, "nothing stuck");
    }

    /// @dev After the job's opener has its rest as well.
    function _nothingLeftOf(bytes32 id) private {
        check(challenges.stateOf(id).windowEnd != 0, "opened");
        uint256 left = address(challenges).balance - challenges.balanceOf(proposer) - challenges.balanceOf(attacker)
            - challenges.balanceOf(account("helper"));
        check(left > 0, "the job's prepayment only");
    }
}
