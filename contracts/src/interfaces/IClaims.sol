// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IDisputes} from "./IDisputes.sol";
import {IFees} from "./IFees.sol";
import {IInbox} from "./IInbox.sol";

/// @title Bonded claims on the results of a lane
/// @notice A lane is the inputs of one model in one epoch. Any number of rival claims may stand; the first that reaches its time undefeated is final.
interface IClaims {
    enum Status {
        None,
        Standing,
        Final,
        Fallen,
        Superseded // another claim of the lane became final
    }

    struct Claim {
        Status status;
        address proposer;
        uint64 epoch;
        uint64 claimedAt; // seconds
        uint64 windowEnd; // seconds
        bytes32 modelId;
        bytes32 accumulator;
        bytes32 root;
        uint256 bondWei;
    }

    event Claimed(
        bytes32 indexed claimId,
        uint64 indexed epoch,
        bytes32 indexed modelId,
        address proposer,
        bytes32 root,
        bytes32 accumulator,
        uint64 windowEnd,
        uint256 bondWei,
        bytes32[] digests
    );
    event Finalised(bytes32 indexed claimId, uint64 indexed epoch, bytes32 indexed modelId, bytes32 root);
    event Fell(bytes32 indexed claimId, address indexed proposer, uint256 bondWei);
    event BondReleased(bytes32 indexed claimId, address indexed proposer, uint256 amountWei);
    event BondBurned(bytes32 indexed claimId, uint256 amountWei);
    event InputSettled(uint256 indexed inputId, bytes32 indexed claimId, address indexed server);
    event InputRefunded(uint256 indexed inputId);
    event Withdrawn(address indexed account, address indexed to, uint256 amountWei);

    error EpochNotEnded(uint64 epoch, uint256 endBlock, uint256 currentBlock);
    error EmptyLane(uint64 epoch, bytes32 modelId);
    /// @notice The inbox's running hash differs: the claimer saw another chain.
    error WrongAccumulator(bytes32 found, bytes32 expected);
    error WrongBond(uint256 sentWei, uint256 expectedWei);
    error ClaimExists(bytes32 claimId);
    error UnknownClaim(bytes32 claimId);
    error NotStanding(bytes32 claimId, Status status);
    error LaneIsFinal(bytes32 finalClaim);
    error NotFinalYet(bytes32 claimId, uint64 windowEnd, uint256 nowSeconds);
    error DeadlineNotPassed(uint256 inputId, uint256 deadline, uint256 nowSeconds);
    error Covered(uint256 inputId, bytes32 claimId);
    error AlreadySettled(uint256 inputId);
    error NotAuthorised(address caller);
    error ZeroRoot();
    /// @notice A claim gives as many digests as its tree has nodes that far below its root.
    error WrongDigests(uint256 found, uint256 expected);
    /// @notice Without a bond claims cost nothing, and a lane could be filled with them.
    error ZeroBond();
    error ZeroAnswerTime();
    error ZeroReceiver();
    error LaneNotFinal(uint64 epoch, bytes32 modelId);
    error NotSealed(uint256 inputId);
    error NothingToWithdraw(address account);
    error TransferFailed(address to, uint256 amountWei);

    /// @notice Claims a lane's results under bond (`msg.value == bondWei()`). Anyone may, any time after the epoch ended and before the lane is final.
    /// @param digests What an opening of the claim tree's root would give, without what is absent: at most 64 jobs, or nodes over jobs.
    function claim(uint64 epoch, bytes32 modelId, bytes32 accumulator, bytes32[] calldata digests)
        external
        payable
        returns (bytes32 claimId);
    /// @notice Makes a claim final once its window and every challenge is over. Anyone may call.
    function finalise(bytes32 claimId) external;
    /// @notice After another claim of the lane became final: releases an equal claim's bond, burns an unequal one's.
    function resolveRival(bytes32 claimId) external;
    /// @notice Pays the fee of an input of a final claim to who served it; once.
    function settle(uint256 inputId) external;
    /// @notice Gives the fee of an unanswered input back to its payer: its deadline passed and no standing or final claim posted before it covers its lane; once.
    function refund(uint256 inputId) external;
    /// @notice Called by the disputes contract: the claim is wrong. Its bond goes to the caller, which divides it.
    /// @return fallenWei The bond.
    function fall(bytes32 claimId) external returns (uint256 fallenWei);
    /// @notice Pays the caller's released bonds out.
    function withdraw(address payable to) external;

    function claimIdOf(uint64 epoch, bytes32 modelId, bytes32 accumulator, bytes32 root, address proposer)
        external
        view
        returns (bytes32);
    function claimOf(bytes32 claimId) external view returns (Claim memory);
    /// @notice What the disputes contract needs, of three slots; `status` is None for an unknown claim.
    function factsOf(bytes32 claimId)
        external
        view
        returns (Status status, uint64 windowEnd, uint64 epoch, address proposer, bytes32 modelId, bytes32 root);
    /// @notice The lane of a claim; zeros for an unknown one.
    function laneOf(bytes32 claimId) external view returns (uint64 epoch, bytes32 modelId);
    /// @notice As `factsOf` of a claim that can still fall: it is standing and its lane isn't final; else all zeros.
    function liveFactsOf(bytes32 claimId)
        external
        view
        returns (uint64 windowEnd, uint64 epoch, bytes32 modelId, bytes32 root);
    /// @notice A claim's proposer, or 0.
    function proposerOf(bytes32 claimId) external view returns (address);
    /// @notice All claims of a lane, oldest first.
    function laneClaims(uint64 epoch, bytes32 modelId) external view returns (bytes32[] memory);
    /// @notice The final claim of a lane, or 0.
    function finalClaim(uint64 epoch, bytes32 modelId) external view returns (bytes32);
    function isSettled(uint256 inputId) external view returns (bool);
    /// @notice Seconds after which an input without an answer can be refunded.
    function deadlineOf(uint256 inputId) external view returns (uint256);
    function balanceOf(address account) external view returns (uint256 wei_);
    function bondWei() external view returns (uint256);
    function windowSeconds() external view returns (uint64);
    function answerSeconds() external view returns (uint64);
    function inbox() external view returns (IInbox);
    function fees() external view returns (IFees);
    function disputes() external view returns (IDisputes);
}
