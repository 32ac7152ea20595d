//! Signatures of the unlocked accounts.

use alloy::primitives::{Address, B256, Bytes, eip191_hash_message, keccak256};
use alloy::signers::SignerSync;
use serde_json::Value;

use super::error::RpcError;
use super::params::Params;
use super::{Reply, to_value, typed_data};
use crate::devnet::node::Node;

const ADDRESS: &str = "a 20-byte address";
const DATA: &str = "data in hex";

pub(super) fn sha3(p: &mut Params<'_>) -> Reply {
    let data: Bytes = p.required(0, DATA)?;
    to_value(keccak256(data))
}

/// `personal_sign(data, address)`.
pub(super) fn personal(node: &Node, p: &mut Params<'_>) -> Reply {
    let data: Bytes = p.required(0, DATA)?;
    sign(node, p.required(1, ADDRESS)?, eip191_hash_message(data))
}

/// `eth_sign(address, data)`: the same signature with the parameters swapped.
pub(super) fn eth(node: &Node, p: &mut Params<'_>) -> Reply {
    let data: Bytes = p.required(1, DATA)?;
    sign(node, p.required(0, ADDRESS)?, eip191_hash_message(data))
}

/// `eth_signTypedData_v4(address, typed data)`; the data may be an object or its JSON text.
pub(super) fn typed_data(node: &Node, p: &mut Params<'_>) -> Reply {
    let data = match p.required(1, "typed data (EIP-712)")? {
        Value::String(text) => serde_json::from_str(&text)
            .map_err(|error| RpcError::params(format!("typed data: {error}")))?,
        object => object,
    };
    let hash = typed_data::signing_hash(&data)
        .map_err(|error| RpcError::params(format!("typed data: {error}")))?;
    sign(node, p.required(0, ADDRESS)?, hash)
}

fn sign(node: &Node, address: Address, hash: B256) -> Reply {
    let account = node.account(address).ok_or_else(|| {
        RpcError::refused(format!(
            "unknown account {address}: expected one of eth_accounts"
        ))
    })?;
    let signature = account
        .signer
        .sign_hash_sync(&hash)
        .map_err(|error| RpcError::internal(error.to_string()))?;
    to_value(Bytes::from(signature.as_bytes().to_vec()))
}
