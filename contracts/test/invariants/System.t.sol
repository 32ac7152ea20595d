// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Claims} from "../../src/Claims.sol";
import {FlatFees} from "../../src/FlatFees.sol";
import {Inbox} from "../../src/Inbox.sol";
import {Prompts} from "../../src/Prompts.sol";
import {Vouchers} from "../../src/Vouchers.sol";
import {IClaims} from "../../src/interfaces/IClaims.sol";
import {IInbox} from "../../src/interfaces/IInbox.sol";
import {IPrompts} from "../../src/interfaces/IPrompts.sol";
import {Test} from "../utils/Test.sol";
import {Handler} from "./Handler.sol";

/// @title What holds whatever anyone does
contract SystemInvariants is Test {
    Handler private handler;
    Inbox private inbox;
    Claims private claims;
    FlatFees private fees;
    Vouchers private vouchers;
    Prompts private prompts;

    function setUp() external {
        handler = new Handler();
        handler.start();
        (address a, address b, address c, address d, address e) = handler.contracts();
        (inbox, claims, fees, vouchers, prompts) = (Inbox(a), Claims(b), FlatFees(c), Vouchers(d), Prompts(e));
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory selectors) {
        bytes4[] memory actions = new bytes4[](18);
        actions[0] = Handler.submit.selector;
        actions[1] = Handler.askPrompt.selector;
        actions[2] = Handler.pass.selector;
        actions[3] = Handler.passLong.selector;
        actions[4] = Handler.seal.selector;
        actions[5] = Handler.claim.selector;
        actions[6] = Handler.holdDisputes.selector;
        actions[7] = Handler.finalise.selector;
        actions[8] = Handler.fall.selector;
        actions[9] = Handler.resolveRival.selector;
        actions[10] = Handler.settle.selector;
        actions[11] = Handler.refund.selector;
        actions[12] = Handler.execute.selector;
        actions[13] = Handler.rank.selector;
        actions[14] = Handler.withdraw.selector;
        actions[15] = Handler.serve.selector;
        actions[16] = Handler.execute.selector;
        actions[17] = Handler.claim.selector;
        selectors = new FuzzSelector[](1);
        selectors[0] = FuzzSelector(address(handler), actions);
    }

    /// @dev One campaign of random calls checks all of it: deeper than one campaign each.
    function invariant_system() public view {
        _feesAreConserved();
        _bondsAreConserved();
        _othersHoldNothing();
        _finality();
        _paidOnce();
        _deliveredOnce();
        _sealing();
        _prompts();
        _nothingForbiddenSucceeded();
    }

    /// @dev Fees: what is here = open escrows + withdrawable = paid - withdrawn.
    function _feesAreConserved() private view {
        uint256 open = 0;
        for (uint256 id = 0; id < inbox.count(); ++id) {
            (, uint256 amount, bool isOpen) = fees.escrowOf(id);
            if (isOpen) open += amount;
        }
        same(fees.escrowedWei(), open, "sum of the open escrows");
        uint256 withdrawable = 0;
        for (uint256 i = 0; i < handler.accountCount(); ++i) {
            withdrawable += fees.balanceOf(handler.accounts(i));
        }
        same(address(fees).balance, open + withdrawable, "fees held");
        same(address(fees).balance, handler.feesPaidWei() - handler.feesWithdrawnWei(), "fees paid");
    }

    /// @dev Bonds: what is here = bonds of standing claims + withdrawable = paid - withdrawn - burned - fallen.
    function _bondsAreConserved() private view {
        uint256 held = 0;
        for (uint256 i = 0; i < handler.claimCount(); ++i) {
            IClaims.Claim memory claim = claims.claimOf(handler.claimIds(i));
            if (claim.status == IClaims.Status.Standing) held += claim.bondWei;
        }
        for (uint256 i = 0; i < handler.accountCount(); ++i) {
            held += claims.balanceOf(handler.accounts(i));
        }
        same(address(claims).balance, held, "bonds held");
        uint256 gone = handler.bondsWithdrawnWei() + handler.bondsBurnedWei() + handler.bondsFallenWei();
        same(address(claims).balance, handler.bondsPaidWei() - gone, "bonds paid");
        same(address(0).balance, handler.burnedBefore() + handler.bondsBurnedWei(), "burned");
        same(address(handler.referee()).balance, handler.bondsFallenWei(), "fallen");
    }

    function _othersHoldNothing() private view {
        same(address(inbox).balance, 0, "inbox");
        same(address(vouchers).balance, 0, "vouchers");
        same(address(prompts).balance, 0, "prompts");
    }

    /// @dev Nothing is final before its window, one claim a lane, and only undefeated ones.
    function _finality() private view {
        for (uint256 i = 0; i < handler.claimCount(); ++i) {
            bytes32 id = handler.claimIds(i);
            IClaims.Claim memory claim = claims.claimOf(id);
            bytes32 finalId = claims.finalClaim(claim.epoch, claim.modelId);
            check((claim.status == IClaims.Status.Final) == (finalId == id), "the lane's final claim");
            if (claim.status == IClaims.Status.Final) {
                check(handler.finalisedAt(id) > claim.windowEnd, "after its window");
                same(claim.accumulator, inbox.accumulatorAt(claim.epoch), "the inbox's accumulator");
            }
            if (claim.status == IClaims.Status.Superseded) check(finalId != 0, "superseded by one");
        }
    }

    /// @dev Settlement and refund exclude each other and happen once.
    function _paidOnce() private view {
        for (uint256 id = 0; id < inbox.count(); ++id) {
            uint256 times = handler.settlements(id) + handler.refunds(id);
            check(times <= 1, "settled or refunded at most once");
            check(claims.isSettled(id) == (times == 1), "the flag");
            (,, bool open) = fees.escrowOf(id);
            check(open == (times == 0), "the escrow");
            if (handler.settlements(id) == 1) {
                IInbox.Input memory input = inbox.input(id);
                check(claims.finalClaim(input.epoch, input.modelId) != 0, "settled after finality only");
            }
        }
    }

    /// @dev A voucher is delivered once, after finality, whatever recipients do.
    function _deliveredOnce() private view {
        for (uint256 id = 0; id < inbox.count(); ++id) {
            for (uint32 run = 0; run < 3; ++run) {
                uint256 times = handler.executions(keccak256(abi.encode(id, run)));
                check(times <= 1, "executed once");
                check(vouchers.isExecuted(id, run, 0) == (times == 1), "the mark");
                check(handler.recipient().received(id, run) <= times, "received once");
            }
        }
    }

    /// @dev Inputs are sealed in id order; lanes hold them in that order.
    function _sealing() private view {
        uint64 epoch = 0;
        for (uint256 id = 0; id < inbox.sealedCount(); ++id) {
            IInbox.Input memory input = inbox.input(id);
            check(input.seed != 0 && input.epoch >= epoch, "epochs rise");
            epoch = input.epoch;
            same(inbox.laneInput(epoch, input.modelId, input.laneIndex), id, "its place in its lane");
        }
        for (uint256 id = inbox.sealedCount(); id < inbox.count(); ++id) {
            same(inbox.input(id).seed, 0, "no seed before sealing");
        }
    }

    function _prompts() private view {
        uint256 count = prompts.promptCount();
        for (uint256 i = 0; i < count; ++i) {
            uint256 id = prompts.promptIds(i, 1)[0];
            IPrompts.PromptRecord memory made = prompts.prompt(id);
            uint256 posted = 0;
            for (uint32 run = 0; run < made.nRuns; ++run) {
                bool is_ = prompts.response(id, run).posted;
                check(is_ == vouchers.isExecuted(id, run, 0), "posted by its voucher");
                if (is_) ++posted;
            }
            same(made.nPosted, posted, "posted");
            if (made.nRankers > 0) same(posted, made.nRuns, "ranked after all were posted");
        }
    }

    function _nothingForbiddenSucceeded() private view {
        same(handler.broken(), "", "forbidden");
    }

    /// @dev A run of the game reaches something: otherwise the invariants would hold for nothing.
    function test_gameReachesEverything() external {
        for (uint256 round = 0; round < 8; ++round) {
            for (uint256 i = 0; i < 3; ++i) {
                handler.submit(round + i, i, i, round + i, 3 * i);
            }
            handler.askPrompt(round, round);
            handler.seal(3);
            handler.passLong(20, 0);
            uint256 last = handler.counts().submitted - 1;
            handler.claim(round, last, 0); // a lie
            handler.claim(round + 1, last, 1);
            handler.claim(round + 2, last, 1);
            if (round % 3 == 1) handler.fall(handler.claimCount() - 1, 0);
            handler.serve(last, round);
            for (uint256 id = 0; id <= last; ++id) {
                handler.execute(id, 7 * round);
                handler.execute(id, 7 * (round + 1));
                handler.execute(id, 7 * round + 1);
                handler.settle(id);
                handler.refund(id);
            }
            for (uint256 i = 0; i < handler.claimCount(); ++i) {
                handler.finalise(i);
                handler.resolveRival(i);
            }
            handler.rank(round, round, round);
            for (uint256 i = 0; i < 4; ++i) {
                handler.withdraw(i, round % 2 == 0);
            }
            if (round % 4 == 0) handler.submit(round, 0, 0, round, 0);
            handler.passLong(300, round * 50);
            handler.seal(3);
        }
        Handler.Counts memory counts = handler.counts();
        check(counts.submitted > 0 && counts.sealings > 0 && counts.rearmed > 0, "submitted, sealed, re-armed");
        check(counts.claimed > 0 && counts.finalised > 0, "claimed, final");
        check(counts.fallen > 0, "fallen");
        check(counts.superseded > 0 && handler.bondsBurnedWei() > 0, "superseded, burned");
        check(counts.settled > 0, "settled");
        check(counts.refunded > 0, "refunded");
        check(counts.executed > 0, "executed");
        check(counts.failed > 0, "failed");
        check(counts.ranked > 0, "ranked");
        check(counts.withdrawn > 0, "withdrawn");
        invariant_system();
    }
}
