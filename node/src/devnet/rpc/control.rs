//! Development controls: mining, time, snapshots and edits of the state, under the names that
//! anvil, hardhat and ganache gave them.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Reply;
use super::error::RpcError;
use super::params::{Params, Quantity};
use super::{quantity, to_value};
use crate::devnet::chain::Chain;
use crate::devnet::error::Refusal;
use crate::devnet::mining::MAX_BASE_FEE_WEI;
use crate::devnet::node::Node;

/// More blocks in one request are refused: the chain is locked meanwhile.
const MAX_BLOCKS: u64 = 100_000;
const ADDRESS: &str = "a 20-byte address";
const SECONDS: &str = "a number of seconds";
const TIMESTAMP: &str = "a time stamp in seconds";

/// `evm_mine` takes a time stamp, or an object as ganache defined it.
#[derive(Deserialize)]
#[serde(untagged)]
enum MineOptions {
    Timestamp(Quantity),
    Options {
        timestamp: Option<Quantity>,
        blocks: Option<Quantity>,
    },
}

pub(super) fn dispatch(node: &Node, method: &str, name: &str, p: &mut Params<'_>) -> Reply {
    match (method, name) {
        ("evm_mine", _) => evm_mine(node, p),
        (_, "mine") => mine(node, p, method),
        (_, "snapshot") => quantity(node.write(|chain, _| chain.snapshot())),
        (_, "revert") => {
            let Quantity(id) = p.required(0, "a snapshot id")?;
            Ok(json!(node.write(|chain, _| chain.revert(id))))
        }

        (_, "increaseTime") => {
            let Quantity(seconds) = p.required(0, SECONDS)?;
            Ok(json!(
                node.write(|chain, now| chain.clock.increase(seconds, now))?
            ))
        }
        (_, "setNextBlockTimestamp") => {
            let Quantity(timestamp) = p.required(0, TIMESTAMP)?;
            node.write(|chain, _| {
                let latest = chain.head().header.timestamp;
                chain.clock.set_next(timestamp, latest)
            })?;
            Ok(Value::Null)
        }
        (_, "setTime") => {
            let Quantity(timestamp) = p.required(0, TIMESTAMP)?;
            Ok(json!(node.write(|chain, now| {
                chain.clock.set_time(timestamp, now)
            })?))
        }
        (_, "setBlockTimestampInterval") => {
            let Quantity(seconds) = p.required(0, SECONDS)?;
            node.write(|chain, _| chain.clock.set_step(Some(seconds)))?;
            Ok(Value::Null)
        }
        (_, "removeBlockTimestampInterval") => {
            node.write(|chain, _| chain.clock.set_step(None))?;
            Ok(json!(true))
        }

        (_, "setAutomine") => {
            let automine: bool =
                p.required(0, "a flag: whether to mine each transaction at once")?;
            node.write(|chain, now| {
                chain.settings.automine = automine;
                if automine {
                    chain.mine_waiting(now).map(drop)
                } else {
                    Ok(())
                }
            })?;
            Ok(json!(true))
        }
        (_, "getAutomine") => Ok(json!(node.read(|chain, _| chain.settings.automine))),
        (_, "setIntervalMining") => {
            let Quantity(seconds) = p.required(0, SECONDS)?;
            let interval = (seconds > 0).then(|| Duration::from_secs(seconds));
            // An interval takes the place of automining, as in anvil.
            if interval.is_some() {
                node.write(|chain, _| chain.settings.automine = false);
            }
            node.interval.send_replace(interval);
            Ok(json!(true))
        }
        (_, "getIntervalMining") => Ok(json!(node.interval.borrow().map(|i| i.as_secs_f64()))),

        (_, "setBalance") => {
            let (address, balance): (Address, U256) =
                (p.required(0, ADDRESS)?, p.required(1, "an amount of wei")?);
            node.write(|chain, _| chain.edit(address, |account| account.balance = balance));
            Ok(json!(true))
        }
        (_, "setCode") => {
            let (address, code): (Address, Bytes) =
                (p.required(0, ADDRESS)?, p.required(1, "code in hex")?);
            node.write(|chain, _| chain.edit(address, |account| account.set_code(code)));
            Ok(json!(true))
        }
        (_, "setNonce") => {
            let address: Address = p.required(0, ADDRESS)?;
            let Quantity(nonce) = p.required(1, "a nonce")?;
            node.write(|chain, _| {
                chain.edit(address, |account| account.nonce = nonce);
                chain.pool.forget_below(address, nonce);
            });
            Ok(json!(true))
        }
        (_, "setStorageAt") => {
            let address: Address = p.required(0, ADDRESS)?;
            let slot: U256 = p.required(1, "a storage slot")?;
            let value: B256 = p.required(2, "a 32-byte word")?;
            node.write(|chain, _| chain.edit(address, |a| a.set_slot(slot, value.into())));
            Ok(json!(true))
        }

        (_, "impersonateAccount") => {
            let address: Address = p.required(0, ADDRESS)?;
            node.write(|chain, _| chain.settings.impersonated.insert(address));
            Ok(json!(true))
        }
        (_, "stopImpersonatingAccount") => {
            let address: Address = p.required(0, ADDRESS)?;
            Ok(json!(node.write(|chain, _| {
                chain.settings.impersonated.remove(&address)
            })))
        }
        (_, "autoImpersonateAccount") => {
            let all: bool = p.required(0, "a flag: whether any address may send")?;
            node.write(|chain, _| chain.settings.impersonate_all = all);
            Ok(json!(true))
        }

        (_, "setCoinbase") => {
            let address: Address = p.required(0, ADDRESS)?;
            node.write(|chain, _| chain.settings.coinbase = address);
            Ok(json!(true))
        }
        (_, "setNextBlockBaseFeePerGas") => {
            let Quantity(fee) = p.required(0, "an amount of wei")?;
            check_limit("base fee", fee, MAX_BASE_FEE_WEI)?;
            node.write(|chain, _| chain.settings.next_base_fee = Some(fee));
            Ok(Value::Null)
        }
        (_, "setPrevRandao") => {
            let value: B256 = p.required(0, "a 32-byte word")?;
            node.write(|chain, _| chain.settings.next_prevrandao = Some(value));
            Ok(json!(true))
        }
        (_, "setBlockGasLimit") => {
            let Quantity(limit) = p.required(0, "a gas limit")?;
            if !(1_000_000..=1 << 40).contains(&limit) {
                return Err(RpcError::params(format!(
                    "gas limit: expected 1000000 to 2^40, found {limit}"
                )));
            }
            node.write(|chain, _| chain.settings.gas_limit = limit);
            Ok(json!(true))
        }

        (_, "dropTransaction") => {
            let hash: B256 = p.required(0, "a 32-byte transaction hash")?;
            let dropped = node.write(|chain, _| chain.pool.remove_hash(&hash).is_some());
            to_value(dropped.then_some(hash))
        }
        (_, "dropAllTransactions") => {
            node.write(|chain, _| chain.pool.clear());
            Ok(Value::Null)
        }
        _ => Err(RpcError::method(method)),
    }
}

fn evm_mine(node: &Node, p: &mut Params<'_>) -> Reply {
    let options: Option<MineOptions> = p.optional(0, "a time stamp or an object")?;
    let (timestamp, blocks) = match options {
        None => (None, 1),
        Some(MineOptions::Timestamp(Quantity(timestamp))) => (Some(timestamp), 1),
        Some(MineOptions::Options { timestamp, blocks }) => {
            (timestamp.map(|t| t.0), blocks.map_or(1, |b| b.0))
        }
    };
    check_limit("blocks", blocks, MAX_BLOCKS)?;
    node.write(|chain, now| {
        if let Some(timestamp) = timestamp {
            let latest = chain.head().header.timestamp;
            chain.clock.set_next(timestamp, latest)?;
        }
        (0..blocks).try_for_each(|_| chain.mine(now).map(drop))
    })?;
    Ok(json!("0x0"))
}

fn mine(node: &Node, p: &mut Params<'_>, method: &str) -> Reply {
    let count = p
        .optional(0, "a number of blocks")?
        .map_or(1, |Quantity(count)| count);
    let interval = p
        .optional(1, "seconds between the blocks")?
        .map(|Quantity(seconds)| seconds);
    check_limit("blocks", count, MAX_BLOCKS)?;
    node.write(|chain, now| mine_spaced(chain, now, count, interval))?;
    Ok(if method == "hardhat_mine" {
        json!(true)
    } else {
        Value::Null
    })
}

fn mine_spaced(
    chain: &mut Chain,
    now: u64,
    count: u64,
    interval: Option<u64>,
) -> Result<(), Refusal> {
    for i in 0..count {
        if let Some(interval) = interval.filter(|_| i > 0) {
            let latest = chain.head().header.timestamp;
            chain
                .clock
                .set_next(latest.saturating_add(interval.max(1)), latest)?;
        }
        chain.mine(now)?;
    }
    Ok(())
}

fn check_limit(what: &'static str, found: u64, limit: u64) -> Result<(), Refusal> {
    if found > limit {
        return Err(Refusal::TooLarge { what, limit, found });
    }
    Ok(())
}
