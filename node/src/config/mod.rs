//! Configuration in layers: flags > environment (`SWORN_*`) > file (`sworn.toml`) > a running demo > defaults.
//!
//! Every value remembers the layer it came from, so that `sworn config show` can tell and errors can name it.

mod layers;
mod settings;

use std::path::PathBuf;

use sworn_inference::engine::BackendKind;

use crate::machine::{MemoryLimit, ServeOptions};

pub use layers::{Entry, Inputs, Source};
pub use settings::{SETTINGS, Setting};

/// File that a running demo leaves in the data directory, so that other commands find it without flags.
pub const DEMO_STATE_FILE: &str = "demo.json";

/// Names of backends, for messages.
const BACKENDS: &str = "auto, scalar, threaded, portable, avx2, avx512, neon, dotprod or cuda";

/// What can be wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{path}: {source}; give a readable file with --config, or leave the flag out")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not TOML.
    #[error(
        "{path}: found {reason}, expected TOML with lines such as `rpc_url = \"http://127.0.0.1:8545\"`; correct the file"
    )]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        reason: String,
    },
    /// A file has a key that means nothing.
    #[error("{path}: found the key `{found}`, expected one of {expected}; remove or rename it")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        found: String,
        /// All known keys.
        expected: String,
    },
    /// A value has the wrong form.
    #[error("{key} ({layer}): found `{found}`, expected {expected}")]
    BadValue {
        /// The setting.
        key: &'static str,
        /// Where the value came from.
        layer: String,
        /// The value.
        found: String,
        /// What a good value is.
        expected: &'static str,
    },
    /// There is no home directory to put data in.
    #[error(
        "no data directory: found neither --datadir, SWORN_DATADIR, XDG_DATA_HOME nor HOME, expected one of them; give --datadir DIR"
    )]
    NoDatadir,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A resolved configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where models, stores and demo state live.
    pub datadir: PathBuf,
    /// The configuration file that was read, if any.
    pub file: Option<PathBuf>,
    /// JSON-RPC of the chain.
    pub rpc_url: String,
    /// `addresses.json` of the deployment.
    pub deployment: Option<PathBuf>,
    /// HTTP API of a node.
    pub api_url: String,
    /// Address the node's API listens on.
    pub api_listen: String,
    /// File with a private key.
    pub key_file: Option<PathBuf>,
    /// Private key from the environment.
    pub key: Option<Secret>,
    /// Number of a development account.
    pub account: Option<u32>,
    /// Log format.
    pub log_format: LogFormat,
    /// Log filter, such as `info` or `sworn_node=debug`.
    pub log_level: String,
    /// Engine backend.
    pub backend: BackendKind,
    /// Engine threads; 0 is one per processor.
    pub threads: usize,
    /// Model that guesses tokens, by id or name.
    pub draft: Option<String>,
    /// Memory for models.
    pub memory: MemoryLimit,
    /// Runs that a node computes at once, at most.
    pub batch: u32,
    /// Longest wait of commands that wait, in seconds.
    pub timeout_seconds: u64,
    /// Every setting with its value and its layer, in the order of [`SETTINGS`].
    pub entries: Vec<Entry>,
}

impl Config {
    /// Resolves all layers.
    pub fn resolve(inputs: &Inputs) -> Result<Config, ConfigError> {
        let resolved = layers::resolve(inputs)?;
        let text = |key: &str| resolved.value(key).map(str::to_owned);
        let required = |key: &str| text(key).unwrap_or_default();
        Ok(Config {
            datadir: PathBuf::from(required("datadir")),
            file: resolved.file.clone(),
            rpc_url: resolved
                .parse(
                    "rpc_url",
                    "a URL that starts with http:// or https:// or ws:// or wss://",
                    url,
                )?
                .unwrap_or_default(),
            deployment: text("deployment").map(PathBuf::from),
            api_url: resolved
                .parse(
                    "api_url",
                    "a URL that starts with http:// or https://",
                    http_url,
                )?
                .unwrap_or_default(),
            api_listen: required("api_listen"),
            key_file: text("key_file").map(PathBuf::from),
            key: text("key").map(Secret),
            account: resolved.parse(
                "account",
                "the number of a development account, 0 to 9",
                |v| v.parse().ok().filter(|n| *n < 10),
            )?,
            log_format: resolved
                .parse("log_format", "`text` or `json`", |v| match v {
                    "text" => Some(LogFormat::Text),
                    "json" => Some(LogFormat::Json),
                    _ => None,
                })?
                .unwrap_or(LogFormat::Text),
            log_level: required("log_level"),
            backend: resolved
                .parse("backend", BACKENDS, BackendKind::named)?
                .unwrap_or_default(),
            draft: text("draft"),
            memory: resolved
                .parse("memory", MemoryLimit::EXPECTED, |v| v.parse().ok())?
                .unwrap_or_default(),
            batch: resolved
                .parse("batch", "a number of runs, 1 to 64", |v| {
                    v.parse().ok().filter(|n| (1..=64).contains(n))
                })?
                .unwrap_or(ServeOptions::RUNS),
            threads: resolved
                .parse(
                    "threads",
                    "a number of threads, 0 (one per processor) to 1024",
                    |v| v.parse().ok().filter(|n| *n <= 1024),
                )?
                .unwrap_or(0),
            timeout_seconds: resolved
                .parse("timeout", "a number of seconds, at least 1", |v| {
                    v.parse().ok().filter(|n| *n >= 1)
                })?
                .unwrap_or(600),
            entries: resolved.entries,
        })
    }

    /// The layer a setting came from.
    pub fn source(&self, key: &str) -> Option<&Source> {
        self.entries
            .iter()
            .find(|entry| entry.setting.key == key)
            .map(|entry| &entry.source)
    }

    /// Folder of the imported models.
    pub fn models_dir(&self) -> PathBuf {
        self.datadir.join("models")
    }

    /// Folder of models that were only used by their file's path.
    pub fn cache_dir(&self) -> PathBuf {
        self.datadir.join("cache")
    }
}

/// Text that never shows up in output.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

fn url(value: &str) -> Option<String> {
    let known = ["http://", "https://", "ws://", "wss://"]
        .iter()
        .any(|scheme| value.len() > scheme.len() && value.starts_with(scheme));
    known.then(|| value.to_owned())
}

fn http_url(value: &str) -> Option<String> {
    let known = ["http://", "https://"]
        .iter()
        .any(|scheme| value.len() > scheme.len() && value.starts_with(scheme));
    known.then(|| value.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests;
