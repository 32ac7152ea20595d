//! The life of a lane as the roles see it: one pure function from what is known to what comes next.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};

use super::Context;
use crate::chain::abi::claims;
use crate::machine::{LaneTree, chunk_count};
use crate::store::{
    Attempt, ClaimEnd, Key, LaneKey, Store, StoreError, StoredClaim, StoredInput, StoredResult,
    VoucherKey, tables,
};

/// What comes next in a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneStep {
    /// Inputs may still come.
    AwaitEpochEnd,
    /// Some inputs are not computed yet.
    AwaitResults,
    /// Nobody claimed the right root.
    Claim {
        /// The right root.
        root: B256,
        /// Standing claims that say something else.
        rivals: Vec<B256>,
    },
    /// A right claim stands, its window is open.
    AwaitWindow {
        /// The claim.
        claim: B256,
        /// Its end, in seconds.
        until: u64,
    },
    /// A right claim's window is over.
    Finalise {
        /// The claim.
        claim: B256,
        /// Whether this node bonded it.
        ours: bool,
        /// End of the window, in seconds.
        window_end: u64,
    },
    /// The right root is final; these are still open.
    Collect(Collect),
    /// A wrong root is final. Nothing can be done but to say so.
    Lost {
        /// The final claim.
        claim: B256,
        /// Its root.
        found: B256,
        /// The right root.
        expected: B256,
    },
    /// Nothing is left to do.
    Done,
}

/// What is left after finality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collect {
    /// The final claim.
    pub claim: B256,
    /// Whether this node bonded it.
    pub ours: bool,
    /// End of its window, in seconds.
    pub window_end: u64,
    /// Vouchers that were not executed.
    pub vouchers: Vec<VoucherKey>,
    /// Inputs whose fee is not paid out.
    pub unsettled: Vec<u64>,
    /// Claims whose bond is still locked: equal ones of this node; and, when this node won, unequal ones of anybody, whose bond burns.
    pub locked: Vec<B256>,
}

/// What is known about a lane.
#[derive(Debug, Clone)]
pub struct LaneView {
    /// The lane.
    pub lane: LaneKey,
    /// Inputs in order.
    pub inputs: Vec<StoredInput>,
    /// This node's results.
    pub results: BTreeMap<u64, StoredResult>,
    /// All claims, oldest first.
    pub claims: Vec<StoredClaim>,
    /// Vouchers that were executed or given up.
    pub delivered: std::collections::BTreeSet<VoucherKey>,
    /// Inputs whose fee is gone.
    pub settled: std::collections::BTreeSet<u64>,
    /// The root over the results, when all are there.
    pub root: Option<B256>,
}

/// What comes next. `us` is this node's account, `epoch_ended` whether no input can come any more, `now` the chain's time.
pub fn next_step(view: &LaneView, us: Option<Address>, epoch_ended: bool, now: u64) -> LaneStep {
    if view.inputs.is_empty() {
        // A lane of blocks that are no longer part of the chain.
        return LaneStep::Done;
    }
    if let Some(last) = view
        .claims
        .iter()
        .find(|c| matches!(c.end, Some((ClaimEnd::Final, _))))
    {
        return after_finality(view, last, us);
    }
    if !epoch_ended {
        return LaneStep::AwaitEpochEnd;
    }
    let Some(root) = view.root else {
        return LaneStep::AwaitResults;
    };
    let standing = || view.claims.iter().filter(|c| c.end.is_none());
    // Ours first, even when its window ends later: finishing another's, which may be copied from ours, gives our fees away.
    let right = standing()
        .filter(|c| c.root == root)
        .min_by_key(|c| (Some(c.proposer) != us, c.window_end));
    match right {
        None => LaneStep::Claim {
            root,
            rivals: standing().map(|c| c.id).collect(),
        },
        Some(claim) if now <= claim.window_end => LaneStep::AwaitWindow {
            claim: claim.id,
            until: claim.window_end,
        },
        Some(claim) => LaneStep::Finalise {
            claim: claim.id,
            ours: Some(claim.proposer) == us,
            window_end: claim.window_end,
        },
    }
}

fn after_finality(view: &LaneView, last: &StoredClaim, us: Option<Address>) -> LaneStep {
    let Some(root) = view.root else {
        return LaneStep::AwaitResults;
    };
    if last.root != root {
        return LaneStep::Lost {
            claim: last.id,
            found: last.root,
            expected: root,
        };
    }
    let mut vouchers = Vec::new();
    for input in &view.inputs {
        let runs = view
            .results
            .get(&input.id)
            .map(|r| r.runs.as_slice())
            .unwrap_or_default();
        for (run, stored) in (0u32..).zip(runs) {
            for chunk in 0..chunk_count(stored.text.len() as u64) {
                vouchers.push(VoucherKey {
                    input: input.id,
                    run,
                    chunk,
                });
            }
        }
    }
    vouchers.retain(|key| !view.delivered.contains(key));
    let unsettled: Vec<_> = view
        .inputs
        .iter()
        .map(|i| i.id)
        .filter(|id| !view.settled.contains(id))
        .collect();
    let locked: Vec<_> = view
        .claims
        .iter()
        .filter(|c| {
            c.id != last.id
                && c.end.is_none()
                && c.bond_gone.is_none()
                && if c.root == root {
                    Some(c.proposer) == us
                } else {
                    Some(last.proposer) == us
                }
        })
        .map(|c| c.id)
        .collect();
    if vouchers.is_empty() && unsettled.is_empty() && locked.is_empty() {
        return LaneStep::Done;
    }
    LaneStep::Collect(Collect {
        claim: last.id,
        ours: Some(last.proposer) == us,
        window_end: last.window_end,
        vouchers,
        unsettled,
        locked,
    })
}

impl Store {
    /// Claims of a lane, oldest first.
    pub fn claims_of(&self, lane: LaneKey) -> Result<Vec<StoredClaim>, StoreError> {
        let mut found = Vec::new();
        for item in self.scan_under(tables::LANE_CLAIMS, &lane.to_bytes()) {
            let ((_, id), ()) = item?;
            found.extend(self.read(tables::CLAIMS, &id)?);
        }
        found.sort_by_key(|claim| (claim.block, claim.id));
        Ok(found)
    }

    /// Inputs of a lane in order.
    pub fn inputs_of(&self, lane: LaneKey) -> Result<Vec<StoredInput>, StoreError> {
        let mut found = Vec::new();
        for item in self.scan_under(tables::LANE_INPUTS, &lane.to_bytes()) {
            let (_, id) = item?;
            found.extend(self.read(tables::INPUTS, &id)?);
        }
        Ok(found)
    }
}

impl LaneView {
    /// Reads a lane.
    pub fn load(store: &Store, lane: LaneKey) -> Result<LaneView, super::RoleError> {
        let inputs = store.inputs_of(lane)?;
        let mut results = BTreeMap::new();
        let (mut delivered, mut settled) = (
            std::collections::BTreeSet::new(),
            std::collections::BTreeSet::new(),
        );
        for input in &inputs {
            let result = store.read(tables::RESULTS, &input.id)?;
            if let Some(result) = result.filter(|r| input.seal.is_some_and(|s| s.seed == r.seed)) {
                results.insert(input.id, result);
            }
            for item in store.scan_under(tables::DELIVERIES, &input.id.to_bytes()) {
                delivered.insert(item?.0);
            }
            for item in store.scan_under(tables::ATTEMPTS, &input.id.to_bytes()) {
                let (key, attempt) = item?;
                if attempt.next_at == Attempt::NEVER {
                    delivered.insert(key);
                }
            }
            if store.contains(tables::SETTLEMENTS, &input.id)? {
                settled.insert(input.id);
            }
        }
        let claims = store.claims_of(lane)?;
        let mut view = LaneView {
            lane,
            inputs,
            results,
            claims,
            delivered,
            settled,
            root: None,
        };
        view.root = view.tree()?.map(|tree| tree.root());
        Ok(view)
    }

    /// The claim tree, when every input has its result.
    pub fn tree(&self) -> Result<Option<LaneTree>, super::RoleError> {
        let leaves: Option<Vec<_>> = self
            .inputs
            .iter()
            .map(|i| Some((i.id, self.results.get(&i.id)?)))
            .collect();
        Ok(leaves.map(|leaves| LaneTree::new(&leaves)).transpose()?)
    }
}

impl Context {
    /// The open lanes of served models, and those with a claim of this node, with what comes next; forgets the finished ones.
    pub(super) fn open_lanes(&self) -> Result<Vec<(LaneView, LaneStep)>, super::RoleError> {
        let Some(cursor) = self.cursor()? else {
            return Ok(Vec::new());
        };
        let now = cursor
            .timestamp
            .max(super::clock::unix_now().min(cursor.timestamp + 3));
        let mut found = Vec::new();
        for item in self.store.scan(tables::OPEN_LANES) {
            let (lane, ()) = item?;
            if !self.serves(&lane.model) && !self.has_claimed(lane)? {
                continue;
            }
            let view = LaneView::load(&self.store, lane)?;
            // A transaction sent now is mined in the next block at the earliest.
            let ended = cursor.number + 1 >= self.rules.epoch_end(lane.epoch);
            let step = next_step(&view, self.client.account(), ended, now);
            if step == LaneStep::Done {
                tracing::info!(epoch = lane.epoch, model = %lane.model, "lane done");
                self.store.remove(tables::OPEN_LANES, &lane)?;
                continue;
            }
            found.push((view, step));
        }
        Ok(found)
    }

    /// Whether this node has a claim in a lane: its bond is not left behind when the model is no longer served.
    fn has_claimed(&self, lane: LaneKey) -> Result<bool, StoreError> {
        let us = self.client.account();
        let claims = self.store.claims_of(lane)?;
        Ok(claims.iter().any(|claim| Some(claim.proposer) == us))
    }

    /// Whether somebody else's claim had its time to be finished by its proposer.
    pub(super) fn may_help(&self, ours: bool, window_end: u64) -> Result<bool, super::RoleError> {
        let now = self.cursor()?.map_or(0, |c| c.timestamp);
        Ok(ours || now >= window_end.saturating_add(self.settings.courtesy_seconds))
    }
}

/// Reverts that only say that somebody was faster.
pub(super) fn is_overtaken(err: &crate::chain::ChainError) -> bool {
    err.is_revert::<claims::ClaimExists>()
        || err.is_revert::<claims::LaneIsFinal>()
        || err.is_revert::<claims::NotStanding>()
        || err.is_revert::<claims::AlreadySettled>()
        || err.is_revert::<crate::chain::abi::vouchers::AlreadyExecuted>()
}

#[cfg(test)]
mod tests;
