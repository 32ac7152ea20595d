//! Declarations: whoever copies this node's lines, or a liar's friend who has everything first, must not have the reward that this node's work earned.
//!
//! ```text
//! node that shows the fault is revealed -> declare -> a block later: prove, naming the declaration
//! node is not revealed in half the time -> declare -> anybody expires
//! claim fell by another's line at the same position -> redeem, before it is settled
//! ```
//! Nothing is stored: the salt follows from the key and the node's record, and the chain says whether it was declared.

use alloy::primitives::{Address, U256};

use super::super::{Context, RoleError};
use crate::chain::Move;
use crate::store::{Lines, StoredClaim, StoredFall, StoredNode, StoredRecord};

/// Gas of a declaration, roundly.
const DECLARE_GAS: u64 = 50_000;
/// A declaration that costs more than this part of the bond, a quarter of which is the reward, is not worth it.
const LEAST_SHARE: u64 = 64;
/// This part of the challengers' time must be left: a declaration delays the proof.
const TIME_SHARE: u64 = 8;

/// What stands between a challenger and its proof.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// This declaration has to be made first.
    Declare(Box<Move>),
    /// It was made in the newest block that is known; a proof must come later.
    Wait,
    /// The proof, naming its declaration if it has one.
    Prove(Box<Move>),
}

/// What to do with a proof that is ready.
pub(super) async fn before_proof(
    context: &Context,
    claim: &StoredClaim,
    what: Move,
) -> Result<Before, RoleError> {
    let as_it_is = |what| Ok(Before::Prove(Box::new(what)));
    let Move::Prove {
        path,
        job,
        fault,
        witness,
        ..
    } = &what
    else {
        return as_it_is(what);
    };
    let (client, d) = (&context.client, &context.deployment);
    let Some((node, own)) = path
        .first()
        .and_then(|node| Some((node, client.declaration(d, claim.id, node)?)))
    else {
        return as_it_is(what);
    };
    let declared_at = client.declared_at(d, own.hash).await?;
    let now = context.now()?;
    let has_time = has_time(node, claim.window_end, now, budget(context));
    if declared_at == 0 {
        if !has_time || !is_worth_it(context, claim).await? {
            return as_it_is(what);
        }
        return Ok(Before::Declare(Box::new(Move::Declare {
            declaration: own.hash,
        })));
    }
    // The contract takes none that is as late as the proof.
    let head = context.cursor()?.map_or(0, |cursor| cursor.timestamp);
    if head <= declared_at {
        return Ok(if has_time {
            Before::Wait
        } else {
            Before::Prove(Box::new(what))
        });
    }
    as_it_is(Move::Prove {
        path: path.clone(),
        job: job.clone(),
        fault: *fault,
        witness: witness.clone(),
        salt: own.salt,
    })
}

/// The declaration of a node that its proposer lets wait, when it is time for it and it was not made.
pub(super) async fn of_silence(
    context: &Context,
    claim: &StoredClaim,
    node: &StoredNode,
) -> Result<Option<Move>, RoleError> {
    let is_late = node.proposer_seconds_at(context.now()?) > budget(context) / 2;
    let (client, d) = (&context.client, &context.deployment);
    let Some(own) = client
        .declaration(d, claim.id, &node.record())
        .filter(|_| is_late)
    else {
        return Ok(None);
    };
    if client.declared_at(d, own.hash).await? != 0 || !is_worth_it(context, claim).await? {
        return Ok(None);
    }
    Ok(Some(Move::Declare {
        declaration: own.hash,
    }))
}

/// The declaration of this node that beats the one that counts of a fallen claim, if there is one and it can still be named.
pub(super) async fn redemption(
    context: &Context,
    us: Address,
    fall: &StoredFall,
    nodes: &[StoredNode],
) -> Result<Option<Move>, RoleError> {
    let verdict = fall.current();
    let last = verdict
        .fell_at
        .saturating_add(context.rules.challenges.declaration_seconds);
    if context.now()? > last {
        return Ok(None);
    }
    let (client, d) = (&context.client, &context.deployment);
    for own in candidates(nodes, fall, us) {
        let Some(declaration) = client.declaration(d, fall.claim, &own) else {
            continue;
        };
        let at = client.declared_at(d, declaration.hash).await?;
        let counts = at >= own.revealed_at().max(own.opened_at()) && at < verdict.fell_at;
        if at != 0 && counts && (verdict.declared_at == 0 || at < verdict.declared_at) {
            return Ok(Some(Move::Redeem {
                verdict,
                own,
                salt: declaration.salt,
            }));
        }
    }
    Ok(None)
}

fn budget(context: &Context) -> u64 {
    context.rules.challenges.budget_seconds
}

/// Whether a claim can't become final by a revealed node for a while.
fn has_time(node: &StoredRecord, window_end: u64, now: u64, budget: u64) -> bool {
    let rest = budget.saturating_sub(node.challenger_seconds());
    let alive_until = node.revealed_at().saturating_add(rest).max(window_end);
    now.saturating_add(budget / TIME_SHARE) < alive_until
}

async fn is_worth_it(context: &Context, claim: &StoredClaim) -> Result<bool, RoleError> {
    let cost = context.client.base_fee().await? * U256::from(DECLARE_GAS);
    Ok(cost <= claim.bond_wei / U256::from(LEAST_SHARE))
}

/// One's own nodes at the position by which a claim fell, as far as they can be named; none where the reward is one's own and nobody else can name anything.
fn candidates(nodes: &[StoredNode], fall: &StoredFall, us: Address) -> Vec<StoredRecord> {
    let verdict = fall.current();
    let culprit = verdict.culprit;
    if verdict.winner == us {
        return Vec::new();
    }
    let lines = Lines::of(nodes);
    let there = || {
        lines.all().iter().filter_map(|line| {
            let record = line.lowest()?.record();
            let stands = record.position == culprit.position
                && (record.revealed_at() != 0 || culprit.revealed_at() == 0);
            stands.then_some((line.owner, record))
        })
    };
    let is_safe =
        culprit.opener() == us && verdict.winner.is_zero() && there().all(|(owner, _)| owner == us);
    if is_safe {
        return Vec::new();
    }
    there()
        .filter(|(owner, _)| *owner == us)
        .map(|(_, record)| record)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StoredVerdict, made};
    use alloy::primitives::B256;

    const US: Address = Address::repeat_byte(1);
    const PLACE: B256 = B256::repeat_byte(9);

    fn fall(culprit: &StoredNode, winner: Address) -> StoredFall {
        StoredFall {
            claim: made::CLAIM,
            key: culprit.key,
            sender: winner,
            fault: Some(64),
            verdict: StoredVerdict {
                culprit: culprit.record(),
                reward_wei: U256::from(5),
                sender_wei: U256::ZERO,
                winner,
                declared_at: 0,
                fell_at: 100,
            },
            block: 50,
            log_index: 0,
            transaction: B256::ZERO,
            redeemed: Vec::new(),
            settled: None,
        }
    }

    fn shown(owner: u8, line: u16, place: B256, block: u64) -> StoredNode {
        made::node(owner, line, place, None, block, Some(vec![]))
    }

    #[test]
    fn nodes_at_the_culprits_place_can_be_named() {
        let (ours, theirs) = (shown(1, 0, PLACE, 10), shown(2, 0, PLACE, 20));
        let elsewhere = shown(1, 1, B256::repeat_byte(8), 30);
        let nodes = [ours.clone(), theirs.clone(), elsewhere];
        let none = Address::ZERO;
        // Another's line fell the claim; or ours did, and the other may name something.
        for culprit in [&theirs, &ours] {
            let found = candidates(&nodes, &fall(culprit, none), US);
            assert_eq!(found, [ours.record()]);
        }
        let other = Address::repeat_byte(2);
        assert_eq!(candidates(&nodes, &fall(&ours, other), US).len(), 1);
        // It is ours already, or nobody else has anything there.
        assert!(candidates(&nodes, &fall(&theirs, US), US).is_empty());
        assert!(candidates(&nodes[..1], &fall(&ours, none), US).is_empty());
        assert!(candidates(&nodes[1..2], &fall(&theirs, none), US).is_empty());
        // What took the place of a node can't be named.
        let mut moved = nodes.to_vec();
        moved.push(shown(1, 0, B256::repeat_byte(7), 40));
        assert!(candidates(&moved, &fall(&theirs, none), US).is_empty());
    }

    #[test]
    fn who_has_not_seen_the_fault_has_not_found_it() {
        let waiting = made::node(1, 0, PLACE, None, 10, None);
        let (shown, silent) = (
            shown(2, 0, PLACE, 20),
            made::node(2, 0, PLACE, None, 20, None),
        );
        let none = Address::ZERO;
        let nodes = [waiting.clone(), shown.clone()];
        assert!(candidates(&nodes, &fall(&shown, none), US).is_empty());
        let nodes = [waiting.clone(), silent.clone()];
        assert_eq!(
            candidates(&nodes, &fall(&silent, none), US),
            [waiting.record()]
        );
    }

    #[test]
    fn a_proof_in_a_hurry_goes_without() {
        // Revealed at 21.
        let node = shown(1, 0, PLACE, 20).record();
        assert!(has_time(&node, 0, 30, 80));
        assert!(!has_time(&node, 0, 91, 80));
        assert!(has_time(&node, 200, 91, 80));
        assert!(!has_time(&node, 0, u64::MAX, 80));
    }
}
