//! `eth_subscribe` on one WebSocket connection.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy::rpc::types::Filter;
use serde::Serialize;
use serde_json::{Value, json};

use super::Reply;
use super::error::RpcError;
use super::params::Params;
use crate::devnet::block::pending_rpc;
use crate::devnet::chain::Event;
use crate::devnet::node::{Node, Notice};

/// Subscriptions of one connection; more are refused.
const MAX_SUBSCRIPTIONS: usize = 1_000;

/// Ids are unique in the process, so that a client's mix-up of connections shows.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The subscriptions of one connection.
#[derive(Default)]
pub(in crate::devnet) struct Subscriptions {
    active: BTreeMap<String, Subscription>,
}

struct Subscription {
    kind: Kind,
    /// Events up to this number came before the subscription.
    since: u64,
}

enum Kind {
    Heads,
    Logs(Box<Filter>),
    Pending {
        full: bool,
    },
    /// Accepted and silent: this node never syncs.
    Syncing,
}

impl Subscriptions {
    /// Answers `eth_subscribe` and `eth_unsubscribe`; `None` for other methods.
    pub(in crate::devnet) fn dispatch(
        &mut self,
        node: &Node,
        method: &str,
        params: &Value,
    ) -> Option<Reply> {
        match method {
            "eth_subscribe" => Some(self.subscribe(node, params)),
            "eth_unsubscribe" => Some(self.unsubscribe(params)),
            _ => None,
        }
    }

    fn subscribe(&mut self, node: &Node, params: &Value) -> Reply {
        let mut p = Params::new("eth_subscribe", params.clone())?;
        let name: String = p.required(0, "newHeads, logs or newPendingTransactions")?;
        let kind = match name.as_str() {
            "newHeads" => Kind::Heads,
            "logs" => Kind::Logs(Box::new(
                p.optional(1, "a filter object")?.unwrap_or_default(),
            )),
            "newPendingTransactions" => {
                let full = p.optional(1, "a flag: whether to send full transactions")?;
                Kind::Pending {
                    full: full.unwrap_or(false),
                }
            }
            "syncing" => Kind::Syncing,
            other => {
                return Err(RpcError::params(format!(
                    "subscription: expected newHeads, logs or newPendingTransactions, found {other:?}"
                )));
            }
        };
        if self.active.len() >= MAX_SUBSCRIPTIONS {
            return Err(RpcError::refused(format!(
                "too many subscriptions: {MAX_SUBSCRIPTIONS} on this connection"
            )));
        }
        let id = format!("{:#034x}", NEXT_ID.fetch_add(1, Ordering::Relaxed));
        self.active.insert(
            id.clone(),
            Subscription {
                kind,
                since: node.sequence(),
            },
        );
        Ok(json!(id))
    }

    fn unsubscribe(&mut self, params: &Value) -> Reply {
        let id: String =
            Params::new("eth_unsubscribe", params.clone())?.required(0, "a subscription id")?;
        Ok(json!(self.active.remove(&id).is_some()))
    }

    /// The messages a notice causes on this connection.
    pub(in crate::devnet) fn messages(&self, node: &Node, notice: &Notice) -> Vec<Value> {
        let mut messages = Vec::new();
        for (id, subscription) in &self.active {
            if notice.sequence <= subscription.since {
                continue;
            }
            let mut send =
                |result: &dyn ErasedValue| messages.push(notification(id, result.value()));
            match (&notice.event, &subscription.kind) {
                (Event::Block(block), Kind::Heads) => send(&block.header_rpc()),
                (Event::Block(block), Kind::Logs(filter)) => {
                    for log in block.logs(filter) {
                        send(&log);
                    }
                }
                (Event::Reverted(blocks), Kind::Logs(filter)) => {
                    for mut log in blocks.iter().rev().flat_map(|block| block.logs(filter)) {
                        log.removed = true;
                        send(&log);
                    }
                }
                (Event::Waiting(hash), Kind::Pending { full: false }) => send(hash),
                (Event::Waiting(hash), Kind::Pending { full: true }) => {
                    let transaction = node.read(|chain, _| match chain.mined(hash) {
                        Some((block, index)) => block.transaction(index),
                        None => chain.pool.find(hash).map(pending_rpc),
                    });
                    if let Some(transaction) = transaction {
                        send(&transaction);
                    }
                }
                _ => {}
            }
        }
        messages
    }
}

/// Anything that becomes JSON, behind one pointer type.
trait ErasedValue {
    fn value(&self) -> Value;
}

impl<T: Serialize> ErasedValue for T {
    fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

fn notification(subscription: &str, result: Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "method": "eth_subscription",
        "params": { "subscription": subscription, "result": result },
    })
}
