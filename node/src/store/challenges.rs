//! What the chain told about challenges of claims.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use serde::{Deserialize, Serialize};

use super::{Key, Store, StoreError, tables};
use crate::chain::abi::challenges;

/// A node's record as the contract hashes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRecord {
    /// Where it stands.
    pub position: B256,
    /// Hash of its parent's record as that was revealed; zero under the claim itself.
    pub parent_hash: B256,
    /// Digest, or the contents' hash.
    pub value: B256,
    /// Opener, times and the line's number, packed.
    pub times: U256,
    /// Seconds used and money, packed.
    pub funds: U256,
    /// Shape of what is below.
    pub shape: U256,
    /// Hash of the job that it is or is under; zero above.
    pub job: B256,
}

/// `bits` bits of a packed word from `shift` on.
fn part(word: U256, shift: usize, bits: usize) -> U256 {
    (word >> shift) & ((U256::from(1) << bits) - U256::from(1))
}

fn small(word: U256, shift: usize, bits: usize) -> u64 {
    part(word, shift, bits).saturating_to()
}

/// A line of an account: keccak256(abi.encode(claim, owner and number in one word)).
pub fn line_of(claim: B256, owner: Address, number: u16) -> B256 {
    let mut word = [0; 64];
    word[..32].copy_from_slice(claim.as_slice());
    word[42..62].copy_from_slice(owner.as_slice());
    word[62..].copy_from_slice(&number.to_be_bytes());
    keccak256(word)
}

impl StoredRecord {
    /// Who opened it.
    pub fn opener(&self) -> Address {
        Address::from_slice(&self.times.to_be_bytes::<32>()[..20])
    }

    /// The number that its line has among its opener's.
    pub fn number(&self) -> u16 {
        (self.times & U256::from(u16::MAX)).saturating_to()
    }

    /// Where the contract keeps the lowest record of its line.
    pub fn line(&self, claim: B256) -> B256 {
        line_of(claim, self.opener(), self.number())
    }

    /// What the contract keeps of it, and what the records of its children name.
    pub fn hash(&self, claim: B256) -> B256 {
        let words = [
            claim,
            self.position,
            self.parent_hash,
            self.value,
            self.times.into(),
            self.funds.into(),
            self.shape.into(),
            self.job,
        ];
        keccak256(words.concat())
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

    /// What is left of the line's prepayments at this node.
    pub fn prepaid_wei(&self) -> U256 {
        part(self.funds, 120, 72)
    }

    /// What the line's reveals down to this node take if the claim is right.
    pub fn spent_wei(&self) -> U256 {
        part(self.funds, 48, 72)
    }

    /// Whether the line has a deposit, since an opening in it was late.
    pub fn is_late(&self) -> bool {
        small(self.funds, 0, 8) & 1 != 0
    }
}

impl From<&challenges::Record> for StoredRecord {
    fn from(record: &challenges::Record) -> StoredRecord {
        StoredRecord {
            position: B256::from(record.position),
            parent_hash: record.parentHash,
            value: record.value,
            times: record.times,
            funds: record.funds,
            shape: record.shape,
            job: record.job,
        }
    }
}

impl From<&StoredRecord> for challenges::Record {
    fn from(record: &StoredRecord) -> challenges::Record {
        challenges::Record {
            position: U256::from_be_bytes(record.position.0),
            parentHash: record.parent_hash,
            value: record.value,
            times: record.times,
            funds: record.funds,
            shape: record.shape,
            job: record.job,
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
    /// What it holds, as the event has it, or would if the transaction's data did not.
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
    /// Block in which what was left over in its line was paid out.
    pub reclaimed: Option<u64>,
}

impl StoredNode {
    /// Its last record: the contract knows it as long as the node is the lowest of its line.
    pub fn record(&self) -> StoredRecord {
        match &self.revealed {
            Some(revealed) => revealed.record,
            None => self.opened.record,
        }
    }

    /// What its reveal takes of the line's prepayments if the claim is right.
    pub fn reveal_wei(&self) -> U256 {
        let spent = self.record().spent_wei();
        spent.saturating_sub(self.opened.record.spent_wei())
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
    /// What is left for the line's owner or a declaration.
    pub reward_wei: U256,
    /// What the line's owner is still owed for having sent the proof, or the expiry.
    pub sender_wei: U256,
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
            sender_wei: verdict.senderWei,
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
            senderWei: verdict.sender_wei,
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
    /// What the reveals of the culprit's line would have taken: its owner has it back.
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
    use alloy::sol_types::SolValue;

    #[test]
    fn packed_words_are_read_as_the_contract_packs_them() {
        let mut times = [0; 32];
        times[..20].copy_from_slice(&[7; 20]);
        times[20..25].copy_from_slice(&[0, 0, 0, 1, 2]);
        times[25..30].copy_from_slice(&[0, 0, 0, 3, 4]);
        times[30..].copy_from_slice(&[5, 6]);
        let mut funds = [0; 32];
        funds[..4].copy_from_slice(&9u32.to_be_bytes());
        funds[4..8].copy_from_slice(&8u32.to_be_bytes());
        funds[16] = 5;
        funds[25] = 6;
        funds[30] = 7;
        funds[31] = 3;
        let record = StoredRecord {
            position: B256::ZERO,
            parent_hash: B256::ZERO,
            value: B256::ZERO,
            times: U256::from_be_bytes(times),
            funds: U256::from_be_bytes(funds),
            shape: U256::ZERO,
            job: B256::ZERO,
        };
        assert_eq!(record.opener(), Address::repeat_byte(7));
        assert_eq!((record.opened_at(), record.revealed_at()), (0x102, 0x304));
        assert_eq!(record.number(), 0x506);
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
    #[test]
    fn hashes_are_those_of_the_encoded_words() {
        let word = B256::repeat_byte;
        let record = challenges::Record {
            position: U256::from(1),
            parentHash: word(2),
            value: word(3),
            times: U256::from_be_bytes([4; 32]),
            funds: U256::from(5),
            shape: U256::from(6),
            job: word(7),
        };
        let (claim, stored) = (word(9), StoredRecord::from(&record));
        let encoded = (claim, record).abi_encode_params();
        assert_eq!(encoded.len(), 8 * 32);
        assert_eq!(stored.hash(claim), keccak256(encoded));
        let owner = U256::from_be_slice(&[4; 22]);
        assert_eq!(stored.line(claim), keccak256((claim, owner).abi_encode()));
        assert_eq!(
            stored.line(claim),
            line_of(claim, Address::repeat_byte(4), 0x404)
        );
    }
}
