//! Model files of the bench: random weights from a seed.

use std::path::{Path, PathBuf};

use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::testing::{self, Random};

use super::Result;

pub(crate) fn format(name: &str) -> Result<WeightFormat> {
    Ok(match name {
        "f32" => WeightFormat::F32,
        "f16" => WeightFormat::F16,
        "q8_0" => WeightFormat::Q8_0,
        "q4_0" => WeightFormat::Q4_0,
        _ => return Err(format!("no format {name}").into()),
    })
}

fn config(shape: &str) -> Result<LlamaConfig> {
    let [vocab_size, dim, hidden_dim, n_layers, n_heads, n_kv_heads] = match shape {
        "15M" => [32_000, 288, 768, 6, 6, 6],
        "110M" => [32_000, 768, 2048, 12, 12, 12],
        "1.1B" => [32_000, 2048, 5632, 22, 32, 4],
        _ => return Err(format!("no shape {shape}").into()),
    };
    Ok(LlamaConfig {
        vocab_size,
        dim,
        hidden_dim,
        n_layers,
        n_heads,
        n_kv_heads,
        context: 1024,
        head_dim: dim / n_heads,
        rope_dim: dim / n_heads,
        tied_head: true,
        ..testing::tiny_config()
    })
}

/// The GGUF file of a shape and the folder that it is imported into; made where they are not there.
pub(crate) fn make(folder: &Path, shape: &str, format: WeightFormat) -> Result<(PathBuf, PathBuf)> {
    let name = format!("{shape}-{format:?}");
    if shape == "fable" {
        let fable = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fable");
        let (file, packed) = (fable.join("fable-2m.q8_0.gguf"), folder.join(name));
        import(&file, &packed)?;
        return Ok((file, packed));
    }
    let config = config(shape)?;
    let (file, packed) = (folder.join(format!("{name}.gguf")), folder.join(name));
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
        std::fs::write(&file, gguf.to_bytes())?;
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
