//! Progress of long work: a bar on a terminal, log lines elsewhere.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

static QUIET: AtomicBool = AtomicBool::new(false);

/// Turns progress off for the whole process.
pub(crate) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Time between two log lines of one piece of work.
const LOG_EVERY: Duration = Duration::from_secs(2);

/// Progress of one piece of work.
pub(crate) struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    started: Instant,
    last_log: Instant,
}

impl Progress {
    /// Work with a known number of bytes.
    pub(crate) fn bytes(what: &'static str) -> Progress {
        Progress::new(
            what,
            "{msg:14} {bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        )
    }

    /// Work with a known number of steps.
    pub(crate) fn steps(what: &'static str) -> Progress {
        Progress::new(what, "{msg:14} {bar:32} {pos}/{len} {eta}")
    }

    /// Waiting for something.
    pub(crate) fn waiting(what: &'static str) -> Progress {
        Progress::new(what, "{spinner} {msg} {elapsed}")
    }

    fn new(what: &'static str, template: &str) -> Progress {
        let show = std::io::stderr().is_terminal() && !QUIET.load(Ordering::Relaxed);
        let bar = show.then(|| {
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(0).with_style(style).with_message(what);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let now = Instant::now();
        Progress {
            what,
            bar,
            started: now,
            last_log: now,
        }
    }

    /// `done` of `total`.
    pub(crate) fn set(&mut self, done: u64, total: u64) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(done);
            }
            None if self.last_log.elapsed() >= LOG_EVERY => {
                self.last_log = Instant::now();
                let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
                tracing::info!(done, total, percent, "{}", self.what);
            }
            None => {}
        }
    }

    /// What is being waited for now; a log line when it changes.
    pub(crate) fn state(&mut self, state: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {state}", self.what)),
            None => tracing::info!(
                "{} {state} ({:.1} s)",
                self.what,
                self.started.elapsed().as_secs_f64()
            ),
        }
    }

    /// Runs `print` with the bar out of the way.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
