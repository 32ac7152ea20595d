// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {FlatFees} from "../src/FlatFees.sol";
import {IFees} from "../src/interfaces/IFees.sol";
import {ParamsWord} from "../src/libraries/ParamsWord.sol";
import {Deployment} from "./utils/Deployment.sol";
import {Bomb, Grabber, Refuser} from "./utils/Hostile.sol";

contract FlatFeesTest is Deployment {
    FlatFees private flat;
    bytes32 private params;
    address private payer;
    address private server;

    /// @dev This test stands for both the inbox and the claims contract.
    function setUp() external {
        flat = makeFees(address(this), address(this), BASE_WEI, PER_RUN_WEI, PER_BYTE_WEI);
        params = ParamsWord.pack(sampled(2));
        payer = account("payer");
        server = account("server");
        vm.deal(address(this), 1000 ether);
    }

    function testFuzz_quote(uint16 nRuns, uint32 payloadBytes) external view {
        bytes32 word = ParamsWord.pack(sampled(nRuns));
        same(flat.quote(modelId, word, payloadBytes), priceOf(nRuns, payloadBytes), "price");
    }

    function test_escrowExact() external {
        uint256 price = priceOf(2, 10);
        vm.expectEmit(address(flat));
        emit IFees.Escrowed(7, payer, price);
        flat.escrow{value: price}(7, payer, modelId, params, 10);
        same(flat.balanceOf(payer), 0, "no change");
        same(flat.escrowedWei(), price, "escrowed");
        (address who, uint256 amount, bool open) = flat.escrowOf(7);
        check(who == payer && amount == price && open, "escrow");
    }

    function testFuzz_surplus(uint64 more) external {
        uint256 price = priceOf(2, 10);
        if (more > 0) {
            vm.expectEmit(address(flat));
            emit IFees.Escrowed(7, payer, price);
            vm.expectEmit(address(flat));
            emit IFees.Surplus(7, payer, more);
        }
        flat.escrow{value: price + more}(7, payer, modelId, params, 10);
        same(flat.balanceOf(payer), more, "change");
        same(address(flat).balance, flat.escrowedWei() + more, "balance");
    }

    function test_feeTooLow() external {
        uint256 price = priceOf(2, 10);
        vm.expectRevert(abi.encodeWithSelector(IFees.FeeTooLow.selector, price - 1, price));
        flat.escrow{value: price - 1}(7, payer, modelId, params, 10);
    }

    function test_amountTooLarge() external {
        FlatFees dear = makeFees(address(this), address(this), 2 ** 88, 0, 0);
        vm.deal(address(this), 2 ** 89);
        vm.expectRevert(abi.encodeWithSelector(IFees.AmountTooLarge.selector, 2 ** 88));
        dear.escrow{value: 2 ** 88}(7, payer, modelId, params, 10);
    }

    function test_freeInputsAreSettledOnceToo() external {
        FlatFees free = makeFees(address(this), address(this), 0, 0, 0);
        free.escrow(7, payer, modelId, params, 10);
        free.settle(7, server);
        vm.expectRevert(abi.encodeWithSelector(IFees.AlreadySettled.selector, 7));
        free.refund(7);
    }

    function test_onlyInboxAndClaims() external {
        FlatFees closed = makeFees(address(1), address(2), 0, 0, 0);
        bytes memory refusal = abi.encodeWithSelector(IFees.NotAuthorised.selector, address(this));
        vm.expectRevert(refusal);
        closed.escrow(7, payer, modelId, params, 10);
        vm.expectRevert(refusal);
        closed.settle(7, server);
        vm.expectRevert(refusal);
        closed.refund(7);
    }

    function test_once() external {
        uint256 price = priceOf(2, 10);
        vm.expectRevert(abi.encodeWithSelector(IFees.NotEscrowed.selector, 7));
        flat.settle(7, server);
        vm.expectRevert(abi.encodeWithSelector(IFees.NotEscrowed.selector, 7));
        flat.refund(7);
        flat.escrow{value: price}(7, payer, modelId, params, 10);
        vm.expectRevert(abi.encodeWithSelector(IFees.AlreadyEscrowed.selector, 7));
        flat.escrow{value: price}(7, payer, modelId, params, 10);

        vm.expectEmit(address(flat));
        emit IFees.Settled(7, server, price);
        flat.settle(7, server);
        same(flat.balanceOf(server), price, "server paid");
        same(flat.escrowedWei(), 0, "nothing open");
        vm.expectRevert(abi.encodeWithSelector(IFees.AlreadySettled.selector, 7));
        flat.settle(7, server);
        vm.expectRevert(abi.encodeWithSelector(IFees.AlreadySettled.selector, 7));
        flat.refund(7);
        vm.expectRevert(abi.encodeWithSelector(IFees.AlreadyEscrowed.selector, 7));
        flat.escrow{value: price}(7, payer, modelId, params, 10);
    }

    function test_refund() external {
        uint256 price = priceOf(2, 10);
        flat.escrow{value: price}(7, payer, modelId, params, 10);
        vm.expectEmit(address(flat));
        emit IFees.Refunded(7, payer, price);
        flat.refund(7);
        same(flat.balanceOf(payer), price, "refunded");
        vm.expectRevert(abi.encodeWithSelector(IFees.AlreadySettled.selector, 7));
        flat.refund(7);
    }

    function test_withdraw() external {
        uint256 price = priceOf(2, 10);
        flat.escrow{value: price}(7, payer, modelId, params, 10);
        flat.settle(7, server);
        vm.expectRevert(abi.encodeWithSelector(IFees.ZeroReceiver.selector));
        vm.prank(server);
        flat.withdraw(payable(address(0)));
        address purse = account("purse");
        vm.expectEmit(address(flat));
        emit IFees.Withdrawn(server, purse, price);
        vm.prank(server);
        flat.withdraw(payable(purse));
        same(purse.balance, price, "paid");
        same(address(flat).balance, 0, "empty");
        vm.expectRevert(abi.encodeWithSelector(IFees.NothingToWithdraw.selector, server));
        vm.prank(server);
        flat.withdraw(payable(purse));
    }

    function test_withdrawToHostile() external {
        uint256 price = priceOf(2, 10);
        flat.escrow{value: price}(7, payer, modelId, params, 10);
        flat.settle(7, server);
        address refuser = address(new Refuser());
        vm.expectRevert(abi.encodeWithSelector(IFees.TransferFailed.selector, refuser, price));
        vm.prank(server);
        flat.withdraw(payable(refuser));
        same(flat.balanceOf(server), price, "still there");
        address bomb = address(new Bomb());
        vm.prank(server);
        flat.withdraw(payable(bomb));
        same(bomb.balance, price, "what it returns is not copied");
    }

    function test_reentrantWithdraw() external {
        uint256 price = priceOf(2, 10);
        Grabber grabber = new Grabber();
        flat.escrow{value: price}(7, address(grabber), modelId, params, 10);
        flat.escrow{value: price}(8, payer, modelId, params, 10);
        flat.refund(7);
        flat.refund(8);
        grabber.grab(address(flat));
        same(address(grabber).balance, price, "once");
        check(grabber.tried() > 0, "it tried");
        same(address(flat).balance, price, "the other's is left");
    }
}
