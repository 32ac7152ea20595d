//! Commitments and proofs of the Sworn machine (`prover/SPEC.md`): what a result hashes to, and what shows that it does.
//!
//! This crate is pure: bytes in, digests and proofs out. It knows no file, chain client or clock.
//!
//! A prompt becomes final text in these steps:
//! ```text
//! payload --payload::decode--> segments --result::expand--> engine job --generate--> RunResult
//!   RunResult --RunCommitment--> run record --JobCommitment--> job record --ClaimTree--> claim root
//!   claim root + lane index + job + text --voucher::vouchers--> what Vouchers.execute takes
//! ```
#![forbid(unsafe_code)]

pub mod claim;
pub mod commitment;
pub mod digest;
pub mod dispute;
mod error;
pub mod header;
pub mod merkle;
pub mod params;
pub mod payload;
pub mod record;
pub mod result;
pub mod text;
pub mod verify;
pub mod voucher;
pub mod weights;

pub use digest::{Address, Digest};
pub use error::Error;
pub use sworn_inference::numeric::constants;
