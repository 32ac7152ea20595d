use std::time::{Duration, Instant};

use sworn_inference::backend::{AttentionOut, AttentionRow, Backend, MatmulInput, Scalar};
use sworn_inference::engine::{EngineOptions, Sampling};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::{Model, PackedTensor};
use sworn_inference::program::{AttentionShape, LlamaConfig, WeightFormat};
use sworn_inference::testing;

use super::*;
use crate::machine::Answering;
use crate::store::StoredRun;

const NO_LIMITS: Limits = Limits {
    runs: 32,
    cache: u64::MAX,
};

fn model() -> Arc<Model> {
    let folder = tempfile::tempdir().unwrap();
    let config = LlamaConfig {
        context: 300,
        ..testing::tiny_config()
    };
    let file = folder.path().join("model.gguf");
    std::fs::write(
        &file,
        testing::gguf(&config, WeightFormat::Q8_0, 5).to_bytes(),
    )
    .unwrap();
    let source = ModelSource::open(&file, None).unwrap();
    Arc::new(Model::import(&source, &folder.path().join("model"), &mut |_, _| {}).unwrap())
}

fn service(engine: &Arc<Engine>, limits: Limits) -> Service {
    Service::new(engine.clone(), limits, finish)
}

fn finish(runs: Vec<RunResult>, _: u32) -> Answer {
    let runs = runs.into_iter().map(|run| StoredRun {
        n_prompt: run.n_prompt,
        tokens: run.tokens,
        finish: run.finish as u8,
        text: run.text.into(),
        offsets: run.offsets,
    });
    Answer {
        runs: runs.collect(),
        note: None,
    }
}

fn job(seed: u64, length: usize, n_runs: u32) -> Job {
    let mut random = testing::Random(seed);
    Job {
        prompt: (0..length).map(|_| random.below(300) as u32).collect(),
        n_runs,
        max_new_tokens: 40,
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

fn alone(engine: &Engine, job: &Job) -> Answer {
    let runs = engine.generate(job, &mut |_| ControlFlow::Continue(()));
    finish(runs.unwrap(), 0)
}

fn submit(service: &Service, job: &Job) -> Answering {
    let (events, answering) = Answering::channel();
    service.submit(Task::new(job.clone(), events));
    answering
}

/// The answer, and the tokens that were told before it.
async fn collect(mut answering: Answering) -> (Vec<Vec<u32>>, Result<Answer, MachineError>) {
    let mut told = vec![Vec::new(); 16];
    let patience = Duration::from_secs(60);
    loop {
        match tokio::time::timeout(patience, answering.next())
            .await
            .unwrap()
        {
            Some(Event::Token { run, token, .. }) => told[run as usize].push(token),
            Some(Event::Done(result)) => return (told, result),
            None => return (told, Err(MachineError::Died)),
        }
    }
}

fn check(engine: &Engine, job: &Job, told: &[Vec<u32>], answer: &Answer) {
    assert_eq!(answer, &alone(engine, job));
    for (run, told) in answer.runs.iter().zip(told) {
        assert_eq!(run.tokens[run.n_prompt as usize..], told[..]);
    }
}

#[tokio::test]
async fn eight_jobs_at_once_have_the_answers_of_each_alone() {
    let engine = Arc::new(Engine::new(model(), EngineOptions::default()).unwrap());
    let jobs: Vec<Job> = [
        (3, 1),
        (150, 2),
        (40, 1),
        (301, 1),
        (1, 3),
        (20, 1),
        (64, 2),
        (9, 1),
    ]
    .into_iter()
    .zip(1..)
    .map(|((length, n_runs), seed)| job(seed, length, n_runs))
    .collect();
    // Everything at once; two runs at a time; one job at a time.
    for (runs, cache) in [(32, u64::MAX), (2, u64::MAX), (32, 0)] {
        let service = service(&engine, Limits { runs, cache });
        let all: Vec<_> = jobs.iter().map(|job| submit(&service, job)).collect();
        for (job, answering) in jobs.iter().zip(all) {
            let (told, answer) = collect(answering).await;
            check(&engine, job, &told, &answer.unwrap());
        }
    }
}

#[test]
fn jobs_begin_in_order_and_within_the_limits() {
    let engine = Arc::new(Engine::new(model(), EngineOptions::default()).unwrap());
    let page = Footprint::of(engine.model().program()).page;
    let begun = |limits, jobs: &[Job]| {
        let mut worker = Worker::new(engine.clone(), limits, finish);
        let mut batch = Batch::new(&engine);
        // Somebody waits for each.
        let mut waiting = Vec::new();
        for job in jobs {
            let (events, answering) = Answering::channel();
            worker.waiting.push_back(Task::new(job.clone(), events));
            waiting.push(answering);
        }
        let mut order = Vec::new();
        while !(worker.waiting.is_empty() && worker.running.is_empty()) {
            worker.leave(&mut batch);
            let before: Vec<u64> = worker.running.keys().copied().collect();
            worker.admit(&mut batch);
            let new = worker
                .running
                .keys()
                .filter(|n| !before.contains(n))
                .count();
            if new > 0 {
                order.push((before.len(), new));
            }
            worker.step(&mut batch).unwrap();
        }
        order
    };
    let same = |n_runs| {
        vec![
            Job {
                max_new_tokens: 5,
                ..job(1, 4, n_runs)
            };
            4
        ]
    };
    assert_eq!(begun(NO_LIMITS, &same(2)), [(0, 4)]);
    let runs = |runs| Limits { runs, ..NO_LIMITS };
    assert_eq!(begun(runs(4), &same(2)), [(0, 2), (0, 2)]);
    assert_eq!(
        begun(runs(1), &same(2)),
        [(0, 1); 4],
        "too many runs: alone"
    );
    // A page for the prompt, and two for the new tokens of each run.
    let cache = |pages| Limits {
        cache: pages * page,
        ..NO_LIMITS
    };
    assert_eq!(begun(cache(9), &same(1)), [(0, 3), (0, 1)]);
    assert_eq!(begun(cache(1), &same(1)), [(0, 1); 4], "too large: alone");
    // A small job does not overtake a large one.
    let mixed = [job(1, 4, 2), job(2, 4, 8), job(3, 4, 1)];
    assert_eq!(begun(runs(8), &mixed)[0], (0, 1));
}

#[tokio::test]
async fn a_job_that_nobody_waits_for_leaves_and_harms_no_other() {
    let engine = Arc::new(Engine::new(model(), EngineOptions::default()).unwrap());
    let service = service(
        &engine,
        Limits {
            runs: 3,
            ..NO_LIMITS
        },
    );
    let long = Job {
        max_new_tokens: 0,
        ..job(1, 10, 2)
    };
    let mut left = submit(&service, &long);
    let others = [job(2, 80, 1), job(3, 20, 2), job(4, 30, 1)];
    let kept: Vec<_> = others.iter().map(|job| submit(&service, job)).collect();
    let gone = submit(&service, &long);
    assert!(matches!(left.next().await, Some(Event::Token { .. })));
    drop((left, gone));
    for (job, answering) in others.iter().zip(kept) {
        let (told, answer) = collect(answering).await;
        check(&engine, job, &told, &answer.unwrap());
    }
    // The thread ends with the service, whatever it is doing.
    let threads = || Arc::strong_count(&engine);
    let _running = submit(&service, &long);
    drop(_running);
    drop(service);
    let deadline = Instant::now() + Duration::from_secs(60);
    while threads() > 1 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Scalar, but a token makes it panic.
#[derive(Debug)]
struct Brittle(u32);

impl Backend for Brittle {
    fn name(&self) -> String {
        "brittle".to_owned()
    }
    fn embed(&self, weights: PackedTensor<'_>, tokens: &[u32], out: &mut [f32]) {
        assert!(!tokens.contains(&self.0), "on purpose");
        Scalar.embed(weights, tokens, out);
    }
    fn norm_stat(&self, x: &[f32], dim: usize, eps: f32, out: &mut [f32]) {
        Scalar.norm_stat(x, dim, eps, out);
    }
    fn norm_apply(&self, x: &[f32], r: &[f32], weights: PackedTensor<'_>, out: &mut [f32]) {
        Scalar.norm_apply(x, r, weights, out);
    }
    fn quantise(&self, x: &[f32], scales: &mut [f32], quants: &mut [i8]) {
        Scalar.quantise(x, scales, quants);
    }
    fn matmul(&self, weights: PackedTensor<'_>, x: MatmulInput<'_>, out: &mut [f32]) {
        Scalar.matmul(weights, x, out);
    }
    fn rope(
        &self,
        x: &[f32],
        head_dim: usize,
        table: PackedTensor<'_>,
        positions: &[u32],
        out: &mut [f32],
    ) {
        Scalar.rope(x, head_dim, table, positions, out);
    }
    fn to_f16(&self, x: &[f32], out: &mut [u16]) {
        Scalar.to_f16(x, out);
    }
    fn attention(
        &self,
        shape: &AttentionShape,
        q: &[f32],
        rows: &[AttentionRow<'_>],
        out: AttentionOut<'_>,
    ) {
        Scalar.attention(shape, q, rows, out);
    }
    fn add(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        Scalar.add(x, y, out);
    }
    fn silu_mul(&self, x: &[f32], y: &[f32], out: &mut [f32]) {
        Scalar.silu_mul(x, y, out);
    }
}

#[tokio::test]
async fn a_job_that_fails_is_reported_alone() {
    let model = model();
    let good = Engine::new(model.clone(), EngineOptions::default()).unwrap();
    let others = [job(2, 80, 1), job(3, 20, 2), job(4, 30, 1)];
    // A token that no other job has.
    let used: Vec<u32> = { others.iter() }
        .flat_map(|job| alone(&good, job).runs)
        .flat_map(|run| run.tokens)
        .collect();
    let poison = (0..320).rev().find(|token| !used.contains(token)).unwrap();
    // It comes late in the prompt: the others have tokens by then.
    let mut bad = job(5, 280, 1);
    bad.prompt[270] = poison;
    let engine = Arc::new(Engine::with_backend(model, Arc::new(Brittle(poison))));
    let service = service(&engine, NO_LIMITS);
    let kept: Vec<_> = others.iter().map(|job| submit(&service, job)).collect();
    let failing = submit(&service, &bad);
    let (told, result) = collect(failing).await;
    assert!(matches!(result, Err(MachineError::Died)) && told.concat().is_empty());
    for (job, answering) in others.iter().zip(kept) {
        let (told, answer) = collect(answering).await;
        check(&good, job, &told, &answer.unwrap());
    }
    // And it goes on.
    let (told, answer) = collect(submit(&service, &others[0])).await;
    check(&good, &others[0], &told, &answer.unwrap());
}
