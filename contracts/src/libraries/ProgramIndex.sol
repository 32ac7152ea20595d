// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Machine} from "./Machine.sol";
import {Programs} from "./Programs.sol";

/// @title The index behind a stored program
/// @notice What `Programs` reads behind a program's bytes: one u32 an entry, the trace leaves before it in its table, then the leaves of the head, of
/// one layer and of the tail (`prover/SPEC.md` section 10.1).
library ProgramIndex {
    /// @notice Bytes of the index of a program of `entries` entries.
    function length(uint256 entries) internal pure returns (uint256) {
        return 4 * entries + 12;
    }

    /// @notice The index, and the leaves of a row at all layers. Entries were checked by the caller.
    /// @param counts Entries of the head, body and tail.
    function make(bytes calldata program, uint256[3] memory counts, uint256 layers)
        internal
        pure
        returns (bytes memory index, uint256 leaves)
    {
        uint256 entries = counts[0] + counts[1] + counts[2];
        index = new bytes(length(entries));
        uint256 entry = 0;
        for (uint256 table = 0; table < 3; ++table) {
            uint256 inTable = 0;
            for (uint256 end = entry + counts[table]; entry < end; ++entry) {
                _put(index, 4 * entry, inTable);
                inTable += _leaves(program, Machine.HEADER_BYTES + entry * Machine.ENTRY_BYTES);
            }
            _put(index, 4 * (entries + table), inTable);
            leaves += table == 1 ? layers * inTable : inTable;
        }
    }

    function _leaves(bytes calldata program, uint256 offset) private pure returns (uint256) {
        uint256 word;
        assembly ("memory-safe") {
            word := calldataload(add(program.offset, offset))
        }
        uint32[3] memory dims = [uint32(word >> 128), uint32(word >> 96), uint32(word >> 64)];
        return Programs.leavesOf(uint8(word >> 248), dims);
    }

    /// @dev Writes a u32; what follows in `index` is written later or is its padding.
    function _put(bytes memory index, uint256 offset, uint256 value) private pure {
        assembly ("memory-safe") {
            let place := add(add(index, 32), offset)
            mstore(place, or(and(mload(place), shr(32, not(0))), shl(224, value)))
        }
    }
}
