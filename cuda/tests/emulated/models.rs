//! Whole models: every format, shapes that fill nothing evenly, chunks, batches, forks, truncation, selection.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sworn_cuda::Loaded;
use sworn_cuda::device::{Device, Kernel};
use sworn_inference::backend::Scalar;
use sworn_inference::engine::{Accelerator, Network, Row, Runner, Sampling, Session};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::program::{LlamaConfig, WeightFormat};
use sworn_inference::{Error, testing};

use crate::devices::gpu;
use crate::emulator::Emulator;

pub(crate) fn import(bytes: &[u8], dir: &Path) -> Arc<Model> {
    let file = dir.join("model.bin");
    std::fs::write(&file, bytes).unwrap();
    let tokenizer = dir.join("tokenizer.bin");
    let vocabulary = testing::tokenizer_bin(&testing::vocabulary(320));
    std::fs::write(&tokenizer, vocabulary).unwrap();
    let tokenizer = (!bytes.starts_with(b"GGUF")).then_some(&*tokenizer);
    let source = ModelSource::open(&file, tokenizer).unwrap();
    Arc::new(Model::import(&source, &dir.join("imported"), &mut |_, _| {}).unwrap())
}

pub(crate) fn random_model(
    dir: &Path,
    config: &LlamaConfig,
    format: WeightFormat,
    seed: u64,
) -> Arc<Model> {
    let bytes = match format {
        WeightFormat::Q8F => testing::llama2c(config, 2, 32, seed),
        _ => testing::gguf(config, format, seed).to_bytes(),
    };
    import(&bytes, dir)
}

pub(crate) fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

fn network(model: &Model) -> Network<'_> {
    Network {
        program: model.program(),
        weights: model.weights(),
    }
}

fn rows(sequence: usize, tokens: impl IntoIterator<Item = u32>) -> Vec<Row> {
    let row = |token| Row { sequence, token };
    tokens.into_iter().map(row).collect()
}

/// Two runners that must agree; sequences have the same numbers in both.
struct Pair<'a> {
    session: Session<'a>,
    gpu: Box<dyn Runner + 'a>,
    what: String,
}

impl Pair<'_> {
    fn start(&mut self) -> usize {
        let sequence = self.session.start();
        assert_eq!(self.gpu.start(), sequence);
        sequence
    }

    fn fork(&mut self, from: usize) -> usize {
        let sequence = self.session.fork(from);
        assert_eq!(self.gpu.fork(from), sequence);
        sequence
    }

    fn truncate(&mut self, sequence: usize, length: usize) {
        self.session.truncate(sequence, length);
        self.gpu.truncate(sequence, length);
    }

    fn run(&mut self, rows: &[Row], wanted: &[usize]) {
        let expected = bits(self.session.forward(rows, wanted, None).unwrap());
        self.gpu.run(rows, wanted).unwrap();
        let found = bits(self.gpu.logits().unwrap());
        assert!(
            found == expected,
            "{}: logits of {} rows",
            self.what,
            rows.len()
        );
        // A few rows: a draw takes the emulator long.
        for i in (0..wanted.len()).take(1 + rows.len() / 9) {
            for (temperature_milli, top_k) in [(0, 0), (800, 0)] {
                let sampling = Sampling {
                    temperature_milli,
                    top_k,
                    top_p_ppm: 1_000_000,
                    min_p_ppm: 0,
                };
                let h64 = testing::Random(rows.len() as u64 ^ i as u64).bits();
                let expected = Runner::select(&mut self.session, i, &sampling, &mut || h64);
                let found = self.gpu.select(i, &sampling, &mut || h64).unwrap();
                assert_eq!(found, expected.unwrap(), "{}: {sampling:?}", self.what);
            }
        }
    }
}

/// A prompt in chunks, forks of it as a batch, guesses that are taken back.
fn same(model: &Arc<Model>, device: impl Device + 'static, what: &str, prompt: usize) {
    let vocab = model.program().vocab_size();
    let mut random = testing::Random(prompt as u64);
    let mut token = || random.below(vocab as usize) as u32;
    let loaded = Loaded::new(Box::new(device), Arc::clone(model)).unwrap();
    let mut pair = Pair {
        session: Session::new(network(model), &Scalar),
        gpu: loaded.runner().unwrap(),
        what: what.to_owned(),
    };
    let first = pair.start();
    let tokens: Vec<u32> = (0..prompt).map(|_| token()).collect();
    let chunk = rows(first, tokens.iter().copied());
    pair.run(&chunk, &[prompt - 1, 0]);
    let forks = [first, pair.fork(first), pair.fork(first)];
    for step in [1, 1, 1, 1, 3] {
        let batch: Vec<Row> = forks
            .iter()
            .flat_map(|sequence| rows(*sequence, (0..step).map(|_| token()).collect::<Vec<_>>()))
            .collect();
        let wanted: Vec<usize> = (0..batch.len()).rev().collect();
        pair.run(&batch, &wanted);
    }
    // A guess of four tokens of which one is kept, on pages that a fork may share.
    let guess = pair.fork(forks[1]);
    let guesses: Vec<u32> = (0..4).map(|_| token()).collect();
    pair.run(&rows(guess, guesses), &[0, 1, 2, 3]);
    pair.truncate(guess, prompt + 8);
    for _ in 0..5 {
        pair.run(&rows(guess, [token()]), &[0]);
        pair.run(&rows(forks[1], [token()]), &[0]);
    }
}

fn config() -> LlamaConfig {
    LlamaConfig {
        context: 700,
        ..testing::tiny_config()
    }
}

#[test]
fn every_format_gives_the_processors_bits() {
    for (i, format) in [
        WeightFormat::Q8_0,
        WeightFormat::Q4_0,
        WeightFormat::Q8F,
        WeightFormat::F16,
        WeightFormat::F32,
    ]
    .into_iter()
    .enumerate()
    {
        let Some(device) = Emulator::new() else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let config = LlamaConfig {
            tied_head: i % 2 == 0,
            ..config()
        };
        let model = random_model(dir.path(), &config, format, i as u64);
        let launches = Arc::clone(&device.launches);
        let replays = Arc::clone(&device.replays);
        same(&model, device, &format!("{format:?}"), 37);
        if let Some(gpu) = gpu() {
            same(&model, gpu, &format!("{format:?} on a GPU"), 600);
        }
        let launches = launches.lock().unwrap();
        let used = |kernel| launches.contains_key(&kernel);
        if format.is_quantised() {
            let all = [
                Kernel::MatmulDot,
                Kernel::MatmulMma1,
                Kernel::MatmulMma2,
                Kernel::MatmulMma4,
            ];
            assert!(all.into_iter().all(used), "{launches:?}");
        } else {
            assert!(used(Kernel::MatmulFloat));
        }
        assert!(used(Kernel::Choose) && used(Kernel::Combine));
        assert!(replays.load(Ordering::SeqCst) > 3, "steps are recorded");
    }
}

#[test]
fn a_gpu_without_tensor_cores_gives_them_too() {
    for format in [WeightFormat::Q8_0, WeightFormat::Q4_0] {
        let Some(device) = Emulator::new() else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let model = random_model(dir.path(), &config(), format, 9);
        let device = device.without_tensor_cores();
        let launches = Arc::clone(&device.launches);
        same(&model, device, "dot products", 21);
        assert!(!launches.lock().unwrap().contains_key(&Kernel::MatmulMma4));
    }
}

/// Sizes that fill no tile, block of threads or group evenly; more than four query heads a key head; partly rotated heads; several tiles.
#[test]
fn odd_shapes_and_long_prompts() {
    let shapes = [
        // (dim, hidden, heads, kv_heads, head_dim, rope_dim)
        (288, 352, 6, 1, 48, 32),
        (32, 32, 1, 1, 32, 32),
        (544, 96, 5, 5, 64, 2),
    ];
    for (i, (dim, hidden_dim, n_heads, n_kv_heads, head_dim, rope_dim)) in
        shapes.into_iter().enumerate()
    {
        let Some(device) = Emulator::new() else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let config = LlamaConfig {
            context: 400,
            dim,
            hidden_dim,
            n_layers: 1,
            n_heads,
            n_kv_heads,
            head_dim,
            rope_dim,
            ..testing::tiny_config()
        };
        let model = random_model(dir.path(), &config, WeightFormat::Q8_0, i as u64);
        let prompt = [262, 3, 40][i];
        same(&model, device, &format!("{config:?}"), prompt);
        if let Some(gpu) = gpu() {
            same(&model, gpu, &format!("{config:?} on a GPU"), 350);
        }
    }
    let Some(device) = Emulator::new() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let config = LlamaConfig {
        dim: 33 * 4,
        hidden_dim: 172,
        n_heads: 3,
        n_kv_heads: 1,
        head_dim: 22,
        rope_dim: 10,
        ..testing::tiny_config()
    };
    let model = random_model(dir.path(), &config, WeightFormat::F16, 5);
    same(&model, device, "no blocks of 32", 17);
}

#[test]
fn a_device_with_too_little_memory_is_refused() {
    let Some(mut device) = Emulator::new() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let model = random_model(dir.path(), &config(), WeightFormat::Q8_0, 1);
    device.memory = 5 << 20;
    let error = Loaded::new(Box::new(device), model).unwrap_err();
    assert!(matches!(error, Error::DeviceMemory { .. }));
    let message = error.to_string();
    assert!(
        message.contains("needs ") && message.contains("5 MiB are free"),
        "{message}"
    );
}

#[test]
fn bad_rows_are_refused_and_change_nothing() {
    let Some(device) = Emulator::new() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let model = random_model(dir.path(), &testing::tiny_config(), WeightFormat::Q4_0, 1);
    let loaded = Loaded::new(Box::new(device), model).unwrap();
    assert_eq!(loaded.device().name(), "emulator");
    let mut runner = loaded.runner().unwrap();
    let sequence = runner.start();
    let good = Row { sequence, token: 5 };
    for (rows, wanted) in [
        (
            vec![Row {
                sequence,
                token: 320,
            }],
            0,
        ),
        (
            vec![Row {
                sequence: 1,
                token: 5,
            }],
            0,
        ),
        (vec![good; 65], 0),
        (vec![good], 1),
    ] {
        let error = runner.run(&rows, &[wanted]).unwrap_err();
        assert!(matches!(error, Error::BadParameter { .. }), "{error}");
    }
    runner.run(&[good; 64], &[63]).unwrap();
    assert_eq!(runner.logits().unwrap().len(), 320);
    runner.run(&[], &[]).unwrap();
    assert!(runner.logits().unwrap().is_empty());
}
