//! A dispute between two nodes in processes of their own, both killed again and again in the middle of it: the lie falls, the truth is final.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::system::{Chain, System};

const LONG: Duration = Duration::from_secs(180);

/// The challenged claim with that state, when there is one.
fn claim_with(system: &System, status: &str) -> Option<Value> {
    let told = system.operator.json(&["challenges"]);
    let claims = told["claims"].as_array().cloned().unwrap_or_default();
    claims.into_iter().find(|claim| claim["status"] == status)
}

#[test]
fn kill_9_in_the_middle_of_a_challenge() {
    let Some(system) = System::start("kill_9_in_the_middle_of_a_challenge", Chain::Embedded) else {
        return;
    };
    let liar = system.user("liar", 2);
    let file = sworn_tests::repository_root().join("models/fable/fable-2m.q8_0.gguf");
    let _ = liar.json(&["model", "add", file.to_str().expect("UTF-8")]);
    let lie = [
        "--sabotage",
        "element-attn-mix-weights@0.0.5",
        "--roles",
        "executor,proposer,responder",
    ];
    let mut lying = system.node_with(&liar, &lie);
    let mut honest = system.node(&system.operator);
    let asker = system.operator.as_account(1);
    let asked = asker.json(&[
        "ask",
        "Once upon a time there was a fox",
        "--max-new",
        "24",
        "--no-wait",
    ]);
    let started = Instant::now();
    // Each time something was opened more than before, both die.
    let mut kills = 0;
    let mut opened = 0;
    let fallen = loop {
        assert!(
            started.elapsed() < LONG,
            "the lie stands: {}",
            system.operator.json(&["challenges"])
        );
        if let Some(fallen) = claim_with(&system, "fallen") {
            break fallen;
        }
        let standing = claim_with(&system, "standing");
        let now = standing.map_or(0, |claim| claim["nodes"].as_array().map_or(0, Vec::len));
        if now > opened && kills < 5 {
            opened = now;
            kills += 1;
            honest.kill_9();
            lying.kill_9();
            lying = system.node_with(&liar, &lie);
            honest = system.node(&system.operator);
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(kills >= 2, "only {kills} kills");
    assert!(fallen["fall"]["fault"].is_u64(), "not by silence: {fallen}");
    let id = asked["id"].to_string();
    let shown = loop {
        let shown = system.operator.json(&["show", &id]);
        if shown["state"] == "posted" {
            break shown;
        }
        assert!(started.elapsed() < LONG, "{shown}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_ne!(shown["claim"]["proposer"], fallen["proposer"]);
    // What is final is right, by the model itself; what fell is wrong.
    let right = system.operator.json(&["verify", &id]);
    assert_eq!(right["verdict"], "right");
    let wrong = system.operator.run(&[
        "verify",
        fallen["claim"].as_str().expect("an id"),
        "--decode",
    ]);
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
}
