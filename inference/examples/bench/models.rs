//! Model files of the bench: random weights from a seed.

use std::path::{Path, PathBuf};

use sworn_inference::format::packed::Model;
use sworn_inference::format::{ModelSource, TensorRole};
use sworn_inference::numeric::f16_to_f32;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::testing::{self, Random};

use super::{Result, machine};

pub(crate) fn format(name: &str) -> Result<WeightFormat> {
    Ok(match name {
        "f32" => WeightFormat::F32,
        "f16" => WeightFormat::F16,
        "q8_0" => WeightFormat::Q8_0,
        "q4_0" => WeightFormat::Q4_0,
        _ => {
            return Err(format!("no format {name}: there are f32, f16, q8_0 and q4_0").into());
        }
    })
}

/// The configuration of a shape.
pub(crate) fn config(shape: &str) -> Result<LlamaConfig> {
    match shape {
        // The shipped model's.
        "fable" => Some(LlamaConfig {
            vocab_size: 1024,
            context: 512,
            dim: 192,
            hidden_dim: 512,
            n_layers: 4,
            n_heads: 6,
            n_kv_heads: 6,
            head_dim: 32,
            rope_dim: 32,
            ..testing::tiny_config()
        }),
        "15M" | "110M" | "1.1B" => testing::shape_config(shape, 1024),
        _ => None,
    }
    .ok_or_else(|| format!("no shape {shape}: there are 15M, 110M, 1.1B and fable").into())
}

/// Weights of the matrices.
pub(crate) fn parameters(config: &LlamaConfig) -> u64 {
    let [vocabulary, dim, hidden, layers, kv] = [
        config.vocab_size,
        config.dim,
        config.hidden_dim,
        config.n_layers,
        config.n_kv_heads * config.head_dim,
    ]
    .map(u64::from);
    vocabulary * dim + layers * (2 * dim * dim + 2 * kv * dim + 3 * hidden * dim)
}

/// Bytes of the matrices in a format.
pub(crate) fn bytes(config: &LlamaConfig, format: WeightFormat) -> u64 {
    parameters(config) * format.leaf_bytes() as u64 / 256
}

fn paths(folder: &Path, shape: &str, format: WeightFormat) -> (PathBuf, PathBuf) {
    let name = format!("{shape}-{format:?}");
    let file = match shape {
        "fable" => fable(),
        _ => folder.join(format!("{name}.gguf")),
    };
    (file, folder.join(name))
}

/// The shipped model.
pub(crate) fn fable() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fable/fable-2m.q8_0.gguf")
}

/// Checks that the files that are not there yet fit on the disk, and in memory while they are made.
pub(crate) fn check_room(folder: &Path, models: &[(String, WeightFormat)]) -> Result<()> {
    let mut needed = 0;
    for (shape, format) in models {
        let (file, packed) = paths(folder, shape, *format);
        let absent = u64::from(!file.exists()) + u64::from(!packed.exists());
        let size = bytes(&config(shape)?, *format);
        needed += absent * size;
        // The tensors and the file that is made of them.
        let memory = size * 9 / 4;
        if !file.exists() && machine::available_memory().is_some_and(|bytes| bytes < memory) {
            let memory = machine::size(memory);
            return Err(format!(
                "making the model {shape} {format:?} takes {memory} of memory, more than there is: choose other shapes (shape=15M,110M)"
            )
            .into());
        }
    }
    // A tenth more for all else.
    needed += needed / 10;
    match machine::free_disk(folder) {
        Some(free) if free < needed => Err(format!(
            "the models take {} in {} and there are {}: free some, or choose other shapes (shape=15M,110M)",
            machine::size(needed),
            folder.display(),
            machine::size(free)
        )
        .into()),
        _ => Ok(()),
    }
}

/// Weights of quantised formats as the numbers that they stand for.
fn dequantise(format: WeightFormat, bytes: &[u8]) -> Result<Vec<u8>> {
    match format {
        WeightFormat::F32 => Ok(bytes.to_vec()),
        WeightFormat::Q8_0 => Ok(bytes
            .as_chunks::<34>()
            .0
            .iter()
            .flat_map(|[low, high, quants @ ..]| {
                let scale = f16_to_f32(u16::from_le_bytes([*low, *high]));
                quants.map(|quant| (scale * f32::from(quant as i8)).to_le_bytes())
            })
            .flatten()
            .collect()),
        _ => Err(format!("no reference for {format:?}").into()),
    }
}

/// The shipped model with the same weights in binary32, imported; what its logits would be without any rounding of activations to int8.
pub(crate) fn reference(folder: &Path) -> Result<PathBuf> {
    let source = ModelSource::open(&fable(), None)?;
    let config = source.config.clone();
    let mut gguf = testing::gguf(&config, WeightFormat::F32, 1);
    let roles = TensorRole::ALL
        .into_iter()
        .filter(|role| *role != TensorRole::Output || !config.tied_head);
    let places = roles.flat_map(|role| {
        let layers = if role.in_layer() { config.n_layers } else { 1 };
        (0..layers).map(move |layer| (role, layer))
    });
    for ((role, layer), tensor) in places.zip(&mut gguf.tensors) {
        let weights = source.tensor(role, layer)?;
        tensor.data = dequantise(weights.format, weights.bytes)?;
    }
    let (file, packed) = (
        folder.join("fable-reference.gguf"),
        folder.join("fable-reference"),
    );
    std::fs::write(&file, gguf.to_bytes())?;
    let _ = std::fs::remove_dir_all(&packed);
    import(&file, &packed)?;
    Ok(packed)
}

/// The GGUF file of a shape and the folder that it is imported into; made where they are not there.
pub(crate) fn make(folder: &Path, shape: &str, format: WeightFormat) -> Result<(PathBuf, PathBuf)> {
    let config = config(shape)?;
    let (file, packed) = paths(folder, shape, format);
    if !file.exists() {
        // Pieces that never merge: making a vocabulary of real ones takes long.
        let mut tokens = testing::vocabulary(260);
        let more = tokens.len()..config.vocab_size as usize;
        tokens.extend(more.map(|i| (format!("#{i}").into_bytes(), -(i as f32), 1)));
        let tiny = LlamaConfig {
            vocab_size: 320,
            ..config.clone()
        };
        let mut gguf = testing::gguf(&tiny, format, 1);
        for (key, value) in testing::gguf_vocabulary(&tokens).keys {
            gguf.set(&key, value);
        }
        gguf.set("llama.vocab_size", testing::Value::U32(config.vocab_size));
        let (rows, cols) = (u64::from(config.vocab_size), u64::from(config.dim));
        let embedding = gguf.tensor("token_embd.weight");
        embedding.shape = vec![cols, rows];
        embedding.data = testing::tensor_bytes(format, rows, cols, 32, &mut Random(2));
        // Written under another name first: half a file must not be taken for one.
        let part = file.with_extension("part");
        let bytes = gguf.to_bytes();
        drop(gguf);
        std::fs::write(&part, bytes)?;
        std::fs::rename(part, &file)?;
    }
    import(&file, &packed)?;
    Ok((file, packed))
}

/// Imports a file unless the folder has it.
fn import(file: &Path, packed: &Path) -> Result<()> {
    if Model::open(packed).is_err() {
        let _ = std::fs::remove_dir_all(packed);
        let start = std::time::Instant::now();
        Model::import(&ModelSource::open(file, None)?, packed, &mut |_, _| ())?;
        println!("imported in {:.1} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}
