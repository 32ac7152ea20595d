//! Ask, answer, claim, post, rank, export.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::system::{Chain, System};

fn flow(test: &str, chain: Chain) {
    let Some(system) = System::start(test, chain) else {
        return;
    };
    let operator = &system.operator;
    let _node = system.node(operator);
    let asker = operator.as_account(1);

    let asked = asker.json(&[
        "ask",
        "Once upon a time",
        "-n",
        "2",
        "--temperature",
        "0.8",
        "--max-new",
        "48",
    ]);
    let id = asked["id"].to_string();
    let texts: Vec<&str> = asked["responses"]
        .as_array()
        .expect("responses")
        .iter()
        .map(|r| r["text"].as_str().expect("text"))
        .collect();
    assert_eq!(texts.len(), 2);
    assert_ne!(texts[0], texts[1], "two draws at temperature 0.8");
    let events: BTreeSet<&str> = asked["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .filter_map(|step| step["event"].as_str())
        .collect();
    for event in [
        "sealed",
        "answered",
        "claimed",
        "final",
        "delivered",
        "posted",
    ] {
        assert!(events.contains(event), "no {event} in {events:?}");
    }

    // Ranks: two users, one changes its mind; what is no ranking is refused and changes nothing.
    let rank =
        |account: u32, places: &str| operator.as_account(account).json(&["rank", &id, places]);
    rank(2, "1,2");
    rank(3, "1,1");
    rank(3, "2,1");
    let refused = operator.as_account(2).run(&["rank", &id, "1,3"]);
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("without place 2"),
        "{}",
        String::from_utf8_lossy(&refused.stderr)
    );

    let shown = asker.json(&["show", &id]);
    assert_eq!(shown["state"], "posted");
    let rankings = shown["rankings"].as_array().expect("rankings");
    let places: Vec<(&Value, &Value)> = rankings
        .iter()
        .map(|ranking| (&ranking["places"], &ranking["sequence"]))
        .collect();
    assert_eq!(
        places,
        [
            (&serde_json::json!([1, 2]), &Value::from(1)),
            (&serde_json::json!([2, 1]), &Value::from(2))
        ]
    );
    for (run, text) in texts.iter().enumerate() {
        assert_eq!(
            shown["responses"][run]["text"], *text,
            "what was posted is what was answered"
        );
    }

    let exported = asker.run(&["export", "--kind", "dpo", "--strict-columns"]);
    assert!(exported.status.success());
    let rows: Vec<Value> = String::from_utf8(exported.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(rows.len(), 2, "one row for each user's preference");
    assert_eq!(
        (&rows[0]["chosen"], &rows[0]["rejected"]),
        (&Value::from(texts[0]), &Value::from(texts[1]))
    );
    assert_eq!(
        (&rows[1]["chosen"], &rows[1]["rejected"]),
        (&Value::from(texts[1]), &Value::from(texts[0]))
    );
    for row in &rows {
        let columns: Vec<&String> = row.as_object().expect("a row").keys().collect();
        assert_eq!(
            columns
                .iter()
                .map(|name| name.as_str())
                .collect::<BTreeSet<_>>(),
            BTreeSet::from(["prompt", "chosen", "rejected"])
        );
    }
}

#[test]
fn flow_on_the_embedded_chain() {
    flow("flow_on_the_embedded_chain", Chain::Embedded);
}

#[test]
fn flow_on_anvil() {
    flow("flow_on_anvil", Chain::Anvil);
}

/// A second node with its own key, store and copy of the model has the same bits.
#[test]
fn two_nodes_agree() {
    let Some(system) = System::start("two_nodes_agree", Chain::Embedded) else {
        return;
    };
    let second = system.user("second", 5);
    let file = sworn_tests::repository_root().join("models/fable/fable-2m.q8_0.gguf");
    let _ = second.json(&["model", "add", file.to_str().expect("UTF-8")]);
    let (_first_node, _second_node) = (system.node(&system.operator), system.node(&second));

    let asker = system.operator.as_account(1);
    let asked = asker.json(&[
        "ask",
        "One day, a fox",
        "-n",
        "3",
        "--temperature",
        "1.1",
        "--max-new",
        "40",
    ]);
    let id = asked["id"].to_string();
    let mine = asker.json(&["show", &id]);
    // The other node is asked through its own API.
    let others = second.json(&["ask", "One day, a hen", "-n", "2", "--max-new", "24"]);
    let theirs = system
        .operator
        .as_account(1)
        .json(&["show", &others["id"].to_string()]);
    for (asked, shown) in [(&asked, &mine), (&others, &theirs)] {
        for response in asked["responses"].as_array().expect("responses") {
            let run = usize::try_from(response["run"].as_u64().expect("a run")).expect("small");
            assert_eq!(
                shown["responses"][run]["text"], response["text"],
                "posted, and answered by either node"
            );
        }
    }
    // Each node has both answers by itself, and an equal claim is not made twice.
    for id in [&asked["id"], &others["id"]] {
        let views: Vec<Value> = [system.operator.api_port, second.api_port]
            .iter()
            .map(|port| crate::peers::http_json(*port, &format!("/v1/prompts/{id}")))
            .collect();
        // One node may have seen the vouchers a block before the other: only what it computed itself is compared.
        let computed = |view: &Value| -> Vec<[Value; 4]> {
            view["responses"]
                .as_array()
                .expect("responses")
                .iter()
                .map(|r| ["run", "text", "finish", "new_tokens"].map(|field| r[field].clone()))
                .collect()
        };
        assert_eq!(computed(&views[0]), computed(&views[1]));
        assert!(!computed(&views[0]).is_empty());
        assert_eq!(views[0]["claim"]["root"], views[1]["claim"]["root"]);
    }
}
