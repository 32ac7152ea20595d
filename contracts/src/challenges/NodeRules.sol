// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../interfaces/IChallenges.sol";
import {IClaims} from "../interfaces/IClaims.sol";
import {IFaults} from "../interfaces/IFaults.sol";
import {IFees} from "../interfaces/IFees.sol";
import {IInbox} from "../interfaces/IInbox.sol";
import {IInputParams} from "../interfaces/IInputParams.sol";
import {IModels} from "../interfaces/IModels.sol";
import {INodeRules} from "../interfaces/INodeRules.sol";
import {Children} from "../libraries/Children.sol";
import {Machine} from "../libraries/Machine.sol";
import {ParamsWord} from "../libraries/ParamsWord.sol";
import {Positions} from "../libraries/Positions.sol";
import {Programs} from "../libraries/Programs.sol";
import {Shapes} from "../libraries/Shapes.sol";

/// @title Where nodes can be opened
contract NodeRules is INodeRules {
    IClaims private immutable _claims;
    IInbox private immutable _inbox;
    IModels private immutable _models;
    IFees private immutable _fees;

    constructor(IClaims claims, IInbox inbox) {
        (_claims, _inbox, _models, _fees) = (claims, inbox, inbox.models(), inbox.fees());
    }

    /// @inheritdoc INodeRules
    function under(bytes32 claimId, IChallenges.Record calldata parent, uint256 position)
        external
        view
        returns (Place memory place)
    {
        uint256 kind = Positions.kind(position);
        uint256 above = Positions.kind(parent.position);
        uint256 shape = parent.shape;
        if (above == 0) return _underClaim(claimId, position);
        if (above == Machine.NODE_CLAIM) {
            (uint64 epoch, bytes32 modelId) = _claims.laneOf(claimId);
            (place.value, place.shape) = (parent.value, shape);
            _inClaim(place, epoch, modelId, parent.position, position);
        } else if (above == Machine.NODE_TRACE && kind == Machine.NODE_TOTALS) {
            place.shape = Children.totals(parent.position, shape, position, _programOf(claimId));
        } else if (above == Machine.NODE_TRACE && kind == Machine.NODE_TILE) {
            place.shape = Children.onlyTile(parent.position, shape, position, _programOf(claimId));
        } else if (above == Machine.NODE_TOTALS && kind == Machine.NODE_TILE) {
            place.shape = Children.tile(parent.position, shape, position);
        } else if ((above == Machine.NODE_TOKENS || above == Machine.NODE_TRACE) && kind == Machine.NODE_SELECTION) {
            place.shape = Children.selection(parent.position, shape, position, _samplingOf(claimId, position));
        } else if (above == Machine.NODE_SELECTION && kind == Machine.NODE_GROUP) {
            place.shape = Children.group(parent.position, shape, position);
        } else if (above == Machine.NODE_PROMPT && kind == Machine.NODE_STARTS) {
            place.shape = Children.starts(parent.position, shape, position);
        } else {
            revert IChallenges.BadPosition("kind", kind, above);
        }
    }

    /// @inheritdoc INodeRules
    function inJob(bytes32 claimId, IChallenges.Record calldata parent, IFaults.Job calldata job, uint256 position)
        external
        view
        returns (Place memory place)
    {
        uint256 kind = Positions.kind(position);
        Programs.Program memory program;
        if (kind == Machine.NODE_SELECTION) {
            program = _samplingOf(claimId, position);
        } else if (
            kind < Machine.NODE_TOKENS || kind > Machine.NODE_TEXT && kind != Machine.NODE_PROMPT
                && kind != Machine.NODE_MALFORMED
        ) {
            revert IChallenges.BadPosition("kind", kind, Machine.NODE_JOB);
        }
        (place.shape, place.value) = Children.inJob(job, parent.position, position, program);
        place.inTree = kind <= Machine.NODE_TEXT;
    }

    /// @inheritdoc INodeRules
    function traceShape(bytes32 claimId) external view returns (uint256) {
        Programs.Program memory program = _programOf(claimId);
        uint256 leaves = uint256(program.headLeaves) + uint256(program.layers) * program.bodyLeaves + program.tailLeaves;
        return Shapes.pack(0, 0, leaves, program.tailLeaves, program.rowDepth);
    }

    function _underClaim(bytes32 claimId, uint256 position) private view returns (Place memory place) {
        (uint64 windowEnd, uint64 epoch, bytes32 modelId, bytes32 root) = _claims.liveFactsOf(claimId);
        if (windowEnd == 0) revert IChallenges.NotLive(claimId);
        uint256 lanes = _inbox.laneCount(epoch, modelId);
        (place.value, place.windowEnd, place.shape) = (root, windowEnd, Shapes.pack(0, 0, lanes, 0, 0));
        if (lanes > 1) {
            uint256 top = Positions.tree(Machine.NODE_CLAIM, 0, 0, uint8(Programs.log2Ceil(lanes)), 0);
            _inClaim(place, epoch, modelId, top, position);
            return place;
        }
        // The claim's root is the job.
        uint256 expected = Positions.tree(Machine.NODE_JOB, 0, 0, 0, 0);
        if (position != expected) revert IChallenges.BadPosition("position", position, expected);
        (place.inTree, place.shape) = (true, _jobWei(epoch, modelId, 0));
    }

    /// @dev A node of the claim tree, or a job, under one of that tree.
    function _inClaim(Place memory place, uint64 epoch, bytes32 modelId, uint256 parent, uint256 position)
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
        if (position != expected) revert IChallenges.BadPosition("position", position, expected);
        if (Shapes.present(Machine.NODE_CLAIM, place.shape, height, height == 0 ? lane : index, 1) == 0) {
            revert IChallenges.AbsentNode(position);
        }
        if (height == 0) place.shape = _jobWei(epoch, modelId, lane);
    }

    function _programOf(bytes32 claimId) private view returns (Programs.Program memory) {
        (, bytes32 modelId) = _claims.laneOf(claimId);
        return _programOfModel(modelId);
    }

    function _programOfModel(bytes32 modelId) private view returns (Programs.Program memory) {
        return Programs.load(_models.programCodeOf(modelId));
    }

    /// @dev As `_programOf`, for a node of a job that samples: at temperature 0 there is no selection.
    function _samplingOf(bytes32 claimId, uint256 position) private view returns (Programs.Program memory) {
        (uint64 epoch, bytes32 modelId) = _claims.laneOf(claimId);
        uint256 inputId = _inbox.laneInput(epoch, modelId, Positions.lane(position));
        bytes32 params = IInputParams(address(_inbox)).paramsOf(inputId);
        if (ParamsWord.unpack(params).temperatureMilli == 0) {
            revert IChallenges.BadPosition("temperature", 0, 1);
        }
        return _programOfModel(modelId);
    }

    /// @dev Twice what the input paid.
    function _jobWei(uint64 epoch, bytes32 modelId, uint32 lane) private view returns (uint256) {
        (, uint256 amountWei,) = _fees.escrowOf(_inbox.laneInput(epoch, modelId, lane));
        return 2 * amountWei;
    }
}
