// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IClaims} from "./interfaces/IClaims.sol";
import {IDisputes} from "./interfaces/IDisputes.sol";
import {IFees} from "./interfaces/IFees.sol";
import {IInbox} from "./interfaces/IInbox.sol";
import {Machine} from "./libraries/Machine.sol";
import {Payout} from "./libraries/Payout.sol";
import {Programs} from "./libraries/Programs.sol";
import {Records} from "./libraries/Records.sol";
import {Shapes} from "./libraries/Shapes.sol";
import {Trees} from "./libraries/Trees.sol";

/// @title Claims
/// @dev Life of a claim: Standing -> Final | Fallen | Superseded. This contract's balance is always the bonds of standing
/// claims plus the withdrawable balances.
contract Claims is IClaims {
    /// @dev Burned bonds go to the zero address: nobody has its key and it has no code.
    address private constant BURN = address(0);

    /// @dev Claims keep the end of their window in 40 bits; a window that isn't longer than this fits for the next thousands of years.
    uint64 private constant MAX_WINDOW_SECONDS = type(uint32).max;

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

    /// @dev A lane's first claim, without and with rivals, and the others.
    enum Rank {
        Alone,
        First,
        Rival
    }

    /// @dev A claim in three slots. When it was made follows from the window, its bond is the deployment's, its accumulator the inbox's.
    struct Entry {
        Status status;
        Rank rank;
        uint40 windowEnd;
        uint40 epoch;
        address proposer;
        bytes32 modelId;
        bytes32 root;
    }

    /// @dev A lane's claims in order: a list, whose links only rivals pay for. `second` is 0 while the first is the only one, `last` while there are two at most.
    /// `finalRival` is the final claim unless that is the first one, whose status says so.
    struct Lane {
        bytes32 first;
        bytes32 second;
        bytes32 last;
        bytes32 finalRival;
    }

    mapping(bytes32 claimId => Entry) private _claims;
    mapping(uint64 epoch => mapping(bytes32 modelId => Lane)) private _lanes;
    /// @dev From the second on.
    mapping(bytes32 claimId => bytes32) private _next;
    /// @inheritdoc IClaims
    mapping(uint256 inputId => bool) public isSettled;
    /// @inheritdoc IClaims
    mapping(address account => uint256) public balanceOf;

    /// @dev Of a deployment only: no call of it reverts so.
    error WindowTooLong(uint64 windowSeconds, uint64 maximumSeconds);

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
        if (windowSeconds_ > MAX_WINDOW_SECONDS) revert WindowTooLong(windowSeconds_, MAX_WINDOW_SECONDS);
        inbox = inbox_;
        fees = fees_;
        disputes = disputes_;
        bondWei = bondWei_;
        windowSeconds = windowSeconds_;
        answerSeconds = answerSeconds_;
    }

    /// @inheritdoc IClaims
    function claim(uint64 epoch, bytes32 modelId, bytes32 accumulator, bytes32[] calldata digests)
        external
        payable
        returns (bytes32 claimId)
    {
        if (msg.value != bondWei) revert WrongBond(msg.value, bondWei);
        bytes32 root = _rootOf(digests, _claimable(epoch, modelId, accumulator));
        if (root == 0) revert ZeroRoot();
        claimId = claimIdOf(epoch, modelId, accumulator, root, msg.sender);
        if (_claims[claimId].status != Status.None) revert ClaimExists(claimId);
        uint40 windowEnd = uint40(block.timestamp + windowSeconds);
        // An epoch that ended is a block's number at most.
        Rank rank = _append(_lanes[epoch][modelId], claimId);
        _claims[claimId] = Entry({
            status: Status.Standing,
            rank: rank,
            windowEnd: windowEnd,
            epoch: uint40(epoch),
            proposer: msg.sender,
            modelId: modelId,
            root: root
        });
        emit Claimed(claimId, epoch, modelId, msg.sender, root, accumulator, windowEnd, msg.value, digests);
    }

    /// @inheritdoc IClaims
    function finalise(bytes32 claimId) external {
        Entry storage entry = _standing(claimId);
        (uint64 epoch, bytes32 modelId, uint64 windowEnd) = (entry.epoch, entry.modelId, entry.windowEnd);
        _notFinal(entry);
        if (block.timestamp <= windowEnd || !disputes.mayFinalise(claimId, windowEnd)) {
            revert NotFinalYet(claimId, windowEnd, block.timestamp);
        }

        entry.status = Status.Final;
        if (entry.rank == Rank.Rival) _lanes[epoch][modelId].finalRival = claimId;
        emit Finalised(claimId, epoch, modelId, entry.root);
        _release(claimId, entry);
    }

    /// @inheritdoc IClaims
    function resolveRival(bytes32 claimId) external {
        Entry storage entry = _standing(claimId);
        bytes32 finalId = finalClaim(entry.epoch, entry.modelId);
        if (finalId == 0) revert LaneNotFinal(entry.epoch, entry.modelId);

        entry.status = Status.Superseded;
        // Accumulators of a lane's claims are equal: an ended epoch's doesn't change.
        if (entry.root == _claims[finalId].root) {
            _release(claimId, entry);
        } else {
            emit BondBurned(claimId, bondWei);
            _send(BURN, bondWei);
        }
    }

    /// @inheritdoc IClaims
    function settle(uint256 inputId) external {
        IInbox.Input memory sealedInput = inbox.input(inputId);
        if (!inbox.isSealed(inputId)) revert NotSealed(inputId);
        bytes32 finalId = finalClaim(sealedInput.epoch, sealedInput.modelId);
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
    function fall(bytes32 claimId) external returns (uint256 fallenWei) {
        if (msg.sender != address(disputes)) revert NotAuthorised(msg.sender);
        Entry storage entry = _standing(claimId);
        _notFinal(entry);

        entry.status = Status.Fallen;
        fallenWei = bondWei;
        emit Fell(claimId, entry.proposer, fallenWei);
        _send(msg.sender, fallenWei);
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
        Entry storage entry = _claims[claimId];
        if (entry.status == Status.None) revert UnknownClaim(claimId);
        return Claim({
            status: entry.status,
            proposer: entry.proposer,
            epoch: entry.epoch,
            claimedAt: _claimedAt(entry),
            windowEnd: entry.windowEnd,
            modelId: entry.modelId,
            accumulator: inbox.accumulatorAt(entry.epoch),
            root: entry.root,
            bondWei: bondWei
        });
    }

    /// @inheritdoc IClaims
    function factsOf(bytes32 claimId)
        external
        view
        returns (Status status, uint64 windowEnd, uint64 epoch, address proposer, bytes32 modelId, bytes32 root)
    {
        Entry storage entry = _claims[claimId];
        return (entry.status, entry.windowEnd, entry.epoch, entry.proposer, entry.modelId, entry.root);
    }

    /// @inheritdoc IClaims
    function laneOf(bytes32 claimId) external view returns (uint64 epoch, bytes32 modelId) {
        Entry storage entry = _claims[claimId];
        return (entry.epoch, entry.modelId);
    }

    /// @inheritdoc IClaims
    function liveFactsOf(bytes32 claimId)
        external
        view
        returns (uint64 windowEnd, uint64 epoch, bytes32 modelId, bytes32 root)
    {
        Entry storage entry = _claims[claimId];
        if (entry.status != Status.Standing || _finalOf(entry) != 0) return (0, 0, 0, 0);
        return (entry.windowEnd, entry.epoch, entry.modelId, entry.root);
    }

    /// @inheritdoc IClaims
    function finalClaim(uint64 epoch, bytes32 modelId) public view returns (bytes32 finalId) {
        Lane storage lane = _lanes[epoch][modelId];
        finalId = lane.first;
        if (finalId == 0) return 0;
        Entry storage first = _claims[finalId];
        if (first.status != Status.Final) return first.rank == Rank.Alone ? bytes32(0) : lane.finalRival;
    }

    /// @inheritdoc IClaims
    function proposerOf(bytes32 claimId) external view returns (address) {
        return _claims[claimId].proposer;
    }

    /// @inheritdoc IClaims
    function laneClaims(uint64 epoch, bytes32 modelId) external view returns (bytes32[] memory ids) {
        Lane storage lane = _lanes[epoch][modelId];
        uint256 count = 0;
        for (bytes32 id = lane.first; id != 0; id = _after(lane, id)) {
            ++count;
        }
        ids = new bytes32[](count);
        count = 0;
        for (bytes32 id = lane.first; id != 0; id = _after(lane, id)) {
            ids[count++] = id;
        }
    }

    /// @inheritdoc IClaims
    function deadlineOf(uint256 inputId) external view returns (uint256) {
        return uint256(inbox.input(inputId).submittedAt) + answerSeconds;
    }

    function _standing(bytes32 claimId) private view returns (Entry storage entry) {
        entry = _claims[claimId];
        if (entry.status == Status.None) revert UnknownClaim(claimId);
        if (entry.status != Status.Standing) revert NotStanding(claimId, entry.status);
    }

    /// @dev The claim posted by the deadline that answers the lane's inputs, or 0. While the lane is open that is any
    /// standing one; when it is final, any with the final root: finalising a later equal claim first doesn't take an
    /// answer in time away from its payer's server. Every claim before the one found cost its proposer a bond.
    function _coverOf(uint64 epoch, bytes32 modelId, uint256 deadline) private view returns (bytes32) {
        bytes32 finalId = finalClaim(epoch, modelId);
        bytes32 finalRoot = finalId == 0 ? bytes32(0) : _claims[finalId].root;
        Lane storage lane = _lanes[epoch][modelId];
        for (bytes32 id = lane.first; id != 0; id = _after(lane, id)) {
            Entry storage entry = _claims[id];
            if (_claimedAt(entry) > deadline) break;
            if (entry.status == Status.Fallen) continue;
            if (finalId == 0 || entry.root == finalRoot) return id;
        }
        return 0;
    }

    function _claimedAt(Entry storage entry) private view returns (uint64) {
        return entry.windowEnd - windowSeconds;
    }

    /// @dev Reverts unless the lane can be claimed now; its number of inputs.
    function _claimable(uint64 epoch, bytes32 modelId, bytes32 accumulator) private view returns (uint256 lanes) {
        uint256 endBlock;
        bytes32 expected;
        (lanes, endBlock, expected) = inbox.laneFacts(epoch, modelId);
        if (block.number < endBlock) revert EpochNotEnded(epoch, endBlock, block.number);
        if (lanes == 0) revert EmptyLane(epoch, modelId);
        if (accumulator != expected) revert WrongAccumulator(accumulator, expected);
        bytes32 finalId = finalClaim(epoch, modelId);
        if (finalId != 0) revert LaneIsFinal(finalId);
    }

    /// @dev The root of the claim tree over `lanes` jobs, from what an opening of it would give: nodes below it, or the jobs.
    function _rootOf(bytes32[] calldata digests, uint256 lanes) private view returns (bytes32) {
        uint256 depth = Programs.log2Ceil(lanes);
        uint256 levels = Shapes.levels(Machine.NODE_CLAIM, depth);
        uint256 shape = Shapes.pack(0, 0, lanes, 0, 0);
        uint256 expected = Shapes.present(Machine.NODE_CLAIM, shape, depth - levels, 0, lanes);
        if (digests.length != expected) revert WrongDigests(digests.length, expected);
        return Trees.node(digests, Machine.NODE_CLAIM, shape, depth, 0, levels);
    }

    function _append(Lane storage lane, bytes32 claimId) private returns (Rank) {
        bytes32 first = lane.first;
        if (first == 0) {
            lane.first = claimId;
            return Rank.Alone;
        }
        bytes32 second = lane.second;
        if (second == 0) {
            lane.second = claimId;
            _claims[first].rank = Rank.First;
            return Rank.Rival;
        }
        bytes32 last = lane.last;
        _next[last == 0 ? second : last] = claimId;
        lane.last = claimId;
        return Rank.Rival;
    }

    /// @dev The lane's next claim, or 0.
    function _after(Lane storage lane, bytes32 claimId) private view returns (bytes32) {
        return claimId == lane.first ? lane.second : _next[claimId];
    }

    /// @dev The final claim of a standing one's lane, or 0.
    function _finalOf(Entry storage entry) private view returns (bytes32) {
        return entry.rank == Rank.Alone ? bytes32(0) : finalClaim(entry.epoch, entry.modelId);
    }

    function _notFinal(Entry storage entry) private view {
        bytes32 finalId = _finalOf(entry);
        if (finalId != 0) revert LaneIsFinal(finalId);
    }

    /// @dev The one gate before every payment of an input's fee.
    function _settleOnce(uint256 inputId) private {
        if (isSettled[inputId]) revert AlreadySettled(inputId);
        isSettled[inputId] = true;
    }

    function _release(bytes32 claimId, Entry storage entry) private {
        balanceOf[entry.proposer] += bondWei;
        emit BondReleased(claimId, entry.proposer, bondWei);
    }

    function _send(address to, uint256 amountWei) private {
        if (!Payout.send(to, amountWei)) revert TransferFailed(to, amountWei);
    }
}
