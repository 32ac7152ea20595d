//! `sworn challenges`: which claims are challenged, whose clock runs, what it cost.

use std::collections::BTreeMap;

use alloy::primitives::{B256, U256};
use alloy::providers::Provider;
use clap::Args;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use sworn_node::api::{ChallengedClaim, LineView, NodeView};
use sworn_node::chain::Event;
use sworn_node::roles::{Reading, apply};
use sworn_node::store::Store;

use super::Context;
use super::failure::Failure;
use super::output::ether;
use super::session::{Session, block_on, chain};
use super::show::{PARALLEL, short};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn challenges
  sworn challenges --all
  sworn challenges 0x6f1d...e2 --json

Reads the chain; no node is asked. For each challenged claim it shows its lines: whose each is, how low it goes, whose clock runs and how long,
what is left of its prepayments and what its reveals took; the nodes that were opened in it, who revealed them, and the gas of both
transactions; and how the claim ended.")]
pub(crate) struct ChallengesArgs {
    /// Show this claim only.
    #[arg(value_name = "CLAIM")]
    claim: Option<B256>,
    /// Show claims too that nobody challenged.
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: &ChallengesArgs, context: &Context) -> Result<(), Failure> {
    block_on(async {
        let session = Session::open(context).await?;
        let head = session.client.head().await.map_err(chain)?;
        let rules = session
            .client
            .challenge_rules(&session.deployment)
            .await
            .map_err(chain)?;
        let store = read(&session, head.number).await?;
        let mut claims = ChallengedClaim::all(
            &store,
            &rules,
            head.timestamp,
            !args.all && args.claim.is_none(),
        )?;
        if let Some(id) = args.claim {
            claims.retain(|claim| claim.claim == id);
            if claims.is_empty() {
                return Err(Failure::input(format!(
                    "found no claim {id} on chain {}, expected one; see `sworn challenges --all`",
                    session.client.chain_id()
                )));
            }
        }
        let gas = gas_of(&session, &claims).await?;
        context.out.document(&json!({
            "now": head.timestamp,
            "block": head.number,
            "rules": rules,
            "claims": claims,
            "gas": gas,
        }))?;
        if claims.is_empty() {
            context.out.line("no challenges");
        }
        for claim in &claims {
            show(context, claim, &gas, head.timestamp);
        }
        Ok(())
    })
}

/// All events of the deployment in a store that is forgotten afterwards.
pub(crate) async fn read(session: &Session, head: u64) -> Result<Store, Failure> {
    let (client, d) = (&session.client, &session.deployment);
    let store = Store::scratch()?;
    let reading = Reading {
        chain_id: client.chain_id(),
        inbox: d.inbox,
        account: client.account(),
        times: Default::default(),
    };
    let step = client.options().log_range_blocks.max(1);
    let mut from = d.block;
    while from <= head {
        let to = head.min(from.saturating_add(step - 1));
        let events = client.events(d, from, to).await.map_err(chain)?;
        let mut writes = store.begin();
        for located in &events {
            if is_about_claims(&located.event) {
                apply(&mut writes, &reading, located)?;
            }
        }
        writes.commit()?;
        from = to + 1;
    }
    Ok(store)
}

fn is_about_claims(event: &Event) -> bool {
    !matches!(
        event,
        Event::ModelRegistered { .. }
            | Event::InputSubmitted { .. }
            | Event::InputSealed { .. }
            | Event::InputRearmed { .. }
            | Event::VoucherExecuted { .. }
            | Event::VoucherFailed { .. }
    )
}

/// Gas of the transactions of these claims.
pub(crate) async fn gas_of(
    session: &Session,
    claims: &[ChallengedClaim],
) -> Result<BTreeMap<B256, u64>, Failure> {
    let mut transactions: Vec<B256> = Vec::new();
    for claim in claims {
        transactions.push(claim.transaction);
        for node in &claim.nodes {
            transactions.push(node.opened_in);
            transactions.extend(node.revealed_in);
        }
        if let Some(fall) = &claim.fall {
            transactions.push(fall.transaction);
            transactions.extend(fall.settled_in);
        }
    }
    transactions.sort_unstable();
    transactions.dedup();
    futures::stream::iter(transactions.into_iter().map(|tx| async move {
        let receipt = session
            .client
            .request("eth_getTransactionReceipt", |p| async move {
                p.get_transaction_receipt(tx).await
            })
            .await
            .map_err(chain)?;
        Ok((tx, receipt.map_or(0, |receipt| receipt.gas_used)))
    }))
    .buffered(PARALLEL)
    .try_collect()
    .await
}

/// Wei written in decimal, as ETH.
pub(crate) fn eth(wei: &str) -> String {
    wei.parse::<U256>().map_or_else(|_| wei.to_owned(), ether)
}

fn show(context: &Context, claim: &ChallengedClaim, gas: &BTreeMap<B256, u64>, now: u64) {
    let out = context.out;
    let of = |tx: &B256| gas.get(tx).copied().unwrap_or_default();
    out.line(format!(
        "claim {} by {}, epoch {}: {}, bond {} ETH",
        claim.claim,
        claim.proposer,
        claim.epoch,
        claim.status.to_uppercase(),
        eth(&claim.bond_wei)
    ));
    if claim.status == "standing" {
        let until = |at: u64| match at.checked_sub(now) {
            Some(seconds) if seconds > 0 => format!("in {seconds} s"),
            _ => "now".to_owned(),
        };
        out.line(format!(
            "  {} pending; window ends {}, alive until {}, decided by {}",
            claim.pending,
            until(claim.window_end),
            until(claim.alive_until),
            until(claim.decided_by)
        ));
    }
    let mut total = of(&claim.transaction);
    for line in &claim.lines {
        out.line(format!("  {}", headline(line, claim.status == "standing")));
        let nodes: Vec<&NodeView> = (claim.nodes.iter())
            .filter(|node| node.line == line.line)
            .collect();
        out.table(
            [
                "node",
                "state",
                "revealer",
                "gas open",
                "gas reveal",
                "paid",
            ],
            nodes.iter().map(|node| row(node, &of)),
        );
        total += nodes
            .iter()
            .map(|node| of(&node.opened_in) + node.revealed_in.as_ref().map_or(0, of))
            .sum::<u64>();
    }
    if let Some(fall) = &claim.fall {
        total += of(&fall.transaction) + fall.settled_in.as_ref().map_or(0, of);
        let name = claim
            .nodes
            .iter()
            .find(|node| node.key == fall.node)
            .map_or("an unknown node", |node| &node.name);
        out.line(format!(
            "  fell by {} at {name}, shown by {} (gas {})",
            fall.name,
            fall.sender,
            of(&fall.transaction)
        ));
        match (
            &fall.refunded_wei,
            &fall.rewarded_wei,
            &fall.burned_in_all_wei,
        ) {
            (Some(refunded), Some(rewarded), Some(burned)) => out.line(format!(
                "  settled: {} ETH for reveals given back, {} ETH rewards, {} ETH burned in all",
                eth(refunded),
                eth(rewarded),
                eth(burned)
            )),
            _ => out.line("  not settled yet"),
        }
        for reward in &claim.rewards {
            out.line(format!(
                "  reward: {} ETH to {}",
                eth(&reward.amount_wei),
                reward.account
            ));
        }
    }
    out.line(format!("  gas in all: {total}\n"));
}

/// What there is to know of a line at a glance.
fn headline(line: &LineView, is_live: bool) -> String {
    let clock = match (is_live, line.state) {
        (false, _) => String::new(),
        (true, "revealed") => format!(", {} s left to the challengers", line.seconds_left),
        (true, _) => format!(", {} s left to the proposer", line.seconds_left),
    };
    let money = match line.reclaimed {
        true => "paid back".to_owned(),
        false => format!("{} ETH left", eth(&line.prepaid_wei)),
    };
    format!(
        "line {} of {}: {} at {}{clock}; {money}, {} ETH spent{}",
        line.number,
        line.owner,
        line.state,
        line.name,
        eth(&line.spent_wei),
        if line.late { ", with a deposit" } else { "" }
    )
}

fn row(node: &NodeView, gas: &impl Fn(&B256) -> u64) -> [String; 6] {
    [
        node.name.clone(),
        node.state.to_owned(),
        node.revealer
            .map_or("-".to_owned(), |revealer| short(&revealer.to_string())),
        gas(&node.opened_in).to_string(),
        node.revealed_in
            .as_ref()
            .map_or("-".to_owned(), |tx| gas(tx).to_string()),
        eth(&node.spent_wei),
    ]
}
