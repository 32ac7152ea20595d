//! `sworn demo --lie`: a proposer lies, a challenger catches it, move by move.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use serde_json::{Value, json};
use sworn_node::api::{fault_name, position_name};
use sworn_node::chain::{Event, Located};
use sworn_node::roles::{RoleName, RoleSettings, Sabotage, lie_names};
use sworn_node::{Node, NodeHandle, NodeSettings};

use super::super::ask::DEFAULT_TEMPERATURE_MILLI;
use super::super::asking;
use super::super::failure::{Failure, Kind};
use super::super::output::{Out, ether};
use super::super::sampling::RunParams;
use super::super::session::{Session, chain};
use super::super::{Context, node, wallet};
use super::DemoArgs;
use super::start::{self, Demo};

/// The development account of the liar.
const LIAR_ACCOUNT: u32 = 2;
/// Between two looks at the chain.
const LOOK: Duration = Duration::from_millis(100);
/// After all is decided, so long for what is left of prepayments to come back.
const COLLECTING: Duration = Duration::from_secs(15);

/// Reads a lie; what is no lie about a claim has no ending to show.
pub(super) fn parse(text: &str) -> Result<Sabotage, String> {
    let sabotage: Sabotage = text.parse()?;
    if sabotage.lies_in_claims() {
        return Ok(sabotage);
    }
    Err(format!(
        "found `{text}`, expected a lie about a claim: silent, duplicates:N, or one of {}",
        lie_names().join(", ")
    ))
}

/// What was seen so far.
struct Trial {
    out: Out,
    started: Instant,
    /// Who is who.
    names: BTreeMap<Address, &'static str>,
    next_block: u64,
    positions: BTreeMap<B256, String>,
    moves: Vec<Value>,
    gas: u64,
    /// Claims by id: proposer and root.
    claims: BTreeMap<B256, (Address, B256)>,
    fallen: Vec<B256>,
    settled: Vec<B256>,
    last: Option<B256>,
}

impl Trial {
    fn name(&self, account: &Address) -> String {
        self.names
            .get(account)
            .map_or_else(|| account.to_string(), |name| (*name).to_owned())
    }

    /// Says what an event was and returns its row; none for those that are not about the dispute.
    fn tell(&mut self, located: &Located) -> Option<(String, String)> {
        Some(match &located.event {
            Event::InputSealed { id, epoch, .. } => (
                "chain".into(),
                format!("sealed prompt {id} in epoch {epoch}"),
            ),
            Event::Claimed {
                claim,
                proposer,
                root,
                bond_wei,
                ..
            } => {
                self.claims.insert(*claim, (*proposer, *root));
                (
                    self.name(proposer),
                    format!(
                        "claims root {} under {} ETH",
                        digits(root),
                        ether(*bond_wei)
                    ),
                )
            }
            Event::Opened {
                key,
                opener,
                record,
                ..
            } => {
                let (_, name) = position_name(B256::from(record.position));
                self.positions.insert(*key, name.clone());
                (self.name(opener), format!("opens {name}"))
            }
            Event::Revealed {
                key,
                revealer,
                contents,
                ..
            } => {
                let name = self.positions.get(key).cloned().unwrap_or_default();
                (
                    self.name(revealer),
                    format!("reveals {name} ({} bytes)", contents.len()),
                )
            }
            Event::Toppled {
                claim,
                key,
                sender,
                fault,
                ..
            } => {
                let place = self.positions.get(key).cloned().unwrap_or_default();
                let how = match fault {
                    Some(code) => format!("proves fault {code} ({})", fault_name(*code)),
                    None => "shows that nothing was revealed in time".to_owned(),
                };
                let of = self
                    .claims
                    .get(claim)
                    .map(|(proposer, _)| self.name(proposer));
                (
                    self.name(sender),
                    format!(
                        "{how} at {place}: the {}'s claim falls",
                        of.unwrap_or_default()
                    ),
                )
            }
            Event::Fell { claim } => {
                self.fallen.push(*claim);
                return None;
            }
            Event::Rewarded {
                account,
                amount_wei,
                ..
            } => (
                self.name(account),
                format!("is rewarded with {} ETH", ether(*amount_wei)),
            ),
            Event::FallSettled {
                claim,
                refunded_wei,
                rewarded_wei,
                burned_wei,
            } => {
                self.settled.push(*claim);
                (
                    "chain".into(),
                    format!(
                        "the bond is divided: {} ETH back for reveals, {} ETH rewards, {} ETH burned",
                        ether(*refunded_wei),
                        ether(*rewarded_wei),
                        ether(*burned_wei)
                    ),
                )
            }
            Event::Finalised { claim } => {
                self.last = Some(*claim);
                let of = self
                    .claims
                    .get(claim)
                    .map(|(proposer, _)| self.name(proposer));
                (
                    "chain".into(),
                    format!("the claim of the {} is final", of.unwrap_or_default()),
                )
            }
            Event::VoucherExecuted { input, run, .. } => (
                "chain".into(),
                format!("response {} of prompt {input} is delivered", run + 1),
            ),
            Event::Reclaimed {
                opener,
                to_opener_wei,
                ..
            } => (
                self.name(opener),
                format!("gets {} ETH of a prepayment back", ether(*to_opener_wei)),
            ),
            _ => return None,
        })
    }

    /// Reads and prints what is new on the chain.
    async fn look(&mut self, session: &Session) -> Result<(), Failure> {
        let client = &session.client;
        let head = client.head().await.map_err(chain)?.number;
        if head < self.next_block {
            return Ok(());
        }
        let events = client
            .events(&session.deployment, self.next_block, head)
            .await
            .map_err(chain)?;
        self.next_block = head + 1;
        let mut counted = None;
        for located in &events {
            let Some((who, what)) = self.tell(located) else {
                continue;
            };
            let tx = located.transaction;
            let receipt = client
                .request("eth_getTransactionReceipt", |p| async move {
                    p.get_transaction_receipt(tx).await
                })
                .await
                .map_err(chain)?;
            let gas = receipt.map_or(0, |receipt| receipt.gas_used);
            let seconds = self.started.elapsed().as_secs_f64();
            // Several events may be of one transaction; its gas is told once.
            let shown = if counted == Some(tx) {
                String::new()
            } else {
                self.gas += gas;
                format!(", gas {gas}")
            };
            counted = Some(tx);
            self.out.line(format!(
                "[{seconds:7.2} s] {who:>10} {what} (block {}{shown})",
                located.block
            ));
            self.moves.push(json!({
                "seconds": seconds, "who": who, "what": what, "block": located.block, "transaction": tx, "gas": gas,
            }));
        }
        Ok(())
    }
}

fn digits(word: &B256) -> String {
    word.to_string().chars().take(10).collect()
}

pub(super) async fn run(
    args: &DemoArgs,
    sabotage: Sabotage,
    context: &Context,
) -> Result<(), Failure> {
    let demo = start::start(args, context).await?;
    let liar = match accomplice(&demo, sabotage, context).await {
        Ok(liar) => liar,
        Err(failure) => {
            demo.stop().await;
            return Err(failure);
        }
    };
    let result = trial(args, sabotage, context, &demo, &liar).await;
    liar.stop().await;
    demo.stop().await;
    let document = result?;
    context.out.document(&document)
}

/// A second node, which lies.
async fn accomplice(
    demo: &Demo,
    sabotage: Sabotage,
    context: &Context,
) -> Result<NodeHandle, Failure> {
    let chain_id = demo.session.client.chain_id();
    let mut settings = NodeSettings::new(
        &demo.ws_url,
        demo.session.deployment,
        demo.place.dir.join("liar"),
    );
    settings.signer = Some(wallet::dev_account(LIAR_ACCOUNT, chain_id)?);
    settings.models = vec![demo.model_dir.clone()];
    settings.api = None;
    settings.roles = [RoleName::Executor, RoleName::Proposer, RoleName::Responder].into();
    settings.client = start::patience();
    settings.serve = node::serve_options(context)?;
    settings.behaviour = RoleSettings {
        sabotage: Some(sabotage),
        ..RoleSettings::default()
    };
    Node::start(settings).await.map_err(node::failure)
}

/// What an account has, wherever it lies.
async fn wealth(session: &Session, account: Address) -> Result<U256, Failure> {
    let (client, d) = (&session.client, &session.deployment);
    let (bonds, fees) = client.withdrawable(d, account).await.map_err(chain)?;
    let challenges = client.challenge_balance(d, account).await.map_err(chain)?;
    let balance = client.balance(account).await.map_err(chain)?;
    Ok(balance + bonds + fees + challenges)
}

async fn trial(
    args: &DemoArgs,
    sabotage: Sabotage,
    context: &Context,
    demo: &Demo,
    liar: &NodeHandle,
) -> Result<Value, Failure> {
    let asker = demo.session_of(1).await?;
    let honest = demo.session.account()?;
    let liar = liar.context().client.account().unwrap_or_default();
    let parties = [
        ("honest", honest),
        ("liar", liar),
        ("asker", asker.account()?),
    ];
    let mut before = Vec::new();
    for (_, account) in parties {
        before.push(wealth(&demo.session, account).await?);
    }
    let mut trial = Trial {
        out: context.out,
        started: Instant::now(),
        names: parties
            .iter()
            .map(|(name, account)| (*account, *name))
            .collect(),
        next_block: demo.session.deployment.block,
        positions: BTreeMap::new(),
        moves: Vec::new(),
        gas: 0,
        claims: BTreeMap::new(),
        fallen: Vec::new(),
        settled: Vec::new(),
        last: None,
    };
    context.out.line(format!(
        "the liar tells: {sabotage}\nhonest {honest}\nliar   {liar}\n"
    ));
    let params = RunParams {
        n_runs: 2,
        max_new_tokens: args.max_new,
        max_total_tokens: 0,
        temperature_milli: DEFAULT_TEMPERATURE_MILLI,
        top_k: 0,
        top_p_ppm: sworn_prover::constants::PPM,
        min_p_ppm: 0,
    };
    asking::check_length(&context.config, demo.model, args.prompt.as_bytes())?;
    let asked = asking::submit(&asker, demo.model, args.prompt.as_bytes(), &params).await?;
    context.out.line(format!(
        "[{:7.2} s] {:>10} asks prompt {}: {:?} ({})",
        trial.started.elapsed().as_secs_f64(),
        "asker",
        asked.id,
        args.prompt,
        asked.mined
    ));
    let outcome = watch(&mut trial, context, &demo.session, liar).await;
    let took = trial.started.elapsed().as_secs_f64();
    outcome?;
    collect(&mut trial, &demo.session).await?;

    let mut money = Vec::new();
    for ((name, account), before) in parties.iter().zip(before) {
        let after = wealth(&demo.session, *account).await?;
        let (sign, change) = if after >= before {
            ("+", after - before)
        } else {
            ("-", before - after)
        };
        money.push([
            (*name).to_owned(),
            account.to_string(),
            format!("{sign}{}", ether(change)),
        ]);
    }
    context.out.line("");
    context.out.table(["who", "account", "ETH"], money.clone());
    context.out.line(format!(
        "\ncaught: the lie fell and the truth is final after {took:.1} s; {} gas of disputes, claims and deliveries",
        trial.gas
    ));
    Ok(json!({
        "caught": true,
        "lie": sabotage.to_string(),
        "seconds": took,
        "gas": trial.gas,
        "fallen": trial.fallen,
        "final": trial.last,
        "moves": trial.moves,
        "money": money.iter().map(|row| json!({ "who": row[0], "account": row[1], "eth": row[2] })).collect::<Vec<_>>(),
    }))
}

/// Follows the trial until every lie fell and is settled and the truth is final.
async fn watch(
    trial: &mut Trial,
    context: &Context,
    session: &Session,
    liar: Address,
) -> Result<(), Failure> {
    let patience = Duration::from_secs(context.config.timeout_seconds);
    loop {
        trial.look(session).await?;
        let lies: Vec<B256> = trial
            .claims
            .iter()
            .filter(|(_, (proposer, _))| *proposer == liar)
            .map(|(id, _)| *id)
            .collect();
        if let Some(last) = trial.last {
            if lies.contains(&last) {
                return Err(Failure::new(
                    Kind::Other,
                    "the liar's claim became final: the lie was not caught",
                ));
            }
            if lies.is_empty() {
                return Err(Failure::new(
                    Kind::Input,
                    "found no claim of the liar: these answers have no place for this lie; try another one, another --prompt or a larger --max-new",
                ));
            }
            if lies.iter().all(|lie| trial.settled.contains(lie)) {
                return Ok(());
            }
            // A lie that nobody had to topple: the final claim already burned its bond's chance.
            if trial.started.elapsed() > patience {
                return Err(Failure::new(
                    Kind::Timeout,
                    "the truth is final, but a lie was not toppled in time; give --timeout SECONDS",
                ));
            }
        }
        if trial.started.elapsed() > patience {
            return Err(Failure::new(
                Kind::Timeout,
                format!(
                    "found {} of {} lies fallen, expected all; give --timeout SECONDS",
                    trial.fallen.len(),
                    lies.len()
                ),
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Lets what is left of prepayments come back, so that the money can be counted.
async fn collect(trial: &mut Trial, session: &Session) -> Result<(), Failure> {
    let deadline = Instant::now() + COLLECTING;
    let mut quiet = Instant::now();
    while Instant::now() < deadline && quiet.elapsed() < Duration::from_secs(4) {
        let seen = trial.moves.len();
        trial.look(session).await?;
        if trial.moves.len() > seen {
            quiet = Instant::now();
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
