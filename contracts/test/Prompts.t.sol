// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFees} from "../src/interfaces/IFees.sol";
import {IInbox} from "../src/interfaces/IInbox.sol";
import {IPrompts} from "../src/interfaces/IPrompts.sol";
import {ISwornRecipient} from "../src/interfaces/ISwornRecipient.sol";
import {ParamsWord} from "../src/libraries/ParamsWord.sol";
import {Deployment} from "./utils/Deployment.sol";
import {Naive} from "./utils/Naive.sol";

contract PromptsTest is Deployment {
    string private constant TEXT = "Once upon a time";
    address private author;
    address private ranker;
    address private proposer;

    function setUp() external {
        deploy();
        author = account("author");
        ranker = account("ranker");
        proposer = account("proposer");
    }

    function test_ask() external {
        uint256 price = prompts.quote(modelId, bytes(TEXT).length, sampled(2));
        same(price, priceOf(2, textPayload(TEXT).length), "quote");
        vm.deal(author, 2 * price);
        bytes32 packed = ParamsWord.pack(sampled(2));
        vm.expectEmit(address(inbox));
        emit IInbox.InputSubmitted(
            0, address(prompts), modelId, address(prompts), packed, Naive.textRoot(textPayload(TEXT)), textPayload(TEXT)
        );
        vm.expectEmit(address(prompts));
        emit IPrompts.PromptAsked(0, author, modelId, packed);
        vm.prank(author);
        uint256 id = prompts.ask{value: price}(modelId, TEXT, sampled(2));

        IPrompts.PromptRecord memory made = prompts.prompt(id);
        same(made.author, author, "author");
        same(made.askedAt, time(), "time");
        same(made.modelId, modelId, "model");
        same(made.params, packed, "params");
        same(made.payloadRoot, Naive.textRoot(textPayload(TEXT)), "root");
        same(made.payloadLength, textPayload(TEXT).length, "length");
        same(made.nRuns, 2, "runs");
        same(made.nPosted, 0, "posted");
        same(made.nRankers, 0, "rankers");
        check(!prompts.response(id, 0).posted, "not posted");
        same(address(prompts).balance, 0, "no money here");
        same(address(prompts.inbox()), address(inbox), "inbox");
        same(prompts.vouchers(), address(vouchers), "vouchers");
    }

    function test_askSegments() external {
        bytes memory payload = abi.encodePacked(hex"01", hex"01", uint32(1), hex"00", uint32(2), "hi");
        vm.deal(author, 1 ether);
        vm.prank(author);
        uint256 id = prompts.askSegments{value: 1 ether}(modelId, payload, sampled(3));
        same(inbox.input(id).payloadRoot, Naive.textRoot(payload), "payload");
        same(prompts.prompt(id).nRuns, 3, "runs");
    }

    /// @dev What was paid too much, and refunds, are the author's.
    function test_moneyIsTheAuthors() external {
        vm.deal(author, 1 ether);
        uint256 price = prompts.quote(modelId, bytes(TEXT).length, sampled(2));
        vm.prank(author);
        uint256 id = prompts.ask{value: 1 ether}(modelId, TEXT, sampled(2));
        same(fees.balanceOf(author), 1 ether - price, "change");
        vm.warp(time() + ANSWER + 1);
        claims.refund(id);
        vm.prank(author);
        fees.withdraw(payable(author));
        same(author.balance, 1 ether, "all back");
    }

    function test_feeTooLow() external {
        uint256 price = prompts.quote(modelId, bytes(TEXT).length, sampled(2));
        vm.deal(author, price);
        vm.expectRevert(abi.encodeWithSelector(IFees.FeeTooLow.selector, price - 1, price));
        vm.prank(author);
        prompts.ask{value: price - 1}(modelId, TEXT, sampled(2));
    }

    function test_inboxErrorsComeThrough() external {
        vm.expectRevert(abi.encodeWithSelector(IInbox.UnknownModel.selector, bytes32("x")));
        prompts.ask("x", TEXT, sampled(2));
        vm.expectRevert(abi.encodeWithSelector(IInbox.BadRunCount.selector, 17, 16));
        prompts.ask(modelId, TEXT, sampled(17));
        vm.expectRevert(abi.encodeWithSelector(IInbox.PayloadEmpty.selector));
        prompts.askSegments(modelId, "", sampled(2));
    }

    function test_posting() external {
        uint256 id = ask(author, 2);
        bytes32 claimId = finaliseFor(id, proposer);
        Answer[] memory answers = answersOf(id, 2);
        vm.expectEmit(address(prompts));
        emit IPrompts.ResponsePosted(id, 1, 0, 1, answers[1].finish, claimId, answers[1].text);
        check(deliver(claimId, id, 1), "second first");
        same(prompts.prompt(id).nPosted, 1, "one posted");
        check(!prompts.response(id, 0).posted, "the first one waits");
        vm.expectEmit(address(prompts));
        emit IPrompts.AllResponsesPosted(id);
        check(deliver(claimId, id, 0), "first");

        for (uint32 run = 0; run < 2; ++run) {
            IPrompts.PostedResponse memory posted = prompts.response(id, run);
            check(posted.posted, "posted");
            same(posted.finish, answers[run].finish, "finish");
            same(posted.promptTokens, answers[run].nPrompt, "prompt tokens");
            same(posted.newTokens, answers[run].nTokens - answers[run].nPrompt, "new tokens");
            same(posted.postedAt, time(), "time");
            same(posted.textLength, answers[run].text.length, "length");
            same(posted.textRoot, Naive.textRoot(answers[run].text), "root");
            same(posted.claimId, claimId, "claim");
        }
        same(prompts.prompt(id).nPosted, 2, "both posted");
    }

    /// @dev A text of several chunks is posted when the last one arrived, in whatever order.
    function test_chunks() external {
        uint256 id = ask(author, 1);
        ISwornRecipient.Response memory response = _response(id, 0, 1);
        response.nChunks = 3;
        response.textLength = 300_000;
        uint32[3] memory order = [uint32(2), 0, 1];
        for (uint256 i = 0; i < 3; ++i) {
            check(!prompts.response(id, 0).posted, "not whole");
            response.chunk = order[i];
            vm.prank(address(vouchers));
            prompts.onSwornResponse(response, "part");
        }
        check(prompts.response(id, 0).posted, "whole");
        same(prompts.response(id, 0).textLength, 300_000, "length");
        same(prompts.prompt(id).nPosted, 1, "one run");
    }

    function test_callbackErrors() external {
        uint256 id = ask(author, 1);
        vm.expectRevert(abi.encodeWithSelector(IPrompts.NotVouchers.selector, address(this)));
        prompts.onSwornResponse(_response(id, 0, 1), "text");
        vm.expectRevert(abi.encodeWithSelector(IPrompts.UnknownPrompt.selector, 99));
        vm.prank(address(vouchers));
        prompts.onSwornResponse(_response(99, 0, 1), "text");
    }

    function test_unknownPrompt() external {
        bytes memory error_ = abi.encodeWithSelector(IPrompts.UnknownPrompt.selector, 0);
        vm.expectRevert(error_);
        prompts.prompt(0);
        vm.expectRevert(error_);
        prompts.response(0, 0);
        vm.expectRevert(error_);
        prompts.ranking(0, ranker);
        vm.expectRevert(error_);
        prompts.rankings(0, 0, 1);
        vm.expectRevert(error_);
        prompts.rank(0, _places(1, 2), false);
        // An input that was not asked here is no prompt.
        submitFrom(author, modelId, 2, address(prompts));
        vm.expectRevert(error_);
        prompts.prompt(0);
    }

    function test_rank() external {
        uint256 id = _posted(2);
        vm.expectEmit(address(prompts));
        emit IPrompts.Ranked(id, ranker, 1, false, _places(2, 1));
        vm.prank(ranker);
        prompts.rank(id, _places(2, 1), false);
        IPrompts.Ranking memory made = prompts.ranking(id, ranker);
        same(made.ranker, ranker, "ranker");
        same(made.rankedAt, time(), "time");
        same(made.sequence, 1, "sequence");
        check(!made.allBad, "not all bad");
        same(abi.encode(made.places), abi.encode(_places(2, 1)), "places");
        same(prompts.prompt(id).nRankers, 1, "rankers");

        // A later one replaces it, an equal one too.
        for (uint32 sequence = 2; sequence < 4; ++sequence) {
            mine(1);
            vm.expectEmit(address(prompts));
            emit IPrompts.Ranked(id, ranker, sequence, true, _places(1, 1));
            vm.prank(ranker);
            prompts.rank(id, _places(1, 1), true);
            made = prompts.ranking(id, ranker);
            same(made.sequence, sequence, "sequence");
            check(made.allBad, "all bad");
            same(abi.encode(made.places), abi.encode(_places(1, 1)), "places");
            same(made.rankedAt, time(), "time");
        }
        same(prompts.prompt(id).nRankers, 1, "still one ranker");
    }

    function test_severalRankers() external {
        uint256 id = _posted(2);
        for (uint256 i = 0; i < 5; ++i) {
            vm.prank(vm.addr(100 + i));
            prompts.rank(id, i % 2 == 0 ? _places(1, 2) : _places(2, 1), false);
        }
        vm.prank(vm.addr(101));
        prompts.rank(id, _places(1, 1), false);
        same(prompts.prompt(id).nRankers, 5, "rankers");
        IPrompts.Ranking[] memory all = prompts.rankings(id, 0, 100);
        same(all.length, 5, "all");
        for (uint256 i = 0; i < 5; ++i) {
            same(all[i].ranker, vm.addr(100 + i), "in order of the first ranking");
        }
        same(all[1].sequence, 2, "the latest");
        IPrompts.Ranking[] memory page = prompts.rankings(id, 3, 1);
        check(page.length == 1 && page[0].ranker == vm.addr(103), "page");
        same(prompts.rankings(id, 5, 10).length, 0, "past the end");
        IPrompts.Ranking memory none = prompts.ranking(id, author);
        check(none.sequence == 0 && none.places.length == 0, "no ranking");
    }

    function test_notAllPosted() external {
        uint256 id = ask(author, 2);
        vm.expectRevert(abi.encodeWithSelector(IPrompts.NotAllPosted.selector, id, 0, 2));
        prompts.rank(id, _places(1, 2), false);
        bytes32 claimId = finaliseFor(id, proposer);
        deliver(claimId, id, 0);
        vm.expectRevert(abi.encodeWithSelector(IPrompts.NotAllPosted.selector, id, 1, 2));
        prompts.rank(id, _places(1, 2), false);
        deliver(claimId, id, 1);
        prompts.rank(id, _places(1, 2), false);
    }

    function test_badPlaces() external {
        uint256 id = _posted(2);
        vm.expectRevert(abi.encodeWithSelector(IPrompts.WrongPlaceCount.selector, 1, 2));
        prompts.rank(id, new uint8[](1), false);
        vm.expectRevert(abi.encodeWithSelector(IPrompts.WrongPlaceCount.selector, 3, 2));
        prompts.rank(id, new uint8[](3), false);
        vm.expectRevert(abi.encodeWithSelector(IPrompts.NotARanking.selector, 0, 0));
        prompts.rank(id, _places(0, 1), false);
        vm.expectRevert(abi.encodeWithSelector(IPrompts.NotARanking.selector, 1, 3));
        prompts.rank(id, _places(1, 3), false);
        vm.expectRevert(abi.encodeWithSelector(IPrompts.NotARanking.selector, 0, 2));
        prompts.rank(id, _places(2, 2), false);
    }

    function test_sixteenResponses() external {
        uint256 id = _posted(16);
        uint8[] memory places = new uint8[](16);
        for (uint8 i = 0; i < 16; ++i) {
            places[i] = 16 - i;
        }
        prompts.rank(id, places, false);
        same(abi.encode(prompts.ranking(id, address(this)).places), abi.encode(places), "places");
    }

    function test_lists() external {
        address other = account("other");
        submitFrom(author, modelId, 1, author); // takes id 0
        ask(author, 1);
        ask(other, 1);
        ask(author, 1);
        same(prompts.promptCount(), 3, "count");
        uint256[] memory all = prompts.promptIds(0, 10);
        check(all.length == 3 && all[0] == 1 && all[1] == 2 && all[2] == 3, "all");
        uint256[] memory mine_ = prompts.promptsOf(author, 0, 10);
        check(mine_.length == 2 && mine_[0] == 1 && mine_[1] == 3, "the author's");
        uint256[] memory page = prompts.promptsOf(author, 1, 1);
        check(page.length == 1 && page[0] == 3, "page");
        same(prompts.promptsOf(ranker, 0, 10).length, 0, "nobody's");
    }

    function _posted(uint16 nRuns) private returns (uint256 id) {
        id = ask(author, nRuns);
        bytes32 claimId = finaliseFor(id, proposer);
        for (uint32 run = 0; run < nRuns; ++run) {
            deliver(claimId, id, run);
        }
    }

    function _places(uint8 a, uint8 b) private pure returns (uint8[] memory places) {
        places = new uint8[](2);
        (places[0], places[1]) = (a, b);
    }

    function _response(uint256 id, uint32 run, uint32 nRuns)
        private
        view
        returns (ISwornRecipient.Response memory response)
    {
        (response.inputId, response.run, response.nRuns) = (id, run, nRuns);
        (response.modelId, response.claimId, response.nChunks) = (modelId, keccak256("claim"), 1);
    }
}
