//! Sending transactions, and what waits.

use alloy::consensus::transaction::{Recovered, SignerRecoverable};
use alloy::consensus::{SignableTransaction, Transaction, TxEnvelope, TypedTransaction};
use alloy::eips::{BlockId, Decodable2718, Encodable2718};
use alloy::primitives::{Address, Bytes, Signature, U256};
use alloy::rpc::types::TransactionRequest;
use alloy::signers::SignerSync;
use serde_json::{Map, Value, json};

use super::error::RpcError;
use super::params::Params;
use super::{Reply, to_value};
use crate::devnet::block::pending_rpc;
use crate::devnet::call::Overrides;
use crate::devnet::error::Refusal;
use crate::devnet::node::Node;

/// The tip that is suggested and filled in.
pub(super) const PRIORITY_FEE_WEI: u128 = 1_000_000_000;
const REQUEST: &str = "a transaction object";

pub(super) fn gas_price(node: &Node) -> u128 {
    u128::from(node.read(|chain, _| chain.next_base_fee())) + PRIORITY_FEE_WEI
}

pub(super) fn send_raw(node: &Node, p: &mut Params<'_>) -> Reply {
    let raw: Bytes = p.required(0, "a signed transaction in hex")?;
    let transaction = TxEnvelope::decode_2718_exact(&raw)
        .map_err(|error| RpcError::params(format!("invalid transaction: {error}")))?;
    let sender = transaction
        .recover_signer()
        .map_err(|error| Refusal::Signature(error.to_string()))?;
    let transaction = Recovered::new_unchecked(transaction, sender);
    to_value(node.write(|chain, now| chain.submit(transaction, now))?)
}

pub(super) fn send(node: &Node, p: &mut Params<'_>) -> Reply {
    let request: TransactionRequest = p.required(0, REQUEST)?;
    let sender = sender(node, &request)?;
    // Nonce, fee and gas are filled in under the same lock as the submission, so that requests
    // sent at the same time get different nonces.
    to_value(node.write(|chain, now| {
        let request = fill(chain, node.chain_id, now, request, sender)?;
        let transaction = sign(node, request, sender)?;
        Ok::<_, RpcError>(chain.submit(Recovered::new_unchecked(transaction, sender), now)?)
    })?)
}

pub(super) fn sign_only(node: &Node, p: &mut Params<'_>) -> Reply {
    let request: TransactionRequest = p.required(0, REQUEST)?;
    let sender = sender(node, &request)?;
    let request = node.read(|chain, now| fill(chain, node.chain_id, now, request, sender))?;
    let transaction = sign(node, request, sender)?;
    Ok(json!({
        "raw": Bytes::from(transaction.encoded_2718()),
        "tx": pending_rpc(&Recovered::new_unchecked(transaction, sender)),
    }))
}

fn sender(node: &Node, request: &TransactionRequest) -> Result<Address, RpcError> {
    let sender = match (request.from, node.accounts.first()) {
        (Some(sender), _) => sender,
        (None, Some(first)) => first.address,
        (None, None) => return Err(RpcError::params("from: expected an address, found none")),
    };
    if node.account(sender).is_none() && !node.read(|chain, _| chain.is_impersonated(sender)) {
        return Err(RpcError::refused(format!(
            "unknown account {sender}: expected one of eth_accounts or an impersonated address"
        )));
    }
    Ok(sender)
}

fn fill(
    chain: &crate::devnet::chain::Chain,
    chain_id: u64,
    now: u64,
    mut request: TransactionRequest,
    sender: Address,
) -> Result<TransactionRequest, RpcError> {
    if request.has_eip4844_fields() {
        return Err(Refusal::TransactionType(3).into());
    }
    request.from = Some(sender);
    request.chain_id.get_or_insert(chain_id);
    request
        .nonce
        .get_or_insert_with(|| chain.pending_nonce(sender));
    request.to.get_or_insert(alloy::primitives::TxKind::Create);
    let input = request
        .input
        .clone()
        .try_into_unique_input()
        .map_err(|error| RpcError::params(error.to_string()))?;
    request.input = input.unwrap_or_default().into();
    if request.gas.is_none() {
        // Estimated without fees: the price must not shrink the estimate's allowance.
        let question = TransactionRequest {
            gas_price: None,
            max_fee_per_gas: None,
            max_priority_fee_per_gas: None,
            ..request.clone()
        };
        let view = chain.view(BlockId::pending(), now)?;
        request.gas = Some(chain.estimate_gas(view, &question, Overrides::default())?);
    }
    if request.gas_price.is_none() {
        let tip = *request
            .max_priority_fee_per_gas
            .get_or_insert(PRIORITY_FEE_WEI.min(request.max_fee_per_gas.unwrap_or(u128::MAX)));
        let base_fee = u128::from(chain.next_base_fee());
        request
            .max_fee_per_gas
            .get_or_insert(base_fee.saturating_mul(2).saturating_add(tip));
    }
    Ok(request)
}

fn sign(node: &Node, request: TransactionRequest, sender: Address) -> Result<TxEnvelope, RpcError> {
    let transaction: TypedTransaction = request
        .build_consensus_tx()
        .map_err(|error| RpcError::params(format!("transaction object: {}", error.error)))?;
    let signature = match node.account(sender) {
        Some(account) => account
            .signer
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(|error| RpcError::internal(error.to_string()))?,
        // Impersonated: nobody has the key. The address inside keeps the hashes of equal
        // transactions of different senders apart.
        None => Signature::new(U256::from_be_slice(sender.as_slice()), U256::ONE, false),
    };
    Ok(transaction.into_signed(signature).into())
}

pub(super) fn pool_status(node: &Node) -> Reply {
    node.read(|chain, _| {
        let queued = chain
            .pool
            .iter()
            .filter(|t| t.nonce() >= chain.pending_nonce(t.signer()))
            .count();
        let pending = chain.pool.len() - queued;
        Ok(json!({ "pending": format!("{pending:#x}"), "queued": format!("{queued:#x}") }))
    })
}

pub(super) fn pool_content(node: &Node) -> Reply {
    node.read(|chain, _| {
        let mut content: [Map<String, Value>; 2] = Default::default();
        for transaction in chain.pool.iter() {
            let queued = transaction.nonce() >= chain.pending_nonce(transaction.signer());
            let by_nonce = content[usize::from(queued)]
                .entry(transaction.signer().to_string())
                .or_insert_with(|| json!({}));
            by_nonce[transaction.nonce().to_string()] = to_value(pending_rpc(transaction))?;
        }
        let [pending, queued] = content;
        Ok(json!({ "pending": pending, "queued": queued }))
    })
}
