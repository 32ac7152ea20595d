// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.37;

/// @title Constants of the machine
/// @dev Generated from `prover/machine.toml` by `cargo run -p sworn-tests --bin constants`; do not edit.
library Machine {
    // Version

    /// @dev Version of the machine; part of every model id.
    uint256 internal constant MACHINE_VERSION = 1;

    // operations

    /// @dev Operation code `embed`.
    uint8 internal constant OP_EMBED = 1;
    /// @dev Operation code `norm_stat`.
    uint8 internal constant OP_NORM_STAT = 2;
    /// @dev Operation code `norm_apply`.
    uint8 internal constant OP_NORM_APPLY = 3;
    /// @dev Operation code `quantise`.
    uint8 internal constant OP_QUANTISE = 4;
    /// @dev Operation code `matmul`.
    uint8 internal constant OP_MATMUL = 5;
    /// @dev Operation code `rope`.
    uint8 internal constant OP_ROPE = 6;
    /// @dev Operation code `to_f16`.
    uint8 internal constant OP_TO_F16 = 7;
    /// @dev Operation code `attn_max`.
    uint8 internal constant OP_ATTN_MAX = 8;
    /// @dev Operation code `attn_sum`.
    uint8 internal constant OP_ATTN_SUM = 9;
    /// @dev Operation code `attn_mix`.
    uint8 internal constant OP_ATTN_MIX = 10;
    /// @dev Operation code `add`.
    uint8 internal constant OP_ADD = 11;
    /// @dev Operation code `silu_mul`.
    uint8 internal constant OP_SILU_MUL = 12;

    // weight formats

    /// @dev Weight format `f32`.
    uint8 internal constant WEIGHT_FORMAT_F32 = 0;
    /// @dev Weight format `f16`.
    uint8 internal constant WEIGHT_FORMAT_F16 = 1;
    /// @dev Weight format `q8_0`.
    uint8 internal constant WEIGHT_FORMAT_Q8_0 = 2;
    /// @dev Weight format `q4_0`.
    uint8 internal constant WEIGHT_FORMAT_Q4_0 = 3;
    /// @dev Weight format `q8f`.
    uint8 internal constant WEIGHT_FORMAT_Q8F = 4;

    // finish

    /// @dev Finish code of a run `length`.
    uint8 internal constant FINISH_LENGTH = 0;
    /// @dev Finish code of a run `stop`.
    uint8 internal constant FINISH_STOP = 1;
    /// @dev Finish code of a run `too_long`.
    uint8 internal constant FINISH_TOO_LONG = 2;
    /// @dev Finish code of a run `scored`.
    uint8 internal constant FINISH_SCORED = 3;

    // kinds

    /// @dev Kind of an input `generate`.
    uint8 internal constant KIND_GENERATE = 1;
    /// @dev Kind of an input `evaluate`.
    uint8 internal constant KIND_EVALUATE = 2;
    /// @dev Kind of an input `embed`.
    uint8 internal constant KIND_EMBED = 3;

    // payload

    /// @dev First byte of a payload.
    uint8 internal constant PAYLOAD_VERSION = 1;
    /// @dev First byte of a text segment.
    uint8 internal constant PAYLOAD_TEXT = 0;
    /// @dev First byte of a control segment.
    uint8 internal constant PAYLOAD_CONTROL = 1;

    // tokenizer

    /// @dev SentencePiece BPE.
    uint256 internal constant TOKENIZER_KIND_SPM = 1;
    /// @dev A prompt starts with BOS.
    uint256 internal constant TOKENIZER_FLAG_ADD_BOS = 1;
    /// @dev A space goes before text at the start and after a control token.
    uint256 internal constant TOKENIZER_FLAG_SPACE_PREFIX = 2;
    /// @dev The tables do not suffice to prove tokenisation.
    uint256 internal constant TOKENIZER_FLAG_TRUSTED = 4;
    /// @dev The piece after BOS loses its leading space.
    uint256 internal constant TOKENIZER_FLAG_STRIP_AFTER_BOS = 8;

    // token types

    /// @dev Token type `normal`.
    uint8 internal constant TOKEN_NORMAL = 1;
    /// @dev Token type `unknown`.
    uint8 internal constant TOKEN_UNKNOWN = 2;
    /// @dev Token type `control`.
    uint8 internal constant TOKEN_CONTROL = 3;
    /// @dev Token type `user_defined`.
    uint8 internal constant TOKEN_USER_DEFINED = 4;
    /// @dev Token type `unused`.
    uint8 internal constant TOKEN_UNUSED = 5;
    /// @dev Token type `byte`.
    uint8 internal constant TOKEN_BYTE = 6;

    // sizes

    /// @dev Bytes of a program header.
    uint256 internal constant HEADER_BYTES = 96;
    /// @dev Bytes of a program entry.
    uint256 internal constant ENTRY_BYTES = 32;
    /// @dev Stop tokens that a program header has room for.
    uint256 internal constant MAX_STOP_TOKENS = 16;
    /// @dev Elements of a tile of a long sum and of a weight leaf.
    uint256 internal constant TILE_ELEMENTS = 256;
    /// @dev Elements that share one scale.
    uint256 internal constant BLOCK_ELEMENTS = 32;
    /// @dev Elements of a leaf of an f32 activation.
    uint256 internal constant F32_LEAF_ELEMENTS = 64;
    /// @dev Elements of a leaf of an f16 activation.
    uint256 internal constant F16_LEAF_ELEMENTS = 128;
    /// @dev Heads of a leaf of attn_max's output: (f32_le maximum, u32_le position).
    uint256 internal constant MAXIMA_LEAF_ELEMENTS = 32;
    /// @dev Bytes of a leaf of a text.
    uint256 internal constant TEXT_LEAF_BYTES = 256;
    /// @dev Tokens or offsets of a leaf.
    uint256 internal constant TOKEN_LEAF_ELEMENTS = 64;
    /// @dev Merges of a leaf of the merge table.
    uint256 internal constant MERGE_LEAF_ENTRIES = 16;
    /// @dev Bytes of a text that one voucher carries.
    uint256 internal constant CHUNK_BYTES = 131072;
    /// @dev Entries of a table of a program.
    uint256 internal constant MAX_TABLE_ENTRIES = 1024;
    /// @dev Weight tensors of a table of a program.
    uint256 internal constant MAX_TABLE_WEIGHTS = 1024;
    /// @dev Layers of a program.
    uint256 internal constant MAX_LAYERS = 4096;
    /// @dev Context of a program.
    uint256 internal constant MAX_CONTEXT = 16777216;
    /// @dev Any dimension of a program, and its vocabulary.
    uint256 internal constant MAX_DIMENSION = 1048576;

    // limits

    /// @dev Largest number of runs of an input.
    uint256 internal constant MAX_RUNS = 16;
    /// @dev Largest temperature, in 1/1000.
    uint256 internal constant MAX_TEMPERATURE_MILLI = 10000;
    /// @dev One, in millionths.
    uint256 internal constant PPM = 1000000;

    // challenge

    /// @dev Levels that one opening goes down at most.
    uint256 internal constant OPEN_LEVELS = 6;
    /// @dev A node at most this high is opened by its leaves' bytes.
    uint256 internal constant CONTENT_LEVELS = 2;
    /// @dev A matmul's element with at most this many tiles is proven without totals.
    uint256 internal constant DIRECT_TILES = 4;
    /// @dev Segments of a payload.
    uint256 internal constant MAX_SEGMENTS = 64;
    /// @dev Sums of a group of logits.
    uint256 internal constant COMPONENT_COUNT = 7;
    /// @dev Elements of an attention head: one tile.
    uint256 internal constant MAX_HEAD_DIM = 256;
    /// @dev Addends of a tile between two of its running sums.
    uint256 internal constant RUN_ADDENDS = 32;
    /// @dev Tokens of a sum of a group.
    uint256 internal constant SUM_TOKENS = 16;
    /// @dev Sums of a part of totals or of a group.
    uint256 internal constant PART_SUMS = 16;
    /// @dev Groups of a part of a selection.
    uint256 internal constant PART_GROUPS = 4;
    /// @dev Places of a part of a prompt.
    uint256 internal constant PART_PLACES = 16;

    // nodes

    /// @dev Kind of a node of a claim `claim`.
    uint8 internal constant NODE_CLAIM = 1;
    /// @dev Kind of a node of a claim `job`.
    uint8 internal constant NODE_JOB = 2;
    /// @dev Kind of a node of a claim `tokens`.
    uint8 internal constant NODE_TOKENS = 3;
    /// @dev Kind of a node of a claim `offsets`.
    uint8 internal constant NODE_OFFSETS = 4;
    /// @dev Kind of a node of a claim `text`.
    uint8 internal constant NODE_TEXT = 5;
    /// @dev Kind of a node of a claim `trace`.
    uint8 internal constant NODE_TRACE = 6;
    /// @dev Kind of a node of a claim `totals`.
    uint8 internal constant NODE_TOTALS = 7;
    /// @dev Kind of a node of a claim `tile`.
    uint8 internal constant NODE_TILE = 8;
    /// @dev Kind of a node of a claim `selection`.
    uint8 internal constant NODE_SELECTION = 9;
    /// @dev Kind of a node of a claim `group`.
    uint8 internal constant NODE_GROUP = 10;
    /// @dev Kind of a node of a claim `prompt`.
    uint8 internal constant NODE_PROMPT = 11;
    /// @dev Kind of a node of a claim `starts`.
    uint8 internal constant NODE_STARTS = 12;
    /// @dev Kind of a node of a claim `malformed`.
    uint8 internal constant NODE_MALFORMED = 13;

    // faults

    /// @dev Fault `expansion`.
    uint8 internal constant FAULT_EXPANSION = 16;
    /// @dev Fault `run_shape`.
    uint8 internal constant FAULT_RUN_SHAPE = 17;
    /// @dev Fault `token`.
    uint8 internal constant FAULT_TOKEN = 32;
    /// @dev Fault `stop`.
    uint8 internal constant FAULT_STOP = 33;
    /// @dev Fault `offset_padding`.
    uint8 internal constant FAULT_OFFSET_PADDING = 34;
    /// @dev Fault `offset`.
    uint8 internal constant FAULT_OFFSET = 35;
    /// @dev Fault `text_padding`.
    uint8 internal constant FAULT_TEXT_PADDING = 36;
    /// @dev Fault `text`.
    uint8 internal constant FAULT_TEXT = 37;
    /// @dev Fault `bos`.
    uint8 internal constant FAULT_BOS = 48;
    /// @dev Fault `prompt_place`.
    uint8 internal constant FAULT_PROMPT_PLACE = 49;
    /// @dev Fault `place_step`.
    uint8 internal constant FAULT_PLACE_STEP = 50;
    /// @dev Fault `control`.
    uint8 internal constant FAULT_CONTROL = 51;
    /// @dev Fault `piece`.
    uint8 internal constant FAULT_PIECE = 52;
    /// @dev Fault `canonical`.
    uint8 internal constant FAULT_CANONICAL = 53;
    /// @dev Fault `pair`.
    uint8 internal constant FAULT_PAIR = 54;
    /// @dev Fault `byte`.
    uint8 internal constant FAULT_BYTE = 55;
    /// @dev Fault `segments`.
    uint8 internal constant FAULT_SEGMENTS = 56;
    /// @dev Fault `good_control`.
    uint8 internal constant FAULT_GOOD_CONTROL = 57;
    /// @dev Fault `step`.
    uint8 internal constant FAULT_STEP = 64;
    /// @dev Fault `combine`.
    uint8 internal constant FAULT_COMBINE = 65;
    /// @dev Fault `total`.
    uint8 internal constant FAULT_TOTAL = 66;
    /// @dev Fault `addends`.
    uint8 internal constant FAULT_ADDENDS = 67;
    /// @dev Fault `weight`.
    uint8 internal constant FAULT_WEIGHT = 68;
    /// @dev Fault `value`.
    uint8 internal constant FAULT_VALUE = 69;
    /// @dev Fault `argmax`.
    uint8 internal constant FAULT_ARGMAX = 80;
    /// @dev Fault `best`.
    uint8 internal constant FAULT_BEST = 81;
    /// @dev Fault `choice`.
    uint8 internal constant FAULT_CHOICE = 82;
    /// @dev Fault `group_sum`.
    uint8 internal constant FAULT_GROUP_SUM = 83;
    /// @dev Fault `leaf_sum`.
    uint8 internal constant FAULT_LEAF_SUM = 84;

    // bits

    /// @dev First word of a program: "SWP1".
    uint32 internal constant PROGRAM_MAGIC = 0x53575031;
    /// @dev An unused input or weight of a program entry.
    uint16 internal constant INPUT_UNUSED = 0xffff;
    /// @dev The input that is the layer before.
    uint16 internal constant INPUT_CARRY = 0xfffe;
    /// @dev An unused place of the stop token list.
    uint32 internal constant NO_STOP_TOKEN = 0xffffffff;
    /// @dev Left, right and rank of a token that no merge makes.
    uint32 internal constant NO_MERGE = 0xffffffff;
    /// @dev The one f32 NaN.
    uint32 internal constant CANONICAL_NAN = 0x7fc00000;
    /// @dev The one f16 NaN.
    uint16 internal constant CANONICAL_NAN_F16 = 0x7e00;
    /// @dev 65504, the largest f16, as f32.
    uint32 internal constant F16_MAX = 0x477fe000;
    /// @dev A block whose largest |x| is below this quantises to zeros.
    uint32 internal constant QUANTISE_MIN = 0x04000000;
    /// @dev F32 infinity.
    uint32 internal constant INFINITY = 0x7f800000;

    // coefficients

    /// @dev 1 / ln 2.
    uint32 internal constant EXP_LOG2E = 0x3fb8aa3b;
    /// @dev -(ln 2 rounded up to 9 bits), so that its product with n is exact.
    uint32 internal constant EXP_NEG_LN2_HI = 0xbf318000;
    /// @dev What exp_neg_ln2_hi took too much.
    uint32 internal constant EXP_LN2_LO_NEG = 0x395e8083;
    /// @dev 1/6! of the series.
    uint32 internal constant EXP_C6 = 0x3ab60b61;
    /// @dev 1/5!.
    uint32 internal constant EXP_C5 = 0x3c088889;
    /// @dev 1/4!.
    uint32 internal constant EXP_C4 = 0x3d2aaaab;
    /// @dev 1/3!.
    uint32 internal constant EXP_C3 = 0x3e2aaaab;
    /// @dev 1/2!.
    uint32 internal constant EXP_C2 = 0x3f000000;
    /// @dev -87: exp below it is +0.
    uint32 internal constant EXP_MIN = 0xc2ae0000;

    // tags

    /// @dev Tag of the record `tokenizer`.
    bytes32 internal constant TAG_TOKENIZER = "sworn/tokenizer/1";
    /// @dev Tag of the record `model`.
    bytes32 internal constant TAG_MODEL = "sworn/model/1";
    /// @dev Tag of the record `input`.
    bytes32 internal constant TAG_INPUT = "sworn/input/1";
    /// @dev Tag of the record `seed`.
    bytes32 internal constant TAG_SEED = "sworn/seed/1";
    /// @dev Tag of the record `accumulator`.
    bytes32 internal constant TAG_ACCUMULATOR = "sworn/inbox/1";
    /// @dev Tag of the record `draw`.
    bytes32 internal constant TAG_DRAW = "sworn/draw/1";
    /// @dev Tag of the record `run`.
    bytes32 internal constant TAG_RUN = "sworn/run/1";
    /// @dev Tag of the record `job`.
    bytes32 internal constant TAG_JOB = "sworn/job/1";
    /// @dev Tag of the record `claim`.
    bytes32 internal constant TAG_CLAIM = "sworn/claim/1";
}
