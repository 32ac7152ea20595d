// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IClaims} from "./IClaims.sol";
import {IDisputes} from "./IDisputes.sol";
import {IFaults} from "./IFaults.sol";

/// @title Challenges: open the box
/// @notice Claims are trees of closed nodes (`prover/SPEC.md` section 10). Anyone pays to have a node opened; who reveals is paid at once; anyone proves
/// a fault; nodes not revealed in time expire. Contents are in events; the chain keeps one slot a node: the hash of its record, which callers bring.
interface IChallenges is IDisputes {
    /// @notice A node's record. `key = keccak256(abi.encode(claimId, position, parentKey))`.
    struct Record {
        uint256 position;
        bytes32 parentKey; // 0 when the parent is the claim itself
        bytes32 value; // tree nodes: the digest, from the opening on; job: its digest, after the reveal keccak256(abi.encode(Job)); posted: 0, then sha256 of the contents
        address opener;
        uint64 openedAt; // seconds
        uint64 revealedAt; // seconds; 0 while pending
        uint32 proposerSeconds; // of the proposer's budget; with this node's once revealed
        uint32 challengerSeconds; // of the challengers' budget
        uint96 prepaidWei; // what is left of the prepayment
        uint96 spentWei; // what the reveal took
        uint96 depositWei; // of a late opening
    }

    event Opened(bytes32 indexed claimId, bytes32 indexed key, address indexed opener, Record record);
    /// @param contents Digests or leaves (abi.encode(bytes32[]) or abi.encode(bytes[])), abi.encode(Job), or the posted bytes.
    event Revealed(
        bytes32 indexed claimId, bytes32 indexed key, address indexed revealer, Record record, bytes contents
    );
    event Proven(bytes32 indexed claimId, bytes32 indexed key, address indexed prover, uint8 fault);
    event Expired(bytes32 indexed claimId, bytes32 indexed key);
    event Declared(bytes32 indexed declaration, address indexed sender);
    event Rewarded(bytes32 indexed claimId, address indexed account, uint256 amountWei);

    function claims() external view returns (IClaims);
    function faults() external view returns (IFaults);
    /// @notice C of section 10.6, seconds.
    function budgetSeconds() external view returns (uint64);
    /// @notice g of section 10.6, seconds.
    function graceSeconds() external view returns (uint64);
}
