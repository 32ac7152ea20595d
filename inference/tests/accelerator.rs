//! An accelerator that fails at any moment costs nothing but time: the runs go on on the processor with the same bits.

mod common;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::Files;
use sworn_inference::backend::{Backend, Scalar};
use sworn_inference::engine::{
    Accelerator, BackendKind, Batch, Engine, EngineOptions, Job, Network, Row, RunResult, Runner,
    Sampling, Session,
};
use sworn_inference::format::packed::Model;
use sworn_inference::program::WeightFormat;
use sworn_inference::{Error, testing};

/// Computes on the processor, and fails for good after so many calls.
#[derive(Debug)]
struct Flaky {
    model: Arc<Model>,
    backend: Arc<dyn Backend>,
    left: AtomicUsize,
    used: AtomicUsize,
}

#[derive(Debug)]
struct FlakyRunner<'a>(&'a Flaky, Session<'a>);

impl Flaky {
    fn new(model: &Arc<Model>, left: usize) -> Arc<Flaky> {
        Arc::new(Flaky {
            model: Arc::clone(model),
            backend: Arc::new(Scalar),
            left: AtomicUsize::new(left),
            used: AtomicUsize::new(0),
        })
    }

    fn call(&self) -> Result<(), Error> {
        let taken = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        self.used
            .fetch_add(usize::from(taken.is_ok()), Ordering::SeqCst);
        taken.map(|_| ()).map_err(|_| Error::Device {
            device: "flaky".to_owned(),
            what: "fell off the bus".to_owned(),
        })
    }
}

impl Accelerator for Flaky {
    fn name(&self) -> String {
        "flaky".to_owned()
    }

    fn runner(&self) -> Result<Box<dyn Runner + '_>, Error> {
        self.call()?;
        let network = Network {
            program: self.model.program(),
            weights: self.model.weights(),
        };
        let session = Session::new(network, &*self.backend);
        Ok(Box::new(FlakyRunner(self, session)))
    }
}

impl Runner for FlakyRunner<'_> {
    fn start(&mut self) -> usize {
        self.1.start()
    }

    fn fork(&mut self, sequence: usize) -> usize {
        self.1.fork(sequence)
    }

    fn end(&mut self, sequence: usize) {
        self.1.end(sequence);
    }

    fn truncate(&mut self, sequence: usize, length: usize) {
        self.1.truncate(sequence, length);
    }

    fn length(&self, sequence: usize) -> usize {
        self.1.length(sequence)
    }

    fn run(&mut self, rows: &[Row], wanted: &[usize]) -> Result<(), Error> {
        self.0.call()?;
        self.1.run(rows, wanted)
    }

    fn logits(&mut self) -> Result<&[f32], Error> {
        self.0.call()?;
        self.1.logits()
    }

    fn select(
        &mut self,
        index: usize,
        sampling: &Sampling,
        draw: &mut dyn FnMut() -> u64,
    ) -> Result<u32, Error> {
        self.0.call()?;
        self.1.select(index, sampling, draw)
    }
}

fn model(files: &Files) -> Arc<Model> {
    let config = sworn_inference::program::LlamaConfig {
        context: 400,
        ..testing::tiny_config()
    };
    let bytes = testing::gguf(&config, WeightFormat::Q8_0, 3).to_bytes();
    let source = files.open(&bytes).unwrap();
    let dir = files.path().join("model");
    Arc::new(Model::import(&source, &dir, &mut |_, _| {}).unwrap())
}

fn engine(model: &Arc<Model>) -> Engine {
    let options = EngineOptions {
        backend: BackendKind::Scalar,
        threads: 1,
    };
    Engine::new(Arc::clone(model), options).unwrap()
}

type Failures = Arc<Mutex<Vec<String>>>;

fn with_flaky(model: &Arc<Model>, left: usize) -> (Engine, Arc<Flaky>, Failures) {
    let (flaky, failures) = (Flaky::new(model, left), Failures::default());
    let noted = Arc::clone(&failures);
    let note = Box::new(move |error: &Error| noted.lock().unwrap().push(error.to_string()));
    let engine = engine(model).with_accelerator(Arc::clone(&flaky) as _, note);
    (engine, flaky, failures)
}

fn jobs() -> Vec<Job> {
    let job = |n: u32, n_runs: u32, temperature_milli: u32| Job {
        prompt: (0..n).map(|i| 3 + i * 7 % 300).collect(),
        n_runs,
        max_new_tokens: 6,
        max_total_tokens: 0,
        sampling: Sampling {
            temperature_milli,
            top_k: 40,
            top_p_ppm: 950_000,
            min_p_ppm: 0,
        },
        seed: [n as u8; 32],
    };
    vec![job(140, 3, 900), job(2, 1, 0), job(9, 2, 3000)]
}

fn all(engine: &Engine) -> Vec<Vec<RunResult>> {
    let mut batch = Batch::new(engine);
    for job in jobs() {
        batch.submit(job).unwrap();
    }
    let mut results = vec![Vec::new(); 3];
    let mut streamed = vec![0; 3];
    while !batch.is_empty() {
        let ended = batch
            .step(&mut |job, _| {
                streamed[job as usize] += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        for (job, runs) in ended {
            results[job as usize] = runs.unwrap();
        }
    }
    for (runs, streamed) in results.iter().zip(streamed) {
        let tokens: usize = runs.iter().map(|run| run.offsets.len()).sum();
        assert_eq!(streamed, tokens, "every token was told once");
    }
    results
}

#[test]
fn a_failure_at_any_call_changes_no_result() {
    let files = Files::new();
    let model = model(&files);
    let expected = all(&engine(&model));
    let (good, flaky, failures) = with_flaky(&model, usize::MAX);
    assert_eq!(good.backend_name(), "flaky");
    assert_eq!(all(&good), expected);
    assert!(failures.lock().unwrap().is_empty());
    let calls = flaky.used.load(Ordering::SeqCst);
    assert!(calls > 40, "{calls} calls");
    for left in (0..calls).step_by(7) {
        let (engine, flaky, failures) = with_flaky(&model, left);
        assert_eq!(all(&engine), expected, "after {left} calls");
        assert_eq!(
            failures.lock().unwrap().as_slice(),
            ["flaky: fell off the bus"]
        );
        assert_eq!(engine.backend_name(), "scalar");
        // It is not tried again.
        assert_eq!(all(&engine)[1], expected[1]);
        assert_eq!(flaky.used.load(Ordering::SeqCst), left);
        assert_eq!(failures.lock().unwrap().len(), 1);
    }
}

#[test]
fn logits_and_checks_survive_too() {
    let files = Files::new();
    let model = model(&files);
    let plain = engine(&model);
    let tokens: Vec<u32> = (0..300).map(|i| 3 + i * 11 % 300).collect();
    let bits = |engine: &Engine| -> Vec<u32> {
        let logits = engine.logits(&tokens).unwrap();
        logits.iter().map(|logit| logit.to_bits()).collect()
    };
    let (expected, job) = (bits(&plain), &jobs()[0]);
    let mut runs: Vec<Vec<u32>> = all(&plain)[0]
        .iter()
        .map(|run| run.tokens[140..].to_vec())
        .collect();
    runs[1][3] ^= 1;
    let check = |engine: &Engine| {
        let runs: Vec<&[u32]> = runs.iter().map(|run| &run[..]).collect();
        engine
            .check_tokens(job, &runs, &mut |_, _| ControlFlow::Continue(()))
            .unwrap()
    };
    let found = check(&plain);
    assert_eq!(found[1].unwrap().position, 143);
    for left in 0..8 {
        let (engine, _, failures) = with_flaky(&model, left);
        assert!(bits(&engine) == expected, "after {left} calls");
        assert_eq!(failures.lock().unwrap().len(), usize::from(left < 7));
        let (engine, ..) = with_flaky(&model, 3 * left);
        assert_eq!(check(&engine), found, "after {} calls", 3 * left);
    }
}

#[test]
fn other_errors_are_not_the_accelerators() {
    let files = Files::new();
    let model = model(&files);
    let (engine, _, failures) = with_flaky(&model, usize::MAX);
    let mut runner = engine.runner();
    let sequence = runner.start();
    for (row, wanted) in [
        (
            Row {
                sequence,
                token: 999_999,
            },
            0,
        ),
        (
            Row {
                sequence: 5,
                token: 1,
            },
            0,
        ),
        (Row { sequence, token: 1 }, 1),
    ] {
        let error = runner.run(&[row], &[wanted]).unwrap_err();
        assert!(matches!(error, Error::BadParameter { .. }));
    }
    assert!(failures.lock().unwrap().is_empty());
    runner.run(&[Row { sequence, token: 1 }], &[0]).unwrap();
    assert_eq!(runner.logits().unwrap().len(), 320);
}
