// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IClaims} from "./interfaces/IClaims.sol";
import {IDisputes} from "./interfaces/IDisputes.sol";
import {IFees} from "./interfaces/IFees.sol";
import {IInbox} from "./interfaces/IInbox.sol";
import {Payout} from "./libraries/Payout.sol";
import {Records} from "./libraries/Records.sol";

/// @title Claims
/// @dev Life of a claim: Standing -> Final | Fallen | Superseded. This contract's balance is always the bonds of standing
/// claims plus the withdrawable balances.
contract Claims is IClaims {
    /// @dev Burned bonds go to the zero address: nobody has its key and it has no code.
    address private constant BURN = address(0);

    /// @inheritdoc IClaims
    IInbox public immutable inbox;
    /// @inheritdoc IClaims
    IFees public immutable fees;
    /// @inheritdoc IClaims
    IDisputes public immutable disputes;
    /// @inheritdoc IClaims
    uint256 public immutable bondWei;
    /// @inheritdoc IClaims
    uint64 public immutable windowSeconds;
    /// @inheritdoc IClaims
    uint64 public immutable answerSeconds;

    mapping(bytes32 claimId => Claim) private _claims;
    mapping(uint64 epoch => mapping(bytes32 modelId => bytes32[])) private _lanes;
    /// @inheritdoc IClaims
    mapping(uint64 epoch => mapping(bytes32 modelId => bytes32)) public finalClaim;
    /// @inheritdoc IClaims
    mapping(uint256 inputId => bool) public isSettled;
    /// @inheritdoc IClaims
    mapping(address account => uint256) public balanceOf;

    constructor(
        IInbox inbox_,
        IFees fees_,
        IDisputes disputes_,
        uint256 bondWei_,
        uint64 windowSeconds_,
        uint64 answerSeconds_
    ) {
        if (bondWei_ == 0) revert ZeroBond();
        if (answerSeconds_ == 0) revert ZeroAnswerTime();
        inbox = inbox_;
        fees = fees_;
        disputes = disputes_;
        bondWei = bondWei_;
        windowSeconds = windowSeconds_;
        answerSeconds = answerSeconds_;
    }

    /// @inheritdoc IClaims
    function claim(uint64 epoch, bytes32 modelId, bytes32 accumulator, bytes32 root)
        external
        payable
        returns (bytes32 claimId)
    {
        if (root == 0) revert ZeroRoot();
        if (msg.value != bondWei) revert WrongBond(msg.value, bondWei);
        (, uint256 endBlock) = inbox.epochBounds(epoch);
        if (block.number < endBlock) revert EpochNotEnded(epoch, endBlock, block.number);
        if (inbox.laneCount(epoch, modelId) == 0) revert EmptyLane(epoch, modelId);
        bytes32 expected = inbox.accumulatorAt(epoch);
        if (accumulator != expected) revert WrongAccumulator(accumulator, expected);
        bytes32 finalId = finalClaim[epoch][modelId];
        if (finalId != 0) revert LaneIsFinal(finalId);

        claimId = claimIdOf(epoch, modelId, accumulator, root, msg.sender);
        if (_claims[claimId].status != Status.None) revert ClaimExists(claimId);
        uint64 windowEnd = uint64(block.timestamp) + windowSeconds;
        _claims[claimId] = Claim({
            status: Status.Standing,
            proposer: msg.sender,
            epoch: epoch,
            claimedAt: uint64(block.timestamp),
            windowEnd: windowEnd,
            modelId: modelId,
            accumulator: accumulator,
            root: root,
            bondWei: msg.value
        });
        _lanes[epoch][modelId].push(claimId);
        emit Claimed(claimId, epoch, modelId, msg.sender, root, accumulator, windowEnd, msg.value);
    }

    /// @inheritdoc IClaims
    function finalise(bytes32 claimId) external {
        Claim storage entry = _standing(claimId);
        (uint64 epoch, bytes32 modelId, uint64 windowEnd) = (entry.epoch, entry.modelId, entry.windowEnd);
        bytes32 finalId = finalClaim[epoch][modelId];
        if (finalId != 0) revert LaneIsFinal(finalId);
        if (block.timestamp <= windowEnd || !disputes.mayFinalise(claimId, windowEnd)) {
            revert NotFinalYet(claimId, windowEnd, block.timestamp);
        }

        entry.status = Status.Final;
        finalClaim[epoch][modelId] = claimId;
        emit Finalised(claimId, epoch, modelId, entry.root);
        _release(claimId, entry);
    }

    /// @inheritdoc IClaims
    function resolveRival(bytes32 claimId) external {
        Claim storage entry = _standing(claimId);
        bytes32 finalId = finalClaim[entry.epoch][entry.modelId];
        if (finalId == 0) revert LaneNotFinal(entry.epoch, entry.modelId);

        entry.status = Status.Superseded;
        // Accumulators of a lane's claims are equal: an ended epoch's doesn't change.
        if (entry.root == _claims[finalId].root) {
            _release(claimId, entry);
        } else {
            emit BondBurned(claimId, entry.bondWei);
            _send(BURN, entry.bondWei);
        }
    }

    /// @inheritdoc IClaims
    function settle(uint256 inputId) external {
        IInbox.Input memory sealedInput = inbox.input(inputId);
        if (!inbox.isSealed(inputId)) revert NotSealed(inputId);
        bytes32 finalId = finalClaim[sealedInput.epoch][sealedInput.modelId];
        if (finalId == 0) revert LaneNotFinal(sealedInput.epoch, sealedInput.modelId);
        _settleOnce(inputId);

        address server = _claims[finalId].proposer;
        emit InputSettled(inputId, finalId, server);
        fees.settle(inputId, server);
    }

    /// @inheritdoc IClaims
    function refund(uint256 inputId) external {
        IInbox.Input memory openInput = inbox.input(inputId);
        uint256 deadline = uint256(openInput.submittedAt) + answerSeconds;
        if (block.timestamp <= deadline) revert DeadlineNotPassed(inputId, deadline, block.timestamp);
        if (inbox.isSealed(inputId)) {
            bytes32 cover = _coverOf(openInput.epoch, openInput.modelId, deadline);
            if (cover != 0) revert Covered(inputId, cover);
        }
        _settleOnce(inputId);

        emit InputRefunded(inputId);
        fees.refund(inputId);
    }

    /// @inheritdoc IClaims
    function fall(bytes32 claimId) external {
        if (msg.sender != address(disputes)) revert NotAuthorised(msg.sender);
        Claim storage entry = _standing(claimId);
        bytes32 finalId = finalClaim[entry.epoch][entry.modelId];
        if (finalId != 0) revert LaneIsFinal(finalId);

        entry.status = Status.Fallen;
        emit Fell(claimId, entry.proposer, entry.bondWei);
        _send(msg.sender, entry.bondWei);
    }

    /// @inheritdoc IClaims
    function withdraw(address payable to) external {
        if (to == address(0)) revert ZeroReceiver();
        uint256 amountWei = balanceOf[msg.sender];
        if (amountWei == 0) revert NothingToWithdraw(msg.sender);
        balanceOf[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amountWei);
        _send(to, amountWei);
    }

    /// @inheritdoc IClaims
    function claimIdOf(uint64 epoch, bytes32 modelId, bytes32 accumulator, bytes32 root, address proposer)
        public
        view
        returns (bytes32)
    {
        return Records.claim(address(this), epoch, modelId, accumulator, root, proposer);
    }

    /// @inheritdoc IClaims
    function claimOf(bytes32 claimId) external view returns (Claim memory) {
        if (_claims[claimId].status == Status.None) revert UnknownClaim(claimId);
        return _claims[claimId];
    }

    /// @inheritdoc IClaims
    function laneClaims(uint64 epoch, bytes32 modelId) external view returns (bytes32[] memory) {
        return _lanes[epoch][modelId];
    }

    /// @inheritdoc IClaims
    function deadlineOf(uint256 inputId) external view returns (uint256) {
        return uint256(inbox.input(inputId).submittedAt) + answerSeconds;
    }

    function _standing(bytes32 claimId) private view returns (Claim storage entry) {
        entry = _claims[claimId];
        if (entry.status == Status.None) revert UnknownClaim(claimId);
        if (entry.status != Status.Standing) revert NotStanding(claimId, entry.status);
    }

    /// @dev The claim posted by the deadline that answers the lane's inputs, or 0. While the lane is open that is any
    /// standing one; when it is final, any with the final root: finalising a later equal claim first doesn't take an
    /// answer in time away from its payer's server. Every claim before the one found cost its proposer a bond.
    function _coverOf(uint64 epoch, bytes32 modelId, uint256 deadline) private view returns (bytes32) {
        bytes32 finalId = finalClaim[epoch][modelId];
        bytes32 finalRoot = finalId == 0 ? bytes32(0) : _claims[finalId].root;
        bytes32[] storage lane = _lanes[epoch][modelId];
        for (uint256 i = 0; i < lane.length; ++i) {
            Claim storage entry = _claims[lane[i]];
            if (entry.claimedAt > deadline) break;
            if (entry.status == Status.Fallen) continue;
            if (finalId == 0 || entry.root == finalRoot) return lane[i];
        }
        return 0;
    }

    /// @dev The one gate before every payment of an input's fee.
    function _settleOnce(uint256 inputId) private {
        if (isSettled[inputId]) revert AlreadySettled(inputId);
        isSettled[inputId] = true;
    }

    function _release(bytes32 claimId, Claim storage entry) private {
        balanceOf[entry.proposer] += entry.bondWei;
        emit BondReleased(claimId, entry.proposer, entry.bondWei);
    }

    function _send(address to, uint256 amountWei) private {
        if (!Payout.send(to, amountWei)) revert TransferFailed(to, amountWei);
    }
}
