//! What the tensors of a llama-class model are for, their shapes and their names.

use crate::program::LlamaConfig;

/// What a tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorRole {
    /// Token embedding, [vocab, dim].
    Embed,
    /// RMSNorm before attention, [1, dim].
    AttnNorm,
    /// Query matrix, [n_heads * head_dim, dim].
    Q,
    /// Key matrix, [n_kv_heads * head_dim, dim].
    K,
    /// Value matrix, [n_kv_heads * head_dim, dim].
    V,
    /// Attention output matrix, [dim, n_heads * head_dim].
    O,
    /// RMSNorm before the feed-forward layer, [1, dim].
    FfnNorm,
    /// Gate matrix (w1), [hidden_dim, dim].
    Gate,
    /// Down matrix (w2), [dim, hidden_dim].
    Down,
    /// Up matrix (w3), [hidden_dim, dim].
    Up,
    /// RMSNorm before the head, [1, dim].
    OutputNorm,
    /// Head, [vocab, dim]; absent when tied.
    Output,
}

impl TensorRole {
    /// Every role.
    pub const ALL: [TensorRole; 12] = [
        TensorRole::Embed,
        TensorRole::AttnNorm,
        TensorRole::Q,
        TensorRole::K,
        TensorRole::V,
        TensorRole::O,
        TensorRole::FfnNorm,
        TensorRole::Gate,
        TensorRole::Down,
        TensorRole::Up,
        TensorRole::OutputNorm,
        TensorRole::Output,
    ];

    /// Whether every layer has its own.
    pub fn in_layer(self) -> bool {
        !matches!(
            self,
            TensorRole::Embed | TensorRole::OutputNorm | TensorRole::Output
        )
    }

    /// Whether it is an RMSNorm weight: one row, always F32.
    pub fn is_norm(self) -> bool {
        matches!(
            self,
            TensorRole::AttnNorm | TensorRole::FfnNorm | TensorRole::OutputNorm
        )
    }

    /// The name of the tensor in GGUF files of the `llama` architecture.
    pub(crate) fn gguf_name(self, layer: u32) -> String {
        let part = match self {
            TensorRole::Embed => return "token_embd.weight".to_owned(),
            TensorRole::OutputNorm => return "output_norm.weight".to_owned(),
            TensorRole::Output => return "output.weight".to_owned(),
            TensorRole::AttnNorm => "attn_norm",
            TensorRole::Q => "attn_q",
            TensorRole::K => "attn_k",
            TensorRole::V => "attn_v",
            TensorRole::O => "attn_output",
            TensorRole::FfnNorm => "ffn_norm",
            TensorRole::Gate => "ffn_gate",
            TensorRole::Down => "ffn_down",
            TensorRole::Up => "ffn_up",
        };
        format!("blk.{layer}.{part}.weight")
    }

    /// Rows and columns in a model of these sizes.
    pub fn shape(self, config: &LlamaConfig) -> (u64, u64) {
        let heads = |count: u32| u64::from(count) * u64::from(config.head_dim);
        let (vocab, dim) = (u64::from(config.vocab_size), u64::from(config.dim));
        let hidden = u64::from(config.hidden_dim);
        match self {
            TensorRole::Embed | TensorRole::Output => (vocab, dim),
            TensorRole::AttnNorm | TensorRole::FfnNorm | TensorRole::OutputNorm => (1, dim),
            TensorRole::Q => (heads(config.n_heads), dim),
            TensorRole::K | TensorRole::V => (heads(config.n_kv_heads), dim),
            TensorRole::O => (dim, heads(config.n_heads)),
            TensorRole::Gate | TensorRole::Up => (hidden, dim),
            TensorRole::Down => (dim, hidden),
        }
    }
}
