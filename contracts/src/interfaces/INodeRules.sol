// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IChallenges} from "./IChallenges.sol";
import {IFaults} from "./IFaults.sol";

/// @title Where nodes can be opened
/// @notice The rules of `prover/SPEC.md` section 10.2 that need a claim's lane, a job or a program. Stateless; serves the challenges contract, which trusts it.
interface INodeRules {
    /// @notice What follows from a position for the node that is opened there.
    struct Place {
        uint256 shape; // of `IChallenges.Record`; for a job what its proposer is paid
        uint256 levels; // from the parent's digest down to the node's; length of its path
        bytes32 value; // that its path leads to, if `inTree`; else its own: a tree's root, or 0 for posted contents
        bool inTree;
        uint64 windowEnd; // seconds; under the claim itself
    }

    /// @notice The place of a child that is not of its parent's own tree; `parent.position` 0: under the claim itself. Reverts if nothing can be opened there.
    function under(bytes32 claimId, IChallenges.Record calldata parent, uint256 position)
        external
        view
        returns (Place memory);
    /// @notice The place of a job's child. Reverts if nothing can be opened there. That the parent is a job, and the job its contents, is for the caller to see.
    function inJob(bytes32 claimId, IChallenges.Record calldata parent, IFaults.Job calldata job, uint256 position)
        external
        view
        returns (Place memory);
    /// @notice What the traces of a claim's jobs have in common: count, tail and rowDepth of their shape.
    function traceShape(bytes32 claimId) external view returns (uint256 shape);
}
