//! The clients people use.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;
use sworn_tests::process::{Background, foundry_tool, free_port, present, sworn_binary};
use sworn_tests::repository_root;

/// The JSON document at a path of a node's API.
pub(crate) fn http_json(port: u16, path: &str) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the API listens");
    write!(stream, "GET {path} HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no body in {answer}"));
    assert!(
        head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"),
        "{answer}"
    );
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// viem, ethers 6 and cast work against the embedded chain.
#[test]
fn clients_work_against_the_embedded_chain() {
    let test = "clients_work_against_the_embedded_chain";
    let modules = repository_root().join("tests/clients/node_modules");
    if foundry_tool(test, "cast").is_none()
        || present(test, &modules, "run `npm ci` in tests/clients/").is_none()
    {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let mut command = Command::new(sworn_binary());
    command
        .args([
            "devnet",
            "--block-seconds",
            "0",
            "--port",
            &port.to_string(),
            "--datadir",
        ])
        .arg(folder.path());
    let mut chain = Background::spawn(&mut command, &folder.path().join("chain.log"));
    chain.wait_for_port(port);
    let output = Command::new("node")
        .arg(repository_root().join("tests/clients/run.mjs"))
        .arg(format!("http://127.0.0.1:{port}"))
        .output()
        .expect("node runs");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{stdout}\n{stderr}");
    println!("{stdout}");
}
