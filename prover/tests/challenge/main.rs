//! An honest challenger against every lie, with judges in Rust in the contracts' place.

mod chain;
mod step_judge;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sworn_inference::backend::Backend;
use sworn_inference::engine::{BackendKind, Engine, EngineOptions, Finish};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::testing;
use sworn_inference::tokenizer::Segment;
use sworn_prover::commitment::Commitments;
use sworn_prover::dispute::contents::{Contents, claim_tree, contents_of, published};
use sworn_prover::dispute::lie::{Field, Hiding, Liar, Lie};
use sworn_prover::dispute::own::OwnResults;
use sworn_prover::dispute::position::{NodeKind, Position};
use sworn_prover::dispute::results::{
    Answer, DisputeModel, LaneInput, LaneResults as _, run_record,
};
use sworn_prover::dispute::shape::TreeShape;
use sworn_prover::dispute::strategy::{ClaimView, Move, defence, next};
use sworn_prover::dispute::trace::{ModelWeights, TraceLayout, TraceOptions};
use sworn_prover::params::Params;
use sworn_prover::result::run_job;
use sworn_prover::{Digest, payload};

use chain::{Chain, key};

/// A lane with its true results.
struct Fixture {
    model: DisputeModel,
    commitments: Commitments,
    backend: Arc<dyn Backend>,
    inputs: Vec<LaneInput>,
    answers: Vec<Arc<Answer>>,
}

/// How a dispute ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Proven(u8),
    Expired,
    Acquitted,
}

impl Fixture {
    fn new(model: Arc<Model>, payloads: &[Vec<u8>], params: Params) -> Fixture {
        let (commitments, tree) = Commitments::of(&model, &mut |_, _| ()).unwrap();
        let options = EngineOptions {
            backend: BackendKind::Auto,
            threads: 1,
        };
        let engine = Engine::new(model.clone(), options).unwrap();
        let inputs: Vec<LaneInput> = (0u8..)
            .zip(payloads)
            .map(|(i, payload)| LaneInput {
                input_id: 40 + u64::from(i),
                params,
                payload: payload.clone(),
                seed: Digest::of(&[i]),
            })
            .collect();
        let answers = inputs
            .iter()
            .map(|input| {
                let go =
                    &mut |_: sworn_inference::engine::TokenEvent<'_>| ControlFlow::Continue(());
                let (params, seed) = (&input.params, input.seed);
                let runs =
                    run_job(&engine, model.tokenizer(), params, &input.payload, seed, go).unwrap();
                Arc::new(Answer::new(input.clone(), runs).unwrap())
            })
            .collect();
        Fixture {
            model: DisputeModel {
                layout: Arc::new(TraceLayout::new(model.program()).unwrap()),
                weights: ModelWeights::new(model.clone(), Arc::new(tree)),
                model,
            },
            commitments,
            backend: options.open().unwrap(),
            inputs,
            answers,
        }
    }

    fn own(&self) -> OwnResults {
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

    /// Disputes a liar's claim to its end; gives the rounds it took.
    fn dispute(&self, own: &mut OwnResults, liar: &mut Liar) -> (End, usize) {
        let jobs = self.inputs.len() as u32;
        let root = claim_tree(liar).unwrap().root();
        let mut chain = Chain {
            view: ClaimView::new(jobs, root, published(liar).unwrap()),
            model: &self.model,
            inputs: &self.inputs,
            tokenizer_root: self.commitments.tokenizer_root,
            model_id: self.commitments.model_id,
            passed: Default::default(),
        };
        for rounds in 0..40 {
            match next(&chain.view, own).unwrap() {
                Move::Open {
                    parent,
                    position,
                    value,
                    path,
                } => {
                    chain.open(parent, position, value, &path);
                    let waits = next(&chain.view, own).unwrap();
                    let opened = key(&position, parent);
                    assert_eq!(waits, Move::Wait { node: opened });
                    // Who can't answer is silent.
                    match liar.reveal(&position) {
                        Ok(Some(contents)) => chain.reveal(parent, &position, &contents),
                        Ok(None) => return (End::Expired, rounds + 1),
                        Err(error) => panic!("{position:?}: {error}"),
                    }
                }
                Move::Prove {
                    node,
                    fault,
                    witness,
                } => {
                    assert!(chain.judge(node, fault, &witness), "fault {fault} is none");
                    return (End::Proven(fault), rounds);
                }
                Move::Wait { .. } => panic!("nothing is pending"),
                Move::Nothing => return (End::Acquitted, rounds),
            }
        }
        panic!("the dispute does not end");
    }
}

fn import(folder: &Path, name: &str, file: &[u8]) -> Arc<Model> {
    let path = folder.join(name);
    std::fs::write(&path, file).unwrap();
    let source = ModelSource::open(&path, None).unwrap();
    let to = folder.join(format!("{name}.model"));
    Arc::new(Model::import(&source, &to, &mut |_, _| ()).unwrap())
}

fn say(text: &str) -> Vec<u8> {
    payload::encode(&[Segment::Text(text.as_bytes())]).unwrap()
}

/// Tells every lie and counts how each ends.
fn try_lies(
    fixture: &Fixture,
    lies: &[Lie],
    lane: u32,
    run: u32,
    seeds: std::ops::Range<u64>,
) -> BTreeMap<String, BTreeMap<End, usize>> {
    let mut own = fixture.own();
    let mut ends: BTreeMap<String, BTreeMap<End, usize>> = BTreeMap::new();
    for lie in lies {
        for seed in seeds.clone() {
            let Some(mut liar) = lie.tell(fixture.own(), lane, run, seed).unwrap() else {
                continue;
            };
            let (end, rounds) = fixture.dispute(&mut own, &mut liar);
            println!("{lie} {seed}: {end:?} after {rounds} openings");
            // Job, three trees' levels, totals and tile or selection and group.
            assert!(rounds <= 11, "{lie}: {rounds}");
            assert_eq!(lie.to_string().parse(), Ok(*lie));
            assert_ne!(end, End::Acquitted, "{lie}");
            if let Lie::Silence(_) = lie {
                assert_eq!(end, End::Expired, "{lie}");
            } else {
                assert_ne!(end, End::Expired, "{lie}");
            }
            *ends
                .entry(lie.to_string())
                .or_default()
                .entry(end)
                .or_default() += 1;
        }
    }
    ends
}

fn long_config() -> LlamaConfig {
    LlamaConfig {
        context: 330,
        dim: 288,
        ..testing::tiny_config()
    }
}

#[test]
fn every_lie_falls() {
    let folder = tempfile::tempdir().unwrap();
    // Binary32, long: sums of two tiles, attention over two tiles.
    let file = testing::gguf(&long_config(), WeightFormat::F32, 3).to_bytes();
    let params = Params {
        max_new_tokens: 290,
        ..Params::default()
    };
    let model = import(folder.path(), "f32", &file);
    let long = Fixture::new(model, &[say("a tale of"), say("the end"), say("")], params);
    // Quantised with five tiles, sampled, several runs.
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
    let model = import(folder.path(), "q8", &file);
    // Long pieces, so that tokens of the prompt have merges.
    let pieces: Vec<Vec<u8>> = testing::vocabulary(320)[300..]
        .iter()
        .map(|t| t.0.clone())
        .collect();
    let prompt = String::from_utf8(pieces.concat()).unwrap();
    let short = Fixture::new(model, &[say(&prompt), say("the heart of it")], params);
    let lies = Lie::all();
    let mut all = try_lies(&long, &lies, 1, 0, 0..2);
    for (lie, ends) in try_lies(&short, &lies, 0, 1, 0..3) {
        all.entry(lie).or_default().extend(ends);
    }
    // A control segment with a token that is none.
    let bad = [
        Segment::Text(b"ab"),
        Segment::Control(300),
        Segment::Text(b"c"),
    ];
    let bad = payload::encode(&bad).unwrap();
    let model = short.model.model.clone();
    let malformed = Fixture::new(model, &[bad], params);
    for (lie, ends) in try_lies(&malformed, &lies, 0, 0, 0..2) {
        all.entry(lie).or_default().extend(ends);
    }
    // A run that was stopped.
    let params = Params {
        max_new_tokens: 100,
        temperature_milli: 2000,
        n_runs: 16,
        ..Params::default()
    };
    let stopping = Fixture::new(short.model.model.clone(), &[say("stop")], params);
    let mut runs = stopping.answers[0].runs.iter();
    let run = runs.position(|run| run.finish == Finish::Stop).unwrap() as u32;
    let about_ends = [
        Lie::GoesOn,
        Lie::EndsEarly,
        Lie::StopInside,
        Lie::TextByte,
        Lie::Field(Field::Finish),
    ];
    for (lie, ends) in try_lies(&stopping, &about_ends, 0, run, 0..2) {
        all.entry(lie).or_default().extend(ends);
    }
    for lie in &lies {
        println!("{lie}: {:?}", all.get(&lie.to_string()));
    }
    let untold: Vec<_> = lies
        .iter()
        .filter(|lie| !all.contains_key(&lie.to_string()))
        .collect();
    assert!(untold.is_empty(), "{untold:?}");
}

/// Whoever has the same results reveals what hashes bind, and nothing else.
#[test]
fn anybody_defends_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let file = testing::gguf(&testing::tiny_config(), WeightFormat::Q8_0, 3).to_bytes();
    let model = import(folder.path(), "q8", &file);
    let params = Params {
        max_new_tokens: 9,
        ..Params::default()
    };
    let fixture = Fixture::new(model, &[say("one"), say("two")], params);
    let (mut proposer, mut own) = (fixture.own(), fixture.own());
    let root = claim_tree(&mut proposer).unwrap().root();
    let digests = published(&mut proposer).unwrap();
    let mut chain = Chain {
        view: ClaimView::new(2, root, digests.clone()),
        model: &fixture.model,
        inputs: &fixture.inputs,
        tokenizer_root: fixture.commitments.tokenizer_root,
        model_id: fixture.commitments.model_id,
        passed: Default::default(),
    };
    let job = Position {
        lane: 1,
        ..Position::tree(NodeKind::Job, 0, 0, 0, 0)
    };
    chain.open(Digest::ZERO, job, digests[1], &[digests[0]]);
    let under = key(&job, Digest::ZERO);
    let pending = |chain: &Chain<'_>, key| chain.view.node(key).unwrap().clone();
    let told = defence(&chain.view, &mut own, &pending(&chain, under)).unwrap();
    assert_eq!(told, None, "trace roots are the proposer's word");
    chain.reveal(
        Digest::ZERO,
        &job,
        &contents_of(&mut proposer, &job).unwrap(),
    );
    let places = Position::tree(NodeKind::Prompt, 1, 0, 0, 0);
    chain.open(under, places, Digest::ZERO, &[]);
    let trees = [
        NodeKind::Tokens,
        NodeKind::Offsets,
        NodeKind::Text,
        NodeKind::Trace,
    ];
    for kind in trees {
        let contents = pending(&chain, under);
        let run = &contents.job().unwrap().runs[0];
        let shape = TreeShape::of_run(kind, 1, 0, &run_record(run), &fixture.model.layout).unwrap();
        let root = match kind {
            NodeKind::Tokens => run.tokensRoot,
            NodeKind::Offsets => run.offsetsRoot,
            NodeKind::Text => run.textRoot,
            _ => Default::default(),
        };
        let mut position = shape.position(shape.depth(), 0);
        let (mut value, mut path) = (Digest(root.0), Vec::new());
        if kind == NodeKind::Trace {
            // The first of those whose digests came with the job.
            let base = shape.depth() - shape.levels_in_job(1);
            let trace = proposer.trace(1, 0).unwrap();
            value = trace.node(base, 0).unwrap();
            let siblings = (base..shape.depth()).map(|height| trace.node(height, 1).unwrap());
            path = siblings.collect();
            position = shape.position(base, 0);
        }
        chain.open(under, position, value, &path);
        let node = pending(&chain, key(&position, under));
        let told = defence(&chain.view, &mut own, &node).unwrap();
        assert_eq!(
            told,
            Some(contents_of(&mut proposer, &position).unwrap()),
            "{kind:?}"
        );
        chain.reveal(under, &position, &told.unwrap());
        let node = pending(&chain, key(&position, under));
        assert_eq!(
            defence(&chain.view, &mut own, &node).unwrap(),
            None,
            "revealed"
        );
    }
    let node = pending(&chain, key(&places, under));
    assert_eq!(
        defence(&chain.view, &mut own, &node).unwrap(),
        None,
        "posted"
    );
    // A wrong claim is not defended, not even where it is right.
    let other = ClaimView::new(2, Digest::of(b"other"), digests);
    let mut node = node;
    node.position = Position::tree(NodeKind::Tokens, 1, 0, 0, 0);
    node.value = Digest(fixture.answers[1].commitment.runs[0].tokens_root.0);
    assert!(defence(&chain.view, &mut own, &node).unwrap().is_some());
    assert_eq!(defence(&other, &mut own, &node).unwrap(), None);
}

#[test]
fn the_truth_stands() {
    let folder = tempfile::tempdir().unwrap();
    let file = testing::gguf(&testing::tiny_config(), WeightFormat::Q4_0, 3).to_bytes();
    let model = import(folder.path(), "q4", &file);
    for lane in [1, 2, 70] {
        let payloads: Vec<_> = (0..lane).map(|i| say(&"ab ".repeat(i % 9))).collect();
        let params = Params {
            max_new_tokens: 3,
            ..Params::default()
        };
        let fixture = Fixture::new(model.clone(), &payloads, params);
        let mut own = fixture.own();
        let root = claim_tree(&mut own).unwrap().root();
        let view = ClaimView::new(lane as u32, root, published(&mut own).unwrap());
        assert_eq!(next(&view, &mut own).unwrap(), Move::Nothing);
        // In a lane of more than 64 jobs the claim tree is opened first.
        let last = lane as u32 - 1;
        let liar = Lie::Token(Hiding::None).tell(fixture.own(), last, 0, 1);
        let (end, rounds) = fixture.dispute(&mut own, &mut liar.unwrap().unwrap());
        println!("{lane} jobs: {end:?} after {rounds} openings");
        assert_eq!(end, End::Proven(80));
        let first = view.root().contents.as_ref();
        let Some(Contents::Digests(digests)) = first else {
            panic!("a claim without digests")
        };
        assert_eq!(
            digests.len(),
            [1, 2, 9][usize::from(lane > 1) + usize::from(lane > 64)]
        );
    }
}

/// The shipped model, with a control token in the prompt.
#[test]
fn lies_about_fable_fall() {
    let folder = tempfile::tempdir().unwrap();
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fable");
    let source = ModelSource::open(&root.join("fable-2m.q8_0.gguf"), None).unwrap();
    let model = Model::import(&source, &folder.path().join("fable"), &mut |_, _| ()).unwrap();
    let prompt = [
        Segment::Text(b"The fox and"),
        Segment::Control(model.tokenizer().bos()),
        Segment::Text(b" the lion met in a forest."),
    ];
    let params = Params {
        max_new_tokens: 40,
        temperature_milli: 800,
        top_k: 40,
        top_p_ppm: 950_000,
        n_runs: 2,
        ..Params::default()
    };
    let payloads = [say("A crow"), payload::encode(&prompt).unwrap()];
    let fixture = Fixture::new(Arc::new(model), &payloads, params);
    let lies = Lie::all();
    let ends = try_lies(&fixture, &lies, 1, 1, 5..6);
    for lie in &lies {
        println!("{lie}: {:?}", ends.get(&lie.to_string()));
    }
    assert!(ends.len() > 30, "{}", ends.len());
}
