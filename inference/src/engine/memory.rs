//! How much memory a model needs, before it is opened.

use super::{CHUNK_ROWS, Job};
use crate::backend::{KvPage, PAGE_POSITIONS};
use crate::format::packed::Weights;
use crate::program::{Op, Part, Program, ValueShape};

/// Bytes that computing with a model takes:
///
/// ```text
/// weights       the file of packed weights, which is mapped: all of it is read for every token
/// activations   128 rows, a chunk, of: every entry's output, and the widest of them twice more (what the tail takes, what kernels repack)
/// page          64 positions: for each attention of each layer
///               2 bytes * key/value heads * 64 * (head size + head size rounded up to 16)
/// cache         pages of all sequences that are held at a time
/// ```
/// Not counted: the program, the vocabulary and the code, a few megabytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of the mapped weights.
    pub weights: u64,
    /// Bytes of activations.
    pub activations: u64,
    /// Bytes of 64 cached positions of a sequence.
    pub page: u64,
    /// The largest number of tokens of a sequence.
    pub context: u32,
}

/// Sequences that are held at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequences {
    /// Their number.
    pub count: u32,
    /// Tokens of each at most; more than the context count as the context.
    pub tokens: u32,
}

impl Footprint {
    /// What this program takes.
    pub fn of(program: &Program) -> Footprint {
        let shapes =
            (0..program.entry_count()).map(|number| row_bytes(program.value_shape(number)));
        let (sum, widest) = shapes.fold((0, 0), |(sum, widest), n| (sum + n, n.max(widest)));
        let attentions = program.entries(Part::Body).iter();
        let attentions = attentions.filter(|entry| entry.op == Op::AttnMix);
        let page: u64 = attentions
            .map(|entry| KvPage::bytes(entry.dims[1] as usize, entry.dims[2] as usize) as u64)
            .sum();
        Footprint {
            weights: Weights::length(program),
            activations: (sum + 2 * widest) * CHUNK_ROWS as u64,
            page: page * u64::from(program.layers()),
            context: program.context(),
        }
    }

    /// Bytes of the caches of these sequences when they share nothing.
    pub fn cache(&self, sequences: Sequences) -> u64 {
        let tokens = sequences.tokens.min(self.context);
        let pages = u64::from(tokens.div_ceil(PAGE_POSITIONS as u32));
        (u64::from(sequences.count) * pages).saturating_mul(self.page)
    }

    /// Bytes of the caches of a job at most: the prompt once, the new tokens of each run, and for each run the page that they begin in.
    pub fn job(&self, job: &Job) -> u64 {
        let prompt = u32::try_from(job.prompt.len()).unwrap_or(u32::MAX);
        if prompt > self.context {
            return 0;
        }
        let limit = job.limit(self.context);
        let of = |count, tokens| self.cache(Sequences { count, tokens });
        of(1, prompt) + of(job.n_runs, limit.saturating_add(PAGE_POSITIONS as u32))
    }

    /// Bytes of everything with these sequences.
    pub fn total(&self, sequences: Sequences) -> u64 {
        self.weights
            .saturating_add(self.activations)
            .saturating_add(self.cache(sequences))
    }
}

/// Bytes of a row of that shape.
fn row_bytes(shape: ValueShape) -> u64 {
    match shape {
        ValueShape::F32(n) => 4 * u64::from(n),
        ValueShape::F16(n) => 2 * u64::from(n),
        ValueShape::Quantised(n) => u64::from(n) + u64::from(n) / 8,
        ValueShape::Maxima(n) => 8 * u64::from(n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::llama::{MatrixFormats, compile};
    use crate::program::{LlamaConfig, WeightFormat};
    use crate::testing::tiny_config;

    /// The shape of a 1.1B model: 22 layers, 4 key/value heads of 64 elements.
    #[test]
    fn memory_follows_from_the_shape() {
        let config = LlamaConfig {
            dim: 2048,
            hidden_dim: 5632,
            n_layers: 22,
            n_heads: 32,
            n_kv_heads: 4,
            head_dim: 64,
            rope_dim: 64,
            vocab_size: 32_000,
            context: 2048,
            tied_head: false,
            ..tiny_config()
        };
        let formats = MatrixFormats::all(WeightFormat::Q8_0);
        let found = Footprint::of(&compile(&config, &formats, &[]).unwrap());
        assert_eq!(found.page, 64 * 22 * 4 * 64 * 2 * 2);
        let one = |tokens| Sequences { count: 1, tokens };
        assert_eq!(found.cache(one(0)), 0);
        assert_eq!(found.cache(one(1)), found.page);
        assert_eq!(found.cache(one(65)), 2 * found.page);
        assert_eq!(found.cache(one(2048)), 32 * found.page);
        assert_eq!(found.cache(one(u32::MAX)), 32 * found.page, "the context");
        let many = Sequences {
            count: 7,
            tokens: 2048,
        };
        assert_eq!(found.cache(many), 7 * 32 * found.page);
        let all = found.total(many);
        assert_eq!(all, found.weights + found.activations + found.cache(many));
        // 1.03e9 weights in matrices of 17/16 bytes each; a head of its own.
        assert!(
            (1_050_000_000..1_250_000_000).contains(&found.weights),
            "{}",
            found.weights
        );
        assert!(
            (20_000_000..80_000_000).contains(&found.activations),
            "{}",
            found.activations
        );
    }
}
