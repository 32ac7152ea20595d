//! What the engine answers has no fault: limits, stop tokens, prompts that are too long, empty and malformed ones.

use std::ops::ControlFlow;
use std::sync::Arc;

use sworn_inference::engine::{BackendKind, Engine, EngineOptions};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::WeightFormat;
use sworn_inference::testing::{self, Random};
use sworn_inference::tokenizer::Segment;
use sworn_prover::Digest;
use sworn_prover::dispute::faults::job::{JobFacts, run_shape_witness};
use sworn_prover::dispute::faults::prompt::TokenizerBook;
use sworn_prover::dispute::faults::tokens::{Lists, in_node, witness};
use sworn_prover::dispute::position::NodeKind;
use sworn_prover::params::Params;
use sworn_prover::payload;
use sworn_prover::result::run_job;

use crate::jobs::case;
use crate::world::{Claim, World, job};

fn payloads(random: &mut Random) -> Vec<Vec<u8>> {
    let text: Vec<u8> = (0..random.below(60))
        .map(|_| b" etaoin"[random.below(7)])
        .collect();
    let encode = |segments: &[Segment<'_>]| payload::encode(segments).unwrap();
    vec![
        encode(&[Segment::Text(&text)]),
        encode(&[]),
        encode(&[
            Segment::Control(1),
            Segment::Text(&text),
            Segment::Control(2),
        ]),
        // More tokens than the context has.
        encode(&[Segment::Text(&[0xff; 90])]),
        // A control segment with a byte token.
        encode(&[Segment::Text(b"a"), Segment::Control(7)]),
    ]
}

#[test]
fn engines_answers() {
    let folder = tempfile::tempdir().unwrap();
    let config = testing::tiny_config();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(
        &path,
        testing::gguf(&config, WeightFormat::Q8_0, 7).to_bytes(),
    )
    .unwrap();
    let source = ModelSource::open(&path, None).unwrap();
    let model =
        Arc::new(Model::import(&source, &folder.path().join("model"), &mut |_, _| ()).unwrap());
    let options = EngineOptions {
        backend: BackendKind::Scalar,
        threads: 1,
    };
    let engine = Engine::new(model.clone(), options).unwrap();
    let book = TokenizerBook::of(model.tokenizer()).unwrap();
    let mut world = World::new(&book);
    world.use_program(model.program_bytes(), model.program().stop_tokens());
    let mut random = Random(12);
    let mut finishes = [0; 3];
    for round in 0..10 {
        let params = Params {
            n_runs: 8,
            max_new_tokens: [0, 9, 1000][round % 3],
            max_total_tokens: [0, 30, 3, 1000][round % 4],
            temperature_milli: 10_000,
            ..Params::default()
        };
        world.set_input(&params);
        let facts = JobFacts {
            input_id: 7,
            params: &params,
            context: model.program().context(),
        };
        for payload in payloads(&mut random) {
            let seed = Digest::of(&[round as u8]);
            let mut on_token =
                |_: sworn_inference::engine::TokenEvent<'_>| ControlFlow::Continue(());
            let runs = run_job(
                &engine,
                model.tokenizer(),
                &params,
                &payload,
                seed,
                &mut on_token,
            )
            .unwrap();
            let claims: Vec<Claim> = runs.iter().map(Claim::of).collect();
            let job = job(claims.iter().map(|claim| claim.run.clone()).collect());
            assert_eq!(facts.find(&job), None, "{params:?} {:?}", job.runs);
            let case = case(job);
            assert_eq!(world.judge_job(&case, 16, &[]), Ok(false));
            for (run, claim) in claims.iter().enumerate() {
                finishes[usize::from(claim.run.finish)] += 1;
                assert_eq!(
                    world.judge_job(&case, 17, &run_shape_witness(run)),
                    Ok(false)
                );
                lists(&mut world, claim);
            }
        }
    }
    assert!(finishes.iter().all(|count| *count > 10), "{finishes:?}");
}

/// No leaf of a run's lists shows a fault, nor any token's offset.
fn lists(world: &mut World<'_>, claim: &Claim) {
    let mut lists = claim.leaves.clone();
    for (kind, fault) in [
        (NodeKind::Tokens, 32),
        (NodeKind::Offsets, 34),
        (NodeKind::Text, 36),
    ] {
        for index in 0..claim.leaves.list(kind).unwrap().len() as u32 {
            assert_eq!(world.find(claim, kind, index, 0), None);
            let case = claim.case(kind, index, 0);
            let leaf = in_node(&lists.open(kind, index.into()).unwrap(), 0);
            let said = world.judge(&case, fault, &witness::filling(index, leaf));
            assert!(matches!(said, Ok((false, _))), "{said:?}");
        }
    }
    for i in 0..claim.run.nTokens - claim.run.nPrompt {
        let case = claim.case(NodeKind::Offsets, i / 64, 0);
        let offset = witness::offset(&claim.run, &mut lists, world.book, i, 0).unwrap();
        assert!(matches!(world.judge(&case, 35, &offset), Ok((false, _))));
        let place = claim.run.nPrompt + i;
        let case = claim.case(NodeKind::Tokens, place / 64, 0);
        let leaf = in_node(
            &lists.open(NodeKind::Tokens, u64::from(place / 64)).unwrap(),
            0,
        );
        let said = world.judge(&case, 33, &witness::stop(place, leaf));
        assert!(matches!(said, Ok((false, _))), "{said:?}");
    }
}
