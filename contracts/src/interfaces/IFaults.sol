// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IVouchers} from "./IVouchers.sol";

/// @title Judges of faults
/// @notice Stateless: each judges the faults of one family (`prover/SPEC.md` section 10.3). What a case holds is trusted, a
/// witness is not.
interface IFaults {
    /// @notice The revealed contents of a job: its record's fields, bound by the claim, and the posted trace roots.
    struct Job {
        uint256 inputId;
        bytes32 scoreRoot;
        IVouchers.Run[] runs;
        bytes32[] traceRoots; // one a run; 0 for a run without new tokens
    }

    /// @notice A revealed node.
    struct Node {
        uint256 position; // section 10.2
        bytes32 value; // tree nodes: their digest; posted contents: their digest, section 10.2; job: keccak256(abi.encode(Job))
    }

    /// @notice What a fault is judged against.
    struct Case {
        uint64 epoch;
        bytes32 modelId;
        Job job; // of the node's lane; empty only for faults that need none
        Node node; // where the fault shows
        Node parent; // the node's parent; position 0 when the parent is the claim itself
    }

    /// @notice A witness that can't be read: wrong lengths, paths that do not lead to their roots, indices out of range.
    error BadWitness(string what);
    error UnknownFault(uint8 fault);
    error WrongNode(uint8 fault, uint256 position);

    /// @notice Whether the witness shows the fault. Reverts for a witness that isn't one; false when everything is as it must be.
    /// @param witness ABI-encoded; its type depends on the fault and is stated by the family's contract.
    function isFault(Case calldata c, uint8 fault, bytes calldata witness) external view returns (bool);
}
