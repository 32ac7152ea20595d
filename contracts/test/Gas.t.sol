// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IInbox} from "../src/interfaces/IInbox.sol";
import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {Deployment} from "./utils/Deployment.sol";
import {Programs} from "./utils/Programs.sol";

/// @title What calls cost
/// @notice Writes snapshots/Costs.json: gas of whole transactions, calldata and the 21,000 included.
/// forge-config: default.isolate = true
contract GasTest is Deployment {
    address private author;
    address private proposer;

    function setUp() external {
        deploy();
        author = account("author");
        proposer = account("proposer");
        vm.deal(author, 100 ether);
        vm.deal(proposer, 100 ether);
    }

    function test_register() external {
        models.register(Programs.small(), keccak256("w"), keccak256("t"), card("another"));
        _snapshot("Models.register, program known");
        Programs.Fields memory fields = Programs.fields();
        fields.context = 512;
        bytes memory program = Programs.encode(fields);
        models.register(program, keccak256("w"), keccak256("t"), card("a third"));
        _snapshot("Models.register, new program of 1,056 bytes");
    }

    function test_submit() external {
        uint256[3] memory sizes = [uint256(16), 1018, 4090];
        string[3] memory names = ["16 bytes", "1 KiB", "4 KiB"];
        for (uint256 i = 0; i < 3; ++i) {
            _ask(sizes[i]);
            if (i == 0) continue; // the first one pays for the author's and the counters' first slots
            _snapshot(string.concat("Prompts.ask, ", names[i]));
        }
        bytes memory payload = textPayload(string(_words(1018)));
        vm.prank(author);
        inbox.submit{value: 1 ether}(modelId, sampled(2), payload, author);
        _snapshot("Inbox.submit, 1 KiB");
        check(_last() < 400_000, "a prompt of 1 KiB costs under 400 k gas");
    }

    function test_seal() external {
        _ask(100);
        sealAll();
        uint256 number = height();
        for (uint256 i = 0; i < 11; ++i) {
            _ask(100);
        }
        mine(SEAL_DELAY + 1);
        bytes memory header = headerOf(number + SEAL_DELAY);
        inbox.seal(header, 1);
        _snapshot("Inbox.seal, 1 input");
        inbox.seal(header, 10);
        _snapshot("Inbox.seal, 10 inputs");
    }

    function test_claim() external {
        uint256 id = _ask(100);
        _ask(100);
        sealAll();
        endEpoch(0);
        bytes32 accumulator = inbox.accumulatorAt(0);
        bytes32[] memory digests = topDigests(laneJobs(0, modelId));
        vm.prank(proposer);
        bytes32 claimId = claims.claim{value: BOND}(0, modelId, accumulator, digests);
        _snapshot("Claims.claim");
        passWindow();
        claims.finalise(claimId);
        _snapshot("Claims.finalise");
        claims.settle(id);
        _snapshot("Claims.settle");
        vm.prank(proposer);
        claims.withdraw(payable(proposer));
        _snapshot("Claims.withdraw");
        vm.prank(proposer);
        fees.withdraw(payable(proposer));
        _snapshot("FlatFees.withdraw");
    }

    function test_refund() external {
        uint256 id = _ask(100);
        vm.warp(time() + ANSWER + 1);
        claims.refund(id);
        _snapshot("Claims.refund");
    }

    function test_executeAndRank() external {
        uint256 id = _ask(100);
        bytes32 claimId = finaliseFor(id, proposer);
        _deliver(claimId, id, 0);
        _snapshot("Vouchers.execute to Prompts, 40 bytes");
        _deliver(claimId, id, 1);
        _snapshot("Vouchers.execute to Prompts, last run, 140 bytes");
        uint8[] memory places = new uint8[](2);
        (places[0], places[1]) = (2, 1);
        vm.prank(author);
        prompts.rank(id, places, false);
        _snapshot("Prompts.rank, first ranker");
        vm.prank(proposer);
        prompts.rank(id, places, false);
        _snapshot("Prompts.rank, second ranker");
        vm.prank(author);
        prompts.rank(id, places, true);
        _snapshot("Prompts.rank again");
    }

    /// @dev The largest voucher: a whole chunk of 131,072 bytes, posted by `Prompts`, has to stay under 2^24 gas.
    function test_executeChunk() external {
        IInbox.Params memory params = sampled(1);
        vm.prank(author);
        uint256 id = prompts.ask{value: 1 ether}(modelId, "long", params);
        Answer[] memory answers = new Answer[](1);
        answers[0] = Answer({text: _words(131_072), nPrompt: 5, nTokens: 50_000, finish: 1});
        sealAll();
        endEpoch(0);
        bytes32[] memory jobs = new bytes32[](1);
        jobs[0] = jobRecord(id, answers);
        bytes32 claimId = claimFrom(proposer, 0, modelId, jobs[0]);
        passWindow();
        claims.finalise(claimId);
        IVouchers.Proof memory proof = proofOf(claimId, id, 0, answers, jobs);
        check(vouchers.execute(proof, runOf(answers[0]), 0, answers[0].text), "delivered");
        _snapshot("Vouchers.execute to Prompts, 131,072 bytes");
        check(_last() < 2 ** 24, "under the cap on a transaction's gas");
    }

    uint256 private _gas;

    function _snapshot(string memory name) private {
        _gas = vm.snapshotGasLastCall("Costs", name);
    }

    function _last() private view returns (uint256) {
        return _gas;
    }

    function _ask(uint256 textBytes) private returns (uint256 id) {
        vm.prank(author);
        id = prompts.ask{value: 1 ether}(modelId, string(_words(textBytes)), sampled(2));
    }

    function _deliver(bytes32 claimId, uint256 id, uint32 run) private {
        Answer[] memory answers = answersOf(id, 2);
        IVouchers.Proof memory proof = proofOf(claimId, id, run, answers, laneJobs(0, modelId));
        IVouchers.Run memory fields = runOf(answers[run]);
        check(vouchers.execute(proof, fields, 0, answers[run].text), "delivered");
    }

    /// @dev Text without zero bytes.
    function _words(uint256 length) private pure returns (bytes memory text) {
        text = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            text[i] = i % 5 == 4 ? bytes1(" ") : bytes1(uint8(97 + i % 26));
        }
    }
}
