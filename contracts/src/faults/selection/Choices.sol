// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IInbox} from "../../interfaces/IInbox.sol";
import {Contents} from "../../libraries/Contents.sol";
import {Machine} from "../../libraries/Machine.sol";
import {Programs} from "../../libraries/Programs.sol";

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

    uint256 internal constant SUM_BYTES = 6;
    /// @notice The component that counts tokens before the claimed one only.
    uint256 internal constant BEFORE = 6;
    /// @notice Components from this one on are sums of masses; those before it count tokens.
    uint256 internal constant MASSES = 2;

    uint256 private constant HEAD_BYTES = Contents.SELECTION_HEAD;
    uint256 private constant GROUP_BYTES = Contents.SELECTION_GROUP;
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

    /// @notice Bytes of the contents of a group of so many tokens.
    function groupBytes(uint256 tokens) internal pure returns (uint256) {
        return SUM_BYTES * ((tokens + Machine.SUM_TOKENS - 1) / Machine.SUM_TOKENS);
    }

    /// @notice The token that nothing is to beat.
    function best(bytes calldata selection) internal pure returns (uint256) {
        return _load(selection, 0) >> 224;
    }

    /// @notice The u48 at byte `offset`.
    function sumAt(bytes calldata contents, uint256 offset) internal pure returns (uint256) {
        return _load(contents, offset) >> 208;
    }

    /// @notice The sum of all numbers of a group's contents.
    function sumOf(bytes calldata contents) internal pure returns (uint256 sum) {
        assembly ("memory-safe") {
            let next := contents.offset
            for { let end := add(next, contents.length) } lt(next, end) { next := add(next, 6) } {
                sum := add(sum, shr(208, calldataload(next)))
            }
        }
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
        uint256 sums = groups.count * GROUP_BYTES;
        uint256 head = HEAD_BYTES;
        assembly ("memory-safe") {
            let next := add(selection.offset, head)
            for { let end := add(next, sums) } lt(next, end) {} {
                for { let i := 0 } lt(i, 224) { i := add(i, 32) } {
                    mstore(add(c, i), add(mload(add(c, i)), shr(208, calldataload(next))))
                    next := add(next, 6)
                }
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
