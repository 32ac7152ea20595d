// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFees} from "./IFees.sol";
import {IModels} from "./IModels.sol";

/// @title Inputs in order
/// @notice Anyone submits; anyone seals. See `prover/SPEC.md` sections 6 and 9.
interface IInbox {
    /// @notice Unpacked parameters of an input; the params word of `prover/SPEC.md` section 6.
    struct Params {
        uint8 kind;
        uint16 nRuns;
        uint32 maxNewTokens;
        uint32 maxTotalTokens;
        uint32 temperatureMilli;
        uint32 topK;
        uint32 topPPpm;
        uint32 minPPpm;
    }

    /// @notice What the chain keeps of an input. The payload's bytes are in `InputSubmitted`.
    struct Input {
        address sender; // who called; refunds go to the payer that `IFees` keeps, who may be another account
        address recipient; // where vouchers go
        uint64 submittedBlock; // B of section 9; later when re-armed
        uint64 submittedAt; // seconds
        bytes32 modelId;
        bytes32 params; // the packed word
        bytes32 payloadRoot;
        uint64 payloadLength; // bytes
        bytes32 seed; // 0 until sealed
        uint64 epoch; // valid when sealed
        uint32 laneIndex; // leaf in its lane, valid when sealed
    }

    event InputSubmitted(
        uint256 indexed inputId,
        address indexed sender,
        bytes32 indexed modelId,
        address recipient,
        bytes32 params,
        bytes32 payloadRoot,
        bytes payload
    );
    event InputSealed(
        uint256 indexed inputId,
        uint64 indexed epoch,
        bytes32 indexed modelId,
        uint32 laneIndex,
        bytes32 seed,
        bytes32 accumulator
    );
    event InputRearmed(uint256 indexed inputId, uint64 submittedBlock);

    error UnknownInput(uint256 inputId);
    error UnknownModel(bytes32 modelId);
    error UnsupportedKind(uint8 kind);
    error BadRunCount(uint16 found, uint16 maximum);
    error BadSampling(string field, uint256 found, uint256 maximum);
    /// @notice Several runs at temperature 0 would all be equal.
    error RunsAtZeroTemperature(uint16 nRuns);
    error PayloadEmpty();
    error PayloadTooLong(uint256 foundBytes, uint256 maximumBytes);
    /// @notice The payload does not start with the version of segments that this machine reads.
    error BadPayloadVersion(uint8 found, uint8 expected);
    /// @notice The byte at `offset` starts a segment of no known type.
    error BadSegmentType(uint256 offset, uint8 found, uint8 maximum);
    /// @notice The segment that starts at `offset` does not end with the payload or before it.
    error SegmentCutOff(uint256 offset, uint256 foundBytes, uint256 expectedBytes);
    /// @notice One more segment starts at `offset`.
    error TooManySegments(uint256 offset, uint256 maximum);
    error ZeroRecipient();
    error ZeroPayer();
    error BadConfiguration(string field, uint256 found, uint256 maximum);
    error BlockBeforeStart(uint256 blockNumber, uint256 startBlock);
    error UnknownLaneIndex(uint64 epoch, bytes32 modelId, uint32 index);
    /// @notice No input waits, or the limit is 0.
    error NothingToSeal();
    error TooEarly(uint256 inputId, uint256 readyBlock, uint256 currentBlock);
    error BadHeader(bytes32 found, bytes32 expected);
    /// @notice The header's hash is right but it isn't a list with a 32-byte mixHash as its field 13: this chain's headers don't fit.
    error MalformedHeader();

    /// @notice Submits an input; `msg.value` pays its fee (see `IFees.quote`). The caller is the payer of record.
    /// @param payload Segments of `prover/SPEC.md` section 6, well-formed, at most 64.
    function submit(bytes32 modelId, Params calldata params, bytes calldata payload, address recipient)
        external
        payable
        returns (uint256 inputId);

    /// @notice Submits an input on behalf of `payer`, to whom refunds and change go. The caller is the input's sender.
    function submitFor(
        address payer,
        bytes32 modelId,
        Params calldata params,
        bytes calldata payload,
        address recipient
    ) external payable returns (uint256 inputId);

    /// @notice Seals the next inputs in id order as far as they belong to the block of `header`; at most `limit`. Anyone may call.
    /// @param header RLP of the header of block `submittedBlock + sealDelay` of the next unsealed input; ignored (may be empty) when that hash is out of reach: the input is then re-armed.
    /// @return sealedInputs How many inputs were sealed or re-armed.
    function seal(bytes calldata header, uint256 limit) external returns (uint256 sealedInputs);

    function count() external view returns (uint256);
    function sealedCount() external view returns (uint256);
    function input(uint256 inputId) external view returns (Input memory);
    function isSealed(uint256 inputId) external view returns (bool);
    function packParams(Params calldata params) external pure returns (bytes32);
    function unpackParams(bytes32 params) external pure returns (Params memory);
    /// @notice The running hash after the last input sealed in or before `epoch`; only final when the epoch has ended.
    function accumulatorAt(uint64 epoch) external view returns (bytes32);
    /// @notice Inputs of a lane.
    function laneCount(uint64 epoch, bytes32 modelId) external view returns (uint32);
    /// @notice The lane's i-th input.
    function laneInput(uint64 epoch, bytes32 modelId, uint32 index) external view returns (uint256 inputId);
    function epochOf(uint256 blockNumber) external view returns (uint64);
    function currentEpoch() external view returns (uint64);
    /// @notice What a claim needs of a lane: its inputs, the epoch's end and running hash; in one call.
    function laneFacts(uint64 epoch, bytes32 modelId)
        external
        view
        returns (uint256 inputs, uint256 endBlock, bytes32 accumulator);
    /// @notice First block of an epoch and of the next one.
    function epochBounds(uint64 epoch) external view returns (uint256 startBlock, uint256 endBlock);
    function epochBlocks() external view returns (uint64);
    function sealDelayBlocks() external view returns (uint64);
    function maxPayloadBytes() external view returns (uint256);
    /// @notice First block of epoch 0: the block of deployment.
    function startBlock() external view returns (uint256);
    function models() external view returns (IModels);
    function fees() external view returns (IFees);
}
