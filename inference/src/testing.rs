//! Small model files for tests: random weights, a small valid vocabulary, and writers that tests can bend.

use std::fs::File;
use std::io::Write;

use crate::format::TensorRole;
use crate::numeric::f32_to_f16;
use crate::program::{LlamaConfig, WeightFormat};

/// Notes that a test is skipped because data that it needs is not on this machine, as [`skip_without`] does.
///
/// # Panics
/// When `SWORN_REQUIRE_DATA=1` says that all data is there.
pub fn skip(message: &str) {
    assert!(
        std::env::var_os("SWORN_REQUIRE_DATA").is_none_or(|value| value != "1"),
        "{message}"
    );
    skip_without(message);
}

/// Notes that a test is skipped because a device or a compiler for it is not on this machine: prints it, and adds it to the file that
/// `SWORN_SKIP_LOG` names, whose lines `make test` counts (the output of passing tests is swallowed).
pub fn skip_without(message: &str) {
    println!("SKIP: {message}");
    if let Some(path) = std::env::var_os("SWORN_SKIP_LOG") {
        let log = File::options().create(true).append(true).open(path);
        // A count that cannot be written must not fail the test.
        let _ = log.and_then(|mut log| writeln!(log, "{message}"));
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of 0 to `end - 1`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// A number in [-1, 1).
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Sizes of a model that runs in no time: two layers, grouped heads, inner sizes that fit every format.
pub fn tiny_config() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 320,
        context: 64,
        dim: 64,
        hidden_dim: 96,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 16,
        rope_dim: 16,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tied_head: true,
    }
}

/// Sizes of models that people run, for measurements: 15M, 110M (llama2.c's stories), 1.1B (TinyLlama) and 8B (Llama 3). None for another name.
pub fn shape_config(shape: &str, context: u32) -> Option<LlamaConfig> {
    let [vocab_size, dim, hidden_dim, n_layers, n_heads, n_kv_heads] = match shape {
        "15M" => [32_000, 288, 768, 6, 6, 6],
        "110M" => [32_000, 768, 2048, 12, 12, 12],
        "1.1B" => [32_000, 2048, 5632, 22, 32, 4],
        "8B" => [128_256, 4096, 14_336, 32, 32, 8],
        _ => return None,
    };
    Some(LlamaConfig {
        vocab_size,
        dim,
        hidden_dim,
        n_layers,
        n_heads,
        n_kv_heads,
        context,
        head_dim: dim / n_heads,
        rope_dim: dim / n_heads,
        ..tiny_config()
    })
}

/// The bytes of a random tensor as files hold it; `group` matters for Q8F only.
pub fn tensor_bytes(
    format: WeightFormat,
    rows: u64,
    cols: u64,
    group: u64,
    random: &mut Random,
) -> Vec<u8> {
    let count = (rows * cols) as usize;
    let spread = 1.5 / (cols as f32).sqrt();
    let mut out = Vec::new();
    match format {
        WeightFormat::F32 => {
            (0..count).for_each(|_| out.extend((random.unit() * spread).to_le_bytes()))
        }
        WeightFormat::F16 => {
            (0..count).for_each(|_| out.extend(f32_to_f16(random.unit() * spread).to_le_bytes()))
        }
        WeightFormat::Q8_0 | WeightFormat::Q4_0 => {
            let (bytes, largest) = if format == WeightFormat::Q8_0 {
                (32, 127.0)
            } else {
                (16, 8.0)
            };
            for _ in 0..count / 32 {
                out.extend(
                    f32_to_f16((1.5 + random.unit() * 0.5) * spread / 2.0 / largest).to_le_bytes(),
                );
                out.extend((0..bytes).map(|_| random.bits() as u8));
            }
        }
        WeightFormat::Q8F => {
            out.extend((0..count).map(|_| random.bits() as u8));
            for _ in 0..count / group as usize {
                out.extend(((1.5 + random.unit() * 0.5) * spread / 2.0 / 127.0).to_le_bytes());
            }
        }
    }
    out
}

/// An RMSNorm weight.
fn norm_bytes(cols: u64, random: &mut Random) -> Vec<u8> {
    (0..cols)
        .flat_map(|_| (1.0 + random.unit() * 0.3).to_le_bytes())
        .collect()
}

/// A token of a vocabulary file: piece (with spaces), score, type number of GGUF.
pub type Token = (Vec<u8>, f32, u32);

/// A vocabulary of at least 259 tokens: unknown, BOS, EOS, 256 bytes, then a space, letters and random merges of them.
pub fn vocabulary(size: u32) -> Vec<Token> {
    let mut tokens: Vec<Token> = vec![
        (b"<unk>".to_vec(), 0.0, 2),
        (b"<s>".to_vec(), 0.0, 3),
        (b"</s>".to_vec(), 0.0, 3),
    ];
    tokens.extend((0..256).map(|byte| (format!("<0x{byte:02X}>").into_bytes(), 0.0, 6)));
    let alphabet = b" etaoinshrdlucmfwygpbvkxqjz";
    let mut random = Random(7);
    while tokens.len() < size as usize {
        let index = tokens.len() - 259;
        let piece = match alphabet.get(index) {
            Some(letter) => vec![*letter],
            None => {
                let mut part = || tokens[259 + random.below(index)].0.clone();
                [part(), part()].concat()
            }
        };
        // A space only at the start, as SentencePiece makes them, and every piece once.
        let clean = piece.len() <= 12
            && !piece[1..].contains(&b' ')
            && tokens.iter().all(|token| token.0 != piece);
        if clean {
            tokens.push((piece, -(index as f32), 1));
        }
    }
    tokens
}

/// A `tokenizer.bin` of llama2.c.
pub fn tokenizer_bin(tokens: &[Token]) -> Vec<u8> {
    let longest = tokens.iter().map(|token| token.0.len()).max().unwrap_or(0) as u32;
    let mut out = longest.to_le_bytes().to_vec();
    for (piece, score, _) in tokens {
        out.extend(score.to_le_bytes());
        out.extend((piece.len() as u32).to_le_bytes());
        out.extend(piece);
    }
    out
}

/// A checkpoint of llama2.c of version 0, 1 or 2; `group` is the group size of version 2.
pub fn llama2c(config: &LlamaConfig, version: u32, group: u32, seed: u64) -> Vec<u8> {
    use TensorRole::{AttnNorm, Down, Embed, FfnNorm, Gate, K, O, Output, OutputNorm, Q, Up, V};
    let vocab = config.vocab_size as i32;
    let sizes = [
        config.dim,
        config.hidden_dim,
        config.n_layers,
        config.n_heads,
        config.n_kv_heads,
    ]
    .map(|size| size as i32);
    let vocab = if version == 0 && !config.tied_head {
        -vocab
    } else {
        vocab
    };
    let sizes = sizes
        .into_iter()
        .chain([vocab, config.context as i32])
        .flat_map(i32::to_le_bytes);
    let mut out = Vec::new();
    if version > 0 {
        out.extend(0x616b_3432_u32.to_le_bytes());
        out.extend(version.to_le_bytes());
    }
    out.extend(sizes);
    if version > 0 {
        out.push(u8::from(config.tied_head));
        if version == 2 {
            out.extend(group.to_le_bytes());
        }
        out.resize(256, 0);
    }
    let order = match version {
        0 => [
            Embed, AttnNorm, Q, K, V, O, FfnNorm, Gate, Down, Up, OutputNorm, Output,
        ],
        _ => [
            AttnNorm, FfnNorm, OutputNorm, Embed, Q, K, V, O, Gate, Down, Up, Output,
        ],
    };
    let mut random = Random(seed);
    for role in order {
        if role == Output && version == 0 {
            out.resize(
                out.len() + (config.context * config.head_dim * 4) as usize,
                0,
            );
        }
        let copies = match role {
            Output if config.tied_head => 0,
            role if role.in_layer() => config.n_layers,
            _ => 1,
        };
        let (rows, cols) = role.shape(config);
        let format = if version == 2 {
            WeightFormat::Q8F
        } else {
            WeightFormat::F32
        };
        for _ in 0..copies {
            out.extend(match role.is_norm() {
                true => norm_bytes(cols, &mut random),
                false => tensor_bytes(format, rows, cols, group.into(), &mut random),
            });
        }
    }
    out
}

/// A metadata value.
#[derive(Debug, Clone)]
pub enum Value {
    /// Type 4.
    U32(u32),
    /// Type 6.
    F32(f32),
    /// Type 7.
    Bool(bool),
    /// Type 8.
    String(Vec<u8>),
    /// Type 9 of type 8.
    Strings(Vec<Vec<u8>>),
    /// Type 9 of type 6.
    F32s(Vec<f32>),
    /// Type 9 of type 5.
    I32s(Vec<i32>),
    /// Any type number and bytes.
    Raw(u32, Vec<u8>),
}

impl Value {
    fn write(&self, out: &mut Vec<u8>) {
        let string = |text: &[u8], out: &mut Vec<u8>| {
            out.extend((text.len() as u64).to_le_bytes());
            out.extend(text);
        };
        let array = |element: u32, count: usize, out: &mut Vec<u8>| {
            out.extend([9, element].map(u32::to_le_bytes).concat());
            out.extend((count as u64).to_le_bytes());
        };
        match self {
            Value::U32(value) => out.extend([4, *value].map(u32::to_le_bytes).concat()),
            Value::F32(value) => out.extend([6, value.to_bits()].map(u32::to_le_bytes).concat()),
            Value::Bool(value) => {
                out.extend(7_u32.to_le_bytes());
                out.push(u8::from(*value));
            }
            Value::String(text) => {
                out.extend(8_u32.to_le_bytes());
                string(text, out);
            }
            Value::Strings(texts) => {
                array(8, texts.len(), out);
                texts.iter().for_each(|text| string(text, out));
            }
            Value::F32s(values) => {
                array(6, values.len(), out);
                values
                    .iter()
                    .for_each(|value| out.extend(value.to_le_bytes()));
            }
            Value::I32s(values) => {
                array(5, values.len(), out);
                values
                    .iter()
                    .for_each(|value| out.extend(value.to_le_bytes()));
            }
            Value::Raw(kind, bytes) => {
                out.extend(kind.to_le_bytes());
                out.extend(bytes);
            }
        }
    }
}

/// A tensor of a GGUF file.
#[derive(Debug, Clone)]
pub struct GgufTensor {
    /// Name.
    pub name: String,
    /// Sizes, columns first.
    pub shape: Vec<u64>,
    /// Type number of GGML.
    pub kind: u32,
    /// Offset in the data section; where the tensor before it ends when nothing.
    pub offset: Option<u64>,
    /// Bytes.
    pub data: Vec<u8>,
}

/// A GGUF file before it is written.
#[derive(Debug, Clone)]
pub struct Gguf {
    /// Version.
    pub version: u32,
    /// Alignment of the tensors; say it with `general.alignment` when it is not 32.
    pub alignment: usize,
    /// Keys and values.
    pub keys: Vec<(String, Value)>,
    /// Tensors.
    pub tensors: Vec<GgufTensor>,
}

impl Gguf {
    /// Sets or adds a key.
    pub fn set(&mut self, key: &str, value: Value) {
        self.remove(key);
        self.keys.push((key.to_owned(), value));
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        self.keys.retain(|(other, _)| other != key);
    }

    /// A tensor by name.
    ///
    /// # Panics
    /// If there is none.
    pub fn tensor(&mut self, name: &str) -> &mut GgufTensor {
        let found = self.tensors.iter_mut().find(|tensor| tensor.name == name);
        found.unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let name = |text: &str, out: &mut Vec<u8>| {
            out.extend((text.len() as u64).to_le_bytes());
            out.extend(text.as_bytes());
        };
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            name(key, &mut out);
            value.write(&mut out);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            name(&tensor.name, &mut out);
            out.extend((tensor.shape.len() as u32).to_le_bytes());
            tensor
                .shape
                .iter()
                .for_each(|size| out.extend(size.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend(tensor.offset.unwrap_or(offset as u64).to_le_bytes());
            offset += tensor.data.len().next_multiple_of(self.alignment);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(self.alignment), 0);
            out.extend(&tensor.data);
        }
        out
    }
}

/// A GGUF file with the vocabulary only.
pub fn gguf_vocabulary(tokens: &[Token]) -> Gguf {
    let text = |piece: &[u8]| {
        String::from_utf8_lossy(piece)
            .replace(' ', "\u{2581}")
            .into_bytes()
    };
    let keys = [
        ("general.architecture", Value::String(b"llama".to_vec())),
        ("tokenizer.ggml.model", Value::String(b"llama".to_vec())),
        (
            "tokenizer.ggml.tokens",
            Value::Strings(tokens.iter().map(|token| text(&token.0)).collect()),
        ),
        (
            "tokenizer.ggml.scores",
            Value::F32s(tokens.iter().map(|token| token.1).collect()),
        ),
        (
            "tokenizer.ggml.token_type",
            Value::I32s(tokens.iter().map(|token| token.2 as i32).collect()),
        ),
        ("tokenizer.ggml.bos_token_id", Value::U32(1)),
        ("tokenizer.ggml.eos_token_id", Value::U32(2)),
        ("tokenizer.ggml.unknown_token_id", Value::U32(0)),
    ];
    Gguf {
        version: 3,
        alignment: 32,
        keys: keys.map(|(key, value)| (key.to_owned(), value)).to_vec(),
        tensors: Vec::new(),
    }
}

/// A GGUF model whose matrices all have `format`.
pub fn gguf(config: &LlamaConfig, format: WeightFormat, seed: u64) -> Gguf {
    let mut file = gguf_vocabulary(&vocabulary(config.vocab_size));
    let numbers = [
        ("llama.context_length", config.context),
        ("llama.embedding_length", config.dim),
        ("llama.block_count", config.n_layers),
        ("llama.feed_forward_length", config.hidden_dim),
        ("llama.attention.head_count", config.n_heads),
        ("llama.attention.head_count_kv", config.n_kv_heads),
        ("llama.attention.key_length", config.head_dim),
        ("llama.attention.value_length", config.head_dim),
        ("llama.rope.dimension_count", config.rope_dim),
        ("llama.vocab_size", config.vocab_size),
    ];
    for (key, value) in numbers {
        file.set(key, Value::U32(value));
    }
    file.set("llama.rope.freq_base", Value::F32(config.rope_theta));
    file.set(
        "llama.attention.layer_norm_rms_epsilon",
        Value::F32(config.norm_eps),
    );
    file.set("general.name", Value::String(b"tiny".to_vec()));
    file.set("general.license", Value::String(b"MIT".to_vec()));
    let kind = match format {
        WeightFormat::F32 | WeightFormat::Q8F => 0,
        WeightFormat::F16 => 1,
        WeightFormat::Q4_0 => 2,
        WeightFormat::Q8_0 => 8,
    };
    let mut random = Random(seed);
    for role in TensorRole::ALL {
        if role == TensorRole::Output && config.tied_head {
            continue;
        }
        let (rows, cols) = role.shape(config);
        for layer in 0..if role.in_layer() { config.n_layers } else { 1 } {
            let norm = role.is_norm();
            let data = match norm {
                true => norm_bytes(cols, &mut random),
                false => tensor_bytes(
                    if kind == 0 { WeightFormat::F32 } else { format },
                    rows,
                    cols,
                    32,
                    &mut random,
                ),
            };
            file.tensors.push(GgufTensor {
                name: role.gguf_name(layer),
                shape: if norm { vec![cols] } else { vec![cols, rows] },
                kind: if norm { 0 } else { kind },
                offset: None,
                data,
            });
        }
    }
    file
}
