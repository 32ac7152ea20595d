//! The money of challenges: names this node's declarations, settles fallen claims, takes back what is left of prepayments, withdraws.

use alloy::primitives::{Address, B256, U256};

use super::super::{Context, Role, RoleError};
use super::declarer;
use super::rests::Rests;
use crate::chain::Move;
use crate::chain::abi::challenges;
use crate::store::tables::{CLAIMS, DISPUTED, FALLS};
use crate::store::{ClaimEnd, Lines, StoredClaim, StoredFall, StoredNode};

/// Gas of a withdrawal, roundly.
const WITHDRAW_GAS: u64 = 60_000;

/// Collects what challenges owe this node's account.
#[derive(Debug, Default)]
pub struct Treasurer {
    rests: Rests<(B256, B256)>,
    /// By claim and the declarations that were named so far.
    redemptions: Rests<(B256, usize)>,
    withdrawing: Rests<()>,
}

impl Role for Treasurer {
    fn name(&self) -> &'static str {
        "treasurer"
    }

    async fn step(&mut self, context: &Context) -> Result<(), RoleError> {
        let Some(us) = context.client.account() else {
            return Ok(());
        };
        let mut is_busy = false;
        for item in context.store.scan(DISPUTED) {
            let (id, ()) = item?;
            let Some(claim) = context.store.read(CLAIMS, &id)? else {
                context.store.remove(DISPUTED, &id)?;
                continue;
            };
            is_busy |= !self.collect(context, us, &claim).await?;
        }
        self.withdraw(context, us, is_busy).await
    }
}

impl Treasurer {
    /// Does what there is to do about a claim; true when nothing is left.
    async fn collect(
        &mut self,
        context: &Context,
        us: Address,
        claim: &StoredClaim,
    ) -> Result<bool, RoleError> {
        let nodes = context.store.nodes_of(claim.id)?;
        let fall = context.store.read(FALLS, &claim.id)?;
        if fall.is_none() && context.is_live(claim)? {
            return Ok(false);
        }
        let lines = Lines::of(&nodes);
        if let Some(fall) = &fall
            && fall.settled.is_none()
        {
            // Whoever sent the proof for the line of another has its money already.
            let is_party = fall.current().winner == us || lines.owned(us).next().is_some();
            if !is_party {
                // Nothing of ours is in it; who has something settles it.
                context.store.remove(DISPUTED, &claim.id)?;
                return Ok(true);
            }
            self.redeem(context, us, fall, &nodes).await;
            self.settle(context, fall).await;
            return Ok(false);
        }
        // Equal to the one that is final, or that one itself.
        let rivals = context.store.claims_of(claim.lane)?;
        let was_right = rivals.iter().any(|rival| {
            rival.root == claim.root && matches!(rival.end, Some((ClaimEnd::Final, _)))
        });
        let mut left = 0;
        // The culprit's line was paid at the settlement.
        let culprit = fall
            .as_ref()
            .map(|fall| fall.current().culprit.line(claim.id));
        for line in lines.all() {
            let Some(node) = line.lowest() else { continue };
            if culprit == Some(line.key) || !is_owed(node, claim.proposer, was_right, us) {
                continue;
            }
            left += 1;
            let key = (claim.id, node.key);
            if self.rests.allows(&key) {
                let what = Move::Reclaim {
                    record: node.record(),
                };
                let outcome = context.play(claim.id, &what).await;
                self.rests.note(key, "reclaim", outcome.map(|_| false));
            }
        }
        if left == 0 {
            context.store.remove(DISPUTED, &claim.id)?;
        }
        Ok(left == 0)
    }

    /// Names this node's declaration if the reward is another's without it.
    async fn redeem(
        &mut self,
        context: &Context,
        us: Address,
        fall: &StoredFall,
        nodes: &[StoredNode],
    ) {
        let key = (fall.claim, fall.redeemed.len());
        if !self.redemptions.allows(&key) {
            return;
        }
        let outcome = match declarer::redemption(context, us, fall, nodes).await {
            Ok(Some(what)) => context.play(fall.claim, &what).await,
            Ok(None) => Ok(false),
            Err(err) => Err(err),
        };
        // What was named is seen in the events a moment later.
        self.redemptions.note(key, "redeem", outcome.map(|_| false));
    }

    async fn settle(&mut self, context: &Context, fall: &StoredFall) {
        let key = (fall.claim, fall.key);
        let due = fall
            .current()
            .fell_at
            .saturating_add(context.rules.challenges.declaration_seconds);
        let now = match context.now() {
            Ok(now) => now,
            Err(err) => return self.rests.note(key, "settle", Err(err.into())),
        };
        if now <= due || !self.rests.allows(&key) {
            return;
        }
        let what = Move::Settle {
            verdict: fall.current(),
        };
        let outcome = context.play(fall.claim, &what).await;
        self.rests.note(key, "settle", outcome.map(|_| false));
    }

    /// Takes the balance out when it is worth the gas; while disputes go on only when it is a good part of what the account has left.
    async fn withdraw(
        &mut self,
        context: &Context,
        us: Address,
        is_busy: bool,
    ) -> Result<(), RoleError> {
        if !self.withdrawing.allows(&()) {
            return Ok(());
        }
        let (client, d) = (&context.client, &context.deployment);
        let balance = client.challenge_balance(d, us).await?;
        let cost = client
            .base_fee()
            .await?
            .saturating_mul(U256::from(WITHDRAW_GAS));
        let is_small = balance <= cost.saturating_mul(U256::from(2))
            || (is_busy && balance < client.balance(us).await? / U256::from(4));
        if is_small {
            self.withdrawing.note((), "withdraw", Ok(false));
            return Ok(());
        }
        let call = challenges::withdrawCall { to: us };
        let outcome = client.transact(d.disputes, &call, U256::ZERO).await;
        if let Ok(receipt) = &outcome {
            tracing::info!(wei = %balance, transaction = %receipt.transaction_hash, "money of challenges taken back");
        }
        self.withdrawing.note(
            (),
            "withdraw",
            outcome.map(|_| true).map_err(RoleError::from),
        );
        Ok(())
    }
}

/// Whether the lowest node of a line of a decided claim still holds money of ours. What its reveals took, and the deposit of a late line, are the proposer's
/// if the claim was right, else its owner's, as is what is left of its prepayments.
fn is_owed(node: &StoredNode, proposer: Address, was_right: bool, us: Address) -> bool {
    let record = node.record();
    let is_ours = record.opener() == us;
    let won = record.is_late() || !record.spent_wei().is_zero();
    let is_won = won && if was_right { proposer == us } else { is_ours };
    node.reclaimed.is_none() && (is_won || (is_ours && !record.prepaid_wei().is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::made;

    #[test]
    fn deposits_and_reveals_go_to_the_side_that_was_right() {
        let (us, them) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let mut node = made::node(1, 0, B256::repeat_byte(9), None, 5, None);
        assert!(!is_owed(&node, them, true, us), "nothing is left");
        for funds in [U256::from(1), U256::from(7) << 48] {
            node.opened.record.funds = funds;
            assert!(!is_owed(&node, them, true, us));
            assert!(is_owed(&node, them, false, us));
            assert!(is_owed(&node, them, true, them));
            assert!(!is_owed(&node, them, false, them));
        }
        node.opened.record.funds = U256::from(7) << 120;
        for was_right in [true, false] {
            assert!(is_owed(&node, them, was_right, us));
            assert!(!is_owed(&node, them, was_right, them));
        }
        node.reclaimed = Some(8);
        assert!(!is_owed(&node, them, true, us));
    }
}
