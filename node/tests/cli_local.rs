//! Commands that need no chain.

mod common;

use common::{Place, fable};
use sworn_inference::testing::skip;

fn fable_arg() -> String {
    fable().to_str().unwrap().to_owned()
}

#[test]
fn generate_is_deterministic_and_streams() {
    let place = Place::new();
    let model = fable_arg();
    let greedy = [
        "generate",
        "--model",
        &model,
        "--prompt",
        "Once upon a time",
        "--max-new",
        "24",
    ];
    let first = place.run(greedy).expect(0);
    assert!(
        first.stdout.len() > 20 && first.stdout.ends_with('\n'),
        "{first:?}"
    );
    for extra in [
        ["--threads", "1"],
        ["--threads", "2"],
        ["--backend", "scalar"],
        ["--backend", "portable"],
        // A model may guess for itself; it gains nothing by it.
        ["--draft", &model],
    ] {
        assert_eq!(
            place.run(greedy.iter().chain(&extra)).expect(0).stdout,
            first.stdout
        );
    }
    let raw = place.run(greedy.iter().chain(&["--raw", "-q"])).expect(0);
    assert_eq!(raw.stdout, first.stdout.trim_end_matches('\n'));
    assert_eq!(raw.stderr, "");
    let json = place.run(greedy.iter().chain(&["--json"])).expect(0).json();
    assert_eq!(json["responses"][0]["text"].as_str().unwrap(), raw.stdout);
    let stream = place
        .run(greedy.iter().chain(&["--json", "--stream"]))
        .expect(0);
    let lines: Vec<serde_json::Value> = stream
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (done, tokens) = lines.split_last().unwrap();
    let streamed: String = tokens
        .iter()
        .map(|line| line["piece"].as_str().unwrap())
        .collect();
    assert_eq!(streamed, raw.stdout);
    assert_eq!(done["event"], "done");
    // The same from stdin and from a file, each with one line end more.
    let stdin = place
        .run_with_stdin(
            ["generate", "--model", &model, "--max-new", "24"],
            b"Once upon a time\n",
        )
        .expect(0);
    assert_eq!(stdin.stdout, first.stdout);
}

#[test]
fn golden_text_of_the_shipped_model() {
    let place = Place::new();
    let ran = place
        .run(["generate", "--prompt", "Once upon a time", "--json"])
        .expect(0)
        .json();
    let golden: serde_json::Value = serde_json::from_str(
        &std::fs::read_to_string(common::root().join("models/fable/golden.json")).unwrap(),
    )
    .unwrap();
    let entry = golden
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["model"] == "fable-2m" && entry["prompt"] == "Once upon a time")
        .unwrap();
    assert_eq!(ran["prompt_tokens"], entry["prompt_ids"]);
    // The reference is another program with other rounding: only the beginning has to be the same text.
    let expected: String = entry["f32"]["text"]
        .as_str()
        .unwrap()
        .chars()
        .take(20)
        .collect();
    assert!(
        ran["responses"][0]["text"]
            .as_str()
            .unwrap()
            .starts_with(&expected),
        "{ran}"
    );
    assert!(ran["model"]["id"].as_str().unwrap().starts_with("0x"));
}

#[test]
fn several_responses_differ_and_seeds_repeat() {
    let place = Place::new();
    let args = [
        "generate",
        "--prompt",
        "Once upon a time",
        "-n",
        "3",
        "--temperature",
        "0.8",
        "--seed",
        "7",
        "--max-new",
        "16",
        "--json",
    ];
    let first = place.run(args).expect(0).json();
    let texts: std::collections::BTreeSet<&str> = first["responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts.len(), 3, "{first}");
    let second = place.run(args).expect(0).json();
    assert_eq!(first["responses"], second["responses"]);
    assert_eq!(first["params"]["temperature_milli"], 800);
    let text = place.run(&args[..args.len() - 1]).expect(0).stdout;
    assert_eq!(text.matches("--- response ").count(), 3, "{text}");
}

#[test]
fn the_library_adds_lists_shows_and_verifies() {
    let place = Place::new();
    let model = fable_arg();
    place.run(["model", "list"]).expect(0);
    let added = place
        .run(["model", "add", &model, "--json"])
        .expect(0)
        .json();
    assert_eq!(added["added"], true);
    let id = added["model"]["model_id"].as_str().unwrap().to_owned();
    assert_eq!(
        (
            added["model"]["license"].as_str(),
            added["model"]["name"].as_str()
        ),
        (Some("Apache-2.0"), Some("fable-2m"))
    );
    let again = place
        .run([
            "model",
            "add",
            &model,
            "--json",
            "--license-uri",
            "https://example.org/L",
        ])
        .expect(0)
        .json();
    assert_eq!(
        (
            again["added"].as_bool(),
            again["model"]["license_uri"].as_str()
        ),
        (Some(false), Some("https://example.org/L"))
    );
    let list = place.run(["model", "list", "--json"]).expect(0).json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    for reference in [id.as_str(), &id[..8], &id[2..8], "fable-2m"] {
        assert_eq!(
            place
                .run(["model", "show", reference, "--json"])
                .expect(0)
                .json()["model"]["model_id"],
            id.as_str(),
            "{reference}"
        );
    }
    // What it takes, in bytes and in words.
    let memory = &place
        .run(["model", "show", "fable-2m", "--json"])
        .expect(0)
        .json()["memory"];
    let bytes = |key: &str| memory[key].as_u64().unwrap();
    assert_eq!(
        bytes("one_run_bytes"),
        bytes("weights_bytes") + bytes("activations_bytes") + bytes("cache_bytes_of_a_run")
    );
    assert!(bytes("weights_bytes") > 2_000_000 && bytes("cache_bytes_of_a_run") > 0);
    let shown = place.run(["model", "show", "fable-2m"]).expect(0).stdout;
    assert!(shown.contains("memory") && shown.contains("MiB"), "{shown}");
    assert_eq!(
        place
            .run(["model", "verify", "fable-2m", "--json"])
            .expect(0)
            .json()["model_id"],
        id.as_str()
    );
    place
        .run(["model", "show", "0x00"])
        .expect(3)
        .says(&["0x00", "fable-2m"]);
    // The same text by id and by file.
    let by = |reference: &str| {
        place
            .run([
                "generate",
                "--model",
                reference,
                "--prompt",
                "A fox",
                "--max-new",
                "8",
            ])
            .expect(0)
            .stdout
    };
    assert_eq!(by(&id), by(&model));
    // A flipped bit anywhere in the packed weights is found.
    let dir = place.path().join("data/models").join(&id);
    let largest = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().len())
        .unwrap();
    let mut bytes = std::fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&largest, bytes).unwrap();
    place.run(["model", "verify", "fable-2m"]).expect(3).says(&[
        "found",
        "expected",
        "add the model again",
    ]);
}

#[test]
fn a_model_without_licence_asks_for_one() {
    let place = Place::new();
    let (Some(model), Some(tokenizer)) =
        (data("llama2c/stories260K.bin"), data("llama2c/tok512.bin"))
    else {
        return;
    };
    place
        .run(["model", "add", &model])
        .expect(3)
        .says(&["tokenizer"]);
    place
        .run(["model", "add", &model, "--tokenizer", &tokenizer])
        .expect(3)
        .says(&["licence", "--license"]);
    place
        .run([
            "model",
            "add",
            &model,
            "--tokenizer",
            &tokenizer,
            "--license",
            "",
        ])
        .expect(2)
        .says(&["--license"]);
    let added = place
        .run([
            "model",
            "add",
            &model,
            "--tokenizer",
            &tokenizer,
            "--license",
            "MIT",
            "--name",
            "stories",
            "--json",
        ])
        .expect(0)
        .json();
    assert_eq!(added["model"]["quantisation"], "F32");
    let wrong = data("llama2c/tok4096.bin").unwrap();
    place
        .run([
            "model",
            "add",
            &model,
            "--tokenizer",
            &wrong,
            "--license",
            "MIT",
        ])
        .expect(3)
        .says(&["found", "expected"]);
}

#[test]
fn tokenizers_of_both_kinds_work() {
    let place = Place::new();
    let (Some(small), Some(vocabulary)) = (
        data("llama2c/tok512.bin"),
        data("llamacpp-vocab/ggml-vocab-llama-spm.gguf"),
    ) else {
        return;
    };
    let one = place
        .run([
            "tokenize",
            "--tokenizer",
            &small,
            "--ids",
            "Once upon a time",
        ])
        .expect(0)
        .stdout;
    assert!(one.starts_with("1 "), "{one}");
    let two = place
        .run([
            "tokenize",
            "--tokenizer",
            &vocabulary,
            "--json",
            "Hello world",
        ])
        .expect(0)
        .json();
    assert_eq!(two["ids"], serde_json::json!([1, 15043, 3186]));
    let back = place
        .run([
            "tokenize",
            "--tokenizer",
            &vocabulary,
            "--decode",
            "1 15043",
            "3186",
        ])
        .expect(0)
        .stdout;
    assert_eq!(back.trim(), "Hello world");
    place
        .run(["tokenize", "--tokenizer", &small, "--decode", "512"])
        .expect(3)
        .says(&["512"]);
    let table = place
        .run(["tokenize", "--tokenizer", &small, "a b"])
        .expect(0)
        .stdout;
    assert!(
        table.contains("PIECE") && table.contains("tokens, 3 bytes"),
        "{table}"
    );
    let bert = data("llamacpp-vocab/ggml-vocab-bert-bge.gguf").unwrap();
    place
        .run(["tokenize", "--tokenizer", &bert, "x"])
        .expect(3)
        .says(&["found", "expected"]);
}

/// A file of the test data; none when the data is not there.
fn data(name: &str) -> Option<String> {
    let dir = std::env::var_os("SWORN_DATA").map_or_else(
        || common::root().join("../shared/data"),
        std::path::PathBuf::from,
    );
    let path = dir.join(name);
    if path.is_file() {
        return path.to_str().map(str::to_owned);
    }
    skip(&format!("cli_local: no test data at {}", path.display()));
    None
}
