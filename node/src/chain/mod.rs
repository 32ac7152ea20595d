//! The chain client: any EVM chain by its RPC address.

pub mod abi;
mod application;
mod challenges;
mod client;
mod contents;
mod declarations;
mod deploy;
mod deployment;
mod error;
mod events;
mod head;
mod header;
mod logs;
mod queries;
mod revert;
mod send;

pub use application::{Asked, Registered};
pub use challenges::{ChallengeRules, Move, is_no_longer_needed};
pub use client::{ChainClient, ClientOptions, shown_url};
pub use declarations::Declaration;
pub use deploy::{DeployParams, deploy};
pub use deployment::{Deployment, Deployments};
pub use error::{ChainError, with_causes};
pub use events::{Event, Located};
pub use head::{Head, watch_heads};
pub use header::{SealHeader, header_rlp};
pub use queries::{InboxParameters, OnChainInput};
pub use revert::Revert;
pub use send::{Gas, Sent};

/// The version of the machine (`prover/SPEC.md`) that this program runs.
pub const MACHINE_VERSION: u32 = 1;
