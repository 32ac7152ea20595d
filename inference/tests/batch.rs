//! Many jobs at once give what each gives alone, with and without guessing ahead.

mod common;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use common::Files;
use sworn_inference::engine::{
    BackendKind, Batch, Engine, EngineOptions, Job, Network, Row, RunResult, Sampling, Session,
};
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::{Error, testing};

fn model(files: &Files) -> Arc<Model> {
    let config = LlamaConfig {
        context: 400,
        ..testing::tiny_config()
    };
    let source = files
        .open(&testing::gguf(&config, WeightFormat::Q8_0, 5).to_bytes())
        .unwrap();
    Arc::new(Model::import(&source, &files.path().join("model"), &mut |_, _| {}).unwrap())
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
    let guessing = engine(&model, BackendKind::Threaded);
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
