//! Whole models against the outputs of independent programs.

mod common;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use sworn_inference::engine::{BackendKind, Engine, EngineOptions, Finish, Job, Sampling};
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::tokenizer::Segment;

/// Two logits nearer than this may swap between programs that round differently.
const TOP2_GAP: f32 = 0.1;

fn engine(file: &Path, tokenizer: Option<&Path>, backend: BackendKind, threads: usize) -> Engine {
    let source = ModelSource::open(file, tokenizer).expect("the model opens");
    let folder = tempfile::tempdir().expect("a scratch folder");
    let model = Model::import(&source, &folder.path().join("model"), &mut |_, _| {})
        .expect("the model imports");
    Engine::new(Arc::new(model), EngineOptions { backend, threads }).expect("the engine starts")
}

fn greedy(prompt: Vec<u32>, max_new_tokens: u32) -> Job {
    Job {
        prompt,
        n_runs: 1,
        max_new_tokens,
        max_total_tokens: 0,
        sampling: Sampling {
            temperature_milli: 0,
            top_k: 0,
            top_p_ppm: 1_000_000,
            min_p_ppm: 0,
        },
        seed: [0; 32],
    }
}

#[test]
fn stories260k_gives_the_golden_text_at_temperature_0() {
    let Some(folder) = common::data(
        "stories260k_gives_the_golden_text_at_temperature_0",
        "llama2c",
    ) else {
        return;
    };
    for backend in [BackendKind::Scalar, BackendKind::Threaded] {
        let engine = engine(
            &folder.join("stories260K.bin"),
            Some(&folder.join("tok512.bin")),
            backend,
            2,
        );
        for (file, steps) in [("golden/t0_n200.txt", 200), ("golden/t0_n256.txt", 256)] {
            let golden = std::fs::read_to_string(folder.join(file)).expect("the golden text");
            let runs = engine
                .generate(&greedy(vec![1], steps), &mut |_| ControlFlow::Continue(()))
                .expect("a run");
            let text = String::from_utf8(runs[0].text.clone()).expect("UTF-8");
            assert_eq!(text, golden.trim_end_matches('\n'), "{file}, {backend:?}");
        }
    }
}

/// Top-1 tokens under teacher forcing equal the golden ones wherever the two best logits differ by more than [`TOP2_GAP`].
fn check_golden(
    items: &[serde_json::Value],
    model: &str,
    kind: &str,
    file: &Path,
    tokenizer: Option<&Path>,
) -> (usize, usize) {
    let engine = engine(file, tokenizer, BackendKind::Auto, 1);
    let (mut compared, mut near_ties) = (0, 0);
    for item in items.iter().filter(|item| item["model"] == model) {
        let ids = |value: &serde_json::Value| -> Vec<u32> {
            value
                .as_array()
                .expect("ids")
                .iter()
                .map(|id| id.as_u64().expect("an id") as u32)
                .collect()
        };
        let (prompt, new) = (ids(&item["prompt_ids"]), ids(&item[kind]["ids"]));
        let tokens: Vec<u32> = prompt.iter().chain(&new).copied().collect();
        let logits = engine.logits(&tokens).expect("logits");
        let vocab = logits.len() / tokens.len();
        for (i, &golden) in new.iter().enumerate() {
            let row = &logits[(prompt.len() + i - 1) * vocab..][..vocab];
            let best = (0..vocab).fold(0, |best, v| if row[v] > row[best] { v } else { best });
            let second = (0..vocab)
                .filter(|&v| v != best)
                .map(|v| row[v])
                .fold(f32::MIN, f32::max);
            if row[best] - second > TOP2_GAP {
                compared += 1;
                assert_eq!(
                    best as u32, golden,
                    "{model} {kind}, prompt {}, new token {i}",
                    item["prompt"]
                );
            } else {
                near_ties += 1;
            }
        }
    }
    (compared, near_ties)
}

fn golden_items(path: &Path) -> Vec<serde_json::Value> {
    serde_json::from_slice(&std::fs::read(path).expect("golden.json")).expect("JSON")
}

#[test]
fn fable_q8_0_agrees_with_llama_cpp() {
    let fable = common::shipped_model();
    let (compared, near_ties) = check_golden(
        &golden_items(&fable.join("golden.json")),
        "fable-2m",
        "q8_0",
        &fable.join("fable-2m.q8_0.gguf"),
        None,
    );
    println!("fable-2m q8_0: {compared} tokens equal, {near_ties} near ties left out");
    assert!(compared > 400, "only {compared} tokens were compared");
}

#[test]
fn fable_f32_and_qa_agree_with_independent_programs() {
    let Some(shared) = common::beside("fable_f32_and_qa_agree_with_independent_programs", "fable")
    else {
        return;
    };
    let items = golden_items(&shared.join("golden.json"));
    let bin = shared.join("tokenizer.bin");
    for (model, kind, file, tokenizer) in [
        ("fable-2m", "f32", "fable-2m.f32.bin", Some(bin.as_path())),
        (
            "fable-2m-qa",
            "f32",
            "fable-2m-qa.f32.bin",
            Some(bin.as_path()),
        ),
        ("fable-2m-qa", "q8_0", "fable-2m-qa.q8_0.gguf", None),
    ] {
        let (compared, near_ties) =
            check_golden(&items, model, kind, &shared.join(file), tokenizer);
        println!("{model} {kind}: {compared} tokens equal, {near_ties} near ties left out");
        assert!(
            compared > 300,
            "{model} {kind}: only {compared} tokens were compared"
        );
    }
}

/// A stop token ends an answer, and its text is not part of it.
#[test]
fn fable_ends_its_answer() {
    let engine = engine(
        &common::shipped_model().join("fable-2m.q8_0.gguf"),
        None,
        BackendKind::Auto,
        1,
    );
    let prompt = engine.model().tokenizer().encode(&[Segment::Text(
        b"<|user|>What colour is the sky?<|assistant|>",
    )]);
    let runs = engine
        .generate(&greedy(prompt, 0), &mut |_| ControlFlow::Continue(()))
        .expect("a run");
    assert_eq!(runs[0].finish, Finish::Stop);
    let text = String::from_utf8(runs[0].text.clone()).expect("UTF-8");
    assert_eq!(text, "It is white."); // what golden.json has too
}
