//! The machine's constants, from `prover/machine.toml`.

/// Version of the machine.
pub const MACHINE_VERSION: u32 = 1;

/// Code of the operation `embed`.
pub const OP_EMBED: u8 = 1;
/// Code of the operation `norm_stat`.
pub const OP_NORM_STAT: u8 = 2;
/// Code of the operation `norm_apply`.
pub const OP_NORM_APPLY: u8 = 3;
/// Code of the operation `quantise`.
pub const OP_QUANTISE: u8 = 4;
/// Code of the operation `matmul`.
pub const OP_MATMUL: u8 = 5;
/// Code of the operation `rope`.
pub const OP_ROPE: u8 = 6;
/// Code of the operation `to_f16`.
pub const OP_TO_F16: u8 = 7;
/// Code of the operation `attn_max`.
pub const OP_ATTN_MAX: u8 = 8;
/// Code of the operation `attn_sum`.
pub const OP_ATTN_SUM: u8 = 9;
/// Code of the operation `attn_mix`.
pub const OP_ATTN_MIX: u8 = 10;
/// Code of the operation `add`.
pub const OP_ADD: u8 = 11;
/// Code of the operation `silu_mul`.
pub const OP_SILU_MUL: u8 = 12;

/// Code of the weight format F32.
pub const WEIGHT_FORMAT_F32: u8 = 0;
/// Code of the weight format F16.
pub const WEIGHT_FORMAT_F16: u8 = 1;
/// Code of the weight format Q8_0.
pub const WEIGHT_FORMAT_Q8_0: u8 = 2;
/// Code of the weight format Q4_0.
pub const WEIGHT_FORMAT_Q4_0: u8 = 3;
/// Code of the weight format Q8F.
pub const WEIGHT_FORMAT_Q8F: u8 = 4;

/// Code of the finish reason `length`.
pub const FINISH_LENGTH: u8 = 0;
/// Code of the finish reason `stop`.
pub const FINISH_STOP: u8 = 1;
/// Code of the finish reason `too_long`.
pub const FINISH_TOO_LONG: u8 = 2;
/// Code of the finish reason `scored`.
pub const FINISH_SCORED: u8 = 3;

/// Code of the input kind `generate`.
pub const KIND_GENERATE: u8 = 1;
/// Code of the input kind `evaluate`.
pub const KIND_EVALUATE: u8 = 2;
/// Code of the input kind `embed`.
pub const KIND_EMBED: u8 = 3;

/// Magic number at the start of a program.
pub const PROGRAM_MAGIC: u32 = 0x5357_5031;
/// Bytes of a program's header.
pub const HEADER_BYTES: usize = 96;
/// Bytes of a program's entry.
pub const ENTRY_BYTES: usize = 32;
/// Most stop tokens of a program.
pub const MAX_STOP_TOKENS: usize = 16;
/// Elements of a summation tile.
pub const TILE_ELEMENTS: usize = 256;
/// Elements of a quantised block.
pub const BLOCK_ELEMENTS: usize = 32;
/// Elements in a leaf of f32 activations.
pub const F32_LEAF_ELEMENTS: usize = 64;
/// Elements in a leaf of f16 activations.
pub const F16_LEAF_ELEMENTS: usize = 128;
/// Bytes in a leaf of a text.
pub const TEXT_LEAF_BYTES: usize = 256;
/// Tokens in a leaf of a token list.
pub const TOKEN_LEAF_ELEMENTS: usize = 64;
/// Entries in a leaf of a merge table.
pub const MERGE_LEAF_ENTRIES: usize = 16;
/// Bytes in a chunk of a voucher.
pub const CHUNK_BYTES: usize = 131_072;
/// Most runs of an input.
pub const MAX_RUNS: u32 = 16;
/// Highest temperature, in 1/1000.
pub const MAX_TEMPERATURE_MILLI: u32 = 10_000;
/// One, in millionths.
pub const PPM: u32 = 1_000_000;

/// f32 bits of log2(e).
pub const EXP_LOG2E: u32 = 0x3fb8_aa3b;
/// f32 bits of the high part of -ln(2).
pub const EXP_NEG_LN2_HI: u32 = 0xbf31_8000;
/// f32 bits of the low part of -ln(2).
pub const EXP_LN2_LO_NEG: u32 = 0x395e_8083;
/// f32 bits of the coefficient of q^6.
pub const EXP_C6: u32 = 0x3ab6_0b61;
/// f32 bits of the coefficient of q^5.
pub const EXP_C5: u32 = 0x3c08_8889;
/// f32 bits of the coefficient of q^4.
pub const EXP_C4: u32 = 0x3d2a_aaab;
/// f32 bits of the coefficient of q^3.
pub const EXP_C3: u32 = 0x3e2a_aaab;
/// f32 bits of the coefficient of q^2.
pub const EXP_C2: u32 = 0x3f00_0000;
/// f32 bits of the least argument of exp that doesn't give zero.
pub const EXP_MIN: u32 = 0xc2ae_0000;
/// f32 bits of the one NaN that is stored.
pub const CANONICAL_NAN: u32 = 0x7fc0_0000;

/// Tag of a tokenizer's record.
pub const TAG_TOKENIZER: &str = "sworn/tokenizer/1";
/// Tag of a model id.
pub const TAG_MODEL: &str = "sworn/model/1";
/// Tag of an input's record.
pub const TAG_INPUT: &str = "sworn/input/1";
/// Tag of a seed.
pub const TAG_SEED: &str = "sworn/seed/1";
/// Tag of the inbox's accumulator.
pub const TAG_ACCUMULATOR: &str = "sworn/inbox/1";
/// Tag of a draw.
pub const TAG_DRAW: &str = "sworn/draw/1";
/// Tag of a run's record.
pub const TAG_RUN: &str = "sworn/run/1";
/// Tag of a job's record.
pub const TAG_JOB: &str = "sworn/job/1";
