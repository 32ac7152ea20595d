//! Accounts and contracts at any kept block; calls and estimates on them.

use alloy::consensus::EMPTY_ROOT_HASH;
use alloy::eips::BlockId;
use alloy::primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy::rpc::types::state::StateOverride;
use alloy::rpc::types::{
    BlockOverrides, EIP1186AccountProofResponse, EIP1186StorageProof, TransactionRequest,
};
use alloy::serde::JsonStorageKey;

use super::blocks::BLOCK;
use super::error::RpcError;
use super::params::Params;
use super::{Reply, quantity, to_value};
use crate::devnet::call::Overrides;
use crate::devnet::chain::View;
use crate::devnet::node::Node;

const ADDRESS: &str = "a 20-byte address";
const REQUEST: &str = "a transaction object";

fn view(node: &Node, p: &mut Params<'_>, index: usize) -> Result<View, RpcError> {
    let id = p.optional(index, BLOCK)?.unwrap_or(BlockId::latest());
    Ok(node.read(|chain, now| chain.view(id, now))?)
}

pub(super) fn balance(node: &Node, p: &mut Params<'_>) -> Reply {
    let address: Address = p.required(0, ADDRESS)?;
    quantity(view(node, p, 1)?.world.balance(address))
}

pub(super) fn code(node: &Node, p: &mut Params<'_>) -> Reply {
    let address: Address = p.required(0, ADDRESS)?;
    to_value(view(node, p, 1)?.world.code(address))
}

pub(super) fn storage(node: &Node, p: &mut Params<'_>) -> Reply {
    let address: Address = p.required(0, ADDRESS)?;
    let slot: U256 = p.required(1, "a storage slot of up to 32 bytes")?;
    to_value(B256::from(view(node, p, 2)?.world.slot(address, slot)))
}

pub(super) fn nonce(node: &Node, p: &mut Params<'_>) -> Reply {
    let address: Address = p.required(0, ADDRESS)?;
    let id = p.optional(1, BLOCK)?.unwrap_or(BlockId::latest());
    if id.is_pending() {
        // Waiting transactions count even where the next block would have no room for them.
        return quantity(node.read(|chain, _| chain.pending_nonce(address)));
    }
    quantity(
        node.read(|chain, now| chain.view(id, now))?
            .world
            .nonce(address),
    )
}

pub(super) fn proof(node: &Node, p: &mut Params<'_>) -> Reply {
    let address: Address = p.required(0, ADDRESS)?;
    let keys: Vec<JsonStorageKey> = p.required(1, "a list of storage slots")?;
    if keys.len() > 1_024 {
        let found = keys.len();
        return Err(RpcError::params(format!(
            "slots: expected at most 1024, found {found}"
        )));
    }
    let world = view(node, p, 2)?.world;
    let account = world.account(address);
    let bytes = |nodes: Vec<Vec<u8>>| nodes.into_iter().map(Bytes::from).collect();
    let storage_proof = keys
        .into_iter()
        .map(|key| EIP1186StorageProof {
            key,
            value: world.slot(address, key.as_b256().into()),
            proof: account.map_or_else(Vec::new, |a| {
                bytes(a.storage.proof(&keccak256(key.as_b256())))
            }),
        })
        .collect();
    to_value(EIP1186AccountProofResponse {
        address,
        balance: world.balance(address),
        code_hash: account.map_or(KECCAK256_EMPTY, |a| a.code_hash),
        nonce: world.nonce(address),
        storage_hash: account.map_or(EMPTY_ROOT_HASH, |a| a.storage.root()),
        account_proof: bytes(world.account_proof(address)),
        storage_proof,
    })
}

/// Parameters of a call: request, block, state overrides, block overrides.
fn call_params(
    node: &Node,
    p: &mut Params<'_>,
    default: BlockId,
) -> Result<(TransactionRequest, View, Overrides), RpcError> {
    let request: TransactionRequest = p.required(0, REQUEST)?;
    let id = p.optional(1, BLOCK)?.unwrap_or(default);
    let state: StateOverride = p
        .optional(2, "state overrides by address")?
        .unwrap_or_default();
    let block: BlockOverrides = p.optional(3, "block overrides")?.unwrap_or_default();
    let view = node.read(|chain, now| chain.view(id, now))?;
    Ok((request, view, Overrides { state, block }))
}

pub(super) fn call(node: &Node, p: &mut Params<'_>) -> Reply {
    let (request, view, overrides) = call_params(node, p, BlockId::latest())?;
    to_value(node.read(|chain, _| chain.call(view, &request, overrides))?)
}

/// Estimates are about the next block, so its time and number apply unless told otherwise.
pub(super) fn estimate_gas(node: &Node, p: &mut Params<'_>) -> Reply {
    let (request, view, overrides) = call_params(node, p, BlockId::pending())?;
    quantity(node.read(|chain, _| chain.estimate_gas(view, &request, overrides))?)
}
