//! Every kind of model file that is read, written by the tests themselves.

mod common;

use common::Files;
use proptest::prelude::*;
use sworn_inference::format::{ModelSource, SourceTensor, TensorRole};
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::testing::{Random, Value, gguf, llama2c, tensor_bytes, tiny_config};

const FORMATS: [WeightFormat; 4] = [
    WeightFormat::F32,
    WeightFormat::F16,
    WeightFormat::Q8_0,
    WeightFormat::Q4_0,
];

/// The leaf by its definition: element after element.
fn naive_leaf(tensor: &SourceTensor<'_>, row: u32, tile: u32) -> Vec<u8> {
    let (row, cols) = (row as usize, tensor.cols as usize);
    let first = tile as usize * 256;
    let elements = first..cols.min(first + 256);
    let bytes = tensor.bytes;
    let (mut scales, mut quants) = (Vec::new(), Vec::new());
    let (scale_bytes, quant_bytes) = match tensor.format {
        WeightFormat::F32 => (0, 1024),
        WeightFormat::F16 => (0, 512),
        WeightFormat::Q8_0 => (16, 256),
        WeightFormat::Q4_0 => (16, 128),
        WeightFormat::Q8F => (32, 256),
    };
    for element in elements {
        let index = row * cols + element;
        match tensor.format {
            WeightFormat::F32 => quants.extend(&bytes[index * 4..index * 4 + 4]),
            WeightFormat::F16 => quants.extend(&bytes[index * 2..index * 2 + 2]),
            WeightFormat::Q8_0 => {
                let block = index / 32 * 34;
                if index % 32 == 0 {
                    scales.extend(&bytes[block..block + 2]);
                }
                quants.push(bytes[block + 2 + index % 32]);
            }
            WeightFormat::Q4_0 => {
                let block = index / 32 * 18;
                if index % 32 == 0 {
                    scales.extend(&bytes[block..block + 2]);
                }
                if index % 32 < 16 {
                    quants.push(bytes[block + 2 + index % 32]);
                }
            }
            WeightFormat::Q8F => {
                let count = tensor.rows as usize * cols;
                let scale = count + index / tensor.group as usize * 4;
                if index % 32 == 0 {
                    scales.extend(&bytes[scale..scale + 4]);
                }
                quants.push(bytes[index]);
            }
        }
    }
    scales.resize(scale_bytes, 0);
    quants.resize(quant_bytes, 0);
    [scales, quants].concat()
}

proptest! {
    #[test]
    fn leaves(format in 0..5_usize, wide in any::<bool>(), rows in 1..5_u32, blocks in 1..30_u32, odd in 0..40_u32, seed in any::<u64>()) {
        let format = [FORMATS[0], FORMATS[1], FORMATS[2], FORMATS[3], WeightFormat::Q8F][format];
        let group = match format {
            WeightFormat::F32 | WeightFormat::F16 => 1,
            WeightFormat::Q8F if wide => 64,
            _ => 32,
        };
        let cols = if group == 1 { blocks * 32 + odd } else { blocks * group };
        let bytes = tensor_bytes(format, rows.into(), cols.into(), group.into(), &mut Random(seed));
        let tensor = SourceTensor { format, rows, cols, group, bytes: &bytes };
        for row in 0..rows {
            for tile in 0..cols.div_ceil(256) {
                let mut leaf = vec![7];
                tensor.write_leaf(row, tile, &mut leaf);
                prop_assert_eq!(leaf[0], 7);
                prop_assert_eq!(&leaf[1..], naive_leaf(&tensor, row, tile));
            }
        }
    }
}

fn same_tensors(a: &ModelSource, b: &ModelSource) {
    for role in TensorRole::ALL {
        for layer in 0..2 {
            match (a.tensor(role, layer), b.tensor(role, layer)) {
                (Ok(a), Ok(b)) => assert!(
                    a.bytes == b.bytes && a.format == b.format,
                    "{role:?} {layer}"
                ),
                (a, b) => assert!(a.is_err() && b.is_err(), "{role:?} {layer}"),
            }
        }
    }
}

#[test]
fn gguf_in_every_format() {
    let files = Files::new();
    for format in FORMATS {
        for tied_head in [false, true] {
            let config = LlamaConfig {
                tied_head,
                ..tiny_config()
            };
            let mut file = gguf(&config, format, 1);
            let source = files.open(&file.to_bytes()).unwrap();
            assert_eq!(source.config, config);
            assert_eq!(source.card.quantisation, format!("{format:?}"));
            assert_eq!(
                (&*source.card.name, source.card.license.as_deref()),
                ("tiny", Some("MIT"))
            );
            assert_eq!(source.stop_tokens, [1, 2]);
            for tensor in &file.tensors {
                let role = TensorRole::ALL.into_iter().find_map(|role| {
                    (0..2)
                        .find(|layer| name(role, *layer) == tensor.name)
                        .map(|layer| (role, layer))
                });
                let (role, layer) = role.unwrap();
                assert!(
                    source.tensor(role, layer).unwrap().bytes == tensor.data,
                    "{}",
                    tensor.name
                );
            }
            assert_eq!(source.tensor(TensorRole::Output, 0).is_ok(), !tied_head);
            // Version 2 and another alignment change nothing.
            file.version = 2;
            file.alignment = 128;
            file.set("general.alignment", Value::U32(128));
            same_tensors(&source, &files.open(&file.to_bytes()).unwrap());
        }
    }
}

/// The names that llama.cpp gives to tensors.
fn name(role: TensorRole, layer: u32) -> String {
    match role {
        TensorRole::Embed => "token_embd.weight".to_owned(),
        TensorRole::OutputNorm => "output_norm.weight".to_owned(),
        TensorRole::Output => "output.weight".to_owned(),
        TensorRole::AttnNorm => format!("blk.{layer}.attn_norm.weight"),
        TensorRole::Q => format!("blk.{layer}.attn_q.weight"),
        TensorRole::K => format!("blk.{layer}.attn_k.weight"),
        TensorRole::V => format!("blk.{layer}.attn_v.weight"),
        TensorRole::O => format!("blk.{layer}.attn_output.weight"),
        TensorRole::FfnNorm => format!("blk.{layer}.ffn_norm.weight"),
        TensorRole::Gate => format!("blk.{layer}.ffn_gate.weight"),
        TensorRole::Down => format!("blk.{layer}.ffn_down.weight"),
        TensorRole::Up => format!("blk.{layer}.ffn_up.weight"),
    }
}

#[test]
fn gguf_keys_that_may_be_absent_or_of_other_types() {
    let files = Files::new();
    let config = tiny_config();
    let mut file = gguf(&config, WeightFormat::Q8_0, 1);
    for key in [
        "llama.attention.key_length",
        "llama.attention.value_length",
        "llama.rope.dimension_count",
        "llama.vocab_size",
        "llama.rope.freq_base",
        "general.name",
        "general.license",
        "tokenizer.ggml.bos_token_id",
        "tokenizer.ggml.eos_token_id",
    ] {
        file.remove(key);
    }
    file.set(
        "llama.context_length",
        Value::Raw(10, 64_u64.to_le_bytes().to_vec()),
    );
    file.set("llama.block_count", Value::Raw(1, vec![2]));
    file.set(
        "llama.attention.layer_norm_rms_epsilon",
        Value::Raw(12, f64::from(1e-5_f32).to_le_bytes().to_vec()),
    );
    // Values of every other type, a nested array among them, are passed over.
    for kind in [0_u32, 2, 3, 11] {
        file.set(
            &format!("other.{kind}"),
            Value::Raw(
                kind,
                vec![1; [1, 1, 2, 2, 0, 0, 0, 0, 0, 0, 0, 8][kind as usize]],
            ),
        );
    }
    let inner = [
        5_u32.to_le_bytes().to_vec(),
        2_u64.to_le_bytes().to_vec(),
        vec![0; 8],
    ]
    .concat();
    file.set(
        "other.nested",
        Value::Raw(
            9,
            [
                9_u32.to_le_bytes().to_vec(),
                2_u64.to_le_bytes().to_vec(),
                inner.clone(),
                inner,
            ]
            .concat(),
        ),
    );
    file.set("general.version", Value::String(b" 2.1\n\x1b\0".to_vec()));
    file.set("tokenizer.ggml.eot_token_id", Value::U32(300));
    file.set("tokenizer.ggml.eom_token_id", Value::U32(0));
    file.set("llama.rope.scaling.type", Value::String(b"none".to_vec()));
    let source = files.open(&file.to_bytes()).unwrap();
    assert_eq!(source.config, config);
    assert_eq!(
        (
            &*source.card.name,
            &*source.card.version,
            source.card.license
        ),
        ("model", "2.1", None)
    );
    assert_eq!(source.stop_tokens, [0, 1, 2, 300]);
}

#[test]
fn a_head_of_its_own_size() {
    let config = LlamaConfig {
        head_dim: 24,
        rope_dim: 8,
        n_kv_heads: 1,
        ..tiny_config()
    };
    let files = Files::new();
    assert_eq!(
        files
            .open(&gguf(&config, WeightFormat::F32, 1).to_bytes())
            .unwrap()
            .config,
        config
    );
}

#[test]
fn llama2c_in_every_version() {
    let files = Files::new();
    for tied_head in [false, true] {
        let config = LlamaConfig {
            tied_head,
            ..tiny_config()
        };
        let open = |version, group| {
            let bytes = llama2c(&config, version, group, 3);
            let source = files.open(&bytes).unwrap();
            assert_eq!(source.config, config);
            assert_eq!(source.stop_tokens, [1, 2]);
            (bytes, source)
        };
        let (bytes, old) = open(0, 0);
        let (_, new) = open(1, 0);
        // The order of version 0: every kind of tensor for all layers, one kind after another.
        let mut at = 28;
        use TensorRole::{
            AttnNorm, Down, Embed, FfnNorm, Gate, K, O, Output, OutputNorm, Q, Up, V,
        };
        for role in [
            Embed, AttnNorm, Q, K, V, O, FfnNorm, Gate, Down, Up, OutputNorm, Output,
        ] {
            if role == Output {
                at += 64 * 16 * 4;
            }
            for layer in 0..if role.in_layer() { 2 } else { 1 } {
                let Ok(tensor) = old.tensor(role, layer) else {
                    continue;
                };
                assert!(
                    tensor.bytes == &bytes[at..at + tensor.bytes.len()],
                    "{role:?} {layer}"
                );
                at += tensor.bytes.len();
                assert_eq!(
                    new.tensor(role, layer).unwrap().bytes.len(),
                    tensor.bytes.len()
                );
            }
        }
        assert_eq!(at, bytes.len());
        for group in [32, 64] {
            let config = LlamaConfig {
                hidden_dim: 128,
                ..config.clone()
            };
            let source = files.open(&llama2c(&config, 2, group, 3)).unwrap();
            let down = source.tensor(TensorRole::Down, 1).unwrap();
            assert_eq!((down.format, down.group), (WeightFormat::Q8F, group));
            assert_eq!(down.bytes.len() as u32, 64 * 128 + 64 * 128 / group * 4);
            assert_eq!(
                source.tensor(TensorRole::FfnNorm, 1).unwrap().format,
                WeightFormat::F32
            );
            assert_eq!(source.card.quantisation, "Q8F");
        }
    }
}

/// Scales of int8 files are small positive numbers: a tensor at the wrong place would have others.
#[test]
fn llama2c_version_2_has_its_scales_where_they_belong() {
    let config = LlamaConfig {
        hidden_dim: 128,
        tied_head: false,
        ..tiny_config()
    };
    let files = Files::new();
    for group in [32, 64] {
        let source = files.open(&llama2c(&config, 2, group, 3)).unwrap();
        for role in TensorRole::ALL {
            for layer in 0..if role.in_layer() { 2 } else { 1 } {
                let tensor = source.tensor(role, layer).unwrap();
                let numbers = if role.is_norm() {
                    tensor.bytes
                } else {
                    &tensor.bytes[(tensor.rows * tensor.cols) as usize..]
                };
                for number in numbers.chunks_exact(4) {
                    let number = f32::from_le_bytes(number.try_into().unwrap());
                    let range = if role.is_norm() { 0.6..1.4 } else { 1e-4..3e-3 };
                    assert!(range.contains(&number), "{role:?} {layer}: {number}");
                }
            }
        }
    }
}

/// Sizes whose first bytes look like other kinds of files: '<' of a web page, '{' of safetensors.
#[test]
fn llama2c_that_looks_like_something_else() {
    let files = Files::new();
    let config = LlamaConfig {
        dim: 60,
        n_heads: 2,
        n_kv_heads: 1,
        head_dim: 30,
        rope_dim: 30,
        n_layers: 123,
        hidden_dim: 4,
        ..tiny_config()
    };
    assert_eq!(
        files.open(&llama2c(&config, 0, 0, 1)).unwrap().config,
        config
    );
}
