// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IClaims} from "./interfaces/IClaims.sol";
import {IInbox} from "./interfaces/IInbox.sol";
import {ISwornRecipient} from "./interfaces/ISwornRecipient.sol";
import {IVouchers} from "./interfaces/IVouchers.sol";
import {Machine} from "./libraries/Machine.sol";
import {ParamsWord} from "./libraries/ParamsWord.sol";
import {Records} from "./libraries/Records.sol";
import {Sha256Merkle} from "./libraries/Sha256Merkle.sol";

/// @title Vouchers
/// @dev The proof goes upwards: text -> run record -> runs root -> job record -> claim root of a final claim.
contract Vouchers is IVouchers, ReentrancyGuardTransient {
    /// @dev Leaves of a chunk are a whole subtree: 512 of 256 bytes.
    uint256 private constant CHUNK_DEPTH = 9;
    /// @dev Gas for the call itself and for what follows it: unmarking, the event.
    uint256 private constant OVERHEAD_GAS = 40_000;

    /// @dev A chunk's proof and text take about 5 million, a transaction at most 2^24: more than this could never be given.
    uint256 private constant MAX_CALLBACK_GAS = 10_000_000;

    /// @inheritdoc IVouchers
    IInbox public immutable inbox;
    /// @inheritdoc IVouchers
    IClaims public immutable claims;
    /// @inheritdoc IVouchers
    uint256 public immutable callbackGas;

    mapping(bytes32 key => bool) private _executed;

    constructor(IInbox inbox_, IClaims claims_, uint256 callbackGas_) {
        if (callbackGas_ > MAX_CALLBACK_GAS) revert CallbackGasTooHigh(callbackGas_, MAX_CALLBACK_GAS);
        inbox = inbox_;
        claims = claims_;
        callbackGas = callbackGas_;
    }

    /// @inheritdoc IVouchers
    function execute(Proof calldata proof, Run calldata run, uint32 chunk, bytes calldata text)
        external
        nonReentrant
        returns (bool delivered)
    {
        bytes32 key = _key(proof.inputId, proof.run, chunk);
        if (_executed[key]) revert AlreadyExecuted(proof.inputId, proof.run, chunk);
        (address recipient, bytes32 modelId, uint32 nRuns) = _checkRun(proof, run);
        uint32 nChunks = _checkText(proof, run, chunk, text);

        _executed[key] = true;
        delivered = _deliver(
            recipient,
            abi.encodeCall(
                ISwornRecipient.onSwornResponse, (_response(proof, run, modelId, nRuns, chunk, nChunks), text)
            )
        );
        if (delivered) {
            emit VoucherExecuted(proof.inputId, proof.run, chunk, recipient, proof.claimId);
        } else {
            _executed[key] = false;
            emit VoucherFailed(proof.inputId, proof.run, chunk, recipient);
        }
    }

    /// @inheritdoc IVouchers
    function isExecuted(uint256 inputId, uint32 run, uint32 chunk) external view returns (bool) {
        return _executed[_key(inputId, run, chunk)];
    }

    /// @dev Checks that the run stands in a final claim of its input's lane.
    function _checkRun(Proof calldata proof, Run calldata run)
        private
        view
        returns (address recipient, bytes32 modelId, uint32 nRuns)
    {
        IClaims.Claim memory claim = claims.claimOf(proof.claimId);
        if (claim.status != IClaims.Status.Final) revert ClaimNotFinal(proof.claimId);
        IInbox.Input memory input = inbox.input(proof.inputId);
        if (!inbox.isSealed(proof.inputId) || input.epoch != claim.epoch || input.modelId != claim.modelId) {
            revert WrongLane(proof.inputId, proof.claimId);
        }
        (recipient, modelId, nRuns) = (input.recipient, input.modelId, ParamsWord.runs(input.params));

        if (proof.run >= nRuns || run.nTokens < run.nPrompt) revert BadProof("run");
        uint256 depth = Sha256Merkle.depthOf(nRuns);
        if (!Sha256Merkle.verify(proof.runsRoot, Records.run(run), proof.run, depth, proof.runPath)) {
            revert BadProof("runPath");
        }
        bytes32 job = Records.job(proof.inputId, nRuns, proof.runsRoot, proof.scoreRoot);
        depth = Sha256Merkle.depthOf(inbox.laneCount(claim.epoch, claim.modelId));
        if (!Sha256Merkle.verify(claim.root, job, input.laneIndex, depth, proof.jobPath)) revert BadProof("jobPath");
    }

    /// @dev Checks that `text` is the chunk of the run's text; gives the number of chunks.
    function _checkText(Proof calldata proof, Run calldata run, uint32 chunk, bytes calldata text)
        private
        view
        returns (uint32 nChunks)
    {
        if (run.textLength <= Machine.CHUNK_BYTES) {
            if (chunk != 0 || text.length != run.textLength || proof.chunkPath.length != 0) revert BadProof("chunk");
            bytes32 found = Sha256Merkle.textRoot(text);
            if (found != run.textRoot) revert BadText(found, run.textRoot);
            return 1;
        }
        uint256 chunks = (run.textLength + Machine.CHUNK_BYTES - 1) / Machine.CHUNK_BYTES;
        if (chunks > type(uint32).max) revert BadProof("textLength");
        nChunks = uint32(chunks);
        if (chunk >= nChunks) revert BadProof("chunk");
        uint256 rest = run.textLength - uint256(chunk) * Machine.CHUNK_BYTES;
        if (text.length != (rest < Machine.CHUNK_BYTES ? rest : Machine.CHUNK_BYTES)) revert BadProof("chunk");
        uint256 depth = Sha256Merkle.depthOf((uint256(run.textLength) + 255) / Machine.TEXT_LEAF_BYTES);
        if (proof.chunkPath.length != depth - CHUNK_DEPTH) revert BadProof("chunkPath");
        bytes32 root = Sha256Merkle.climb(Sha256Merkle.subtreeRoot(text, CHUNK_DEPTH), chunk, proof.chunkPath);
        if (root != run.textRoot) revert BadText(root, run.textRoot);
    }

    function _response(
        Proof calldata proof,
        Run calldata run,
        bytes32 modelId,
        uint32 nRuns,
        uint32 chunk,
        uint32 nChunks
    ) private pure returns (ISwornRecipient.Response memory) {
        return ISwornRecipient.Response({
            inputId: proof.inputId,
            run: proof.run,
            nRuns: nRuns,
            finish: run.finish,
            promptTokens: run.nPrompt,
            newTokens: run.nTokens - run.nPrompt,
            modelId: modelId,
            claimId: proof.claimId,
            textRoot: run.textRoot,
            textLength: run.textLength,
            chunk: chunk,
            nChunks: nChunks
        });
    }

    /// @dev Calls the recipient with all of `callbackGas` or not at all, and copies nothing that it returns.
    function _deliver(address recipient, bytes memory data) private returns (bool ok) {
        uint256 limit = callbackGas;
        uint256 needed = limit * 64 / 63 + OVERHEAD_GAS;
        if (gasleft() < needed) revert NotEnoughGas(gasleft(), needed);
        assembly ("memory-safe") {
            ok := call(limit, recipient, 0, add(data, 32), mload(data), 0, 0)
        }
    }

    function _key(uint256 inputId, uint32 run, uint32 chunk) private pure returns (bytes32) {
        return keccak256(abi.encode(inputId, run, chunk));
    }
}
