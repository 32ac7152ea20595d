// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "../interfaces/IChallenges.sol";

/// @title Records of nodes
/// @notice The packed fields of `IChallenges.Record`:
///
///   times | opener u160 | openedAt u40 | revealedAt u40 | line u16 |
///   funds | proposerSeconds u32 | challengerSeconds u32 | prepaidWei u72 | spentWei u72 | windowEnd u40 | flags u8 |
library Nodes {
    /// @dev Flags: the line has a deposit; the node is counted in the claim's state.
    uint256 internal constant LATE = 1;
    uint256 internal constant COUNTED = 2;

    /// @notice Where the record of a line's lowest node is kept: keccak256(abi.encode(claimId, owner u160 | number u16)).
    /// @param times Of one of the line's nodes.
    function line(bytes32 claimId, uint256 times) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            mstore(0x00, claimId)
            mstore(0x20, or(shl(16, shr(96, times)), and(times, 0xffff)))
            digest := keccak256(0x00, 0x40)
        }
    }

    /// @notice A node's name in events: keccak256(abi.encode(line, position)). A line goes downwards, so it has a position once.
    function key(bytes32 line_, uint256 position) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            mstore(0x00, line_)
            mstore(0x20, position)
            digest := keccak256(0x00, 0x40)
        }
    }

    /// @notice keccak256(abi.encode(claimId, record)): eight words.
    function hash(IChallenges.Record memory record, bytes32 claimId) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore(at, claimId)
            mcopy(add(at, 0x20), record, 0xe0)
            digest := keccak256(at, 0x100)
        }
    }

    function opener(IChallenges.Record memory record) internal pure returns (address) {
        return address(uint160(record.times >> 96));
    }

    function openedAt(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint40(record.times >> 56);
    }

    function revealedAt(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint40(record.times >> 16);
    }

    function proposerSeconds(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint32(record.funds >> 224);
    }

    function challengerSeconds(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint32(record.funds >> 192);
    }

    function prepaid(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint72(record.funds >> 120);
    }

    function spent(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint72(record.funds >> 48);
    }

    function late(IChallenges.Record memory record) internal pure returns (bool) {
        return record.funds & LATE != 0;
    }

    function counted(IChallenges.Record memory record) internal pure returns (bool) {
        return record.funds & COUNTED != 0;
    }

    function windowEnd(IChallenges.Record memory record) internal pure returns (uint256) {
        return uint40(record.funds >> 8);
    }

    /// @notice `times` of a node that is opened.
    function opened(address opener_, uint256 time, uint16 line_) internal pure returns (uint256) {
        return (uint256(uint160(opener_)) << 96) | (time << 56) | line_;
    }

    /// @notice `times` with a reveal.
    function revealed(uint256 times, uint256 time) internal pure returns (uint256) {
        return times | (time << 16);
    }

    /// @notice `funds` of a node that is opened.
    /// @dev The caller made sure that everything fits.
    function funds(
        uint256 proposer_,
        uint256 challenger,
        uint256 prepaidWei,
        uint256 spentWei,
        uint256 windowEnd_,
        uint256 flags
    ) internal pure returns (uint256) {
        return (proposer_ << 224) | (challenger << 192) | (prepaidWei << 120) | (spentWei << 48) | (windowEnd_ << 8)
            | flags;
    }

    /// @notice `funds` with the proposer's seconds, and `wei_` of what was prepaid spent.
    /// @dev The caller made sure that so much was prepaid; what is prepaid and spent fits together.
    function spend(uint256 funds_, uint256 proposer_, uint256 wei_) internal pure returns (uint256) {
        unchecked {
            return (proposer_ << 224) + uint224(funds_) + (wei_ << 48) - (wei_ << 120);
        }
    }
}
