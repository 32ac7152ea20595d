//! A chain, a deployment and a small machine for tests of the node.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its own part"
)]

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{B256, Bytes};
use alloy::signers::local::PrivateKeySigner;
use sworn_inference::format::ModelSource;
use sworn_inference::format::packed::Model;
use sworn_inference::testing::skip;
use sworn_node::chain::{ChainClient, ClientOptions, DeployParams, Deployment, abi, deploy};
use sworn_node::devnet::{Devnet, DevnetConfig, DevnetHandle};
use sworn_node::machine::{
    Answer, Machine, MachineError, OnToken, ServeOptions, ServedCard, ServedModel,
};
use sworn_node::store::{StoredInput, StoredRun};
use sworn_node::{Node, NodeHandle, NodeSettings};
use sworn_prover::Digest;
use sworn_prover::params::Params;

/// Keys of the usual development accounts.
pub const KEYS: [&str; 3] = [
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];

pub fn signer(index: usize) -> PrivateKeySigner {
    KEYS[index].parse().unwrap()
}

/// A chain: the embedded one, or a foreign one in a process of its own.
pub struct Chain {
    pub url: String,
    pub embedded: Option<DevnetHandle>,
    process: Option<Child>,
}

impl Drop for Chain {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Chain {
    /// The embedded chain with a block every quarter of a second.
    pub async fn embedded() -> Chain {
        let config = DevnetConfig {
            port: 0,
            block_time: Some(Duration::from_millis(250)),
            ..DevnetConfig::default()
        };
        let devnet = Devnet::spawn(config).await.unwrap();
        Chain {
            url: devnet.ws_url().to_owned(),
            embedded: Some(devnet),
            process: None,
        }
    }

    /// Anvil with a block every half second, or says why not.
    pub async fn anvil() -> Option<Chain> {
        let Some(program) = anvil() else {
            skip("anvil not found: run `npm ci` in contracts/ or set SWORN_ANVIL");
            return None;
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new(program)
            .args([
                "--silent",
                "--block-time",
                "0.5",
                "--mixed-mining",
                "--port",
                &port.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Chain {
            url: format!("http://127.0.0.1:{port}"),
            embedded: None,
            process: Some(process),
        })
    }

    pub async fn client(&self, index: usize) -> ChainClient {
        ChainClient::connect(&self.url, Some(signer(index)), options())
            .await
            .unwrap()
    }

    pub async fn deploy(&self) -> Deployment {
        let client = self.client(0).await;
        deploy(&client, &DeployParams::dev()).await.unwrap()
    }
}

/// The program itself, not npm's wrapper around it: the wrapper would leave it running when it is killed.
fn anvil() -> Option<std::path::PathBuf> {
    if let Ok(path) = std::env::var("SWORN_ANVIL") {
        return Some(path.into());
    }
    let packages = std::fs::read_dir(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../contracts/node_modules/@foundry-rs"
    ))
    .ok()?;
    packages
        .flatten()
        .map(|package| package.path().join("bin/anvil"))
        .find(|path| path.is_file())
}

pub fn options() -> ClientOptions {
    ClientOptions {
        attempts: 12,
        poll_interval: Duration::from_millis(100),
        ..ClientOptions::default()
    }
}

/// A machine without weights: it repeats the prompt's bytes, turned by the seed.
pub struct Parrot {
    card: ServedCard,
    pub program: Bytes,
    pub roots: (B256, B256),
    /// Pause before each token.
    pub pause: Duration,
}

impl Parrot {
    pub fn new(tag: u8, pause: Duration) -> Parrot {
        // A whole program, because it is checked when it is registered; the machine does not run it.
        let config = sworn_inference::program::LlamaConfig {
            context: 64,
            ..sworn_inference::testing::tiny_config()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.gguf");
        let format = sworn_inference::program::WeightFormat::Q8_0;
        let gguf = sworn_inference::testing::gguf(&config, format, 1);
        std::fs::write(&file, gguf.to_bytes()).unwrap();
        let source = sworn_inference::format::ModelSource::open(&file, None).unwrap();
        let packed = folder.path().join("model");
        let model =
            sworn_inference::format::packed::Model::import(&source, &packed, &mut |_, _| {})
                .unwrap();
        let program = model.program_bytes().to_vec();
        let roots = (B256::repeat_byte(tag), B256::repeat_byte(0x77));
        let id = sworn_prover::record::model_id(
            Digest::of(&program),
            Digest(roots.0.0),
            Digest(roots.1.0),
        );
        let card = ServedCard {
            id: B256::from(id.0),
            name: format!("parrot-{tag}"),
            version: "1".into(),
            license: Some("MIT".into()),
            quantisation: "none".into(),
            parameters: 0,
            context_tokens: 64,
            vocabulary: config.vocab_size,
        };
        Parrot {
            card,
            program: program.into(),
            roots,
            pause,
        }
    }

    pub fn id(&self) -> B256 {
        self.card.id
    }

    pub async fn register(&self, client: &ChainClient, d: &Deployment) {
        let card = abi::models::Card {
            name: self.card.name.clone(),
            version: "1".into(),
            license: "MIT".into(),
            licenseUri: String::new(),
            weightsUri: String::new(),
            parent: B256::ZERO,
        };
        let registered = client
            .register_model(d, self.program.clone(), self.roots.0, self.roots.1, card)
            .await
            .unwrap();
        assert_eq!(registered.model, self.id());
    }
}

impl Machine for Parrot {
    fn card(&self) -> &ServedCard {
        &self.card
    }

    fn answer(
        &self,
        input: &StoredInput,
        seed: B256,
        on_token: OnToken<'_>,
    ) -> Result<Answer, MachineError> {
        let params = Params::unpack(Digest(input.params.0))?;
        let mut runs = Vec::new();
        for run in 0..u32::from(params.n_runs) {
            let (mut tokens, mut offsets, mut text) = (vec![1], Vec::new(), Vec::new());
            for position in 0..params.max_new_tokens {
                let place = position as usize;
                let byte = b'a'
                    + (input.payload[place % input.payload.len()] ^ seed[place % 32] ^ run as u8)
                        % 26;
                offsets.push(text.len() as u32);
                tokens.push(u32::from(byte));
                text.push(byte);
                std::thread::sleep(self.pause);
                if on_token(run, u32::from(byte), &[byte]) == ControlFlow::Break(()) {
                    return Err(MachineError::Inference(sworn_inference::Error::Cancelled));
                }
            }
            runs.push(StoredRun {
                n_prompt: 1,
                tokens,
                finish: 0,
                text: text.into(),
                offsets,
            });
        }
        Ok(Answer { runs, note: None })
    }
}

/// The shipped model, imported into a folder and registered.
pub async fn fable(client: &ChainClient, d: &Deployment, folder: &Path) -> Arc<ServedModel> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fable/fable-2m.q8_0.gguf");
    let source = ModelSource::open(&file, None).unwrap();
    Model::import(&source, folder, &mut |_, _| {}).unwrap();
    let served = ServedModel::open(folder, &ServeOptions::default(), &mut |_, _| {}).unwrap();
    let roots = served.commitments();
    let card = abi::models::Card {
        name: "fable-2m".into(),
        version: "1".into(),
        license: "MIT".into(),
        licenseUri: String::new(),
        weightsUri: String::new(),
        parent: B256::ZERO,
    };
    let program = served.model().program_bytes().to_vec().into();
    let (weights, tokenizer) = (
        B256::from(roots.weights_root.0),
        B256::from(roots.tokenizer_root.0),
    );
    let registered = client
        .register_model(d, program, weights, tokenizer, card)
        .await
        .unwrap();
    assert_eq!(registered.model, served.card().id);
    Arc::new(served)
}

pub fn settings(chain: &Chain, d: Deployment, data: &std::path::Path, key: usize) -> NodeSettings {
    NodeSettings {
        signer: Some(signer(key)),
        api: Some(([127, 0, 0, 1], 0).into()),
        client: options(),
        ..NodeSettings::new(&chain.url, d, data)
    }
}

pub async fn start(settings: NodeSettings, machines: &[&Arc<Parrot>]) -> NodeHandle {
    let machines = machines
        .iter()
        .map(|m| Arc::clone(m) as Arc<dyn Machine>)
        .collect();
    Node::start_with(settings, machines).await.unwrap()
}

/// A text prompt for `n` runs.
pub fn prompt(text: &str, n_runs: u16, max_new_tokens: u32) -> (Bytes, Params) {
    let payload = sworn_prover::payload::encode(&[sworn_inference::tokenizer::Segment::Text(
        text.as_bytes(),
    )])
    .unwrap();
    (
        payload.into(),
        Params {
            n_runs,
            max_new_tokens,
            temperature_milli: 800,
            ..Params::default()
        },
    )
}

pub async fn json(node: &NodeHandle, path: &str) -> serde_json::Value {
    let url = format!("http://{}{path}", node.api_address().unwrap());
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

/// Waits until a prompt is in a state; returns it with how long it took.
pub async fn wait_for(
    node: &NodeHandle,
    id: u64,
    states: &[&str],
    patience: Duration,
) -> (serde_json::Value, Duration) {
    let started = Instant::now();
    loop {
        let prompt = json(node, &format!("/v1/prompts/{id}")).await;
        if states.iter().any(|state| prompt["state"] == *state) {
            return (prompt, started.elapsed());
        }
        assert!(
            started.elapsed() < patience,
            "prompt {id} is not {states:?} after {patience:?}: {prompt:#}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn log() {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()),
        )
        .with_test_writer()
        .try_init();
}

/// The whole body of a path.
pub async fn text(node: &NodeHandle, path: &str) -> String {
    reqwest::get(format!("http://{}{path}", node.api_address().unwrap()))
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
}
