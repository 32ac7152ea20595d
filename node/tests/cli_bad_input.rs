//! Bad input of the commands that need no chain: what was found, what was expected, what to do.

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use common::{Place, fable};

#[test]
fn bad_prompts_and_parameters_are_refused() {
    let place = Place::new();
    let generate = |args: &[&str]| place.run(["generate"].iter().chain(args));
    generate(&["--prompt", ""])
        .expect(3)
        .says(&["empty prompt", "at least one byte"]);
    let long = "word ".repeat(2000);
    generate(&["--prompt", &long])
        .expect(3)
        .says(&["tokens", "512", "shorten"]);
    for (flag, value, expected) in [
        ("--temperature", "10.001", "0 to 10"),
        ("--temperature", "0.0001", "3 digits"),
        ("--temperature", "-1", "temperature"),
        ("--top-p", "0", "0.000001 to 1"),
        ("--top-p", "1.1", "0.000001 to 1"),
        ("--min-p", "2", "0 to 1"),
        ("-n", "0", "1 to 16"),
        ("-n", "17", "1 to 16"),
        ("--seed", "xyz", "64 hexadecimal digits"),
        ("--threads", "many", "threads"),
        ("--backend", "gpu", "scalar"),
    ] {
        let argument = if flag.starts_with("--") {
            vec![format!("{flag}={value}")]
        } else {
            vec![flag.to_owned(), value.to_owned()]
        };
        let arguments: Vec<&str> = ["--prompt", "x"]
            .into_iter()
            .chain(argument.iter().map(String::as_str))
            .collect();
        generate(&arguments).expect(2).says(&[expected]);
    }
    // Before anything is computed: what is there, what it takes, and what to do.
    generate(&["--prompt", "x", "--memory", "1MiB"])
        .expect(3)
        .says(&[
            "found 1.0 MiB",
            "needed",
            "weights",
            "caches",
            "-n",
            "--memory any",
        ]);
    generate(&["--prompt", "x", "--max-new", "1", "--memory", "any"]).expect(0);
    generate(&["--prompt", "x", "--memory", "much"])
        .expect(2)
        .says(&["much", "6GiB"]);
    generate(&["--prompt", "x", "--draft", "no-such-model"])
        .expect(3)
        .says(&["no-such-model"]);
    generate(&["--prompt", "x", "-n", "2"])
        .expect(2)
        .says(&["temperature 0", "--temperature 0.8"]);
    generate(&["--prompt", "x", "--prompt-file", "y"])
        .expect(2)
        .says(&["--prompt-file"]);
    generate(&["--prompt-file", "nowhere"])
        .expect(3)
        .says(&["nowhere"]);
    generate(&["--prompt", "x", "--model", "no-such-model"])
        .expect(3)
        .says(&["no-such-model", "sworn model add"]);
    generate(&["--prompt", "x", "--model", "nowhere.gguf"])
        .expect(3)
        .says(&["nowhere.gguf"]);
}

#[test]
fn ill_formed_text_needs_bytes() {
    let place = Place::new();
    let ill = OsStr::from_bytes(b"ab\xffcd");
    let args = [
        OsStr::new("generate"),
        OsStr::new("--max-new=2"),
        OsStr::new("--prompt"),
        ill,
    ];
    place
        .run(args)
        .expect(3)
        .says(&["0xff", "offset 2", "--bytes"]);
    place
        .run(args.iter().chain(&[OsStr::new("--bytes")]))
        .expect(0);
    let tokens = place
        .run([
            OsStr::new("tokenize"),
            OsStr::new("--bytes"),
            OsStr::new("--json"),
            ill,
        ])
        .expect(0)
        .json();
    let ids: Vec<String> = tokens["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    let back = place
        .run(
            ["tokenize", "--json", "--decode"]
                .iter()
                .map(|s| (*s).to_owned())
                .chain(ids),
        )
        .expect(0)
        .json();
    assert!(
        back["text_hex"].as_str().unwrap().ends_with("6162ff6364"),
        "{back}"
    );
}

#[test]
fn bad_model_files_are_refused() {
    let place = Place::new();
    let good = std::fs::read(fable()).unwrap();
    let mut nan = good.clone();
    // Whatever the last tensor's format: all ones are not a number.
    let at = nan.len() - 1024;
    nan[at..].fill(0xff);
    let cases: [(&str, Vec<u8>); 5] = [
        ("empty", Vec::new()),
        (
            "magic",
            b"not a model at all, but long enough to look at".to_vec(),
        ),
        ("short", good[..good.len() / 2].to_vec()),
        ("header", good[..40].to_vec()),
        ("nan", nan),
    ];
    for (name, bytes) in cases {
        let path = place.path().join(format!("{name}.gguf"));
        std::fs::write(&path, bytes).unwrap();
        let ran = place
            .run(["model", "add", path.to_str().unwrap(), "--license", "MIT"])
            .expect(3);
        assert!(
            ran.stderr.contains("found") && ran.stderr.contains("expected"),
            "{name}: {ran:?}"
        );
        assert!(!ran.stderr.contains("panicked"), "{name}: {ran:?}");
    }
    assert_eq!(
        place.run(["model", "list", "--json"]).expect(0).json(),
        serde_json::json!([]),
        "nothing half imported"
    );
}
