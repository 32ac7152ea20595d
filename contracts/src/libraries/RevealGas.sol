// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Machine} from "./Machine.sol";
import {Positions} from "./Positions.sol";
import {Shapes} from "./Shapes.sol";

/// @title What reveals cost
/// @notice The table that openings prepay and proposers are paid by, and the measure that senders of proofs are paid by.
library RevealGas {
    /// @dev Bytes of the longest leaf of a run's tree that section 2 knows.
    uint256 internal constant MAX_LEAF_BYTES = 288;

    uint256 private constant FIXED = 55_000;
    uint256 private constant PER_DIGEST = 1_350;
    uint256 private constant PER_LEAF = 16_500;
    uint256 private constant PER_RUN = 14_000;
    /// @dev To read what a program says of its traces.
    uint256 private constant PER_PROGRAM = 25_000;
    uint256 private constant PER_BYTE = 46;
    /// @dev Longer contents than any of an honest claim for a context of a million tokens. A liar's may be as long as it says, and cost its opener no more.
    uint256 private constant MAX_BYTES = 16_384;

    /// @notice An upper bound on the gas of a transaction that reveals a node as it should be.
    function bound(uint256 position, uint256 shape) internal pure returns (uint256) {
        uint256 kind = Positions.kind(position);
        if (kind == Machine.NODE_JOB) {
            return FIXED + PER_PROGRAM + PER_RUN * Machine.MAX_RUNS + (PER_DIGEST << Machine.OPEN_LEVELS);
        }
        if (kind > Machine.NODE_TRACE) {
            uint256 length = Shapes.count(shape);
            return FIXED + PER_BYTE * (length < MAX_BYTES ? length : MAX_BYTES);
        }
        uint256 height = Positions.height(position);
        uint256 levels = Shapes.levels(kind, height);
        if (levels == 0) return FIXED + (PER_LEAF << height);
        return FIXED + (PER_DIGEST << levels);
    }

    /// @notice Gas of a transaction that ran `used` gas and whose call data has so many tokens (EIP-7623: 4 a non-zero byte, 1 a zero byte).
    function transaction(uint256 used, uint256 tokens) internal pure returns (uint256) {
        uint256 standard = 21_000 + 4 * tokens + used;
        uint256 least = 21_000 + 10 * tokens;
        return standard > least ? standard : least;
    }

    /// @notice Tokens of the call data.
    function tokensOfCall() internal pure returns (uint256 tokens) {
        assembly ("memory-safe") {
            let ones := 0x0101010101010101010101010101010101010101010101010101010101010101
            let low := mul(ones, 0x7f)
            let nonZero := 0
            // The top bit of every byte that isn't 0.
            function flags(at, low_) -> bits {
                let word := calldataload(at)
                bits := shr(7, and(or(add(and(word, low_), low_), word), not(low_)))
            }
            // Seven words together have at most 224 such bytes, so that their number fits a byte. Past the end all is 0.
            for { let at := 0 } lt(at, calldatasize()) { at := add(at, 0xe0) } {
                let bits := add(flags(at, low), flags(add(at, 0x20), low))
                bits := add(bits, add(flags(add(at, 0x40), low), flags(add(at, 0x60), low)))
                bits := add(bits, add(flags(add(at, 0x80), low), flags(add(at, 0xa0), low)))
                bits := add(bits, flags(add(at, 0xc0), low))
                nonZero := add(nonZero, shr(248, mul(bits, ones)))
            }
            tokens := add(calldatasize(), mul(3, nonZero))
        }
    }
}
