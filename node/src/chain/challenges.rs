//! Calls of the challenge contract.

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionReceipt;
use alloy::sol_types::SolCall;

use super::abi::challenges::{self, Job};
use super::abi::claims;
use super::{ChainClient, ChainError, Deployment, Gas};
use crate::store::{StoredRecord, StoredVerdict};

/// Two balances that are written for the first time, with their events.
const CREDIT_GAS: u64 = 80_000;
/// A late opening's deposit is the bond divided by this.
const DEPOSIT_DIVISOR: u64 = 10;

/// Immutable parameters of the challenges, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct ChallengeRules {
    /// C: what each side has.
    pub budget_seconds: u64,
    /// g: before the end of the window by this, openings begin to carry a deposit.
    pub grace_seconds: u64,
    /// How long after a fall declarations can be named.
    pub declaration_seconds: u64,
}

/// A transaction on a claim's challenges.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the contract's own")]
pub enum Move {
    Open {
        /// None under the claim itself.
        parent: Option<StoredRecord>,
        position: B256,
        value: B256,
        path: Vec<B256>,
        /// The number of the opener's line.
        line: u16,
    },
    OpenInJob {
        parent: StoredRecord,
        job: Job,
        position: B256,
        value: B256,
        path: Vec<B256>,
        /// The number of the opener's line.
        line: u16,
    },
    RevealDigests {
        record: StoredRecord,
        digests: Vec<B256>,
    },
    RevealLeaves {
        record: StoredRecord,
        leaves: Vec<Bytes>,
    },
    RevealJob {
        record: StoredRecord,
        job: Job,
        digests: Vec<B256>,
        signature: Bytes,
    },
    RevealPosted {
        record: StoredRecord,
        contents: Bytes,
        signature: Bytes,
    },
    Prove {
        /// The node, and its parent.
        path: Vec<StoredRecord>,
        job: Job,
        fault: u8,
        witness: Bytes,
        /// Of the declaration of the node; zero without one.
        salt: B256,
    },
    Declare {
        declaration: B256,
    },
    Redeem {
        verdict: StoredVerdict,
        /// The node at the culprit's position that was declared.
        own: StoredRecord,
        salt: B256,
    },
    Expire {
        record: StoredRecord,
    },
    Settle {
        verdict: StoredVerdict,
    },
    Reclaim {
        record: StoredRecord,
    },
}

/// What an opening takes in all, and the deposit that is in it if it is a late one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Price {
    wei: U256,
    deposit: U256,
}

impl Price {
    /// What is to be sent with it: what is left in a line that goes on pays first, and a line has one deposit.
    fn to_send(self, above: Option<&StoredRecord>) -> U256 {
        let Some(above) = above else {
            return self.wei;
        };
        let deposit = if above.is_late() {
            self.deposit
        } else {
            U256::ZERO
        };
        self.wei
            .saturating_sub(deposit)
            .saturating_sub(above.prepaid_wei())
    }
}

impl Move {
    /// The node whose place an opening by `us` takes: its line goes on.
    fn above(&self, us: Option<Address>) -> Option<&StoredRecord> {
        let (parent, line) = match self {
            Move::Open { parent, line, .. } => (parent.as_ref()?, line),
            Move::OpenInJob { parent, line, .. } => (parent, line),
            _ => return None,
        };
        (Some(parent.opener()) == us && parent.number() == *line).then_some(parent)
    }

    /// For logs and people.
    pub fn name(&self) -> &'static str {
        match self {
            Move::Open { .. } | Move::OpenInJob { .. } => "open",
            Move::RevealDigests { .. }
            | Move::RevealLeaves { .. }
            | Move::RevealJob { .. }
            | Move::RevealPosted { .. } => "reveal",
            Move::Prove { .. } => "prove",
            Move::Declare { .. } => "declare",
            Move::Redeem { .. } => "redeem",
            Move::Expire { .. } => "expire",
            Move::Settle { .. } => "settle",
            Move::Reclaim { .. } => "reclaim",
        }
    }
}

/// The record that stands for the claim itself.
fn none() -> challenges::Record {
    challenges::Record {
        position: U256::ZERO,
        parentHash: B256::ZERO,
        value: B256::ZERO,
        times: U256::ZERO,
        funds: U256::ZERO,
        shape: U256::ZERO,
        job: B256::ZERO,
    }
}

fn position(word: &B256) -> U256 {
    U256::from_be_bytes(word.0)
}

impl ChainClient {
    /// The parameters of the challenges.
    pub async fn challenge_rules(&self, d: &Deployment) -> Result<ChallengeRules, ChainError> {
        Ok(ChallengeRules {
            budget_seconds: self
                .view(d.disputes, challenges::budgetSecondsCall {})
                .await?,
            grace_seconds: self
                .view(d.disputes, challenges::graceSecondsCall {})
                .await?,
            declaration_seconds: self
                .view(d.disputes, challenges::declarationSecondsCall {})
                .await?,
        })
    }

    /// What the contract keeps of a claim's challenges.
    pub async fn challenge_state(
        &self,
        d: &Deployment,
        claim: B256,
    ) -> Result<challenges::State, ChainError> {
        self.view(d.disputes, challenges::stateOfCall { claimId: claim })
            .await
    }

    /// What the contract keeps for an account: refunds, rewards, deposits.
    pub async fn challenge_balance(
        &self,
        d: &Deployment,
        account: Address,
    ) -> Result<U256, ChainError> {
        self.view(d.disputes, challenges::balanceOfCall { account })
            .await
    }

    /// The base fee of the newest block.
    pub async fn base_fee(&self) -> Result<U256, ChainError> {
        let block = self
            .request("eth_getBlockByNumber latest", |p| async move {
                p.get_block_by_number(BlockNumberOrTag::Latest).await
            })
            .await?;
        Ok(U256::from(
            block
                .and_then(|b| b.header.inner.base_fee_per_gas)
                .unwrap_or_default(),
        ))
    }

    /// What a move has to carry: nothing but for openings, and those take what is left in their line first. The base fee may rise by half until the
    /// opening is mined; what is too much comes back.
    pub async fn price_of(
        &self,
        d: &Deployment,
        claim: B256,
        what: &Move,
    ) -> Result<U256, ChainError> {
        let (gas, extra) = match what {
            Move::Open {
                parent,
                position: word,
                ..
            } => {
                let quote = self
                    .view(
                        d.disputes,
                        challenges::quoteOpenCall {
                            claimId: claim,
                            parent: parent.as_ref().map_or_else(none, Into::into),
                            position: position(word),
                        },
                    )
                    .await?;
                (quote.gas_, quote.extraWei)
            }
            Move::OpenInJob {
                parent,
                job,
                position: word,
                ..
            } => {
                let quote = self
                    .view(
                        d.disputes,
                        challenges::quoteOpenInJobCall {
                            claimId: claim,
                            parent: parent.into(),
                            job: job.clone(),
                            position: position(word),
                        },
                    )
                    .await?;
                (quote.gas_, quote.extraWei)
            }
            _ => return Ok(U256::ZERO),
        };
        let fee = self.base_fee().await?;
        let fee = fee + fee / U256::from(2) + U256::from(1);
        let above = what.above(self.account());
        let deposit = match above {
            Some(above) if above.is_late() => self.bond_wei(d).await? / U256::from(DEPOSIT_DIVISOR),
            _ => U256::ZERO,
        };
        let price = Price {
            wei: gas
                .saturating_mul(U256::from(10))
                .saturating_mul(fee)
                .saturating_add(extra),
            deposit,
        };
        Ok(price.to_send(above))
    }

    /// Sends a call that may credit accounts by the base fee.
    async fn pay<C: SolCall>(
        &self,
        to: Address,
        call: &C,
        value: U256,
    ) -> Result<TransactionReceipt, ChainError> {
        let gas = Gas::EstimateAnd(CREDIT_GAS);
        let sent = self.send(to, call, value, gas).await?;
        self.confirm(sent).await
    }

    /// Makes a move and waits until it is mined.
    pub async fn make(
        &self,
        d: &Deployment,
        claim: B256,
        what: &Move,
    ) -> Result<TransactionReceipt, ChainError> {
        let value = self.price_of(d, claim, what).await?;
        match self.make_for(d, claim, what, value).await {
            // The opening became a late one, which takes a deposit, since the quote.
            Err(err) => match err
                .revert()
                .and_then(|r| r.downcast::<challenges::NotEnoughPaid>())
            {
                Some(short) => {
                    // What was sent counts with what is left in the line.
                    let value = value
                        .saturating_add(short.expectedWei.saturating_sub(short.sentWei))
                        .saturating_add(short.expectedWei / U256::from(4));
                    self.make_for(d, claim, what, value).await
                }
                None => Err(err),
            },
            made => made,
        }
    }

    async fn make_for(
        &self,
        d: &Deployment,
        claim: B256,
        what: &Move,
        value: U256,
    ) -> Result<TransactionReceipt, ChainError> {
        let to = d.disputes;
        match what.clone() {
            Move::Open {
                parent,
                position: word,
                value: digest,
                path,
                line,
            } => {
                let call = challenges::openCall {
                    claimId: claim,
                    parent: parent.as_ref().map_or_else(none, Into::into),
                    position: position(&word),
                    value: digest,
                    path,
                    line,
                };
                self.pay(to, &call, value).await
            }
            Move::OpenInJob {
                parent,
                job,
                position: word,
                value: digest,
                path,
                line,
            } => {
                let call = challenges::openInJobCall {
                    claimId: claim,
                    parent: (&parent).into(),
                    job,
                    position: position(&word),
                    value: digest,
                    path,
                    line,
                };
                self.pay(to, &call, value).await
            }
            Move::RevealDigests { record, digests } => {
                let call = challenges::revealDigestsCall {
                    claimId: claim,
                    record: (&record).into(),
                    digests,
                };
                self.pay(to, &call, value).await
            }
            Move::RevealLeaves { record, leaves } => {
                let call = challenges::revealLeavesCall {
                    claimId: claim,
                    record: (&record).into(),
                    leaves,
                };
                self.pay(to, &call, value).await
            }
            Move::RevealJob {
                record,
                job,
                digests,
                signature,
            } => {
                let call = challenges::revealJobCall {
                    claimId: claim,
                    record: (&record).into(),
                    job,
                    digests,
                    signature,
                };
                self.pay(to, &call, value).await
            }
            Move::RevealPosted {
                record,
                contents,
                signature,
            } => {
                let call = challenges::revealPostedCall {
                    claimId: claim,
                    record: (&record).into(),
                    contents,
                    signature,
                };
                self.pay(to, &call, value).await
            }
            Move::Prove {
                path,
                job,
                fault,
                witness,
                salt,
            } => {
                let call = challenges::proveCall {
                    claimId: claim,
                    path: path.iter().map(Into::into).collect(),
                    job,
                    fault,
                    witness,
                    salt,
                };
                self.pay(to, &call, value).await
            }
            Move::Declare { declaration } => {
                let call = challenges::declareCall { declaration };
                self.transact(to, &call, value).await
            }
            Move::Redeem { verdict, own, salt } => {
                let call = challenges::redeemCall {
                    claimId: claim,
                    verdict: (&verdict).into(),
                    own: (&own).into(),
                    salt,
                };
                self.transact(to, &call, value).await
            }
            Move::Expire { record } => {
                let call = challenges::expireCall {
                    claimId: claim,
                    record: (&record).into(),
                };
                self.pay(to, &call, value).await
            }
            Move::Settle { verdict } => {
                let call = challenges::settleCall {
                    claimId: claim,
                    verdict: (&verdict).into(),
                };
                self.pay(to, &call, value).await
            }
            Move::Reclaim { record } => {
                let call = challenges::reclaimCall {
                    claimId: claim,
                    record: (&record).into(),
                };
                self.pay(to, &call, value).await
            }
        }
    }
}

/// Reverts that only say that somebody was faster, or that the time has not come or has gone.
pub fn is_no_longer_needed(err: &ChainError) -> bool {
    err.is_revert::<challenges::LineInUse>()
        || err.is_revert::<challenges::AlreadyRevealed>()
        || err.is_revert::<challenges::NotLive>()
        || err.is_revert::<challenges::PastFinality>()
        || err.is_revert::<challenges::ChallengersOutOfTime>()
        || err.is_revert::<challenges::WrongRecord>()
        || err.is_revert::<challenges::NotDecided>()
        || err.is_revert::<challenges::ProposerInTime>()
        || err.is_revert::<challenges::TooEarly>()
        || err.is_revert::<challenges::TooLate>()
        || err.is_revert::<challenges::AlreadyDeclared>()
        || err.is_revert::<challenges::NotEarlier>()
        || err.is_revert::<claims::LaneIsFinal>()
        || err.is_revert::<claims::NotStanding>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: u8, line: u16, prepaid: u64, late: bool) -> StoredRecord {
        let owner = U256::from_be_slice(Address::repeat_byte(owner).as_slice());
        StoredRecord {
            position: B256::repeat_byte(1),
            parent_hash: B256::ZERO,
            value: B256::ZERO,
            times: owner << 96 | U256::from(line),
            funds: U256::from(prepaid) << 120 | U256::from(u8::from(late)),
            shape: U256::ZERO,
            job: B256::ZERO,
        }
    }

    fn opening(parent: Option<StoredRecord>, line: u16) -> Move {
        Move::Open {
            parent,
            position: B256::repeat_byte(2),
            value: B256::ZERO,
            path: Vec::new(),
            line,
        }
    }

    #[test]
    fn only_a_line_that_goes_on_pays_from_what_is_left_in_it() {
        let us = Some(Address::repeat_byte(7));
        let price = Price {
            wei: U256::from(1_000),
            deposit: U256::from(300),
        };
        let costs = |what: Move| price.to_send(what.above(us)).to::<u64>();
        assert_eq!(costs(opening(None, 0)), 1_000);
        assert_eq!(costs(opening(Some(record(7, 2, 100, false)), 2)), 900);
        assert_eq!(costs(opening(Some(record(7, 2, 100, true)), 2)), 600);
        assert_eq!(costs(opening(Some(record(7, 2, 5_000, false)), 2)), 0);
        // A new line under one's own node, and a line of the same number under another's.
        assert_eq!(costs(opening(Some(record(7, 2, 100, true)), 3)), 1_000);
        assert_eq!(costs(opening(Some(record(8, 2, 100, false)), 2)), 1_000);
    }
}
