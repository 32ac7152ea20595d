//! Sessions, caches, prefill, decode, selection.

mod cache;
mod check;
mod generate;
mod select;
mod session;
mod value;

pub use check::{OnRows, WrongToken};
pub use generate::{Engine, Finish, Job, RunResult, Sampling, TokenEvent};
pub use select::select;
pub use session::{CHUNK_ROWS, Cache, Network, Place, Row, Session, Sink, Span};
pub use value::Value;

use std::sync::Arc;

use crate::Error;
use crate::backend::{Backend, Scalar, Threaded};

/// Which backend computes. The choice never changes a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackendKind {
    /// The best for this machine.
    #[default]
    Auto,
    /// The naive twin, one thread.
    Scalar,
    /// Threads and vectorised loops.
    Threaded,
}

/// How an engine computes. No choice changes a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineOptions {
    /// The backend.
    pub backend: BackendKind,
    /// Threads; 0 = one for every core that this process may use.
    pub threads: usize,
}

impl EngineOptions {
    /// The backend that the options name.
    ///
    /// # Errors
    /// [`Error::Threads`] when the system gives no thread.
    pub fn open(&self) -> Result<Arc<dyn Backend>, Error> {
        let threads = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        Ok(match self.backend {
            BackendKind::Scalar => Arc::new(Scalar),
            BackendKind::Auto | BackendKind::Threaded => {
                Arc::new(Threaded::new(threads).map_err(|source| Error::Threads { source })?)
            }
        })
    }
}
