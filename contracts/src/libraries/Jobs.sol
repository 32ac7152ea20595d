// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IFaults} from "../interfaces/IFaults.sol";
import {IVouchers} from "../interfaces/IVouchers.sol";

/// @title Jobs as they are encoded
/// @notice abi.encode(job), put where it is needed by copying. Fields are not checked: callers compare the hash with one of a job whose were.
library Jobs {
    /// @dev Words of a run.
    uint256 private constant RUN_BYTES = 9 * 32;

    /// @notice Writes abi.encode(job) without its first word (which says 32) to memory that nobody uses; returns where it ends.
    /// @dev The caller keeps the memory.
    function write(IFaults.Job calldata job, uint256 to) internal pure returns (uint256 end) {
        IVouchers.Run[] calldata runs = job.runs;
        bytes32[] calldata roots = job.traceRoots;
        uint256 inputId = job.inputId;
        bytes32 scoreRoot = job.scoreRoot;
        // Both lengths are below 2^64, both lists in the call's data: the compiler checked that.
        assembly ("memory-safe") {
            let size := mul(runs.length, RUN_BYTES)
            mstore(to, inputId)
            mstore(add(to, 0x20), scoreRoot)
            mstore(add(to, 0x40), 0x80)
            mstore(add(to, 0x60), add(0xa0, size))
            mstore(add(to, 0x80), runs.length)
            calldatacopy(add(to, 0xa0), runs.offset, size)
            end := add(add(to, 0xa0), size)
            mstore(end, roots.length)
            end := add(end, 0x20)
            calldatacopy(end, roots.offset, shl(5, roots.length))
            end := add(end, shl(5, roots.length))
        }
    }

    /// @notice keccak256(abi.encode(job)) of a job as `write` left it. Overwrites the word before it.
    function hash(uint256 from, uint256 end) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            mstore(sub(from, 0x20), 0x20)
            digest := keccak256(sub(from, 0x20), add(sub(end, from), 0x20))
        }
    }

    /// @notice keccak256(abi.encode(job)).
    function hashOf(IFaults.Job calldata job) internal pure returns (bytes32) {
        uint256 to;
        assembly ("memory-safe") {
            to := add(mload(0x40), 0x20)
        }
        return hash(to, write(job, to));
    }

    /// @notice abi.encode(job).
    function encode(IFaults.Job calldata job) internal pure returns (bytes memory data) {
        uint256 to;
        assembly ("memory-safe") {
            data := mload(0x40)
            to := add(data, 0x40)
        }
        uint256 end = write(job, to);
        assembly ("memory-safe") {
            mstore(data, sub(end, add(data, 0x20)))
            mstore(add(data, 0x20), 0x20)
            mstore(0x40, end)
        }
    }
}
