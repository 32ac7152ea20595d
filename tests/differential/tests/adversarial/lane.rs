//! A model on a chain, its sealed inputs, and what it truly answers.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use sworn_differential::dispute::abi;
use sworn_differential::dispute::world::World;
use sworn_inference::backend::Backend;
use sworn_inference::engine::{BackendKind, Engine, EngineOptions, TokenEvent};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::testing;
use sworn_inference::tokenizer::Segment;
use sworn_prover::commitment::Commitments;
use sworn_prover::dispute::own::OwnResults;
use sworn_prover::dispute::results::{Answer, DisputeModel, LaneInput};
use sworn_prover::dispute::trace::{ModelWeights, TraceLayout, TraceOptions};
use sworn_prover::params::Params;
use sworn_prover::result::run_job;
use sworn_prover::{Digest, payload};

/// A lane with its true results.
pub(crate) struct Lane {
    pub(crate) model: DisputeModel,
    pub(crate) answers: Vec<Arc<Answer>>,
    commitments: Commitments,
    backend: Arc<dyn Backend>,
}

impl Lane {
    /// Asks on a new chain, and answers with the seeds that the chain drew.
    pub(crate) fn new(model: Arc<Model>, asked: &[(Params, Vec<u8>)]) -> (Lane, World) {
        let (commitments, tree) = Commitments::of(&model, &mut |_, _| ()).unwrap();
        let options = EngineOptions {
            backend: BackendKind::Auto,
            threads: 1,
        };
        let engine = Engine::new(model.clone(), options).unwrap();
        let mut lane = Lane {
            model: DisputeModel {
                layout: Arc::new(TraceLayout::new(model.program()).unwrap()),
                weights: ModelWeights::new(model.clone(), Arc::new(tree)),
                model: model.clone(),
            },
            answers: Vec::new(),
            commitments,
            backend: options.open().unwrap(),
        };
        let world = lane.chain(asked);
        assert_eq!(world.model_id.0, lane.commitments.model_id.0);
        let inputs = (0..).zip(asked).zip(&world.seeds);
        lane.answers = inputs
            .map(|((input_id, (params, payload)), seed)| {
                let input = LaneInput {
                    input_id,
                    params: *params,
                    payload: payload.clone(),
                    seed: Digest(seed.0),
                };
                let go = &mut |_: TokenEvent<'_>| ControlFlow::Continue(());
                let runs =
                    run_job(&engine, model.tokenizer(), params, payload, input.seed, go).unwrap();
                Arc::new(Answer::new(input, runs).unwrap())
            })
            .collect();
        (lane, world)
    }

    /// Another chain with the same contracts, model and inputs.
    pub(crate) fn chain(&self, asked: &[(Params, Vec<u8>)]) -> World {
        let inputs: Vec<_> = asked
            .iter()
            .map(|(params, payload)| (abi_params(params), payload.clone()))
            .collect();
        World::asked(
            self.model.model.program_bytes(),
            self.commitments.weights_root,
            self.commitments.tokenizer_root,
            &inputs,
        )
    }

    /// Somebody's true results.
    pub(crate) fn own(&self) -> OwnResults {
        let options = TraceOptions {
            threads: 1,
            ..TraceOptions::default()
        };
        OwnResults::new(
            self.model.clone(),
            self.backend.clone(),
            self.answers.clone(),
            options,
            Box::new(|_, _| ()),
        )
    }
}

fn abi_params(params: &Params) -> abi::Params {
    abi::Params {
        kind: params.kind,
        nRuns: params.n_runs,
        maxNewTokens: params.max_new_tokens,
        maxTotalTokens: params.max_total_tokens,
        temperatureMilli: params.temperature_milli,
        topK: params.top_k,
        topPPpm: params.top_p_ppm,
        minPPpm: params.min_p_ppm,
    }
}

pub(crate) fn import(folder: &Path, name: &str, file: &[u8]) -> Arc<Model> {
    let path = folder.join(name);
    std::fs::write(&path, file).unwrap();
    let source = ModelSource::open(&path, None).unwrap();
    let to = folder.join(format!("{name}.model"));
    Arc::new(Model::import(&source, &to, &mut |_, _| ()).unwrap())
}

pub(crate) fn say(text: &str) -> Vec<u8> {
    payload::encode(&[Segment::Text(text.as_bytes())]).unwrap()
}

/// Binary32, long: sums of two tiles, attention over two tiles; temperature 0.
pub(crate) fn long(folder: &Path) -> (Arc<Model>, Vec<(Params, Vec<u8>)>) {
    let config = LlamaConfig {
        context: 330,
        dim: 288,
        ..testing::tiny_config()
    };
    let file = testing::gguf(&config, WeightFormat::F32, 3).to_bytes();
    let params = Params {
        max_new_tokens: 290,
        ..Params::default()
    };
    let asked = ["a tale of", "the end", ""].map(|text| (params, say(text)));
    (import(folder, "f32", &file), asked.to_vec())
}

/// Quantised with sums of five tiles, sampled, several runs; a prompt of long pieces, a malformed one, and runs that stop.
pub(crate) fn short(folder: &Path) -> (Arc<Model>, Vec<(Params, Vec<u8>)>) {
    let config = LlamaConfig {
        context: 128,
        hidden_dim: 1056,
        ..testing::tiny_config()
    };
    let file = testing::gguf(&config, WeightFormat::Q8_0, 3).to_bytes();
    let params = Params {
        max_new_tokens: 40,
        temperature_milli: 900,
        n_runs: 2,
        ..Params::default()
    };
    let pieces: Vec<Vec<u8>> = testing::vocabulary(320)[300..]
        .iter()
        .map(|t| t.0.clone())
        .collect();
    let prompt = String::from_utf8(pieces.concat()).unwrap();
    // A control segment with a token that is none.
    let bad = [
        Segment::Text(b"ab"),
        Segment::Control(300),
        Segment::Text(b"c"),
    ];
    let stopping = Params {
        max_new_tokens: 100,
        temperature_milli: 2000,
        n_runs: 16,
        ..Params::default()
    };
    let asked = vec![
        (params, say(&prompt)),
        (params, say("the heart of it")),
        (params, payload::encode(&bad).unwrap()),
        (stopping, say("stop")),
    ];
    (import(folder, "q8", &file), asked)
}

/// The smallest model, at temperature 0.
pub(crate) fn tiny(folder: &Path, texts: &[&str]) -> (Arc<Model>, Vec<(Params, Vec<u8>)>) {
    let file = testing::gguf(&testing::tiny_config(), WeightFormat::Q4_0, 3).to_bytes();
    let params = Params {
        max_new_tokens: 3,
        ..Params::default()
    };
    let asked = texts.iter().map(|text| (params, say(text))).collect();
    (import(folder, "q4", &file), asked)
}
