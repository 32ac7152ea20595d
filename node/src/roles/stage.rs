//! The life of an input as its asker sees it.

use serde::Serialize;

use crate::machine::chunk_count;
use crate::store::{
    ClaimEnd, ReportKind, SettlementKind, Store, StoreError, StoredClaim, StoredInput, VoucherKey,
    tables,
};

/// Where an input stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Waits for its seed.
    Pending,
    /// Has its seed; waits for its results.
    Sealed,
    /// This node has its results; nothing vouches for them yet.
    Answered,
    /// A bonded claim covers it.
    Claimed,
    /// The claim is final.
    Final,
    /// All responses were delivered.
    Posted,
    /// Nobody answered in time; the fee went back.
    Refunded,
    /// This node cannot answer it, and nobody else has so far.
    Failed,
}

/// What is known about an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// It has a seed.
    pub sealed: bool,
    /// This node has its results.
    pub answered: bool,
    /// A standing claim covers its lane.
    pub claimed: bool,
    /// A final claim covers its lane.
    pub is_final: bool,
    /// Every chunk of every run was delivered.
    pub posted: bool,
    /// The fee went back.
    pub refunded: bool,
    /// This node gave up on it.
    pub failed: bool,
}

/// The stage that follows from the facts: the furthest the chain vouches for, then what this node knows.
pub fn stage(facts: &Facts) -> Stage {
    match *facts {
        Facts { posted: true, .. } => Stage::Posted,
        Facts { is_final: true, .. } => Stage::Final,
        Facts { refunded: true, .. } => Stage::Refunded,
        Facts { claimed: true, .. } => Stage::Claimed,
        Facts { answered: true, .. } => Stage::Answered,
        Facts { failed: true, .. } => Stage::Failed,
        Facts { sealed: true, .. } => Stage::Sealed,
        _ => Stage::Pending,
    }
}

/// The claim of an input's lane that counts: the final one, else the oldest that stands; and the facts about the input.
pub fn facts_of(
    store: &Store,
    input: &StoredInput,
) -> Result<(Facts, Option<StoredClaim>), StoreError> {
    let mut facts = Facts {
        sealed: input.seal.is_some(),
        ..Facts::default()
    };
    let result = store
        .read(tables::RESULTS, &input.id)?
        .filter(|r| input.seal.is_some_and(|s| s.seed == r.seed));
    facts.answered = result.is_some();
    let mut best: Option<StoredClaim> = None;
    if let Some(lane) = input.lane() {
        for claim in store.claims_of(lane)? {
            let better = match (&best, claim.end) {
                (_, Some((ClaimEnd::Fallen, _))) => false,
                (_, Some((ClaimEnd::Final, _))) | (None, None) => true,
                (Some(old), None) => {
                    old.end.is_none() && (claim.block, claim.id) < (old.block, old.id)
                }
            };
            if better {
                best = Some(claim);
            }
        }
    }
    facts.claimed = best.is_some();
    facts.is_final = best
        .as_ref()
        .is_some_and(|claim| matches!(claim.end, Some((ClaimEnd::Final, _))));
    if facts.is_final {
        facts.posted = match &result {
            Some(result) => {
                let mut all = true;
                for (run, stored) in (0u32..).zip(&result.runs) {
                    for chunk in 0..chunk_count(stored.text.len() as u64) {
                        all &= store.contains(
                            tables::DELIVERIES,
                            &VoucherKey {
                                input: input.id,
                                run,
                                chunk,
                            },
                        )?;
                    }
                }
                all
            }
            // Without results of its own a node knows the number of runs but not of chunks; the first chunk of each run must do.
            None => {
                let runs = crate::machine::run_count(input.params);
                let mut all = runs > 0;
                for run in 0..runs {
                    all &= store.contains(
                        tables::DELIVERIES,
                        &VoucherKey {
                            input: input.id,
                            run,
                            chunk: 0,
                        },
                    )?;
                }
                all
            }
        };
    }
    facts.refunded = store
        .read(tables::SETTLEMENTS, &input.id)?
        .is_some_and(|s| s.kind == SettlementKind::Refunded);
    facts.failed = store
        .read(tables::REPORTS, &input.id)?
        .is_some_and(|report| {
            matches!(
                report.kind,
                ReportKind::NotServed | ReportKind::EngineFailed | ReportKind::Inconsistent
            )
        });
    Ok((facts, best))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_moves_the_stage_one_step() {
        let mut facts = Facts::default();
        assert_eq!(stage(&facts), Stage::Pending);
        facts.sealed = true;
        assert_eq!(stage(&facts), Stage::Sealed);
        facts.answered = true;
        assert_eq!(stage(&facts), Stage::Answered);
        facts.claimed = true;
        assert_eq!(stage(&facts), Stage::Claimed);
        facts.is_final = true;
        assert_eq!(stage(&facts), Stage::Final);
        facts.posted = true;
        assert_eq!(stage(&facts), Stage::Posted);
    }

    #[test]
    fn what_the_chain_says_wins_over_this_nodes_troubles() {
        assert_eq!(
            stage(&Facts {
                sealed: true,
                failed: true,
                ..Facts::default()
            }),
            Stage::Failed
        );
        assert_eq!(
            stage(&Facts {
                sealed: true,
                failed: true,
                claimed: true,
                ..Facts::default()
            }),
            Stage::Claimed
        );
        assert_eq!(
            stage(&Facts {
                sealed: true,
                refunded: true,
                answered: true,
                ..Facts::default()
            }),
            Stage::Refunded
        );
        assert_eq!(
            stage(&Facts {
                sealed: true,
                refunded: true,
                is_final: true,
                ..Facts::default()
            }),
            Stage::Final
        );
    }
}
