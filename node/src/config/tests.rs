use std::collections::BTreeMap;

use super::*;

fn inputs(dir: &std::path::Path) -> Inputs {
    let environment = BTreeMap::from([(
        "HOME".to_owned(),
        dir.join("home").to_str().unwrap().to_owned(),
    )]);
    Inputs {
        environment,
        working_dir: dir.to_owned(),
        ..Inputs::default()
    }
}

#[test]
fn each_layer_beats_the_one_below() {
    let dir = tempfile::tempdir().unwrap();
    let mut inputs = inputs(dir.path());
    let rpc = |inputs: &Inputs| {
        let config = Config::resolve(inputs).unwrap();
        (
            config.rpc_url.clone(),
            config.source("rpc_url").unwrap().clone(),
        )
    };
    assert_eq!(
        rpc(&inputs),
        ("http://127.0.0.1:8545".into(), Source::Default)
    );
    let home = dir.path().join("home/.sworn");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(
        home.join(DEMO_STATE_FILE),
        r#"{"rpc_url":"http://demo:1","chain_id":31337}"#,
    )
    .unwrap();
    assert_eq!(
        rpc(&inputs),
        (
            "http://demo:1".into(),
            Source::Demo(home.join(DEMO_STATE_FILE))
        )
    );
    std::fs::write(
        home.join("sworn.toml"),
        "rpc_url = \"http://inner:1\"\ntimeout = 7",
    )
    .unwrap();
    assert_eq!(
        rpc(&inputs),
        (
            "http://inner:1".into(),
            Source::File(home.join("sworn.toml"))
        )
    );
    assert_eq!(Config::resolve(&inputs).unwrap().timeout_seconds, 7);
    let file = dir.path().join("sworn.toml");
    std::fs::write(&file, "rpc_url = \"http://file:1\"").unwrap();
    assert_eq!(rpc(&inputs), ("http://file:1".into(), Source::File(file)));
    inputs
        .environment
        .insert("SWORN_RPC_URL".into(), "http://env:1".into());
    assert_eq!(
        rpc(&inputs),
        ("http://env:1".into(), Source::Environment("SWORN_RPC_URL"))
    );
    inputs.flags.insert("rpc_url", "http://flag:1".into());
    assert_eq!(
        rpc(&inputs),
        ("http://flag:1".into(), Source::Flag("--rpc-url"))
    );
}

#[test]
fn the_data_directory_follows_xdg_and_files_are_relative_to_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let mut inputs = inputs(dir.path());
    assert_eq!(
        Config::resolve(&inputs).unwrap().datadir,
        dir.path().join("home/.sworn")
    );
    inputs
        .environment
        .insert("XDG_DATA_HOME".into(), dir.path().to_str().unwrap().into());
    assert_eq!(
        Config::resolve(&inputs).unwrap().datadir,
        dir.path().join("sworn")
    );
    std::fs::write(dir.path().join("sworn.toml"), "datadir = \"here\"").unwrap();
    assert_eq!(
        Config::resolve(&inputs).unwrap().datadir,
        dir.path().join("here")
    );
    inputs.environment.clear();
    inputs.working_dir = dir.path().join("nowhere");
    assert!(matches!(
        Config::resolve(&inputs),
        Err(ConfigError::NoDatadir)
    ));
}

#[test]
fn bad_values_name_their_layer() {
    let dir = tempfile::tempdir().unwrap();
    let mut inputs = inputs(dir.path());
    inputs
        .environment
        .insert("SWORN_ACCOUNT".into(), "10".into());
    let message = Config::resolve(&inputs).unwrap_err().to_string();
    assert!(
        message.contains("environment SWORN_ACCOUNT")
            && message.contains("`10`")
            && message.contains("0 to 9"),
        "{message}"
    );
    inputs.environment.remove("SWORN_ACCOUNT");
    std::fs::write(dir.path().join("sworn.toml"), "rpc_ulr = \"x\"").unwrap();
    let message = Config::resolve(&inputs).unwrap_err().to_string();
    assert!(
        message.contains("`rpc_ulr`") && message.contains("rpc_url"),
        "{message}"
    );
    std::fs::write(dir.path().join("sworn.toml"), "key = \"0x01\"").unwrap();
    assert!(
        matches!(
            Config::resolve(&inputs),
            Err(ConfigError::UnknownKey { .. })
        ),
        "raw keys have no place in files"
    );
    std::fs::write(dir.path().join("sworn.toml"), "rpc_url = [").unwrap();
    assert!(matches!(
        Config::resolve(&inputs),
        Err(ConfigError::Syntax { .. })
    ));
}

#[test]
fn keys_are_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mut inputs = inputs(dir.path());
    inputs
        .environment
        .insert("SWORN_KEY".into(), "0xsecret".into());
    let config = Config::resolve(&inputs).unwrap();
    assert_eq!(config.key.as_ref().unwrap().expose(), "0xsecret");
    let entry = config
        .entries
        .iter()
        .find(|entry| entry.setting.key == "key")
        .unwrap();
    assert_eq!(entry.shown(), Some("(hidden)"));
    assert!(!format!("{:?}", config.key).contains("secret"));
}

#[test]
fn engines_are_configured_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut inputs = inputs(dir.path());
    let usual = Config::resolve(&inputs).unwrap();
    assert_eq!(usual.batch, ServeOptions::RUNS);
    assert_eq!(
        usual
            .entries
            .iter()
            .find(|e| e.setting.key == "batch")
            .unwrap()
            .shown(),
        Some("32")
    );
    for (name, kind) in BackendKind::NAMES {
        assert!(BACKENDS.contains(name), "{name}");
        inputs.flags.insert("backend", name.into());
        assert_eq!(Config::resolve(&inputs).unwrap().backend, kind);
    }
    std::fs::write(
        dir.path().join("sworn.toml"),
        "memory = \"2GiB\"\nbatch = 7\ndraft = \"small\"",
    )
    .unwrap();
    let config = Config::resolve(&inputs).unwrap();
    assert_eq!(config.memory, MemoryLimit::Bytes(2 << 30));
    assert_eq!((config.batch, config.draft.as_deref()), (7, Some("small")));
    for (key, value, expected) in [
        ("backend", "gpu", "avx512"),
        ("memory", "lots", "6GiB"),
        ("batch", "0", "1 to 64"),
    ] {
        let mut bad = inputs.clone();
        bad.flags.insert(key, value.into());
        let message = Config::resolve(&bad).unwrap_err().to_string();
        assert!(
            message.contains(expected) && message.contains(value),
            "{message}"
        );
    }
}
