//! Bytecode of the contracts.

use std::path::PathBuf;

use alloy_primitives::{Bytes, hex};

/// Creation bytecode of a contract: the committed artifact, or what `forge build` left in `contracts/out` when there is none.
///
/// # Panics
/// Neither is there: run `node scripts/artifacts.mjs` in `contracts/`.
pub fn bytecode(name: &str) -> Bytes {
    let contracts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts");
    let committed = contracts.join(format!("artifacts/{name}.json"));
    let built = contracts.join(format!("out/{name}.sol/{name}.json"));
    let text = std::fs::read_to_string(&committed)
        .or_else(|_| std::fs::read_to_string(&built))
        .unwrap_or_else(|err| {
            panic!("no artifact of {name} ({err}): run `node scripts/artifacts.mjs` in contracts/")
        });
    let json: serde_json::Value = serde_json::from_str(&text).expect("an artifact is JSON");
    let code = json["bytecode"]
        .as_str()
        .or_else(|| json["bytecode"]["object"].as_str())
        .expect("an artifact has bytecode");
    hex::decode(code).expect("linked bytecode").into()
}
