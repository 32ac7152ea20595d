//! Many jobs at once give what each gives alone, with and without guessing ahead.

mod common;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use common::Files;
use proptest::prelude::*;
use sworn_inference::engine::{
    BackendKind, Batch, Engine, EngineOptions, Job, Network, Row, RunResult, Sampling, Session,
};
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::{Error, testing};

fn model(files: &Files) -> Arc<Model> {
    model_of(files, testing::tiny_config(), 400, 5)
}

fn model_of(files: &Files, config: LlamaConfig, context: u32, seed: u64) -> Arc<Model> {
    let config = LlamaConfig { context, ..config };
    let source = files
        .open(&testing::gguf(&config, WeightFormat::Q8_0, seed).to_bytes())
        .unwrap();
    let name = format!("model-{seed}-{}-{context}", config.n_layers);
    Arc::new(Model::import(&source, &files.path().join(name), &mut |_, _| {}).unwrap())
}

fn engine(model: &Arc<Model>, backend: BackendKind) -> Engine {
    let options = EngineOptions {
        backend,
        threads: 2,
    };
    Engine::new(Arc::clone(model), options).unwrap()
}

fn job(seed: u64, length: usize, n_runs: u32) -> Job {
    let mut random = testing::Random(seed);
    Job {
        prompt: (0..length).map(|_| random.below(320) as u32).collect(),
        n_runs,
        max_new_tokens: 10 + seed as u32 % 40,
        max_total_tokens: 0,
        sampling: Sampling {
            temperature_milli: if n_runs == 1 { 0 } else { 700 },
            top_k: 0,
            top_p_ppm: 1_000_000,
            min_p_ppm: 0,
        },
        seed: [seed as u8; 32],
    }
}

fn alone(engine: &Engine, job: &Job) -> Vec<RunResult> {
    engine
        .generate(job, &mut |_| ControlFlow::Continue(()))
        .unwrap()
}

#[test]
fn jobs_that_come_and_go_give_what_each_gives_alone() {
    let files = Files::new();
    let model = model(&files);
    let scalar = engine(&model, BackendKind::Scalar).with_speculation(false);
    let fast = engine(&model, BackendKind::Threaded);
    // Prompts shorter and longer than a chunk, one that is too long, one that fills the context.
    let lengths = [3, 150, 40, 401, 400, 1, 260, 20, 7, 64];
    let jobs: Vec<Job> = (0..lengths.len())
        .map(|i| job(i as u64, lengths[i], [1, 3, 1, 2][i % 4]))
        .collect();
    let mut batch = Batch::new(&fast);
    let (mut numbers, mut found) = (HashMap::new(), HashMap::new());
    let mut streamed: HashMap<(u64, u32), Vec<u32>> = HashMap::new();
    let mut waiting = jobs.iter().enumerate();
    let mut steps = 0;
    while found.len() < jobs.len() {
        // A new job every third step.
        if steps % 3 == 0
            && let Some((i, job)) = waiting.next()
        {
            numbers.insert(batch.submit(job.clone()).unwrap(), i);
        }
        steps += 1;
        let ended = batch.step(&mut |number, event| {
            streamed
                .entry((number, event.run))
                .or_default()
                .push(event.token);
            ControlFlow::Continue(())
        });
        for (number, result) in ended.unwrap() {
            found.insert(number, result.unwrap());
        }
        assert!(steps < 1000, "it ends");
    }
    assert!(batch.is_empty());
    for (number, runs) in &found {
        let job = &jobs[numbers[number]];
        assert_eq!(runs, &alone(&scalar, job), "job {}", numbers[number]);
        for (index, run) in (0..).zip(runs) {
            let tokens = streamed.get(&(*number, index)).cloned().unwrap_or_default();
            assert_eq!(run.tokens[job.prompt.len()..], tokens);
        }
    }
}

#[test]
fn a_cancelled_job_harms_no_other() {
    let files = Files::new();
    let model = model(&files);
    let engine = engine(&model, BackendKind::Threaded);
    let jobs = [job(1, 30, 3), job(2, 30, 3), job(3, 200, 1)];
    let mut batch = Batch::new(&engine);
    let numbers: Vec<u64> = { jobs.iter() }
        .map(|job| batch.submit(job.clone()).unwrap())
        .collect();
    assert!(batch.submit(job(4, 0, 1)).is_err(), "an empty prompt");
    let mut results = HashMap::new();
    let mut events = 0;
    while !batch.is_empty() {
        let ended = batch.step(&mut |number, _| {
            if number != numbers[0] {
                return ControlFlow::Continue(());
            }
            events += 1;
            assert!(events <= 5, "no token after the break");
            if events == 5 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        results.extend(ended.unwrap());
        if results.len() == 1 {
            assert!(batch.cancel(numbers[2]));
            assert!(!batch.cancel(99));
        }
    }
    assert!(matches!(results[&numbers[0]], Err(Error::Cancelled)));
    assert!(matches!(results[&numbers[2]], Err(Error::Cancelled)));
    let left = results.remove(&numbers[1]).unwrap().unwrap();
    assert_eq!(left, alone(&engine, &jobs[1]));
}

#[test]
fn guessing_ahead_changes_no_token() {
    let files = Files::new();
    let model = model(&files);
    let plain = engine(&model, BackendKind::Scalar).with_speculation(false);
    let guessing = engine(&model, BackendKind::Threaded).with_eager_speculation();
    let (mut guessed, mut right) = (0, 0);
    for seed in 0..12 {
        // Greedy runs of a random model soon go in circles; prompts that repeat make it guess from the start.
        let mut job = job(seed, 12, if seed % 3 == 2 { 2 } else { 1 });
        let part = job.prompt.clone();
        job.prompt.extend(part);
        job.max_new_tokens = 150;
        let mut batch = Batch::new(&guessing);
        batch.submit(job.clone()).unwrap();
        let mut runs = None;
        while !batch.is_empty() {
            let ended = batch.step(&mut |_, _| ControlFlow::Continue(())).unwrap();
            runs = ended.into_iter().next().or(runs);
        }
        let (_, runs) = runs.unwrap();
        assert_eq!(runs.unwrap(), alone(&plain, &job), "seed {seed}");
        guessed += batch.guesses().0;
        right += batch.guesses().1;
    }
    assert!(right > 20 && right < guessed, "{right} of {guessed}");
}

#[test]
fn sequences_end_and_shorten() {
    let files = Files::new();
    let model = model(&files);
    let network = Network {
        program: model.program(),
        weights: model.weights(),
    };
    let backend = EngineOptions::default().open().unwrap();
    let tokens: Vec<u32> = (0..100).map(|i| i * 7 % 320).collect();
    let mut session = Session::new(network, &*backend);
    let sequence = session.start();
    let expected = session.prefill(sequence, &tokens).unwrap().to_vec();

    // Other tokens, taken back again.
    let other = session.start();
    session.prefill(other, &tokens[..60]).unwrap();
    let fork = session.fork(other);
    session.prefill(other, &[9; 30]).unwrap();
    session.truncate(other, 60);
    session.truncate(other, 90);
    assert_eq!(session.length(other), 60);
    assert_eq!(session.prefill(other, &tokens[60..]).unwrap(), expected);
    assert_eq!(session.prefill(fork, &tokens[60..]).unwrap(), expected);

    session.end(other);
    session.end(other);
    let row = Row {
        sequence: other,
        token: 1,
    };
    assert!(session.forward(&[row], &[], None).is_err(), "it ended");
    let again = session.start();
    assert_eq!((again, session.length(again)), (other, 0));
    assert_ne!(session.start(), other);
    assert_eq!(session.prefill(again, &tokens).unwrap(), expected);
}

/// Runs jobs to their end, in a batch; gives their runs in the jobs' order.
fn together(batch: &mut Batch<'_>, jobs: &[Job]) -> Vec<Vec<RunResult>> {
    let numbers: Vec<u64> = { jobs.iter() }
        .map(|job| batch.submit(job.clone()).unwrap())
        .collect();
    let mut found = HashMap::new();
    while !batch.is_empty() {
        let ended = batch.step(&mut |_, _| ControlFlow::Continue(()));
        found.extend(ended.unwrap());
    }
    { numbers.iter() }
        .map(|number| found.remove(number).unwrap().unwrap())
        .collect()
}

#[test]
fn prompts_that_begin_alike_run_that_once() {
    let files = Files::new();
    // Room for all prompts of the jobs that ended.
    let model = model_of(&files, testing::tiny_config(), 1200, 5);
    let scalar = engine(&model, BackendKind::Scalar).with_speculation(false);
    let fast = engine(&model, BackendKind::Threaded);
    let system = job(9, 200, 1).prompt;
    let ask = |seed: u64, shared: usize, own: usize, n_runs: u32| {
        let own = job(seed, own, n_runs);
        Job {
            prompt: system[..shared]
                .iter()
                .chain(&own.prompt)
                .copied()
                .collect(),
            ..own
        }
    };
    // At once: the same beginning, a shorter one, one that is all of the prompt, one below a page, another one.
    let first = [
        ask(1, 200, 30, 2),
        ask(2, 200, 1, 1),
        ask(3, 130, 60, 3),
        ask(4, 200, 0, 1),
        ask(5, 63, 20, 1),
        ask(6, 0, 150, 2),
    ];
    let mut batch = Batch::new(&fast);
    let found = together(&mut batch, &first);
    // The fourth is all shared but its last token.
    let expected = 200 + 130 + 199;
    assert_eq!(batch.shared(), expected);
    // Later: from prompts of jobs that ended. A prompt that is there whole, longer and shorter ones.
    let second = [
        ask(7, 200, 30, 1),
        first[0].clone(),
        ask(8, 64, 3, 1),
        ask(9, 200, 199, 1),
    ];
    let again = together(&mut batch, &second);
    assert_eq!(batch.shared(), expected + 200 + 229 + 64 + 200);
    for (job, runs) in first.iter().chain(&second).zip(found.iter().chain(&again)) {
        assert_eq!(runs, &alone(&scalar, job));
    }
    assert_eq!(found[0], again[1]);
}

#[test]
fn a_cancelled_beginning_harms_nobody_who_shares_it() {
    let files = Files::new();
    let model = model(&files);
    let engine = engine(&model, BackendKind::Threaded);
    let shared = job(1, 300, 1);
    let mut batch = Batch::new(&engine);
    let first = batch.submit(shared.clone()).unwrap();
    let second = batch.submit(shared.clone()).unwrap();
    // The first has run a part of its prompt, which the second waits for.
    batch.step(&mut |_, _| ControlFlow::Continue(())).unwrap();
    batch.cancel(first);
    let mut ended = HashMap::new();
    while !batch.is_empty() {
        ended.extend(batch.step(&mut |_, _| ControlFlow::Continue(())).unwrap());
    }
    assert!(matches!(ended[&first], Err(Error::Cancelled)));
    let left = ended.remove(&second).unwrap().unwrap();
    assert_eq!(left, alone(&engine, &shared));
    assert!(batch.shared() >= 64);
}

#[test]
fn a_draft_needs_the_same_vocabulary() {
    let files = Files::new();
    let model = model(&files);
    let smaller = LlamaConfig {
        vocab_size: 300,
        ..testing::tiny_config()
    };
    let other = model_of(&files, smaller, 64, 3);
    let error = engine(&model, BackendKind::Scalar)
        .with_draft(other)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "vocabulary of the draft model: found 300 tokens, expected the model's 320"
    );
    // The same size, other pieces.
    let mut vocabulary = testing::vocabulary(320);
    vocabulary[300].0 = b"other".to_vec();
    let mut gguf = testing::gguf(&testing::tiny_config(), WeightFormat::Q8_0, 4);
    for (key, value) in testing::gguf_vocabulary(&vocabulary).keys {
        if key.starts_with("tokenizer.") {
            gguf.set(&key, value);
        }
    }
    let source = files.open(&gguf.to_bytes()).unwrap();
    let other = Model::import(&source, &files.path().join("other"), &mut |_, _| {}).unwrap();
    let error = engine(&model, BackendKind::Scalar)
        .with_draft(Arc::new(other))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("token 300 of the draft model") && error.contains("\"other\""),
        "{error}"
    );
}

#[test]
fn a_draft_that_is_the_model_is_always_right() {
    let files = Files::new();
    let model = model(&files);
    let plain = engine(&model, BackendKind::Scalar).with_speculation(false);
    let drafting = engine(&model, BackendKind::Threaded)
        .with_eager_speculation()
        .with_draft(Arc::clone(&model))
        .unwrap();
    for (seed, n_runs) in [(1, 1), (2, 2), (3, 1)] {
        let mut job = job(seed, 90, n_runs);
        job.max_new_tokens = 61;
        let mut batch = Batch::new(&drafting);
        let found = together(&mut batch, std::slice::from_ref(&job));
        assert_eq!(found[0], alone(&plain, &job));
        let (guessed, right) = batch.guesses();
        let (tokens, stopped): (usize, usize) =
            found[0].iter().fold((0, 0), |(tokens, stopped), run| {
                let stop = usize::from(run.finish == sworn_inference::engine::Finish::Stop);
                (tokens + run.offsets.len(), stopped + stop)
            });
        assert!(
            right as usize >= tokens / 2 && tokens > 10,
            "{right} of {tokens}"
        );
        // Only what stands after a stop token was for nothing.
        assert!(
            guessed - right <= 3 * stopped as u64,
            "{right} of {guessed}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the draft says, the runs are those without it, token for token.
    #[test]
    fn a_draft_changes_no_token(
        seed in 0u64..1000, draft_seed in 0u64..1000, layers in 1u32..3, draft_context in 16u32..90, temperature in 0u32..1500, top_k in 0u32..40,
        n_runs in 1u32..4, length in 1usize..70, limit in 0u32..60, always: bool, jobs in 1usize..4,
    ) {
        let files = Files::new();
        let config = LlamaConfig { n_layers: layers, ..testing::tiny_config() };
        let model = model_of(&files, testing::tiny_config(), 80, seed);
        let draft = model_of(&files, config, draft_context, draft_seed + 1000);
        let jobs: Vec<Job> = (0..jobs as u64).map(|i| {
            let mut job = job(seed + i, length, if temperature == 0 { 1 } else { n_runs });
            job.max_new_tokens = limit;
            job.sampling.temperature_milli = temperature;
            job.sampling.top_k = top_k;
            job
        }).collect();
        let plain = engine(&model, BackendKind::Scalar).with_speculation(false);
        let mut drafting = engine(&model, BackendKind::Threaded).with_draft(draft).unwrap();
        if always {
            drafting = drafting.with_eager_speculation();
        }
        let found = together(&mut Batch::new(&drafting), &jobs);
        for (job, found) in jobs.iter().zip(&found) {
            prop_assert_eq!(found, &alone(&plain, job));
        }
    }
}
