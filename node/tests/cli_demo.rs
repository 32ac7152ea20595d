//! A demo that stays up, and what other commands make of it: good and bad input.

mod common;

use common::{Background, Place, Ran};
use serde_json::Value;

#[test]
fn a_demo_that_stays_up_serves_other_commands() {
    let place = Place::new();
    let demo = Background::start(&place, &["demo", "--rpc-port", "0", "--api-port", "0"]);
    let run = |args: &[&str]| -> Ran { place.run(args) };

    // Other commands find it without flags.
    let status = run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["models"][0]["name"], "fable-2m");
    assert!(status["node"]["version"].is_string());
    let config = run(&["config", "show", "--json"]).expect(0).json();
    assert!(
        config["settings"]["rpc_url"]["source"]
            .as_str()
            .unwrap()
            .starts_with("running demo"),
        "{config}"
    );

    // A prompt, all the way.
    let asked = run(&["ask", "Once upon a time", "--max-new", "16", "--json"])
        .expect(0)
        .json();
    assert_eq!(asked["responses"].as_array().unwrap().len(), 2);
    assert_eq!(
        asked["steps"].as_array().unwrap().last().unwrap()["event"],
        "posted"
    );
    let shown = run(&["show", "0", "--json"]).expect(0).json();
    assert_eq!(
        (shown["state"].as_str(), shown["prompt"].as_str()),
        (Some("posted"), Some("Once upon a time"))
    );
    for run in 0..2 {
        assert_eq!(
            shown["responses"][run]["text"], asked["responses"][run]["text"],
            "what is final is what was read"
        );
    }
    bad_prompts(&place);
    rankings_and_exports(&place);
    money_and_time(&place);
    wrong_places(&place, &demo);

    let rpc_url = demo.text("rpc_url");
    assert_eq!(demo.signal("-INT"), Some(0));
    assert!(!place.path().join("data/demo.json").exists());
    run(&["status", "--rpc-url", &rpc_url])
        .expect(4)
        .says(&["sworn demo"]);
}

fn bad_prompts(place: &Place) {
    let run = |args: &[&str]| place.run(args);
    run(&["ask", ""]).expect(3).says(&["empty prompt"]);
    run(&["ask", &"word ".repeat(2000)])
        .expect(3)
        .says(&["512", "shorten"]);
    run(&["ask", "x", "--model", "no-such"])
        .expect(3)
        .says(&["no-such", "fable-2m"]);
    run(&["ask", "x", "-n", "0"]).expect(2).says(&["1 to 16"]);
    run(&["ask", "x", "-n", "17"]).expect(2).says(&["1 to 16"]);
    run(&["ask", "x", "--temperature", "0"])
        .expect(2)
        .says(&["temperature 0"]);
    run(&["ask", "x", "--temperature", "10.5"])
        .expect(2)
        .says(&["0 to 10"]);
    let prompts = run(&["prompts", "--json"]).expect(0).json();
    assert_eq!(
        prompts.as_array().unwrap().len(),
        1,
        "no bad prompt costs a fee"
    );
}

fn rankings_and_exports(place: &Place) {
    let run = |args: &[&str]| place.run(args);
    run(&["rank", "0", "1,3"])
        .expect(3)
        .says(&["without place 2"]);
    run(&["rank", "0", "0,1"]).expect(2);
    run(&["rank", "0", "1,2,3"])
        .expect(3)
        .says(&["3 places", "expected 2"]);
    run(&["rank", "9", "1,2"])
        .expect(3)
        .says(&["UnknownPrompt", "sworn prompts"]);
    run(&["rank", "0"]).expect(2);
    run(&["export"]).expect(0).says(&["no rows"]);
    run(&["rank", "0", "1,2"]).expect(0);
    run(&["rank", "0", "2,1"]).expect(0);
    run(&["rank", "0", "1,1", "--account", "2"]).expect(0);
    run(&["rank", "0", "--all-bad", "--account", "3"]).expect(0);
    let strict = run(&["export", "--strict-columns"]).expect(0);
    let rows: Vec<serde_json::Map<String, Value>> = strict
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        rows.len(),
        1,
        "the re-rank replaces, the tie and the all-bad give nothing: {strict:?}"
    );
    assert_eq!(
        rows[0].keys().collect::<Vec<_>>(),
        ["chosen", "prompt", "rejected"]
    );
    let shown = run(&["show", "0", "--json"]).expect(0).json();
    assert_eq!(rows[0]["chosen"], shown["responses"][1]["text"]);
    let whole = run(&["export", "--kind", "conversations", "--format", "json"])
        .expect(0)
        .json();
    assert_eq!(whole[0]["rankings"].as_array().unwrap().len(), 3);
    assert_eq!(whole[0]["rankings"][0]["sequence"], 2);
    assert!(
        whole[0]["provenance"]["claim_id"]
            .as_str()
            .unwrap()
            .starts_with("0x")
    );
    run(&["export", "--format", "tsv"])
        .expect(0)
        .says(&["lossy"]);
    run(&["export", "--kind", "conversations", "--strict-columns"]).expect(2);
    run(&["export", "-o", "/no/such/folder/x.jsonl"])
        .expect(3)
        .says(&["/no/such/folder"]);
}

fn money_and_time(place: &Place) {
    let run = |args: &[&str]| place.run(args);
    let before = run(&["dev", "mine", "1", "--json"]).expect(0).json();
    let after = run(&["dev", "time", "+10d", "--json"]).expect(0).json();
    let number = |value: &Value, key: &str| value[key].as_u64().unwrap();
    assert!(number(&after, "timestamp") >= number(&before, "timestamp") + 864_000);
    assert!(number(&after, "block") >= number(&before, "block") + 3);
    run(&["dev", "time", "+10w"]).expect(2).says(&["+10d"]);
    run(&["refund", "0"]).expect(4).says(&["Covered"]);
    let fresh = run(&["ask", "A fox", "--no-wait", "--json"])
        .expect(0)
        .json();
    let id = fresh["id"].as_u64().unwrap().to_string();
    run(&["rank", &id, "1,2"]).expect(6).says(&["NotAllPosted"]);
    run(&["refund", &id]).expect(6).says(&["DeadlineNotPassed"]);
    run(&["ask", "A crow", "--timeout", "1"])
        .expect(5)
        .says(&["sworn show"]);
    run(&["withdraw"]).expect(0);
}

fn wrong_places(place: &Place, demo: &Background) {
    let run = |args: &[&str]| place.run(args);
    let port = demo.text("rpc_url").rsplit(':').next().unwrap().to_owned();
    run(&["demo"]).expect(4).says(&["a demo running"]);
    run(&["devnet", "--port", &port])
        .expect(4)
        .says(&["in use", "--port"]);
    let other = place.path().join("other");
    run(&[
        "demo",
        "--datadir",
        other.to_str().unwrap(),
        "--rpc-port",
        &port,
        "--api-port",
        "0",
    ])
    .expect(4)
    .says(&["--rpc-port"]);
    let api_port = demo.text("api_url").rsplit(':').next().unwrap().to_owned();
    run(&[
        "demo",
        "--datadir",
        other.to_str().unwrap(),
        "--rpc-port",
        "0",
        "--api-port",
        &api_port,
    ])
    .expect(4)
    .says(&["--api-port"]);
    run(&["status", "--rpc-url", "http://127.0.0.1:1"])
        .expect(4)
        .says(&["http://127.0.0.1:1"]);
    run(&["status", "--rpc-url", &demo.text("api_url")]).expect(4);
    // A deployment of another chain, and one whose contracts are not there.
    let file = place.path().join("addresses.json");
    let text = std::fs::read_to_string(demo.text("deployment")).unwrap();
    std::fs::write(&file, text.replace("\"31337\"", "\"1\"")).unwrap();
    let path = file.to_str().unwrap();
    run(&["status", "--deployment", path])
        .expect(4)
        .says(&["chain 31337", "chains 1"]);
    let mut deployments: Value = serde_json::from_str(&text).unwrap();
    deployments["31337"]["claims"] = "0x00000000000000000000000000000000000000aa".into();
    std::fs::write(&file, deployments.to_string()).unwrap();
    run(&["status", "--deployment", path])
        .expect(4)
        .says(&["no code", "Claims"]);
    std::fs::write(&file, "{").unwrap();
    run(&["status", "--deployment", path])
        .expect(3)
        .says(&["addresses.json"]);
    // Keys that are none, and an account that cannot pay.
    let key = place.path().join("key");
    std::fs::write(&key, "not a key").unwrap();
    run(&["rank", "0", "1,2", "--key-file", key.to_str().unwrap()])
        .expect(3)
        .says(&["64 hexadecimal digits"]);
    run(&[
        "rank",
        "0",
        "1,2",
        "--key-file",
        key.to_str().unwrap(),
        "--account",
        "1",
    ])
    .expect(2)
    .says(&["one of key, key_file and account"]);
    std::fs::write(&key, format!("0x{}", "11".repeat(32))).unwrap();
    run(&["ask", "x", "--key-file", key.to_str().unwrap()])
        .expect(4)
        .says(&["0 wei"]);
}
