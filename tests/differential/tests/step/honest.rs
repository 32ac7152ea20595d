//! Small models with honest traces, and well-made witnesses of faults that there are not.

use std::sync::Arc;

use sworn_differential::vectors::Rng;
use sworn_inference::engine::{BackendKind, EngineOptions};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::testing;
use sworn_prover::Digest;
use sworn_prover::commitment::Commitments;
use sworn_prover::constants::{FAULT_COMBINE, FAULT_STEP, FAULT_TOTAL};
use sworn_prover::dispute::abi::{Case, Leaf, Node};
use sworn_prover::dispute::faults::step::{Builder, Place, SCALES, is_long_sum};
use sworn_prover::dispute::source::TraceSource;
use sworn_prover::dispute::trace::{
    LeafKind, ModelWeights, Step, Trace, TraceLayout, TraceOptions,
};

use crate::covered;
use crate::world::{RunOf, World, no_node, word};

/// A small model with a trace of a run.
pub(crate) struct Honest {
    pub layout: TraceLayout,
    pub trace: Trace,
    pub weights: ModelWeights,
    pub run: RunOf,
    program: Vec<u8>,
    weights_root: Digest,
    _folder: tempfile::TempDir,
}

impl Honest {
    pub(crate) fn new(format: WeightFormat, count: usize, n_prompt: u32) -> Honest {
        let folder = tempfile::tempdir().unwrap();
        // Rows of 1, 2 and 6 tiles; heads that are not all rotated.
        let config = LlamaConfig {
            hidden_dim: 1312,
            dim: 288,
            n_heads: 3,
            n_kv_heads: 1,
            head_dim: 96,
            rope_dim: 80,
            vocab_size: 300,
            ..testing::tiny_config()
        };
        let path = folder.path().join("file");
        // GGUF has no Q8F; llama2.c rotates whole heads.
        let (config, bytes, tokenizer) = if format == WeightFormat::Q8F {
            let config = LlamaConfig {
                rope_dim: 96,
                ..config
            };
            let tokenizer = folder.path().join("tokenizer");
            let vocabulary = testing::tokenizer_bin(&testing::vocabulary(300));
            std::fs::write(&tokenizer, vocabulary).unwrap();
            let bytes = testing::llama2c(&config, 2, 32, 11);
            (config, bytes, Some(tokenizer))
        } else {
            let bytes = testing::gguf(&config, format, 11).to_bytes();
            (config, bytes, None)
        };
        std::fs::write(&path, bytes).unwrap();
        let source = ModelSource::open(&path, tokenizer.as_deref()).unwrap();
        assert_eq!(source.config.vocab_size, config.vocab_size);
        let to = folder.path().join("model");
        let model = Arc::new(Model::import(&source, &to, &mut |_, _| ()).unwrap());
        let (commitments, tree) = Commitments::of(&model, &mut |_, _| ()).unwrap();
        let mut rng = Rng(count as u64);
        let tokens: Vec<u32> = (0..count).map(|_| rng.below(300)).collect();
        let options = EngineOptions {
            backend: BackendKind::Scalar,
            threads: 1,
        };
        let trace = Trace::build(
            model.clone(),
            options.open().unwrap(),
            &tokens,
            n_prompt,
            TraceOptions::default(),
            &mut |_, _| (),
        )
        .unwrap();
        Honest {
            layout: TraceLayout::new(model.program()).unwrap(),
            trace,
            program: model.program_bytes().to_vec(),
            weights_root: commitments.weights_root,
            weights: ModelWeights::new(model, Arc::new(tree)),
            run: RunOf {
                lane: 9,
                run: 1,
                tokens,
                n_prompt,
            },
            _folder: folder,
        }
    }

    pub(crate) fn register(&self, world: &mut World) {
        world.set_model(&self.program, self.weights_root);
    }
}

/// A place that faults 64 judge here, and whether its element is a long sum.
fn place(model: &mut Honest, rng: &mut Rng) -> (u32, Step, Place) {
    loop {
        let row = rng.below(model.trace.rows());
        let layout = &model.layout;
        let leaves = layout.leaves_at(row, model.run.n_prompt);
        // All steps alike, not by their width.
        let number = rng.below(layout.steps());
        let step = layout.step(number).unwrap();
        if step.first_leaf >= leaves || covered(step.op).is_none() {
            continue;
        }
        let mut place = Place::of(&step, rng.below(step.elements));
        if step.kind == LeafKind::Quantised && rng.below(2) == 0 {
            place.lane = SCALES + place.lane / 32;
        }
        return (row, step, place);
    }
}

impl Honest {
    fn node(&mut self, height: u32, index: u64) -> Node {
        let value = self.trace.node(height, index).unwrap();
        self.run.trace_node(height, index, value)
    }

    /// A leaf of the trace in its node.
    fn claimed(&mut self, row: u32, leaf: u32, height: u32) -> (Leaf, Node) {
        let index = self.layout.index(row, leaf);
        let mut path = Vec::new();
        for level in 0..height {
            let sibling = self.trace.node(level, (index >> level) ^ 1).unwrap();
            path.push(word(sibling));
        }
        let data = TraceSource::leaf(&mut self.trace, row, leaf).unwrap();
        let leaf = Leaf {
            data: data.into(),
            path,
        };
        (leaf, self.node(height, index >> height))
    }

    /// A case and witness of a fault that is none: the code, whether it is the witness of totals.
    pub(crate) fn accusation(&mut self, rng: &mut Rng) -> (Case, u8, Vec<u8>) {
        let (row, step, place) = place(self, rng);
        let height = rng.below(4);
        let (claimed, node) = self.claimed(row, step.first_leaf + place.leaf, height);
        let root = self.trace.root();
        let tokens = self.run.tokens.clone();
        let element = place.element(&step).unwrap();
        let mut builder = Builder::new(&self.layout, &mut self.trace, &self.weights, &tokens);
        if !is_long_sum(&step) {
            if rng.below(8) == 0 {
                let witness = Builder::shape(row, step.number, place.leaf, claimed);
                return (self.run.case(root, node, no_node()), FAULT_STEP, witness);
            }
            let witness = builder.step(row, &step, place, claimed).unwrap();
            return (self.run.case(root, node, no_node()), FAULT_STEP, witness);
        }
        let contents = builder.totals(row, &step, element).unwrap();
        let tile = rng.below(step.sum_tiles().unwrap());
        let (fault, witness) = match rng.below(2) {
            0 => (FAULT_COMBINE, Builder::combine(&contents, claimed)),
            _ => {
                let witness = builder.total(row, &step, element, tile, &contents);
                (FAULT_TOTAL, witness.unwrap())
            }
        };
        let totals = self.run.totals_node(row, step.number, element, &contents);
        (self.run.case(root, totals, node), fault, witness)
    }
}
