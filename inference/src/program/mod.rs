//! Programs: operations, shapes, and one compiler per architecture (`prover/SPEC.md` section 3).

/// How the elements of a weight tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WeightFormat {
    /// binary32
    F32 = 0,
    /// binary16
    F16 = 1,
    /// Blocks of 32 int8 with a binary16 scale.
    Q8_0 = 2,
    /// Blocks of 32 nibbles with a binary16 scale.
    Q4_0 = 3,
    /// Blocks of 32 int8 with a binary32 scale (llama2.c version 2).
    Q8F = 4,
}

/// Shape and format of a weight tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightShape {
    /// How elements are stored.
    pub format: WeightFormat,
    /// Outputs of a matmul; entries of an embedding.
    pub rows: u32,
    /// Inner size.
    pub cols: u32,
}

/// The numbers that shape a llama-class model.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// Tokens in the vocabulary.
    pub vocab_size: u32,
    /// Largest number of tokens of a run.
    pub context: u32,
    /// Width of the residual stream.
    pub dim: u32,
    /// Width of the feed-forward layer.
    pub hidden_dim: u32,
    /// Layers.
    pub n_layers: u32,
    /// Query heads.
    pub n_heads: u32,
    /// Key/value heads; divides `n_heads`.
    pub n_kv_heads: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Elements of a head that are rotated; even, at most `head_dim`.
    pub rope_dim: u32,
    /// Base of the rotation frequencies.
    pub rope_theta: f32,
    /// Added to the mean square in RMSNorm.
    pub norm_eps: f32,
    /// Whether the embedding is the output matrix too.
    pub tied_head: bool,
}
