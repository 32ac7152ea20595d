// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

import {IModels} from "../../src/interfaces/IModels.sol";
import {Programs as Reading} from "../../src/libraries/Programs.sol";
import {ProgramsHarness} from "../../src/testing/ProgramsHarness.sol";
import {Programs} from "../utils/Programs.sol";
import {Test} from "../utils/Test.sol";

/// @title The registry's check of programs
/// @dev That it takes exactly what the Rust checker takes is tested in `tests/differential`; here every rule is broken once and named.
contract ProgramCheckTest is Test {
    uint256 private constant NO_ENTRY = type(uint256).max;
    uint16 private constant CARRY = 0xfffe;
    uint16 private constant NONE = 0xffff;
    uint256 private constant F32 = 1 << 32;
    uint256 private constant F16 = 2 << 32;
    uint256 private constant QUANTISED = 3 << 32;

    ProgramsHarness private harness;

    function setUp() external {
        harness = ProgramsHarness(make("ProgramsHarness", ""));
    }

    function test_header() external {
        Programs.Fields memory p = Programs.fields();
        p.magic = 0x53575032;
        _refuses(p, NO_ENTRY, "magic", 0x53575032, 0x53575031);
        (p = Programs.fields()).context = 0;
        _refuses(p, NO_ENTRY, "context", 0, 1);
        (p = Programs.fields()).context = (1 << 24) + 1;
        _refuses(p, NO_ENTRY, "context", (1 << 24) + 1, 1 << 24);
        (p = Programs.fields()).vocabulary = 0;
        _refuses(p, NO_ENTRY, "vocabulary size", 0, 1);
        (p = Programs.fields()).vocabulary = (1 << 20) + 1;
        _refuses(p, NO_ENTRY, "vocabulary size", (1 << 20) + 1, 1 << 20);
        (p = Programs.fields()).layers = 0;
        _refuses(p, NO_ENTRY, "layers", 0, 1);
        (p = Programs.fields()).layers = 4097;
        _refuses(p, NO_ENTRY, "layers", 4097, 4096);
        (p = Programs.fields()).zero = 1;
        _refuses(p, NO_ENTRY, "header bytes 28 to 31", 1, 0);
        (p = Programs.fields()).head = 0;
        _refuses(p, NO_ENTRY, "entries of a table", 0, 1);
        (p = Programs.fields()).body = 1025;
        _refuses(p, NO_ENTRY, "entries of a table", 1025, 1024);
        (p = Programs.fields()).tail = 5;
        _refuses(p, NO_ENTRY, "length", 96 + 30 * 32, 96 + 31 * 32);
        (p = Programs.fields()).weights[1] = 1025;
        _refuses(p, NO_ENTRY, "weights of a table", 1025, 1024);
    }

    function test_stopTokens() external {
        Programs.Fields memory p = Programs.fields();
        p.stops = 17;
        _refuses(p, NO_ENTRY, "number of stop tokens", 17, 16);
        (p = Programs.fields()).stops = 3;
        _refuses(p, NO_ENTRY, "stop token", 0xffffffff, 511);
        (p = Programs.fields()).stops = 1;
        _refuses(p, NO_ENTRY, "unused stop token", 2, 0xffffffff);
        (p = Programs.fields()).stopTokens[0] = 2;
        _refuses(p, NO_ENTRY, "stop tokens rise", 2, 3);
        (p = Programs.fields()).stopTokens[1] = 512;
        _refuses(p, NO_ENTRY, "stop token", 512, 511);
        p = Programs.fields();
        (p.stops, p.stopTokens[0], p.stopTokens[1]) = (0, 0xffffffff, 0xffffffff);
        harness.check(Programs.encode(p));
        p.stops = 16;
        for (uint32 i = 0; i < 16; ++i) {
            p.stopTokens[i] = 496 + i;
        }
        harness.check(Programs.encode(p));
    }

    function test_unusedFields() external {
        Programs.Fields memory p = Programs.fields();
        p.entries[0].op = 0;
        _refuses(p, 0, "operation", 0, 12);
        (p = Programs.fields()).entries[0].op = 13;
        _refuses(p, 0, "operation", 13, 12);
        (p = Programs.fields()).entries[0].format = 5;
        _refuses(p, 0, "weight format", 5, 4);
        (p = Programs.fields()).entries[3].format = 1;
        _refuses(p, 3, "unused weight format", 1, 0);
        (p = Programs.fields()).entries[3].inputs[1] = 2;
        _refuses(p, 3, "unused input", 2, NONE);
        (p = Programs.fields()).entries[3].weights[0] = 0;
        _refuses(p, 3, "unused weight", 0, NONE);
        (p = Programs.fields()).entries[4].weights[1] = 0;
        _refuses(p, 4, "unused weight", 0, NONE);
        (p = Programs.fields()).entries[3].dims[1] = 1;
        _refuses(p, 3, "unused dimension", 1, 0);
        (p = Programs.fields()).entries[3].constants[1] = 1;
        _refuses(p, 3, "unused constant", 1, 0);
        (p = Programs.fields()).entries[11].constants[1] = 1;
        _refuses(p, 11, "unused constant", 1, 0);
        (p = Programs.fields()).entries[4].dims[0] = 0;
        _refuses(p, 4, "dimension", 0, 1);
        (p = Programs.fields()).entries[4].dims[0] = (1 << 20) + 1;
        _refuses(p, 4, "dimension", (1 << 20) + 1, 1 << 20);
    }

    function test_inputs() external {
        Programs.Fields memory p = Programs.fields();
        p.entries[2].inputs[1] = 2;
        _refuses(p, 2, "input within reach", 2, 2);
        (p = Programs.fields()).entries[2].inputs[1] = NONE;
        _refuses(p, 2, "input within reach", NONE, 2);
        (p = Programs.fields()).entries[26].inputs[0] = 25; // the tail reaches the body by the carry only
        _refuses(p, 26, "input within reach", 25, 26);
        (p = Programs.fields()).entries[1].inputs[0] = 0; // the head's output is within reach of the body
        harness.check(Programs.encode(p));
        (p = Programs.fields()).entries[26].inputs[0] = 0; // and of the tail
        harness.check(Programs.encode(p));
        (p = Programs.fields()).entries[1].dims[0] = 32;
        _refuses(p, 1, "shape of an input", F32 | 64, F32 | 32);
        (p = Programs.fields()).entries[2].inputs[1] = CARRY;
        _refuses(p, 2, "shape of an input", F32 | 64, F32 | 1);
        (p = Programs.fields()).entries[4].inputs[0] = 2; // f32 where quantised is due
        _refuses(p, 4, "shape of an input", F32 | 64, QUANTISED | 64);
        (p = Programs.fields()).entries[4].format = 0; // and the reverse
        _refuses(p, 4, "shape of an input", QUANTISED | 64, F32 | 64);
        (p = Programs.fields()).entries[25].inputs[1] = 22;
        _refuses(p, 25, "shape of an input", F32 | 96, F32 | 64);
    }

    function test_weights() external {
        Programs.Fields memory p = Programs.fields();
        p.entries[0].weights[0] = 2; // a layer's
        _refuses(p, 0, "weight within reach", 2, 2);
        (p = Programs.fields()).entries[4].weights[0] = 11; // the tail's
        _refuses(p, 4, "weight within reach", 11, 11);
        (p = Programs.fields()).entries[27].weights[0] = 10; // a layer's
        _refuses(p, 27, "weight within reach", 10, 11);
        (p = Programs.fields()).entries[27].weights[0] = 12;
        _refuses(p, 27, "weight within reach", 12, 12);
        (p = Programs.fields()).entries[5].weights[0] = 5; // k with v's matrix leaves k's unused
        _refuses(p, NO_ENTRY, "weight that nothing uses", 4, 0);
        (p = Programs.fields()).weights[2] = 2;
        _refuses(p, NO_ENTRY, "weight that nothing uses", 12, 0);
        (p = Programs.fields()).entries[29].format = 4; // tied to an embedding of format 2
        _refuses(p, 29, "shape of a weight", _weight(4, 512, 64), _weight(2, 512, 64));
        (p = Programs.fields()).entries[18].weights[0] = 2;
        _refuses(p, NO_ENTRY, "weight that nothing uses", 7, 0);
    }

    function test_dimensions() external {
        Programs.Fields memory p = Programs.fields();
        p.entries[7].dims[1] = 48;
        _refuses(p, 7, "size of all heads, of a head", 64, 48);
        (p = Programs.fields()).entries[7].dims[2] = 18;
        _refuses(p, 7, "rotated dimensions", 18, 16);
        (p = Programs.fields()).entries[7].dims[2] = 15;
        _refuses(p, 7, "even rotated dimensions", 15, 14);
        (p = Programs.fields()).entries[24].dims[1] = 80;
        _refuses(p, 24, "multiple of a block", 80, 32);
        p = Programs.fields();
        for (uint256 i = 20; i < 24; ++i) {
            p.entries[i].dims[0] = 80;
        }
        _refuses(p, 23, "multiple of a block", 80, 32);
    }

    function test_attention() external {
        Programs.Fields memory p = Programs.fields();
        _sizes(p, 4, 2, 257);
        _refuses(p, 11, "size of a head", 257, 256);
        _sizes(p = Programs.fields(), 4, 3, 16);
        _refuses(p, 11, "heads, of key/value heads", 4, 3);
        _sizes(p = Programs.fields(), 65_536, 2, 32);
        _refuses(p, 11, "size of all heads", 1 << 21, 1 << 20);
        (p = Programs.fields()).entries[12].inputs[2] = 11;
        p.entries[12].constants[0] = 0x3f800000;
        _refusesWhat(p, "attention that agrees");
        (p = Programs.fields()).entries[12].dims[1] = 4;
        _refusesWhat(p, "attention that agrees");
        (p = Programs.fields()).entries[13].inputs[0] = 4;
        _refusesWhat(p, "attention that agrees");
        (p = Programs.fields()).entries[13].op = 9;
        p.entries[13].constants[1] = 0;
        _refuses(p, 13, "attention in a row", 9, 10);
        (p = Programs.fields()).entries[13].constants[1] = 2;
        _refuses(p, 13, "c1", 2, 1);
        (p = Programs.fields()).entries[13].inputs[2] = 9; // the keys as values
        harness.check(Programs.encode(p));
        (p = Programs.fields()).entries[12].inputs[2] = 7;
        _refuses(p, 12, "shape of an input", F32 | 64, (4 << 32) | 4);
        (p = Programs.fields()).entries[13].inputs[2] = 6; // not rounded
        _refuses(p, 13, "shape of an input", F32 | 32, F16 | 32);
        // At the end of the body, and before its start.
        p = Programs.fields();
        (p.body, p.tail) = (11, 18);
        _refusesWhat(p, "attention in the body");
        p = Programs.fields();
        (p.head, p.body) = (12, 14);
        _refusesWhat(p, "input within reach");
    }

    function test_ends() external {
        Programs.Fields memory p = Programs.fields();
        p.vocabulary = 513;
        _refuses(p, 29, "shape of a weight", _weight(2, 512, 64), _weight(2, 513, 64));
        (p = Programs.fields()).entries[29] = p.entries[27];
        p.entries[29].inputs = [CARRY, uint16(26), NONE];
        _refuses(p, 29, "output of the tail", F32 | 64, F32 | 512);
        (p = Programs.fields()).entries[25] = p.entries[23];
        _refuses(p, 25, "output of the body", QUANTISED | 96, F32 | 64);
        // Wide, deep and many: 64 additions of 2^20 numbers in 4096 layers are 2^32 leaves.
        harness.check(_wide(63, 4096));
        harness.check(_wide(64, 4095));
        _refuses(_wide(64, 4096), NO_ENTRY, "leaves of a row", (1 << 32) + 16_385, type(uint32).max);
    }

    function test_index() external {
        Programs.Fields memory p = Programs.fields();
        Reading.Program memory read = harness.load(harness.write(Programs.encode(p)));
        // 64 f32 or 128 f16 or 256 quantised numbers or 32 maxima a leaf.
        same(read.headLeaves, 1, "head");
        same(read.bodyLeaves, 25 + 3, "body: gate, up and their product have two leaves");
        same(read.tailLeaves, 3 + 8, "tail");
        same(read.rowDepth, 7, "1 + 4 * 28 + 11 = 124 leaves");
        same(read.weightsDepth, 6, "39 tensors");
        same(harness.stepCount(read.code), 105, "steps");
        Reading.Step memory step = harness.steps(read.code, 26, 27)[0];
        same(step.op, 2, "the second layer's first");
        same(step.inputs[0], 25, "takes the first layer's last");
        same(step.firstLeaf, 29, "behind the head and a layer");
    }

    /// @dev The most that registration can cost.
    function test_gasOfTheLongest() external {
        bytes memory program = Programs.encode(Programs.withAdds(649));
        uint256 before = gasleft();
        harness.check(program);
        check(before - gasleft() < 5_000_000, "check");
        before = gasleft();
        harness.write(program);
        check(before - gasleft() < 12_000_000, "check and creation");
    }

    function testFuzz_refusesWithAReason(bytes memory change, uint256 seed) external view {
        bytes memory program = Programs.small();
        for (uint256 i = 0; i < change.length && i < 4; ++i) {
            program[uint256(keccak256(abi.encode(seed, i))) % program.length] = change[i];
        }
        try harness.check(program) {}
        catch (bytes memory reason) {
            same(bytes32(bytes4(reason)), bytes32(IModels.BadProgram.selector), "no panic");
        }
    }

    function _sizes(Programs.Fields memory p, uint32 heads, uint32 kvHeads, uint32 headDim) private pure {
        for (uint256 i = 11; i < 14; ++i) {
            p.entries[i].dims = [heads, kvHeads, headDim];
        }
    }

    function _wide(uint16 adds, uint16 layers) private pure returns (bytes memory data) {
        Programs.Fields memory p = Programs.fields();
        (p.vocabulary, p.stops, p.layers) = (1, 0, layers);
        (p.stopTokens[0], p.stopTokens[1]) = (0xffffffff, 0xffffffff);
        (p.body, p.tail, p.weights) = (adds, 1, [uint16(1), 0, 0]);
        p.entries = new Programs.Entry[](adds + 2);
        Programs.Entry memory add =
            Programs.Entry(11, 0, [CARRY, CARRY, NONE], [NONE, NONE], [uint32(1 << 20), 0, 0], [uint32(0), 0]);
        for (uint256 i = 1; i <= adds; ++i) {
            p.entries[i] = add;
        }
        p.entries[0] =
            Programs.Entry(1, 0, [NONE, NONE, NONE], [uint16(0), NONE], [uint32(1 << 20), 0, 0], [uint32(0), 0]);
        p.entries[adds + 1] =
            Programs.Entry(5, 0, [CARRY, NONE, NONE], [uint16(0), NONE], [uint32(1), 1 << 20, 0], [uint32(0), 0]);
        return Programs.encode(p);
    }

    function _weight(uint256 format, uint256 rows, uint256 cols) private pure returns (uint256) {
        return (1 << 80) | (format << 64) | (rows << 32) | cols;
    }

    function _refuses(Programs.Fields memory p, uint256 entry, string memory what, uint256 found, uint256 expected)
        private
    {
        _refuses(Programs.encode(p), entry, what, found, expected);
    }

    function _refuses(bytes memory program, uint256 entry, string memory what, uint256 found, uint256 expected)
        private
    {
        vm.expectRevert(abi.encodeWithSelector(IModels.BadProgram.selector, entry, what, found, expected));
        harness.check(program);
    }

    function _refusesWhat(Programs.Fields memory p, string memory what) private view {
        try harness.check(Programs.encode(p)) {
            check(false, what);
        } catch (bytes memory reason) {
            same(bytes32(bytes4(reason)), bytes32(IModels.BadProgram.selector), "kind of error");
            bytes memory fields = new bytes(reason.length - 4);
            for (uint256 i = 0; i < fields.length; ++i) {
                fields[i] = reason[i + 4];
            }
            (, string memory found,,) = abi.decode(fields, (uint256, string, uint256, uint256));
            same(found, what, "reason");
        }
    }
}
