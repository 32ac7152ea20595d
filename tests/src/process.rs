//! Runs the `sworn` binary and foreign chains as separate processes, as people do.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sworn_inference::testing::skip;

use crate::repository_root;

/// A port that is free now.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// The binary built beside the tests.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn sworn_binary() -> PathBuf {
    let tests = std::env::current_exe().expect("the test's own path");
    let folder = tests
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps/<test>");
    let binary = folder.join("sworn");
    assert!(
        binary.is_file(),
        "{} is missing; build it with `cargo build -p sworn-node`",
        binary.display()
    );
    binary
}

/// Foundry's native `anvil` or `cast` as `npm ci` in contracts/ installs it; skips when that was not run. The launchers in `.bin` are not
/// used: they end with status 0 whatever the tool says, and killing one leaves its tool running.
///
/// # Panics
/// When it is missing although `SWORN_REQUIRE_DATA=1`.
#[must_use]
pub fn foundry_tool(test: &str, name: &str) -> Option<PathBuf> {
    let os = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux"
    };
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let package = format!("contracts/node_modules/@foundry-rs/{name}-{os}-{arch}/bin/{name}");
    present(
        test,
        &repository_root().join(package),
        "run `npm ci` in contracts/",
    )
}

/// A path that a command makes; skips when it was not run.
///
/// # Panics
/// When it is missing although `SWORN_REQUIRE_DATA=1`.
#[must_use]
pub fn present(test: &str, path: &Path, remedy: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path.to_owned());
    }
    skip(&format!("{test}: {} is missing; {remedy}", path.display()));
    None
}

/// A process that ends with its owner.
#[derive(Debug)]
pub struct Background {
    child: Child,
    log: PathBuf,
}

impl Background {
    /// Starts a command with its output in `log`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn spawn(command: &mut Command, log: &Path) -> Background {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Background {
            child,
            log: log.to_owned(),
        }
    }

    /// Ends it as `kill -9` does.
    pub fn kill_9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until something listens on the port.
    ///
    /// # Panics
    /// When the process ends or nothing listens for a minute.
    pub fn wait_for_port(&mut self, port: u16) {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!(
                    "ended with {status} before it listened on {port}:\n{}",
                    self.log_text()
                );
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "nothing listens on {port}:\n{}",
                self.log_text()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What it printed.
    #[must_use]
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill_9();
    }
}

/// One user of the `sworn` binary: a data directory, a chain and a node's API.
#[derive(Debug, Clone)]
pub struct User {
    /// `--datadir`.
    pub datadir: PathBuf,
    /// `--rpc-url`.
    pub rpc_url: String,
    /// `--deployment`.
    pub deployment: PathBuf,
    /// Port of this user's node.
    pub api_port: u16,
    /// Development account that pays.
    pub account: u32,
}

impl User {
    /// The command line up to the command.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(sworn_binary());
        command
            .env_clear()
            .envs(
                std::env::vars_os()
                    .filter(|(name, _)| !name.to_string_lossy().starts_with("SWORN_")),
            )
            .current_dir(&self.datadir)
            .args(arguments)
            .arg("--datadir")
            .arg(&self.datadir)
            .args([
                "--rpc-url",
                &self.rpc_url,
                "--api-url",
                &format!("http://127.0.0.1:{}", self.api_port),
            ])
            .arg("--deployment")
            .arg(&self.deployment)
            .args(["--account", &self.account.to_string()]);
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .output()
            .unwrap_or_else(|error| panic!("sworn {arguments:?}: {error}"))
    }

    /// Runs a command with `--json` and gives its document.
    ///
    /// # Panics
    /// When it fails or prints no JSON document.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self
            .command(arguments)
            .arg("--json")
            .output()
            .unwrap_or_else(|error| panic!("sworn {arguments:?}: {error}"));
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "sworn {arguments:?} ended with {}\n{stdout}\n{stderr}",
            output.status
        );
        serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("sworn {arguments:?}: {error}\n{stdout}"))
    }

    /// The same user with another account.
    #[must_use]
    pub fn as_account(&self, account: u32) -> User {
        User {
            account,
            ..self.clone()
        }
    }
}
