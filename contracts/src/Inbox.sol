// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFees} from "./interfaces/IFees.sol";
import {IInbox} from "./interfaces/IInbox.sol";
import {IInputParams} from "./interfaces/IInputParams.sol";
import {IModels} from "./interfaces/IModels.sol";
import {BlockHashes} from "./libraries/BlockHashes.sol";
import {BlockHeader} from "./libraries/BlockHeader.sol";
import {ParamsWord} from "./libraries/ParamsWord.sol";
import {Payload} from "./libraries/Payload.sol";
import {Records} from "./libraries/Records.sol";
import {Sha256Merkle} from "./libraries/Sha256Merkle.sol";

/// @title Inbox
/// @dev Life of an input: submitted in block B -> (re-armed: B = now)* -> sealed with block B + sealDelay, in id order.
contract Inbox is IInbox, IInputParams {
    /// @dev Five slots at submission and one more at sealing.
    struct Stored {
        address sender;
        uint64 submittedBlock;
        uint32 laneIndex;
        address recipient;
        uint64 submittedAt;
        uint32 payloadLength;
        bytes32 modelId;
        bytes27 params; // the word without its five zero bytes
        uint40 epoch;
        bytes32 payloadRoot;
        bytes32 seed;
    }

    /// @dev The accumulator after an epoch's last sealed input.
    struct Checkpoint {
        uint64 epoch;
        bytes32 accumulator;
    }

    /// @dev A delay longer than this would leave too few blocks in which BLOCKHASH reaches.
    uint64 private constant MAX_SEAL_DELAY = 128;

    /// @inheritdoc IInbox
    IModels public immutable models;
    /// @inheritdoc IInbox
    IFees public immutable fees;
    /// @inheritdoc IInbox
    uint64 public immutable epochBlocks;
    /// @inheritdoc IInbox
    uint64 public immutable sealDelayBlocks;
    /// @inheritdoc IInbox
    uint256 public immutable maxPayloadBytes;
    /// @inheritdoc IInbox
    uint256 public immutable startBlock;

    /// @inheritdoc IInbox
    uint256 public count;
    /// @inheritdoc IInbox
    uint256 public sealedCount;
    mapping(uint256 inputId => Stored) private _inputs;
    mapping(uint64 epoch => mapping(bytes32 modelId => uint64[])) private _lanes;
    Checkpoint[] private _checkpoints; // one per epoch with sealed inputs, rising

    constructor(IModels models_, IFees fees_, uint64 epochBlocks_, uint64 sealDelayBlocks_, uint256 maxPayloadBytes_) {
        // An epoch's number is kept in 40 bits, a payload's length in 32.
        if (epochBlocks_ == 0) revert BadConfiguration("epochBlocks", 0, type(uint64).max);
        if (sealDelayBlocks_ == 0 || sealDelayBlocks_ > MAX_SEAL_DELAY) {
            revert BadConfiguration("sealDelayBlocks", sealDelayBlocks_, MAX_SEAL_DELAY);
        }
        if (maxPayloadBytes_ == 0 || maxPayloadBytes_ > type(uint32).max) {
            revert BadConfiguration("maxPayloadBytes", maxPayloadBytes_, type(uint32).max);
        }
        models = models_;
        fees = fees_;
        epochBlocks = epochBlocks_;
        sealDelayBlocks = sealDelayBlocks_;
        maxPayloadBytes = maxPayloadBytes_;
        startBlock = block.number;
    }

    /// @inheritdoc IInbox
    function submit(bytes32 modelId, Params calldata params, bytes calldata payload, address recipient)
        external
        payable
        returns (uint256 inputId)
    {
        return _submit(msg.sender, modelId, params, payload, recipient);
    }

    /// @inheritdoc IInbox
    function submitFor(
        address payer,
        bytes32 modelId,
        Params calldata params,
        bytes calldata payload,
        address recipient
    ) external payable returns (uint256 inputId) {
        return _submit(payer, modelId, params, payload, recipient);
    }

    /// @inheritdoc IInbox
    function seal(bytes calldata header, uint256 limit) external returns (uint256 sealedInputs) {
        uint256 first = sealedCount;
        uint256 end = count;
        if (limit < end - first) end = first + limit;
        if (first == end) revert NothingToSeal();

        uint256 target = uint256(_inputs[first].submittedBlock) + sealDelayBlocks;
        if (block.number <= target) revert TooEarly(first, target + 1, block.number);
        bytes32 blockHash = BlockHashes.hashOf(target);
        if (blockHash == 0) return _rearm(first, end);

        bytes32 found = keccak256(header);
        if (found != blockHash) revert BadHeader(found, blockHash);
        (bool ok, bytes32 mixHash) = BlockHeader.mixHash(header);
        if (!ok) revert MalformedHeader();
        return _seal(first, end, mixHash, blockHash);
    }

    /// @inheritdoc IInbox
    function input(uint256 inputId) external view returns (Input memory) {
        if (inputId >= count) revert UnknownInput(inputId);
        Stored storage entry = _inputs[inputId];
        return Input({
            sender: entry.sender,
            recipient: entry.recipient,
            submittedBlock: entry.submittedBlock,
            submittedAt: entry.submittedAt,
            modelId: entry.modelId,
            params: entry.params,
            payloadRoot: entry.payloadRoot,
            payloadLength: entry.payloadLength,
            seed: entry.seed,
            epoch: entry.epoch,
            laneIndex: entry.laneIndex
        });
    }

    /// @inheritdoc IInputParams
    function paramsOf(uint256 inputId) external view returns (bytes32) {
        return _inputs[inputId].params;
    }

    /// @inheritdoc IInbox
    function isSealed(uint256 inputId) external view returns (bool) {
        return inputId < sealedCount;
    }

    /// @inheritdoc IInbox
    function packParams(Params calldata params) external pure returns (bytes32) {
        return ParamsWord.pack(params);
    }

    /// @inheritdoc IInbox
    function unpackParams(bytes32 params) external pure returns (Params memory) {
        return ParamsWord.unpack(params);
    }

    /// @inheritdoc IInbox
    function accumulatorAt(uint64 epoch) public view returns (bytes32) {
        // The last checkpoint whose epoch isn't above `epoch`: mostly the last of all.
        uint256 low = 0;
        uint256 high = _checkpoints.length;
        if (high != 0 && _checkpoints[high - 1].epoch <= epoch) low = high;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (_checkpoints[middle].epoch <= epoch) low = middle + 1;
            else high = middle;
        }
        return low == 0 ? bytes32(0) : _checkpoints[low - 1].accumulator;
    }

    /// @inheritdoc IInbox
    function laneCount(uint64 epoch, bytes32 modelId) external view returns (uint32) {
        return uint32(_lanes[epoch][modelId].length);
    }

    /// @inheritdoc IInbox
    function laneInput(uint64 epoch, bytes32 modelId, uint32 index) external view returns (uint256 inputId) {
        uint64[] storage lane = _lanes[epoch][modelId];
        if (index >= lane.length) revert UnknownLaneIndex(epoch, modelId, index);
        return lane[index];
    }

    /// @inheritdoc IInbox
    function laneFacts(uint64 epoch, bytes32 modelId)
        external
        view
        returns (uint256 inputs, uint256 endBlock, bytes32 accumulator)
    {
        (inputs, accumulator) = (_lanes[epoch][modelId].length, accumulatorAt(epoch));
        (, endBlock) = epochBounds(epoch);
    }

    /// @inheritdoc IInbox
    function epochOf(uint256 blockNumber) public view returns (uint64) {
        if (blockNumber < startBlock) revert BlockBeforeStart(blockNumber, startBlock);
        return uint64((blockNumber - startBlock) / epochBlocks);
    }

    /// @inheritdoc IInbox
    function currentEpoch() external view returns (uint64) {
        return epochOf(block.number);
    }

    /// @inheritdoc IInbox
    function epochBounds(uint64 epoch) public view returns (uint256 first, uint256 end) {
        first = startBlock + uint256(epoch) * epochBlocks;
        end = first + epochBlocks;
    }

    function _submit(address payer, bytes32 modelId, Params calldata params, bytes calldata payload, address recipient)
        private
        returns (uint256 inputId)
    {
        if (payer == address(0)) revert ZeroPayer();
        if (recipient == address(0)) revert ZeroRecipient();
        if (!models.exists(modelId)) revert UnknownModel(modelId);
        ParamsWord.check(params);
        if (payload.length == 0) revert PayloadEmpty();
        if (payload.length > maxPayloadBytes) revert PayloadTooLong(payload.length, maxPayloadBytes);
        Payload.check(payload);

        inputId = count++;
        bytes32 packed = ParamsWord.pack(params);
        bytes32 root = Sha256Merkle.textRoot(payload);
        Stored storage entry = _inputs[inputId];
        entry.sender = msg.sender;
        entry.submittedBlock = uint64(block.number);
        entry.recipient = recipient;
        entry.submittedAt = uint64(block.timestamp);
        entry.payloadLength = uint32(payload.length);
        entry.modelId = modelId;
        entry.params = bytes27(packed);
        entry.payloadRoot = root;
        emit InputSubmitted(inputId, msg.sender, modelId, recipient, packed, root, payload);
        fees.escrow{value: msg.value}(inputId, payer, modelId, packed, payload.length);
    }

    /// @dev Seals the inputs of [first, end) that belong to the same block as the first.
    function _seal(uint256 first, uint256 end, bytes32 mixHash, bytes32 blockHash)
        private
        returns (uint256 sealedInputs)
    {
        // A builder can change its block's hash at will, so it counts only where there is no randomness (some L2s).
        bytes32 fallbackHash = uint256(mixHash) >> 128 == 0 ? blockHash : bytes32(0);
        uint64 epoch = epochOf(block.number);
        uint64 submittedBlock = _inputs[first].submittedBlock;
        bytes32 accumulator = _lastAccumulator();
        uint256 inputId = first;
        for (; inputId < end && _inputs[inputId].submittedBlock == submittedBlock; ++inputId) {
            Stored storage entry = _inputs[inputId];
            bytes32 seed = Records.seed(address(this), inputId, mixHash, fallbackHash);
            accumulator = Records.accumulator(accumulator, _record(inputId, entry), seed);
            uint64[] storage lane = _lanes[epoch][entry.modelId];
            uint32 laneIndex = uint32(lane.length);
            lane.push(uint64(inputId));
            (entry.seed, entry.epoch, entry.laneIndex) = (seed, uint40(epoch), laneIndex);
            emit InputSealed(inputId, epoch, entry.modelId, laneIndex, seed, accumulator);
        }
        sealedCount = inputId;
        _storeAccumulator(epoch, accumulator);
        return inputId - first;
    }

    /// @dev Moves the inputs of [first, end) whose block is out of reach to the current block.
    function _rearm(uint256 first, uint256 end) private returns (uint256 rearmed) {
        uint64 now_ = uint64(block.number);
        uint64 unreachable = _inputs[first].submittedBlock;
        for (uint256 inputId = first; inputId < end; ++inputId) {
            Stored storage entry = _inputs[inputId];
            // Submission blocks rise with ids, except where an earlier call re-armed; what is reachable stays as it is.
            if (entry.submittedBlock > unreachable) {
                uint256 target = uint256(entry.submittedBlock) + sealDelayBlocks;
                if (block.number <= target || BlockHashes.hashOf(target) != 0) break;
                unreachable = entry.submittedBlock;
            }
            entry.submittedBlock = now_;
            emit InputRearmed(inputId, now_);
            ++rearmed;
        }
    }

    function _record(uint256 inputId, Stored storage entry) private view returns (bytes32) {
        bytes32 packed = entry.params;
        return Records.input(
            address(this),
            Records.InputFields({
                inputId: inputId,
                kind: ParamsWord.kind(packed),
                sender: entry.sender,
                recipient: entry.recipient,
                modelId: entry.modelId,
                params: packed,
                payloadRoot: entry.payloadRoot,
                payloadLength: entry.payloadLength
            })
        );
    }

    function _lastAccumulator() private view returns (bytes32) {
        uint256 length = _checkpoints.length;
        return length == 0 ? bytes32(0) : _checkpoints[length - 1].accumulator;
    }

    function _storeAccumulator(uint64 epoch, bytes32 accumulator) private {
        uint256 length = _checkpoints.length;
        if (length == 0 || _checkpoints[length - 1].epoch != epoch) {
            _checkpoints.push(Checkpoint(epoch, accumulator));
        } else {
            _checkpoints[length - 1].accumulator = accumulator;
        }
    }
}
