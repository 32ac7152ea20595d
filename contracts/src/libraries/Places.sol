// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IPrompts} from "../interfaces/IPrompts.sol";

/// @title Places of a ranking
/// @notice `places[i]` is the place of response i: 1 is best, ties share a place, and no place below the largest is left
/// out. At most 16, kept as one byte each.
library Places {
    /// @notice Packs places from the left; reverts when they are no ranking.
    function pack(uint8[] calldata places) internal pure returns (bytes16) {
        uint256 packed = 0;
        uint256 seen = 1; // bit p for place p; bit 0 so that place 1 has a place below it
        for (uint256 i = 0; i < places.length; ++i) {
            uint256 place = places[i];
            if (place == 0 || place > places.length) revert IPrompts.NotARanking(i, places[i]);
            seen |= 1 << place;
            packed |= place << (120 - 8 * i);
        }
        // A gap shows as a place whose lower neighbour nobody has.
        for (uint256 i = 0; i < places.length; ++i) {
            if (seen & (1 << (places[i] - 1)) == 0) revert IPrompts.NotARanking(i, places[i]);
        }
        return bytes16(uint128(packed));
    }

    function unpack(bytes16 packed, uint256 count) internal pure returns (uint8[] memory places) {
        places = new uint8[](count);
        for (uint256 i = 0; i < count; ++i) {
            places[i] = uint8(packed[i]);
        }
    }
}
