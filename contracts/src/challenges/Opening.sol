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

    /// @inheritdoc IChallenges
    function open(bytes32 claimId, Record calldata parent_, uint256 position, bytes32 value, bytes32[] calldata path)
        external
        payable
        returns (bytes32 key)
    {
        // Under the claim itself the parent is nothing: no seconds used, revealed with the claim.
        Record memory parent;
        bytes32 parentKey = 0;
        if (parent_.position != 0) {
            parent = parent_;
            parentKey = _revealed(claimId, parent);
        }
        INodeRules.Place memory place = _placeUnder(claimId, parent, position);
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
        return _open(claimId, parent, parentKey, position, place);
    }

    /// @inheritdoc IChallenges
    function openInJob(bytes32 claimId, Record calldata parent_, IFaults.Job calldata job, uint256 position)
        external
        payable
        returns (bytes32 key)
    {
        Record memory parent = parent_;
        bytes32 parentKey = _revealed(claimId, parent);
        return _open(claimId, parent, parentKey, position, _placeInJob(claimId, parent, job, position));
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

    function _open(
        bytes32 claimId,
        Record memory parent,
        bytes32 parentKey,
        uint256 position,
        INodeRules.Place memory place
    ) private returns (bytes32 key) {
        uint256 state = _states[claimId];
        // The first node of a claim is one under the claim itself.
        if (state == 0) state = place.windowEnd | (uint256(place.windowEnd) << 40);
        _live(claimId, state);

        Record memory record = Record({
            position: position,
            parentKey: parentKey,
            value: place.value,
            times: Nodes.opened(msg.sender, block.timestamp),
            funds: _charge(state, parent, position, place.shape),
            shape: place.shape
        });
        key = Nodes.key(claimId, position, parentKey);
        if (slotOf[key] != 0) revert AlreadyOpen(key);
        slotOf[key] = record.hash();
        _states[claimId] = state + PENDING_ONE;
        emit Opened(claimId, key, msg.sender, record);
    }

    /// @dev The new node's `funds`: its clocks and what its opener paid.
    function _charge(uint256 state, Record memory parent, uint256 position, uint256 shape)
        private
        view
        returns (uint256)
    {
        // Only time after the window is the challengers'.
        uint256 since = _windowEnd(state);
        if (parent.revealedAt() > since) since = parent.revealedAt();
        uint256 used = parent.challengerSeconds();
        if (block.timestamp > since) used += block.timestamp - since;
        if (used > budgetSeconds) revert ChallengersOutOfTime(used, budgetSeconds);

        bool late = _isLate(_windowEnd(state));
        uint256 depositWei = late ? _deposit() : 0;
        uint256 leastWei = RevealGas.bound(position, shape) * GAS_FACTOR * block.basefee + depositWei;
        if (Positions.kind(position) == Machine.NODE_JOB) leastWei += shape;
        if (msg.value < leastWei) revert NotEnoughPaid(msg.value, leastWei);
        if (msg.value > type(uint88).max) revert TooMuchPaid(msg.value);
        return Nodes.funds(parent.proposerSeconds(), used, msg.value - depositWei, 0, late);
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

    /// @dev `rules.inJob` of the parent's job: the call is put together from its parts, since the job's encoding is hashed as well.
    function _placeInJob(bytes32 claimId, Record memory parent, IFaults.Job calldata job, uint256 position)
        private
        view
        returns (INodeRules.Place memory)
    {
        if (Positions.kind(parent.position) != Machine.NODE_JOB) {
            revert BadPosition("parent's kind", Positions.kind(parent.position), Machine.NODE_JOB);
        }
        bytes4 selector = INodeRules.inJob.selector;
        uint256 args;
        assembly ("memory-safe") {
            args := add(mload(0x40), 0x20)
        }
        // Claim, six words of the parent, where the job begins, the position, the job.
        uint256 end = Jobs.write(job, args + 9 * 32);
        bytes32 found = Jobs.hash(args + 9 * 32, end);
        if (found != parent.value) revert BadContents(found, parent.value);
        assembly ("memory-safe") {
            mstore(sub(args, 0x20), shr(224, selector))
            mstore(args, claimId)
            mcopy(add(args, 0x20), parent, 0xc0)
            mstore(add(args, 0xe0), 0x120)
            mstore(add(args, 0x100), position)
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
