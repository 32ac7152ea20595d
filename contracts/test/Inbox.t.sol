// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Inbox} from "../src/Inbox.sol";
import {IFees} from "../src/interfaces/IFees.sol";
import {IInbox} from "../src/interfaces/IInbox.sol";
import {BlockHashes} from "../src/libraries/BlockHashes.sol";
import {ParamsWord} from "../src/libraries/ParamsWord.sol";
import {FakeHistory} from "./libraries/BlockHashes.t.sol";
import {Deployment} from "./utils/Deployment.sol";
import {Naive} from "./utils/Naive.sol";

contract InboxSubmitTest is Deployment {
    address private asker;
    address private recipient;
    bytes private payload;

    function setUp() external {
        deploy();
        asker = account("asker");
        recipient = account("recipient");
        payload = textPayload("Once upon a time");
        vm.deal(asker, 100 ether);
    }

    function test_submit() external {
        uint256 price = priceOf(2, payload.length);
        IInbox.Params memory params = sampled(2);
        vm.expectEmit(address(inbox));
        emit IInbox.InputSubmitted(
            0, asker, modelId, recipient, ParamsWord.pack(params), Naive.textRoot(payload), payload
        );
        vm.expectEmit(address(fees));
        emit IFees.Escrowed(0, asker, price);
        vm.prank(asker);
        uint256 id = inbox.submit{value: price}(modelId, params, payload, recipient);

        same(id, 0, "ids start at 0");
        same(inbox.count(), 1, "count");
        check(!inbox.isSealed(0), "not sealed");
        IInbox.Input memory input = inbox.input(0);
        same(input.sender, asker, "sender");
        same(input.recipient, recipient, "recipient");
        same(input.submittedBlock, height(), "block");
        same(input.submittedAt, time(), "time");
        same(input.modelId, modelId, "model");
        same(input.params, inbox.packParams(params), "params");
        same(inbox.paramsOf(0), input.params, "params alone");
        same(inbox.paramsOf(1), 0, "of no input");
        same(input.payloadRoot, Naive.textRoot(payload), "root");
        same(input.payloadLength, payload.length, "length");
        same(input.seed, 0, "seed");
        same(abi.encode(inbox.unpackParams(input.params)), abi.encode(params), "unpacked");
        same(address(inbox).balance, 0, "the inbox keeps no money");
    }

    function test_submitFor() external {
        address payer = account("payer");
        uint256 price = priceOf(2, payload.length);
        vm.prank(asker);
        inbox.submitFor{value: price + 5}(payer, modelId, sampled(2), payload, recipient);
        same(inbox.input(0).sender, asker, "sender");
        (address who,,) = fees.escrowOf(0);
        same(who, payer, "payer");
        same(fees.balanceOf(payer), 5, "change");
        vm.expectRevert(abi.encodeWithSelector(IInbox.ZeroPayer.selector));
        inbox.submitFor(address(0), modelId, sampled(2), payload, recipient);
    }

    function test_unknownModel() external {
        vm.expectRevert(abi.encodeWithSelector(IInbox.UnknownModel.selector, bytes32("x")));
        inbox.submit("x", sampled(2), payload, recipient);
    }

    function test_unsupportedKind() external {
        IInbox.Params memory params = sampled(2);
        for (uint8 kind = 0; kind < 4; ++kind) {
            if (kind == 1) continue;
            params.kind = kind;
            _refuses(params, abi.encodeWithSelector(IInbox.UnsupportedKind.selector, kind));
        }
    }

    function test_badRunCount() external {
        _refuses(sampled(0), abi.encodeWithSelector(IInbox.BadRunCount.selector, 0, 16));
        _refuses(sampled(17), abi.encodeWithSelector(IInbox.BadRunCount.selector, 17, 16));
        submitFrom(asker, modelId, 16, recipient);
    }

    function test_zeroTemperature() external {
        IInbox.Params memory params = sampled(2);
        params.temperatureMilli = 0;
        _refuses(params, abi.encodeWithSelector(IInbox.RunsAtZeroTemperature.selector, 2));
        params.nRuns = 1;
        vm.prank(asker);
        inbox.submit{value: 1 ether}(modelId, params, payload, recipient);
    }

    function test_badSampling() external {
        IInbox.Params memory params = sampled(2);
        params.temperatureMilli = 10_001;
        _refuses(params, abi.encodeWithSelector(IInbox.BadSampling.selector, "temperature", 10_001, 10_000));
        params = sampled(2);
        params.topPPpm = 0;
        _refuses(params, abi.encodeWithSelector(IInbox.BadSampling.selector, "top_p", 0, 1_000_000));
        params.topPPpm = 1_000_001;
        _refuses(params, abi.encodeWithSelector(IInbox.BadSampling.selector, "top_p", 1_000_001, 1_000_000));
        params = sampled(2);
        params.minPPpm = 1_000_001;
        _refuses(params, abi.encodeWithSelector(IInbox.BadSampling.selector, "min_p", 1_000_001, 1_000_000));
    }

    function test_payloadBounds() external {
        vm.expectRevert(abi.encodeWithSelector(IInbox.PayloadEmpty.selector));
        inbox.submit(modelId, sampled(2), "", recipient);
        bytes memory long = new bytes(MAX_PAYLOAD + 1);
        vm.expectRevert(abi.encodeWithSelector(IInbox.PayloadTooLong.selector, MAX_PAYLOAD + 1, MAX_PAYLOAD));
        inbox.submit(modelId, sampled(2), long, recipient);
        vm.prank(asker);
        bytes memory longest = textPayload(string(new bytes(MAX_PAYLOAD - 6)));
        inbox.submit{value: 1 ether}(modelId, sampled(2), longest, recipient);
    }

    function test_malformedPayloads() external {
        bytes4 version = IInbox.BadPayloadVersion.selector;
        _refusesPayload(hex"00", abi.encodeWithSelector(version, 0, 1));
        _refusesPayload(hex"020000000000", abi.encodeWithSelector(version, 2, 1));
        bytes4 type_ = IInbox.BadSegmentType.selector;
        _refusesPayload(hex"0102", abi.encodeWithSelector(type_, 1, 2, 1));
        _refusesPayload(hex"01ff00000000", abi.encodeWithSelector(type_, 1, 255, 1));
        _refusesPayload(hex"0100000000026869ff", abi.encodeWithSelector(type_, 8, 255, 1));
        bytes4 cut = IInbox.SegmentCutOff.selector;
        _refusesPayload(hex"0100", abi.encodeWithSelector(cut, 1, 1, 5));
        _refusesPayload(hex"0100000001", abi.encodeWithSelector(cut, 1, 4, 5));
        _refusesPayload(hex"01000000000278", abi.encodeWithSelector(cut, 1, 6, 7));
        _refusesPayload(hex"0100ffffffff78", abi.encodeWithSelector(cut, 1, 6, 4_294_967_300));
        _refusesPayload(hex"010100000001010000", abi.encodeWithSelector(cut, 6, 3, 5));
        _refusesPayload(hex"01000000000001", abi.encodeWithSelector(cut, 6, 1, 5));
    }

    function test_segmentCount() external {
        bytes memory made = hex"01";
        for (uint256 i = 0; i < 64; ++i) {
            made = bytes.concat(made, i % 2 == 0 ? bytes(hex"000000000161") : bytes(hex"01ffffffff"));
        }
        vm.prank(asker);
        inbox.submit{value: 1 ether}(modelId, sampled(2), made, recipient);
        bytes memory error_ = abi.encodeWithSelector(IInbox.TooManySegments.selector, made.length, 64);
        _refusesPayload(bytes.concat(made, hex"0000000000"), error_);
        // The limit is seen before the segment past it is read.
        _refusesPayload(bytes.concat(made, hex"07"), error_);
    }

    /// @dev Random bytes that mostly begin well, against the definition read recursively.
    function testFuzz_payloadCheck(uint256 seed, uint256 length) external {
        bytes memory made = randomBytes(seed, within(length, 0, 40));
        for (uint256 i = 0; i < made.length; ++i) {
            if (uint8(made[i]) % 8 != 0) made[i] = bytes1(uint8(made[i]) % 2);
        }
        made = bytes.concat(hex"01", made);
        vm.prank(asker);
        (bool ok,) =
            address(inbox).call{value: 1 ether}(abi.encodeCall(IInbox.submit, (modelId, sampled(2), made, recipient)));
        check(ok == _wellFormed(made, 1, 0), "accepted if and only if well-formed");
    }

    function _wellFormed(bytes memory made, uint256 offset, uint256 segments) private pure returns (bool) {
        if (offset == made.length) return true;
        if (segments == 64 || offset + 5 > made.length) return false;
        if (made[offset] == hex"01") return _wellFormed(made, offset + 5, segments + 1);
        uint256 number = 0;
        for (uint256 i = 1; i < 5; ++i) {
            number = 256 * number + uint8(made[offset + i]);
        }
        return
            made[offset] == 0 && offset + 5 + number <= made.length
                && _wellFormed(made, offset + 5 + number, segments + 1);
    }

    function _refusesPayload(bytes memory made, bytes memory error_) private {
        vm.expectRevert(error_);
        inbox.submit(modelId, sampled(2), made, recipient);
    }

    function test_zeroRecipient() external {
        vm.expectRevert(abi.encodeWithSelector(IInbox.ZeroRecipient.selector));
        inbox.submit(modelId, sampled(2), payload, address(0));
    }

    function test_feeTooLow() external {
        uint256 price = priceOf(2, payload.length);
        vm.expectRevert(abi.encodeWithSelector(IFees.FeeTooLow.selector, price - 1, price));
        vm.prank(asker);
        inbox.submit{value: price - 1}(modelId, sampled(2), payload, recipient);
        same(inbox.count(), 0, "nothing submitted");
    }

    function test_unknownInput() external {
        vm.expectRevert(abi.encodeWithSelector(IInbox.UnknownInput.selector, 0));
        inbox.input(0);
    }

    function test_configuration() external {
        _refusesConfiguration(0, 1, 1, "epochBlocks", 0, type(uint64).max);
        _refusesConfiguration(1, 0, 1, "sealDelayBlocks", 0, 128);
        _refusesConfiguration(1, 129, 1, "sealDelayBlocks", 129, 128);
        _refusesConfiguration(1, 1, 0, "maxPayloadBytes", 0, type(uint32).max);
        _refusesConfiguration(1, 1, 2 ** 32, "maxPayloadBytes", 2 ** 32, type(uint32).max);
        same(address(inbox.models()), address(models), "models");
        same(address(inbox.fees()), address(fees), "fees");
        same(inbox.epochBlocks(), EPOCH_BLOCKS, "epoch");
        same(inbox.sealDelayBlocks(), SEAL_DELAY, "delay");
        same(inbox.maxPayloadBytes(), MAX_PAYLOAD, "payload");
        same(inbox.startBlock(), 1000, "start");
    }

    function testFuzz_epochs(uint32 offset) external {
        uint256 number = 1000 + uint256(offset);
        uint64 epoch = inbox.epochOf(number);
        (uint256 first, uint256 end) = inbox.epochBounds(epoch);
        check(first <= number && number < end, "inside its epoch");
        same(end - first, EPOCH_BLOCKS, "length");
        vm.roll(number);
        same(inbox.currentEpoch(), epoch, "current");
        vm.expectRevert(abi.encodeWithSelector(IInbox.BlockBeforeStart.selector, 999, 1000));
        inbox.epochOf(999);
    }

    function _refuses(IInbox.Params memory params, bytes memory error_) private {
        vm.expectRevert(error_);
        vm.prank(asker);
        inbox.submit{value: 1 ether}(modelId, params, payload, recipient);
    }

    function _refusesConfiguration(
        uint64 epochBlocks,
        uint64 delay,
        uint256 maximum,
        string memory field,
        uint256 found,
        uint256 bound
    ) private {
        vm.expectRevert(abi.encodeWithSelector(IInbox.BadConfiguration.selector, field, found, bound));
        new Inbox(models, fees, epochBlocks, delay, maximum);
    }
}

contract InboxSealTest is Deployment {
    address private asker;
    bytes32 private other;

    function setUp() external {
        deploy();
        asker = account("asker");
        other = registerModel("other", 1);
    }

    function test_seal() external {
        uint256 number = height();
        uint256 id = submitFrom(asker, modelId, 2, asker);
        mine(SEAL_DELAY + 1);
        bytes memory header = headerOf(number + SEAL_DELAY);
        bytes32 seed = _seed(id, number + SEAL_DELAY);
        bytes32 accumulator = _grow(0, id, seed);
        vm.expectEmit(address(inbox));
        emit IInbox.InputSealed(id, 0, modelId, 0, seed, accumulator);
        same(inbox.seal(header, 10), 1, "sealed");

        check(inbox.isSealed(id), "sealed");
        same(inbox.sealedCount(), 1, "count");
        IInbox.Input memory input = inbox.input(id);
        same(input.seed, seed, "seed");
        same(input.epoch, 0, "epoch");
        same(input.laneIndex, 0, "lane index");
        same(inbox.accumulatorAt(0), accumulator, "accumulator");
        same(inbox.laneCount(0, modelId), 1, "lane");
        same(inbox.laneInput(0, modelId, 0), id, "lane input");
        vm.expectRevert(abi.encodeWithSelector(IInbox.UnknownLaneIndex.selector, 0, modelId, 1));
        inbox.laneInput(0, modelId, 1);
        vm.expectRevert(abi.encodeWithSelector(IInbox.NothingToSeal.selector));
        inbox.seal(header, 10);
    }

    /// @dev Several models in one block and the next: lanes, order, one running hash, one seed each.
    function test_lanesAndOrder() external {
        uint256 number = height();
        submitFrom(asker, modelId, 1, asker); // 0
        submitFrom(asker, other, 1, asker); // 1
        submitFrom(asker, modelId, 1, asker); // 2
        mine(1);
        submitFrom(asker, other, 1, asker); // 3
        mine(SEAL_DELAY + 1);
        same(inbox.seal(headerOf(number + SEAL_DELAY), 2), 2, "as many as the limit");
        same(inbox.seal(headerOf(number + SEAL_DELAY), 10), 1, "as many as belong to the block");
        same(inbox.seal(headerOf(number + SEAL_DELAY + 1), 10), 1, "the next block's");

        bytes32 accumulator;
        for (uint256 id = 0; id < 4; ++id) {
            bytes32 seed = _seed(id, number + SEAL_DELAY + (id == 3 ? 1 : 0));
            same(inbox.input(id).seed, seed, "seed");
            accumulator = _grow(accumulator, id, seed);
        }
        same(inbox.accumulatorAt(0), accumulator, "accumulator");
        same(inbox.laneCount(0, modelId), 2, "first lane");
        same(inbox.laneCount(0, other), 2, "second lane");
        same(inbox.laneInput(0, modelId, 1), 2, "order in the lane");
        same(inbox.input(3).laneIndex, 1, "index in the lane");
    }

    function test_tooEarly() external {
        vm.expectRevert(abi.encodeWithSelector(IInbox.NothingToSeal.selector));
        inbox.seal("", 1);
        uint256 number = height();
        submitFrom(asker, modelId, 1, asker);
        for (uint256 i = 0; i <= SEAL_DELAY; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IInbox.TooEarly.selector, 0, number + SEAL_DELAY + 1, height()));
            inbox.seal("", 1);
            mine(1);
        }
        vm.expectRevert(abi.encodeWithSelector(IInbox.NothingToSeal.selector));
        inbox.seal("", 0);
        inbox.seal(headerOf(number + SEAL_DELAY), 1);
    }

    function test_badHeader() external {
        uint256 target = height() + SEAL_DELAY;
        submitFrom(asker, modelId, 1, asker);
        mine(SEAL_DELAY + 1);
        bytes memory header = headerOf(target);
        bytes memory wrong = Naive.header(keccak256("chosen"), target, 1);
        vm.expectRevert(abi.encodeWithSelector(IInbox.BadHeader.selector, keccak256(wrong), keccak256(header)));
        inbox.seal(wrong, 1);
        bytes memory odd = hex"c0";
        vm.setBlockhash(target, keccak256(odd));
        vm.expectRevert(abi.encodeWithSelector(IInbox.MalformedHeader.selector));
        inbox.seal(odd, 1);
        inbox.seal(headerOf(target), 1);
    }

    /// @dev Without a history contract the hash is gone after 256 blocks: the input is re-armed and sealed later.
    function test_rearm() external {
        vm.etch(BlockHashes.HISTORY, "");
        submitFrom(asker, modelId, 1, asker);
        submitFrom(asker, modelId, 1, asker);
        mine(1);
        submitFrom(asker, modelId, 1, asker);
        mine(254);
        uint256 target = 1000 + SEAL_DELAY;
        mine(target + 257 - height());
        uint64 submitted = uint64(height());
        vm.expectEmit(address(inbox));
        emit IInbox.InputRearmed(0, submitted);
        vm.expectEmit(address(inbox));
        emit IInbox.InputRearmed(1, submitted);
        // The third one's block is still in reach.
        vm.setBlockhash(target + 1, keccak256("in reach"));
        same(inbox.seal("", 10), 2, "re-armed");
        same(inbox.sealedCount(), 0, "nothing sealed");
        same(inbox.input(0).submittedBlock, submitted, "block moved");
        same(inbox.input(0).submittedAt, 1_800_000_000, "the time of submission did not");
        same(inbox.input(2).submittedBlock, 1001, "the third did not move");
        vm.expectRevert(abi.encodeWithSelector(IInbox.TooEarly.selector, 0, submitted + SEAL_DELAY + 1, height()));
        inbox.seal("", 10);
        mine(SEAL_DELAY + 1);
        same(inbox.seal(headerOf(submitted + SEAL_DELAY), 10), 2, "sealed");
        same(inbox.seal("", 10), 1, "the third is re-armed in its turn");
        sealAll();
        same(inbox.sealedCount(), 3, "all sealed");
    }

    function test_rearmLimit() external {
        vm.etch(BlockHashes.HISTORY, "");
        for (uint256 i = 0; i < 5; ++i) {
            submitFrom(asker, modelId, 1, asker);
        }
        mine(1000);
        same(inbox.seal("", 2), 2, "as many as the limit");
        same(inbox.input(2).submittedBlock, 1000, "the rest waits");
        sealAll();
        same(inbox.sealedCount(), 5, "all sealed");
    }

    /// @dev With the history contract of EIP-2935 an old block's header still seals: no second draw.
    function test_history() external {
        submitFrom(asker, modelId, 1, asker);
        mine(5000);
        uint256 target = 1000 + SEAL_DELAY;
        bytes memory header = headerOf(target);
        FakeHistory history = _placeHistory();
        history.put(target, keccak256(header));
        vm.expectRevert();
        inbox.seal("", 10);
        same(inbox.seal(header, 10), 1, "sealed");
        same(inbox.input(0).seed, _seed(0, target), "seed of the old block");
    }

    /// @dev Whatever stands at the history address, sealing goes on.
    function test_brokenHistory() external {
        for (uint8 mode = 1; mode <= 6; ++mode) {
            uint256 id = submitFrom(asker, modelId, 1, asker);
            mine(400);
            FakeHistory history = _placeHistory();
            history.set(FakeHistory.Mode(mode));
            same(inbox.seal("", 10), 1, "re-armed");
            check(!inbox.isSealed(id), "not sealed");
            sealAll();
            check(inbox.isSealed(id), "sealed");
        }
    }

    /// @dev One that is right about the parent and lies about older blocks delays sealing, but not for ever.
    function test_lyingHistory() external {
        submitFrom(asker, modelId, 1, asker);
        mine(400);
        FakeHistory history = _placeHistory();
        history.put(1000 + SEAL_DELAY, keccak256("lie"));
        vm.expectRevert(abi.encodeWithSelector(IInbox.BadHeader.selector, keccak256(""), keccak256("lie")));
        inbox.seal("", 10);
        mine(8191);
        _placeHistory();
        same(inbox.seal("", 10), 1, "re-armed");
        sealAll();
        same(inbox.sealedCount(), 1, "sealed");
    }

    /// @dev `accumulatorAt` of epochs without seals is the one of the last epoch with some.
    function testFuzz_accumulators(uint256 seed) external {
        bytes32[] memory expected = new bytes32[](12);
        bytes32 current;
        for (uint64 epoch = 0; epoch < expected.length; ++epoch) {
            (uint256 first,) = inbox.epochBounds(epoch);
            if (height() < first) mine(first - height());
            uint256 count = uint256(keccak256(abi.encode(seed, epoch))) % 3;
            for (uint256 i = 0; i < count; ++i) {
                uint256 number = height();
                uint256 id = submitFrom(asker, modelId, 1, asker);
                mine(SEAL_DELAY + 1);
                inbox.seal(headerOf(number + SEAL_DELAY), 10);
                current = _grow(current, id, _seed(id, number + SEAL_DELAY));
                same(inbox.laneCount(epoch, modelId), i + 1, "lane");
            }
            expected[epoch] = current;
        }
        for (uint64 epoch = 0; epoch < expected.length; ++epoch) {
            same(inbox.accumulatorAt(epoch), expected[epoch], "accumulator");
        }
        same(inbox.accumulatorAt(type(uint64).max), current, "later epochs");
    }

    function _placeHistory() private returns (FakeHistory history) {
        vm.setBlockhash(height() - 1, keccak256(abi.encode("parent", height())));
        vm.etch(BlockHashes.HISTORY, address(new FakeHistory()).code);
        history = FakeHistory(payable(BlockHashes.HISTORY));
        history.set(FakeHistory.Mode.Honest);
        history.put(height() - 1, blockhash(height() - 1));
    }

    function _seed(uint256 id, uint256 target) private view returns (bytes32) {
        bytes32 blockHash = keccak256(Naive.header(mixHashOf(target), target, target));
        return sha256(
            abi.encodePacked(
                bytes32("sworn/seed/1"),
                block.chainid,
                uint256(uint160(address(inbox))),
                id,
                mixHashOf(target),
                target % 3 == 0 ? blockHash : bytes32(0)
            )
        );
    }

    function _grow(bytes32 before, uint256 id, bytes32 seed) private view returns (bytes32) {
        IInbox.Input memory input = inbox.input(id);
        bytes memory words =
            abi.encodePacked(bytes32("sworn/input/1"), block.chainid, uint256(uint160(address(inbox))), id, uint256(1));
        words = abi.encodePacked(
            words,
            uint256(uint160(input.sender)),
            uint256(uint160(input.recipient)),
            input.modelId,
            input.params,
            input.payloadRoot,
            uint256(input.payloadLength)
        );
        return sha256(abi.encodePacked(bytes32("sworn/inbox/1"), before, sha256(words), seed));
    }
}
