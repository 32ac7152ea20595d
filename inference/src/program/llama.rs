//! The compiler of llama-class models: configuration in, program out.
//!
//! ```text
//! head   x = embed(token)
//! body   h = norm(x);  q, k = rope(Wq h), rope(Wk h);  v = Wv h;  x += Wo attention(q, f16(k), f16(v))
//!        h = norm(x);  x += Wdown (silu(Wgate h) * Wup h)
//! tail   logits = Whead norm(x)
//! ```
//! A matrix of a quantised format takes its input through one `quantise`, shared by all matrices with that input.

use super::{CARRY, Entry, Op, Parts, Program, ProgramError, UNUSED, WeightFormat};
use crate::format::TensorRole;

/// The numbers that shape a llama-class model.
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// Tokens in the vocabulary.
    pub vocab_size: u32,
    /// Largest number of tokens of a run.
    pub context: u32,
    /// Width of the residual stream.
    pub dim: u32,
    /// Width of the feed-forward layer.
    pub hidden_dim: u32,
    /// Layers.
    pub n_layers: u32,
    /// Query heads.
    pub n_heads: u32,
    /// Key/value heads; divides `n_heads`.
    pub n_kv_heads: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Elements of a head that are rotated; even, at most `head_dim`.
    pub rope_dim: u32,
    /// Base of the rotation frequencies.
    pub rope_theta: f32,
    /// Added to the mean square in RMSNorm.
    pub norm_eps: f32,
    /// Whether the embedding is the output matrix too.
    pub tied_head: bool,
}

/// The weight formats of a model's matrices; all layers are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatrixFormats {
    /// Token embedding.
    pub embed: WeightFormat,
    /// Query matrix.
    pub q: WeightFormat,
    /// Key matrix.
    pub k: WeightFormat,
    /// Value matrix.
    pub v: WeightFormat,
    /// Attention output matrix.
    pub o: WeightFormat,
    /// Gate matrix.
    pub gate: WeightFormat,
    /// Up matrix.
    pub up: WeightFormat,
    /// Down matrix.
    pub down: WeightFormat,
    /// Output matrix; the embedding's when tied.
    pub output: WeightFormat,
}

impl MatrixFormats {
    /// The same format for every matrix.
    pub fn all(format: WeightFormat) -> MatrixFormats {
        let f = format;
        MatrixFormats {
            embed: f,
            q: f,
            k: f,
            v: f,
            o: f,
            gate: f,
            up: f,
            down: f,
            output: f,
        }
    }
}

/// What a weight tensor of the program is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightSource {
    /// A tensor of the model file, with its layer.
    Tensor(TensorRole, u32),
    /// The rotation table, made from the configuration.
    RopeTable,
}

// Weight numbers of the head, and of a layer counted from its first.
const W_EMBED: u16 = 0;
const W_ROPE: u16 = 1;
const HEAD_WEIGHTS: u16 = 2;
const LAYER_ROLES: [TensorRole; 9] = [
    TensorRole::AttnNorm,
    TensorRole::Q,
    TensorRole::K,
    TensorRole::V,
    TensorRole::O,
    TensorRole::FfnNorm,
    TensorRole::Gate,
    TensorRole::Up,
    TensorRole::Down,
];

/// The weight tensors of the compiled program, in its global order.
pub fn weight_sources(config: &LlamaConfig) -> Vec<WeightSource> {
    let mut sources = vec![
        WeightSource::Tensor(TensorRole::Embed, 0),
        WeightSource::RopeTable,
    ];
    for layer in 0..config.n_layers {
        sources.extend(LAYER_ROLES.map(|role| WeightSource::Tensor(role, layer)));
    }
    sources.push(WeightSource::Tensor(TensorRole::OutputNorm, 0));
    if !config.tied_head {
        sources.push(WeightSource::Tensor(TensorRole::Output, 0));
    }
    sources
}

/// Compiles a configuration. The same input gives the same bytes, on every machine.
///
/// # Errors
/// Sizes that don't fit each other or the machine.
pub fn compile(
    config: &LlamaConfig,
    formats: &MatrixFormats,
    stop_tokens: &[u32],
) -> Result<Program, ProgramError> {
    let layers = u16::try_from(config.n_layers)
        .map_err(|_| ProgramError::new("layers", config.n_layers, "at most 65535"))?;
    if config.tied_head && formats.output != formats.embed {
        let (found, expected) = (
            format!("{:?}", formats.output),
            format!("{:?}, the embedding's, as they are tied", formats.embed),
        );
        return Err(ProgramError::new(
            "format of the output matrix",
            found,
            expected,
        ));
    }
    let width = product("n_heads x head_dim", config.n_heads, config.head_dim)?;
    let kv_width = product("n_kv_heads x head_dim", config.n_kv_heads, config.head_dim)?;
    let (dim, hidden) = (config.dim, config.hidden_dim);

    let mut head = Table {
        first: 0,
        entries: Vec::new(),
        quantised: None,
    };
    head.push(
        Op::Embed,
        formats.embed,
        &[],
        Some(W_EMBED),
        [dim, 0, 0],
        [0; 2],
    );

    let mut body = Table {
        first: head.next(),
        entries: Vec::new(),
        quantised: None,
    };
    let [
        w_attn_norm,
        w_q,
        w_k,
        w_v,
        w_o,
        w_ffn_norm,
        w_gate,
        w_up,
        w_down,
    ] = std::array::from_fn(|i| HEAD_WEIGHTS + i as u16);
    let h = body.norm(CARRY, w_attn_norm, dim, config.norm_eps);
    let q = body.matmul(h, w_q, formats.q, width, dim);
    let k = body.matmul(h, w_k, formats.k, kv_width, dim);
    let v = body.matmul(h, w_v, formats.v, kv_width, dim);
    let q = body.rope(q, width, config);
    let k = body.rope(k, kv_width, config);
    let k = body.plain(Op::ToF16, &[k], kv_width);
    let v = body.plain(Op::ToF16, &[v], kv_width);
    let mixed = body.attention(q, k, v, config);
    let o = body.matmul(mixed, w_o, formats.o, dim, width);
    let x = body.plain(Op::Add, &[CARRY, o], dim);
    let h = body.norm(x, w_ffn_norm, dim, config.norm_eps);
    let gate = body.matmul(h, w_gate, formats.gate, hidden, dim);
    let up = body.matmul(h, w_up, formats.up, hidden, dim);
    let act = body.plain(Op::SiluMul, &[gate, up], hidden);
    let down = body.matmul(act, w_down, formats.down, dim, hidden);
    body.plain(Op::Add, &[x, down], dim);

    let mut tail = Table {
        first: body.next(),
        entries: Vec::new(),
        quantised: None,
    };
    let w_norm = HEAD_WEIGHTS + LAYER_ROLES.len() as u16;
    let h = tail.norm(CARRY, w_norm, dim, config.norm_eps);
    let w_output = if config.tied_head {
        W_EMBED
    } else {
        w_norm + 1
    };
    tail.matmul(h, w_output, formats.output, config.vocab_size, dim);

    Program::new(Parts {
        context: config.context,
        vocab_size: config.vocab_size,
        layers,
        weight_counts: [
            HEAD_WEIGHTS,
            LAYER_ROLES.len() as u16,
            if config.tied_head { 1 } else { 2 },
        ],
        stop_tokens: stop_tokens.to_vec(),
        head: head.entries,
        body: body.entries,
        tail: tail.entries,
    })
}

fn product(at: &str, a: u32, b: u32) -> Result<u32, ProgramError> {
    a.checked_mul(b)
        .ok_or_else(|| ProgramError::new(at, format!("{a} x {b}"), "a product below 2^32"))
}

/// A table under construction. Methods append entries and return the number of the last one.
struct Table {
    first: usize,
    entries: Vec<Entry>,
    /// The latest quantised value: (of what, its number).
    quantised: Option<(u16, u16)>,
}

impl Table {
    fn next(&self) -> usize {
        self.first + self.entries.len()
    }

    fn push(
        &mut self,
        op: Op,
        format: WeightFormat,
        inputs: &[u16],
        weight: Option<u16>,
        dims: [u32; 3],
        constants: [u32; 2],
    ) -> u16 {
        let inputs = std::array::from_fn(|i| inputs.get(i).copied().unwrap_or(UNUSED));
        self.entries.push(Entry {
            op,
            format,
            inputs,
            weights: [weight.unwrap_or(UNUSED), UNUSED],
            dims,
            constants,
        });
        (self.next() - 1) as u16
    }

    fn plain(&mut self, op: Op, inputs: &[u16], d0: u32) -> u16 {
        self.push(op, WeightFormat::F32, inputs, None, [d0, 0, 0], [0; 2])
    }

    fn norm(&mut self, x: u16, weight: u16, dim: u32, eps: f32) -> u16 {
        let r = self.push(
            Op::NormStat,
            WeightFormat::F32,
            &[x],
            None,
            [dim, 0, 0],
            [eps.to_bits(), 0],
        );
        self.push(
            Op::NormApply,
            WeightFormat::F32,
            &[x, r],
            Some(weight),
            [dim, 0, 0],
            [0; 2],
        )
    }

    fn matmul(
        &mut self,
        x: u16,
        weight: u16,
        format: WeightFormat,
        outputs: u32,
        inner: u32,
    ) -> u16 {
        let x = match self.quantised {
            _ if !format.is_quantised() => x,
            Some((of, number)) if of == x => number,
            _ => {
                let number = self.plain(Op::Quantise, &[x], inner);
                self.quantised = Some((x, number));
                number
            }
        };
        self.push(
            Op::Matmul,
            format,
            &[x],
            Some(weight),
            [outputs, inner, 0],
            [0; 2],
        )
    }

    fn rope(&mut self, x: u16, width: u32, config: &LlamaConfig) -> u16 {
        let dims = [width, config.head_dim, config.rope_dim];
        self.push(
            Op::Rope,
            WeightFormat::F32,
            &[x],
            Some(W_ROPE),
            dims,
            [0; 2],
        )
    }

    fn attention(&mut self, q: u16, k: u16, v: u16, config: &LlamaConfig) -> u16 {
        let dims = [config.n_heads, config.n_kv_heads, config.head_dim];
        let scale = (1.0 / (config.head_dim as f32).sqrt()).to_bits();
        let max = self.push(
            Op::AttnMax,
            WeightFormat::F32,
            &[q, k],
            None,
            dims,
            [scale, 0],
        );
        self.push(
            Op::AttnSum,
            WeightFormat::F32,
            &[q, k, max],
            None,
            dims,
            [scale, 0],
        );
        self.push(
            Op::AttnMix,
            WeightFormat::F32,
            &[q, k, v],
            None,
            dims,
            [scale, 1],
        )
    }
}

#[cfg(test)]
pub(super) mod tests;
