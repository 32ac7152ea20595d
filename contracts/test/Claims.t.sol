// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Claims} from "../src/Claims.sol";
import {Vouchers} from "../src/Vouchers.sol";
import {IClaims} from "../src/interfaces/IClaims.sol";
import {IFees} from "../src/interfaces/IFees.sol";
import {IInbox} from "../src/interfaces/IInbox.sol";
import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {Deployment} from "./utils/Deployment.sol";
import {Bomb, Grabber, Refuser} from "./utils/Hostile.sol";
import {TestDisputes} from "./utils/TestDisputes.sol";

contract ClaimsTest is Deployment {
    bytes32 private constant ROOT = keccak256("root");
    bytes32 private constant OTHER_ROOT = keccak256("other root");
    TestDisputes private referee;
    address private asker;
    address private alice;
    address private bob;

    function setUp() external {
        referee = new TestDisputes();
        deployWith(referee);
        asker = account("asker");
        alice = account("alice");
        bob = account("bob");
        vm.deal(alice, 100 ether);
        vm.deal(bob, 100 ether);
    }

    // Claiming

    function test_claim() external {
        _sealedInput();
        endEpoch(0);
        bytes32 accumulator = inbox.accumulatorAt(0);
        bytes32 expected = sha256(
            abi.encodePacked(
                bytes32("sworn/claim/1"),
                block.chainid,
                uint256(uint160(address(claims))),
                uint256(0),
                modelId,
                accumulator,
                ROOT,
                uint256(uint160(alice))
            )
        );
        vm.expectEmit(address(claims));
        emit IClaims.Claimed(expected, 0, modelId, alice, ROOT, accumulator, uint64(time()) + WINDOW, BOND, one(ROOT));
        vm.prank(alice);
        bytes32 id = claims.claim{value: BOND}(0, modelId, accumulator, one(ROOT));

        same(id, expected, "id");
        same(id, claims.claimIdOf(0, modelId, accumulator, ROOT, alice), "id by view");
        IClaims.Claim memory made = claims.claimOf(id);
        check(made.status == IClaims.Status.Standing, "standing");
        same(made.proposer, alice, "proposer");
        same(made.epoch, 0, "epoch");
        same(made.claimedAt, time(), "time");
        same(made.windowEnd, time() + WINDOW, "window");
        same(made.modelId, modelId, "model");
        same(made.accumulator, accumulator, "accumulator");
        same(made.root, ROOT, "root");
        same(made.bondWei, BOND, "bond");
        bytes32[] memory lane = claims.laneClaims(0, modelId);
        check(lane.length == 1 && lane[0] == id, "lane");
        same(address(claims).balance, BOND, "bond held");
    }

    function test_configuration() external view {
        same(claims.bondWei(), BOND, "bond");
        same(claims.windowSeconds(), WINDOW, "window");
        same(claims.answerSeconds(), ANSWER, "answer");
        same(address(claims.inbox()), address(inbox), "inbox");
        same(address(claims.fees()), address(fees), "fees");
        same(address(claims.disputes()), address(referee), "disputes");
    }

    function test_claimErrors() external {
        _sealedInput();
        bytes32 accumulator = inbox.accumulatorAt(0);
        vm.expectRevert(abi.encodeWithSelector(IClaims.EpochNotEnded.selector, 0, 1010, height()));
        claims.claim{value: BOND}(0, modelId, accumulator, one(ROOT));
        vm.roll(1009);
        vm.expectRevert(abi.encodeWithSelector(IClaims.EpochNotEnded.selector, 0, 1010, 1009));
        claims.claim{value: BOND}(0, modelId, accumulator, one(ROOT));
        vm.roll(1010);
        vm.expectRevert(abi.encodeWithSelector(IClaims.ZeroRoot.selector));
        claims.claim{value: BOND}(0, modelId, accumulator, one(0));
        vm.expectRevert(abi.encodeWithSelector(IClaims.WrongBond.selector, BOND - 1, BOND));
        claims.claim{value: BOND - 1}(0, modelId, accumulator, one(ROOT));
        vm.expectRevert(abi.encodeWithSelector(IClaims.WrongBond.selector, BOND + 1, BOND));
        claims.claim{value: BOND + 1}(0, modelId, accumulator, one(ROOT));
        vm.expectRevert(abi.encodeWithSelector(IClaims.EmptyLane.selector, 0, bytes32("x")));
        claims.claim{value: BOND}(0, "x", accumulator, one(ROOT));
        vm.expectRevert(abi.encodeWithSelector(IClaims.WrongAccumulator.selector, bytes32("x"), accumulator));
        claims.claim{value: BOND}(0, modelId, "x", one(ROOT));
        vm.expectRevert(abi.encodeWithSelector(IClaims.EpochNotEnded.selector, 1, 1020, 1010));
        claims.claim{value: BOND}(1, modelId, accumulator, one(ROOT));
        vm.roll(1020);
        vm.expectRevert(abi.encodeWithSelector(IClaims.EmptyLane.selector, 1, modelId));
        claims.claim{value: BOND}(1, modelId, accumulator, one(ROOT));
    }

    function test_onceEach() external {
        bytes32 id = _claimed(alice, ROOT);
        bytes32 accumulator = inbox.accumulatorAt(0);
        vm.expectRevert(abi.encodeWithSelector(IClaims.ClaimExists.selector, id));
        vm.prank(alice);
        claims.claim{value: BOND}(0, modelId, accumulator, one(ROOT));
        claimFrom(bob, 0, modelId, ROOT);
        claimFrom(alice, 0, modelId, OTHER_ROOT);
        same(claims.laneClaims(0, modelId).length, 3, "rivals stand");
        // A fallen one can't be posted again either.
        referee.fall(claims, id);
        vm.expectRevert(abi.encodeWithSelector(IClaims.ClaimExists.selector, id));
        vm.prank(alice);
        claims.claim{value: BOND}(0, modelId, accumulator, one(ROOT));
    }

    /// @dev A lane that nobody serves blocks no other.
    function test_lanesAreIndependent() external {
        bytes32 other = registerModel("other", 1);
        submitFrom(asker, other, 1, asker);
        uint256 id = submitFrom(asker, modelId, 1, asker);
        finaliseFor(id, alice);
        check(claims.finalClaim(0, modelId) != 0, "final");
        same(claims.finalClaim(0, other), 0, "open");
    }

    /// @dev The accumulator of a claim is the one at the epoch's end, not the latest.
    function test_accumulatorOfItsEpoch() external {
        _sealedInput();
        endEpoch(0);
        bytes32 first = inbox.accumulatorAt(0);
        _sealedInput();
        bytes32 latest = inbox.accumulatorAt(inbox.currentEpoch());
        check(first != latest, "grown");
        vm.expectRevert(abi.encodeWithSelector(IClaims.WrongAccumulator.selector, latest, first));
        claims.claim{value: BOND}(0, modelId, latest, one(ROOT));
        claimFrom(alice, 0, modelId, ROOT);
    }

    // Finality

    function test_finalise() external {
        bytes32 id = _claimed(alice, ROOT);
        uint64 end = claims.claimOf(id).windowEnd;
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IClaims.NotFinalYet.selector, id, end, time()));
            claims.finalise(id);
            vm.warp(end); // the window's last second
        }
        vm.warp(end + 1);
        vm.expectEmit(address(claims));
        emit IClaims.Finalised(id, 0, modelId, ROOT);
        vm.expectEmit(address(claims));
        emit IClaims.BondReleased(id, alice, BOND);
        vm.prank(bob);
        claims.finalise(id);
        check(claims.claimOf(id).status == IClaims.Status.Final, "final");
        same(claims.finalClaim(0, modelId), id, "final claim");
        same(claims.balanceOf(alice), BOND, "bond released");
        vm.expectRevert(abi.encodeWithSelector(IClaims.NotStanding.selector, id, IClaims.Status.Final));
        claims.finalise(id);
        vm.expectRevert(abi.encodeWithSelector(IClaims.NotStanding.selector, id, IClaims.Status.Final));
        claims.resolveRival(id);
        bytes32 accumulator = inbox.accumulatorAt(0);
        vm.expectRevert(abi.encodeWithSelector(IClaims.LaneIsFinal.selector, id));
        claims.claim{value: BOND}(0, modelId, accumulator, one(OTHER_ROOT));
    }

    function test_openDisputesHold() external {
        bytes32 id = _claimed(alice, ROOT);
        passWindow();
        referee.setOpen(true);
        uint64 end = claims.claimOf(id).windowEnd;
        vm.expectRevert(abi.encodeWithSelector(IClaims.NotFinalYet.selector, id, end, time()));
        claims.finalise(id);
        referee.setOpen(false);
        claims.finalise(id);
    }

    /// @dev Disputes that let everything pass can't shorten the window.
    function test_windowHoldsByItself() external {
        bytes32 id = _claimed(alice, ROOT);
        check(referee.mayFinalise(id, 0), "referee lets it pass");
        vm.expectPartialRevert(IClaims.NotFinalYet.selector);
        claims.finalise(id);
    }

    function test_unknownClaim() external {
        vm.expectRevert(abi.encodeWithSelector(IClaims.UnknownClaim.selector, ROOT));
        claims.finalise(ROOT);
        vm.expectRevert(abi.encodeWithSelector(IClaims.UnknownClaim.selector, ROOT));
        claims.resolveRival(ROOT);
        vm.expectRevert(abi.encodeWithSelector(IClaims.UnknownClaim.selector, ROOT));
        claims.claimOf(ROOT);
        vm.expectRevert(abi.encodeWithSelector(IClaims.UnknownClaim.selector, ROOT));
        referee.fall(claims, ROOT);
    }

    function test_rivals() external {
        bytes32 first = _claimed(alice, ROOT);
        bytes32 equal = claimFrom(bob, 0, modelId, ROOT);
        bytes32 wrong = claimFrom(bob, 0, modelId, OTHER_ROOT);
        vm.expectRevert(abi.encodeWithSelector(IClaims.LaneNotFinal.selector, 0, modelId));
        claims.resolveRival(wrong);
        passWindow();
        claims.finalise(first);
        vm.expectRevert(abi.encodeWithSelector(IClaims.LaneIsFinal.selector, first));
        claims.finalise(equal);
        vm.expectRevert(abi.encodeWithSelector(IClaims.LaneIsFinal.selector, first));
        referee.fall(claims, equal);

        vm.expectEmit(address(claims));
        emit IClaims.BondReleased(equal, bob, BOND);
        claims.resolveRival(equal);
        same(claims.balanceOf(bob), BOND, "equal: released");
        uint256 burned = address(0).balance;
        vm.expectEmit(address(claims));
        emit IClaims.BondBurned(wrong, BOND);
        claims.resolveRival(wrong);
        same(address(0).balance, burned + BOND, "unequal: burned");
        same(claims.balanceOf(alice), BOND, "and never the winner's");
        same(address(claims).balance, 2 * BOND, "what is withdrawable is there");
        for (uint256 i = 0; i < 2; ++i) {
            bytes32 id = i == 0 ? equal : wrong;
            check(claims.claimOf(id).status == IClaims.Status.Superseded, "superseded");
            vm.expectRevert(abi.encodeWithSelector(IClaims.NotStanding.selector, id, IClaims.Status.Superseded));
            claims.resolveRival(id);
        }
    }

    function test_fall() external {
        bytes32 id = _claimed(alice, ROOT);
        vm.expectRevert(abi.encodeWithSelector(IClaims.NotAuthorised.selector, address(this)));
        claims.fall(id);
        vm.expectEmit(address(claims));
        emit IClaims.Fell(id, alice, BOND);
        referee.fall(claims, id);
        same(address(referee).balance, BOND, "the bond is the disputes contract's to divide");
        same(address(claims).balance, 0, "and no longer here");
        passWindow();
        vm.expectRevert(abi.encodeWithSelector(IClaims.NotStanding.selector, id, IClaims.Status.Fallen));
        claims.finalise(id);
        vm.expectRevert(abi.encodeWithSelector(IClaims.NotStanding.selector, id, IClaims.Status.Fallen));
        referee.fall(claims, id);
        // The lane goes on.
        bytes32 next = claimFrom(bob, 0, modelId, OTHER_ROOT);
        passWindow();
        claims.finalise(next);
    }

    function test_fallNeedsItsMoneyTaken() external {
        bytes32 id = _claimed(alice, ROOT);
        referee.setRefusing(true);
        vm.expectRevert(abi.encodeWithSelector(IClaims.TransferFailed.selector, address(referee), BOND));
        referee.fall(claims, id);
        check(claims.claimOf(id).status == IClaims.Status.Standing, "unchanged");
    }

    // Fees

    function test_settle() external {
        uint256 id = submitFrom(asker, modelId, 2, asker);
        uint256 price = priceOf(2, textPayload("Once upon a time").length);
        vm.expectRevert(abi.encodeWithSelector(IClaims.NotSealed.selector, id));
        claims.settle(id);
        sealAll();
        vm.expectRevert(abi.encodeWithSelector(IClaims.LaneNotFinal.selector, 0, modelId));
        claims.settle(id);
        bytes32 claimId = finaliseFor(id, alice);
        vm.expectEmit(address(claims));
        emit IClaims.InputSettled(id, claimId, alice);
        vm.expectEmit(address(fees));
        emit IFees.Settled(id, alice, price);
        vm.prank(bob);
        claims.settle(id);
        check(claims.isSettled(id), "settled");
        same(fees.balanceOf(alice), price, "who served is paid");
        vm.expectRevert(abi.encodeWithSelector(IClaims.AlreadySettled.selector, id));
        claims.settle(id);
        vm.warp(time() + ANSWER);
        vm.expectRevert(abi.encodeWithSelector(IClaims.Covered.selector, id, claimId));
        claims.refund(id);
        vm.expectRevert(abi.encodeWithSelector(IInbox.UnknownInput.selector, 99));
        claims.settle(99);
    }

    /// @dev The claims contract's flag holds by itself: with fees that would pay again and again.
    function test_settledFlag() external {
        uint256 served = submitFrom(asker, modelId, 1, asker);
        finaliseFor(served, alice);
        uint256 open = submitFrom(asker, modelId, 1, asker);
        vm.mockCall(address(fees), abi.encodeCall(IFees.settle, (served, alice)), "");
        vm.mockCall(address(fees), abi.encodeCall(IFees.refund, (open)), "");
        claims.settle(served);
        vm.expectRevert(abi.encodeWithSelector(IClaims.AlreadySettled.selector, served));
        claims.settle(served);
        vm.warp(time() + ANSWER + 1);
        claims.refund(open);
        vm.expectRevert(abi.encodeWithSelector(IClaims.AlreadySettled.selector, open));
        claims.refund(open);
    }

    function test_refundUnsealed() external {
        uint256 id = submitFrom(asker, modelId, 2, asker);
        uint256 price = priceOf(2, textPayload("Once upon a time").length);
        uint256 deadline = claims.deadlineOf(id);
        same(deadline, time() + ANSWER, "deadline");
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IClaims.DeadlineNotPassed.selector, id, deadline, deadline));
        claims.refund(id);
        vm.warp(deadline + 1);
        vm.expectEmit(address(claims));
        emit IClaims.InputRefunded(id);
        vm.expectEmit(address(fees));
        emit IFees.Refunded(id, asker, price);
        vm.prank(bob);
        claims.refund(id);
        same(fees.balanceOf(asker), price, "refunded");
        vm.expectRevert(abi.encodeWithSelector(IClaims.AlreadySettled.selector, id));
        claims.refund(id);
        // Served all the same, later: the fee is gone.
        finaliseFor(id, alice);
        vm.expectRevert(abi.encodeWithSelector(IClaims.AlreadySettled.selector, id));
        claims.settle(id);
        vm.expectRevert(abi.encodeWithSelector(IInbox.UnknownInput.selector, 99));
        claims.refund(99);
        vm.expectRevert(abi.encodeWithSelector(IInbox.UnknownInput.selector, 99));
        claims.deadlineOf(99);
    }

    function test_standingClaimCovers() external {
        uint256 id = _sealedInput();
        endEpoch(0);
        vm.warp(claims.deadlineOf(id)); // in time, in its last second
        bytes32 first = claimFrom(alice, 0, modelId, ROOT);
        vm.warp(claims.deadlineOf(id) + 1);
        vm.expectRevert(abi.encodeWithSelector(IClaims.Covered.selector, id, first));
        claims.refund(id);
        // A claim that fell covers nothing.
        referee.fall(claims, first);
        claims.refund(id);
        same(fees.balanceOf(asker), priceOf(1, textPayload("Once upon a time").length), "refunded");
    }

    function test_lateClaimDoesNotCover() external {
        uint256 id = _sealedInput();
        endEpoch(0);
        vm.warp(claims.deadlineOf(id) + 1);
        bytes32 late = claimFrom(alice, 0, modelId, ROOT);
        claims.refund(id);
        passWindow();
        claims.finalise(late);
        vm.expectRevert(abi.encodeWithSelector(IClaims.AlreadySettled.selector, id));
        claims.settle(id);
    }

    /// @dev Late, but settled before anyone asked for the refund: the other way round.
    function test_lateSettleThenNoRefund() external {
        uint256 id = _sealedInput();
        endEpoch(0);
        vm.warp(claims.deadlineOf(id) + 1);
        bytes32 late = claimFrom(alice, 0, modelId, ROOT);
        passWindow();
        claims.finalise(late);
        claims.settle(id);
        vm.expectRevert(abi.encodeWithSelector(IClaims.AlreadySettled.selector, id));
        claims.refund(id);
    }

    /// @dev An answer in time stays covered when a later equal claim becomes final first.
    function test_equalRivalCovers() external {
        uint256 id = _sealedInput();
        endEpoch(0);
        bytes32 inTime = claimFrom(alice, 0, modelId, ROOT);
        vm.warp(claims.deadlineOf(id) + 1);
        bytes32 late = claimFrom(bob, 0, modelId, ROOT);
        passWindow();
        claims.finalise(late);
        vm.expectRevert(abi.encodeWithSelector(IClaims.Covered.selector, id, inTime));
        claims.refund(id);
        claims.resolveRival(inTime);
        vm.expectRevert(abi.encodeWithSelector(IClaims.Covered.selector, id, inTime));
        claims.refund(id);
        claims.settle(id);
    }

    /// @dev A wrong claim in time covers nothing any more once another root is final.
    function test_unequalRivalDoesNotCover() external {
        uint256 id = _sealedInput();
        endEpoch(0);
        claimFrom(alice, 0, modelId, OTHER_ROOT);
        vm.warp(claims.deadlineOf(id) + 1);
        bytes32 late = claimFrom(bob, 0, modelId, ROOT);
        passWindow();
        claims.finalise(late);
        claims.refund(id);
    }

    // Withdrawals

    function test_withdraw() external {
        vm.expectRevert(abi.encodeWithSelector(IClaims.NothingToWithdraw.selector, alice));
        vm.prank(alice);
        claims.withdraw(payable(alice));
        _final(alice);
        address purse = account("purse");
        vm.expectEmit(address(claims));
        emit IClaims.Withdrawn(alice, purse, BOND);
        vm.prank(alice);
        claims.withdraw(payable(purse));
        same(purse.balance, BOND, "paid");
        vm.expectRevert(abi.encodeWithSelector(IClaims.NothingToWithdraw.selector, alice));
        vm.prank(alice);
        claims.withdraw(payable(purse));
    }

    function test_withdrawToNobody() external {
        _final(alice);
        vm.expectRevert(abi.encodeWithSelector(IClaims.ZeroReceiver.selector));
        vm.prank(alice);
        claims.withdraw(payable(address(0)));
        same(claims.balanceOf(alice), BOND, "kept");
    }

    function test_unusableConfiguration() external {
        vm.expectRevert(abi.encodeWithSelector(IClaims.ZeroBond.selector));
        new Claims(inbox, fees, disputes, 0, WINDOW, ANSWER);
        vm.expectRevert(abi.encodeWithSelector(IClaims.ZeroAnswerTime.selector));
        new Claims(inbox, fees, disputes, BOND, WINDOW, 0);
        uint64 longest = type(uint32).max;
        vm.expectRevert(abi.encodeWithSelector(Claims.WindowTooLong.selector, longest + 1, longest));
        new Claims(inbox, fees, disputes, BOND, longest + 1, ANSWER);
        new Claims(inbox, fees, disputes, BOND, longest, ANSWER);
        vm.expectRevert(abi.encodeWithSelector(IVouchers.CallbackGasTooHigh.selector, 10_000_001, 10_000_000));
        new Vouchers(inbox, claims, 10_000_001);
    }

    function test_withdrawToHostile() external {
        _final(alice);
        address refuser = address(new Refuser());
        vm.expectRevert(abi.encodeWithSelector(IClaims.TransferFailed.selector, refuser, BOND));
        vm.prank(alice);
        claims.withdraw(payable(refuser));
        address bomb = address(new Bomb());
        vm.prank(alice);
        claims.withdraw(payable(bomb));
        same(bomb.balance, BOND, "what it returns is not copied");
    }

    function test_reentrantWithdraw() external {
        Grabber grabber = new Grabber();
        _claimed(bob, OTHER_ROOT);
        _finalise(claimFrom(address(grabber), 0, modelId, ROOT));
        grabber.grab(address(claims));
        same(address(grabber).balance, BOND, "once");
        same(address(claims).balance, BOND, "the other bond is left");
    }

    function _sealedInput() private returns (uint256 id) {
        id = submitFrom(asker, modelId, 1, asker);
        sealAll();
    }

    function _claimed(address proposer, bytes32 root) private returns (bytes32) {
        _sealedInput();
        endEpoch(0);
        return claimFrom(proposer, 0, modelId, root);
    }

    function _finalise(bytes32 id) private {
        passWindow();
        claims.finalise(id);
    }

    function _final(address proposer) private {
        _finalise(_claimed(proposer, ROOT));
    }
}
