//! Readers of model files.

pub mod packed;

use std::path::Path;

use crate::Error;
use crate::program::{LlamaConfig, WeightFormat};
use crate::tokenizer::Tokenizer;

/// What people read about a model, as far as its file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCard {
    /// Name; the file's stem when the file does not say.
    pub name: String,
    /// Version, or empty.
    pub version: String,
    /// SPDX identifier.
    pub license: Option<String>,
    /// Architecture, such as `llama`.
    pub architecture: String,
    /// Weight formats of the matrices, such as `Q8_0`.
    pub quantisation: String,
    /// Number of weights.
    pub parameters: u64,
}

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

/// A parsed model file: configuration, where each tensor lies, and the tokenizer. The file stays memory-mapped.
#[derive(Debug)]
pub struct ModelSource {
    /// The numbers that shape the model.
    pub config: LlamaConfig,
    /// What the file says about the model.
    pub card: ModelCard,
    /// The tokenizer, of the file itself or of the file given beside it.
    pub tokenizer: Tokenizer,
    /// Tokens that end a run, rising.
    pub stop_tokens: Vec<u32>,
}

/// One tensor of a model file.
#[derive(Debug, Clone, Copy)]
pub struct SourceTensor<'a> {
    /// How its elements are stored.
    pub format: WeightFormat,
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
    /// The file's bytes of the tensor.
    pub bytes: &'a [u8],
}

impl ModelSource {
    /// Opens a GGUF or llama2.c file; `tokenizer` names a `tokenizer.bin` for files without one inside.
    pub fn open(path: &Path, tokenizer: Option<&Path>) -> Result<ModelSource, Error> {
        let _ = (path, tokenizer);
        unimplemented!()
    }

    /// A tensor by role; `layer` is ignored for tensors outside the layers.
    pub fn tensor(&self, role: TensorRole, layer: u32) -> Result<SourceTensor<'_>, Error> {
        let _ = (role, layer);
        unimplemented!()
    }
}

impl SourceTensor<'_> {
    /// Appends the tile `tile` (256 columns) of row `row` in the commitment's leaf layout (`prover/SPEC.md` section 2).
    pub fn write_leaf(&self, row: u32, tile: u32, out: &mut Vec<u8>) {
        let _ = (row, tile, out);
        unimplemented!()
    }
}
