// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Constants of the machine
/// @dev Written from `prover/machine.toml`; change that file, not this one.
library Machine {
    uint32 internal constant MACHINE_VERSION = 1;

    uint8 internal constant OP_EMBED = 1;
    uint8 internal constant OP_NORM_STAT = 2;
    uint8 internal constant OP_NORM_APPLY = 3;
    uint8 internal constant OP_QUANTISE = 4;
    uint8 internal constant OP_MATMUL = 5;
    uint8 internal constant OP_ROPE = 6;
    uint8 internal constant OP_TO_F16 = 7;
    uint8 internal constant OP_ATTN_MAX = 8;
    uint8 internal constant OP_ATTN_SUM = 9;
    uint8 internal constant OP_ATTN_MIX = 10;
    uint8 internal constant OP_ADD = 11;
    uint8 internal constant OP_SILU_MUL = 12;

    uint8 internal constant FORMAT_F32 = 0;
    uint8 internal constant FORMAT_F16 = 1;
    uint8 internal constant FORMAT_Q8_0 = 2;
    uint8 internal constant FORMAT_Q4_0 = 3;
    uint8 internal constant FORMAT_Q8F = 4;

    uint8 internal constant FINISH_LENGTH = 0;
    uint8 internal constant FINISH_STOP = 1;
    uint8 internal constant FINISH_TOO_LONG = 2;
    uint8 internal constant FINISH_SCORED = 3;

    uint8 internal constant KIND_GENERATE = 1;
    uint8 internal constant KIND_EVALUATE = 2;
    uint8 internal constant KIND_EMBED = 3;

    uint256 internal constant PROGRAM_MAGIC = 0x53575031;
    uint256 internal constant HEADER_BYTES = 96;
    uint256 internal constant ENTRY_BYTES = 32;
    uint256 internal constant MAX_STOP_TOKENS = 16;
    uint256 internal constant TILE_ELEMENTS = 256;
    uint256 internal constant BLOCK_ELEMENTS = 32;
    uint256 internal constant F32_LEAF_ELEMENTS = 64;
    uint256 internal constant F16_LEAF_ELEMENTS = 128;
    uint256 internal constant TEXT_LEAF_BYTES = 256;
    uint256 internal constant TOKEN_LEAF_ELEMENTS = 64;
    uint256 internal constant MERGE_LEAF_ENTRIES = 16;
    uint256 internal constant CHUNK_BYTES = 131072;
    uint256 internal constant MAX_RUNS = 16;
    uint256 internal constant MAX_TEMPERATURE_MILLI = 10000;
    uint256 internal constant PPM = 1000000;

    bytes32 internal constant TAG_TOKENIZER = "sworn/tokenizer/1";
    bytes32 internal constant TAG_MODEL = "sworn/model/1";
    bytes32 internal constant TAG_INPUT = "sworn/input/1";
    bytes32 internal constant TAG_SEED = "sworn/seed/1";
    bytes32 internal constant TAG_ACCUMULATOR = "sworn/inbox/1";
    bytes32 internal constant TAG_DRAW = "sworn/draw/1";
    bytes32 internal constant TAG_RUN = "sworn/run/1";
    bytes32 internal constant TAG_JOB = "sworn/job/1";
    bytes32 internal constant TAG_CLAIM = "sworn/claim/1";
}
