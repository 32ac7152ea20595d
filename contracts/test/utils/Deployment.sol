// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Claims} from "../../src/Claims.sol";
import {FlatFees} from "../../src/FlatFees.sol";
import {Inbox} from "../../src/Inbox.sol";
import {Models} from "../../src/Models.sol";
import {Prompts} from "../../src/Prompts.sol";
import {Vouchers} from "../../src/Vouchers.sol";
import {IDisputes} from "../../src/interfaces/IDisputes.sol";
import {IInbox} from "../../src/interfaces/IInbox.sol";
import {IModels} from "../../src/interfaces/IModels.sol";
import {IVouchers} from "../../src/interfaces/IVouchers.sol";
import {Naive} from "./Naive.sol";
import {Programs} from "./Programs.sol";
import {Test} from "./Test.sol";

/// @title The whole deployment, with what tests need to drive it
abstract contract Deployment is Test {
    uint64 internal constant EPOCH_BLOCKS = 10;
    uint64 internal constant SEAL_DELAY = 2;
    uint256 internal constant MAX_PAYLOAD = 4096;
    uint256 internal constant BOND = 1 ether;
    uint64 internal constant WINDOW = 60;
    uint64 internal constant ANSWER = 600;
    uint256 internal constant CALLBACK_GAS = 2_000_000;
    uint256 internal constant BASE_WEI = 1000 gwei;
    uint256 internal constant PER_RUN_WEI = 100 gwei;
    uint256 internal constant PER_BYTE_WEI = 1 gwei;

    Models internal models;
    FlatFees internal fees;
    IDisputes internal disputes;
    Inbox internal inbox;
    Claims internal claims;
    Vouchers internal vouchers;
    Prompts internal prompts;
    bytes32 internal modelId;

    /// @dev A run as a test makes it up.
    struct Answer {
        bytes text;
        uint32 nPrompt;
        uint32 nTokens;
        uint8 finish;
    }

    function deploy() internal {
        deployWith(IDisputes(make("DevDisputes", "")));
    }

    /// @dev The cycle inbox -> fees -> inbox is closed with addresses known beforehand.
    function deployWith(IDisputes disputes_) internal {
        disputes = disputes_;
        _deploy();
    }

    /// @dev Makes the disputes contract, once the inbox stands and the claims contract's address is known; `deployWith` was given one.
    function makeDisputes(address) internal virtual returns (IDisputes) {
        return disputes;
    }

    function _deploy() internal {
        vm.roll(1000);
        vm.warp(1_800_000_000);
        models = Models(make("Models", abi.encode(1)));
        uint256 nonce = vm.getNonce(address(this));
        address inboxAddress = vm.computeCreateAddress(address(this), nonce + 1);
        address claimsAddress =
            vm.computeCreateAddress(address(this), nonce + (address(disputes) == address(0) ? 3 : 2));
        fees = makeFees(inboxAddress, claimsAddress, BASE_WEI, PER_RUN_WEI, PER_BYTE_WEI);
        inbox = Inbox(make("Inbox", abi.encode(models, fees, EPOCH_BLOCKS, SEAL_DELAY, MAX_PAYLOAD)));
        disputes = makeDisputes(claimsAddress);
        claims = Claims(make("Claims", abi.encode(inbox, fees, disputes, BOND, WINDOW, ANSWER)));
        check(address(inbox) == inboxAddress && address(claims) == claimsAddress, "addresses as computed");
        vouchers = Vouchers(make("Vouchers", abi.encode(inbox, claims, CALLBACK_GAS)));
        prompts = Prompts(make("Prompts", abi.encode(inbox, vouchers)));
        modelId = registerModel("fable", 0);
    }

    function makeFees(address inbox_, address claims_, uint256 baseWei, uint256 perRunWei, uint256 perByteWei)
        internal
        returns (FlatFees)
    {
        return FlatFees(make("FlatFees", abi.encode(inbox_, claims_, baseWei, perRunWei, perByteWei)));
    }

    function registerModel(string memory name, uint256 salt) internal returns (bytes32) {
        return models.register(
            Programs.small(), keccak256(abi.encode("weights", name, salt)), keccak256("tokenizer"), card(name)
        );
    }

    function card(string memory name) internal pure returns (IModels.Card memory) {
        return IModels.Card({
            name: name,
            version: "1.0",
            license: "MIT",
            licenseUri: "https://example.org/license",
            weightsUri: "https://example.org/weights",
            parent: 0
        });
    }

    /// @dev Parameters of an ordinary prompt with `nRuns` answers.
    function sampled(uint16 nRuns) internal pure returns (IInbox.Params memory) {
        return IInbox.Params({
            kind: 1,
            nRuns: nRuns,
            maxNewTokens: 64,
            maxTotalTokens: 0,
            temperatureMilli: 800,
            topK: 40,
            topPPpm: 950_000,
            minPPpm: 0
        });
    }

    function textPayload(string memory text) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), uint8(0), uint32(bytes(text).length), text);
    }

    function priceOf(uint256 nRuns, uint256 payloadBytes) internal pure returns (uint256) {
        return BASE_WEI + nRuns * PER_RUN_WEI + payloadBytes * PER_BYTE_WEI;
    }

    /// @dev Submits from `sender`, paying the exact price.
    function submitFrom(address sender, bytes32 model, uint16 nRuns, address recipient) internal returns (uint256 id) {
        bytes memory payload = textPayload("Once upon a time");
        uint256 price = priceOf(nRuns, payload.length);
        vm.deal(sender, sender.balance + price);
        vm.prank(sender);
        id = inbox.submit{value: price}(model, sampled(nRuns), payload, recipient);
    }

    function ask(address author, uint16 nRuns) internal returns (uint256 id) {
        string memory text = "Once upon a time";
        uint256 price = prompts.quote(modelId, bytes(text).length, sampled(nRuns));
        vm.deal(author, author.balance + price);
        vm.prank(author);
        id = prompts.ask{value: price}(modelId, text, sampled(nRuns));
    }

    function mine(uint256 blocks) internal {
        vm.roll(height() + blocks);
        vm.warp(time() + blocks);
    }

    function mixHashOf(uint256 number) internal pure returns (bytes32) {
        // Every third block is of a chain without randomness.
        return number % 3 == 0 ? bytes32(uint256(1)) : keccak256(abi.encode("mixHash", number));
    }

    /// @dev The header of a block, whose hash the chain then knows.
    function headerOf(uint256 number) internal returns (bytes memory header) {
        header = Naive.header(mixHashOf(number), number, number);
        vm.setBlockhash(number, keccak256(header));
    }

    /// @dev Seals everything that waits, mining as needed.
    function sealAll() internal {
        while (inbox.sealedCount() < inbox.count()) {
            uint256 target = inbox.input(inbox.sealedCount()).submittedBlock + SEAL_DELAY;
            if (height() <= target) mine(target + 1 - height());
            inbox.seal(headerOf(target), 100);
        }
    }

    function endEpoch(uint64 epoch) internal {
        (, uint256 end) = inbox.epochBounds(epoch);
        if (height() < end) mine(end - height());
    }

    function passWindow() internal {
        vm.warp(time() + WINDOW + 1);
    }

    /// @dev Claims a root that is the honest one, or a made-up one of a lane of one input.
    function claimFrom(address proposer, uint64 epoch, bytes32 model, bytes32 root) internal returns (bytes32) {
        return claimDigests(proposer, epoch, model, digestsFor(epoch, model, root));
    }

    function claimDigests(address proposer, uint64 epoch, bytes32 model, bytes32[] memory digests)
        internal
        returns (bytes32)
    {
        vm.deal(proposer, proposer.balance + BOND);
        bytes32 accumulator = inbox.accumulatorAt(epoch);
        vm.prank(proposer);
        return claims.claim{value: BOND}(epoch, model, accumulator, digests);
    }

    /// @dev What a claim with that root is made with.
    function digestsFor(uint64 epoch, bytes32 model, bytes32 root) internal view returns (bytes32[] memory) {
        if (inbox.laneCount(epoch, model) <= 1) return one(root);
        return topDigests(laneJobs(epoch, model));
    }

    /// @dev The nodes of the claim tree over these jobs that a claim is made with.
    function topDigests(bytes32[] memory jobs) internal pure returns (bytes32[] memory digests) {
        // As few openings as possible from the root to the jobs, of about the same depth, none of more than 6 levels.
        uint256 depth = 0;
        while (1 << depth < jobs.length) ++depth;
        uint256 openings = (depth + 5) / 6;
        uint256 levels = openings == 0 ? 0 : (depth + openings - 1) / openings;
        uint256 width = 1 << (depth - levels);
        digests = new bytes32[]((jobs.length + width - 1) / width);
        for (uint256 i = 0; i < digests.length; ++i) {
            digests[i] = Naive.subtree(jobs, i * width, width);
        }
    }

    function one(bytes32 digest) internal pure returns (bytes32[] memory digests) {
        digests = new bytes32[](1);
        digests[0] = digest;
    }

    // What a node computes: records, trees and proofs of answers.

    function runOf(Answer memory answer) internal pure returns (IVouchers.Run memory) {
        return IVouchers.Run({
            nPrompt: answer.nPrompt,
            nTokens: answer.nTokens,
            finish: answer.finish,
            tokensRoot: keccak256(abi.encode("tokens", answer.text)),
            offsetsRoot: keccak256(abi.encode("offsets", answer.text)),
            textRoot: Naive.textRoot(answer.text),
            textLength: uint64(answer.text.length),
            score: 0,
            greedy: false
        });
    }

    function runRecord(IVouchers.Run memory run) internal pure returns (bytes32) {
        return sha256(
            abi.encodePacked(
                bytes32("sworn/run/1"),
                uint256(run.nPrompt),
                uint256(run.nTokens),
                uint256(run.finish),
                run.tokensRoot,
                run.offsetsRoot,
                run.textRoot,
                uint256(run.textLength),
                int256(run.score),
                uint256(run.greedy ? 1 : 0)
            )
        );
    }

    function runRecords(Answer[] memory answers) internal pure returns (bytes32[] memory records) {
        records = new bytes32[](answers.length);
        for (uint256 i = 0; i < records.length; ++i) {
            records[i] = runRecord(runOf(answers[i]));
        }
    }

    function jobRecord(uint256 inputId, Answer[] memory answers) internal pure returns (bytes32) {
        return sha256(
            abi.encodePacked(
                bytes32("sworn/job/1"), inputId, answers.length, Naive.root(runRecords(answers)), bytes32(0)
            )
        );
    }

    /// @dev The made-up answers of an input: texts depend on id and run.
    function answersOf(uint256 inputId, uint256 nRuns) internal pure returns (Answer[] memory answers) {
        answers = new Answer[](nRuns);
        for (uint256 i = 0; i < nRuns; ++i) {
            bytes memory text = randomBytes(uint256(keccak256(abi.encode(inputId, i))), 40 + 100 * i);
            answers[i] = Answer({text: text, nPrompt: 5, nTokens: uint32(30 + i), finish: uint8(i % 2)});
        }
    }

    /// @dev Job records of a lane, in lane order, with the made-up answers.
    function laneJobs(uint64 epoch, bytes32 model) internal view returns (bytes32[] memory jobs) {
        jobs = new bytes32[](inbox.laneCount(epoch, model));
        for (uint32 i = 0; i < jobs.length; ++i) {
            uint256 inputId = inbox.laneInput(epoch, model, i);
            uint16 nRuns = inbox.unpackParams(inbox.input(inputId).params).nRuns;
            jobs[i] = jobRecord(inputId, answersOf(inputId, nRuns));
        }
    }

    function honestRoot(uint64 epoch, bytes32 model) internal view returns (bytes32) {
        return Naive.root(laneJobs(epoch, model));
    }

    function proofOf(bytes32 claimId, uint256 inputId, uint32 run, Answer[] memory answers, bytes32[] memory jobs)
        internal
        view
        returns (IVouchers.Proof memory)
    {
        bytes32[] memory runs = runRecords(answers);
        return IVouchers.Proof({
            claimId: claimId,
            inputId: inputId,
            run: run,
            runsRoot: Naive.root(runs),
            scoreRoot: 0,
            jobPath: Naive.path(jobs, inbox.input(inputId).laneIndex, 1),
            runPath: Naive.path(runs, run, 1),
            chunkPath: new bytes32[](0)
        });
    }

    /// @dev Executes the made-up answer of one run.
    function deliver(bytes32 claimId, uint256 inputId, uint32 run) internal returns (bool) {
        IInbox.Input memory input = inbox.input(inputId);
        Answer[] memory answers = answersOf(inputId, inbox.unpackParams(input.params).nRuns);
        bytes32[] memory jobs = laneJobs(input.epoch, input.modelId);
        IVouchers.Proof memory proof = proofOf(claimId, inputId, run, answers, jobs);
        return vouchers.execute(proof, runOf(answers[run]), 0, answers[run].text);
    }

    /// @dev Seals, claims honestly from `proposer` and waits until the lane of the input is final.
    function finaliseFor(uint256 inputId, address proposer) internal returns (bytes32 claimId) {
        sealAll();
        IInbox.Input memory input = inbox.input(inputId);
        endEpoch(input.epoch);
        claimId = claimFrom(proposer, input.epoch, input.modelId, honestRoot(input.epoch, input.modelId));
        passWindow();
        claims.finalise(claimId);
    }
}
