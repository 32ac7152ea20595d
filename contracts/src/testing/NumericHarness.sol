// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {Binary32} from "../numeric/Binary32.sol";
import {Functions} from "../numeric/Functions.sol";
import {Sums} from "../numeric/Sums.sol";

/// @title Calls of the numeric libraries in batches
/// @notice For differential tests only; never deployed. Scalar functions take records of 12 bytes, three u32_be a, b, c, and give one word a record.
contract NumericHarness {
    error UnknownFunction(uint256 number);

    /// @notice Applies a function to every record; `gasUsed` is what all calls took, loop included.
    function scalars(uint256 number, bytes calldata records) external view returns (bytes memory out, uint256 gasUsed) {
        uint256 count = records.length / 12;
        out = new bytes(32 * count);
        gasUsed = gasleft();
        for (uint256 i = 0; i < count; ++i) {
            uint256 word = uint256(bytes32(records[12 * i:]));
            uint256 r = _scalar(number, word >> 224, (word >> 192) & 0xffffffff, (word >> 160) & 0xffffffff);
            assembly ("memory-safe") {
                mstore(add(add(out, 32), shl(5, i)), r)
            }
        }
        gasUsed -= gasleft();
    }

    /// @notice fromInt of words.
    function fromInts(int256[] calldata values) external pure returns (uint256[] memory out) {
        out = new uint256[](values.length);
        for (uint256 i = 0; i < out.length; ++i) {
            out[i] = Binary32.fromInt(values[i]);
        }
    }

    /// @notice A sum over lists. `a` and `b` hold many lists one after another, `strideA` and `strideB` bytes each.
    function sums(
        uint256 number,
        bytes calldata a,
        uint256 strideA,
        bytes calldata b,
        uint256 strideB,
        uint256 count,
        uint256 start
    ) external view returns (uint256[] memory out, uint256 gasUsed) {
        out = new uint256[](a.length / strideA);
        gasUsed = gasleft();
        for (uint256 i = 0; i < out.length; ++i) {
            bytes calldata right = strideB == 0 ? b : b[i * strideB:(i + 1) * strideB];
            out[i] = _sum(number, a[i * strideA:(i + 1) * strideA], right, count, start);
        }
        gasUsed -= gasleft();
    }

    /// @notice What a loop over pairs of operands takes: number 0 applies nothing, so the difference is the function's.
    function costs(uint256 number, uint256[] memory operands) external view returns (uint256 gasUsed, uint256 sink) {
        gasUsed = gasleft();
        if (number == 0) {
            for (uint256 i = 0; i < operands.length; i += 2) {
                (uint256 a, uint256 b) = (operands[i], operands[i + 1]);
                sink ^= a ^ b;
            }
        }
        if (number == 1) {
            for (uint256 i = 0; i < operands.length; i += 2) {
                (uint256 a, uint256 b) = (operands[i], operands[i + 1]);
                sink ^= Binary32.add(a, b);
            }
        }
        if (number == 2) {
            for (uint256 i = 0; i < operands.length; i += 2) {
                (uint256 a, uint256 b) = (operands[i], operands[i + 1]);
                sink ^= Binary32.mul(a, b);
            }
        }
        if (number == 3) {
            for (uint256 i = 0; i < operands.length; i += 2) {
                (uint256 a, uint256 b) = (operands[i], operands[i + 1]);
                sink ^= Binary32.div(a, b);
            }
        }
        if (number == 4) {
            for (uint256 i = 0; i < operands.length; i += 2) {
                (uint256 a, uint256 b) = (operands[i], operands[i + 1]);
                sink ^= Binary32.sqrt(a);
            }
        }
        if (number == 5) {
            for (uint256 i = 0; i < operands.length; i += 2) {
                (uint256 a, uint256 b) = (operands[i], operands[i + 1]);
                sink ^= Functions.exp(a);
            }
        }
        if (number == 6) {
            for (uint256 i = 0; i < operands.length; i += 2) {
                (uint256 a, uint256 b) = (operands[i], operands[i + 1]);
                sink ^= Functions.silu(a);
            }
        }
        if (number == 7) {
            for (uint256 i = 0; i < operands.length; i += 2) {
                (uint256 a, uint256 b) = (operands[i], operands[i + 1]);
                sink ^= Functions.mass(a, b, Binary32.ONE);
            }
        }
        if (number == 8) {
            for (uint256 i = 0; i < operands.length; i += 2) {
                (uint256 a, uint256 b) = (operands[i], operands[i + 1]);
                sink ^= Binary32.fromHalf(a);
            }
        }
        if (number == 9) {
            for (uint256 i = 0; i < operands.length; i += 2) {
                (uint256 a, uint256 b) = (operands[i], operands[i + 1]);
                sink ^= Binary32.toHalf(a);
            }
        }
        gasUsed -= gasleft();
    }

    function _scalar(uint256 number, uint256 a, uint256 b, uint256 c) private pure returns (uint256) {
        if (number == 0) return Binary32.add(a, b);
        if (number == 1) return Binary32.mul(a, b);
        if (number == 2) return Binary32.div(a, b);
        if (number == 3) return Binary32.sqrt(a);
        if (number == 4) return Binary32.fromInt(int256(int32(uint32(a))));
        if (number == 5) return uint256(Binary32.key(a));
        if (number == 6) return Binary32.max(a, b);
        if (number == 7) return Binary32.fromHalf(a & 0xffff);
        if (number == 8) return Binary32.toHalf(a);
        if (number == 9) return Functions.exp(a);
        if (number == 10) return Functions.silu(a);
        if (number == 11) return Functions.inverseRoot(a, b, c);
        if (number == 12) return Functions.quantiseScale(a & 0x7fffffff);
        // c is an element of a block whose largest is a.
        if (number == 13) {
            return uint256(Functions.quantise(c, Functions.quantiseInverse(Functions.quantiseScale(a & 0x7fffffff))));
        }
        if (number == 14) return Functions.mass(a, b, Functions.temperature(c));
        if (number == 15) return Binary32.sub(a, b);
        if (number == 16) return uint256(Binary32.selectionKey(a));
        if (number == 17) return uint256(Binary32.softmaxKey(a));
        if (number == 18) return Binary32.canonical(a);
        if (number == 19) return uint256(Binary32.roundHalfEven(a));
        if (number == 20) return Functions.temperature(c);
        revert UnknownFunction(number);
    }

    function _sum(uint256 number, bytes calldata a, bytes calldata b, uint256 count, uint256 start)
        private
        pure
        returns (uint256)
    {
        if (number == 0) return Sums.add(start, a, 0, count);
        if (number == 1) return Sums.addBig(start, a, 0, count);
        if (number == 2) return Sums.dot(start, a, 0, b, 0, count);
        if (number == 3) return Sums.squares(start, a, 0, count);
        if (number == 4) return Sums.dotHalf(start, a, 0, b, 0, count);
        if (number == 5) return Sums.addPairs(start, a, 0, count);
        if (number == 6) return Sums.tileQ8(a, b, count);
        if (number == 7) return Sums.tileQ8F(a, b, count);
        if (number == 8) return Sums.tileQ4(a, b, count);
        if (number == 9) return uint256(Sums.blockDot(uint256(bytes32(a)), uint256(bytes32(b))));
        if (number == 10) return Sums.nibbles(uint256(bytes32(a)));
        if (number == 11) return Sums.largest32(a, count);
        if (number == 12) return Sums.f32(a, count);
        if (number == 13) return Sums.f16(a, count);
        if (number == 14) return uint256(Sums.i8At(a, count));
        if (number == 15) return Sums.u32BigAt(a, count);
        if (number == 16) {
            (uint256 y0, uint256 y1) = Functions.rope(Sums.f32(a, 0), Sums.f32(a, 1), Sums.f32(a, 2), Sums.f32(a, 3));
            return (y0 << 32) | y1;
        }
        revert UnknownFunction(number);
    }
}
