// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {Vouchers} from "../src/Vouchers.sol";
import {IClaims} from "../src/interfaces/IClaims.sol";
import {IInbox} from "../src/interfaces/IInbox.sol";
import {ISwornRecipient} from "../src/interfaces/ISwornRecipient.sol";
import {IVouchers} from "../src/interfaces/IVouchers.sol";
import {Deployment} from "./utils/Deployment.sol";
import {Bomb, Burner, Dud, GasMeter, Moody, Reenterer, Refuser, RevertBomb} from "./utils/Hostile.sol";
import {Naive} from "./utils/Naive.sol";

contract VouchersTest is Deployment {
    address private asker;
    address private proposer;
    Moody private recipient;

    function setUp() external {
        deploy();
        asker = account("asker");
        proposer = account("proposer");
        recipient = new Moody();
        recipient.setWilling(true);
    }

    function test_configuration() external view {
        same(vouchers.callbackGas(), CALLBACK_GAS, "gas");
        same(address(vouchers.inbox()), address(inbox), "inbox");
        same(address(vouchers.claims()), address(claims), "claims");
    }

    /// @dev All runs of all jobs of a lane, for several shapes of both trees.
    function test_execute() external {
        uint16[5] memory shapes = [uint16(1), 2, 3, 5, 16];
        for (uint256 i = 0; i < shapes.length; ++i) {
            submitFrom(asker, modelId, shapes[i], address(recipient));
        }
        bytes32 claimId = finaliseFor(4, proposer);
        uint256 count = 0;
        for (uint256 id = 0; id < shapes.length; ++id) {
            for (uint32 run = 0; run < shapes[id]; ++run) {
                check(!vouchers.isExecuted(id, run, 0), "not yet");
                vm.expectCall(address(recipient), _callback(claimId, id, run));
                vm.expectEmit(address(vouchers));
                emit IVouchers.VoucherExecuted(id, run, 0, address(recipient), claimId);
                check(deliver(claimId, id, run), "delivered");
                check(vouchers.isExecuted(id, run, 0), "executed");
                same(recipient.received(), ++count, "received");
                same(recipient.lastText(), keccak256(answersOf(id, shapes[id])[run].text), "text");
                vm.expectRevert(abi.encodeWithSelector(IVouchers.AlreadyExecuted.selector, id, run, 0));
                this.deliverAgain(claimId, id, run);
            }
        }
    }

    function deliverAgain(bytes32 claimId, uint256 id, uint32 run) external returns (bool) {
        return deliver(claimId, id, run);
    }

    function test_neverBeforeFinality() external {
        uint256 id = submitFrom(asker, modelId, 1, address(recipient));
        sealAll();
        endEpoch(0);
        bytes32 unknown = keccak256("unknown");
        vm.expectRevert(abi.encodeWithSelector(IClaims.UnknownClaim.selector, unknown));
        this.deliverAgain(unknown, id, 0);
        bytes32 claimId = claimFrom(proposer, 0, modelId, honestRoot(0, modelId));
        vm.expectRevert(abi.encodeWithSelector(IVouchers.ClaimNotFinal.selector, claimId));
        this.deliverAgain(claimId, id, 0);
        passWindow();
        vm.expectRevert(abi.encodeWithSelector(IVouchers.ClaimNotFinal.selector, claimId));
        this.deliverAgain(claimId, id, 0);
        claims.finalise(claimId);
        check(deliver(claimId, id, 0), "delivered");
    }

    /// @dev An equal rival's claim delivers nothing: only the final one does.
    function test_supersededClaimDeliversNothing() external {
        uint256 id = submitFrom(asker, modelId, 1, address(recipient));
        sealAll();
        endEpoch(0);
        bytes32 rival = claimFrom(asker, 0, modelId, honestRoot(0, modelId));
        bytes32 claimId = claimFrom(proposer, 0, modelId, honestRoot(0, modelId));
        passWindow();
        claims.finalise(claimId);
        vm.expectRevert(abi.encodeWithSelector(IVouchers.ClaimNotFinal.selector, rival));
        this.deliverAgain(rival, id, 0);
        claims.resolveRival(rival);
        vm.expectRevert(abi.encodeWithSelector(IVouchers.ClaimNotFinal.selector, rival));
        this.deliverAgain(rival, id, 0);
    }

    function test_wrongLane() external {
        bytes32 other = registerModel("other", 1);
        uint256 id = submitFrom(asker, modelId, 1, address(recipient));
        uint256 foreign = submitFrom(asker, other, 1, address(recipient));
        bytes32 claimId = finaliseFor(id, proposer);
        uint256 later = submitFrom(asker, modelId, 1, address(recipient));
        bytes memory error_ = abi.encodeWithSelector(IVouchers.WrongLane.selector, later, claimId);
        IVouchers.Proof memory proof = _proof(claimId, id, 0);
        IVouchers.Run memory run = _run(id, 0);
        proof.inputId = later;
        _refuses(proof, run, "", error_); // not sealed
        sealAll();
        check(inbox.input(later).epoch != inbox.input(id).epoch, "another epoch");
        _refuses(proof, run, "", error_);
        proof.inputId = foreign;
        _refuses(proof, run, "", abi.encodeWithSelector(IVouchers.WrongLane.selector, foreign, claimId));
        proof.inputId = 99;
        _refuses(proof, run, "", abi.encodeWithSelector(IInbox.UnknownInput.selector, 99));
    }

    function test_badProofs() external {
        submitFrom(asker, modelId, 2, address(recipient));
        uint256 id = submitFrom(asker, modelId, 3, address(recipient));
        submitFrom(asker, modelId, 2, address(recipient));
        bytes32 claimId = finaliseFor(id, proposer);
        bytes memory text = answersOf(id, 3)[1].text;
        IVouchers.Run memory run = _run(id, 1);

        IVouchers.Proof memory proof = _proof(claimId, id, 1);
        proof.run = 3;
        _refuses(proof, run, text, _bad("run"));
        proof.run = 2;
        _refuses(proof, run, text, _bad("runPath"));
        proof = _proof(claimId, id, 1);
        proof.runsRoot = ~proof.runsRoot;
        _refuses(proof, run, text, _bad("runPath"));
        proof = _proof(claimId, id, 1);
        proof.scoreRoot = bytes32(uint256(1));
        _refuses(proof, run, text, _bad("jobPath"));
        proof = _proof(claimId, id, 1);
        proof.jobPath[1] = ~proof.jobPath[1];
        _refuses(proof, run, text, _bad("jobPath"));
        proof = _proof(claimId, id, 1);
        proof.jobPath = new bytes32[](0);
        _refuses(proof, run, text, _bad("jobPath"));
        proof = _proof(claimId, id, 1);
        proof.runPath = new bytes32[](3);
        _refuses(proof, run, text, _bad("runPath"));
        proof = _proof(claimId, id, 1);
        proof.chunkPath = new bytes32[](1);
        _refuses(proof, run, text, _bad("chunk"));
        // Another input's proof doesn't fit: job records name the input.
        proof = _proof(claimId, id, 1);
        proof.inputId = 0;
        proof.run = 1;
        _refuses(proof, run, text, _bad("runPath"));
        proof = _proof(claimId, id, 1);
        vm.expectRevert(_bad("chunk"));
        vouchers.execute(proof, run, 1, text);
    }

    /// @dev Every field of the run record is bound.
    function test_runFields() external {
        uint256 id = submitFrom(asker, modelId, 2, address(recipient));
        bytes32 claimId = finaliseFor(id, proposer);
        IVouchers.Proof memory proof = _proof(claimId, id, 1);
        bytes memory text = answersOf(id, 2)[1].text;
        for (uint256 field = 0; field < 9; ++field) {
            IVouchers.Run memory run = _run(id, 1);
            if (field == 0) --run.nPrompt;
            if (field == 1) ++run.nTokens;
            if (field == 2) ++run.finish;
            if (field == 3) run.tokensRoot = ~run.tokensRoot;
            if (field == 4) run.offsetsRoot = ~run.offsetsRoot;
            if (field == 5) run.textRoot = ~run.textRoot;
            if (field == 6) ++run.textLength;
            if (field == 7) --run.score;
            if (field == 8) run.greedy = true;
            _refuses(proof, run, text, _bad("runPath"));
        }
        IVouchers.Run memory odd = _run(id, 1);
        odd.nPrompt = odd.nTokens + 1;
        _refuses(proof, odd, text, _bad("run"));
        check(vouchers.execute(proof, _run(id, 1), 0, text), "as claimed");
    }

    function test_badText() external {
        uint256 id = submitFrom(asker, modelId, 2, address(recipient));
        bytes32 claimId = finaliseFor(id, proposer);
        IVouchers.Proof memory proof = _proof(claimId, id, 1);
        bytes memory text = answersOf(id, 2)[1].text;
        IVouchers.Run memory run = _run(id, 1);
        bytes memory bent = bytes.concat(text);
        bent[7] ^= 0x01;
        _refuses(
            proof, run, bent, abi.encodeWithSelector(IVouchers.BadText.selector, Naive.textRoot(bent), run.textRoot)
        );
        // The padding's zero bytes are no text.
        _refuses(proof, run, bytes.concat(text, hex"00"), _bad("chunk"));
        _refuses(proof, run, "", _bad("chunk"));
    }

    function test_emptyText() external {
        uint256 id = submitFrom(asker, modelId, 1, address(recipient));
        Answer[] memory answers = new Answer[](1);
        answers[0] = Answer({text: "", nPrompt: 300, nTokens: 300, finish: 2});
        bytes32 claimId = _finaliseWith(id, answers);
        IVouchers.Proof memory proof = proofOf(claimId, id, 0, answers, _alone(id, answers));
        same(runOf(answers[0]).textRoot, bytes32(0), "root Z0");
        check(vouchers.execute(proof, runOf(answers[0]), 0, ""), "delivered");
        same(recipient.received(), 1, "received");
    }

    // Long texts

    function test_chunks() external {
        uint256[4] memory lengths = [uint256(131_072), 131_073, 2 * 131_072, 2 * 131_072 + 300];
        for (uint256 i = 0; i < lengths.length; ++i) {
            _longText(lengths[i], (lengths[i] + 131_071) / 131_072);
        }
    }

    function _longText(uint256 length, uint256 chunks) private {
        uint256 id = submitFrom(asker, modelId, 1, address(recipient));
        Answer[] memory answers = new Answer[](1);
        answers[0] = Answer({text: _cheapText(length), nPrompt: 5, nTokens: 50_000, finish: 1});
        bytes32[] memory leaves = Naive.textLeaves(answers[0].text);
        bytes32 claimId = _finaliseWith(id, answers);
        IVouchers.Run memory run = runOf(answers[0]);
        IVouchers.Proof memory proof = proofOf(claimId, id, 0, answers, _alone(id, answers));
        uint256 before = recipient.received();
        for (uint256 left = chunks; left > 0; --left) {
            uint32 chunk = uint32(left - 1); // in any order
            bytes memory part = _part(answers[0].text, chunk);
            if (chunks > 1) proof.chunkPath = Naive.path(leaves, chunk, 512);
            if (chunks > 1) _refusesBentChunk(proof, run, chunk, part);
            check(vouchers.execute(proof, run, chunk, part), "delivered");
            check(vouchers.isExecuted(id, 0, chunk), "executed");
            same(recipient.lastText(), keccak256(part), "chunk");
            vm.expectRevert(abi.encodeWithSelector(IVouchers.AlreadyExecuted.selector, id, 0, chunk));
            vouchers.execute(proof, run, chunk, part);
        }
        same(recipient.received() - before, chunks, "chunks");
        vm.expectRevert(_bad("chunk"));
        vouchers.execute(proof, run, uint32(chunks), "");
    }

    function _refusesBentChunk(IVouchers.Proof memory proof, IVouchers.Run memory run, uint32 chunk, bytes memory part)
        private
    {
        vm.expectPartialRevert(IVouchers.BadText.selector);
        part[part.length - 1] ^= 0x01;
        vouchers.execute(proof, run, chunk, part);
        part[part.length - 1] ^= 0x01;
        bytes32[] memory path = proof.chunkPath;
        proof.chunkPath = new bytes32[](path.length + 1);
        vm.expectRevert(_bad("chunkPath"));
        vouchers.execute(proof, run, chunk, part);
        proof.chunkPath = path;
        vm.expectRevert(_bad("chunk"));
        vouchers.execute(proof, run, chunk, bytes.concat(part, hex"00"));
        if (run.textLength == 2 * 131_072 && chunk == 1) {
            // The other chunk's place.
            vm.expectPartialRevert(IVouchers.BadText.selector);
            vouchers.execute(proof, run, 0, part);
        }
    }

    /// @dev Lengths that no text can have don't upset the arithmetic.
    function test_hugeTextLength() external {
        uint256 id = submitFrom(asker, modelId, 1, address(recipient));
        IVouchers.Run memory run = _run(id, 0);
        run.textLength = type(uint64).max;
        bytes32[] memory runs = new bytes32[](1);
        runs[0] = runRecord(run);
        bytes32 job = sha256(abi.encodePacked(bytes32("sworn/job/1"), id, uint256(1), runs[0], bytes32(0)));
        sealAll();
        endEpoch(0);
        bytes32 claimId = claimFrom(proposer, 0, modelId, job);
        passWindow();
        claims.finalise(claimId);
        IVouchers.Proof memory proof;
        (proof.claimId, proof.inputId, proof.runsRoot) = (claimId, id, runs[0]);
        _refuses(proof, run, "", _bad("textLength"));
    }

    // Recipients

    function test_accountsWithoutCode() external {
        address person = account("person");
        uint256 id = submitFrom(asker, modelId, 1, person);
        bytes32 claimId = finaliseFor(id, proposer);
        check(deliver(claimId, id, 0), "delivered");
    }

    function test_failureIsRetried() external {
        uint256 id = submitFrom(asker, modelId, 1, address(recipient));
        bytes32 claimId = finaliseFor(id, proposer);
        recipient.setWilling(false);
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectEmit(address(vouchers));
            emit IVouchers.VoucherFailed(id, 0, 0, address(recipient));
            check(!deliver(claimId, id, 0), "failed");
            check(!vouchers.isExecuted(id, 0, 0), "and may be retried");
        }
        recipient.setWilling(true);
        check(deliver(claimId, id, 0), "delivered");
        same(recipient.received(), 1, "once");
    }

    function test_hostileRecipients() external {
        address[4] memory hostile =
            [address(new Refuser()), address(new Burner()), address(new RevertBomb()), address(new Bomb())];
        for (uint256 i = 0; i < hostile.length; ++i) {
            uint256 id = submitFrom(asker, modelId, 1, hostile[i]);
            uint256 next = submitFrom(asker, modelId, 1, address(recipient));
            bytes32 claimId = finaliseFor(next, proposer);
            uint256 gas_ = gasleft();
            bool delivered = deliver(claimId, id, 0);
            gas_ -= gasleft();
            // The last one returns half a megabyte and is content; nothing of it is copied.
            check(delivered == (i == 3), "failed without a revert");
            check(gas_ < CALLBACK_GAS + 3_000_000, "bounded gas");
            check(deliver(claimId, next, 0), "and holds nobody else up");
        }
    }

    /// @dev What a recipient returns costs the executor nothing: copying half a megabyte would take half a million gas.
    function test_returnedDataIsNotCopied() external {
        address[2] memory recipients = [address(new Dud()), address(new Bomb())];
        uint256[2] memory used;
        for (uint256 i = 0; i < 2; ++i) {
            uint256 id = submitFrom(asker, modelId, 1, recipients[i]);
            bytes32 claimId = finaliseFor(id, proposer);
            uint256 gas_ = gasleft();
            check(deliver(claimId, id, 0), "delivered");
            used[i] = gas_ - gasleft();
        }
        check(used[1] < used[0] + 100_000, "as cheap as silence");
    }

    /// @dev Enough gas for the whole callback or no attempt: an executor can't make a good recipient fail.
    function test_callbackGas() external {
        GasMeter meter = new GasMeter();
        uint256 id = submitFrom(asker, modelId, 1, address(meter));
        bytes32 claimId = finaliseFor(id, proposer);
        IVouchers.Proof memory proof = _proof(claimId, id, 0);
        IVouchers.Run memory run = _run(id, 0);
        bytes memory text = answersOf(id, 1)[0].text;
        bytes memory call_ = abi.encodeCall(IVouchers.execute, (proof, run, 0, text));
        uint256 refused = 0;
        for (uint256 gas_ = 100_000; meter.gasAtEntry() == 0; gas_ += 10_000) {
            (bool ok,) = address(vouchers).call{gas: gas_}(call_);
            if (!ok) ++refused;
        }
        check(refused > 100, "refused until there was enough");
        check(meter.gasAtEntry() > CALLBACK_GAS - 1000, "all of the callback's gas");
        check(vouchers.isExecuted(id, 0, 0), "executed");
    }

    function test_notEnoughGas() external {
        uint256 id = submitFrom(asker, modelId, 1, address(recipient));
        bytes32 claimId = finaliseFor(id, proposer);
        IVouchers.Proof memory proof = _proof(claimId, id, 0);
        IVouchers.Run memory run = _run(id, 0);
        bytes memory text = answersOf(id, 1)[0].text;
        vm.expectPartialRevert(IVouchers.NotEnoughGas.selector);
        vouchers.execute{gas: 1_500_000}(proof, run, 0, text);
    }

    function test_reentrancy() external {
        Reenterer reenterer = new Reenterer(vouchers);
        uint256 first = submitFrom(asker, modelId, 1, address(reenterer));
        uint256 second = submitFrom(asker, modelId, 1, address(reenterer));
        bytes32 claimId = finaliseFor(first, proposer);
        reenterer.prepare(_executeCall(claimId, first));
        reenterer.prepare(_executeCall(claimId, second));
        reenterer.setFailAfterwards(true);
        check(!deliver(claimId, first, 0), "failed");
        check(!vouchers.isExecuted(first, 0, 0), "unmarked");
        reenterer.setFailAfterwards(false);
        check(deliver(claimId, first, 0), "delivered");
        same(reenterer.received(), 1, "once");
        same(reenterer.succeeded(), 0, "nothing from inside");
        bytes4 expected = ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;
        check(reenterer.lastError() == expected, "refused by the guard");
        check(!vouchers.isExecuted(second, 0, 0), "the other one waits");
        check(deliver(claimId, second, 0), "and is delivered");
        same(reenterer.received(), 2, "twice");
    }

    /// @dev The callback's selector is fixed: naming a contract of ours as recipient gives no power over it.
    function test_systemContractsAsRecipients() external {
        address[5] memory ours = [address(inbox), address(claims), address(fees), address(prompts), address(vouchers)];
        for (uint256 i = 0; i < ours.length; ++i) {
            submitFrom(asker, modelId, 1, ours[i]);
        }
        bytes32 claimId = finaliseFor(4, proposer);
        for (uint256 i = 0; i < ours.length; ++i) {
            check(!deliver(claimId, i, 0), "refused");
        }
    }

    /// @dev A refunded input is still delivered when someone answers it after all.
    function test_refundedInput() external {
        uint256 id = submitFrom(asker, modelId, 1, address(recipient));
        vm.warp(time() + ANSWER + 1);
        claims.refund(id);
        check(deliver(finaliseFor(id, proposer), id, 0), "delivered");
    }

    // Helpers

    function _bad(string memory what) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IVouchers.BadProof.selector, what);
    }

    function _refuses(IVouchers.Proof memory proof, IVouchers.Run memory run, bytes memory text, bytes memory error_)
        private
    {
        vm.expectRevert(error_);
        vouchers.execute(proof, run, 0, text);
    }

    function _answers(uint256 id) private view returns (Answer[] memory) {
        return answersOf(id, inbox.unpackParams(inbox.input(id).params).nRuns);
    }

    function _run(uint256 id, uint32 run) private view returns (IVouchers.Run memory) {
        return runOf(_answers(id)[run]);
    }

    function _proof(bytes32 claimId, uint256 id, uint32 run) private view returns (IVouchers.Proof memory) {
        IInbox.Input memory input = inbox.input(id);
        return proofOf(claimId, id, run, _answers(id), laneJobs(input.epoch, input.modelId));
    }

    function _executeCall(bytes32 claimId, uint256 id) private view returns (bytes memory) {
        return abi.encodeCall(IVouchers.execute, (_proof(claimId, id, 0), _run(id, 0), 0, _answers(id)[0].text));
    }

    function _callback(bytes32 claimId, uint256 id, uint32 run) private view returns (bytes memory) {
        Answer[] memory answers = _answers(id);
        Answer memory answer = answers[run];
        return abi.encodeCall(
            ISwornRecipient.onSwornResponse,
            (
                ISwornRecipient.Response({
                    inputId: id,
                    run: run,
                    nRuns: uint32(answers.length),
                    finish: answer.finish,
                    promptTokens: answer.nPrompt,
                    newTokens: answer.nTokens - answer.nPrompt,
                    modelId: modelId,
                    claimId: claimId,
                    textRoot: Naive.textRoot(answer.text),
                    textLength: uint64(answer.text.length),
                    chunk: 0,
                    nChunks: 1
                }),
                answer.text
            )
        );
    }

    /// @dev The jobs of a lane that holds one input only.
    function _alone(uint256 id, Answer[] memory answers) private pure returns (bytes32[] memory jobs) {
        jobs = new bytes32[](1);
        jobs[0] = jobRecord(id, answers);
    }

    function _finaliseWith(uint256 id, Answer[] memory answers) private returns (bytes32 claimId) {
        sealAll();
        uint64 epoch = inbox.input(id).epoch;
        endEpoch(epoch);
        claimId = claimFrom(proposer, epoch, modelId, Naive.root(_alone(id, answers)));
        passWindow();
        claims.finalise(claimId);
    }

    /// @dev Long texts with a word here and there: quick to make.
    function _cheapText(uint256 length) private pure returns (bytes memory text) {
        text = new bytes(length);
        for (uint256 i = 0; i < length; i += 97) {
            text[i] = bytes1(uint8(i));
        }
        text[length - 1] = "!";
    }

    function _part(bytes memory text, uint256 chunk) private pure returns (bytes memory part) {
        uint256 from = chunk * 131_072;
        uint256 length = text.length - from < 131_072 ? text.length - from : 131_072;
        part = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(part, 32), add(add(text, 32), from), length)
        }
    }
}
