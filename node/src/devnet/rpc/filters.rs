//! Logs by question, and filters that are polled.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::B256;
use alloy::rpc::types::{Filter, FilterBlockOption, Log};
use serde_json::json;

use super::error::RpcError;
use super::params::{Params, Quantity};
use super::{Reply, quantity, to_value};
use crate::devnet::chain::{Chain, Event};
use crate::devnet::node::Node;

/// Filters that nobody polls go away, as in go-ethereum.
const LIFETIME: Duration = Duration::from_secs(300);
const MAX_FILTERS: usize = 1_000;
/// A pending-transaction filter keeps at most this many unread hashes.
const MAX_UNREAD: usize = 10_000;
const FILTER: &str = "a filter object";
const ID: &str = "a filter id";

/// All filters that are polled.
#[derive(Default)]
pub(in crate::devnet) struct Filters {
    last_id: u64,
    active: HashMap<u64, Active>,
}

struct Active {
    kind: Kind,
    polled: Instant,
}

enum Kind {
    /// `next` is the first block whose logs were not delivered yet.
    Logs {
        filter: Box<Filter>,
        next: u64,
    },
    Blocks {
        next: u64,
    },
    Pending {
        unread: Vec<B256>,
    },
}

impl Filters {
    /// Notes an event of the chain.
    pub(in crate::devnet) fn observe(&mut self, event: &Event) {
        for active in self.active.values_mut() {
            match (event, &mut active.kind) {
                (Event::Waiting(hash), Kind::Pending { unread }) if unread.len() < MAX_UNREAD => {
                    unread.push(*hash);
                }
                (Event::Reverted(removed), Kind::Logs { next, .. } | Kind::Blocks { next }) => {
                    // What comes in place of the removed blocks is new to the poller.
                    if let Some(first) = removed.first() {
                        *next = (*next).min(first.number());
                    }
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, kind: Kind) -> Reply {
        let now = Instant::now();
        self.active
            .retain(|_, active| now.duration_since(active.polled) < LIFETIME);
        if self.active.len() >= MAX_FILTERS {
            return Err(RpcError::refused(format!(
                "too many filters: {MAX_FILTERS} are installed; uninstall some"
            )));
        }
        self.last_id += 1;
        self.active
            .insert(self.last_id, Active { kind, polled: now });
        quantity(self.last_id)
    }
}

/// Block range of a filter, bounds included; `None` where it cannot match anything mined.
fn range(chain: &Chain, filter: &Filter) -> Result<Option<(u64, u64)>, RpcError> {
    let head = chain.head().number();
    match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => match chain.block_by_hash(&hash) {
            Some(block) => Ok(Some((block.number(), block.number()))),
            None => Err(RpcError::refused(format!("unknown block {hash}"))),
        },
        FilterBlockOption::Range {
            from_block,
            to_block,
        } => {
            let number = |tag: Option<BlockNumberOrTag>| {
                chain
                    .number(tag.unwrap_or(BlockNumberOrTag::Latest))
                    .unwrap_or(head)
            };
            let (from, to) = (number(from_block), number(to_block));
            if from > to && to_block.is_some() {
                return Err(RpcError::refused(format!(
                    "invalid block range params: from {from} to {to}"
                )));
            }
            Ok((from <= head).then_some((from, to)))
        }
    }
}

fn matching(chain: &Chain, filter: &Filter) -> Result<Vec<Log>, RpcError> {
    Ok(match range(chain, filter)? {
        Some((from, to)) => chain.logs(filter, from, to),
        None => Vec::new(),
    })
}

pub(super) fn logs(node: &Node, p: &mut Params<'_>) -> Reply {
    let filter: Filter = p.required(0, FILTER)?;
    to_value(node.read(|chain, _| matching(chain, &filter))?)
}

pub(super) fn new_logs(node: &Node, p: &mut Params<'_>) -> Reply {
    let filter: Filter = p.optional(0, FILTER)?.unwrap_or_default();
    node.read(|chain, _| {
        // A filter that names an earlier block delivers from there at its first poll.
        let coming = chain.head().number() + 1;
        let next = match filter.block_option {
            FilterBlockOption::Range {
                from_block: Some(from @ (BlockNumberOrTag::Number(_) | BlockNumberOrTag::Earliest)),
                ..
            } => chain.number(from).unwrap_or(coming),
            _ => coming,
        };
        node.filters().add(Kind::Logs {
            filter: Box::new(filter),
            next,
        })
    })
}

pub(super) fn new_blocks(node: &Node) -> Reply {
    node.read(|chain, _| {
        node.filters().add(Kind::Blocks {
            next: chain.head().number() + 1,
        })
    })
}

pub(super) fn new_pending(node: &Node) -> Reply {
    node.filters().add(Kind::Pending { unread: Vec::new() })
}

fn unknown(id: u64) -> RpcError {
    RpcError::refused(format!("filter not found: {id:#x}"))
}

pub(super) fn changes(node: &Node, p: &mut Params<'_>) -> Reply {
    let Quantity(id) = p.required(0, ID)?;
    node.read(|chain, _| {
        let mut filters = node.filters();
        let active = filters.active.get_mut(&id).ok_or_else(|| unknown(id))?;
        active.polled = Instant::now();
        let head = chain.head().number();
        match &mut active.kind {
            Kind::Logs { filter, next } => {
                let to = match filter.block_option {
                    FilterBlockOption::Range {
                        to_block: Some(to), ..
                    } => chain.number(to).unwrap_or(head),
                    _ => head,
                };
                let logs = chain.logs(filter, *next, to.min(head));
                *next = (*next).max(head + 1);
                to_value(logs)
            }
            Kind::Blocks { next } => {
                let hashes: Vec<B256> = (*next..=head)
                    .filter_map(|number| chain.block(number).map(|block| block.hash()))
                    .collect();
                *next = head + 1;
                to_value(hashes)
            }
            Kind::Pending { unread } => to_value(std::mem::take(unread)),
        }
    })
}

pub(super) fn all(node: &Node, p: &mut Params<'_>) -> Reply {
    let Quantity(id) = p.required(0, ID)?;
    node.read(|chain, _| {
        let mut filters = node.filters();
        let active = filters.active.get_mut(&id).ok_or_else(|| unknown(id))?;
        active.polled = Instant::now();
        match &active.kind {
            Kind::Logs { filter, .. } => to_value(matching(chain, filter)?),
            _ => Err(RpcError::refused(format!(
                "filter {id:#x} is not a log filter"
            ))),
        }
    })
}

pub(super) fn uninstall(node: &Node, p: &mut Params<'_>) -> Reply {
    let Quantity(id) = p.required(0, ID)?;
    Ok(json!(node.filters().active.remove(&id).is_some()))
}
