//! Engines with a device: failures, the shipped model, what is checked before a device is trusted.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use sworn_cuda::Loaded;
use sworn_inference::engine::{
    BackendKind, Batch, Engine, EngineOptions, Job, RunResult, Sampling,
};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::{Error, testing};
use tempfile::TempDir;

use crate::devices::gpu;
use crate::emulator::Emulator;
use crate::models::random_model;

/// A random model of one layer, and the folder that it lies in.
fn one_layer(seed: u64) -> (TempDir, Arc<Model>) {
    let folder = tempfile::tempdir().unwrap();
    let config = LlamaConfig {
        n_layers: 1,
        ..testing::tiny_config()
    };
    let model = random_model(folder.path(), &config, WeightFormat::Q8_0, seed);
    (folder, model)
}

fn engine(model: &Arc<Model>, backend: BackendKind) -> Engine {
    let options = EngineOptions {
        backend,
        threads: 1,
    };
    Engine::new(Arc::clone(model), options).unwrap()
}

/// The results of jobs that run together.
fn together(engine: &Engine, jobs: &[Job]) -> Vec<Vec<RunResult>> {
    let mut batch = Batch::new(engine);
    for job in jobs {
        batch.submit(job.clone()).unwrap();
    }
    let mut results = vec![Vec::new(); jobs.len()];
    while !batch.is_empty() {
        let ended = batch.step(&mut |_, _| ControlFlow::Continue(()));
        for (job, runs) in ended.unwrap() {
            results[job as usize] = runs.unwrap();
        }
    }
    results
}

fn job(prompt: Vec<u32>, n_runs: u32, temperature_milli: u32, max_new_tokens: u32) -> Job {
    Job {
        prompt,
        n_runs,
        max_new_tokens,
        max_total_tokens: 0,
        sampling: Sampling {
            temperature_milli,
            top_k: 0,
            top_p_ppm: 900_000,
            min_p_ppm: 0,
        },
        seed: [3; 32],
    }
}

/// The driver goes away at any of its calls: the engine tells it once and gives the same runs.
#[test]
fn a_device_that_fails_is_left_and_changes_no_result() {
    let Some(device) = Emulator::new() else {
        return;
    };
    let (_folder, model) = one_layer(2);
    let jobs = [job(vec![4, 5, 6, 7], 2, 900, 4), job(vec![9], 1, 0, 5)];
    let expected = together(&engine(&model, BackendKind::Scalar), &jobs);
    let run = |device: Emulator, calls: usize| {
        let fuse = Arc::clone(&device.left);
        let loaded = Arc::new(Loaded::new(Box::new(device), Arc::clone(&model)).unwrap());
        fuse.store(calls, Ordering::SeqCst);
        let failures = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&failures);
        let note = Box::new(move |error: &Error| noted.lock().unwrap().push(error.to_string()));
        let engine = engine(&model, BackendKind::Scalar).with_accelerator(loaded, note);
        assert_eq!(together(&engine, &jobs), expected, "after {calls} calls");
        drop(engine);
        failures.lock().unwrap().clone()
    };
    let fuse = Arc::clone(&device.left);
    assert!(run(device, 1 << 40).is_empty());
    let used = (1 << 40) - fuse.load(Ordering::SeqCst);
    assert!(used > 20, "{used} calls");
    for calls in (0..used).step_by(3) {
        let Some(device) = Emulator::new() else {
            return;
        };
        assert_eq!(run(device, calls), ["emulator: injected failure"]);
    }
}

/// The shipped model on the device, a run of it and its check.
#[test]
fn the_shipped_model_gives_its_runs() {
    let Some(device) = Emulator::new() else {
        return;
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fable/fable-2m.q8_0.gguf");
    let dir = tempfile::tempdir().unwrap();
    let source = ModelSource::open(&file, None).unwrap();
    let model = Model::import(&source, &dir.path().join("imported"), &mut |_, _| {});
    let model = Arc::new(model.unwrap());
    let jobs = [job((5..25).collect(), 1, 800, 3)];
    let expected = together(&engine(&model, BackendKind::Auto), &jobs);
    let loaded = Arc::new(Loaded::new(Box::new(device), Arc::clone(&model)).unwrap());
    let never = Box::new(|error: &Error| panic!("{error}"));
    let engine = engine(&model, BackendKind::Auto).with_accelerator(loaded, never);
    assert_eq!(engine.backend_name(), "emulator");
    assert_eq!(together(&engine, &jobs), expected);
    if let Some(gpu) = gpu() {
        let loaded = Arc::new(Loaded::new(Box::new(gpu), Arc::clone(&model)).unwrap());
        let never = Box::new(|error: &Error| panic!("{error}"));
        let on_gpu = self::engine(&model, BackendKind::Auto).with_accelerator(loaded, never);
        let jobs = [
            job((5..85).collect(), 4, 800, 200),
            job((3..9).collect(), 1, 0, 300),
        ];
        let expected = together(&self::engine(&model, BackendKind::Auto), &jobs);
        assert_eq!(together(&on_gpu, &jobs), expected);
    }
    let runs: Vec<&[u32]> = expected[0].iter().map(|run| &run.tokens[20..]).collect();
    let found = engine.check_tokens(&jobs[0], &runs, &mut |_, _| ControlFlow::Continue(()));
    assert_eq!(found.unwrap(), [None]);
}

/// What an engine does before it trusts a device.
#[test]
fn a_device_with_other_bits_is_not_trusted() {
    let Some(device) = Emulator::new() else {
        return;
    };
    let (_folder, model) = one_layer(2);
    let engine = engine(&model, BackendKind::Auto);
    let loaded = Loaded::new(Box::new(device), Arc::clone(&model)).unwrap();
    sworn_cuda::prove(&engine, &loaded).unwrap();
    // Another model's weights stand for a GPU that computes wrongly.
    let (_folder_too, other) = one_layer(3);
    let device = Emulator::new().unwrap();
    let loaded = Loaded::new(Box::new(device), other).unwrap();
    let error = sworn_cuda::prove(&engine, &loaded).unwrap_err().to_string();
    assert!(error.contains("differ from the processor's"), "{error}");
}

/// Choosing the GPU where there is none names what is missing; leaving the choice does not.
#[test]
fn a_missing_gpu_is_an_error_only_when_it_is_asked_for() {
    if gpu().is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let model = random_model(dir.path(), &testing::tiny_config(), WeightFormat::F32, 2);
    let never = || Box::new(|error: &Error| panic!("{error}"));
    let cuda = engine(&model, BackendKind::Cuda);
    let error = sworn_cuda::attach(cuda, BackendKind::Cuda, never()).unwrap_err();
    assert!(error.to_string().starts_with("CUDA: "), "{error}");
    let auto = engine(&model, BackendKind::Auto);
    let name = auto.backend_name();
    let auto = sworn_cuda::attach(auto, BackendKind::Auto, never()).unwrap();
    assert_eq!(auto.backend_name(), name);
}
