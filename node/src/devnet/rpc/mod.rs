//! JSON-RPC: envelopes here, methods in the modules by kind.

mod blocks;
mod control;
mod error;
pub(super) mod filters;
mod params;
mod sign;
mod state;
pub(super) mod subscriptions;
mod transactions;
mod typed_data;

use serde::Serialize;
use serde_json::{Value, json};

pub use self::error::RpcError;
use self::params::Params;
use super::node::Node;

/// More requests in one batch are refused.
const MAX_BATCH: usize = 1_000;

type Reply = Result<Value, RpcError>;

/// A well-formed request.
pub(super) struct Request {
    /// `None` is a notification: nobody waits for the answer.
    pub(super) id: Option<Value>,
    pub(super) method: String,
    pub(super) params: Value,
}

/// A request body taken apart.
pub(super) enum Body {
    One(Result<Request, Value>),
    Batch(Vec<Result<Request, Value>>),
}

/// Reads a body. What is not a request becomes the error response it deserves.
pub(super) fn parse(body: &[u8]) -> Result<Body, Value> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        response(
            Value::Null,
            Err(RpcError::parse(format!("parse error: {error}"))),
        )
    })?;
    let invalid = |message: String| Err(response(Value::Null, Err(RpcError::request(message))));
    match value {
        Value::Array(items) if items.is_empty() => {
            invalid("batch: expected at least one request, found none".to_owned())
        }
        Value::Array(items) if items.len() > MAX_BATCH => invalid(format!(
            "batch: expected at most {MAX_BATCH} requests, found {}",
            items.len()
        )),
        Value::Array(items) => Ok(Body::Batch(items.into_iter().map(parse_request).collect())),
        other => Ok(Body::One(parse_request(other))),
    }
}

fn parse_request(value: Value) -> Result<Request, Value> {
    let refuse = |id: Value, message: &str| Err(response(id, Err(RpcError::request(message))));
    let Value::Object(mut fields) = value else {
        return refuse(Value::Null, "request: expected an object");
    };
    let id = fields.remove("id");
    if id
        .as_ref()
        .is_some_and(|id| id.is_object() || id.is_array() || id.is_boolean())
    {
        return refuse(Value::Null, "id: expected a string, a number or null");
    }
    match fields.remove("method") {
        Some(Value::String(method)) => {
            let params = fields.remove("params").unwrap_or(Value::Null);
            Ok(Request { id, method, params })
        }
        _ => refuse(id.unwrap_or(Value::Null), "method: expected a string"),
    }
}

/// A response object.
pub(super) fn response(id: Value, reply: Reply) -> Value {
    match reply {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    }
}

fn to_value(value: impl Serialize) -> Reply {
    serde_json::to_value(value).map_err(|error| RpcError::internal(error.to_string()))
}

/// A number as JSON-RPC writes quantities.
fn quantity(number: impl std::fmt::LowerHex) -> Reply {
    Ok(Value::String(format!("{number:#x}")))
}

/// Answers one method. Subscriptions are the connection's matter, not handled here.
pub(super) fn dispatch(node: &Node, method: &str, params: Value) -> Reply {
    let mut p = Params::new(method, params)?;
    match method {
        "eth_chainId" => quantity(node.chain_id),
        "net_version" => Ok(json!(node.chain_id.to_string())),
        "net_listening" => Ok(json!(true)),
        "net_peerCount" => quantity(0),
        "eth_syncing" => Ok(json!(false)),
        "eth_mining" => Ok(json!(true)),
        "eth_hashrate" => quantity(0),
        "eth_protocolVersion" => quantity(68),
        "web3_clientVersion" => Ok(json!(concat!(
            "sworn-devnet/v",
            env!("CARGO_PKG_VERSION"),
            "/revm-43"
        ))),
        "web3_sha3" => sign::sha3(&mut p),
        "rpc_modules" => Ok(
            json!({ "eth": "1.0", "net": "1.0", "web3": "1.0", "evm": "1.0",
            "anvil": "1.0", "hardhat": "1.0", "personal": "1.0", "txpool": "1.0" }),
        ),

        "eth_blockNumber" => quantity(node.read(|chain, _| chain.head().number())),
        "eth_getBlockByNumber" | "eth_getBlockByHash" => blocks::block(node, &mut p),
        "eth_getBlockReceipts" => blocks::receipts(node, &mut p),
        "eth_getBlockTransactionCountByNumber" | "eth_getBlockTransactionCountByHash" => {
            blocks::transaction_count(node, &mut p)
        }
        "eth_getTransactionByBlockNumberAndIndex" | "eth_getTransactionByBlockHashAndIndex" => {
            blocks::transaction_at(node, &mut p)
        }
        "eth_getUncleCountByBlockNumber" | "eth_getUncleCountByBlockHash" => quantity(0),
        "eth_getUncleByBlockNumberAndIndex" | "eth_getUncleByBlockHashAndIndex" => Ok(Value::Null),
        "eth_getTransactionByHash" => blocks::transaction(node, &mut p),
        "eth_getRawTransactionByHash" => blocks::raw_transaction(node, &mut p),
        "eth_getTransactionReceipt" => blocks::receipt(node, &mut p),
        "eth_feeHistory" => blocks::fee_history(node, &mut p),

        "eth_getBalance" => state::balance(node, &mut p),
        "eth_getCode" => state::code(node, &mut p),
        "eth_getStorageAt" => state::storage(node, &mut p),
        "eth_getTransactionCount" => state::nonce(node, &mut p),
        "eth_getProof" => state::proof(node, &mut p),
        "eth_call" => state::call(node, &mut p),
        "eth_estimateGas" => state::estimate_gas(node, &mut p),

        "eth_gasPrice" => quantity(transactions::gas_price(node)),
        "eth_maxPriorityFeePerGas" => quantity(transactions::PRIORITY_FEE_WEI),
        "eth_blobBaseFee" => quantity(1),
        "eth_sendRawTransaction" => transactions::send_raw(node, &mut p),
        "eth_sendTransaction" | "eth_sendUnsignedTransaction" => transactions::send(node, &mut p),
        "eth_signTransaction" => transactions::sign_only(node, &mut p),
        "txpool_status" => transactions::pool_status(node),
        "txpool_content" => transactions::pool_content(node),

        "eth_accounts" | "eth_requestAccounts" => to_value(
            node.accounts
                .iter()
                .map(|account| account.address)
                .collect::<Vec<_>>(),
        ),
        "personal_sign" => sign::personal(node, &mut p),
        "eth_sign" => sign::eth(node, &mut p),
        "eth_signTypedData_v4" | "eth_signTypedData" => sign::typed_data(node, &mut p),

        "eth_getLogs" => filters::logs(node, &mut p),
        "eth_newFilter" => filters::new_logs(node, &mut p),
        "eth_newBlockFilter" => filters::new_blocks(node),
        "eth_newPendingTransactionFilter" => filters::new_pending(node),
        "eth_getFilterChanges" => filters::changes(node, &mut p),
        "eth_getFilterLogs" => filters::all(node, &mut p),
        "eth_uninstallFilter" => filters::uninstall(node, &mut p),
        "eth_subscribe" | "eth_unsubscribe" => Err(RpcError {
            code: -32601,
            message: format!(
                "{method} needs a WebSocket connection: use the ws:// address of this node"
            ),
            data: None,
        }),

        _ => match method.split_once('_') {
            Some(("evm" | "anvil" | "hardhat", name)) => {
                control::dispatch(node, method, name, &mut p)
            }
            _ => Err(RpcError::method(method)),
        },
    }
}
