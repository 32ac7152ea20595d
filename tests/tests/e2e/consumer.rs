//! A contract that asks a model gets its answer by voucher; driven by Foundry's cast.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sworn_tests::process::foundry_tool;
use sworn_tests::repository_root;

use crate::system::{Chain, System};

/// The first development account.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

fn cast(tool: &Path, arguments: &[&str]) -> String {
    let output = Command::new(tool)
        .args(arguments)
        .output()
        .expect("cast runs");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "cast {arguments:?}:\n{stdout}\n{stderr}"
    );
    stdout.trim().to_owned()
}

fn consumer(test: &str, chain: Chain) {
    let Some(tool) = foundry_tool(test, "cast") else {
        return;
    };
    let Some(system) = System::start(test, chain) else {
        return;
    };
    let _node = system.node(&system.operator);
    let rpc = system.operator.rpc_url.as_str();

    let artifact =
        std::fs::read_to_string(repository_root().join("contracts/artifacts/AskAndTell.json"))
            .expect("the artifact");
    let artifact: Value = serde_json::from_str(&artifact).expect("JSON");
    let arguments = cast(
        &tool,
        &[
            "abi-encode",
            "constructor(address,address)",
            system.address("inbox"),
            system.address("vouchers"),
        ],
    );
    let code = format!(
        "{}{}",
        artifact["bytecode"].as_str().expect("bytecode"),
        arguments.trim_start_matches("0x")
    );
    let created = cast(
        &tool,
        &[
            "send",
            "--rpc-url",
            rpc,
            "--private-key",
            KEY,
            "--json",
            "--create",
            &code,
        ],
    );
    let created: Value = serde_json::from_str(&created).expect("a receipt");
    let contract = created["contractAddress"].as_str().expect("an address");

    let question = "Once upon a time";
    let price = cast(
        &tool,
        &[
            "call",
            "--rpc-url",
            rpc,
            contract,
            "quote(bytes32,uint256,uint32)(uint256)",
            &system.model,
            &question.len().to_string(),
            "24",
        ],
    );
    let price = price.split(' ').next().expect("a number");
    cast(
        &tool,
        &[
            "send",
            "--rpc-url",
            rpc,
            "--private-key",
            KEY,
            "--value",
            price,
            contract,
            "ask(bytes32,string,uint32)",
            &system.model,
            question,
            "24",
        ],
    );

    let local = system.operator.json(&[
        "generate",
        "--model",
        &system.model,
        "--prompt",
        question,
        "-n",
        "1",
        "--max-new",
        "24",
        "--temperature",
        "0",
    ]);
    let expected = local["responses"][0]["text"].as_str().expect("text");
    let mut told = String::new();
    for _ in 0..300 {
        told = cast(
            &tool,
            &[
                "call",
                "--rpc-url",
                rpc,
                contract,
                "answerOf(uint256)(string)",
                "0",
            ],
        );
        if told != "\"\"" {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let told: String = serde_json::from_str(&told).expect("a string");
    assert_eq!(told, expected);
}

#[test]
fn a_contract_gets_its_answer_on_the_embedded_chain() {
    consumer(
        "a_contract_gets_its_answer_on_the_embedded_chain",
        Chain::Embedded,
    );
}

#[test]
fn a_contract_gets_its_answer_on_anvil() {
    consumer("a_contract_gets_its_answer_on_anvil", Chain::Anvil);
}
