//! Help, usage errors, configuration.

mod common;

use common::Place;

/// All commands that the help lists, with their subcommands.
fn commands(place: &Place, prefix: &[String]) -> Vec<Vec<String>> {
    let help = place
        .run(prefix.iter().map(String::as_str).chain(["--help"]))
        .expect(0)
        .stdout;
    let Some(list) = help.split("Commands:\n").nth(1) else {
        return vec![prefix.to_vec()];
    };
    let names = list
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(!names.is_empty(), "{help}");
    names
        .iter()
        .flat_map(|name| commands(place, &[prefix, &[(*name).to_owned()]].concat()))
        .collect()
}

#[test]
fn every_command_has_examples() {
    let place = Place::new();
    let all = commands(&place, &[]);
    assert!(all.len() >= 8, "{all:?}");
    for command in all {
        let help = place
            .run(command.iter().map(String::as_str).chain(["--help"]))
            .expect(0)
            .stdout;
        assert!(help.contains("Examples:\n  sworn "), "{command:?}: {help}");
        let example = format!("sworn {}", command.join(" "));
        assert!(
            help.split("Examples:")
                .nth(1)
                .is_some_and(|examples| examples.contains(&example)),
            "no example of {example}: {help}"
        );
    }
}

#[test]
fn help_documents_exit_codes() {
    let help = Place::new().run(["--help"]).expect(0).stdout;
    for line in ["Exit codes:", "  3    bad input", "  6    too early"] {
        assert!(help.contains(line), "{help}");
    }
}

#[test]
fn wrong_use_ends_with_2() {
    let place = Place::new();
    place.run(["bogus"]).expect(2).says(&["bogus"]);
    place.run(["config", "show", "--no-such-flag"]).expect(2);
    place
        .run(["config", "show", "--account", "10"])
        .expect(2)
        .says(&["--account", "`10`", "0 to 9"]);
    place
        .run(["config", "show", "--rpc-url", "ftp://x"])
        .expect(2)
        .says(&["ftp://x", "http://"]);
    place
        .run(["config", "show", "--config", "nowhere.toml"])
        .expect(2)
        .says(&["nowhere.toml"]);
    let ran = place
        .run(["config", "show", "--json", "--timeout", "0"])
        .expect(2);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["code"], 2);
    assert_eq!(error["error"]["kind"], "usage");
    let ran = place.run(["rank", "--json", "x", "1,2"]).expect(2);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["code"], 2);
    assert!(
        error["error"]["message"].as_str().unwrap().contains("'x'"),
        "{error}"
    );
}

#[test]
fn config_show_tells_where_values_come_from() {
    let place = Place::new();
    std::fs::write(
        place.path().join("sworn.toml"),
        "rpc_url = \"http://file:1\"\napi_url = \"http://file:2\"\ntimeout = 7\n",
    )
    .unwrap();
    let mut command = place.command();
    command
        .env("SWORN_API_URL", "http://env:2")
        .env("SWORN_KEY", "0xdeadbeef")
        .args(["config", "show", "--json", "--timeout", "8"]);
    let ran = common::finish(&mut command).expect(0);
    let shown = ran.json();
    let settings = &shown["settings"];
    let value = |key: &str| {
        (
            settings[key]["value"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            settings[key]["source"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    assert_eq!(value("timeout"), ("8".into(), "flag --timeout".into()));
    assert_eq!(
        value("api_url"),
        ("http://env:2".into(), "environment SWORN_API_URL".into())
    );
    assert_eq!(value("rpc_url").0, "http://file:1");
    assert!(value("rpc_url").1.starts_with("file ") && value("rpc_url").1.ends_with("sworn.toml"));
    assert_eq!(value("log_format"), ("text".into(), "default".into()));
    assert_eq!(value("key").0, "(hidden)");
    assert!(!ran.stdout.contains("deadbeef"));
    let table = place.run(["config", "show"]).expect(0).stdout;
    assert!(
        table.contains("http://file:1") && !table.contains('\u{1b}'),
        "{table}"
    );
}
