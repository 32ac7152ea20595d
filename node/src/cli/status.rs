//! `sworn status`: the chain, the deployment, the models and the node, at a glance.

use alloy::primitives::B256;
use serde_json::{Value, json};
use sworn_node::chain::abi::{inbox, models};

use super::Context;
use super::api;
use super::failure::Failure;
use super::output::ether;
use super::session::{Session, block_on, chain};

/// Models of a registry that are looked at.
const MAX_MODELS: u64 = 1_000;

pub(crate) const EXAMPLES: &str = "\
Examples:
  sworn status
  sworn status --json
  sworn status --rpc-url http://127.0.0.1:8545 --deployment addresses.json";

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    block_on(async {
        let session = Session::open(context).await?;
        let Session {
            client,
            deployment: d,
        } = &session;
        let head = client.head().await.map_err(chain)?;
        let epoch = client
            .view(d.inbox, inbox::currentEpochCall {})
            .await
            .map_err(chain)?;
        let rules = client.inbox_parameters(d).await.map_err(chain)?;
        let window_seconds = client.window_seconds(d).await.map_err(chain)?;
        let bond = client.bond_wei(d).await.map_err(chain)?;
        let (inputs, prompts) = (
            client.input_count(d).await.map_err(chain)?,
            client.prompt_count(d).await.map_err(chain)?,
        );
        let registered = registered(&session).await?;
        let mut account = Value::Null;
        let mut account_line = "none".to_owned();
        if let Some(address) = client.account() {
            let balance = client.balance(address).await.map_err(chain)?;
            let (bonds, fees) = client.withdrawable(d, address).await.map_err(chain)?;
            let challenges = client.challenge_balance(d, address).await.map_err(chain)?;
            account = json!({ "address": address, "balance_wei": balance.to_string(), "released_bonds_wei": bonds.to_string(), "earned_fees_wei": fees.to_string(), "challenges_wei": challenges.to_string() });
            account_line = format!(
                "{address} with {} ETH; {} ETH can be withdrawn",
                ether(balance),
                ether(bonds + fees + challenges)
            );
        }
        let node = api::status(&context.config).await;
        let cards = registered.iter().map(|(id, model)| json!({ "id": id, "name": model.card.name, "version": model.card.version, "license": model.card.license, "context": model.context, "publisher": model.publisher }));
        context.out.document(&json!({
            "chain": { "id": client.chain_id(), "rpc_url": client.shown_url(), "block": head.number, "timestamp": head.timestamp },
            "deployment": d,
            "epoch": epoch,
            "rules": { "epoch_blocks": rules.epoch_blocks, "seal_delay_blocks": rules.seal_delay_blocks, "max_payload_bytes": rules.max_payload_bytes, "window_seconds": window_seconds, "bond_wei": bond.to_string() },
            "inputs": inputs,
            "prompts": prompts,
            "models": cards.collect::<Vec<_>>(),
            "account": account,
            "node": node,
        }))?;
        let node_line = match &node {
            Some(node) => format!(
                "{} (version {})",
                context.config.api_url,
                node["version"].as_str().unwrap_or("unknown")
            ),
            None => format!("none at {}", context.config.api_url),
        };
        context.out.fields(&[
            (
                "chain",
                format!(
                    "{} at {}, block {}, time {}",
                    client.chain_id(),
                    client.shown_url(),
                    head.number,
                    head.timestamp
                ),
            ),
            (
                "epoch",
                format!(
                    "{epoch} of {} blocks; claims stand {window_seconds} s under a bond of {} ETH",
                    rules.epoch_blocks,
                    ether(bond)
                ),
            ),
            ("prompts", format!("{prompts} (inputs: {inputs})")),
            ("account", account_line),
            ("node", node_line),
        ]);
        context.out.line("");
        context.out.table(
            ["contract", "address"],
            d.contracts()
                .map(|(name, address)| [name.to_owned(), address.to_string()]),
        );
        context.out.line("");
        let rows = registered.iter().map(|(id, model)| {
            [
                id.to_string(),
                model.card.name.clone(),
                model.card.version.clone(),
                model.card.license.clone(),
                model.context.to_string(),
            ]
        });
        context
            .out
            .table(["model", "name", "version", "licence", "context"], rows);
        Ok(())
    })
}

/// The registered models in order.
pub(crate) async fn registered(session: &Session) -> Result<Vec<(B256, models::Model)>, Failure> {
    let Session {
        client,
        deployment: d,
    } = session;
    let mut found = Vec::new();
    for id in client.model_ids(d, 0, MAX_MODELS).await.map_err(chain)? {
        found.push((id, client.model(d, id).await.map_err(chain)?));
    }
    Ok(found)
}
