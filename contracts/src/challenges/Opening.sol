// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../interfaces/IChallenges.sol";
import {IFaults} from "../interfaces/IFaults.sol";
import {INodeRules} from "../interfaces/INodeRules.sol";
import {Children} from "../libraries/Children.sol";
import {Jobs} from "../libraries/Jobs.sol";
import {Machine} from "../libraries/Machine.sol";
import {Nodes} from "../libraries/Nodes.sol";
import {Positions} from "../libraries/Positions.sol";
import {RevealGas} from "../libraries/RevealGas.sol";
import {Sha256Merkle} from "../libraries/Sha256Merkle.sol";
import {ChallengesBase} from "./ChallengesBase.sol";

/// @title Openings
abstract contract Opening is ChallengesBase {
    using Nodes for Record;

    /// @dev What a node is opened under; all zero for the claim itself.
    struct Above {
        Record record;
        bytes32 line;
        bytes32 hash;
    }

    /// @inheritdoc IChallenges
    function open(
        bytes32 claimId,
        Record calldata parent_,
        uint256 position,
        bytes32 value,
        bytes32[] calldata path,
        uint16 line
    ) external payable returns (bytes32 key) {
        // Under the claim itself the parent is nothing: no seconds used, revealed with the claim.
        Above memory above;
        if (parent_.position != 0) {
            above.record = parent_;
            (above.line, above.hash) = _revealed(claimId, above.record);
        }
        INodeRules.Place memory place = _placeUnder(claimId, above.record, position);
        _climb(place, position, value, path);
        return _open(claimId, above, position, place, line);
    }

    /// @inheritdoc IChallenges
    function openInJob(
        bytes32 claimId,
        Record calldata parent_,
        IFaults.Job calldata job,
        uint256 position,
        bytes32 value,
        bytes32[] calldata path,
        uint16 line
    ) external payable returns (bytes32 key) {
        Above memory above;
        above.record = parent_;
        (above.line, above.hash) = _revealed(claimId, above.record);
        INodeRules.Place memory place = _placeInJob(claimId, above.record, job, position);
        _climb(place, position, value, path);
        return _open(claimId, above, position, place, line);
    }

    /// @inheritdoc IChallenges
    function quoteOpen(bytes32 claimId, Record calldata parent, uint256 position)
        external
        view
        returns (uint256 gas_, uint256 extraWei)
    {
        return _quote(claimId, position, _placeUnder(claimId, parent, position));
    }

    /// @inheritdoc IChallenges
    function quoteOpenInJob(bytes32 claimId, Record calldata parent, IFaults.Job calldata job, uint256 position)
        external
        view
        returns (uint256 gas_, uint256 extraWei)
    {
        return _quote(claimId, position, _placeInJob(claimId, parent, job, position));
    }

    /// @dev Whether the digest stands at the position, by its path; then it is the place's value.
    function _climb(INodeRules.Place memory place, uint256 position, bytes32 value, bytes32[] calldata path)
        private
        view
    {
        if (path.length != place.levels) revert BadLength(path.length, place.levels);
        if (place.inTree) {
            uint256 index =
                Positions.kind(position) == Machine.NODE_JOB ? Positions.lane(position) : Positions.index(position);
            bytes32 found = Sha256Merkle.climb(value, index, path);
            if (found != place.value) revert BadPath(found, place.value);
            place.value = value;
        } else if (value != 0) {
            revert BadContents(value, 0);
        }
    }

    function _open(bytes32 claimId, Above memory above, uint256 position, INodeRules.Place memory place, uint16 line)
        private
        returns (bytes32 key)
    {
        uint256 times = Nodes.opened(msg.sender, block.timestamp, line);
        bytes32 at = Nodes.line(claimId, times);
        bool goesOn = at == above.line;
        if (!goesOn && slotOf[at] != 0) revert LineInUse(at);
        uint256 windowEnd = above.record.position == 0 ? place.windowEnd : above.record.windowEnd();
        if (block.timestamp > windowEnd) _live(claimId, windowEnd, _states[claimId]);
        Record memory record = Record({
            position: position,
            parentHash: above.hash,
            value: place.value,
            times: times,
            funds: _charge(above.record, goesOn, position, place.shape, windowEnd),
            shape: place.shape,
            job: above.record.job
        });
        if (record.counted()) {
            _states[claimId] += PENDING_ONE;
        }
        slotOf[at] = record.hash(claimId);
        key = Nodes.key(at, position);
        emit Opened(claimId, key, msg.sender, record);
    }

    /// @dev The new node's `funds`: its clocks, and what its opener paid for the line.
    function _charge(Record memory parent, bool goesOn, uint256 position, uint256 shape, uint256 windowEnd)
        private
        view
        returns (uint256)
    {
        // Only time after the window is the challengers'.
        uint256 since = windowEnd;
        if (parent.revealedAt() > since) since = parent.revealedAt();
        uint256 used = parent.challengerSeconds();
        if (block.timestamp > since) used += block.timestamp - since;
        if (used > budgetSeconds) revert ChallengersOutOfTime(used, budgetSeconds);
        // What both sides have all their time for before the window's end can't hold up finality.
        uint256 last = block.timestamp + 2 * uint256(budgetSeconds) - parent.proposerSeconds() - used;
        uint256 flags = last > windowEnd ? Nodes.COUNTED : 0;

        uint256 paidWei = msg.value;
        uint256 spentWei = 0;
        uint256 depositWei = 0;
        if (goesOn) {
            paidWei += parent.prepaid();
            spentWei = parent.spent();
        }
        if (goesOn && parent.late()) {
            flags |= Nodes.LATE;
        } else if (_isLate(windowEnd)) {
            (flags, depositWei) = (flags | Nodes.LATE, _deposit());
        }
        uint256 leastWei = RevealGas.bound(position, shape) * GAS_FACTOR * block.basefee + depositWei;
        if (Positions.kind(position) == Machine.NODE_JOB) leastWei += shape;
        if (paidWei < leastWei) revert NotEnoughPaid(paidWei, leastWei);
        if (paidWei + spentWei > type(uint72).max) revert TooMuchPaid(paidWei);
        return Nodes.funds(parent.proposerSeconds(), used, paidWei - depositWei, spentWei, windowEnd, flags);
    }

    /// @dev Children of a tree, by far the most, are placed here; the others need more than the parent's shape, or little gas matters.
    function _placeUnder(bytes32 claimId, Record memory parent, uint256 position)
        private
        view
        returns (INodeRules.Place memory place)
    {
        uint256 kind = Positions.kind(position);
        if (kind != Positions.kind(parent.position) || kind < Machine.NODE_TOKENS || kind > Machine.NODE_TRACE) {
            return rules.under(claimId, parent, position);
        }
        place.inTree = true;
        (place.value, place.shape) = (parent.value, parent.shape);
        place.levels = Children.inTree(parent.position, parent.shape, position);
    }

    /// @dev `rules.inJob` of the parent's job: the call is put together from its parts, since the job's encoding is hashed as well. Nodes of traces are placed here.
    function _placeInJob(bytes32 claimId, Record memory parent, IFaults.Job calldata job, uint256 position)
        private
        view
        returns (INodeRules.Place memory place)
    {
        if (Positions.kind(parent.position) != Machine.NODE_JOB) {
            revert BadPosition("parent's kind", Positions.kind(parent.position), Machine.NODE_JOB);
        }
        bytes4 selector = INodeRules.inJob.selector;
        uint256 args;
        assembly ("memory-safe") {
            args := add(mload(0x40), 0x20)
        }
        // Claim, seven words of the parent, where the job begins, the position, the job.
        uint256 end = Jobs.write(job, args + 10 * 32);
        bytes32 found = Jobs.hash(args + 10 * 32, end);
        if (found != parent.job) revert BadContents(found, parent.job);
        if (Positions.kind(position) == Machine.NODE_TRACE) {
            place.inTree = true;
            (place.shape, place.value, place.levels) = Children.traceInJob(job, parent.position, parent.shape, position);
            return place;
        }
        assembly ("memory-safe") {
            mstore(sub(args, 0x20), shr(224, selector))
            mstore(args, claimId)
            mcopy(add(args, 0x20), parent, 0xe0)
            mstore(add(args, 0x100), 0x140)
            mstore(add(args, 0x120), position)
            mstore(0x40, end)
        }
        return abi.decode(_view(address(rules), args - 4, end), (INodeRules.Place));
    }

    function _quote(bytes32 claimId, uint256 position, INodeRules.Place memory place)
        private
        view
        returns (uint256 gas_, uint256 extraWei)
    {
        (, uint64 windowEnd,,,,) = claims.factsOf(claimId);
        gas_ = RevealGas.bound(position, place.shape);
        if (Positions.kind(position) == Machine.NODE_JOB) extraWei = place.shape;
        if (_isLate(windowEnd)) extraWei += _deposit();
    }

    function _isLate(uint256 windowEnd) private view returns (bool) {
        return block.timestamp + graceSeconds > windowEnd;
    }
}
