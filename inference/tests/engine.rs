//! Whole models: every backend, thread count, batch and chunking gives the same bits; jobs follow `prover/SPEC.md` sections 4 and 5.

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;

use common::Files;
use proptest::prelude::*;
use sworn_inference::backend::Threaded;
use sworn_inference::engine::{
    BackendKind, Engine, EngineOptions, Finish, Job, Network, Place, Row, RunResult, Sampling,
    Session, Sink, TokenEvent, Value,
};
use sworn_inference::format::packed::Model;
use sworn_inference::numeric::draw;
use sworn_inference::program::{LlamaConfig, Op, WeightFormat};
use sworn_inference::{Error, engine, testing};

/// The backends that force an instruction set.
const SETS: [(BackendKind, &str); 5] = [
    (BackendKind::Portable, "portable"),
    (BackendKind::Avx2, "avx2"),
    (BackendKind::Avx512, "avx512"),
    (BackendKind::Neon, "neon"),
    (BackendKind::Dotprod, "dotprod"),
];

fn options(backend: BackendKind, threads: usize) -> EngineOptions {
    EngineOptions { backend, threads }
}

/// A random model, imported.
fn model(files: &Files, config: &LlamaConfig, format: WeightFormat, seed: u64) -> Arc<Model> {
    let bytes = match format {
        WeightFormat::Q8F => testing::llama2c(config, 2, 32, seed),
        _ => testing::gguf(config, format, seed).to_bytes(),
    };
    let source = files.open(&bytes).unwrap();
    let dir = files
        .path()
        .join(format!("{format:?}-{seed}-{}", config.tied_head));
    Arc::new(Model::import(&source, &dir, &mut |_, _| {}).unwrap())
}

fn tokens(n: usize, vocab: u32, seed: u64) -> Vec<u32> {
    let mut random = testing::Random(seed);
    (0..n)
        .map(|_| random.below(vocab as usize) as u32)
        .collect()
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

const FORMATS: [WeightFormat; 5] = [
    WeightFormat::F32,
    WeightFormat::F16,
    WeightFormat::Q8_0,
    WeightFormat::Q4_0,
    WeightFormat::Q8F,
];

/// A context of more than two summation tiles and several chunks.
fn long_config(tied_head: bool) -> LlamaConfig {
    LlamaConfig {
        context: 600,
        tied_head,
        ..testing::tiny_config()
    }
}

#[test]
fn all_backends_and_thread_counts_give_the_same_logits() {
    let files = Files::new();
    for (i, format) in FORMATS.into_iter().enumerate() {
        let model = model(&files, &long_config(i % 2 == 0), format, i as u64);
        let tokens = tokens(if i == 2 { 530 } else { 90 }, 320, 5);
        let logits = |backend, threads| {
            bits(
                &Engine::new(Arc::clone(&model), options(backend, threads))
                    .unwrap()
                    .logits(&tokens)
                    .unwrap(),
            )
        };
        let expected = logits(BackendKind::Scalar, 1);
        assert_eq!(expected.len(), tokens.len() * 320);
        for threads in [1, 2, 3, 8] {
            assert!(
                logits(BackendKind::Threaded, threads) == expected,
                "{format:?}, {threads} threads"
            );
        }
        for (kind, name) in SETS {
            if Threaded::instruction_sets().contains(&name) {
                assert!(logits(kind, 2) == expected, "{format:?}, {kind:?}");
            }
        }
    }
}

#[test]
fn a_forced_instruction_set_is_used_or_refused() {
    let has = Threaded::instruction_sets();
    assert_eq!(has[0], "portable");
    assert_eq!(has.contains(&"neon"), cfg!(target_arch = "aarch64"));
    for (kind, name) in SETS {
        match options(kind, 2).open() {
            Ok(backend) => {
                assert!(has.contains(&name));
                assert_eq!(backend.name(), format!("threaded ({name}, 2 threads)"));
            }
            Err(error) => {
                assert!(!has.contains(&name));
                assert!(
                    matches!(error, Error::BadParameter { .. })
                        && error.to_string().contains("portable")
                );
            }
        }
    }
    let best = options(BackendKind::Auto, 1).open().unwrap();
    assert_eq!(
        best.name(),
        format!("threaded ({}, 1 threads)", has[has.len() - 1])
    );
}

#[test]
fn chunks_batches_and_forks_give_the_same_logits() {
    let files = Files::new();
    for (i, format) in [WeightFormat::Q8_0, WeightFormat::F16]
        .into_iter()
        .enumerate()
    {
        let model = model(&files, &long_config(i == 0), format, 9);
        let network = Network {
            program: model.program(),
            weights: model.weights(),
        };
        let shared = tokens(100, 320, 1);
        let ends: Vec<Vec<u32>> = (0..5).map(|i| tokens(37, 320, 10 + i)).collect();
        let whole: Vec<Vec<u32>> = ends.iter().map(|end| [&shared[..], end].concat()).collect();
        for (backend, threads) in [
            (BackendKind::Scalar, 1),
            (BackendKind::Threaded, 1),
            (BackendKind::Threaded, 2),
        ] {
            let engine = Engine::new(Arc::clone(&model), options(backend, threads)).unwrap();
            let expected: Vec<Vec<u32>> = whole
                .iter()
                .map(|tokens| bits(&engine.logits(tokens).unwrap()))
                .collect();
            let backend = options(backend, threads).open().unwrap();

            // Token by token.
            let mut session = Session::new(network, &*backend);
            let sequence = session.start();
            let stepped: Vec<u32> = whole[0]
                .iter()
                .flat_map(|token| {
                    bits(
                        session
                            .forward(
                                &[Row {
                                    sequence,
                                    token: *token,
                                }],
                                &[0],
                                None,
                            )
                            .unwrap(),
                    )
                })
                .collect();
            assert!(stepped == expected[0]);

            // A prefix that five sequences share, then all of them as one batch, in steps of several tokens each.
            let mut session = Session::new(network, &*backend);
            let first = session.start();
            let after = bits(session.prefill(first, &shared).unwrap());
            assert!(after == expected[0][99 * 320..100 * 320]);
            let sequences: Vec<usize> = (0..5)
                .map(|i| if i == 0 { first } else { session.fork(first) })
                .collect();
            let mut at = 0;
            for step in [1, 1, 2, 7, 3, 23] {
                let mut rows = Vec::new();
                for (sequence, end) in sequences.iter().zip(&ends) {
                    rows.extend(end[at..at + step].iter().map(|token| Row {
                        sequence: *sequence,
                        token: *token,
                    }));
                }
                let wanted: Vec<usize> = (0..rows.len()).rev().collect();
                let logits = bits(session.forward(&rows, &wanted, None).unwrap());
                for (row, logits) in wanted.iter().zip(logits.chunks(320)) {
                    let position = 100 + at + row % step;
                    assert!(
                        logits == &expected[row / step][position * 320..][..320],
                        "sequence {} position {position}",
                        row / step
                    );
                }
                at += step;
            }
            assert_eq!(
                sequences
                    .iter()
                    .map(|s| session.length(*s))
                    .collect::<Vec<_>>(),
                [137; 5]
            );
        }
    }
}

/// Notes every output that it gets.
#[derive(Default)]
struct Notes(Vec<(Place, Vec<u32>, Value)>);

impl Sink for Notes {
    fn output(&mut self, place: Place, positions: &[u32], value: &Value) {
        self.0.push((place, positions.to_vec(), value.clone()));
    }
}

#[test]
fn a_sink_gets_every_operation_in_order_whatever_the_backend() {
    let files = Files::new();
    let model = model(&files, &testing::tiny_config(), WeightFormat::Q8_0, 3);
    let program = model.program();
    let network = Network {
        program,
        weights: model.weights(),
    };
    let trace = |backend| {
        let backend = options(backend, 2).open().unwrap();
        let mut session = Session::new(network, &*backend);
        let sequence = session.start();
        let rows: Vec<Row> = tokens(20, 320, 2)
            .into_iter()
            .map(|token| Row { sequence, token })
            .collect();
        let mut notes = Notes::default();
        session.forward(&rows, &[4, 19], Some(&mut notes)).unwrap();
        notes.0
    };
    let notes = trace(BackendKind::Scalar);
    let mut order = vec![(0, 0)];
    let [body, tail] = [
        sworn_inference::program::Part::Body,
        sworn_inference::program::Part::Tail,
    ];
    for layer in 0..program.layers() {
        order.extend(
            (0..program.entries(body).len()).map(|i| (layer, program.first_entry(body) + i)),
        );
    }
    order.extend((0..program.entries(tail).len()).map(|i| (0, program.first_entry(tail) + i)));
    assert_eq!(
        notes
            .iter()
            .map(|note| (note.0.layer, note.0.entry))
            .collect::<Vec<_>>(),
        order
    );
    assert_eq!(
        notes.last().unwrap().1,
        [4, 19],
        "the tail runs for the wanted rows"
    );
    assert!(notes.iter().any(
        |note| program.entry(note.0.entry).unwrap().op == Op::AttnMax
            && matches!(note.2, Value::Maxima { .. })
    ));
    assert!(notes == trace(BackendKind::Threaded));
}

fn job(prompt: Vec<u32>, n_runs: u32) -> Job {
    let sampling = Sampling {
        temperature_milli: 900,
        top_k: 0,
        top_p_ppm: 1_000_000,
        min_p_ppm: 0,
    };
    Job {
        prompt,
        n_runs,
        max_new_tokens: 20,
        max_total_tokens: 0,
        sampling,
        seed: [7; 32],
    }
}

fn generate(engine: &Engine, job: &Job) -> Vec<RunResult> {
    engine
        .generate(job, &mut |_| ControlFlow::Continue(()))
        .unwrap()
}

#[test]
fn jobs_give_the_same_runs_on_every_backend() {
    let files = Files::new();
    let model = model(&files, &long_config(true), WeightFormat::Q4_0, 4);
    let job = Job {
        max_new_tokens: 70,
        ..job(tokens(70, 320, 8), 6)
    };
    let expected = generate(
        &Engine::new(Arc::clone(&model), options(BackendKind::Scalar, 1)).unwrap(),
        &job,
    );
    assert!(
        expected
            .windows(2)
            .any(|pair| pair[0].tokens != pair[1].tokens),
        "the runs differ"
    );
    for threads in [1, 2, 4] {
        let engine =
            Engine::new(Arc::clone(&model), options(BackendKind::Threaded, threads)).unwrap();
        let mut streamed = vec![(Vec::new(), Vec::new()); 6];
        let runs = engine.generate(&job, &mut |event: TokenEvent<'_>| {
            let (tokens, text) = &mut streamed[event.run as usize];
            tokens.push(event.token);
            text.extend_from_slice(event.piece);
            ControlFlow::Continue(())
        });
        assert_eq!(runs.unwrap(), expected);
        for (run, (tokens, text)) in expected.iter().zip(&streamed) {
            assert_eq!((&run.tokens[70..], &run.text), (&tokens[..], text));
            assert_eq!(run.offsets.len(), tokens.len());
        }
    }
}

/// Every run is what section 4 says of its teacher-forced logits, and ends as section 5 says.
#[test]
fn runs_follow_from_their_logits() {
    let files = Files::new();
    let model = model(&files, &testing::tiny_config(), WeightFormat::Q8_0, 6);
    let engine = Engine::new(Arc::clone(&model), EngineOptions::default()).unwrap();
    let (mut stops, mut lengths) = (0, 0);
    for seed in 0..40u8 {
        let mut job = Job {
            seed: [seed; 32],
            max_new_tokens: 0,
            ..job(tokens(3, 320, seed.into()), 4)
        };
        job.sampling.top_k = u32::from(seed % 3) * 40;
        job.sampling.temperature_milli = 300 + 100 * u32::from(seed);
        for (index, run) in generate(&engine, &job).iter().enumerate() {
            let logits = engine.logits(&run.tokens).unwrap();
            for position in 3..run.tokens.len() {
                let h64 = || draw(&job.seed, index as u32, position as u32);
                let token = engine::select(
                    &logits[(position - 1) * 320..][..320],
                    &job.sampling,
                    h64,
                    &mut Vec::new(),
                );
                assert_eq!(token, run.tokens[position]);
                assert_eq!(
                    model.program().stop_tokens().contains(&token),
                    run.finish == Finish::Stop && position == run.tokens.len() - 1
                );
            }
            match run.finish {
                Finish::Stop => stops += 1,
                _ => {
                    lengths += 1;
                    assert_eq!(run.tokens.len(), 64, "the context");
                }
            }
            let prompt = &run.tokens[..3];
            let mut text = model.tokenizer().decode(&run.tokens);
            let before = model.tokenizer().decode(prompt).len();
            assert_eq!(run.text, text.split_off(before));
        }
    }
    assert!(
        stops > 0 && lengths > 0,
        "both ends occur: {stops} stops, {lengths} lengths"
    );
}

#[test]
fn limits_and_prompts_of_all_lengths() {
    let files = Files::new();
    let model = model(&files, &testing::tiny_config(), WeightFormat::F32, 6);
    let engine = Engine::new(model, EngineOptions::default()).unwrap();
    let run = |n_prompt: usize, max_new_tokens, max_total_tokens| {
        // At temperature 10 the stop tokens are as likely as others: a seed without them.
        let runs = generate(
            &engine,
            &Job {
                max_new_tokens,
                max_total_tokens,
                ..job(tokens(n_prompt, 320, 3), 1)
            },
        );
        assert_eq!(runs.len(), 1);
        (runs[0].tokens.len() - n_prompt, runs[0].finish)
    };
    assert_eq!(run(5, 4, 0), (4, Finish::Length));
    assert_eq!(run(5, 4, 8), (3, Finish::Length));
    assert_eq!(run(5, 0, 8), (3, Finish::Length));
    assert_eq!(run(5, 4, 5), (0, Finish::Length));
    assert_eq!(run(5, 4, 2), (0, Finish::Length));
    assert_eq!(run(63, 4, 0), (1, Finish::Length));
    assert_eq!(run(64, 4, 0), (0, Finish::Length));
    assert_eq!(run(65, 4, 0), (0, Finish::TooLong));
    assert_eq!(run(5000, 0, 1), (0, Finish::TooLong));
}

#[test]
fn bad_jobs_are_errors_and_a_break_cancels() {
    let files = Files::new();
    let engine = Engine::new(
        model(&files, &testing::tiny_config(), WeightFormat::Q8_0, 2),
        EngineOptions::default(),
    )
    .unwrap();
    let good = job(vec![1, 5], 2);
    let sampling = good.sampling;
    let bad = [
        Job {
            prompt: vec![],
            ..good.clone()
        },
        Job {
            prompt: vec![1, 320],
            ..good.clone()
        },
        Job {
            prompt: vec![u32::MAX],
            ..good.clone()
        },
        Job {
            n_runs: 0,
            ..good.clone()
        },
        Job {
            n_runs: 17,
            ..good.clone()
        },
        Job {
            sampling: Sampling {
                temperature_milli: 0,
                ..sampling
            },
            ..good.clone()
        },
        Job {
            sampling: Sampling {
                temperature_milli: 10_001,
                ..sampling
            },
            ..good.clone()
        },
        Job {
            sampling: Sampling {
                top_p_ppm: 0,
                ..sampling
            },
            ..good.clone()
        },
        Job {
            sampling: Sampling {
                top_p_ppm: 1_000_001,
                ..sampling
            },
            ..good.clone()
        },
        Job {
            sampling: Sampling {
                min_p_ppm: 1_000_001,
                ..sampling
            },
            ..good.clone()
        },
    ];
    for job in bad {
        let result = engine.generate(&job, &mut |_| ControlFlow::Continue(()));
        assert!(
            matches!(result, Err(Error::BadParameter { .. })),
            "{job:?}: {result:?}"
        );
    }
    let mut count = 0;
    let result = engine.generate(&good, &mut |_| {
        count += 1;
        if count == 5 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(result, Err(Error::Cancelled)) && count == 5);
    assert!(matches!(
        engine.logits(&[320]),
        Err(Error::BadParameter { .. })
    ));
    assert!(matches!(
        engine.logits(&[1; 65]),
        Err(Error::BadParameter { .. })
    ));
    assert_eq!(engine.logits(&[]).unwrap(), []);

    let network = Network {
        program: engine.model().program(),
        weights: engine.model().weights(),
    };
    let backend = options(BackendKind::Threaded, 2).open().unwrap();
    let mut session = Session::new(network, &*backend);
    let sequence = session.start();
    let row = Row { sequence, token: 1 };
    assert_eq!(session.forward(&[], &[], None).unwrap(), []);
    assert_eq!(session.prefill(sequence, &[]).unwrap(), []);
    assert_eq!(session.forward(&[row], &[], None).unwrap(), []);
    assert!(
        session.forward(&[row], &[1], None).is_err(),
        "no such wanted row"
    );
    assert!(
        session
            .forward(
                &[Row {
                    sequence: 9,
                    token: 1
                }],
                &[],
                None
            )
            .is_err()
    );
    assert!(
        session
            .forward(
                &[
                    row,
                    Row {
                        sequence,
                        token: 320
                    }
                ],
                &[],
                None
            )
            .is_err()
    );
    assert_eq!(session.length(sequence), 1, "errors ran nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Odd shapes: head sizes, groups of heads, partial rotations, inner sizes that are not multiples of the tile.
    #[test]
    fn odd_models_agree(
        kv_heads in 1u32..4, per in 1u32..4, half_head in 1u32..20, cut in 0u32..3, dim in 1u32..20, hidden in 1u32..20,
        format in 0usize..4, tied_head: bool, seed in 0u64..1000,
    ) {
        let head_dim = half_head * 2;
        let format = FORMATS[format];
        let heads = kv_heads * per;
        // The inner sizes of quantised matrices are multiples of 32.
        let head_dim = if format.is_quantised() { head_dim.next_multiple_of(32) } else { head_dim };
        let unit = if format.is_quantised() { 32 } else { 14 };
        let config = LlamaConfig {
            dim: dim * unit, hidden_dim: hidden * unit, n_heads: heads, n_kv_heads: kv_heads, head_dim,
            rope_dim: head_dim.saturating_sub(2 * cut).max(2), tied_head, ..testing::tiny_config()
        };
        let files = Files::new();
        let model = model(&files, &config, format, seed);
        let tokens = tokens(40, 320, seed);
        let logits = |backend, threads| bits(&Engine::new(Arc::clone(&model), options(backend, threads)).unwrap().logits(&tokens).unwrap());
        prop_assert!(logits(BackendKind::Scalar, 1) == logits(BackendKind::Threaded, 2));
    }
}
