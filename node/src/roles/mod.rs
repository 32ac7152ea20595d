//! The roles of a node. Each is restartable: what it does follows from the store and the chain alone, and doing it twice does no harm.

mod clock;
mod context;
mod courier;
mod dispute;
mod executor;
mod finaliser;
mod lane;
mod patience;
mod proposer;
mod reader;
mod reader_apply;
mod sealer;
mod stage;
mod streams;
mod supervisor;

pub use context::{Context, Finalising, RoleSettings, Rules};
pub use courier::Courier;
pub use dispute::{
    Challenger, Desks, Responder, Sabotage, Saboteur, Told, Treasurer, name_of as lie_name,
    names as lie_names,
};
pub use executor::Executor;
pub use finaliser::Finaliser;
pub use lane::{LaneStep, LaneView, next_step};
pub use proposer::Proposer;
pub use reader::Reader;
pub use reader_apply::{Reading, apply, repair};
pub use sealer::Sealer;
pub use stage::{Facts, Stage, facts_of, stage};
pub use streams::{Streams, TokenPiece};
pub use supervisor::{Role, RoleError, supervise};

/// A role's name, as settings and logs show it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Seals inputs.
    Sealer,
    /// Runs models.
    Executor,
    /// Claims results under bond.
    Proposer,
    /// Makes claims final and collects fees and bonds.
    Finaliser,
    /// Executes vouchers.
    Courier,
    /// Challenges wrong claims, and stands up for right ones of others.
    Challenger,
    /// Answers openings of this node's claims.
    Responder,
}

impl RoleName {
    /// All of them.
    pub const ALL: [RoleName; 7] = [
        RoleName::Sealer,
        RoleName::Executor,
        RoleName::Proposer,
        RoleName::Finaliser,
        RoleName::Courier,
        RoleName::Challenger,
        RoleName::Responder,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            RoleName::Sealer => "sealer",
            RoleName::Executor => "executor",
            RoleName::Proposer => "proposer",
            RoleName::Finaliser => "finaliser",
            RoleName::Courier => "courier",
            RoleName::Challenger => "challenger",
            RoleName::Responder => "responder",
        }
    }
}

impl std::fmt::Display for RoleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for RoleName {
    type Err = String;
    fn from_str(text: &str) -> Result<RoleName, String> {
        RoleName::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<_> = RoleName::ALL.iter().map(|r| r.as_str()).collect();
                format!("found role {text:?}, expected one of {}", known.join(", "))
            })
    }
}
