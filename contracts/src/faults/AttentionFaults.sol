// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {IModels} from "../interfaces/IModels.sol";
import {Contents} from "../libraries/Contents.sol";
import {Machine} from "../libraries/Machine.sol";
import {Openings} from "../libraries/Openings.sol";
import {Positions} from "../libraries/Positions.sol";
import {Programs} from "../libraries/Programs.sol";
import {Binary32} from "../numeric/Binary32.sol";
import {Functions} from "../numeric/Functions.sol";
import {Sums} from "../numeric/Sums.sol";
import {Dots} from "./attention/Dots.sol";
import {Spans} from "./attention/Spans.sol";
import {Traces} from "./attention/Traces.sol";

/// @title Faults of attention
/// @notice `prover/SPEC.md` sections 3 and 10.2 to 10.4: maxima, sums and mixes. Witnesses are `abi.encode` of the structs below.
contract AttentionFaults is IFaults {
    using Traces for Traces.Trace;

    /// @notice What a score is made from.
    struct Score {
        Openings.Row row; // of the query
        Openings.Leaf query; // span of the leaves with the head's query, to the row's root
        Openings.Row keyRow; // of the position; ignored if that is the query's row
        Openings.Leaf keys; // span of the leaves with the head's keys, to that row's root
    }

    /// @notice 64 of any attention leaf: it has not 256 bytes, or `element`, past the last, is not 0; or of `attn_max`: a head's maximum is not that of the scores.
    struct Element {
        uint32 row;
        uint32 step;
        uint32 element;
        Openings.Leaf leaf; // in the node
        uint32 position; // where the score is; the rest serves maxima whose position is not past the row, and is ignored else
        Score score;
    }

    /// @notice 65.
    struct Combine {
        bytes contents; // of the node; of a tile its running sums and the root of its runs
        Openings.Leaf element; // in the parent
        Openings.Row row; // attn_mix only
        Openings.Leaf sum; // attn_mix only, to the row's root
    }

    /// @notice 67.
    struct Addends {
        Openings.Leaf contents; // running sums and a run; for the last sum the running sums and the root, and no path
        uint32 index; // of the run; the number of runs for the last sum, which is to be the total
        Openings.Leaf totals; // part of the parent; for the last sum only
    }

    /// @notice 68.
    struct Weight {
        Openings.Leaf contents; // running sums and the run
        uint32 index; // in the tile
        Openings.Leaf maxima; // to the root of the score's row
        Score score; // the query beside the maxima
    }

    /// @notice 69.
    struct Value {
        Openings.Leaf contents; // running sums and the run
        uint32 index; // in the tile
        Openings.Row row; // of the position
        Openings.Leaf values; // to that row's root
    }

    /// @dev A step of attention in the trace.
    struct Site {
        Traces.Trace trace;
        Programs.Step step;
        uint256 number;
        uint256 element;
        uint256 row;
    }

    uint256 private constant TILE = Machine.TILE_ELEMENTS;
    uint256 private constant RUN = Machine.RUN_ADDENDS;
    /// @dev A leaf that no row has.
    uint256 private constant NOTHING = type(uint256).max;

    IModels public immutable models;

    constructor(IModels models_) {
        models = models_;
    }

    /// @inheritdoc IFaults
    function isFault(Case calldata c, uint8 fault, bytes calldata witness) external view returns (bool) {
        if (fault == Machine.FAULT_STEP) {
            Element calldata element;
            assembly ("memory-safe") {
                element := add(witness.offset, 32)
            }
            return _element(c, element);
        }
        if (fault == Machine.FAULT_COMBINE) {
            Combine calldata combine;
            assembly ("memory-safe") {
                combine := add(witness.offset, 32)
            }
            return _combine(c, combine);
        }
        if (fault == Machine.FAULT_ADDENDS) {
            Addends calldata addends;
            assembly ("memory-safe") {
                addends := add(witness.offset, 32)
            }
            return _addends(c, addends);
        }
        if (fault == Machine.FAULT_WEIGHT) {
            Weight calldata weight;
            assembly ("memory-safe") {
                weight := add(witness.offset, 32)
            }
            return _weight(c, weight);
        }
        if (fault == Machine.FAULT_VALUE) {
            Value calldata value;
            assembly ("memory-safe") {
                value := add(witness.offset, 32)
            }
            return _value(c, value);
        }
        revert UnknownFault(fault);
    }

    // The faults.

    function _element(Case calldata c, Element calldata w) private view returns (bool) {
        if (Positions.kind(c.node.position) != Machine.NODE_TRACE) {
            revert WrongNode(Machine.FAULT_STEP, c.node.position);
        }
        Site memory site = _site(c, w.step, w.row, w.element);
        bool isMax = site.step.op == Machine.OP_ATTN_MAX;
        uint256 each = isMax ? Machine.MAXIMA_LEAF_ELEMENTS : Machine.F32_LEAF_ELEMENTS;
        uint256 leaf = site.element / each;
        if (leaf >= site.step.leafCount) revert BadWitness("element");
        site.trace.inNode(w.leaf, c.node, site.row, site.step.firstLeaf + leaf);
        bytes calldata data = w.leaf.data;
        if (data.length != Spans.LEAF_BYTES) return true;
        uint256 at = site.element % each;
        if (site.element >= _elements(site.step)) {
            if (isMax) return Traces.word(data, 2 * at) | Traces.word(data, 2 * at + 1) != 0;
            return Traces.word(data, at) != 0;
        }
        if (!isMax) revert BadWitness("element");
        uint256 max = Traces.word(data, 2 * at);
        uint256 place = Traces.word(data, 2 * at + 1);
        if (place > site.row) return true;
        uint256 position = w.position;
        if (position > site.row) revert BadWitness("position");
        bytes32 root = site.trace.row(w.score.row, site.row);
        uint256 score = _score(site, w.score, root, site.element, position, w.score.query.path, NOTHING);
        if (position == place) return score != max;
        int256 scoreKey = Binary32.softmaxKey(score);
        int256 maxKey = Binary32.softmaxKey(max);
        return scoreKey > maxKey || (scoreKey == maxKey && position < place);
    }

    function _combine(Case calldata c, Combine calldata w) private view returns (bool) {
        uint256 total = 0;
        Site memory site;
        if (Positions.kind(c.node.position) == Machine.NODE_TOTALS) {
            site = _posted(c);
            uint256 tiles = site.row / TILE + 1;
            Contents.check(w.contents, c.node.value, 4 * tiles, 0, Contents.TOTALS_PART);
            for (uint256 i = 0; i < tiles; i += TILE) {
                total = Sums.addBig(total, w.contents, i, tiles - i < TILE ? tiles - i : TILE);
            }
        } else {
            uint256 head;
            (site, head) = _tile(c, Machine.FAULT_COMBINE);
            if (site.row >= TILE) revert BadWitness("tile");
            Contents.checkHead(w.contents, c.node.value, head);
            total = Binary32.add(0, _sumAt(w.contents, head - 4));
        }
        uint256 parent = c.parent.position;
        if (Positions.kind(parent) != Machine.NODE_TRACE || Positions.run(parent) != Positions.run(c.node.position)) {
            revert BadWitness("parent");
        }
        uint256 leaf = site.step.firstLeaf + site.element / Machine.F32_LEAF_ELEMENTS;
        site.trace.inNode(w.element, c.parent, site.row, leaf);
        if (w.element.data.length != Spans.LEAF_BYTES) revert BadWitness("leaf length");
        if (site.step.op == Machine.OP_ATTN_MIX) {
            bytes32 root = site.trace.row(w.row, site.row);
            uint256 sums = site.trace.firstLeaf(site.number - 1);
            uint256 at = site.trace.span(w.sum, root, sums, Machine.F32_LEAF_ELEMENTS, _head(site), 1);
            total = Binary32.div(total, Traces.word(w.sum.data, at));
        }
        return total != Traces.word(w.element.data, site.element % Machine.F32_LEAF_ELEMENTS);
    }

    function _addends(Case calldata c, Addends calldata w) private view returns (bool) {
        (Site memory site, uint256 head) = _tile(c, Machine.FAULT_ADDENDS);
        uint256 index = w.index;
        if (4 * index == head) return _lastSum(c, site, w, head);
        uint256 count = _run(c, site, w.contents, head, index);
        bytes calldata data = w.contents.data;
        uint256 start = index == 0 ? 0 : _sumAt(data, 4 * index - 4);
        bool mix = site.step.op == Machine.OP_ATTN_MIX;
        uint256 sum = mix ? Dots.pairs(start, data, head, count) : Sums.addBig(start, data, head / 4, count);
        return sum != _sumAt(data, 4 * index);
    }

    /// @dev Whether the last running sum of a tile is not its total.
    function _lastSum(Case calldata c, Site memory site, Addends calldata w, uint256 head) private view returns (bool) {
        uint256 position = c.node.position;
        uint256 totals = Positions.posted(
            Machine.NODE_TOTALS,
            Positions.lane(position),
            Positions.run(position),
            Positions.index(position),
            Positions.a(position),
            Positions.b(position),
            0
        );
        if (c.parent.position != totals) revert BadWitness("parent");
        Contents.checkHead(w.contents.data, c.node.value, head);
        uint256 tile = Positions.c(position);
        uint256 each = Contents.TOTALS_PART;
        Contents.checkPart(w.totals, c.parent.value, 4 * (site.row / TILE + 1), 0, each, 4 * tile / each);
        return _sumAt(w.contents.data, head - 4) != _sumAt(w.totals.data, 4 * tile % each);
    }

    function _weight(Case calldata c, Weight calldata w) private view returns (bool) {
        (Site memory site, uint256 head_) = _tile(c, Machine.FAULT_WEIGHT);
        uint256 index = w.index;
        uint256 claimed = _addend(c, site, w.contents, head_, index) >> 224;
        uint256 head = _head(site);
        uint256 position = TILE * Positions.c(c.node.position) + index;
        bytes32 root = site.trace.row(w.score.row, site.row);
        uint256 distance = site.step.op == Machine.OP_ATTN_MIX ? 2 : 1;
        uint256 maxima = site.trace.firstLeaf(site.number - distance);
        uint256 at = site.trace.span(w.maxima, root, maxima, Machine.MAXIMA_LEAF_ELEMENTS, head, 1);
        maxima += head / Machine.MAXIMA_LEAF_ELEMENTS;
        uint256 score = _score(site, w.score, root, head, position, w.maxima.path, maxima);
        uint256 weight = Functions.exp(Binary32.sub(score, Traces.word(w.maxima.data, 2 * at)));
        return weight != Binary32.canonical(claimed);
    }

    function _value(Case calldata c, Value calldata w) private view returns (bool) {
        (Site memory site, uint256 head) = _tile(c, Machine.FAULT_VALUE);
        uint256 index = w.index;
        uint256 claimed = (_addend(c, site, w.contents, head, index) >> 208) & 0xffff;
        if (site.step.op != Machine.OP_ATTN_MIX) revert BadWitness("step");
        bytes32 root = site.trace.row(w.row, TILE * Positions.c(c.node.position) + index);
        uint256 values = site.trace.firstLeaf(site.step.inputs[2]);
        uint256 start = _keyStart(site, _head(site)) + site.element % site.step.dims[2];
        uint256 at = site.trace.span(w.values, root, values, Machine.F16_LEAF_ELEMENTS, start, 1);
        return Traces.half(w.values.data, at) != claimed;
    }

    // What they share.

    function _site(Case calldata c, uint256 number, uint256 row, uint256 element)
        private
        view
        returns (Site memory site)
    {
        site.trace = Traces.load(models, c);
        if (number >= Programs.stepCount(site.trace.program)) revert BadWitness("step");
        site.step = Programs.step(site.trace.program, number);
        if (site.step.op < Machine.OP_ATTN_MAX || site.step.op > Machine.OP_ATTN_MIX) revert BadWitness("step");
        if (row >= site.trace.rows) revert BadWitness("row");
        (site.number, site.row, site.element) = (number, row, element);
    }

    /// @dev The site of a node of posted contents.
    function _posted(Case calldata c) private view returns (Site memory site) {
        uint256 position = c.node.position;
        site = _site(c, Positions.a(position), Positions.index(position), Positions.b(position));
        if (site.step.op == Machine.OP_ATTN_MAX) revert BadWitness("step");
        if (site.element >= _elements(site.step)) revert BadWitness("element");
    }

    /// @dev The site of a tile, and the bytes of its running sums.
    function _tile(Case calldata c, uint8 fault) private view returns (Site memory site, uint256 head) {
        uint256 position = c.node.position;
        if (Positions.kind(position) != Machine.NODE_TILE) revert WrongNode(fault, position);
        site = _posted(c);
        if (TILE * Positions.c(position) > site.row) revert BadWitness("tile");
        head = Contents.tileHead(_count(c, site));
    }

    /// @dev Addends of the tile.
    function _count(Case calldata c, Site memory site) private pure returns (uint256) {
        return Contents.tileAddends(site.row, Positions.c(c.node.position));
    }

    /// @dev Checks a run of the tile, with the running sums before it; gives how many addends it has.
    function _run(Case calldata c, Site memory site, Openings.Leaf calldata opened, uint256 head, uint256 run)
        private
        view
        returns (uint256 count)
    {
        count = _count(c, site);
        uint256 width = site.step.op == Machine.OP_ATTN_MIX ? 6 : 4;
        Contents.checkPart(opened, c.node.value, head + width * count, head, width * RUN, run);
        count -= RUN * run;
        if (count > RUN) count = RUN;
    }

    /// @dev The word that begins with an addend of the tile, whose run is checked.
    function _addend(Case calldata c, Site memory site, Openings.Leaf calldata opened, uint256 head, uint256 index)
        private
        view
        returns (uint256)
    {
        uint256 count = _run(c, site, opened, head, index / RUN);
        if (index % RUN >= count) revert BadWitness("index");
        return _word(_offset(opened.data) + head + (site.step.op == Machine.OP_ATTN_MIX ? 6 : 4) * (index % RUN));
    }

    /// @dev The posted f32 at a byte, canonical.
    function _sumAt(bytes calldata data, uint256 at) private pure returns (uint256) {
        return Binary32.canonical(_word(_offset(data) + at) >> 224);
    }

    /// @dev The score of a head's query with the keys at a position, canonical. The query is opened beside another leaf of its row, if that is not NOTHING.
    function _score(
        Site memory site,
        Score calldata w,
        bytes32 root,
        uint256 head,
        uint256 position,
        bytes32[] calldata otherPath,
        uint256 otherLeaf
    ) private view returns (uint256) {
        bytes32 keyRoot = position == site.row ? root : site.trace.row(w.keyRow, position);
        uint256 dim = site.step.dims[2];
        uint256 firstLeaf = site.trace.firstLeaf(site.step.inputs[0]);
        uint256 q = site.trace
            .spanBeside(w.query, root, firstLeaf, Machine.F32_LEAF_ELEMENTS, head * dim, dim, otherPath, otherLeaf);
        firstLeaf = site.trace.firstLeaf(site.step.inputs[1]);
        uint256 k = site.trace.span(w.keys, keyRoot, firstLeaf, Machine.F16_LEAF_ELEMENTS, _keyStart(site, head), dim);
        return Binary32.mul(Dots.littleEndian(w.query.data, q, w.keys.data, k, dim), site.step.constants[0]);
    }

    /// @dev Elements of the step's output; heads for attn_max.
    function _elements(Programs.Step memory step) private pure returns (uint256) {
        return step.op == Machine.OP_ATTN_MIX ? uint256(step.dims[0]) * step.dims[2] : step.dims[0];
    }

    /// @dev The head of the site's element.
    function _head(Site memory site) private pure returns (uint256) {
        return site.step.op == Machine.OP_ATTN_MIX ? site.element / site.step.dims[2] : site.element;
    }

    /// @dev The first element of k and v for a head: its key/value head's.
    function _keyStart(Site memory site, uint256 head) private pure returns (uint256) {
        return head / (site.step.dims[0] / site.step.dims[1]) * site.step.dims[2];
    }

    function _offset(bytes calldata data) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := data.offset
        }
    }

    function _word(uint256 at) private pure returns (uint256 w) {
        assembly ("memory-safe") {
            w := calldataload(at)
        }
    }
}
