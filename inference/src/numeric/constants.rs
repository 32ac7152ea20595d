//! Constants of the machine. Generated from `prover/machine.toml` by `cargo run -p sworn-tests --bin constants`; do not edit.

// Version

/// Version of the machine; part of every model id.
pub const MACHINE_VERSION: u32 = 1;

// operations

/// Operation code `embed`.
pub const OP_EMBED: u8 = 1;
/// Operation code `norm_stat`.
pub const OP_NORM_STAT: u8 = 2;
/// Operation code `norm_apply`.
pub const OP_NORM_APPLY: u8 = 3;
/// Operation code `quantise`.
pub const OP_QUANTISE: u8 = 4;
/// Operation code `matmul`.
pub const OP_MATMUL: u8 = 5;
/// Operation code `rope`.
pub const OP_ROPE: u8 = 6;
/// Operation code `to_f16`.
pub const OP_TO_F16: u8 = 7;
/// Operation code `attn_max`.
pub const OP_ATTN_MAX: u8 = 8;
/// Operation code `attn_sum`.
pub const OP_ATTN_SUM: u8 = 9;
/// Operation code `attn_mix`.
pub const OP_ATTN_MIX: u8 = 10;
/// Operation code `add`.
pub const OP_ADD: u8 = 11;
/// Operation code `silu_mul`.
pub const OP_SILU_MUL: u8 = 12;

// weight formats

/// Weight format `f32`.
pub const WEIGHT_FORMAT_F32: u8 = 0;
/// Weight format `f16`.
pub const WEIGHT_FORMAT_F16: u8 = 1;
/// Weight format `q8_0`.
pub const WEIGHT_FORMAT_Q8_0: u8 = 2;
/// Weight format `q4_0`.
pub const WEIGHT_FORMAT_Q4_0: u8 = 3;
/// Weight format `q8f`.
pub const WEIGHT_FORMAT_Q8F: u8 = 4;

// finish

/// Finish code of a run `length`.
pub const FINISH_LENGTH: u8 = 0;
/// Finish code of a run `stop`.
pub const FINISH_STOP: u8 = 1;
/// Finish code of a run `too_long`.
pub const FINISH_TOO_LONG: u8 = 2;
/// Finish code of a run `scored`.
pub const FINISH_SCORED: u8 = 3;

// kinds

/// Kind of an input `generate`.
pub const KIND_GENERATE: u8 = 1;
/// Kind of an input `evaluate`.
pub const KIND_EVALUATE: u8 = 2;
/// Kind of an input `embed`.
pub const KIND_EMBED: u8 = 3;

// payload

/// First byte of a payload.
pub const PAYLOAD_VERSION: u8 = 1;
/// First byte of a text segment.
pub const PAYLOAD_TEXT: u8 = 0;
/// First byte of a control segment.
pub const PAYLOAD_CONTROL: u8 = 1;

// tokenizer

/// SentencePiece BPE.
pub const TOKENIZER_KIND_SPM: u32 = 1;
/// A prompt starts with BOS.
pub const TOKENIZER_FLAG_ADD_BOS: u32 = 1;
/// A space goes before text at the start and after a control token.
pub const TOKENIZER_FLAG_SPACE_PREFIX: u32 = 2;
/// The tables do not suffice to prove tokenisation.
pub const TOKENIZER_FLAG_TRUSTED: u32 = 4;
/// The piece after BOS loses its leading space.
pub const TOKENIZER_FLAG_STRIP_AFTER_BOS: u32 = 8;

// token types

/// Token type `normal`.
pub const TOKEN_NORMAL: u8 = 1;
/// Token type `unknown`.
pub const TOKEN_UNKNOWN: u8 = 2;
/// Token type `control`.
pub const TOKEN_CONTROL: u8 = 3;
/// Token type `user_defined`.
pub const TOKEN_USER_DEFINED: u8 = 4;
/// Token type `unused`.
pub const TOKEN_UNUSED: u8 = 5;
/// Token type `byte`.
pub const TOKEN_BYTE: u8 = 6;

// sizes

/// Bytes of a program header.
pub const HEADER_BYTES: usize = 96;
/// Bytes of a program entry.
pub const ENTRY_BYTES: usize = 32;
/// Stop tokens that a program header has room for.
pub const MAX_STOP_TOKENS: usize = 16;
/// Elements of a tile of a long sum and of a weight leaf.
pub const TILE_ELEMENTS: usize = 256;
/// Elements that share one scale.
pub const BLOCK_ELEMENTS: usize = 32;
/// Elements of a leaf of an f32 activation.
pub const F32_LEAF_ELEMENTS: usize = 64;
/// Elements of a leaf of an f16 activation.
pub const F16_LEAF_ELEMENTS: usize = 128;
/// Heads of a leaf of attn_max's output: (f32_le maximum, u32_le position).
pub const MAXIMA_LEAF_ELEMENTS: usize = 32;
/// Bytes of a leaf of a text.
pub const TEXT_LEAF_BYTES: usize = 256;
/// Tokens or offsets of a leaf.
pub const TOKEN_LEAF_ELEMENTS: usize = 64;
/// Merges of a leaf of the merge table.
pub const MERGE_LEAF_ENTRIES: usize = 16;
/// Bytes of a text that one voucher carries.
pub const CHUNK_BYTES: usize = 131072;
/// Entries of a table of a program.
pub const MAX_TABLE_ENTRIES: usize = 1024;
/// Weight tensors of a table of a program.
pub const MAX_TABLE_WEIGHTS: usize = 1024;
/// Layers of a program.
pub const MAX_LAYERS: usize = 4096;
/// Context of a program.
pub const MAX_CONTEXT: usize = 16777216;
/// Any dimension of a program, and its vocabulary.
pub const MAX_DIMENSION: usize = 1048576;

// limits

/// Largest number of runs of an input.
pub const MAX_RUNS: u32 = 16;
/// Largest temperature, in 1/1000.
pub const MAX_TEMPERATURE_MILLI: u32 = 10000;
/// One, in millionths.
pub const PPM: u32 = 1000000;

// challenge

/// Levels that one opening goes down at most.
pub const OPEN_LEVELS: usize = 6;
/// A node at most this high is opened by its leaves' bytes.
pub const CONTENT_LEVELS: usize = 2;
/// A matmul's element with at most this many tiles is proven without totals.
pub const DIRECT_TILES: usize = 4;
/// Segments of a payload.
pub const MAX_SEGMENTS: usize = 64;
/// Sums of a group of logits.
pub const COMPONENT_COUNT: usize = 7;
/// Elements of an attention head: one tile.
pub const MAX_HEAD_DIM: usize = 256;
/// Addends of a tile between two of its running sums.
pub const RUN_ADDENDS: usize = 32;
/// Tokens of a sum of a group.
pub const SUM_TOKENS: usize = 16;
/// Sums of a part of totals or of a group.
pub const PART_SUMS: usize = 16;
/// Groups of a part of a selection.
pub const PART_GROUPS: usize = 4;
/// Places of a part of a prompt.
pub const PART_PLACES: usize = 16;

// nodes

/// Kind of a node of a claim `claim`.
pub const NODE_CLAIM: u8 = 1;
/// Kind of a node of a claim `job`.
pub const NODE_JOB: u8 = 2;
/// Kind of a node of a claim `tokens`.
pub const NODE_TOKENS: u8 = 3;
/// Kind of a node of a claim `offsets`.
pub const NODE_OFFSETS: u8 = 4;
/// Kind of a node of a claim `text`.
pub const NODE_TEXT: u8 = 5;
/// Kind of a node of a claim `trace`.
pub const NODE_TRACE: u8 = 6;
/// Kind of a node of a claim `totals`.
pub const NODE_TOTALS: u8 = 7;
/// Kind of a node of a claim `tile`.
pub const NODE_TILE: u8 = 8;
/// Kind of a node of a claim `selection`.
pub const NODE_SELECTION: u8 = 9;
/// Kind of a node of a claim `group`.
pub const NODE_GROUP: u8 = 10;
/// Kind of a node of a claim `prompt`.
pub const NODE_PROMPT: u8 = 11;
/// Kind of a node of a claim `starts`.
pub const NODE_STARTS: u8 = 12;
/// Kind of a node of a claim `malformed`.
pub const NODE_MALFORMED: u8 = 13;

// faults

/// Fault `expansion`.
pub const FAULT_EXPANSION: u8 = 16;
/// Fault `run_shape`.
pub const FAULT_RUN_SHAPE: u8 = 17;
/// Fault `token`.
pub const FAULT_TOKEN: u8 = 32;
/// Fault `stop`.
pub const FAULT_STOP: u8 = 33;
/// Fault `offset_padding`.
pub const FAULT_OFFSET_PADDING: u8 = 34;
/// Fault `offset`.
pub const FAULT_OFFSET: u8 = 35;
/// Fault `text_padding`.
pub const FAULT_TEXT_PADDING: u8 = 36;
/// Fault `text`.
pub const FAULT_TEXT: u8 = 37;
/// Fault `bos`.
pub const FAULT_BOS: u8 = 48;
/// Fault `prompt_place`.
pub const FAULT_PROMPT_PLACE: u8 = 49;
/// Fault `place_step`.
pub const FAULT_PLACE_STEP: u8 = 50;
/// Fault `control`.
pub const FAULT_CONTROL: u8 = 51;
/// Fault `piece`.
pub const FAULT_PIECE: u8 = 52;
/// Fault `canonical`.
pub const FAULT_CANONICAL: u8 = 53;
/// Fault `pair`.
pub const FAULT_PAIR: u8 = 54;
/// Fault `byte`.
pub const FAULT_BYTE: u8 = 55;
/// Fault `segments`.
pub const FAULT_SEGMENTS: u8 = 56;
/// Fault `good_control`.
pub const FAULT_GOOD_CONTROL: u8 = 57;
/// Fault `step`.
pub const FAULT_STEP: u8 = 64;
/// Fault `combine`.
pub const FAULT_COMBINE: u8 = 65;
/// Fault `total`.
pub const FAULT_TOTAL: u8 = 66;
/// Fault `addends`.
pub const FAULT_ADDENDS: u8 = 67;
/// Fault `weight`.
pub const FAULT_WEIGHT: u8 = 68;
/// Fault `value`.
pub const FAULT_VALUE: u8 = 69;
/// Fault `argmax`.
pub const FAULT_ARGMAX: u8 = 80;
/// Fault `best`.
pub const FAULT_BEST: u8 = 81;
/// Fault `choice`.
pub const FAULT_CHOICE: u8 = 82;
/// Fault `group_sum`.
pub const FAULT_GROUP_SUM: u8 = 83;
/// Fault `leaf_sum`.
pub const FAULT_LEAF_SUM: u8 = 84;

// bits

/// First word of a program: "SWP1".
pub const PROGRAM_MAGIC: u32 = 0x5357_5031;
/// An unused input or weight of a program entry.
pub const INPUT_UNUSED: u16 = 0xffff;
/// The input that is the layer before.
pub const INPUT_CARRY: u16 = 0xfffe;
/// An unused place of the stop token list.
pub const NO_STOP_TOKEN: u32 = 0xffff_ffff;
/// Left, right and rank of a token that no merge makes.
pub const NO_MERGE: u32 = 0xffff_ffff;
/// The one f32 NaN.
pub const CANONICAL_NAN: u32 = 0x7fc0_0000;
/// The one f16 NaN.
pub const CANONICAL_NAN_F16: u16 = 0x7e00;
/// 65504, the largest f16, as f32.
pub const F16_MAX: u32 = 0x477f_e000;
/// A block whose largest |x| is below this quantises to zeros.
pub const QUANTISE_MIN: u32 = 0x0400_0000;
/// F32 infinity.
pub const INFINITY: u32 = 0x7f80_0000;

// coefficients

/// 1 / ln 2.
pub const EXP_LOG2E: u32 = 0x3fb8_aa3b;
/// -(ln 2 rounded up to 9 bits), so that its product with n is exact.
pub const EXP_NEG_LN2_HI: u32 = 0xbf31_8000;
/// What exp_neg_ln2_hi took too much.
pub const EXP_LN2_LO_NEG: u32 = 0x395e_8083;
/// 1/6! of the series.
pub const EXP_C6: u32 = 0x3ab6_0b61;
/// 1/5!.
pub const EXP_C5: u32 = 0x3c08_8889;
/// 1/4!.
pub const EXP_C4: u32 = 0x3d2a_aaab;
/// 1/3!.
pub const EXP_C3: u32 = 0x3e2a_aaab;
/// 1/2!.
pub const EXP_C2: u32 = 0x3f00_0000;
/// -87: exp below it is +0.
pub const EXP_MIN: u32 = 0xc2ae_0000;

// tags

/// Tag of the record `tokenizer`.
pub const TAG_TOKENIZER: &str = "sworn/tokenizer/1";
/// Tag of the record `model`.
pub const TAG_MODEL: &str = "sworn/model/1";
/// Tag of the record `input`.
pub const TAG_INPUT: &str = "sworn/input/1";
/// Tag of the record `seed`.
pub const TAG_SEED: &str = "sworn/seed/1";
/// Tag of the record `accumulator`.
pub const TAG_ACCUMULATOR: &str = "sworn/inbox/1";
/// Tag of the record `draw`.
pub const TAG_DRAW: &str = "sworn/draw/1";
/// Tag of the record `run`.
pub const TAG_RUN: &str = "sworn/run/1";
/// Tag of the record `job`.
pub const TAG_JOB: &str = "sworn/job/1";
/// Tag of the record `claim`.
pub const TAG_CLAIM: &str = "sworn/claim/1";
