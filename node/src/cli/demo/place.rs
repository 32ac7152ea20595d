//! Where a demo keeps its files: a fresh folder each time, because each demo's chain is a new one.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sworn_node::chain::{ChainClient, ClientOptions};
use sworn_node::config::DEMO_STATE_FILE;

use super::super::failure::{Classify, Failure, Kind};

/// A demo's folder. It goes away with the demo.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    state: PathBuf,
    is_published: std::cell::Cell<bool>,
}

impl Place {
    /// Makes a fresh folder and sweeps those of demos that died. Fails when a demo is running on this data directory, unless this one
    /// keeps to itself.
    pub(super) async fn create(datadir: &Path, is_private: bool) -> Result<Place, Failure> {
        let state = datadir.join(DEMO_STATE_FILE);
        let all = datadir.join("demo");
        let running = running(&state).await;
        if let (Some(rpc_url), false) = (&running, is_private) {
            let message = format!(
                "found a demo running at {rpc_url} on the data directory {}, expected none; use that one, stop it, or give another --datadir",
                datadir.display()
            );
            return Err(Failure::new(Kind::Chain, message));
        }
        let io = |path: &Path, error: std::io::Error| {
            Failure::new(
                Kind::Other,
                format!("{}: {error}; check the data directory", path.display()),
            )
        };
        std::fs::create_dir_all(&all).map_err(|error| io(&all, error))?;
        if !is_private {
            sweep(&all).map_err(|error| io(&all, error))?;
            let _ = std::fs::remove_file(&state);
        }
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let kind = if is_private { "once" } else { "run" };
        let dir = all.join(format!("{kind}-{seconds}-{}", std::process::id()));
        std::fs::create_dir(&dir).map_err(|error| io(&dir, error))?;
        Ok(Place {
            dir,
            state,
            is_published: std::cell::Cell::new(false),
        })
    }

    /// Lets other commands find the demo.
    pub(super) fn publish(&self, state: &serde_json::Value) -> Result<(), Failure> {
        let new = self.state.with_extension("json.new");
        let text = serde_json::to_string_pretty(state)?;
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &self.state));
        written
            .map_err(|error| anyhow::anyhow!("{}: {error}", self.state.display()))
            .exit(Kind::Other)?;
        self.is_published.set(true);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_published.get() {
            let _ = std::fs::remove_file(&self.state);
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The RPC address of a demo that answers.
async fn running(state: &Path) -> Option<String> {
    let text = std::fs::read_to_string(state).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    let rpc_url = value.get("rpc_url")?.as_str()?.to_owned();
    let options = ClientOptions {
        attempts: 1,
        ..ClientOptions::default()
    };
    let answer = tokio::time::timeout(
        Duration::from_secs(2),
        ChainClient::connect(&rpc_url, None, options),
    )
    .await;
    answer.ok()?.ok().map(|_| rpc_url)
}

/// Removes the folders of demos that were killed. Those of `--once` runs belong to processes that may still run: only old ones go.
fn sweep(all: &Path) -> std::io::Result<()> {
    let now = SystemTime::now();
    for entry in std::fs::read_dir(all)? {
        let entry = entry?;
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|at| now.duration_since(at).ok());
        let is_once = entry.file_name().to_string_lossy().starts_with("once-");
        if !is_once || age.is_some_and(|age| age > Duration::from_secs(86_400)) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
