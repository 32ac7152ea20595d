//! Every way in which a claimed result can be wrong is found by the check, and nothing right is called wrong.

use std::ops::ControlFlow;
use std::sync::Arc;

use sworn_inference::engine::{Engine, EngineOptions, Finish, RunResult};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::WeightFormat;
use sworn_inference::testing;
use sworn_inference::tokenizer::Segment;
use sworn_prover::params::Params;
use sworn_prover::result::run_job;
use sworn_prover::verify::{Difference, Question, check, claim_root};
use sworn_prover::{Digest, payload};

struct World {
    engine: Engine,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.gguf");
    let config = testing::tiny_config();
    std::fs::write(
        &file,
        testing::gguf(&config, WeightFormat::Q8_0, 7).to_bytes(),
    )
    .unwrap();
    let source = ModelSource::open(&file, None).unwrap();
    let model = Model::import(&source, &folder.path().join("model"), &mut |_, _| {}).unwrap();
    World {
        engine: Engine::new(Arc::new(model), EngineOptions::default()).unwrap(),
        _folder: folder,
    }
}

impl World {
    fn answer(&self, params: &Params, payload: &[u8], seed: Digest) -> Vec<RunResult> {
        let tokenizer = self.engine.model().tokenizer();
        run_job(&self.engine, tokenizer, params, payload, seed, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap()
    }

    fn check(
        &self,
        params: &Params,
        payload: &[u8],
        seed: Digest,
        runs: &[RunResult],
    ) -> Option<Difference> {
        let question = Question {
            params,
            payload,
            seed,
        };
        let mut last = (0, 0);
        let found = check(&self.engine, &question, runs, &mut |done, total| {
            assert!(done > last.0 && done <= total);
            last = (done, total);
            ControlFlow::Continue(())
        })
        .unwrap();
        if found.is_none() {
            assert_eq!(last.0, last.1, "everything was run");
        }
        found
    }
}

fn text(text: &str) -> Vec<u8> {
    payload::encode(&[Segment::Text(text.as_bytes())]).unwrap()
}

fn params(n_runs: u16, max_new_tokens: u32, temperature_milli: u32) -> Params {
    Params {
        n_runs,
        max_new_tokens,
        temperature_milli,
        ..Params::default()
    }
}

#[test]
fn right_results_are_right() {
    let world = world();
    for (i, (n_runs, limit, temperature, prompt)) in [
        (1, 24, 0, "hello"),
        (3, 40, 800, "hello there, how is it going?"),
        (16, 5, 2_000, ""),
        (2, 0, 1_000, "on to the end of the context"),
    ]
    .into_iter()
    .enumerate()
    {
        let params = params(n_runs, limit, temperature);
        let (payload, seed) = (text(prompt), Digest([i as u8; 32]));
        let runs = world.answer(&params, &payload, seed);
        assert_eq!(world.check(&params, &payload, seed, &runs), None);
        // Another seed draws other tokens.
        if temperature > 0 {
            let other = Digest([99; 32]);
            assert!(matches!(
                world.check(&params, &payload, other, &runs),
                Some(Difference::Token { .. })
            ));
        }
    }
    // Too long and malformed prompts have results as well.
    let params = params(2, 8, 800);
    for payload in [text(&"long ".repeat(300)), vec![7, 7, 7]] {
        let runs = world.answer(&params, &payload, Digest::ZERO);
        assert_eq!(runs[0].finish, Finish::TooLong);
        assert_eq!(world.check(&params, &payload, Digest::ZERO, &runs), None);
        for change in 0..5 {
            let mut bad = runs.clone();
            match change {
                0 => bad[1].tokens.push(3),
                1 => bad[1].tokens[0] ^= 1,
                2 => bad[1].finish = Finish::Length,
                3 => bad[1].text.push(b'x'),
                _ => bad[1].offsets.push(0),
            }
            assert!(
                world.check(&params, &payload, Digest::ZERO, &bad).is_some(),
                "change {change}"
            );
        }
    }
}

#[test]
fn every_wrong_field_is_named() {
    let world = world();
    let params = params(3, 20, 800);
    let (payload, seed) = (text("a story"), Digest([5; 32]));
    let runs = world.answer(&params, &payload, seed);
    let stops = world.engine.model().program().stop_tokens().to_vec();
    let vocab = world.engine.model().program().vocab_size();
    let n_prompt = runs[1].n_prompt;
    let found = |change: &dyn Fn(&mut Vec<RunResult>)| {
        let mut bad = runs.clone();
        change(&mut bad);
        assert_ne!(bad, runs, "nothing was changed");
        let difference = world.check(&params, &payload, seed, &bad).unwrap();
        assert!(!difference.to_string().is_empty());
        difference
    };
    // Every token, by the rule.
    for place in n_prompt..runs[1].tokens.len() as u32 {
        let difference = found(&|r| {
            let token = &mut r[1].tokens[place as usize];
            *token = (1..vocab)
                .map(|step| (*token + step) % vocab)
                .find(|t| stops.binary_search(t).is_err())
                .unwrap();
        });
        let Difference::Token {
            run: 1, position, ..
        } = difference
        else {
            panic!("{difference}")
        };
        assert_eq!(position, place);
    }
    assert!(matches!(
        found(&|r| r[2].tokens[0] ^= 1),
        Difference::Prompt {
            run: 2,
            position: 0,
            ..
        }
    ));
    assert!(matches!(
        found(&|r| r[0].n_prompt -= 1),
        Difference::Prompt { run: 0, .. }
    ));
    assert!(matches!(
        found(&|r| r[0].n_prompt = u32::MAX),
        Difference::Prompt { run: 0, .. }
    ));
    assert!(matches!(
        found(&|r| {
            let last = r[0].tokens.len() - 1;
            r[0].tokens[last] = vocab;
        }),
        Difference::Vocabulary { run: 0, .. }
    ));
    assert!(matches!(
        found(&|r| {
            r[0].tokens.pop();
            r[0].offsets.pop();
        }),
        Difference::Length { run: 0, .. } | Difference::Finish { run: 0, .. }
    ));
    assert!(matches!(
        found(&|r| {
            let token = r[0].tokens[r[0].n_prompt as usize];
            r[0].tokens.push(token);
        }),
        Difference::Length { run: 0, .. }
    ));
    assert!(matches!(
        found(&|r| r[0].finish = if r[0].finish == Finish::Stop {
            Finish::Length
        } else {
            Finish::Stop
        }),
        Difference::Finish { run: 0, .. }
    ));
    assert!(matches!(
        found(&|r| r[2].offsets[3] += 1),
        Difference::Offset {
            run: 2,
            index: 3,
            ..
        }
    ));
    assert!(matches!(
        found(&|r| r[2].offsets.push(9)),
        Difference::Offset { run: 2, .. }
    ));
    assert!(matches!(
        found(&|r| r[2].text[4] ^= 0x20),
        Difference::Text { run: 2, byte: 4 }
    ));
    assert!(matches!(
        found(&|r| r[2].text.push(b'!')),
        Difference::Text { run: 2, .. }
    ));
    assert!(matches!(
        found(&|r| drop(r.pop())),
        Difference::Runs {
            found: 2,
            expected: 3
        }
    ));
}

#[test]
fn a_check_can_be_stopped() {
    let world = world();
    let params = params(1, 8, 0);
    let (payload, seed) = (text("x"), Digest::ZERO);
    let runs = world.answer(&params, &payload, seed);
    let question = Question {
        params: &params,
        payload: &payload,
        seed,
    };
    let stopped = check(&world.engine, &question, &runs, &mut |_, _| {
        ControlFlow::Break(())
    });
    assert!(matches!(stopped, Err(sworn_inference::Error::Cancelled)));
}

#[test]
fn the_claim_states_the_results() {
    let world = world();
    let params = params(2, 6, 800);
    let runs = world.answer(&params, &text("a"), Digest::ZERO);
    let root = claim_root(&[(4, &runs), (9, &runs)]).unwrap();
    assert_ne!(root, claim_root(&[(9, &runs), (4, &runs)]).unwrap());
    let mut other = runs.clone();
    other[1].text[0] ^= 1;
    assert_ne!(root, claim_root(&[(4, &runs), (9, &other)]).unwrap());
}
