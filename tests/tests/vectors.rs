//! The test vectors on disk: current, whole, and right by two implementations.

use std::fs;
use std::process::Command;

use serde_json::Value;
use sworn_inference::testing::skip;
use sworn_prover::record::{self, RunRecord};
use sworn_prover::voucher::{self, Lane, Proof};
use sworn_prover::{Digest, header, merkle, payload};
use sworn_tests::{repository_root, vectors};

fn load(name: &str) -> Value {
    let path = repository_root().join(vectors::FOLDER).join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap().strip_prefix("0x").unwrap();
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn digest(value: &Value) -> Digest {
    value.as_str().unwrap().parse().unwrap()
}

fn digests(value: &Value) -> Vec<Digest> {
    value.as_array().unwrap().iter().map(digest).collect()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn cases<'a>(file: &'a Value, name: &str) -> &'a Vec<Value> {
    let cases = file[name].as_array().unwrap();
    assert!(!cases.is_empty(), "{name}");
    cases
}

#[test]
fn vectors_on_disk_are_current() {
    let folder = repository_root().join(vectors::FOLDER);
    let mut expected: Vec<String> = vectors::files().unwrap().into_iter().map(|(name, text)| {
        let found = fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(
            found == text,
            "{}/{name} is not what the machine gives. If the machine was meant to change, its version must, and `{}` writes it",
            vectors::FOLDER,
            vectors::COMMAND
        );
        name
    }).collect();
    let mut found: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn hashes_of_the_manifest() {
    let manifest = load(vectors::MANIFEST);
    let hashes = manifest["sha256"].as_object().unwrap();
    assert!(hashes.len() > 10);
    for (name, hash) in hashes {
        let text = fs::read(repository_root().join(vectors::FOLDER).join(name)).unwrap();
        assert_eq!(Digest::of(&text), digest(hash), "{name}");
    }
}

/// An implementation in Python from the specification's text.
#[test]
fn an_independent_implementation_agrees() {
    let script = repository_root().join(vectors::FOLDER).join("check.py");
    match Command::new("python3").arg(&script).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success(),
                "{text}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(text.contains(" 0 failed"), "{text}");
        }
        Err(error) => {
            skip(&format!(
                "an_independent_implementation_agrees: python3: {error}"
            ));
        }
    }
}

/// Every bug of a list that is planted in the Python implementation makes a vector fail.
#[test]
fn planted_bugs_are_noticed() {
    let script = repository_root().join(vectors::FOLDER).join("mutants.py");
    match Command::new("python3").arg(&script).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{text}\n{errors}");
            assert!(text.contains(" bugs, 0 not noticed"), "{text}");
        }
        Err(error) => skip(&format!("planted_bugs_are_noticed: python3: {error}")),
    }
}

/// The script notices a single changed digit anywhere in the vectors.
#[test]
fn the_independent_implementation_can_fail() {
    let folder = repository_root().join(vectors::FOLDER);
    if Command::new("python3").arg("--version").output().is_err() {
        skip("the_independent_implementation_can_fail: no python3");
        return;
    }
    let copy = tempfile::tempdir().unwrap();
    for (name, text) in vectors::files().unwrap() {
        fs::write(copy.path().join(name), text).unwrap();
    }
    let run = |checks: &[&str]| {
        Command::new("python3")
            .arg(folder.join("check.py"))
            .arg(copy.path())
            .args(checks)
            .output()
            .unwrap()
    };
    for (check, key) in [
        ("merkle", "root"),
        ("records", "digest"),
        ("vouchers", "claim_id"),
        ("seeds", "seed"),
        ("tokenizer", "merges_root"),
        ("machine", "logits_sha256"),
    ] {
        let file = copy.path().join(format!("{check}.json"));
        let text = fs::read_to_string(&file).unwrap();
        let at = text.find(&format!("\"{key}\": \"0x")).unwrap() + key.len() + 7;
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        fs::write(&file, changed).unwrap();
        for check in [check, "manifest"] {
            let output = run(&[check]);
            let report = String::from_utf8_lossy(&output.stdout);
            assert!(
                !output.status.success() && report.contains("FAILED"),
                "{check} of {}: {report}",
                file.display()
            );
        }
        fs::write(&file, text).unwrap();
        assert!(run(&[check]).status.success());
    }
}

#[test]
fn records_hash_their_words() {
    for case in cases(&load("records.json"), "cases") {
        let fields: Vec<_> = digests(&case["fields"])
            .into_iter()
            .map(record::Word::from)
            .collect();
        assert_eq!(
            record::record(case["tag_text"].as_str().unwrap(), &fields),
            digest(&case["digest"])
        );
    }
}

/// The digests that come with a job give the roots of its traces, and those of many runs are one level less below them.
#[test]
fn digests_of_jobs_give_the_roots_of_their_traces() {
    let file = load("steps.json");
    let mut counts = Vec::new();
    let models = cases(&file, "models").iter();
    for case in models.filter(|case| !case["jobs"].is_null()) {
        for job in cases(case, "jobs") {
            let (count, digests) = (number(&job["runs"]), digests(&job["digests"]));
            // Down to whole rows, so that what is absent is at the end.
            let levels = if count > 8 { 1 } else { 3 };
            let mut rest = &digests[..];
            for run in cases(case, "runs").iter().cycle().take(count as usize) {
                let (depth, root) = (number(&run["depth"]), digest(&run["trace_root"]));
                let found = (1..=rest.len().min(1 << levels))
                    .find(|count| padded_root(&rest[..*count], depth, levels) == root);
                rest = &rest[found.expect("digests of a trace")..];
            }
            assert!(rest.is_empty(), "digests of no trace");
            counts.push(count);
        }
    }
    assert_eq!(counts, [8, 9, 16]);
}

/// The root over the first nodes of a level, of which the others are absent.
fn padded_root(first: &[Digest], depth: u32, levels: u32) -> Digest {
    let mut row = first.to_vec();
    row.resize(1 << levels, merkle::empty(depth - levels));
    while row.len() > 1 {
        row = row
            .chunks_exact(2)
            .map(|pair| Digest::of_pair(pair[0], pair[1]))
            .collect();
    }
    row[0]
}

#[test]
fn malformed_inputs_are_refused() {
    for case in cases(&load("payloads.json"), "malformed") {
        assert!(payload::decode(&bytes(&case["payload"])).is_err(), "{case}");
    }
    for case in cases(&load("seeds.json"), "malformed_headers") {
        assert!(header::mix_hash(&bytes(case)).is_err(), "{case}");
    }
}

fn run_record(fields: &Value) -> RunRecord {
    RunRecord {
        n_prompt: number(&fields["n_prompt"]),
        n_tokens: number(&fields["n_tokens"]),
        finish: number(&fields["finish"]) as u8,
        tokens_root: digest(&fields["tokens_root"]),
        offsets_root: digest(&fields["offsets_root"]),
        text_root: digest(&fields["text_root"]),
        text_length: fields["text_length"].as_u64().unwrap(),
        score: fields["score"].as_i64().unwrap(),
        greedy: fields["greedy"].as_bool().unwrap(),
    }
}

#[test]
fn vouchers_verify_and_no_digit_of_a_path_can_change() {
    let file = load("vouchers.json");
    for case in cases(&file, "cases") {
        let lane = Lane {
            claim_root: digest(&file["claim"]["root"]),
            count: number(&file["claim"]["lane_count"]),
            index: number(&case["lane_index"]),
            n_runs: number(&case["n_runs"]),
        };
        let proof = Proof {
            claim_id: digest(&file["claim"]["claim_id"]),
            input_id: case["input_id"].as_u64().unwrap(),
            run: number(&case["run"]),
            runs_root: digest(&case["runs_root"]),
            score_root: digest(&case["score_root"]),
            job_path: digests(&case["job_path"]),
            run_path: digests(&case["run_path"]),
            chunk_path: digests(&case["chunk_path"]),
        };
        let (run, chunk) = (run_record(&case["record"]), number(&case["chunk"]));
        let (start, length) = (
            number(&case["chunk_start"]) as usize,
            number(&case["chunk_length"]) as usize,
        );
        let text = &vectors::pattern(run.text_length as usize)[start..start + length];
        assert_eq!(voucher::verify(&lane, &proof, &run, chunk, text), Ok(()));

        let paths = [
            proof.job_path.len(),
            proof.run_path.len(),
            proof.chunk_path.len(),
        ];
        for (which, length) in paths.into_iter().enumerate() {
            for byte in 0..32 * length {
                let mut bad = proof.clone();
                let path = [&mut bad.job_path, &mut bad.run_path, &mut bad.chunk_path]
                    .into_iter()
                    .nth(which)
                    .unwrap();
                path[byte / 32].0[byte % 32] ^= 0x10;
                // The text is checked last; the paths above it do not need its hashes again.
                let result = if which < 2 {
                    voucher::verify(&lane, &bad, &run, chunk, &[])
                } else if byte % 32 == 0 {
                    voucher::verify(&lane, &bad, &run, chunk, text)
                } else {
                    continue;
                };
                assert!(
                    matches!(result, Err(sworn_prover::Error::WrongRoot { .. })),
                    "{result:?}"
                );
            }
        }
    }
}

mod selection {
    use proptest::prelude::*;
    use sworn_inference::engine;
    use sworn_prover::params::Params;
    use sworn_tests::vectors::select;

    use super::{cases, load, number};

    fn engine_selects(logits: &[f32], params: &Params, h64: u64) -> u32 {
        engine::select(logits, &params.sampling(), || h64, &mut Vec::new())
    }

    #[test]
    fn the_engine_selects_as_the_vectors_do() {
        let file = load("selection.json");
        let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
        let lists: Vec<Vec<f32>> = cases(&file, "logits")
            .iter()
            .map(|list| {
                list.as_array()
                    .unwrap()
                    .iter()
                    .map(|x| f32::from_bits(hex(x.as_str().unwrap()) as u32))
                    .collect()
            })
            .collect();
        for case in cases(&file, "cases") {
            let params = Params {
                temperature_milli: number(&case["temperature_milli"]),
                top_k: number(&case["top_k"]),
                top_p_ppm: number(&case["top_p_ppm"]),
                min_p_ppm: number(&case["min_p_ppm"]),
                ..Params::default()
            };
            let logits = &lists[number(&case["list"]) as usize];
            let token = engine_selects(logits, &params, hex(case["h64"].as_str().unwrap()));
            assert_eq!(token, number(&case["token"]), "{case}");
        }
    }

    fn any_logit() -> impl Strategy<Value = f32> {
        prop_oneof![
            8 => -12.0f32..12.0,
            4 => (-6i32..6).prop_map(|x| x as f32 / 2.0),
            1 => any::<u32>().prop_map(f32::from_bits),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn the_engine_selects_as_the_plain_way_does(
            logits in prop::collection::vec(any_logit(), 1..40),
            temperature_milli in prop_oneof![Just(0u32), 1..3000u32, Just(10_000)],
            top_k in prop_oneof![Just(0u32), 1..50u32, any::<u32>()],
            top_p_ppm in prop_oneof![Just(1_000_000u32), 1..=1_000_000u32, Just(1)],
            min_p_ppm in prop_oneof![Just(0u32), 0..=1_000_000u32],
            h64 in prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)],
        ) {
            let params = Params { temperature_milli, top_k, top_p_ppm, min_p_ppm, ..Params::default() };
            let expected = select(&logits, &params, h64).unwrap();
            prop_assert_eq!(engine_selects(&logits, &params, h64), expected.token);
        }
    }
}
