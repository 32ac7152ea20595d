//! Commands that run until they are told to stop.

use std::time::Duration;

use tokio::sync::watch;

use super::failure::Failure;

/// Tells that Control-C or SIGTERM came.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    stopped: watch::Receiver<bool>,
}

impl Stop {
    /// Waits until the command should stop.
    pub(crate) async fn wait(&self) {
        let mut stopped = self.stopped.clone();
        // The sender lives as long as the runtime; were it gone, that is a reason to stop too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

/// Runs a command that ends itself when `Stop` says so. A second signal ends the process at once.
pub(crate) fn run_until_stopped<T>(
    command: impl AsyncFnOnce(Stop) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (sender, stopped) = watch::channel(false);
    runtime.spawn(async move {
        signal().await;
        tracing::info!("stopping; a second signal ends the process at once");
        sender.send_replace(true);
        signal().await;
        std::process::exit(130);
    });
    let result = runtime.block_on(command(Stop { stopped }));
    // Everything that has to be kept is flushed by now.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}
