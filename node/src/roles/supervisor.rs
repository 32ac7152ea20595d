//! Runs a role for as long as the node lives: an error or a panic in one step is logged and the next step comes anyway.

use std::future::Future;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;

use super::Context;
use crate::chain::ChainError;
use crate::machine::MachineError;
use crate::store::StoreError;

/// A chain that comes back is followed again within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What can go wrong in a step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The machine.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// What the store holds and what the chain says differ.
    #[error("{what}: the store has {found}, the chain {expected}; {remedy}")]
    Disagreement {
        /// About what.
        what: String,
        /// In the store.
        found: String,
        /// On the chain.
        expected: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A blocking task ended abnormally.
    #[error("a task of this role died: {0}")]
    Died(String),
}

/// Something that does its work in small idempotent steps.
pub trait Role: Send {
    /// For logs.
    fn name(&self) -> &'static str;

    /// Does what there is to do now. Called whenever the store learned something.
    fn step(&mut self, context: &Context) -> impl Future<Output = Result<(), RoleError>> + Send;
}

/// Steps a role on every change until `stop`.
pub async fn supervise<R: Role, T: Send + Sync>(
    mut role: R,
    context: Context,
    mut changes: watch::Receiver<T>,
    mut stop: watch::Receiver<bool>,
) {
    let mut failures = 0u32;
    loop {
        if *stop.borrow() {
            return;
        }
        changes.mark_unchanged();
        let outcome = tokio::select! {
            outcome = std::panic::AssertUnwindSafe(role.step(&context)).catch_unwind() => outcome,
            _ = stop.changed() => return,
        };
        let pause = match outcome {
            Ok(Ok(())) => {
                failures = 0;
                Duration::from_secs(5)
            }
            Ok(Err(err)) => {
                failures += 1;
                tracing::warn!(role = role.name(), failures, %err, "step failed; trying again");
                backoff(failures)
            }
            Err(_) => {
                failures += 1;
                tracing::error!(role = role.name(), failures, "step panicked; trying again");
                backoff(failures)
            }
        };
        // After a failure news do not shorten the pause.
        if failures > 0 {
            tokio::select! { () = tokio::time::sleep(pause) => {}, _ = stop.changed() => return }
        } else {
            // When nobody can send news any more, the pause alone drives the role.
            let news = async {
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! { () = tokio::time::sleep(pause) => {}, () = news => {}, _ = stop.changed() => return }
        }
    }
}

pub(super) fn backoff(failures: u32) -> Duration {
    (Duration::from_millis(200) * 2u32.saturating_pow(failures.saturating_sub(1).min(7)))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        assert_eq!(backoff(1), Duration::from_millis(200));
        assert_eq!(backoff(3), Duration::from_millis(800));
        assert_eq!(backoff(1000), LONGEST_PAUSE);
    }
}
