//! Blocks, transactions, receipts and fees as they were.

use std::sync::Arc;

use alloy::consensus::Transaction;
use alloy::eips::{BlockId, BlockNumberOrTag, Encodable2718};
use alloy::primitives::{B256, Bytes};
use alloy::rpc::types::FeeHistory;
use serde_json::Value;

use super::error::RpcError;
use super::params::{Params, Quantity};
use super::{Reply, quantity, to_value};
use crate::devnet::block::{Block, pending_rpc};
use crate::devnet::node::Node;

pub(super) const BLOCK: &str = "a block number, tag or hash";
const HASH: &str = "a 32-byte transaction hash";
const INDEX: &str = "an index";
/// A longer fee history is cut to this, as in go-ethereum.
const MAX_FEE_HISTORY: u64 = 1_024;

fn find(node: &Node, p: &mut Params<'_>) -> Result<Option<Arc<Block>>, RpcError> {
    let id: BlockId = p.required(0, BLOCK)?;
    Ok(node.read(|chain, now| chain.find_block(id, now))?)
}

pub(super) fn block(node: &Node, p: &mut Params<'_>) -> Reply {
    let full = p
        .optional(1, "a flag: whether to list full transactions")?
        .unwrap_or(false);
    match find(node, p)? {
        Some(block) => to_value(block.to_rpc(full)),
        None => Ok(Value::Null),
    }
}

pub(super) fn receipts(node: &Node, p: &mut Params<'_>) -> Reply {
    match find(node, p)? {
        Some(block) => to_value(
            (0..block.receipts.len())
                .map(|i| block.receipt(i))
                .collect::<Vec<_>>(),
        ),
        None => Ok(Value::Null),
    }
}

pub(super) fn transaction_count(node: &Node, p: &mut Params<'_>) -> Reply {
    match find(node, p)? {
        Some(block) => quantity(block.transactions.len()),
        None => Ok(Value::Null),
    }
}

pub(super) fn transaction_at(node: &Node, p: &mut Params<'_>) -> Reply {
    let Quantity(index) = p.required(1, INDEX)?;
    let block = find(node, p)?;
    to_value(block.and_then(|block| block.transaction(usize::try_from(index).ok()?)))
}

pub(super) fn transaction(node: &Node, p: &mut Params<'_>) -> Reply {
    let hash: B256 = p.required(0, HASH)?;
    to_value(node.read(|chain, _| match chain.mined(&hash) {
        Some((block, index)) => block.transaction(index),
        None => chain.pool.find(&hash).map(pending_rpc),
    }))
}

pub(super) fn raw_transaction(node: &Node, p: &mut Params<'_>) -> Reply {
    let hash: B256 = p.required(0, HASH)?;
    let raw: Option<Bytes> = node.read(|chain, _| {
        let transaction = match chain.mined(&hash) {
            Some((block, index)) => block.transactions.get(index),
            None => chain.pool.find(&hash),
        };
        transaction.map(|transaction| transaction.encoded_2718().into())
    });
    to_value(raw)
}

pub(super) fn receipt(node: &Node, p: &mut Params<'_>) -> Reply {
    let hash: B256 = p.required(0, HASH)?;
    to_value(node.read(|chain, _| {
        let (block, index) = chain.mined(&hash)?;
        block.receipt(index)
    }))
}

pub(super) fn fee_history(node: &Node, p: &mut Params<'_>) -> Reply {
    let Quantity(count) = p.required(0, "a number of blocks")?;
    let newest: BlockNumberOrTag = p.required(1, "a block number or tag")?;
    let percentiles: Option<Vec<f64>> = p.optional(2, "a list of percentiles")?;
    let percentiles_ok = percentiles.as_ref().is_none_or(|list| {
        list.len() <= 100
            && list.iter().all(|p| (0.0..=100.0).contains(p))
            && list.windows(2).all(|pair| pair[0] <= pair[1])
    });
    if !percentiles_ok {
        return Err(RpcError::params(
            "percentiles: expected at most 100 rising values from 0 to 100",
        ));
    }
    let history = node.read(|chain, _| {
        let head = chain.head().number();
        // The pending block has no history yet: it is what the last base fee is about.
        let newest = chain.number(newest).unwrap_or(head);
        if newest > head {
            return Err(RpcError::refused(format!(
                "request beyond head block: requested {newest}, head {head}"
            )));
        }
        let count = count.min(MAX_FEE_HISTORY).min(newest + 1);
        let blocks: Vec<&Arc<Block>> = (newest + 1 - count..=newest)
            .filter_map(|number| chain.block(number))
            .collect();
        let base_fee =
            |block: &Block| u128::from(block.header.base_fee_per_gas.unwrap_or_default());
        let next = chain.block(newest + 1).map_or_else(
            || u128::from(chain.next_base_fee()),
            |block| base_fee(block),
        );
        let mut history = FeeHistory {
            oldest_block: newest + 1 - count,
            ..Default::default()
        };
        if count == 0 {
            history.oldest_block = 0;
            return Ok(history);
        }
        history.base_fee_per_gas = blocks.iter().map(|b| base_fee(b)).chain([next]).collect();
        history.gas_used_ratio = blocks
            .iter()
            .map(|b| b.header.gas_used as f64 / b.header.gas_limit as f64)
            .collect();
        history.base_fee_per_blob_gas = vec![1; blocks.len() + 1];
        history.blob_gas_used_ratio = vec![0.0; blocks.len()];
        history.reward = percentiles.map(|percentiles| {
            blocks
                .iter()
                .map(|block| rewards(block, &percentiles))
                .collect()
        });
        Ok(history)
    })?;
    to_value(history)
}

/// Tips of a block at gas-weighted percentiles.
fn rewards(block: &Block, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let mut tips: Vec<(u128, u64)> = block
        .transactions
        .iter()
        .zip(&block.receipts)
        .map(|(t, r)| {
            (
                t.effective_tip_per_gas(base_fee).unwrap_or_default(),
                r.gas_used,
            )
        })
        .collect();
    tips.sort_unstable();
    percentiles
        .iter()
        .map(|percentile| {
            let threshold = (block.header.gas_used as f64 * percentile / 100.0) as u64;
            let mut seen = 0;
            tips.iter()
                .find(|(_, gas)| {
                    seen += gas;
                    seen >= threshold
                })
                .or(tips.last())
                .map_or(0, |(tip, _)| *tip)
        })
        .collect()
}
