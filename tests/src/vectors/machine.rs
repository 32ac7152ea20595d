//! Whole answers of small models, from the bytes of the model to the job record.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use sworn_inference::engine::{BackendKind, Engine, EngineOptions, Finish, RunResult};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::numeric::f32_to_f16;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::testing::{self, GgufTensor};
use sworn_inference::tokenizer::Segment;
use sworn_prover::commitment::Commitments;
use sworn_prover::constants::{BLOCK_ELEMENTS, TILE_ELEMENTS};
use sworn_prover::params::Params;
use sworn_prover::result::{JobCommitment, run_job};
use sworn_prover::{Digest, payload};

use super::arithmetic::{Random, bits};
use super::{hex, sample, tokenizer};

/// More than a tile in the inner size of one matrix, grouped heads, part of a head rotated, heads of their own, and tied ones.
fn configurations() -> [(WeightFormat, LlamaConfig); 4] {
    let small = LlamaConfig {
        vocab_size: 0,
        context: 20,
        dim: 32,
        hidden_dim: 64,
        n_layers: 1,
        n_heads: 2,
        n_kv_heads: 1,
        head_dim: 16,
        rope_dim: 16,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tied_head: true,
    };
    [
        (
            WeightFormat::Q8_0,
            LlamaConfig {
                hidden_dim: 288,
                n_layers: 2,
                rope_dim: 8,
                tied_head: false,
                ..small.clone()
            },
        ),
        (
            WeightFormat::Q4_0,
            LlamaConfig {
                n_layers: 2,
                n_heads: 4,
                n_kv_heads: 2,
                ..small.clone()
            },
        ),
        (
            WeightFormat::F16,
            LlamaConfig {
                hidden_dim: 288,
                rope_theta: 500_000.0,
                ..small.clone()
            },
        ),
        (
            WeightFormat::F32,
            LlamaConfig {
                dim: 16,
                hidden_dim: 20,
                head_dim: 8,
                rope_dim: 8,
                norm_eps: 1e-6,
                ..small
            },
        ),
    ]
}

/// A tensor of a GGUF file, by the file's type number.
fn tensor_data(kind: u32, length: usize, random: &mut Random) -> Vec<u8> {
    let scale = |random: &mut Random| f32_to_f16(0.004 + random.near(0.003)).to_le_bytes();
    let mut out = Vec::with_capacity(length);
    while out.len() < length {
        match kind {
            0 => out.extend((random.near(0.4)).to_le_bytes()),
            1 => out.extend(f32_to_f16(random.near(0.4)).to_le_bytes()),
            kind => {
                let bytes = if kind == 8 {
                    BLOCK_ELEMENTS
                } else {
                    BLOCK_ELEMENTS / 2
                };
                let factor = if kind == 8 { 1.0 } else { 16.0 };
                let [low, high] = scale(random);
                let d =
                    sworn_inference::numeric::f16_to_f32(u16::from_le_bytes([low, high])) * factor;
                out.extend(f32_to_f16(d).to_le_bytes());
                out.extend((0..bytes).map(|_| random.below(256) as u8));
            }
        }
    }
    out
}

/// The weights of a tensor without the filling of leaves: per row and tile the scales, then the elements.
pub(super) fn rows(model: &Model, tensor: usize) -> Value {
    let shape = model.weight_shape(tensor);
    let (scale, element_bits) = match shape.format {
        WeightFormat::F32 => (0, 32),
        WeightFormat::F16 => (0, 16),
        WeightFormat::Q8_0 => (2, 8),
        WeightFormat::Q4_0 => (2, 4),
        WeightFormat::Q8F => (4, 8),
    };
    let tile = |row: u32, tile: u32| {
        let mut leaf = Vec::new();
        model.write_leaf(tensor, row, tile, &mut leaf);
        let elements = (shape.cols as usize - tile as usize * TILE_ELEMENTS).min(TILE_ELEMENTS);
        let scales = scale * elements / BLOCK_ELEMENTS;
        let start = scale * TILE_ELEMENTS / BLOCK_ELEMENTS;
        hex(&[
            &leaf[..scales],
            &leaf[start..start + elements * element_bits / 8],
        ]
        .concat())
    };
    let row = |row| {
        json!(
            (0..shape.cols.div_ceil(TILE_ELEMENTS as u32))
                .map(|t| tile(row, t))
                .collect::<Vec<_>>()
        )
    };
    json!({
        "format": shape.format as u8,
        "cols": shape.cols,
        "rows": (0..shape.rows).map(row).collect::<Vec<_>>(),
    })
}

/// A model of the vectors' own weights, which `bend` may change, and vocabulary.
pub(super) fn small_model(
    folder: &Path,
    name: &str,
    format: WeightFormat,
    config: &LlamaConfig,
    bend: &dyn Fn(&mut GgufTensor),
) -> Result<Arc<Model>, Box<dyn Error>> {
    let mut random = Random::new("machine");
    let tokens = tokenizer::small();
    let config = LlamaConfig {
        vocab_size: tokens.len() as u32,
        ..config.clone()
    };
    let mut file = testing::gguf(&config, format, 1);
    // Weights and vocabulary are the vectors' own; only the names of keys and tensors are the test writer's.
    for (key, value) in testing::gguf_vocabulary(&tokens).keys {
        file.set(&key, value);
    }
    for tensor in &mut file.tensors {
        tensor.data = tensor_data(tensor.kind, tensor.data.len(), &mut random);
        bend(tensor);
    }
    let path = folder.join(format!("{name}.gguf"));
    std::fs::write(&path, file.to_bytes())?;
    let source = ModelSource::open(&path, None)?;
    Ok(Arc::new(Model::import(
        &source,
        &folder.join(name),
        &mut |_, _| (),
    )?))
}

/// A model with an answered input.
pub(super) struct Answered {
    pub(super) format: WeightFormat,
    pub(super) model: Arc<Model>,
    pub(super) engine: Engine,
    pub(super) params: Params,
    pub(super) payload: Vec<u8>,
    pub(super) seed: Digest,
    pub(super) input_id: u64,
    pub(super) runs: Vec<RunResult>,
}

/// The models with their answers; files of theirs stay in the folder.
pub(super) fn answered(folder: &Path) -> Result<Vec<Answered>, Box<dyn Error>> {
    let mut all = Vec::new();
    for (number, (format, config)) in configurations().into_iter().enumerate() {
        let model = small_model(folder, &number.to_string(), format, &config, &|_| ())?;
        let engine = Engine::new(
            model.clone(),
            EngineOptions {
                backend: BackendKind::Scalar,
                threads: 1,
            },
        )?;

        let params = [
            Params {
                n_runs: 3,
                max_new_tokens: 6,
                temperature_milli: 900,
                top_k: 100,
                top_p_ppm: 950_000,
                ..Params::default()
            },
            Params {
                n_runs: 2,
                max_total_tokens: 11,
                temperature_milli: 1500,
                min_p_ppm: 50_000,
                ..Params::default()
            },
            Params {
                max_new_tokens: 50,
                ..Params::default()
            },
            Params {
                n_runs: 2,
                temperature_milli: 10_000,
                ..Params::default()
            },
        ][number];
        let parts = [Segment::Control(1), Segment::Text(b"abc ab cab")];
        let bytes = payload::encode(&parts[number % 2..])?;
        let answer = |seed| {
            run_job(
                &engine,
                model.tokenizer(),
                &params,
                &bytes,
                seed,
                &mut |_| ControlFlow::Continue(()),
            )
        };
        // The last model's seed is the first with a run that meets a stop token.
        let mut seeds = (0..).map(|i| sample("machine seed", 1000 * number as u32 + i));
        let mut seed = Digest::ZERO;
        let mut runs = Vec::new();
        while runs.is_empty()
            || (number == 3
                && runs
                    .iter()
                    .all(|run: &RunResult| run.finish != Finish::Stop))
        {
            seed = seeds.next().unwrap_or_default();
            runs = answer(seed)?;
        }
        all.push(Answered {
            format,
            model,
            engine,
            params,
            payload: bytes,
            seed,
            input_id: 70 + number as u64,
            runs,
        });
    }
    Ok(all)
}

pub(super) fn answers(answered: &[Answered]) -> Result<Value, Box<dyn Error>> {
    let mut models = Vec::new();
    for Answered {
        format,
        model,
        engine,
        params,
        payload,
        seed,
        input_id,
        runs,
    } in answered
    {
        let (commitments, _) = Commitments::of(model, &mut |_, _| ())?;
        let tokens = tokenizer::small();
        let job = JobCommitment::of(*input_id, runs)?;
        let logits = engine.logits(&runs[0].tokens)?;
        let all: Vec<u8> = logits
            .iter()
            .flat_map(|x| x.to_bits().to_be_bytes())
            .collect();
        let last = &logits[logits.len() - tokens.len()..];
        models.push(json!({
            "format": format!("{format:?}"),
            "program": hex(model.program_bytes()),
            "weights": (0..model.weight_count()).map(|tensor| rows(model, tensor)).collect::<Vec<_>>(),
            "tokens": tokenizer::vocabulary(model.tokenizer(), &tokens),
            "flags": model.tokenizer().flags(),
            "bos": model.tokenizer().bos(),
            "program_root": commitments.program_root.to_string(),
            "weights_root": commitments.weights_root.to_string(),
            "tokenizer_root": commitments.tokenizer_root.to_string(),
            "model_id": commitments.model_id.to_string(),
            "params": params.pack().to_string(),
            "payload": hex(payload),
            "seed": seed.to_string(),
            "input_id": job.record.input_id,
            "runs": runs.iter().map(|run| json!({
                "n_prompt": run.n_prompt,
                "tokens": run.tokens,
                "finish": run.finish as u8,
                "text": hex(&run.text),
                "offsets": run.offsets,
            })).collect::<Vec<_>>(),
            "job": job.record.digest().to_string(),
            "logits_sha256": Digest::of(&all).to_string(),
            "last_logits": last.iter().map(|x| bits(*x)).collect::<Vec<_>>(),
        }));
    }
    Ok(json!({ "models": models }))
}
