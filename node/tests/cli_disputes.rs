//! `sworn challenges` and `sworn verify`, of right claims and of a wrong one.

mod common;

use std::time::{Duration, Instant};

use common::{Background, Place};
use serde_json::Value;

/// The claim of an account's lie that fell and was settled, as `sworn challenges` shows it.
fn fallen(place: &Place) -> Value {
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        let shown = place.run(["challenges", "--json"]).expect(0).json();
        let fallen =
            shown["claims"].as_array().unwrap().iter().find(|claim| {
                claim["status"] == "fallen" && !claim["fall"]["settled_in"].is_null()
            });
        if let Some(claim) = fallen {
            assert!(shown["gas"].as_object().unwrap().len() > 4, "{shown:#}");
            return claim.clone();
        }
        assert!(Instant::now() < deadline, "nothing fell: {shown:#}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn a_lie_is_shown_and_told_from_the_truth() {
    let place = Place::new();
    let demo = [
        "demo",
        "--rpc-port",
        "0",
        "--api-port",
        "0",
        "--window-seconds",
        "20",
    ];
    let demo = Background::start(&place, &demo);
    let none = place.run(["challenges", "--json"]).expect(0).json();
    assert_eq!(none["claims"].as_array().unwrap().len(), 0, "{none:#}");

    // The liar is a node of its own.
    let other = Place::new();
    let (rpc, deployment) = (demo.text("rpc_url"), demo.text("deployment"));
    let liar = [
        "node",
        "--rpc-url",
        &rpc,
        "--deployment",
        &deployment,
        "--account",
        "2",
        "--model",
        "fable-2m",
        "--no-api",
        "--roles",
        "executor,proposer,responder",
        "--sabotage",
        "token",
    ];
    let liar = Background::start(&other, &liar);
    place
        .run(["ask", "Once upon a time", "--max-new", "12", "--no-wait"])
        .expect(0);
    let claim = fallen(&place);
    let id = claim["claim"].as_str().unwrap();

    // Its lines: one owner, each node in one of them, the culprit the lowest of one.
    let lines = claim["lines"].as_array().unwrap();
    let nodes = claim["nodes"].as_array().unwrap();
    assert!(!lines.is_empty() && nodes.len() >= lines.len(), "{claim:#}");
    let mut numbers: Vec<_> = lines.iter().map(|line| line["number"].as_u64()).collect();
    numbers.sort_unstable();
    assert_eq!(
        numbers,
        (0..lines.len() as u64).map(Some).collect::<Vec<_>>()
    );
    for line in lines {
        assert_eq!(line["owner"], lines[0]["owner"]);
        let own = nodes.iter().filter(|node| node["line"] == line["line"]);
        let (count, last) = own.fold((0, None), |(count, _), node| (count + 1, Some(node)));
        assert_eq!(
            (line["nodes"].as_u64(), &line["lowest"]),
            (Some(count), &last.unwrap()["key"])
        );
    }
    assert!(
        lines
            .iter()
            .any(|line| line["lowest"] == claim["fall"]["node"] && line["state"] == "culprit"),
        "{claim:#}"
    );
    for node in nodes {
        let parent = &node["parent"];
        let is_top = parent.as_str().unwrap().trim_matches(['0', 'x']).is_empty();
        assert!(
            is_top || nodes.iter().any(|above| above["key"] == *parent),
            "{node:#}"
        );
    }
    let shown = place.run(["challenges", id]).expect(0);
    for part in [
        "FALLEN",
        "line 0 of 0x",
        "job 0",
        "fell by",
        "settled",
        "gas in all",
    ] {
        assert!(shown.stdout.contains(part), "no `{part}`: {}", shown.stdout);
    }
    let unknown = format!("0x{}", "ee".repeat(32));
    place
        .run(["challenges", &unknown])
        .expect(3)
        .says(&["no claim", "sworn challenges --all"]);
    place.run(["challenges", "0x12"]).expect(2);

    // By the claimed results, by one's own, and by the wrong claim's id.
    let deadline = Instant::now() + Duration::from_secs(120);
    while place.run(["show", "0", "--json"]).expect(0).json()["state"] != "posted" {
        assert!(Instant::now() < deadline, "never posted");
        std::thread::sleep(Duration::from_millis(300));
    }
    let right = place.run(["verify", "0", "--json"]).expect(0).json();
    assert_eq!(
        (&right["verdict"], &right["checked"]),
        (&Value::from("right"), &Value::from(1))
    );
    assert_ne!(right["claim"], id);
    let made = place
        .run(["verify", "0", "--decode", "--json"])
        .expect(0)
        .json();
    assert_eq!(made["verdict"], "right");
    assert_ne!(made["method"], right["method"]);
    let wrong = place.run(["verify", id, "--json"]).expect(1);
    let wrong: Value = serde_json::from_str(wrong.stdout.lines().next().unwrap())
        .or_else(|_| serde_json::from_str(&wrong.stdout))
        .unwrap();
    assert_eq!(
        (&wrong["verdict"], &wrong["claim"]),
        (&Value::from("wrong"), &Value::from(id))
    );
    place.run(["verify", "9"]).expect(2).says(&["no prompt 9"]);
    place
        .run(["verify", "0x12"])
        .expect(2)
        .says(&["64 hexadecimal digits"]);
    place
        .run(["verify", &unknown])
        .expect(2)
        .says(&["no claim"]);
    let all = place
        .run(["challenges", "--all", "--json"])
        .expect(0)
        .json();
    let statuses: Vec<_> = (all["claims"].as_array().unwrap().iter())
        .map(|claim| claim["status"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(statuses.len(), 2, "{all:#}");
    assert!(statuses.contains(&"final".to_owned()), "{statuses:?}");
    assert_eq!(liar.signal("-TERM"), Some(0));
    assert_eq!(demo.signal("-INT"), Some(0));
}
