//! Sessions, caches, prefill, decode, selection.

mod batch;
mod cache;
mod check;
mod fallback;
mod generate;
mod runner;
mod select;
mod session;
mod speculate;
mod value;

pub use batch::{Batch, Ended, OnToken};
pub use check::{OnRows, WrongToken};
pub use fallback::OnFailure;
pub use generate::{Engine, Finish, Job, RunResult, Sampling, TokenEvent};
pub use runner::{Accelerator, Runner};
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
    /// Threads and vectorised loops, with the best instruction set of this processor.
    Threaded,
    /// The same in plain Rust.
    Portable,
    /// The same with AVX2 and F16C.
    Avx2,
    /// The same with AVX-512 (F, BW, DQ, VL, VNNI).
    Avx512,
    /// The same with NEON alone.
    Neon,
    /// The same with NEON and its dot products of bytes (FEAT_DotProd).
    Dotprod,
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
    /// [`Error::Threads`] when the system gives no thread, [`Error::BadParameter`] when this processor lacks the instruction set asked for.
    pub fn open(&self) -> Result<Arc<dyn Backend>, Error> {
        let threads = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let forced = match self.backend {
            BackendKind::Scalar => return Ok(Arc::new(Scalar)),
            BackendKind::Auto | BackendKind::Threaded => None,
            BackendKind::Portable => Some("portable"),
            BackendKind::Avx2 => Some("avx2"),
            BackendKind::Avx512 => Some("avx512"),
            BackendKind::Neon => Some("neon"),
            BackendKind::Dotprod => Some("dotprod"),
        };
        let backend = match forced {
            None => Threaded::new(threads),
            Some(name) if Threaded::instruction_sets().contains(&name) => {
                Threaded::with_instructions(threads, name)
            }
            Some(name) => {
                return Err(Error::BadParameter {
                    what: "backend".to_owned(),
                    found: name.to_owned(),
                    expected: format!(
                        "one that this processor has: {}",
                        Threaded::instruction_sets().join(", ")
                    ),
                });
            }
        };
        Ok(Arc::new(
            backend.map_err(|source| Error::Threads { source })?,
        ))
    }
}
