// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IInbox} from "../interfaces/IInbox.sol";
import {Machine} from "./Machine.sol";

/// @title The params word
/// @notice Packs the parameters of an input into the word of `prover/SPEC.md` section 6 and checks their rules.
///
///   | kind u8 | n_runs u16 | max_new u32 | max_total u32 | temperature u32 | top_k u32 | top_p u32 | min_p u32 | 5 zero bytes |
library ParamsWord {
    function pack(IInbox.Params memory params) internal pure returns (bytes32) {
        uint256 word = params.kind;
        word = (word << 16) | params.nRuns;
        word = (word << 32) | params.maxNewTokens;
        word = (word << 32) | params.maxTotalTokens;
        word = (word << 32) | params.temperatureMilli;
        word = (word << 32) | params.topK;
        word = (word << 32) | params.topPPpm;
        word = (word << 32) | params.minPPpm;
        return bytes32(word << 40);
    }

    function unpack(bytes32 packed) internal pure returns (IInbox.Params memory params) {
        uint256 word = uint256(packed) >> 40;
        params.minPPpm = uint32(word);
        params.topPPpm = uint32(word >> 32);
        params.topK = uint32(word >> 64);
        params.temperatureMilli = uint32(word >> 96);
        params.maxTotalTokens = uint32(word >> 128);
        params.maxNewTokens = uint32(word >> 160);
        params.nRuns = uint16(word >> 192);
        params.kind = uint8(word >> 208);
    }

    function runs(bytes32 packed) internal pure returns (uint16) {
        return uint16(uint256(packed) >> 232);
    }

    function kind(bytes32 packed) internal pure returns (uint8) {
        return uint8(uint256(packed) >> 248);
    }

    /// @notice Reverts unless this version of the machine answers such an input.
    function check(IInbox.Params memory params) internal pure {
        if (params.kind != Machine.KIND_GENERATE) revert IInbox.UnsupportedKind(params.kind);
        if (params.nRuns == 0 || params.nRuns > Machine.MAX_RUNS) {
            revert IInbox.BadRunCount(params.nRuns, uint16(Machine.MAX_RUNS));
        }
        if (params.temperatureMilli > Machine.MAX_TEMPERATURE_MILLI) {
            revert IInbox.BadSampling("temperature", params.temperatureMilli, Machine.MAX_TEMPERATURE_MILLI);
        }
        if (params.temperatureMilli == 0 && params.nRuns > 1) revert IInbox.RunsAtZeroTemperature(params.nRuns);
        if (params.topPPpm == 0 || params.topPPpm > Machine.PPM) {
            revert IInbox.BadSampling("top_p", params.topPPpm, Machine.PPM);
        }
        if (params.minPPpm > Machine.PPM) revert IInbox.BadSampling("min_p", params.minPPpm, Machine.PPM);
    }
}
