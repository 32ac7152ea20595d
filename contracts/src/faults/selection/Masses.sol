// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Functions} from "../../numeric/Functions.sol";

/// @title Masses of a leaf of logits
/// @notice `prover/SPEC.md` section 4.2, for some logits of a leaf at once.
library Masses {
    /// @dev Values of this field or a higher one are left to `Functions.mass`.
    uint256 private constant FIELD_LIMIT = 200;

    /// @notice How many of the `count` logits from `from` on have a mass of at least `least`, and what these masses sum to.
    /// @param logits A leaf of f32_le; the caller made sure that it has as many.
    /// @param max The best token's logit.
    /// @param temperature `Functions.temperature` of the parameter.
    function sum(bytes calldata logits, uint256 from, uint256 count, uint256 max, uint256 temperature, uint256 least)
        internal
        pure
        returns (uint256 tokens, uint256 total)
    {
        uint256 wide = _wide(max);
        bool ordinary = (max >> 23) & 0xff < FIELD_LIMIT;
        unchecked {
            for (uint256 i = from; i < from + count; ++i) {
                uint256 a;
                int256 w;
                assembly ("memory-safe") {
                    a := shr(224, calldataload(add(logits.offset, shl(2, i))))
                    a := or(shl(8, and(a, 0x00ff00ff)), and(shr(8, a), 0x00ff00ff))
                    a := or(shl(16, and(a, 0xffff)), shr(16, a))
                }
                uint256 mass;
                if (ordinary && (a >> 23) & 0xff < FIELD_LIMIT) {
                    assembly ("memory-safe") {
                        // The difference, rounded: what `Wide.round` does.
                        let e := and(shr(23, a), 0xff)
                        let subnormal := iszero(e)
                        w := shl(add(e, subnormal), xor(or(and(a, 0x7fffff), 0x800000), shl(23, subnormal)))
                        let sign := sub(0, shr(31, a))
                        w := sub(sub(xor(w, sign), sign), wide)
                        let last := shl(sub(232, clz(or(xor(w, sar(255, w)), 0x1000000))), 1)
                        w := and(sub(add(w, shr(1, last)), iszero(and(w, last))), sub(0, last))
                    }
                    // A logit above the best: only where best is wrong.
                    mass = w > 0 ? Functions.mass(a, max, temperature) : _mass(uint256(-w), temperature);
                } else {
                    mass = Functions.mass(a, max, temperature);
                }
                if (mass >= least) {
                    ++tokens;
                    total += mass;
                }
            }
        }
    }

    /// @dev The mass of a logit that is n * 2^-150 below the best.
    function _mass(uint256 n, uint256 temperature) private pure returns (uint256) {
        int256 x;
        assembly ("memory-safe") {
            // A temperature is a normal number: m * 2^(e - 150), with e from 117 to 130.
            let e := shr(23, temperature)
            let m := or(and(temperature, 0x7fffff), 0x800000)
            // From 21 temperatures on a mass is below 1.
            switch lt(n, mul(21, shl(e, m)))
            case 0 { x := 1 }
            default {
                // The quotient with two more bits, of which the last says whether there are others; rounded.
                n := shl(sub(152, e), n)
                let q := or(div(n, m), gt(mod(n, m), 0))
                let last := shl(sub(232, clz(or(q, 0x4000000))), 1)
                x := sub(0, shr(2, and(sub(add(q, shr(1, last)), iszero(and(q, last))), sub(0, last))))
            }
        }
        return x > 0 ? 0 : Functions.expWide(x) >> 120;
    }

    /// @dev The wide form of a value with a field below `FIELD_LIMIT`; of others nothing that is used.
    function _wide(uint256 a) private pure returns (uint256 w) {
        assembly ("memory-safe") {
            let e := and(shr(23, a), 0xff)
            let subnormal := iszero(e)
            w := shl(add(e, subnormal), xor(or(and(a, 0x7fffff), 0x800000), shl(23, subnormal)))
            let sign := sub(0, shr(31, a))
            w := sub(xor(w, sign), sign)
        }
    }
}
