//! The one table of settings.

/// One setting: how each layer names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Key in `sworn.toml`.
    pub key: &'static str,
    /// Flag, when there is one.
    pub flag: Option<&'static str>,
    /// Environment variable.
    pub env: &'static str,
    /// Default, when there is a fixed one.
    pub default: Option<&'static str>,
    /// What it is for.
    pub about: &'static str,
    /// Whether its value is hidden in output and refused in files.
    pub secret: bool,
}

const fn setting(
    key: &'static str,
    flag: Option<&'static str>,
    env: &'static str,
    default: Option<&'static str>,
    about: &'static str,
) -> Setting {
    Setting {
        key,
        flag,
        env,
        default,
        about,
        secret: false,
    }
}

/// Every setting, in the order in which they are shown.
pub const SETTINGS: &[Setting] = &[
    setting(
        "datadir",
        Some("--datadir"),
        "SWORN_DATADIR",
        None,
        "models, stores and the demo's state",
    ),
    setting(
        "rpc_url",
        Some("--rpc-url"),
        "SWORN_RPC_URL",
        Some("http://127.0.0.1:8545"),
        "JSON-RPC of the chain",
    ),
    setting(
        "deployment",
        Some("--deployment"),
        "SWORN_DEPLOYMENT",
        None,
        "addresses.json of the contracts",
    ),
    setting(
        "api_url",
        Some("--api-url"),
        "SWORN_API_URL",
        Some("http://127.0.0.1:8555"),
        "HTTP API of a node",
    ),
    setting(
        "api_listen",
        Some("--api-listen"),
        "SWORN_API_LISTEN",
        Some("127.0.0.1:8555"),
        "where `sworn node` serves its API",
    ),
    setting(
        "key_file",
        Some("--key-file"),
        "SWORN_KEY_FILE",
        None,
        "file with the sender's private key in hexadecimal",
    ),
    Setting {
        key: "key",
        flag: None,
        env: "SWORN_KEY",
        default: None,
        about: "the sender's private key (environment only)",
        secret: true,
    },
    setting(
        "account",
        Some("--account"),
        "SWORN_ACCOUNT",
        None,
        "development account 0 to 9, on chain 31337 only",
    ),
    setting(
        "log_format",
        Some("--log-format"),
        "SWORN_LOG_FORMAT",
        Some("text"),
        "text or json",
    ),
    setting(
        "log_level",
        Some("-v / -q"),
        "SWORN_LOG",
        Some("info"),
        "log filter: error, warn, info, debug, trace, or module=level",
    ),
    setting(
        "backend",
        Some("--backend"),
        "SWORN_BACKEND",
        Some("auto"),
        "auto, scalar, threaded, portable, avx2, avx512, neon, dotprod or cuda",
    ),
    setting(
        "threads",
        Some("--threads"),
        "SWORN_THREADS",
        Some("0"),
        "engine threads; 0 is one per processor",
    ),
    setting(
        "draft",
        Some("--draft"),
        "SWORN_DRAFT",
        None,
        "imported model that guesses tokens, which makes a larger one with the same vocabulary faster",
    ),
    setting(
        "memory",
        Some("--memory"),
        "SWORN_MEMORY",
        Some("auto"),
        "memory for models: auto, any (no check), or a size such as 6GiB",
    ),
    setting(
        "batch",
        Some("--batch"),
        "SWORN_BATCH",
        Some("32"),
        "runs that a node computes at once, at most",
    ),
    setting(
        "timeout",
        Some("--timeout"),
        "SWORN_TIMEOUT",
        Some("600"),
        "longest wait of waiting commands, seconds",
    ),
];
