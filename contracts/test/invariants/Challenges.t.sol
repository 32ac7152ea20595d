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
        bytes4[] memory actions = new bytes4[](18);
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
        selectors = new FuzzSelector[](1);
        selectors[0] = FuzzSelector(address(handler), actions);
    }

    /// @dev One campaign of random calls checks all of it: deeper than one campaign each.
    function invariant_challenges() public view {
        same(handler.broken(), "", "nothing forbidden happened");
        check(handler.clocksAreRight(), "clocks");
        _moneyIsConserved();
        _honestClaimsStand();
    }

    /// @dev The handler can do all of it: one game through opening, lying, falling, settling and reclaiming, so that the campaign isn't about nothing.
    function test_theHandlerPlays() external {
        handler.claimMore(0, true);
        handler.openTop(0, 0);
        handler.openTop(1, 1);
        handler.pass(1);
        handler.openBelow(2, 0, 0);
        handler.openBelow(2, 0, 3);
        handler.liarReveals(1);
        handler.declare(1, 1, 0);
        handler.pass(2);
        handler.prove(1, 0, 0);
        same(handler.falls(), 0, "an honest claim stands");
        handler.prove(1, 1, 1);
        same(handler.falls(), 1, "the lie falls");
        handler.redeem(1, 1, 0);
        handler.passLong(59);
        handler.settle(1);
        same(handler.settlements(), 1, "settled");
        handler.passLong(59);
        handler.passLong(59);
        handler.finalise(0);
        handler.reclaim(0);
        same(handler.reclaims(), 1, "reclaimed");
        same(handler.opens(), 4, "opened");
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
