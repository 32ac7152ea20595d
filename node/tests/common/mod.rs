//! Running the binary.
#![allow(dead_code, reason = "every test binary uses a part")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one JSON document on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Fails unless the command ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Fails unless stderr has every one of `parts`.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Ran {
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "stderr lacks `{part}`: {self:#?}"
            );
        }
        self
    }
}

/// A place with its own data directory and a clean environment.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sworn"));
        command
            .env_clear()
            .env("HOME", self.path())
            .env("SWORN_DATADIR", self.path().join("data"))
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Ran {
        finish(self.command().args(args))
    }

    pub(crate) fn run_with_stdin<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(
        &self,
        args: I,
        stdin: &[u8],
    ) -> Ran {
        let mut child = self
            .command()
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The command may end before it reads.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        ran(child.wait_with_output().unwrap())
    }
}

pub(crate) fn finish(command: &mut Command) -> Ran {
    ran(command.output().unwrap())
}

fn ran(output: std::process::Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The shipped model file.
pub(crate) fn fable() -> PathBuf {
    root().join("models/fable/fable-2m.q8_0.gguf")
}

/// A command that stays up; killed when dropped.
pub(crate) struct Background {
    pub(crate) child: Child,
    /// Its first line of output.
    pub(crate) started: serde_json::Value,
}

impl Background {
    pub(crate) fn start(place: &Place, args: &[&str]) -> Background {
        let mut child = place
            .command()
            .args(args)
            .args(["--json", "-q"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let started = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {line:?}"));
        Background { child, started }
    }

    pub(crate) fn text(&self, key: &str) -> String {
        self.started[key]
            .as_str()
            .unwrap_or_else(|| panic!("no {key} in {}", self.started))
            .to_owned()
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn signal(mut self, name: &str) -> Option<i32> {
        assert!(
            Command::new("kill")
                .args([name, &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{name} did not end it");
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
