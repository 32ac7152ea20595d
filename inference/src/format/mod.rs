//! Readers of model files: GGUF and llama2.c.

mod gguf;
mod gguf_llama;
mod gguf_table;
mod leaf;
mod llama2c;
pub mod packed;
pub(crate) mod read;
mod role;
mod sniff;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use crate::Error;
use crate::map::Map;
use crate::numeric::constants::MAX_HEAD_DIM;
use crate::program::{CAPS, LlamaConfig, WeightFormat};
use crate::tokenizer::Tokenizer;

pub(crate) use gguf::{Gguf, string};
pub use role::TensorRole;
use sniff::{Kind, kind};

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
    file: Map,
    tensors: TensorTable,
}

/// Where the tensors of a file lie.
pub(crate) type TensorTable = HashMap<(TensorRole, u32), Place>;

/// A tensor's format, shape and bytes in its file.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) format: WeightFormat,
    pub(crate) rows: u32,
    pub(crate) cols: u32,
    /// Elements that share a scale in the file.
    pub(crate) group: u32,
    pub(crate) data: Range<usize>,
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
    /// Elements that share a scale in the file: 32, or 64 in some Q8F files; 1 for F32 and F16.
    pub group: u32,
    /// The file's bytes of the tensor: row-major elements or blocks; for Q8F all quants, then all scales.
    pub bytes: &'a [u8],
}

impl ModelSource {
    /// Opens a GGUF or llama2.c file; `tokenizer` names a `tokenizer.bin` for files without one inside.
    pub fn open(path: &Path, tokenizer: Option<&Path>) -> Result<ModelSource, Error> {
        let file = Map::open(path)?;
        let stem = path
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let parsed = match kind(&file).map_err(|error| error.at(path))? {
            Kind::Gguf => {
                if let Some(extra) = tokenizer {
                    return Err(Error::bad_file(
                        "tokenizer",
                        format!("a second one in {}", extra.display()),
                        "only the one that a GGUF file holds",
                        "leave the tokenizer file out",
                    )
                    .at(path));
                }
                let gguf = Gguf::parse(&file).map_err(|error| error.at(path))?;
                gguf_llama::read(&gguf, stem).map_err(|error| error.at(path))?
            }
            Kind::Llama2c => {
                let (config, tensors) = llama2c::read(&file).map_err(|error| error.at(path))?;
                let Some(tokenizer) = tokenizer else {
                    return Err(Error::bad_file(
                        "tokenizer",
                        "none: llama2.c checkpoints hold none",
                        "a tokenizer.bin beside the checkpoint",
                        "name the tokenizer.bin that the model was trained with",
                    )
                    .at(path));
                };
                let tokenizer = Tokenizer::from_llama2c_file(tokenizer, config.vocab_size)?;
                Parsed {
                    card: card(stem, &tensors),
                    config,
                    tensors,
                    tokenizer,
                    stop_tokens: vec![1, 2],
                }
            }
        };
        Ok(ModelSource {
            config: parsed.config,
            card: parsed.card,
            tokenizer: parsed.tokenizer,
            stop_tokens: parsed.stop_tokens,
            tensors: parsed.tensors,
            file,
        })
    }

    /// A tensor by role; `layer` is ignored for tensors outside the layers.
    pub fn tensor(&self, role: TensorRole, layer: u32) -> Result<SourceTensor<'_>, Error> {
        let layer = if role.in_layer() { layer } else { 0 };
        let place = self
            .tensors
            .get(&(role, layer))
            .ok_or_else(|| Error::BadParameter {
                what: "tensor".to_owned(),
                found: format!("{role:?} of layer {layer}"),
                expected: format!(
                    "a tensor of this model ({} layers, tied head: {})",
                    self.config.n_layers, self.config.tied_head
                ),
            })?;
        Ok(SourceTensor {
            format: place.format,
            rows: place.rows,
            cols: place.cols,
            group: place.group,
            bytes: &self.file[place.data.clone()],
        })
    }
}

/// What a reader makes of a file.
pub(crate) struct Parsed {
    config: LlamaConfig,
    card: ModelCard,
    tokenizer: Tokenizer,
    stop_tokens: Vec<u32>,
    tensors: TensorTable,
}

/// What a file says about itself, fit for a terminal and a page: no control characters, at most 200 characters.
fn printable(text: &str) -> String {
    let clean: String = text
        .chars()
        .filter(|character| !character.is_control())
        .take(200)
        .collect();
    clean.trim().to_owned()
}

/// The card of a file that says nothing about itself.
fn card(name: String, tensors: &TensorTable) -> ModelCard {
    let mut formats: HashMap<WeightFormat, u64> = HashMap::new();
    let mut parameters = 0;
    for ((role, _), place) in tensors {
        let elements = u64::from(place.rows) * u64::from(place.cols);
        parameters += elements;
        if !role.is_norm() {
            *formats.entry(place.format).or_default() += elements;
        }
    }
    let mut formats: Vec<_> = formats.into_iter().collect();
    formats.sort_by_key(|(format, elements)| (std::cmp::Reverse(*elements), *format as u8));
    let names: Vec<_> = formats
        .iter()
        .map(|(format, _)| format!("{format:?}"))
        .collect();
    ModelCard {
        name: printable(&name),
        version: String::new(),
        license: None,
        architecture: "llama".to_owned(),
        quantisation: names.join("+"),
        parameters,
    }
}

/// Checks what both readers must hold: sizes that a program may have, heads that divide, a rotation that fits.
fn check_config(config: &LlamaConfig) -> Result<(), Error> {
    const REMEDY: &str = "the file is damaged or not a llama-class model that this version runs";
    let reject = |what: &str, found: String, expected: &str| {
        Err(Error::bad_file(what, found, expected, REMEDY))
    };
    let heads = config.n_heads.saturating_mul(config.head_dim);
    let sizes = [
        ("vocabulary size", config.vocab_size, CAPS.dimension),
        ("context length", config.context, CAPS.context),
        ("embedding length", config.dim, CAPS.dimension),
        ("feed-forward length", config.hidden_dim, CAPS.dimension),
        ("number of layers", config.n_layers, CAPS.layers.into()),
        ("number of heads", config.n_heads, CAPS.dimension),
        (
            "number of key/value heads",
            config.n_kv_heads,
            CAPS.dimension,
        ),
        ("head size", config.head_dim, MAX_HEAD_DIM as u32),
        ("size of all heads", heads, CAPS.dimension),
        ("rotated part of a head", config.rope_dim, CAPS.dimension),
    ];
    for (what, size, largest) in sizes {
        if size == 0 || size > largest {
            return reject(what, size.to_string(), &format!("1 to {largest}"));
        }
    }
    if !config.n_heads.is_multiple_of(config.n_kv_heads) {
        let found = format!("{} for {} heads", config.n_kv_heads, config.n_heads);
        return reject(
            "number of key/value heads",
            found,
            "a divisor of the number of heads",
        );
    }
    if !config.rope_dim.is_multiple_of(2) || config.rope_dim > config.head_dim {
        let found = format!("{} of {}", config.rope_dim, config.head_dim);
        return reject(
            "rotated part of a head",
            found,
            "an even number of at most the head size",
        );
    }
    if !(config.rope_theta.is_finite() && config.rope_theta > 0.0) {
        return reject(
            "base of the rotation frequencies",
            config.rope_theta.to_string(),
            "a number above 0",
        );
    }
    if !(config.norm_eps.is_finite() && config.norm_eps > 0.0) {
        return reject(
            "epsilon of RMSNorm",
            config.norm_eps.to_string(),
            "a number above 0",
        );
    }
    Ok(())
}
