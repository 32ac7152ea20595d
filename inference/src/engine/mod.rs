//! Sessions, caches, prefill, decode, selection.

mod batch;
mod cache;
mod check;
mod draft;
mod fallback;
mod generate;
mod memory;
mod prefix;
mod runner;
mod select;
mod session;
mod speculate;
mod value;

pub use batch::{Batch, Ended, OnToken};
pub use check::{OnRows, WrongToken};
pub use fallback::OnFailure;
pub use generate::{Engine, Finish, Job, RunResult, Sampling, TokenEvent};
pub use memory::{Footprint, Sequences};
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
    /// A GPU, which `sworn-cuda` attaches to an engine; beside it, and when it fails, the best of the processor.
    Cuda,
}

impl BackendKind {
    /// Every kind with its name.
    pub const NAMES: [(&'static str, BackendKind); 9] = [
        ("auto", BackendKind::Auto),
        ("scalar", BackendKind::Scalar),
        ("threaded", BackendKind::Threaded),
        ("portable", BackendKind::Portable),
        ("avx2", BackendKind::Avx2),
        ("avx512", BackendKind::Avx512),
        ("neon", BackendKind::Neon),
        ("dotprod", BackendKind::Dotprod),
        ("cuda", BackendKind::Cuda),
    ];

    /// The kind of that name.
    pub fn named(name: &str) -> Option<BackendKind> {
        let found = BackendKind::NAMES.into_iter().find(|kind| kind.0 == name);
        found.map(|(_, kind)| kind)
    }

    /// What the user should know when only these sets are there.
    fn warning(self, there: &[&'static str]) -> Option<String> {
        let chosen = matches!(self, BackendKind::Auto | BackendKind::Threaded);
        (chosen && there == ["portable"]).then(|| {
            "found a processor without AVX2, expected one with it; computing in plain Rust, to the same bits but slower".to_owned()
        })
    }

    /// The instruction set that it stands for, among those that there are, the best last; none for the scalar twin.
    fn instructions(self, there: &[&'static str]) -> Result<Option<&'static str>, Error> {
        let forced = match self {
            BackendKind::Scalar => return Ok(None),
            BackendKind::Auto | BackendKind::Threaded | BackendKind::Cuda => {
                return Ok(there.last().copied());
            }
            BackendKind::Portable => "portable",
            BackendKind::Avx2 => "avx2",
            BackendKind::Avx512 => "avx512",
            BackendKind::Neon => "neon",
            BackendKind::Dotprod => "dotprod",
        };
        let found = there.iter().find(|name| **name == forced);
        found
            .map(|name| Some(*name))
            .ok_or_else(|| Error::BadParameter {
                what: "backend".to_owned(),
                found: forced.to_owned(),
                expected: format!(
                    "one that this machine has: auto, scalar, threaded, {}",
                    there.join(", ")
                ),
            })
    }
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
        match self.backend.instructions(&Threaded::instruction_sets())? {
            None => Ok(Arc::new(Scalar)),
            Some(name) => Threaded::with_instructions(threads, name)
                .map(|backend| Arc::new(backend) as Arc<dyn Backend>)
                .map_err(|source| Error::Threads { source }),
        }
    }

    /// What the user should know about the choice of the instruction set: that there was none but plain Rust.
    pub fn warning(&self) -> Option<String> {
        self.backend.warning(&Threaded::instruction_sets())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_instruction_set_is_named_with_those_there_are() {
        let old = ["portable", "avx2"];
        let error = BackendKind::Avx512.instructions(&old).unwrap_err();
        assert_eq!(
            error.to_string(),
            "backend: found avx512, expected one that this machine has: auto, scalar, threaded, portable, avx2"
        );
        assert!(BackendKind::Avx2.instructions(&["portable"]).is_err());
        for (kind, set) in [
            (BackendKind::Auto, Some("avx2")),
            (BackendKind::Threaded, Some("avx2")),
            (BackendKind::Portable, Some("portable")),
            (BackendKind::Avx2, Some("avx2")),
            (BackendKind::Scalar, None),
        ] {
            assert_eq!(kind.instructions(&old).unwrap(), set);
        }
        assert!(BackendKind::Auto.warning(&old).is_none());
        let warning = BackendKind::Auto.warning(&["portable"]).unwrap();
        assert!(warning.contains("AVX2"), "{warning}");
        assert!(
            BackendKind::Portable.warning(&["portable"]).is_none(),
            "it was asked for"
        );
    }

    #[test]
    fn kinds_have_names() {
        for (name, kind) in BackendKind::NAMES {
            assert_eq!(BackendKind::named(name), Some(kind));
        }
        assert_eq!(BackendKind::named("gpu"), None);
    }
}
