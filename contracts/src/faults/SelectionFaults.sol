// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {IInbox} from "../interfaces/IInbox.sol";
import {IModels} from "../interfaces/IModels.sol";
import {Contents} from "../libraries/Contents.sol";
import {Machine} from "../libraries/Machine.sol";
import {Openings} from "../libraries/Openings.sol";
import {ParamsWord} from "../libraries/ParamsWord.sol";
import {Positions} from "../libraries/Positions.sol";
import {Programs} from "../libraries/Programs.sol";
import {Binary32} from "../numeric/Binary32.sol";
import {Functions} from "../numeric/Functions.sol";
import {Traces} from "./attention/Traces.sol";
import {Choices} from "./selection/Choices.sol";
import {Masses} from "./selection/Masses.sol";

/// @title Faults of the choice of a token
/// @notice `prover/SPEC.md` sections 4 and 10.2 to 10.4. Witnesses are `abi.encode` of the structs below.
contract SelectionFaults is IFaults {
    using Traces for Traces.Trace;

    /// @notice 80.
    struct Argmax {
        uint32 place; // of the claimed token
        uint32 beater; // the token that beats it
        Openings.Leaf tokens; // in the node
        Openings.Row row; // of the logits: the one before the place
        Openings.Leaf beaterLogits; // to the row's root
        Openings.Leaf claimedLogits; // beside it
    }

    /// @notice 81.
    struct Best {
        bytes contents; // of the node: its head and the root of its groups
        uint32 beater; // the rest is ignored when best is not below the vocabulary size
        Openings.Row row;
        Openings.Leaf beaterLogits;
        Openings.Leaf bestLogits; // beside it
    }

    /// @notice 82.
    struct Choice {
        bytes contents; // of the node
        Openings.Leaf tokens; // with the claimed token, to the run's tokens root
        Openings.Row row;
        Openings.Leaf bestLogits;
        Openings.Leaf claimedLogits; // beside it
    }

    /// @notice 83.
    struct GroupSum {
        bytes contents; // of the node
        Openings.Leaf selection; // head and group of the parent
    }

    /// @notice 84.
    struct LeafSum {
        Openings.Leaf contents; // part of the node
        bytes selection; // of the parent: its head and the root of its groups
        uint32 index; // of the sum in the group
        Openings.Leaf tokens; // with the claimed token, to the run's tokens root; component 6 only
        Openings.Row row;
        Openings.Leaf bestLogits;
        Openings.Leaf logits; // beside it
    }

    /// @dev Where a token is chosen.
    struct Site {
        Traces.Trace trace;
        Choices.Groups groups;
        uint256 logits; // first leaf of the logits
        uint256 place;
    }

    uint256 private constant EACH = Machine.F32_LEAF_ELEMENTS;

    IModels public immutable models;
    IInbox public immutable inbox;

    constructor(IModels models_, IInbox inbox_) {
        (models, inbox) = (models_, inbox_);
    }

    /// @inheritdoc IFaults
    function isFault(Case calldata c, uint8 fault, bytes calldata witness) external view returns (bool) {
        if (fault == Machine.FAULT_ARGMAX) {
            Argmax calldata argmax;
            assembly ("memory-safe") {
                argmax := add(witness.offset, 32)
            }
            return _argmax(c, argmax);
        }
        if (fault == Machine.FAULT_BEST) {
            Best calldata best;
            assembly ("memory-safe") {
                best := add(witness.offset, 32)
            }
            return _best(c, best);
        }
        if (fault == Machine.FAULT_CHOICE) {
            Choice calldata choice;
            assembly ("memory-safe") {
                choice := add(witness.offset, 32)
            }
            return _choice(c, choice);
        }
        if (fault == Machine.FAULT_GROUP_SUM) {
            GroupSum calldata groupSum;
            assembly ("memory-safe") {
                groupSum := add(witness.offset, 32)
            }
            return _groupSum(c, groupSum);
        }
        if (fault == Machine.FAULT_LEAF_SUM) {
            LeafSum calldata leafSum;
            assembly ("memory-safe") {
                leafSum := add(witness.offset, 32)
            }
            return _leafSum(c, leafSum);
        }
        revert UnknownFault(fault);
    }

    // The faults.

    function _argmax(Case calldata c, Argmax calldata w) private view returns (bool) {
        _kind(c, Machine.NODE_TOKENS, Machine.FAULT_ARGMAX);
        Site memory site = _site(c, w.place);
        Openings.inNode(w.tokens, c.node, site.place / Machine.TOKEN_LEAF_ELEMENTS);
        uint256 claimed = _token(w.tokens, site.place);
        bytes32 root = site.trace.row(w.row, site.place - 1);
        uint256 beater = _logit(site, w.beaterLogits, root, w.beater);
        uint256 own = _logitBeside(site, w.claimedLogits, root, claimed, w.beaterLogits, w.beater);
        (IInbox.Params memory params,) = _input(c);
        if (params.temperatureMilli != 0 && beater != Binary32.INFINITY) return false;
        return _beats(beater, w.beater, own, claimed);
    }

    function _best(Case calldata c, Best calldata w) private view returns (bool) {
        _kind(c, Machine.NODE_SELECTION, Machine.FAULT_BEST);
        Site memory site = _site(c, Positions.index(c.node.position));
        Contents.checkHead(w.contents, c.node.value, Contents.SELECTION_HEAD);
        uint256 best = Choices.best(w.contents);
        if (best >= site.groups.vocabulary) return true;
        bytes32 root = site.trace.row(w.row, site.place - 1);
        uint256 beater = _logit(site, w.beaterLogits, root, w.beater);
        uint256 own = _logitBeside(site, w.bestLogits, root, best, w.beaterLogits, w.beater);
        return _beats(beater, w.beater, own, best);
    }

    function _choice(Case calldata c, Choice calldata w) private view returns (bool) {
        _kind(c, Machine.NODE_SELECTION, Machine.FAULT_CHOICE);
        Site memory site = _site(c, Positions.index(c.node.position));
        uint256 length = Choices.selectionBytes(site.groups);
        Contents.check(w.contents, c.node.value, length, Contents.SELECTION_HEAD, Contents.SELECTION_PART);
        (IInbox.Params memory params, bytes32 seed) = _sampled(c);
        uint256 claimed = _claimed(site, w.tokens);
        bytes32 root = site.trace.row(w.row, site.place - 1);
        uint256 best = Choices.best(w.contents);
        uint256 max = _logit(site, w.bestLogits, root, best);
        if (!Binary32.isFinite(max)) return claimed != best;
        uint256 logit = _logitBeside(site, w.claimedLogits, root, claimed, w.bestLogits, best);
        uint256 mass = Functions.mass(logit, max, Functions.temperature(params.temperatureMilli));
        uint256 draw = Choices.draw(seed, Positions.run(c.node.position), site.place);
        return !Choices.chooses(params, w.contents, site.groups, mass, draw);
    }

    function _groupSum(Case calldata c, GroupSum calldata w) private view returns (bool) {
        (Site memory site, uint256 tokens) = _group(c, Machine.FAULT_GROUP_SUM);
        Contents.check(w.contents, c.node.value, Choices.groupBytes(tokens), 0, Contents.GROUP_PART);
        uint256 group = Positions.b(c.node.position);
        Contents.checkPart(
            w.selection,
            c.parent.value,
            Choices.selectionBytes(site.groups),
            Contents.SELECTION_HEAD,
            Contents.SELECTION_PART,
            group / Machine.PART_GROUPS
        );
        uint256 place = Contents.SELECTION_HEAD + Contents.SELECTION_GROUP * (group % Machine.PART_GROUPS);
        uint256 claimed = Choices.sumAt(w.selection.data, place + Choices.SUM_BYTES * Positions.a(c.node.position));
        return Choices.sumOf(w.contents) != claimed;
    }

    function _leafSum(Case calldata c, LeafSum calldata w) private view returns (bool) {
        (Site memory site, uint256 tokens) = _group(c, Machine.FAULT_LEAF_SUM);
        Contents.checkHead(w.selection, c.parent.value, Contents.SELECTION_HEAD);
        uint256 first = w.index;
        uint256 each = Contents.GROUP_PART;
        if (Machine.SUM_TOKENS * first >= tokens) revert BadWitness("index");
        Contents.checkPart(w.contents, c.node.value, Choices.groupBytes(tokens), 0, each, first / Machine.PART_SUMS);
        uint256 sum = Choices.sumAt(w.contents.data, Choices.SUM_BYTES * (first % Machine.PART_SUMS));
        (IInbox.Params memory params,) = _sampled(c);
        uint256 component = Positions.a(c.node.position);
        uint256 claimed = component == Choices.BEFORE ? _claimed(site, w.tokens) : 0;
        bytes32 root = site.trace.row(w.row, site.place - 1);
        uint256 max = _logit(site, w.bestLogits, root, Choices.best(w.selection));
        first = EACH * Positions.b(c.node.position) * site.groups.groupLeaves + Machine.SUM_TOKENS * first;
        uint256 best = site.logits + Choices.best(w.selection) / EACH;
        uint256 offset = site.trace.spanBeside(w.logits, root, site.logits, EACH, first, 1, w.bestLogits.path, best);
        uint256 count = site.groups.vocabulary - first;
        if (count > Machine.SUM_TOKENS) count = Machine.SUM_TOKENS;
        if (component == Choices.BEFORE) {
            uint256 before = claimed > first ? claimed - first : 0;
            if (count > before) count = before;
        }
        uint256 least = Choices.threshold(component, w.selection, params.minPPpm);
        uint256 temperature = Functions.temperature(params.temperatureMilli);
        (uint256 counted, uint256 mass) = Masses.sum(w.logits.data, offset, count, max, temperature, least);
        return sum != (component < Choices.MASSES ? counted : mass);
    }

    // What they share.

    function _kind(Case calldata c, uint8 kind, uint8 fault) private pure {
        if (Positions.kind(c.node.position) != kind) revert WrongNode(fault, c.node.position);
    }

    /// @dev The site of a place that must be a new token's.
    function _site(Case calldata c, uint256 place) private view returns (Site memory site) {
        site.trace = Traces.load(models, c);
        if (place < site.trace.nPrompt || place >= site.trace.nTokens || place == 0) revert BadWitness("place");
        site.place = place;
        Programs.Program memory program = site.trace.program;
        site.groups = Choices.groupsOf(program.vocabulary);
        site.logits = site.trace.firstLeaf(Programs.stepCount(program) - 1);
    }

    /// @dev The site of a group, and how many tokens it has.
    function _group(Case calldata c, uint8 fault) private view returns (Site memory site, uint256 tokens) {
        _kind(c, Machine.NODE_GROUP, fault);
        uint256 position = c.node.position;
        uint256 parent = Positions.posted(
            Machine.NODE_SELECTION,
            Positions.lane(position),
            Positions.run(position),
            Positions.index(position),
            0,
            0,
            0
        );
        if (c.parent.position != parent) revert BadWitness("parent");
        site = _site(c, Positions.index(position));
        uint256 group = Positions.b(position);
        if (Positions.a(position) >= Machine.COMPONENT_COUNT || group >= site.groups.count) revert BadWitness("group");
        uint256 most = EACH * site.groups.groupLeaves;
        tokens = site.groups.vocabulary - group * most;
        if (tokens > most) tokens = most;
    }

    /// @dev The claimed token, by its leaf in the run's tokens.
    function _claimed(Site memory site, Openings.Leaf calldata tokens) private view returns (uint256) {
        uint256 leaves = (site.trace.nTokens + Machine.TOKEN_LEAF_ELEMENTS - 1) / Machine.TOKEN_LEAF_ELEMENTS;
        uint256 index = site.place / Machine.TOKEN_LEAF_ELEMENTS;
        Openings.leaf(tokens, site.trace.tokensRoot, index, Programs.log2Ceil(leaves));
        return _token(tokens, site.place);
    }

    function _token(Openings.Leaf calldata tokens, uint256 place) private pure returns (uint256) {
        if (tokens.data.length != 4 * Machine.TOKEN_LEAF_ELEMENTS) revert BadWitness("leaf length");
        return Traces.word(tokens.data, place % Machine.TOKEN_LEAF_ELEMENTS);
    }

    /// @dev A token's logit, by its leaf in the row.
    function _logit(Site memory site, Openings.Leaf calldata leaf, bytes32 root, uint256 token)
        private
        view
        returns (uint256)
    {
        if (token >= site.groups.vocabulary) revert BadWitness("token");
        return Traces.word(leaf.data, site.trace.span(leaf, root, site.logits, EACH, token, 1));
    }

    /// @dev The same beside another token's leaf, which is checked.
    function _logitBeside(
        Site memory site,
        Openings.Leaf calldata leaf,
        bytes32 root,
        uint256 token,
        Openings.Leaf calldata other,
        uint256 otherToken
    ) private view returns (uint256) {
        if (token >= site.groups.vocabulary) revert BadWitness("token");
        uint256 otherLeaf = site.logits + otherToken / EACH;
        uint256 place = site.trace.spanBeside(leaf, root, site.logits, EACH, token, 1, other.path, otherLeaf);
        return Traces.word(leaf.data, place);
    }

    /// @dev A higher key (NaN lowest), or the same and a lower id.
    function _beats(uint256 logit, uint256 token, uint256 otherLogit, uint256 other) private pure returns (bool) {
        int256 key = Binary32.selectionKey(logit);
        int256 otherKey = Binary32.selectionKey(otherLogit);
        return key > otherKey || (key == otherKey && token < other);
    }

    function _input(Case calldata c) private view returns (IInbox.Params memory params, bytes32 seed) {
        IInbox.Input memory input = inbox.input(c.job.inputId);
        return (ParamsWord.unpack(input.params), input.seed);
    }

    /// @dev The parameters and the seed of an input that has a selection.
    function _sampled(Case calldata c) private view returns (IInbox.Params memory params, bytes32 seed) {
        (params, seed) = _input(c);
        if (params.temperatureMilli == 0) revert BadWitness("temperature");
    }
}
