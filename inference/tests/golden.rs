//! Real models against the outputs of independent programs.

mod common;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use sworn_inference::engine::{Engine, EngineOptions, Finish, Job, Sampling};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::tokenizer::Segment;

fn engine(dir: &Path, model: &Path, tokenizer: Option<&Path>) -> Engine {
    let source = ModelSource::open(model, tokenizer).unwrap();
    let model = Model::import(
        &source,
        &dir.join(model.file_name().unwrap()),
        &mut |_, _| {},
    )
    .unwrap();
    Engine::new(Arc::new(model), EngineOptions::default()).unwrap()
}

/// llama2.c's `-n` counts all tokens but the first; its output ends with a line break.
#[test]
fn stories_at_temperature_zero() {
    let Some(folder) = common::data("stories_at_temperature_zero", "llama2c") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(
        dir.path(),
        &folder.join("stories260K.bin"),
        Some(&folder.join("tok512.bin")),
    );
    for (file, steps) in [("t0_n200.txt", 200), ("t0_n256.txt", 256)] {
        let golden = common::read_text(&folder.join("golden").join(file));
        let sampling = Sampling {
            temperature_milli: 0,
            top_k: 0,
            top_p_ppm: 1_000_000,
            min_p_ppm: 0,
        };
        let prompt = engine.model().tokenizer().encode(&[]);
        let job = Job {
            prompt,
            n_runs: 1,
            max_new_tokens: steps,
            max_total_tokens: 0,
            sampling,
            seed: [0; 32],
        };
        let runs = engine
            .generate(&job, &mut |_| ControlFlow::Continue(()))
            .unwrap();
        let text = String::from_utf8_lossy(&runs[0].text);
        assert!(
            golden.trim_end().starts_with(text.trim_end())
                || text.trim_end().starts_with(golden.trim_end()),
            "{text}"
        );
        let lengths = (text.trim_end().len(), golden.trim_end().len());
        assert!(
            lengths.0.abs_diff(lengths.1) <= 12,
            "one token more or less: {lengths:?}"
        );
    }
}

/// Teacher-forced best tokens agree with other programs wherever the best is ahead of the second by more than 0.1.
#[test]
fn fable_agrees_where_it_is_sure() {
    let Some(golden) = common::fable("fable_agrees_where_it_is_sure", "golden.json") else {
        return;
    };
    let folder = golden.parent().unwrap();
    let cases: serde_json::Value = serde_json::from_str(&common::read_text(&golden)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut engines = std::collections::HashMap::new();
    let (mut sure, mut all) = (0, 0);
    for case in cases.as_array().unwrap() {
        for kind in ["f32", "q8_0"] {
            let file = case[kind]["file"].as_str().unwrap();
            let path = folder.join(file);
            if !path.exists() {
                continue;
            }
            let engine = engines.entry(file.to_owned()).or_insert_with(|| {
                engine(
                    dir.path(),
                    &path,
                    (kind == "f32")
                        .then(|| folder.join("tokenizer.bin"))
                        .as_deref(),
                )
            });
            let ids = |value: &serde_json::Value| -> Vec<u32> {
                value
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|id| id.as_u64().unwrap() as u32)
                    .collect()
            };
            let (prompt, new) = (ids(&case["prompt_ids"]), ids(&case[kind]["ids"]));
            let text = case["prompt"].as_str().unwrap();
            assert_eq!(
                engine
                    .model()
                    .tokenizer()
                    .encode(&[Segment::Text(text.as_bytes())]),
                prompt,
                "{text:?}"
            );
            let tokens = [&prompt[..], &new].concat();
            let logits = engine.logits(&tokens).unwrap();
            for (position, token) in tokens.iter().enumerate().skip(prompt.len()) {
                let row = &logits[(position - 1) * 1024..][..1024];
                let mut order: Vec<usize> = (0..1024).collect();
                order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
                all += 1;
                if row[order[0]] - row[order[1]] > 0.1 {
                    sure += 1;
                    assert_eq!(order[0] as u32, *token, "{file}: {text:?} at {position}");
                }
            }
        }
    }
    println!("{sure} of {all} positions are sure, and agree");
    assert!(sure * 10 > all * 9);
}

/// A stop token ends a story.
#[test]
fn fable_ends_its_answer() {
    let Some(path) = common::fable("fable_ends_its_answer", "fable-2m.q8_0.gguf") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path(), &path, None);
    let prompt = engine.model().tokenizer().encode(&[Segment::Text(
        b"<|user|>What colour is the sky?<|assistant|>",
    )]);
    let sampling = Sampling {
        temperature_milli: 0,
        top_k: 0,
        top_p_ppm: 1_000_000,
        min_p_ppm: 0,
    };
    let job = Job {
        prompt,
        n_runs: 1,
        max_new_tokens: 0,
        max_total_tokens: 0,
        sampling,
        seed: [0; 32],
    };
    let runs = engine
        .generate(&job, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(runs[0].finish, Finish::Stop);
    println!("{}", String::from_utf8_lossy(&runs[0].text));
    assert!(runs[0].text.len() > 5);
}
