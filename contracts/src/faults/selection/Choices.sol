// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IInbox} from "../../interfaces/IInbox.sol";
import {Machine} from "../../libraries/Machine.sol";
import {Programs} from "../../libraries/Programs.sol";
import {Functions} from "../../numeric/Functions.sol";
import {Traces} from "../attention/Traces.sol";

/// @title Sums that choose a token
/// @notice `prover/SPEC.md` sections 4, 10.2 (selection, group) and 10.4. Contents: u32 best, t1, t2, then for every group the 7 components, u48 each.
library Choices {
    /// @notice How a vocabulary's logits are split.
    struct Groups {
        uint256 vocabulary;
        uint256 leaves; // of 64 logits
        uint256 groupLeaves; // of a full group
        uint256 count;
    }

    /// @notice A component of the tokens of a leaf.
    struct Component {
        uint256 number;
        uint256 threshold; // the least mass that counts
        uint256 before; // of component 6: how many tokens of the leaf are before the claimed one
    }

    uint256 internal constant SUM_BYTES = 6;
    /// @notice The component that counts tokens before the claimed one only.
    uint256 internal constant BEFORE = 6;

    uint256 private constant HEAD_BYTES = 12;
    uint256 private constant GROUP_BYTES = SUM_BYTES * Machine.COMPONENT_COUNT;
    uint256 private constant WHOLE = 1 << 30;

    /// @notice The groups of a vocabulary.
    function groupsOf(uint256 vocabulary) internal pure returns (Groups memory groups) {
        groups.vocabulary = vocabulary;
        groups.leaves = (vocabulary + Machine.F32_LEAF_ELEMENTS - 1) / Machine.F32_LEAF_ELEMENTS;
        groups.groupLeaves = uint256(1) << ((uint256(Programs.log2Ceil(groups.leaves)) + 1) / 2);
        groups.count = (groups.leaves + groups.groupLeaves - 1) / groups.groupLeaves;
    }

    /// @notice Bytes of a selection's contents.
    function selectionBytes(Groups memory groups) internal pure returns (uint256) {
        return HEAD_BYTES + GROUP_BYTES * groups.count;
    }

    /// @notice The token that nothing is to beat.
    function best(bytes calldata selection) internal pure returns (uint256) {
        return _load(selection, 0) >> 224;
    }

    /// @notice The sum of a component over a group.
    function groupSum(bytes calldata selection, uint256 group, uint256 component) internal pure returns (uint256) {
        return sumAt(selection, HEAD_BYTES + GROUP_BYTES * group + SUM_BYTES * component);
    }

    /// @notice The u48 at byte `offset`.
    function sumAt(bytes calldata contents, uint256 offset) internal pure returns (uint256) {
        return _load(contents, offset) >> 208;
    }

    /// @notice 64 uniform bits (section 4.5).
    function draw(bytes32 seed, uint256 run, uint256 place) internal pure returns (uint256) {
        return uint256(sha256(abi.encode(Machine.TAG_DRAW, seed, run, place))) >> 192;
    }

    /// @notice The least mass that a component counts.
    function threshold(uint256 component, bytes calldata selection, uint256 minPPpm) internal pure returns (uint256) {
        uint256 t1 = _load(selection, 4) >> 224;
        uint256 t2 = _load(selection, 8) >> 224;
        if (component == 0) return t1 + 1;
        if (component <= 2) return t1;
        if (component == 3) return t2;
        if (component == 4) return t2 + 1;
        uint256 least = _share(WHOLE, minPPpm);
        return least > t2 ? least : t2;
    }

    /// @notice A component's sum over the first `count` logits of a leaf.
    /// @param max The best token's logit.
    /// @param temperature `Functions.temperature` of the parameter.
    function leafSum(bytes calldata logits, uint256 count, Component memory component, uint256 max, uint256 temperature)
        internal
        pure
        returns (uint256 sum)
    {
        if (component.number == BEFORE && component.before < count) count = component.before;
        uint256 least = component.threshold;
        bool counts = component.number < 2;
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                uint256 mass = Functions.mass(Traces.word(logits, i), max, temperature);
                if (mass >= least) sum += counts ? 1 : mass;
            }
        }
    }

    /// @notice Whether thresholds and draw follow from the sums over all groups (section 10.4).
    /// @param mass The claimed token's.
    function chooses(
        IInbox.Params memory params,
        bytes calldata selection,
        Groups memory groups,
        uint256 mass,
        uint256 draw_
    ) internal pure returns (bool) {
        uint256[7] memory c;
        uint256 offset = HEAD_BYTES;
        for (uint256 group = 0; group < groups.count; ++group) {
            for (uint256 i = 0; i < 7; ++i) {
                c[i] += sumAt(selection, offset);
                offset += SUM_BYTES;
            }
        }
        uint256 t1 = threshold(1, selection, 0);
        uint256 t2 = threshold(3, selection, 0);
        if (t1 < 1 || t2 < t1 || t2 > WHOLE) return false;
        if (params.topK == 0 ? t1 != 1 : c[0] >= params.topK || (params.topK > c[1] && t1 != 1)) return false;
        if (params.topPPpm == Machine.PPM) {
            if (t2 != t1) return false;
        } else {
            uint256 need = _share(c[2], params.topPPpm);
            if (need == 0) need = 1;
            if (c[3] < need || c[4] >= need) return false;
        }
        uint256 r = (draw_ * c[5]) >> 64;
        return mass >= threshold(5, selection, params.minPPpm) && c[6] <= r && r < c[6] + mass;
    }

    /// @dev A share in millionths, rounded up.
    function _share(uint256 whole, uint256 ppm) private pure returns (uint256) {
        return (whole * ppm + Machine.PPM - 1) / Machine.PPM;
    }

    function _load(bytes calldata data, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, offset))
        }
    }
}
