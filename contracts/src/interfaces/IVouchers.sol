// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IClaims} from "./IClaims.sol";
import {IInbox} from "./IInbox.sol";

/// @title Executes the outputs of final claims
interface IVouchers {
    /// @notice The fields of a run record (`prover/SPEC.md` section 6).
    struct Run {
        uint32 nPrompt;
        uint32 nTokens;
        uint8 finish;
        bytes32 tokensRoot;
        bytes32 offsetsRoot;
        bytes32 textRoot;
        uint64 textLength;
        int64 score;
        bool greedy;
    }

    /// @notice Where a run stands in a claim. Paths run from the leaf upwards.
    struct Proof {
        bytes32 claimId;
        uint256 inputId;
        uint32 run;
        bytes32 runsRoot;
        bytes32 scoreRoot;
        bytes32[] jobPath; // in the claim tree, at the input's lane index
        bytes32[] runPath; // in the runs tree
        bytes32[] chunkPath; // in the text tree; empty for a text of one chunk
    }

    event VoucherExecuted(
        uint256 indexed inputId, uint32 indexed run, uint32 indexed chunk, address recipient, bytes32 claimId
    );
    event VoucherFailed(uint256 indexed inputId, uint32 indexed run, uint32 indexed chunk, address recipient);

    error ClaimNotFinal(bytes32 claimId);
    error WrongLane(uint256 inputId, bytes32 claimId);
    error BadProof(string what);
    error BadText(bytes32 found, bytes32 expected);
    error AlreadyExecuted(uint256 inputId, uint32 run, uint32 chunk);
    error CallbackGasTooHigh(uint256 found, uint256 maximum);
    error NotEnoughGas(uint256 found, uint256 expected);

    /// @notice Delivers one chunk of one run to the input's recipient. Anyone may call. Returns false when the recipient failed; it can then be retried.
    /// @param text The chunk's bytes: the whole text, or bytes [chunk * 131072, ...) of it.
    function execute(Proof calldata proof, Run calldata run, uint32 chunk, bytes calldata text)
        external
        returns (bool delivered);
    function isExecuted(uint256 inputId, uint32 run, uint32 chunk) external view returns (bool);
    /// @notice Gas that a recipient's callback gets.
    function callbackGas() external view returns (uint256);
    function inbox() external view returns (IInbox);
    function claims() external view returns (IClaims);
}
