//! Model files that are damaged, foreign or made to hurt: always a clear error, never a panic.

mod common;

use common::Files;
use proptest::prelude::*;
use sworn_inference::Error;
use sworn_inference::format::{ModelSource, TensorRole};
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::testing::{Gguf, GgufTensor, Random, Value, gguf, llama2c, tiny_config};

/// Opens, and uses everything of what opened.
fn try_open(files: &Files, bytes: &[u8]) -> Result<(), Error> {
    let source = files.open(bytes)?;
    assert_eq!(source.tokenizer.vocab_size(), source.config.vocab_size);
    assert!(!source.stop_tokens.is_empty() && source.stop_tokens.is_sorted());
    assert!(
        source
            .stop_tokens
            .iter()
            .all(|token| *token < source.config.vocab_size)
    );
    for role in TensorRole::ALL {
        if role == TensorRole::Output && source.config.tied_head {
            continue;
        }
        for layer in 0..if role.in_layer() {
            source.config.n_layers
        } else {
            1
        } {
            let tensor = source.tensor(role, layer).unwrap();
            let last = (tensor.cols - 1) / 256;
            let mut leaf = Vec::new();
            tensor.write_leaf(0, 0, &mut leaf);
            tensor.write_leaf(tensor.rows - 1, last, &mut leaf);
            assert_eq!(leaf.len(), 2 * tensor.format.leaf_bytes());
        }
    }
    Ok(())
}

/// The message of a file that must not open: with the file's name and all four parts.
fn message(files: &Files, bytes: &[u8]) -> String {
    match files.open(bytes) {
        Ok(_) => panic!("the file was read"),
        Err(error @ Error::BadFile { .. }) => {
            let message = error.to_string();
            assert!(
                message.contains("model.bin")
                    && message.contains("found")
                    && message.contains("expected"),
                "{message}"
            );
            message
        }
        Err(other) => panic!("{other}"),
    }
}

/// A model of a few kilobytes.
fn small() -> LlamaConfig {
    LlamaConfig {
        dim: 32,
        hidden_dim: 32,
        n_layers: 1,
        n_heads: 2,
        n_kv_heads: 1,
        ..tiny_config()
    }
}

fn bend(change: impl Fn(&mut Gguf)) -> Vec<u8> {
    let mut file = gguf(&small(), WeightFormat::Q8_0, 1);
    change(&mut file);
    file.to_bytes()
}

#[test]
fn gguf_messages() {
    let files = Files::new();
    let bad = |change: &dyn Fn(&mut Gguf), expected: &str| {
        let message = message(&files, &bend(change));
        assert!(message.contains(expected), "{message}\nlacks {expected}");
    };
    let text = |text: &str| Value::String(text.as_bytes().to_vec());
    // The container.
    bad(
        &|file| file.version = 1,
        "version 1, expected version 2 or 3",
    );
    bad(&|file| file.version = 4, "version 4");
    bad(&|file| file.version = 3_u32.swap_bytes(), "big-endian");
    bad(
        &|file| file.set("general.alignment", Value::U32(0)),
        "general.alignment",
    );
    bad(
        &|file| file.set("general.alignment", Value::U32(48)),
        "power of two",
    );
    bad(
        &|file| file.keys.push(file.keys[0].clone()),
        "the key twice",
    );
    bad(
        &|file| file.tensors.push(file.tensors[0].clone()),
        "the tensor twice",
    );
    bad(
        &|file| file.set("x", Value::Raw(13, vec![0; 8])),
        "found 13, expected 0 to 12",
    );
    bad(
        &|file| file.set("x", Value::Raw(7, vec![2])),
        "found 2, expected 0 or 1",
    );
    bad(&|file| file.set("x", Value::Raw(9, vec![9; 12])), "x");
    // Numbers that no file could keep.
    let huge = [
        8_u32.to_le_bytes().to_vec(),
        u64::MAX.to_le_bytes().to_vec(),
    ]
    .concat();
    bad(
        &|file| file.set("x", Value::Raw(9, huge.clone())),
        "truncated",
    );
    let huge = [
        10_u32.to_le_bytes().to_vec(),
        u64::MAX.to_le_bytes().to_vec(),
    ]
    .concat();
    bad(
        &|file| file.set("x", Value::Raw(9, huge.clone())),
        "truncated",
    );
    bad(
        &|file| file.set("x", Value::Raw(8, u64::MAX.to_le_bytes().to_vec())),
        "truncated",
    );
    let nested = [9_u32.to_le_bytes().to_vec(), 1_u64.to_le_bytes().to_vec()]
        .concat()
        .repeat(6);
    bad(
        &|file| file.set("x", Value::Raw(9, nested.clone())),
        "nested at most 4 deep",
    );
    bad(
        &|file| file.tensors[0].shape = vec![u64::MAX, u64::MAX],
        "shape of tensor",
    );
    bad(
        &|file| file.tensors[0].shape = vec![1 << 40, 1 << 40],
        "shape of tensor",
    );
    bad(
        &|file| file.tensors[0].shape = vec![32, 0],
        "shape of tensor",
    );
    bad(&|file| file.tensors[0].shape = vec![], "0 dimensions");
    bad(&|file| file.tensors[0].shape = vec![1; 5], "5 dimensions");
    bad(
        &|file| file.tensors[0].shape = vec![32, 160, 2],
        "at most two dimensions",
    );
    bad(
        &|file| file.tensors[0].shape = vec![33, 320],
        "multiple of 32",
    );
    bad(
        &|file| file.tensors[1].offset = Some(32),
        "where the tensor before it ends",
    );
    bad(
        &|file| file.tensors[1].offset = Some(33),
        "a multiple of the alignment",
    );
    bad(
        &|file| file.tensors[1].offset = Some(u64::MAX - 31),
        "truncated",
    );
    // Quantisations by their names.
    bad(
        &|file| file.tensor("blk.0.attn_q.weight").kind = 12,
        "found Q4_K, expected F32, F16, Q8_0 or Q4_0",
    );
    bad(
        &|file| file.tensor("blk.0.attn_q.weight").kind = 30,
        "found BF16",
    );
    bad(
        &|file| file.tensor("blk.0.attn_q.weight").kind = 99,
        "unknown type 99",
    );
    // The architecture.
    bad(
        &|file| file.set("general.architecture", text("qwen2")),
        "found \"qwen2\", expected \"llama\"",
    );
    bad(
        &|file| file.remove("general.architecture"),
        "general.architecture",
    );
    bad(
        &|file| file.set("llama.rope.scaling.type", text("yarn")),
        "found \"yarn\"",
    );
    bad(
        &|file| file.set("llama.rope.scaling.factor", Value::F32(4.0)),
        "found 4",
    );
    bad(
        &|file| file.set("llama.rope.scale_linear", Value::F32(2.0)),
        "found 2",
    );
    bad(
        &|file| file.set("llama.expert_count", Value::U32(8)),
        "llama.expert_count",
    );
    bad(
        &|file| file.set("llama.attention.sliding_window", Value::U32(16)),
        "sliding_window",
    );
    bad(
        &|file| file.set("llama.rope.scaling.attn_factor", Value::F32(0.5)),
        "found 0.5",
    );
    bad(
        &|file| file.set("llama.attention.causal", Value::Bool(false)),
        "found false",
    );
    bad(
        &|file| file.set("split.count", Value::Raw(2, vec![9, 0])),
        "one of 9 files",
    );
    let extra = |name: &str| GgufTensor {
        name: name.to_owned(),
        shape: vec![8],
        kind: 0,
        offset: None,
        data: vec![0; 32],
    };
    bad(
        &|file| file.tensors.push(extra("rope_freqs.weight")),
        "frequency factors",
    );
    bad(
        &|file| file.tensors.push(extra("blk.0.attn_q.bias")),
        "\"blk.0.attn_q.bias\"",
    );
    for key in [
        "context_length",
        "embedding_length",
        "block_count",
        "feed_forward_length",
        "attention.head_count",
        "attention.layer_norm_rms_epsilon",
    ] {
        let key = format!("llama.{key}");
        bad(&|file| file.remove(&key), &key);
        bad(&|file| file.set(&key, text("many")), "a string of 4 bytes");
        bad(
            &|file| file.set(&key, Value::Raw(5, (-1_i32).to_le_bytes().to_vec())),
            "-1",
        );
        bad(&|file| file.set(&key, Value::U32(0)), "0");
    }
    bad(
        &|file| file.set("llama.attention.head_count", Value::I32s(vec![2, 2])),
        "an array of 2 values",
    );
    bad(
        &|file| file.set("llama.block_count", Value::U32(2)),
        "blk.1.attn_norm.weight",
    );
    bad(
        &|file| file.set("llama.block_count", Value::U32(u32::MAX)),
        "number of layers",
    );
    bad(
        &|file| file.set("llama.block_count", Value::U32(4096)),
        "blk.1.attn_norm.weight",
    );
    bad(
        &|file| file.set("llama.embedding_length", Value::U32(64)),
        "320 rows x 32 columns, expected 320 rows x 64 columns",
    );
    bad(
        &|file| file.set("llama.attention.head_count_kv", Value::U32(3)),
        "a divisor",
    );
    bad(
        &|file| file.set("llama.attention.head_count_kv", Value::U32(0)),
        "key/value heads",
    );
    let widen = |file: &mut Gguf| {
        file.set("llama.attention.key_length", Value::U32(u32::MAX));
        file.set("llama.attention.value_length", Value::U32(u32::MAX));
    };
    bad(&widen, "head size");
    bad(
        &|file| file.set("llama.attention.value_length", Value::U32(8)),
        "like the key length",
    );
    bad(
        &|file| file.set("llama.rope.dimension_count", Value::U32(7)),
        "an even number",
    );
    bad(
        &|file| file.set("llama.rope.dimension_count", Value::U32(18)),
        "at most the head size",
    );
    bad(
        &|file| file.set("llama.rope.freq_base", Value::F32(f32::NAN)),
        "NaN",
    );
    bad(
        &|file| {
            file.set(
                "llama.attention.layer_norm_rms_epsilon",
                Value::F32(f32::INFINITY),
            )
        },
        "inf",
    );
    bad(&|file| file.set("llama.vocab_size", Value::U32(321)), "321");
    bad(
        &|file| {
            file.tensors
                .retain(|tensor| tensor.name != "token_embd.weight")
        },
        "token_embd.weight",
    );
    bad(
        &|file| {
            file.tensors
                .retain(|tensor| tensor.name != "blk.0.ffn_up.weight")
        },
        "blk.0.ffn_up.weight",
    );
    bad(&|file| file.tensors.clear(), "token_embd.weight");
    // A norm that is not F32.
    let halve = |file: &mut Gguf| {
        let norm = file.tensor("output_norm.weight");
        (norm.kind, norm.data) = (1, vec![0; 64]);
    };
    bad(&halve, "found F16, expected F32");
    // The tokenizer.
    bad(
        &|file| file.set("tokenizer.ggml.model", text("gpt2")),
        "found \"gpt2\", expected \"llama\"",
    );
    for key in ["model", "tokens", "scores", "token_type"] {
        let key = format!("tokenizer.ggml.{key}");
        bad(&|file| file.remove(&key), &key);
        bad(&|file| file.set(&key, Value::U32(1)), &key);
    }
    bad(
        &|file| file.set("tokenizer.ggml.scores", Value::F32s(vec![0.0; 319])),
        "319 values, expected 320",
    );
    bad(
        &|file| file.set("tokenizer.ggml.token_type", Value::I32s(vec![1; 321])),
        "321 values, expected 320",
    );
    bad(
        &|file| file.set("tokenizer.ggml.token_type", Value::I32s(vec![7; 320])),
        "expected 1 to 6",
    );
    bad(
        &|file| file.set("tokenizer.ggml.token_type", Value::I32s(vec![1; 320])),
        "none for <0x00>",
    );
    bad(
        &|file| file.set("tokenizer.ggml.token_type", Value::I32s(vec![6; 320])),
        "byte token 0",
    );
    bad(
        &|file| file.set("tokenizer.ggml.scores", Value::F32s(vec![f32::NAN; 320])),
        "NaN",
    );
    bad(
        &|file| file.set("tokenizer.ggml.bos_token_id", Value::U32(320)),
        "below 320",
    );
    bad(
        &|file| file.set("tokenizer.ggml.eot_token_id", Value::U32(320)),
        "below 320",
    );
    bad(
        &|file| file.set("tokenizer.ggml.add_bos_token", Value::U32(1)),
        "true or false",
    );
    let shrink = |file: &mut Gguf| {
        let embedding = file.tensor("token_embd.weight");
        (embedding.shape, embedding.data) = (vec![32, 300], embedding.data[..300 * 34].to_vec());
        file.remove("llama.vocab_size");
    };
    bad(
        &shrink,
        "found 320 tokens, expected 300, the rows of the embedding",
    );
}

#[test]
fn llama2c_messages() {
    let files = Files::new();
    let config = LlamaConfig {
        hidden_dim: 96,
        ..small()
    };
    let bad = |version: u32, change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let mut bytes = llama2c(&config, version, 32, 1);
        change(&mut bytes);
        let message = message(&files, &bytes);
        assert!(message.contains(expected), "{message}\nlacks {expected}");
    };
    let put = |at: usize, value: i32| {
        move |bytes: &mut Vec<u8>| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes())
    };
    for version in 0..3 {
        let header = if version == 0 { 0 } else { 8 };
        bad(version, &|bytes| bytes.push(0), "foreign bytes at its end");
        bad(
            version,
            &|bytes| bytes.truncate(bytes.len() - 1),
            "truncated",
        );
        bad(version, &put(header + 8, 4096), "bytes by its header");
        bad(
            version,
            &put(header + 12, 3),
            "a divisor of the embedding length",
        );
        bad(version, &put(header + 12, 32), "an even number");
        bad(version, &put(header + 20, 321), "bytes by its header");
        if version > 0 {
            bad(version, &put(header + 8, i32::MAX), "number of layers");
            bad(version, &put(header, 0), "embedding length");
            bad(version, &put(header + 4, -1), "feed-forward length");
            bad(version, &put(header + 16, 0), "key/value heads");
            bad(version, &put(header + 20, i32::MIN), "vocabulary size");
            bad(version, &put(header + 24, i32::MAX), "context length");
            bad(version, &|bytes| bytes[36] = 2, "shared classifier");
            bad(version, &|bytes| bytes[36] = 0, "bytes by its header");
            bad(version, &put(4, 3), "llama2.c version: found 3");
        } else {
            bad(version, &put(20, -320), "bytes by its header");
        }
    }
    bad(2, &put(37, 16), "group size: found 16, expected 32 or 64");
    bad(2, &put(37, 0), "group size: found 0");
    // 32 and 96 columns do not hold groups of 64.
    bad(2, &put(37, 64), "a multiple of the group size 64");
}

#[test]
fn foreign_files() {
    let files = Files::new();
    let foreign: [(&[u8], &str); 9] = [
        (b"", "an empty file"),
        (b"FUGG", "big-endian"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x10\0\0\0\0\0\0\0{\"a\":1}", "safetensors"),
        (b"tjgg1234", "before GGUF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!doctype html>", "web page"),
        (b"GG", "starts with \"GG\""),
        (&[0xff; 64], "starts with"),
    ];
    for (bytes, expected) in foreign {
        let message = message(&files, bytes);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn paths_and_tokenizers_that_do_not_fit() {
    let files = Files::new();
    let missing = files.path().join("no such file");
    assert!(
        matches!(ModelSource::open(&missing, None), Err(Error::Io { path, .. }) if path == missing)
    );
    assert!(matches!(
        ModelSource::open(files.path(), None),
        Err(Error::Io { .. })
    ));
    let model = files.path().join("model");
    std::fs::write(&model, llama2c(&small(), 0, 0, 1)).unwrap();
    let message = |tokenizer| {
        ModelSource::open(&model, tokenizer)
            .unwrap_err()
            .to_string()
    };
    assert!(message(None).contains("name the tokenizer.bin"));
    assert!(message(Some(&*missing)).contains("no such file"));
    let other = files.path().join("other.bin");
    std::fs::write(
        &other,
        sworn_inference::testing::tokenizer_bin(&sworn_inference::testing::vocabulary(300)),
    )
    .unwrap();
    let fault = message(Some(&*other));
    assert!(
        fault.contains("other.bin") && fault.contains("300 pieces, expected 320"),
        "{fault}"
    );
    std::fs::write(&model, gguf(&small(), WeightFormat::F32, 1).to_bytes()).unwrap();
    assert!(message(Some(&*other)).contains("leave the tokenizer file out"));
}

/// The files that are cut and bent, each with the length of what comes before its weights.
fn victims() -> Vec<(Vec<u8>, usize)> {
    let config = small();
    let mut files: Vec<_> = (0..3)
        .map(|version| (llama2c(&config, version, 32, 1), 256))
        .collect();
    let file = gguf(&config, WeightFormat::Q4_0, 1);
    let data = file
        .tensors
        .iter()
        .map(|tensor| tensor.data.len().next_multiple_of(32));
    let bytes = file.to_bytes();
    let header = bytes.len() - data.sum::<usize>();
    files.push((bytes, header));
    files
}

#[test]
fn every_truncation_is_refused() {
    let files = Files::new();
    for (bytes, _) in victims() {
        // All lengths where the headers and the last tensor are, every 97th between.
        let lengths = (0..bytes.len())
            .filter(|length| *length < 300 || *length % 97 == 0 || bytes.len() - *length < 40);
        for length in lengths {
            if let Ok(()) = try_open(&files, &bytes[..length]) {
                panic!("a file of {} bytes was read at {length}", bytes.len());
            }
        }
    }
}

#[test]
fn bent_headers_are_refused_or_read() {
    let files = Files::new();
    let mut refused = 0;
    for (mut bytes, header) in victims() {
        for at in 0..header {
            // The long vocabulary of the GGUF file is sampled.
            if at > 400 && at % 7 != 0 && at + 1500 < header {
                continue;
            }
            for change in [0xff_u8, 0x80, 1] {
                bytes[at] ^= change;
                refused += usize::from(try_open(&files, &bytes).is_err());
                bytes[at] ^= change;
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}

proptest! {
    #[test]
    fn random_bytes_are_refused_or_read(start in 0..4_usize, bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let starts: [&[u8]; 4] = [b"", b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0", b"24ka\x01\0\0\0", b"24ka\x02\0\0\0"];
        let _ = try_open(&Files::new(), &[starts[start], &bytes].concat());
    }

    #[test]
    fn random_changes_are_refused_or_read(victim in 0..4_usize, seed in any::<u64>(), count in 1..6) {
        let (mut bytes, _) = victims().swap_remove(victim);
        let mut random = Random(seed);
        for _ in 0..count {
            let at = match random.below(2) {
                0 => random.below(300),
                _ => random.below(bytes.len()),
            };
            let length = random.below(9).min(bytes.len() - at);
            match random.below(3) {
                0 => bytes[at..at + length].iter_mut().for_each(|byte| *byte = random.bits() as u8),
                1 => drop(bytes.drain(at..at + length)),
                _ => drop(bytes.splice(at..at, vec![random.bits() as u8; length])),
            }
        }
        let _ = try_open(&Files::new(), &bytes);
    }
}
