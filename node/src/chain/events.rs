//! The events that a node follows, as one enum.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::rpc::types::Log;
use alloy::sol_types::SolEvent;

use super::abi::{challenges, claims, inbox, models, vouchers};
use super::{ChainError, Deployment};

/// An event and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Block.
    pub block: u64,
    /// The block's hash.
    pub block_hash: B256,
    /// Place among the block's logs.
    pub log_index: u64,
    /// Transaction.
    pub transaction: B256,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the fields are the contracts' own, documented in contracts/src/interfaces"
)]
pub enum Event {
    ModelRegistered {
        model: B256,
        publisher: Address,
        parent: B256,
        name: String,
        version: String,
        license: String,
        weights_uri: String,
    },
    InputSubmitted {
        id: u64,
        sender: Address,
        model: B256,
        recipient: Address,
        params: B256,
        payload_root: B256,
        payload: Bytes,
    },
    InputSealed {
        id: u64,
        epoch: u64,
        model: B256,
        lane_index: u32,
        seed: B256,
        accumulator: B256,
    },
    InputRearmed {
        id: u64,
        armed_block: u64,
    },
    Claimed {
        claim: B256,
        epoch: u64,
        model: B256,
        proposer: Address,
        root: B256,
        accumulator: B256,
        window_end: u64,
        bond_wei: U256,
        digests: Vec<B256>,
    },
    Opened {
        claim: B256,
        key: B256,
        opener: Address,
        record: challenges::Record,
    },
    Revealed {
        claim: B256,
        key: B256,
        revealer: Address,
        record: challenges::Record,
        /// From the event, or from the transaction's data when that has them.
        contents: Bytes,
    },
    /// By a proof, or without a fault by silence.
    Toppled {
        claim: B256,
        key: B256,
        sender: Address,
        fault: Option<u8>,
        verdict: challenges::Verdict,
    },
    Declared {
        declaration: B256,
        sender: Address,
    },
    Redeemed {
        claim: B256,
        verdict: challenges::Verdict,
    },
    Rewarded {
        claim: B256,
        account: Address,
        amount_wei: U256,
    },
    FallSettled {
        claim: B256,
        refunded_wei: U256,
        rewarded_wei: U256,
        burned_wei: U256,
    },
    Reclaimed {
        claim: B256,
        key: B256,
        opener: Address,
        to_opener_wei: U256,
        to_proposer_wei: U256,
    },
    Finalised {
        claim: B256,
    },
    Fell {
        claim: B256,
    },
    BondGone {
        claim: B256,
        released: bool,
    },
    Settled {
        input: u64,
        server: Address,
    },
    Refunded {
        input: u64,
    },
    VoucherExecuted {
        input: u64,
        run: u32,
        chunk: u32,
        recipient: Address,
        claim: B256,
    },
    VoucherFailed {
        input: u64,
        run: u32,
        chunk: u32,
        recipient: Address,
    },
}

impl Located {
    /// Reads a log of the deployment; logs that are none of [`Event`] give nothing.
    pub fn read(deployment: &Deployment, log: &Log) -> Result<Option<Located>, ChainError> {
        let Some(topic) = log.topic0().copied() else {
            return Ok(None);
        };
        let Some(event) = decode(deployment, log, topic)? else {
            return Ok(None);
        };
        let missing = |what: &str| ChainError::BadAnswer {
            what: "eth_getLogs".into(),
            found: "a log of a pending block".into(),
            expected: format!("a log with {what}"),
        };
        Ok(Some(Located {
            block: log.block_number.ok_or_else(|| missing("a block number"))?,
            block_hash: log.block_hash.ok_or_else(|| missing("a block hash"))?,
            log_index: log.log_index.ok_or_else(|| missing("an index"))?,
            transaction: log
                .transaction_hash
                .ok_or_else(|| missing("a transaction"))?,
            event,
        }))
    }
}

fn parse<E: SolEvent>(log: &Log) -> Result<E, ChainError> {
    log.log_decode::<E>()
        .map(|log| log.inner.data)
        .map_err(|err| ChainError::BadAnswer {
            what: format!("event of {}", log.address()),
            found: err.to_string(),
            expected: E::SIGNATURE.into(),
        })
}

fn input_id(id: U256) -> Result<u64, ChainError> {
    u64::try_from(id).map_err(|_| ChainError::BadAnswer {
        what: "input id".into(),
        found: id.to_string(),
        expected: "below 2^64".into(),
    })
}

fn decode(deployment: &Deployment, log: &Log, topic: B256) -> Result<Option<Event>, ChainError> {
    let address = log.address();
    Ok(Some(if address == deployment.inbox {
        match topic {
            inbox::InputSubmitted::SIGNATURE_HASH => {
                let e: inbox::InputSubmitted = parse(log)?;
                Event::InputSubmitted {
                    id: input_id(e.inputId)?,
                    sender: e.sender,
                    model: e.modelId,
                    recipient: e.recipient,
                    params: e.params,
                    payload_root: e.payloadRoot,
                    payload: e.payload,
                }
            }
            inbox::InputSealed::SIGNATURE_HASH => {
                let e: inbox::InputSealed = parse(log)?;
                Event::InputSealed {
                    id: input_id(e.inputId)?,
                    epoch: e.epoch,
                    model: e.modelId,
                    lane_index: e.laneIndex,
                    seed: e.seed,
                    accumulator: e.accumulator,
                }
            }
            inbox::InputRearmed::SIGNATURE_HASH => {
                let e: inbox::InputRearmed = parse(log)?;
                Event::InputRearmed {
                    id: input_id(e.inputId)?,
                    armed_block: e.submittedBlock,
                }
            }
            _ => return Ok(None),
        }
    } else if address == deployment.claims {
        match topic {
            claims::Claimed::SIGNATURE_HASH => {
                let e: claims::Claimed = parse(log)?;
                Event::Claimed {
                    claim: e.claimId,
                    epoch: e.epoch,
                    model: e.modelId,
                    proposer: e.proposer,
                    root: e.root,
                    accumulator: e.accumulator,
                    window_end: e.windowEnd,
                    bond_wei: e.bondWei,
                    digests: e.digests,
                }
            }
            claims::Finalised::SIGNATURE_HASH => Event::Finalised {
                claim: parse::<claims::Finalised>(log)?.claimId,
            },
            claims::Fell::SIGNATURE_HASH => Event::Fell {
                claim: parse::<claims::Fell>(log)?.claimId,
            },
            claims::BondReleased::SIGNATURE_HASH => Event::BondGone {
                claim: parse::<claims::BondReleased>(log)?.claimId,
                released: true,
            },
            claims::BondBurned::SIGNATURE_HASH => Event::BondGone {
                claim: parse::<claims::BondBurned>(log)?.claimId,
                released: false,
            },
            claims::InputSettled::SIGNATURE_HASH => {
                let e: claims::InputSettled = parse(log)?;
                Event::Settled {
                    input: input_id(e.inputId)?,
                    server: e.server,
                }
            }
            claims::InputRefunded::SIGNATURE_HASH => Event::Refunded {
                input: input_id(parse::<claims::InputRefunded>(log)?.inputId)?,
            },
            _ => return Ok(None),
        }
    } else if address == deployment.disputes {
        return dispute(log, topic);
    } else if address == deployment.vouchers {
        match topic {
            vouchers::VoucherExecuted::SIGNATURE_HASH => {
                let e: vouchers::VoucherExecuted = parse(log)?;
                Event::VoucherExecuted {
                    input: input_id(e.inputId)?,
                    run: e.run,
                    chunk: e.chunk,
                    recipient: e.recipient,
                    claim: e.claimId,
                }
            }
            vouchers::VoucherFailed::SIGNATURE_HASH => {
                let e: vouchers::VoucherFailed = parse(log)?;
                Event::VoucherFailed {
                    input: input_id(e.inputId)?,
                    run: e.run,
                    chunk: e.chunk,
                    recipient: e.recipient,
                }
            }
            _ => return Ok(None),
        }
    } else if address == deployment.models && topic == models::ModelRegistered::SIGNATURE_HASH {
        let e: models::ModelRegistered = parse(log)?;
        Event::ModelRegistered {
            model: e.modelId,
            publisher: e.publisher,
            parent: e.parent,
            name: e.name,
            version: e.version,
            license: e.license,
            weights_uri: e.weightsUri,
        }
    } else {
        return Ok(None);
    }))
}

/// The events of the challenges.
fn dispute(log: &Log, topic: B256) -> Result<Option<Event>, ChainError> {
    Ok(Some(match topic {
        challenges::Opened::SIGNATURE_HASH => {
            let e: challenges::Opened = parse(log)?;
            Event::Opened {
                claim: e.claimId,
                key: e.key,
                opener: e.opener,
                record: e.record,
            }
        }
        challenges::Revealed::SIGNATURE_HASH => {
            let e: challenges::Revealed = parse(log)?;
            Event::Revealed {
                claim: e.claimId,
                key: e.key,
                revealer: e.revealer,
                record: e.record,
                contents: e.contents,
            }
        }
        challenges::Proven::SIGNATURE_HASH => {
            let e: challenges::Proven = parse(log)?;
            Event::Toppled {
                claim: e.claimId,
                key: e.key,
                sender: e.prover,
                fault: Some(e.fault),
                verdict: e.verdict,
            }
        }
        challenges::Expired::SIGNATURE_HASH => {
            let e: challenges::Expired = parse(log)?;
            Event::Toppled {
                claim: e.claimId,
                key: e.key,
                sender: e.sender,
                fault: None,
                verdict: e.verdict,
            }
        }
        challenges::Declared::SIGNATURE_HASH => {
            let e: challenges::Declared = parse(log)?;
            Event::Declared {
                declaration: e.declaration,
                sender: e.sender,
            }
        }
        challenges::Redeemed::SIGNATURE_HASH => {
            let e: challenges::Redeemed = parse(log)?;
            Event::Redeemed {
                claim: e.claimId,
                verdict: e.verdict,
            }
        }
        challenges::Rewarded::SIGNATURE_HASH => {
            let e: challenges::Rewarded = parse(log)?;
            Event::Rewarded {
                claim: e.claimId,
                account: e.account,
                amount_wei: e.amountWei,
            }
        }
        challenges::Settled::SIGNATURE_HASH => {
            let e: challenges::Settled = parse(log)?;
            Event::FallSettled {
                claim: e.claimId,
                refunded_wei: e.refundedWei,
                rewarded_wei: e.rewardedWei,
                burned_wei: e.burnedWei,
            }
        }
        challenges::Reclaimed::SIGNATURE_HASH => {
            let e: challenges::Reclaimed = parse(log)?;
            Event::Reclaimed {
                claim: e.claimId,
                key: e.key,
                opener: e.opener,
                to_opener_wei: e.toOpenerWei,
                to_proposer_wei: e.toProposerWei,
            }
        }
        _ => return Ok(None),
    }))
}
