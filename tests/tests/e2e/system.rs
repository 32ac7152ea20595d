//! A whole system of separate processes: a chain, the contracts on it, the shipped model, a node.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sworn_tests::process::{Background, User, foundry_tool, free_port, sworn_binary};
use sworn_tests::repository_root;

/// Whose EVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chain {
    /// `sworn devnet`.
    Embedded,
    /// Foundry's anvil.
    Anvil,
}

/// A chain with deployed contracts and the registered model, and its operator.
pub(crate) struct System {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) operator: User,
    pub(crate) addresses: Value,
    pub(crate) model: String,
    _chain: Background,
}

/// Wei of a bond, as deployed here.
pub(crate) const BOND_WEI: u128 = 1_000_000_000_000_000_000;

impl System {
    /// Starts a chain, deploys with epochs of 4 blocks and a window of 2 seconds, imports and registers the shipped model. `None` when the
    /// chain's program is not installed.
    pub(crate) fn start(test: &str, chain: Chain) -> Option<System> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut command = match chain {
            Chain::Embedded => {
                let mut command = Command::new(sworn_binary());
                command
                    .args(["devnet", "--port", &port.to_string(), "--datadir"])
                    .arg(folder.path().join("chain"));
                command
            }
            Chain::Anvil => {
                let mut command = Command::new(foundry_tool(test, "anvil")?);
                command.args([
                    "--port",
                    &port.to_string(),
                    "--block-time",
                    "1",
                    "--mixed-mining",
                    "--silent",
                ]);
                command
            }
        };
        let mut chain = Background::spawn(&mut command, &folder.path().join("chain.log"));
        chain.wait_for_port(port);

        let operator = user(
            folder.path(),
            "operator",
            format!("http://127.0.0.1:{port}"),
            0,
        );
        let bond = BOND_WEI.to_string();
        let deployed = operator.json(&[
            "deploy",
            "--epoch-blocks",
            "4",
            "--window-seconds",
            "2",
            "--bond-wei",
            &bond,
        ]);
        let file = repository_root().join("models/fable/fable-2m.q8_0.gguf");
        let added = operator.json(&["model", "add", file.to_str().expect("UTF-8")]);
        let model = added["model"]["model_id"]
            .as_str()
            .unwrap_or_else(|| panic!("no model id in {added}"))
            .to_owned();
        let _ = operator.json(&["model", "register", &model]);
        Some(System {
            operator,
            addresses: deployed["deployment"].clone(),
            model,
            _chain: chain,
            folder,
        })
    }

    /// A user with a data directory and a node port of its own.
    pub(crate) fn user(&self, name: &str, account: u32) -> User {
        let mut user = user(
            self.folder.path(),
            name,
            self.operator.rpc_url.clone(),
            account,
        );
        user.deployment.clone_from(&self.operator.deployment);
        user
    }

    /// Starts the node of a user that has the model.
    pub(crate) fn node(&self, user: &User) -> Background {
        self.node_with(user, &[])
    }

    /// The same with further flags.
    pub(crate) fn node_with(&self, user: &User, flags: &[&str]) -> Background {
        let listen = format!("127.0.0.1:{}", user.api_port);
        let log = self
            .folder
            .path()
            .join(format!("node-{}.log", user.api_port));
        let mut node = Background::spawn(
            &mut user.command(
                &[
                    &["node", "--model", &self.model, "--api-listen", &listen],
                    flags,
                ]
                .concat(),
            ),
            &log,
        );
        node.wait_for_port(user.api_port);
        node
    }

    /// A contract's address.
    pub(crate) fn address(&self, name: &str) -> &str {
        self.addresses[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.addresses))
    }
}

fn user(folder: &Path, name: &str, rpc_url: String, account: u32) -> User {
    let datadir: PathBuf = folder.join(name);
    std::fs::create_dir_all(&datadir).expect("a data directory");
    User {
        deployment: folder.join("addresses.json"),
        datadir,
        rpc_url,
        api_port: free_port(),
        account,
    }
}
