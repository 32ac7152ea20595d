// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {AskAndTell} from "../../src/examples/AskAndTell.sol";
import {ISwornRecipient} from "../../src/interfaces/ISwornRecipient.sol";
import {Deployment} from "../utils/Deployment.sol";

contract AskAndTellTest is Deployment {
    string private constant QUESTION = "Tell me a story";
    AskAndTell private consumer;
    address private asker;

    function setUp() external {
        deploy();
        consumer = AskAndTell(make("AskAndTell", abi.encode(inbox, vouchers)));
        asker = account("asker");
        vm.deal(asker, 1 ether);
    }

    function test_askAndTell() external {
        uint256 price = consumer.quote(modelId, bytes(QUESTION).length, 64);
        same(price, priceOf(1, textPayload(QUESTION).length), "price");
        vm.expectEmit(address(consumer));
        emit AskAndTell.Asked(0, asker, QUESTION);
        vm.prank(asker);
        uint256 id = consumer.ask{value: price}(modelId, QUESTION, 64);
        same(consumer.askerOf(id), asker, "asker");

        bytes32 claimId = finaliseFor(id, account("proposer"));
        string memory text = string(answersOf(id, 1)[0].text);
        vm.expectEmit(address(consumer));
        emit AskAndTell.Told(id, asker, 0, 1, text);
        check(deliver(claimId, id, 0), "delivered");
        same(consumer.answerOf(id), text, "answer");
    }

    function test_refundIsTheAskers() external {
        vm.prank(asker);
        uint256 id = consumer.ask{value: 1 ether}(modelId, QUESTION, 64);
        vm.warp(time() + ANSWER + 1);
        claims.refund(id);
        same(fees.balanceOf(asker), 1 ether, "change and fee");
    }

    function test_longAnswers() external {
        vm.prank(asker);
        uint256 id = consumer.ask{value: 1 ether}(modelId, QUESTION, 64);
        bytes memory text = randomBytes(1, 131_072);
        ISwornRecipient.Response memory response;
        (response.inputId, response.nChunks) = (id, 2);
        vm.prank(address(vouchers));
        consumer.onSwornResponse{gas: CALLBACK_GAS}(response, text); // a whole chunk fits into the callback's gas
        same(bytes(consumer.answerOf(id)).length, consumer.MAX_STORED_BYTES(), "kept");
        response.chunk = 1;
        vm.prank(address(vouchers));
        consumer.onSwornResponse(response, "the rest");
        same(bytes(consumer.answerOf(id)).length, consumer.MAX_STORED_BYTES(), "still the first chunk's");
    }

    function test_errors() external {
        ISwornRecipient.Response memory response;
        vm.expectRevert(abi.encodeWithSelector(AskAndTell.NotVouchers.selector, address(this)));
        consumer.onSwornResponse(response, "text");
        vm.expectRevert(abi.encodeWithSelector(AskAndTell.UnknownQuestion.selector, 0));
        vm.prank(address(vouchers));
        consumer.onSwornResponse(response, "text");
    }
}
