//! Models for single challenges: of long sums, ties and strange numbers.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use sworn_inference::engine::{Finish, RunResult};
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::testing::GgufTensor;
use sworn_prover::dispute::results::LaneInput;
use sworn_prover::params::Params;

use super::machine::small_model;
use super::sample;

/// A model with a run.
pub(super) struct OwnAnswered {
    pub(super) name: &'static str,
    pub(super) model: Arc<Model>,
    pub(super) input: LaneInput,
    pub(super) run: RunResult,
    /// Whether all elements are listed.
    pub(super) listed: bool,
}

/// A model of its own, with tokens that nobody selected: a trace is of what is claimed.
struct Own {
    name: &'static str,
    format: WeightFormat,
    config: LlamaConfig,
    n_prompt: u32,
    tokens: Vec<u32>,
    bend: fn(&mut GgufTensor),
    /// Whether all elements are listed.
    listed: bool,
}

/// Those models: models whose sums are longer, of which scores tie, and whose numbers are none.
fn own_models() -> Vec<Own> {
    let small = LlamaConfig {
        vocab_size: 0,
        context: 300,
        dim: 8,
        hidden_dim: 12,
        n_layers: 1,
        n_heads: 2,
        n_kv_heads: 1,
        head_dim: 4,
        rope_dim: 4,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tied_head: true,
    };
    let tokens = |count: u32| {
        (0..count)
            .map(|i| (i * 7 + i * i) % 279)
            .collect::<Vec<u32>>()
    };
    let long = Own {
        name: "long",
        format: WeightFormat::F32,
        config: small.clone(),
        n_prompt: 257,
        tokens: tokens(260),
        bend: |_| (),
        listed: false,
    };
    vec![
        // A matmul of more than four tiles.
        Own {
            name: "wide",
            format: WeightFormat::Q4_0,
            config: LlamaConfig {
                context: 8,
                dim: 32,
                hidden_dim: 1056,
                head_dim: 16,
                rope_dim: 16,
                ..small.clone()
            },
            n_prompt: 2,
            tokens: tokens(4),
            ..long
        },
        // A norm of two tiles.
        Own {
            name: "norm",
            format: WeightFormat::Q4_0,
            config: LlamaConfig {
                context: 8,
                dim: 288,
                hidden_dim: 32,
                n_heads: 1,
                head_dim: 32,
                rope_dim: 8,
                ..small.clone()
            },
            n_prompt: 2,
            tokens: tokens(4),
            listed: true,
            ..long
        },
        // Keys that do not depend on their position, of tokens that come again; heads of which a part is rotated.
        Own {
            name: "ties",
            config: LlamaConfig {
                context: 8,
                n_layers: 2,
                dim: 16,
                n_heads: 4,
                n_kv_heads: 2,
                head_dim: 8,
                rope_dim: 4,
                ..small.clone()
            },
            n_prompt: 2,
            tokens: vec![5, 9, 7, 9, 5, 7, 9, 5],
            bend: |tensor| {
                let row = 4 * tensor.shape[0] as usize;
                if tensor.name.ends_with("attn_k.weight") {
                    for (_, data) in tensor
                        .data
                        .chunks_mut(row)
                        .enumerate()
                        .filter(|(head_row, _)| head_row % 8 < 4)
                    {
                        data.fill(0);
                    }
                }
            },
            listed: true,
            ..long
        },
        // Maxima of more than one leaf; a trace so low that its job comes with the nodes that hold leaves.
        Own {
            name: "heads",
            config: LlamaConfig {
                context: 8,
                n_heads: 34,
                n_kv_heads: 2,
                head_dim: 2,
                rope_dim: 2,
                ..small.clone()
            },
            n_prompt: 1,
            tokens: tokens(3),
            listed: true,
            ..long
        },
        // Large, subnormal and zero embeddings, and a norm that makes infinities of some, so that there are NaNs behind it.
        Own {
            name: "special",
            config: LlamaConfig {
                context: 12,
                ..small
            },
            n_prompt: 1,
            tokens: vec![20, 30, 21, 22, 31, 23, 24, 20, 26],
            bend: |tensor| {
                let row = 4 * tensor.shape[0] as usize;
                if tensor.name.starts_with("token_embd") {
                    let special = [
                        0x0000_0001u32,
                        0x7f00_0000,
                        0x8000_0000,
                        0x0080_0001,
                        0xff7f_ffff,
                        0,
                    ];
                    for (token, bits) in (20..).zip(special) {
                        tensor.data[row * token..][..4].copy_from_slice(&bits.to_le_bytes());
                        tensor.data[row * token + 12..][..4].copy_from_slice(&bits.to_le_bytes());
                    }
                }
                if tensor.name.ends_with("attn_norm.weight") {
                    tensor.data[12..16].copy_from_slice(&f32::MAX.to_le_bytes());
                }
            },
            listed: true,
            ..long
        },
        long,
    ]
}

/// The models with their runs; files of theirs stay in the folder.
pub(super) fn own_answered(folder: &Path) -> Result<Vec<OwnAnswered>, Box<dyn Error>> {
    let mut all = Vec::new();
    for own in own_models() {
        let n_new = own.tokens.len() - own.n_prompt as usize;
        all.push(OwnAnswered {
            name: own.name,
            model: small_model(folder, own.name, own.format, &own.config, &own.bend)?,
            input: LaneInput {
                input_id: 1,
                params: Params {
                    max_new_tokens: n_new as u32,
                    ..Params::default()
                },
                payload: vec![1],
                seed: sample("steps seed", 0),
            },
            run: RunResult {
                n_prompt: own.n_prompt,
                tokens: own.tokens,
                finish: Finish::Length,
                text: Vec::new(),
                offsets: vec![0; n_new],
            },
            listed: own.listed,
        });
    }
    Ok(all)
}
