// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IVouchers} from "../interfaces/IVouchers.sol";
import {Machine} from "./Machine.sol";

/// @title Records
/// @notice The records of `prover/SPEC.md` section 6: `sha256(tag32 || one 32-byte word per field)`.
library Records {
    /// @notice The fields of an input's record that the inbox doesn't know by itself.
    struct InputFields {
        uint256 inputId;
        uint8 kind;
        address sender;
        address recipient;
        bytes32 modelId;
        bytes32 params;
        bytes32 payloadRoot;
        uint256 payloadLength;
    }

    function model(uint32 machineVersion, bytes32 programRoot, bytes32 weightsRoot, bytes32 tokenizerRoot)
        internal
        pure
        returns (bytes32)
    {
        return sha256(abi.encode(Machine.TAG_MODEL, machineVersion, programRoot, weightsRoot, tokenizerRoot));
    }

    function input(address inbox, InputFields memory fields) internal view returns (bytes32) {
        return sha256(abi.encode(Machine.TAG_INPUT, block.chainid, inbox, fields));
    }

    function seed(address inbox, uint256 inputId, bytes32 mixHash, bytes32 blockHash) internal view returns (bytes32) {
        return sha256(abi.encode(Machine.TAG_SEED, block.chainid, inbox, inputId, mixHash, blockHash));
    }

    function accumulator(bytes32 before, bytes32 inputRecord, bytes32 inputSeed) internal pure returns (bytes32) {
        return sha256(abi.encode(Machine.TAG_ACCUMULATOR, before, inputRecord, inputSeed));
    }

    function run(IVouchers.Run calldata fields) internal pure returns (bytes32) {
        return sha256(abi.encode(Machine.TAG_RUN, fields));
    }

    function job(uint256 inputId, uint256 nRuns, bytes32 runsRoot, bytes32 scoreRoot) internal pure returns (bytes32) {
        return sha256(abi.encode(Machine.TAG_JOB, inputId, nRuns, runsRoot, scoreRoot));
    }

    function claim(
        address claims,
        uint64 epoch,
        bytes32 modelId,
        bytes32 inboxAccumulator,
        bytes32 root,
        address proposer
    ) internal view returns (bytes32) {
        return sha256(
            abi.encode(Machine.TAG_CLAIM, block.chainid, claims, epoch, modelId, inboxAccumulator, root, proposer)
        );
    }
}
