// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../../src/interfaces/IChallenges.sol";
import {IClaims} from "../../src/interfaces/IClaims.sol";
import {Test} from "../utils/Test.sol";
import {ChallengesHandler} from "./ChallengesHandler.sol";

/// @title What holds of challenges whatever anyone does
contract ChallengesInvariants is Test {
    ChallengesHandler private handler;
    IChallenges private challenges;
    IClaims private claims;

    function setUp() external {
        handler = new ChallengesHandler();
        handler.start();
        (challenges, claims) = handler.parts();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory selectors) {
        bytes4[] memory actions = new bytes4[](22);
        actions[0] = ChallengesHandler.claimMore.selector;
        actions[1] = ChallengesHandler.pass.selector;
        actions[2] = ChallengesHandler.passLong.selector;
        actions[3] = ChallengesHandler.openTop.selector;
        actions[4] = ChallengesHandler.openBelow.selector;
        actions[5] = ChallengesHandler.liarReveals.selector;
        actions[6] = ChallengesHandler.declare.selector;
        actions[7] = ChallengesHandler.prove.selector;
        actions[8] = ChallengesHandler.expire.selector;
        actions[9] = ChallengesHandler.redeem.selector;
        actions[10] = ChallengesHandler.settle.selector;
        actions[11] = ChallengesHandler.reclaim.selector;
        actions[12] = ChallengesHandler.withdraw.selector;
        actions[13] = ChallengesHandler.finalise.selector;
        actions[14] = ChallengesHandler.openTop.selector;
        actions[15] = ChallengesHandler.openBelow.selector;
        actions[16] = ChallengesHandler.openBelow.selector;
        actions[17] = ChallengesHandler.pass.selector;
        actions[18] = ChallengesHandler.useStale.selector;
        actions[19] = ChallengesHandler.useElsewhere.selector;
        actions[20] = ChallengesHandler.openBelow.selector;
        actions[21] = ChallengesHandler.openBelow.selector;
        selectors = new FuzzSelector[](1);
        selectors[0] = FuzzSelector(address(handler), actions);
    }

    /// @dev One campaign of random calls checks all of it: deeper than one campaign each.
    function invariant_challenges() public view {
        same(handler.broken(), "", "nothing forbidden happened");
        check(handler.clocksAreRight(), "clocks");
        check(handler.slotsAreRight(), "slots");
        check(handler.pendingIsRight(), "what waits");
        _moneyIsConserved();
        _honestClaimsStand();
    }

    /// @dev The handler can do all of it: one game through opening, lying, falling, settling and reclaiming, so that the campaign isn't about nothing.
    function test_theHandlerPlays() external {
        handler.claimMore(0, true);
        handler.openTop(0, 0); // the challenger's line 0 of the honest claim
        handler.openTop(1, 1); // the attacker's of the lie
        handler.openTop(0, 1); // the challenger's of the lie
        handler.openTop(1, 1); // which is in use
        same(handler.opens(), 3, "opened");
        handler.pass(1);
        handler.openBelow(1 + (1 << 8), 0, 0); // the attacker's line 0: its own of that number
        handler.openBelow(0, 0, 3); // the challenger's line goes on
        same(handler.opens(), 5, "opened below");
        same(handler.goings(), 1, "went on");
        handler.liarReveals(1);
        handler.liarReveals(2);
        handler.declare(1, 1, 0);
        handler.declare(0, 1, 1);
        handler.pass(2);
        for (uint256 i = 0; i < 4; ++i) {
            handler.useStale(i);
            handler.useElsewhere(i, i < 1 ? 1 : 0);
        }
        check(handler.refusals() > 5, "refused");
        handler.prove(1, 0, 0);
        same(handler.falls(), 0, "an honest claim stands");
        handler.prove(1, 1, 1); // by the attacker, as declared
        same(handler.falls(), 1, "the lie falls");
        same(handler.redemptions(), 0, "not yet");
        handler.redeem(2, 1, 1); // at the same time is not earlier
        same(handler.redemptions(), 0, "not earlier");
        handler.passLong(59);
        handler.settle(0, 1);
        same(handler.settlements(), 1, "settled");
        handler.pass(0);
        handler.passLong(59);
        handler.passLong(59);
        handler.passLong(59);
        handler.finalise(0);
        handler.reclaim(0);
        handler.reclaim(2);
        same(handler.reclaims(), 2, "reclaimed");
        invariant_challenges();
    }

    /// @dev The same of a declaration that is named after the fall.
    function test_theHandlerRedeems() external {
        handler.claimMore(0, true);
        handler.openTop(0, 1);
        handler.openTop(1, 1);
        handler.liarReveals(0);
        handler.liarReveals(1);
        handler.declare(0, 0, 0);
        handler.pass(1);
        handler.prove(2, 1, 0); // without a declaration
        same(handler.falls(), 1, "the lie falls");
        handler.redeem(0, 1, 2);
        same(handler.redemptions(), 1, "the challenger's");
        handler.passLong(59);
        handler.settle(4, 1);
        handler.reclaim(0);
        same(handler.reclaims(), 1, "its own line");
        invariant_challenges();
    }

    /// @dev A4 to A9: what is here is owed to somebody, and is what came in less what went out.
    function _moneyIsConserved() private view {
        uint256 balances = 0;
        for (uint256 i = 0; i < handler.accountCount(); ++i) {
            balances += challenges.balanceOf(handler.accounts(i));
        }
        same(address(challenges).balance, balances + handler.owedWei(), "held");
        same(address(challenges).balance, handler.paidWei() - handler.withdrawnWei(), "paid");
    }

    /// @dev An honest claim never falls, and is free to be final when its clocks are over.
    function _honestClaimsStand() private view {
        for (uint256 i = 0; i < handler.claimCount(); ++i) {
            bytes32 id = handler.claimIds(i);
            if (handler.isWrong(id)) continue;
            IClaims.Claim memory claim = claims.claimOf(id);
            check(claim.status != IClaims.Status.Fallen, "an honest claim fell");
        }
    }
}
