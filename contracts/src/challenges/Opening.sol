// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../interfaces/IChallenges.sol";
import {IClaims} from "../interfaces/IClaims.sol";
import {IFaults} from "../interfaces/IFaults.sol";
import {IInbox} from "../interfaces/IInbox.sol";
import {Children} from "../libraries/Children.sol";
import {Machine} from "../libraries/Machine.sol";
import {Nodes} from "../libraries/Nodes.sol";
import {ParamsWord} from "../libraries/ParamsWord.sol";
import {Positions} from "../libraries/Positions.sol";
import {Programs} from "../libraries/Programs.sol";
import {RevealGas} from "../libraries/RevealGas.sol";
import {Sha256Merkle} from "../libraries/Sha256Merkle.sol";
import {Shapes} from "../libraries/Shapes.sol";
import {ChallengesBase} from "./ChallengesBase.sol";

/// @title Openings
abstract contract Opening is ChallengesBase {
    using Nodes for Record;

    /// @dev Where a node is to be opened.
    struct Place {
        uint256 shape;
        uint256 levels; // from the parent down to it, in a tree
        bool inTree; // its value has a path from the parent's
        bytes32 value; // of the parent, for such a node; of the root of a run's tree
        uint256 jobWei; // that the proposer gets for a job
        uint256 windowEnd; // under the claim itself
    }

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
        Place memory place = _placeUnder(claimId, parent, position);
        if (path.length != place.levels) revert BadLength(path.length, place.levels);
        if (place.inTree) {
            uint256 index =
                Positions.kind(position) == Machine.NODE_JOB ? Positions.lane(position) : Positions.index(position);
            bytes32 found = Sha256Merkle.climb(value, index, path);
            if (found != place.value) revert BadPath(found, place.value);
        } else if (value != 0) {
            revert BadContents(value, 0);
        }
        return _open(claimId, parent, parentKey, position, value, place);
    }

    /// @inheritdoc IChallenges
    function openInJob(bytes32 claimId, Record calldata parent_, IFaults.Job calldata job, uint256 position)
        external
        payable
        returns (bytes32 key)
    {
        Record memory parent = parent_;
        bytes32 parentKey = _revealed(claimId, parent);
        Place memory place = _placeInJob(claimId, parent, job, position);
        return _open(claimId, parent, parentKey, position, place.value, place);
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
        bytes32 value,
        Place memory place
    ) private returns (bytes32 key) {
        uint256 state = _states[claimId];
        // The first node of a claim is one under the claim itself.
        if (state == 0) state = place.windowEnd | (place.windowEnd << 40);
        _live(claimId, state);

        Record memory record;
        record.position = position;
        record.parentKey = parentKey;
        record.value = value;
        record.shape = Positions.kind(position) == Machine.NODE_JOB ? place.jobWei : place.shape;
        record.times = Nodes.opened(msg.sender, block.timestamp);
        record.funds = _charge(state, parent, position, place);

        key = Nodes.key(claimId, position, parentKey);
        if (slotOf[key] != 0) revert AlreadyOpen(key);
        slotOf[key] = record.hash();
        _states[claimId] = state + PENDING_ONE;
        emit Opened(claimId, key, msg.sender, record);
    }

    /// @dev The new node's `funds`: its clocks and what its opener paid.
    function _charge(uint256 state, Record memory parent, uint256 position, Place memory place)
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

        bool late = block.timestamp + graceSeconds > _windowEnd(state);
        uint256 depositWei = late ? _deposit() : 0;
        uint256 leastWei =
            RevealGas.bound(position, place.shape) * GAS_FACTOR * block.basefee + place.jobWei + depositWei;
        if (msg.value < leastWei) revert NotEnoughPaid(msg.value, leastWei);
        if (msg.value > type(uint88).max) revert TooMuchPaid(msg.value);
        return Nodes.funds(parent.proposerSeconds(), used, msg.value - depositWei, 0, late);
    }

    function _quote(bytes32 claimId, uint256 position, Place memory place)
        private
        view
        returns (uint256 gas_, uint256 extraWei)
    {
        (, uint64 windowEnd,,,,) = claims.factsOf(claimId);
        gas_ = RevealGas.bound(position, place.shape) * GAS_FACTOR;
        extraWei = place.jobWei;
        if (block.timestamp + graceSeconds > windowEnd) extraWei += _deposit();
    }

    function _placeUnder(bytes32 claimId, Record memory parent, uint256 position)
        private
        view
        returns (Place memory place)
    {
        uint256 kind = Positions.kind(position);
        uint256 above = Positions.kind(parent.position);
        if (above == 0) return _placeUnderClaim(claimId, position);
        place.value = parent.value;
        place.shape = parent.shape;
        if (above == Machine.NODE_CLAIM) {
            (,, uint64 epoch,, bytes32 modelId,) = claims.factsOf(claimId);
            _placeInClaim(place, epoch, modelId, parent.position, position);
        } else if (above == kind && kind != Machine.NODE_JOB && kind <= Machine.NODE_TRACE) {
            place.inTree = true;
            place.levels = Children.inTree(parent.position, parent.shape, position);
        } else if (above == Machine.NODE_TRACE && kind == Machine.NODE_TOTALS) {
            place.shape = Children.totals(parent.position, parent.shape, position, _programOf(claimId));
        } else if (above == Machine.NODE_TRACE && kind == Machine.NODE_TILE) {
            place.shape = Children.onlyTile(parent.position, parent.shape, position, _programOf(claimId));
        } else if (above == Machine.NODE_TOTALS && kind == Machine.NODE_TILE) {
            place.shape = Children.tile(parent.position, parent.shape, position);
        } else if ((above == Machine.NODE_TOKENS || above == Machine.NODE_TRACE) && kind == Machine.NODE_SELECTION) {
            place.shape = Children.selection(parent.position, parent.shape, position, _samplingOf(claimId, position));
        } else if (above == Machine.NODE_SELECTION && kind == Machine.NODE_GROUP) {
            place.shape = Children.group(parent.position, parent.shape, position);
        } else if (above == Machine.NODE_TOKENS && kind == Machine.NODE_PROMPT) {
            place.shape = Children.prompt(parent.position, parent.shape, position);
        } else if (above == Machine.NODE_PROMPT && kind == Machine.NODE_STARTS) {
            place.shape = Children.starts(parent.position, parent.shape, position);
        } else {
            revert BadPosition("kind", kind, above);
        }
    }

    function _placeUnderClaim(bytes32 claimId, uint256 position) private view returns (Place memory place) {
        (IClaims.Status status, uint64 windowEnd, uint64 epoch,, bytes32 modelId, bytes32 root) =
            claims.factsOf(claimId);
        if (status != IClaims.Status.Standing || claims.finalClaim(epoch, modelId) != 0) revert NotLive(claimId);
        uint256 lanes = inbox.laneCount(epoch, modelId);
        place.value = root;
        place.windowEnd = windowEnd;
        place.shape = Shapes.pack(0, 0, lanes, 0, 0);
        uint256 top = Positions.tree(Machine.NODE_CLAIM, 0, 0, uint8(Programs.log2Ceil(lanes)), 0);
        if (lanes == 1) {
            // The claim's root is the job.
            place.inTree = true;
            if (position != Positions.tree(Machine.NODE_JOB, 0, 0, 0, 0)) {
                revert BadPosition("position", position, Positions.tree(Machine.NODE_JOB, 0, 0, 0, 0));
            }
            place.jobWei = _jobWei(epoch, modelId, 0);
        } else {
            _placeInClaim(place, epoch, modelId, top, position);
        }
    }

    /// @dev A node of the claim tree, or a job, under one of that tree.
    function _placeInClaim(Place memory place, uint64 epoch, bytes32 modelId, uint256 parent, uint256 position)
        private
        view
    {
        place.inTree = true;
        place.levels = Children.below(Machine.NODE_CLAIM, parent, position);
        uint256 height = Positions.height(parent) - place.levels;
        uint32 lane = Positions.lane(position);
        uint64 index = Positions.index(position);
        uint256 expected = height == 0
            ? Positions.tree(Machine.NODE_JOB, lane, 0, 0, 0)
            : Positions.tree(Machine.NODE_CLAIM, 0, 0, uint8(height), index);
        if (position != expected) revert BadPosition("position", position, expected);
        uint256 node = height == 0 ? lane : index;
        if (Shapes.present(Machine.NODE_CLAIM, place.shape, height, node, 1) == 0) revert AbsentNode(position);
        if (height == 0) place.jobWei = _jobWei(epoch, modelId, lane);
    }

    function _placeInJob(bytes32 claimId, Record memory parent, IFaults.Job calldata job, uint256 position)
        private
        view
        returns (Place memory place)
    {
        if (Positions.kind(parent.position) != Machine.NODE_JOB) {
            revert BadPosition("parent's kind", Positions.kind(parent.position), Machine.NODE_JOB);
        }
        bytes32 found = keccak256(abi.encode(job));
        if (found != parent.value) revert BadContents(found, parent.value);
        uint256 kind = Positions.kind(position);
        Programs.Program memory program;
        if (kind == Machine.NODE_TRACE) {
            program = _programOf(claimId);
        } else if (kind == Machine.NODE_SELECTION) {
            program = _samplingOf(claimId, position);
        } else if (
            kind < Machine.NODE_TOKENS || kind > Machine.NODE_TEXT && kind != Machine.NODE_PROMPT
                && kind != Machine.NODE_MALFORMED
        ) {
            revert BadPosition("kind", kind, Machine.NODE_JOB);
        }
        (place.shape, place.value) = Children.inJob(job, parent.position, position, program);
    }

    function _programOf(bytes32 claimId) private view returns (Programs.Program memory) {
        (,,,, bytes32 modelId,) = claims.factsOf(claimId);
        return _programOfModel(modelId);
    }

    function _programOfModel(bytes32 modelId) private view returns (Programs.Program memory) {
        (address program,,) = _models.commitmentsOf(modelId);
        return Programs.load(program);
    }

    /// @dev As `_programOf`, for a node of a job that samples: at temperature 0 there is no selection.
    function _samplingOf(bytes32 claimId, uint256 position) private view returns (Programs.Program memory) {
        (,, uint64 epoch,, bytes32 modelId,) = claims.factsOf(claimId);
        uint256 inputId = inbox.laneInput(epoch, modelId, Positions.lane(position));
        if (ParamsWord.unpack(inbox.input(inputId).params).temperatureMilli == 0) {
            revert BadPosition("temperature", 0, 1);
        }
        return _programOfModel(modelId);
    }

    /// @dev Twice what the input paid.
    function _jobWei(uint64 epoch, bytes32 modelId, uint32 lane) private view returns (uint256) {
        (, uint256 amountWei,) = _fees.escrowOf(inbox.laneInput(epoch, modelId, lane));
        return 2 * amountWei;
    }
}
