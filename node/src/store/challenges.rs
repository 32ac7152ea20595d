//! What the chain told about challenges of claims.

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{Key, Store, StoreError, tables};
use crate::chain::abi::challenges;

/// A node's record as the contract hashes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRecord {
    /// Where it stands.
    pub position: B256,
    /// Its parent's key; zero under the claim itself.
    pub parent_key: B256,
    /// Digest, or the contents' hash.
    pub value: B256,
    /// Opener and times, packed.
    pub times: U256,
    /// Seconds used and money, packed.
    pub funds: U256,
    /// Shape of what is below.
    pub shape: U256,
}

/// `bits` bits of a packed word from `shift` on.
fn part(word: U256, shift: usize, bits: usize) -> U256 {
    (word >> shift) & ((U256::from(1) << bits) - U256::from(1))
}

fn small(word: U256, shift: usize, bits: usize) -> u64 {
    part(word, shift, bits).saturating_to()
}

impl StoredRecord {
    /// Who opened it.
    pub fn opener(&self) -> Address {
        Address::from_slice(&self.times.to_be_bytes::<32>()[..20])
    }

    /// When it was opened, in seconds.
    pub fn opened_at(&self) -> u64 {
        small(self.times, 56, 40)
    }

    /// When it was revealed, in seconds; 0 while pending.
    pub fn revealed_at(&self) -> u64 {
        small(self.times, 16, 40)
    }

    /// Seconds of the proposer's budget; with this node's once revealed.
    pub fn proposer_seconds(&self) -> u64 {
        small(self.funds, 224, 32)
    }

    /// Seconds of the challengers' budget.
    pub fn challenger_seconds(&self) -> u64 {
        small(self.funds, 192, 32)
    }

    /// What is left of the prepayment.
    pub fn prepaid_wei(&self) -> U256 {
        part(self.funds, 104, 88)
    }

    /// What the reveal took.
    pub fn spent_wei(&self) -> U256 {
        part(self.funds, 16, 88)
    }

    /// Whether the opening was late and has a deposit.
    pub fn is_late(&self) -> bool {
        small(self.funds, 0, 16) != 0
    }
}

impl From<&challenges::Record> for StoredRecord {
    fn from(record: &challenges::Record) -> StoredRecord {
        StoredRecord {
            position: B256::from(record.position),
            parent_key: record.parentKey,
            value: record.value,
            times: record.times,
            funds: record.funds,
            shape: record.shape,
        }
    }
}

impl From<&StoredRecord> for challenges::Record {
    fn from(record: &StoredRecord) -> challenges::Record {
        challenges::Record {
            position: U256::from_be_bytes(record.position.0),
            parentKey: record.parent_key,
            value: record.value,
            times: record.times,
            funds: record.funds,
            shape: record.shape,
        }
    }
}

/// How a node was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Its record after that.
    pub record: StoredRecord,
    /// Block.
    pub block: u64,
    /// Place among the block's logs.
    pub log_index: u64,
    /// Transaction.
    pub transaction: B256,
}

/// How a node was revealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reveal {
    /// Its record after that.
    pub record: StoredRecord,
    /// What it holds, as the event has it.
    pub contents: Bytes,
    /// Who revealed it.
    pub revealer: Address,
    /// Block.
    pub block: u64,
    /// Place among the block's logs.
    pub log_index: u64,
    /// Transaction.
    pub transaction: B256,
}

/// A node that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredNode {
    /// Its claim.
    pub claim: B256,
    /// Its key.
    pub key: B256,
    /// How it was opened.
    pub opened: Opening,
    /// How it was revealed.
    pub revealed: Option<Reveal>,
    /// Block in which what was left over was paid out.
    pub reclaimed: Option<u64>,
}

impl StoredNode {
    /// The record that the contract knows now.
    pub fn record(&self) -> StoredRecord {
        match &self.revealed {
            Some(revealed) => revealed.record,
            None => self.opened.record,
        }
    }

    /// Whether it waits for its contents.
    pub fn is_pending(&self) -> bool {
        self.revealed.is_none()
    }

    /// Seconds of the proposer's budget at `now`.
    pub fn proposer_seconds_at(&self, now: u64) -> u64 {
        let record = self.record();
        if self.is_pending() {
            record.proposer_seconds() + now.saturating_sub(record.opened_at())
        } else {
            record.proposer_seconds()
        }
    }
}

/// A verdict as the contract hashes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredVerdict {
    /// The node by which the claim fell.
    pub culprit: StoredRecord,
    /// What is left for the path or a declaration.
    pub reward_wei: U256,
    /// Whose declaration counts, or zero.
    pub winner: Address,
    /// Its seconds.
    pub declared_at: u64,
    /// When the claim fell, in seconds.
    pub fell_at: u64,
}

impl From<&challenges::Verdict> for StoredVerdict {
    fn from(verdict: &challenges::Verdict) -> StoredVerdict {
        StoredVerdict {
            culprit: (&verdict.culprit).into(),
            reward_wei: verdict.rewardWei,
            winner: verdict.winner,
            declared_at: verdict.declaredAt,
            fell_at: verdict.fellAt,
        }
    }
}

impl From<&StoredVerdict> for challenges::Verdict {
    fn from(verdict: &StoredVerdict) -> challenges::Verdict {
        challenges::Verdict {
            culprit: (&verdict.culprit).into(),
            rewardWei: verdict.reward_wei,
            winner: verdict.winner,
            declaredAt: verdict.declared_at,
            fellAt: verdict.fell_at,
        }
    }
}

/// How a claim fell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFall {
    /// The claim.
    pub claim: B256,
    /// The node.
    pub key: B256,
    /// Who sent the proof, or expired the node.
    pub sender: Address,
    /// The fault; none when the node was not revealed in time.
    pub fault: Option<u8>,
    /// The verdict at the fall.
    pub verdict: StoredVerdict,
    /// Block.
    pub block: u64,
    /// Place among the block's logs.
    pub log_index: u64,
    /// Transaction.
    pub transaction: B256,
    /// Later verdicts, by declarations, with their blocks.
    pub redeemed: Vec<(u64, StoredVerdict)>,
    /// What became of the bond.
    pub settled: Option<StoredSettlement>,
}

impl StoredFall {
    /// The verdict that the contract knows now.
    pub fn current(&self) -> StoredVerdict {
        self.redeemed
            .last()
            .map_or(self.verdict, |(_, verdict)| *verdict)
    }
}

/// What became of a fallen claim's bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSettlement {
    /// Block.
    pub block: u64,
    /// Transaction.
    pub transaction: B256,
    /// Paid back to openers.
    pub refunded_wei: U256,
    /// Paid as a reward.
    pub rewarded_wei: U256,
    /// Burned.
    pub burned_wei: U256,
}

/// A reward for a fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReward {
    /// Who got it.
    pub account: Address,
    /// How much.
    pub amount_wei: U256,
    /// Block.
    pub block: u64,
    /// Transaction.
    pub transaction: B256,
}

impl Store {
    /// The opened nodes of a claim, in the order of their openings.
    pub fn nodes_of(&self, claim: B256) -> Result<Vec<StoredNode>, StoreError> {
        let mut nodes = self
            .scan_under(tables::NODES, &claim.to_bytes())
            .map(|item| item.map(|(_, node)| node))
            .collect::<Result<Vec<_>, _>>()?;
        nodes.sort_by_key(|node| (node.opened.block, node.opened.log_index));
        Ok(nodes)
    }

    /// The rewards paid for a claim's fall, in their order.
    pub fn rewards_of(&self, claim: B256) -> Result<Vec<StoredReward>, StoreError> {
        self.scan_under(tables::REWARDS, &claim.to_bytes())
            .map(|item| item.map(|(_, reward)| reward))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_words_are_read_as_the_contract_packs_them() {
        let mut times = [0; 32];
        times[..20].copy_from_slice(&[7; 20]);
        times[20..25].copy_from_slice(&[0, 0, 0, 1, 2]);
        times[25..30].copy_from_slice(&[0, 0, 0, 3, 4]);
        let mut funds = [0; 32];
        funds[..4].copy_from_slice(&9u32.to_be_bytes());
        funds[4..8].copy_from_slice(&8u32.to_be_bytes());
        funds[18] = 5;
        funds[29] = 6;
        funds[31] = 1;
        let record = StoredRecord {
            position: B256::ZERO,
            parent_key: B256::ZERO,
            value: B256::ZERO,
            times: U256::from_be_bytes(times),
            funds: U256::from_be_bytes(funds),
            shape: U256::ZERO,
        };
        assert_eq!(record.opener(), Address::repeat_byte(7));
        assert_eq!((record.opened_at(), record.revealed_at()), (0x102, 0x304));
        assert_eq!(
            (record.proposer_seconds(), record.challenger_seconds()),
            (9, 8)
        );
        assert_eq!(record.prepaid_wei(), U256::from(5));
        assert_eq!(record.spent_wei(), U256::from(6));
        assert!(record.is_late());
        let there = challenges::Record::from(&record);
        assert_eq!(StoredRecord::from(&there), record);
    }
}
