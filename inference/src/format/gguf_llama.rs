//! Llama-class models in GGUF files: keys and tensor names.

use super::gguf::Gguf;
use super::read::shown;
use super::{Parsed, Place, TensorRole, TensorTable, card, check_config, printable};
use crate::Error;
use crate::program::{LlamaConfig, WeightFormat};
use crate::tokenizer::Tokenizer;

const CONVERT: &str = "convert the model with a current converter";

/// Reads a model of the `llama` architecture; `stem` is its name when the file has none.
pub(crate) fn read(gguf: &Gguf<'_>, stem: String) -> Result<Parsed, Error> {
    let architecture = gguf.string("general.architecture")?.unwrap_or(b"");
    if architecture != b"llama" {
        return Err(Error::bad_file(
            "general.architecture",
            shown(architecture),
            "\"llama\"",
            "give a llama-class model",
        ));
    }
    refuse_variants(gguf)?;
    let config = read_config(gguf)?;
    let tensors = place_tensors(gguf, &config)?;
    let tokenizer = Tokenizer::from_gguf(gguf)?;
    if tokenizer.vocab_size() != config.vocab_size {
        return Err(Error::bad_file(
            "tokenizer.ggml.tokens",
            format!("{} tokens", tokenizer.vocab_size()),
            format!("{}, the rows of the embedding", config.vocab_size),
            "the tokenizer is of another model: convert the model again",
        ));
    }
    let text = |key| -> Result<Option<String>, Error> {
        let value = gguf
            .string(key)?
            .map(|text| printable(&String::from_utf8_lossy(text)));
        Ok(value.filter(|text| !text.is_empty()))
    };
    let mut card = card(stem, &tensors);
    card.name = text("general.name")?.unwrap_or(card.name);
    card.version = text("general.version")?.unwrap_or_default();
    card.license = text("general.license")?;
    let stop_tokens = stop_tokens(gguf, &tokenizer)?;
    Ok(Parsed {
        config,
        card,
        tokenizer,
        stop_tokens,
        tensors,
    })
}

/// Refuses what a file of this architecture may ask for and the machine does not do.
fn refuse_variants(gguf: &Gguf<'_>) -> Result<(), Error> {
    let refuse = |key: &str, found: String, expected: &str| {
        Err(Error::bad_file(
            key,
            found,
            expected,
            "this kind of model is not supported: give another one",
        ))
    };
    let kind = gguf.string("llama.rope.scaling.type")?;
    if let Some(kind) = kind.filter(|kind| *kind != b"none") {
        return refuse("llama.rope.scaling.type", shown(kind), "\"none\"");
    }
    if kind.is_none() {
        // Without a type the factors of old files count.
        for key in ["scaling.factor", "scale_linear", "scaling.attn_factor"] {
            let key = format!("llama.rope.{key}");
            if let Some(factor) = gguf
                .f32(&key)?
                .filter(|factor| *factor != 1.0 && *factor != 0.0)
            {
                return refuse(&key, factor.to_string(), "1 (no scaling)");
            }
        }
    }
    if gguf.tensors.contains_key("rope_freqs.weight") {
        return refuse(
            "rope_freqs.weight",
            "frequency factors".to_owned(),
            "plain rotation",
        );
    }
    if let Some(parts) = gguf.u32("split.count")?.filter(|parts| *parts > 1) {
        let found = format!("one of {parts} files");
        return Err(Error::bad_file(
            "split.count",
            found,
            "the model in one file",
            "join the parts with gguf-split --merge",
        ));
    }
    if gguf.bool("llama.attention.causal")? == Some(false) {
        return refuse("llama.attention.causal", "false".to_owned(), "true");
    }
    for key in ["llama.expert_count", "llama.attention.sliding_window"] {
        if let Some(value) = gguf.u32(key)?.filter(|value| *value != 0) {
            return refuse(key, value.to_string(), "none");
        }
    }
    Ok(())
}

fn read_config(gguf: &Gguf<'_>) -> Result<LlamaConfig, Error> {
    let required = |key: &str| -> Result<u32, Error> { gguf.u32(key)?.ok_or_else(|| missing(key)) };
    let dim = required("llama.embedding_length")?;
    let n_heads = required("llama.attention.head_count")?;
    let head_dim = match gguf.u32("llama.attention.key_length")? {
        Some(length) => length,
        None if n_heads > 0 && dim.is_multiple_of(n_heads) => dim / n_heads,
        None => {
            let found = format!("{n_heads} for an embedding length of {dim}");
            return Err(Error::bad_file(
                "llama.attention.head_count",
                found,
                "a divisor of the embedding length",
                CONVERT,
            ));
        }
    };
    if let Some(length) = gguf
        .u32("llama.attention.value_length")?
        .filter(|length| *length != head_dim)
    {
        return Err(Error::bad_file(
            "llama.attention.value_length",
            length,
            format!("{head_dim}, like the key length"),
            CONVERT,
        ));
    }
    let embedding = gguf
        .tensors
        .get("token_embd.weight")
        .ok_or_else(|| missing("token_embd.weight"))?;
    let rows = embedding.rows;
    if let Some(size) = gguf
        .u32("llama.vocab_size")?
        .filter(|size| u64::from(*size) != rows)
    {
        return Err(Error::bad_file(
            "llama.vocab_size",
            size,
            format!("{rows}, the rows of the embedding"),
            CONVERT,
        ));
    }
    let config = LlamaConfig {
        vocab_size: u32::try_from(rows).map_err(|_| {
            Error::bad_file(
                "token_embd.weight",
                format!("{rows} rows"),
                "at most 2147483647",
                CONVERT,
            )
        })?,
        context: required("llama.context_length")?,
        dim,
        hidden_dim: required("llama.feed_forward_length")?,
        n_layers: required("llama.block_count")?,
        n_heads,
        n_kv_heads: gguf
            .u32("llama.attention.head_count_kv")?
            .unwrap_or(n_heads),
        head_dim,
        rope_dim: gguf.u32("llama.rope.dimension_count")?.unwrap_or(head_dim),
        rope_theta: gguf.f32("llama.rope.freq_base")?.unwrap_or(10_000.0),
        norm_eps: gguf
            .f32("llama.attention.layer_norm_rms_epsilon")?
            .ok_or_else(|| missing("llama.attention.layer_norm_rms_epsilon"))?,
        tied_head: !gguf.tensors.contains_key("output.weight"),
    };
    check_config(&config)?;
    Ok(config)
}

fn missing(key: &str) -> Error {
    Error::bad_file(key, "nothing", "a value", CONVERT)
}

/// Finds every tensor of the model with its shape, and refuses tensors that the architecture would not use.
fn place_tensors(gguf: &Gguf<'_>, config: &LlamaConfig) -> Result<TensorTable, Error> {
    let mut tensors = TensorTable::new();
    let mut used = std::collections::HashSet::new();
    for role in TensorRole::ALL {
        if role == TensorRole::Output && config.tied_head {
            continue;
        }
        // A block count that no file could hold ends at the first tensor that is not there.
        for layer in 0..if role.in_layer() { config.n_layers } else { 1 } {
            let name = role.gguf_name(layer);
            let info = gguf.tensors.get(&name).ok_or_else(|| missing(&name))?;
            let (rows, cols) = role.shape(config);
            if (info.rows, info.cols) != (rows, cols) {
                let found = format!("{} rows x {} columns", info.rows, info.cols);
                return Err(Error::bad_file(
                    name,
                    found,
                    format!("{rows} rows x {cols} columns by the keys"),
                    CONVERT,
                ));
            }
            if role.is_norm() && info.format != WeightFormat::F32 {
                return Err(Error::bad_file(
                    name,
                    format!("{:?}", info.format),
                    "F32",
                    CONVERT,
                ));
            }
            let group = if info.format.is_quantised() { 32 } else { 1 };
            let place = Place {
                format: info.format,
                rows: rows as u32,
                cols: cols as u32,
                group,
                data: info.data.clone(),
            };
            tensors.insert((role, layer), place);
            used.insert(name);
        }
    }
    // Sorted, so that the same file gives the same message.
    let mut others: Vec<_> = gguf
        .tensors
        .keys()
        .filter(|name| !used.contains(*name) && !name.contains(".attn_rot_embd"))
        .collect();
    others.sort();
    match others.first() {
        None => Ok(tensors),
        Some(name) => Err(Error::bad_file(
            format!("tensor {}", shown(name.as_bytes())),
            "a tensor that the llama architecture does not use",
            "only tensors that it uses",
            "this kind of model is not supported: give another one",
        )),
    }
}

/// Tokens that end a run: BOS, EOS and, where the file names them, the ends of a turn and of a message.
fn stop_tokens(gguf: &Gguf<'_>, tokenizer: &Tokenizer) -> Result<Vec<u32>, Error> {
    let mut tokens = vec![tokenizer.bos(), tokenizer.eos()];
    for key in ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"] {
        if let Some(token) = gguf.u32(key)? {
            if token >= tokenizer.vocab_size() {
                return Err(Error::bad_file(
                    key,
                    token,
                    format!("a token below {}", tokenizer.vocab_size()),
                    CONVERT,
                ));
            }
            tokens.push(token);
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    Ok(tokens)
}
