//! Models by their dimensions alone.

use sworn_inference::program::llama::{MatrixFormats, compile};
use sworn_inference::program::{LlamaConfig, Program, WeightFormat};

/// A model's dimensions and the length of the run that is disputed.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// What people call it.
    pub name: &'static str,
    /// Tokens of the run.
    pub tokens: u32,
    dim: u32,
    hidden_dim: u32,
    n_layers: u32,
    n_heads: u32,
    n_kv_heads: u32,
    vocab_size: u32,
}

/// The shapes of the table: stories15M, Llama 3 8B, Llama 3 70B.
pub const SHAPES: [Shape; 3] = [
    Shape {
        name: "15M",
        tokens: 256,
        dim: 288,
        hidden_dim: 768,
        n_layers: 6,
        n_heads: 6,
        n_kv_heads: 6,
        vocab_size: 32_000,
    },
    Shape {
        name: "8B",
        tokens: 2048,
        dim: 4096,
        hidden_dim: 14_336,
        n_layers: 32,
        n_heads: 32,
        n_kv_heads: 8,
        vocab_size: 128_256,
    },
    Shape {
        name: "70B",
        tokens: 2048,
        dim: 8192,
        hidden_dim: 28_672,
        n_layers: 80,
        n_heads: 64,
        n_kv_heads: 8,
        vocab_size: 128_256,
    },
];

impl Shape {
    /// The program, with Q8_0 matrices.
    ///
    /// # Panics
    /// Never: the shapes above are valid.
    pub fn program(&self) -> Program {
        let config = LlamaConfig {
            vocab_size: self.vocab_size,
            context: self.tokens,
            dim: self.dim,
            hidden_dim: self.hidden_dim,
            n_layers: self.n_layers,
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads,
            head_dim: self.dim / self.n_heads,
            rope_dim: self.dim / self.n_heads,
            rope_theta: 10_000.0,
            norm_eps: 1e-5,
            tied_head: false,
        };
        compile(&config, &MatrixFormats::all(WeightFormat::Q8_0), &[1]).expect("a valid shape")
    }
}
