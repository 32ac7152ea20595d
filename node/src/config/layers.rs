//! Resolution of the layers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::settings::{SETTINGS, Setting};
use super::{ConfigError, DEMO_STATE_FILE};

/// The layer a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag on the command line.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// The configuration file.
    File(PathBuf),
    /// The state file of a running demo.
    Demo(PathBuf),
    /// The default.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag(flag) => write!(f, "flag {flag}"),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Demo(path) => write!(f, "running demo {}", path.display()),
            Source::Default => f.write_str("default"),
        }
    }
}

/// One setting with its value.
#[derive(Clone)]
pub struct Entry {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value; none when nothing set it.
    pub value: Option<String>,
    /// The layer that won.
    pub source: Source,
}

impl Entry {
    /// The value as it may be shown.
    pub fn shown(&self) -> Option<&str> {
        match (&self.value, self.setting.secret) {
            (Some(_), true) => Some("(hidden)"),
            (value, _) => value.as_deref(),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} = {:?} ({})",
            self.setting.key,
            self.shown(),
            self.source
        )
    }
}

/// What the outside world gives to the resolution.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Values of flags by setting key.
    pub flags: BTreeMap<&'static str, String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// `--config`.
    pub config_flag: Option<PathBuf>,
    /// The folder in which `sworn.toml` is looked for.
    pub working_dir: PathBuf,
}

impl Inputs {
    /// The environment of this process; `flags` and `config_flag` come from the command line.
    pub fn from_process(
        flags: BTreeMap<&'static str, String>,
        config_flag: Option<PathBuf>,
    ) -> Inputs {
        // Variables that are no Unicode text cannot be ours, except for paths, which are then out of reach here.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Inputs {
            flags,
            environment,
            config_flag,
            working_dir: std::env::current_dir().unwrap_or_default(),
        }
    }

    fn env(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

/// The outcome of the resolution.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) file: Option<PathBuf>,
    pub(super) entries: Vec<Entry>,
}

impl Resolved {
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|entry| entry.setting.key == key)
            .and_then(|entry| entry.value.as_deref())
    }

    /// Parses a value, naming its layer when it is bad.
    pub(super) fn parse<T>(
        &self,
        key: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(entry) = self.entries.iter().find(|entry| entry.setting.key == key) else {
            return Ok(None);
        };
        let Some(value) = &entry.value else {
            return Ok(None);
        };
        let bad = || ConfigError::BadValue {
            key: entry.setting.key,
            layer: entry.source.to_string(),
            found: value.clone(),
            expected,
        };
        parse(value).map(Some).ok_or_else(bad)
    }
}

pub(super) fn resolve(inputs: &Inputs) -> Result<Resolved, ConfigError> {
    // The file's place may depend on the data directory and the other way round: a file found elsewhere may set the
    // data directory; the file inside the data directory may not.
    let outer = match (&inputs.config_flag, inputs.env("SWORN_CONFIG")) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(path)) => Some(PathBuf::from(path)),
        (None, None) => Some(inputs.working_dir.join("sworn.toml")).filter(|path| path.is_file()),
    };
    let mut file = outer.clone();
    let mut values = match &outer {
        Some(path) => read_file(path)?,
        None => BTreeMap::new(),
    };
    let datadir = pick(inputs, &values, file.as_deref(), &SETTINGS[0])
        .or_else(|| default_datadir(inputs).map(|dir| (dir, Source::Default)))
        .ok_or(ConfigError::NoDatadir)?;
    if outer.is_none() {
        let inner = Path::new(&datadir.0).join("sworn.toml");
        if inner.is_file() {
            values = read_file(&inner)?;
            values.remove("datadir");
            file = Some(inner);
        }
    }
    let demo_path = Path::new(&datadir.0).join(DEMO_STATE_FILE);
    let demo = read_demo(&demo_path);
    let entries = SETTINGS
        .iter()
        .map(|setting| {
            let (value, source) = if setting.key == "datadir" {
                (Some(datadir.0.clone()), datadir.1.clone())
            } else if let Some((value, source)) = pick(inputs, &values, file.as_deref(), setting) {
                (Some(value), source)
            } else if let Some(value) = demo.get(setting.key) {
                (Some(value.clone()), Source::Demo(demo_path.clone()))
            } else {
                (setting.default.map(str::to_owned), Source::Default)
            };
            Entry {
                setting,
                value,
                source,
            }
        })
        .collect();
    Ok(Resolved { file, entries })
}

/// The value of the highest of the first three layers that has one.
fn pick(
    inputs: &Inputs,
    values: &BTreeMap<String, String>,
    file: Option<&Path>,
    setting: &'static Setting,
) -> Option<(String, Source)> {
    if let (Some(value), Some(flag)) = (inputs.flags.get(setting.key), setting.flag) {
        return Some((value.clone(), Source::Flag(flag)));
    }
    if let Some(value) = inputs.env(setting.env) {
        return Some((value.to_owned(), Source::Environment(setting.env)));
    }
    let value = values.get(setting.key)?;
    Some((value.clone(), Source::File(file?.to_owned())))
}

fn default_datadir(inputs: &Inputs) -> Option<String> {
    let dir = match (inputs.env("XDG_DATA_HOME"), inputs.env("HOME")) {
        (Some(xdg), _) => Path::new(xdg).join("sworn"),
        (None, Some(home)) => Path::new(home).join(".sworn"),
        (None, None) => return None,
    };
    dir.to_str().map(str::to_owned)
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Io {
        path: path.to_owned(),
        source,
    })?;
    let syntax = |reason: String| ConfigError::Syntax {
        path: path.to_owned(),
        reason,
    };
    let table: toml::Table =
        toml::from_str(&text).map_err(|error| syntax(error.message().to_owned()))?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let known = SETTINGS
            .iter()
            .find(|setting| setting.key == key && !setting.secret);
        if known.is_none() {
            let expected = SETTINGS
                .iter()
                .filter(|setting| !setting.secret)
                .map(|setting| setting.key)
                .collect::<Vec<_>>()
                .join(", ");
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                found: key,
                expected,
            });
        }
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            other => {
                return Err(syntax(format!(
                    "a {} as the value of `{key}`",
                    other.type_str()
                )));
            }
        };
        // Paths in a file are relative to that file.
        let is_path = matches!(key.as_str(), "datadir" | "deployment" | "key_file");
        let value = match path.parent() {
            Some(parent) if is_path => parent.join(&value).to_str().map_or(value, str::to_owned),
            _ => value,
        };
        values.insert(key, value);
    }
    Ok(values)
}

/// A demo's state is a convenience: an unreadable one is as good as none.
fn read_demo(path: &Path) -> BTreeMap<String, String> {
    let Ok(text) = std::fs::read_to_string(path) else {
        return BTreeMap::new();
    };
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(&text) else {
        return BTreeMap::new();
    };
    let known = ["rpc_url", "deployment", "api_url"];
    fields
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
        .filter(|(key, _)| known.contains(&key.as_str()))
        .collect()
}
