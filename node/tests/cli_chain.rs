//! The whole path: the scripted demo, and each part as its own process.

mod common;

use std::time::{Duration, Instant};

use common::{Background, Place};
use serde_json::Value;

#[test]
fn the_scripted_demo_goes_the_whole_way() {
    let place = Place::new();
    let file = place.path().join("preferences.jsonl");
    let shown = place
        .run(["demo", "--once", "--json", "-o", file.to_str().unwrap()])
        .expect(0)
        .json();
    let steps: Vec<&str> = shown["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    let expected = [
        "chain",
        "contracts",
        "model",
        "node",
        "asked",
        "sealed",
        "answered",
        "claimed",
        "final",
        "delivered",
        "delivered",
        "posted",
        "ranked",
        "ranked",
        "exported",
    ];
    assert_eq!(steps, expected);
    for step in shown["steps"].as_array().unwrap() {
        let sends = [
            "model",
            "asked",
            "sealed",
            "claimed",
            "final",
            "delivered",
            "ranked",
        ]
        .contains(&step["step"].as_str().unwrap());
        assert_eq!(
            step["mined"]["tx"]
                .as_str()
                .is_some_and(|tx| tx.len() == 66),
            sends,
            "{step}"
        );
        assert_eq!(
            step["mined"]["gas"]
                .as_u64()
                .is_some_and(|gas| gas > 21_000),
            sends,
            "{step}"
        );
    }
    let responses = shown["summary"]["responses"].as_array().unwrap();
    assert_eq!(responses.len(), 2);
    assert_ne!(responses[0]["text"], responses[1]["text"]);
    let rows: Vec<Value> = std::fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        rows.len(),
        2,
        "one pair from each of the two rankings, which disagree"
    );
    assert_eq!(
        (&rows[0]["chosen"], &rows[0]["rejected"]),
        (&rows[1]["rejected"], &rows[1]["chosen"])
    );
    assert_eq!(rows[0]["metadata"]["license"], "Apache-2.0");
    assert_eq!(
        std::fs::read_dir(place.path().join("data/demo"))
            .unwrap()
            .count(),
        0,
        "nothing stays behind"
    );
}

#[test]
fn each_part_as_its_own_process() {
    let place = Place::new();
    let devnet = Background::start(&place, &["devnet", "--port", "0"]);
    let rpc = devnet.text("rpc_url");
    let run = |args: &[&str]| place.run(args.iter().copied().chain(["--rpc-url", rpc.as_str()]));
    run(&["status"]).expect(4).says(&["sworn deploy"]);
    let deployed = run(&[
        "deploy",
        "--account",
        "0",
        "--window-seconds",
        "1",
        "--json",
    ])
    .expect(0)
    .json();
    assert_eq!(deployed["rules"]["windowSeconds"], 1);
    let registered = run(&["model", "register", "fable-2m", "--json"])
        .expect(0)
        .json();
    assert_eq!(registered["registered"], true);
    assert_eq!(
        run(&["model", "register", "fable-2m", "--json"])
            .expect(0)
            .json()["registered"],
        false
    );
    let node_args = ["node", "--rpc-url", &rpc, "--api-listen", "127.0.0.1:0"];
    let node = Background::start(&place, &node_args);
    let api = node.text("api_url");
    let asked = run(&[
        "ask",
        "A fox",
        "--max-new",
        "8",
        "--api-url",
        &api,
        "--json",
    ])
    .expect(0)
    .json();
    assert_eq!(asked["id"], 0);

    // A node that is killed goes on where it was; meanwhile prompts wait.
    assert_eq!(node.signal("-KILL"), None);
    let waiting = run(&["ask", "A crow", "--max-new", "8", "--no-wait", "--json"])
        .expect(0)
        .json();
    assert_eq!(waiting["id"], 1);
    let node = Background::start(&place, &node_args);
    let deadline = Instant::now() + Duration::from_secs(30);
    while run(&["show", "1", "--json"]).expect(0).json()["state"] != "posted" {
        assert!(Instant::now() < deadline, "never posted");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(
        run(&["prompts", "--json"])
            .expect(0)
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(node.signal("-TERM"), Some(0));
    assert_eq!(devnet.signal("-INT"), Some(0));
}
