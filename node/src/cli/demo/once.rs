//! The scripted flow of `sworn demo --once`.

use std::time::{Duration, Instant};

use alloy::primitives::B256;
use alloy::providers::Provider;
use serde_json::{Value, json};
use sworn_node::export::{Format, Kind as RowKind, Options, Writer};
use tokio::sync::mpsc;

use super::super::Context;
use super::super::ask::DEFAULT_TEMPERATURE_MILLI;
use super::super::asking::{self, Asked};
use super::super::export;
use super::super::failure::{Failure, Kind};
use super::super::follow::{Answer, Step, Target, Until, follow};
use super::super::output::{Out, ether, printable, write_out};
use super::super::rank;
use super::super::sampling::RunParams;
use super::super::session::{Mined, Session, chain};
use super::DemoArgs;
use super::start::{self, Demo};

/// Responses of the scripted prompt.
const RUNS: u16 = 2;

/// Rankings of the scripted flow: development account and its places. They disagree, so the export has pairs of both directions.
const RANKINGS: [(u32, [u8; 2]); 2] = [(1, [1, 2]), (2, [2, 1])];

/// Prints and keeps steps with their times.
struct Log {
    out: Out,
    started: Instant,
    steps: Vec<Value>,
}

impl Log {
    fn step(&mut self, name: &str, text: &str, mined: Option<&Mined>, mut fields: Value) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.out.line(format!("[{seconds:7.2} s] {name}: {text}"));
        if let Some(mined) = mined {
            self.out.line(format!("            {mined}"));
            fields["mined"] = json!(mined);
        }
        fields["step"] = json!(name);
        fields["seconds"] = json!(seconds);
        self.steps.push(fields);
    }
}

pub(super) async fn run(args: &DemoArgs, context: &Context) -> Result<(), Failure> {
    let mut log = Log {
        out: context.out,
        started: Instant::now(),
        steps: Vec::new(),
    };
    let demo = start::start(args, context).await?;
    let result = flow(args, context, &demo, &mut log).await;
    demo.stop().await;
    let summary = result?;
    let document = json!({ "steps": log.steps, "summary": summary });
    context.out.document(&document)
}

async fn flow(
    args: &DemoArgs,
    context: &Context,
    demo: &Demo,
    log: &mut Log,
) -> Result<Value, Failure> {
    log.step(
        "chain",
        &format!(
            "{} (chain id {})",
            demo.rpc_url,
            demo.session.client.chain_id()
        ),
        None,
        json!({ "rpc_url": demo.rpc_url }),
    );
    let contracts = demo
        .session
        .deployment
        .contracts()
        .map(|(name, address)| format!("{name} {address}"))
        .join("\n            ");
    log.step(
        "contracts",
        &format!(
            "deployed for {} ETH\n            {contracts}",
            ether(demo.deploy_gas_wei)
        ),
        None,
        json!({ "deployment": demo.session.deployment }),
    );
    log.step(
        "model",
        &format!("{} registered as {}", demo.model_name, demo.model),
        Some(&demo.registered),
        json!({ "model": demo.model }),
    );
    log.step(
        "node",
        &format!("answers, claims and posts; API at {}", demo.api_url),
        None,
        json!({ "api_url": demo.api_url }),
    );
    let asker = demo.session_of(1).await?;
    let params = RunParams {
        n_runs: RUNS,
        max_new_tokens: args.max_new,
        max_total_tokens: 0,
        temperature_milli: DEFAULT_TEMPERATURE_MILLI,
        top_k: 0,
        top_p_ppm: sworn_prover::constants::PPM,
        min_p_ppm: 0,
    };
    asking::check_length(&context.config, demo.model, args.prompt.as_bytes())?;
    let asked = asking::submit(&asker, demo.model, args.prompt.as_bytes(), &params).await?;
    let text = format!(
        "prompt {} {:?}, {RUNS} responses at temperature 0.8, for {} ETH",
        asked.id,
        args.prompt,
        ether(asked.price_wei)
    );
    log.step(
        "asked",
        &text,
        Some(&asked.mined),
        json!({ "id": asked.id, "price_wei": asked.price_wei.to_string() }),
    );
    let watched = watch(context, demo, &asker, &asked, log).await?;
    differ(&watched.answers)?;
    for (account, places) in RANKINGS {
        let ranker = demo.session_of(account).await?;
        let address = ranker.account()?;
        let mined = rank::submit(&ranker, asked.id, places.to_vec(), false).await?;
        log.step(
            "ranked",
            &format!("{} by {address}", rank::shown(&places, false)),
            Some(&mined),
            json!({ "ranker": address, "places": places }),
        );
    }
    let summary = exported(args, &asker, log).await?;
    Ok(json!({
        "answer_readable_seconds": watched.readable_seconds,
        "posted_after_window_seconds": watched.posted_seconds,
        "responses": watched.answers,
        "export": summary,
    }))
}

/// What following the prompt told.
struct Watched {
    answers: Vec<Answer>,
    readable_seconds: f64,
    posted_seconds: f64,
}

async fn watch(
    context: &Context,
    demo: &Demo,
    asker: &Session,
    asked: &Asked,
    log: &mut Log,
) -> Result<Watched, Failure> {
    let target = Target {
        session: asker,
        api_url: &demo.api_url,
        id: asked.id,
        model: demo.model,
        n_runs: RUNS,
        from_block: asked.mined.block,
        timeout: Duration::from_secs(context.config.timeout_seconds),
    };
    let (sender, mut steps) = mpsc::unbounded_channel();
    let following = async move {
        let followed = follow(
            &target,
            Until::Posted,
            &mut |step| drop(sender.send((step, asked.sent.elapsed().as_secs_f64()))),
            &mut |_| {},
        )
        .await;
        drop(sender);
        followed
    };
    let printing = async {
        let mut watched = Watched {
            answers: Vec::new(),
            readable_seconds: 0.0,
            posted_seconds: 0.0,
        };
        while let Some((step, after)) = steps.recv().await {
            show(&step, after, asker, log, &mut watched).await?;
        }
        Ok::<Watched, Failure>(watched)
    };
    let (followed, watched) = tokio::join!(following, printing);
    followed?;
    watched
}

async fn show(
    step: &Step,
    after: f64,
    session: &Session,
    log: &mut Log,
    watched: &mut Watched,
) -> Result<(), Failure> {
    match step {
        Step::Token { .. } => {}
        Step::Sealed { epoch, tx } => log.step(
            "sealed",
            &format!("in epoch {epoch}: the seed is fixed"),
            Some(&mined(session, *tx).await?),
            json!({ "epoch": epoch }),
        ),
        Step::Answered { responses } => {
            watched.answers.clone_from(responses);
            watched.readable_seconds = after;
            log.step(
                "answered",
                &format!("answer readable after {after:.2} s (unfinal)"),
                None,
                json!({ "after_seconds": after, "responses": responses }),
            );
            for response in responses {
                log.out.line(format!(
                    "            --- response {} ({}, {} tokens)",
                    response.run + 1,
                    response.finish,
                    response.new_tokens
                ));
                log.out.line(format!(
                    "            {}",
                    printable(&response.text).replace('\n', "\n            ")
                ));
            }
        }
        Step::Trouble { message } => log.step(
            "trouble",
            &printable(message),
            None,
            json!({ "message": message }),
        ),
        Step::Claimed {
            claim,
            tx,
            window_end,
        } => {
            log.step(
                "claimed",
                &format!("{claim} under bond, window ends at {window_end}"),
                Some(&mined(session, *tx).await?),
                json!({ "claim": claim, "window_end": window_end }),
            );
        }
        Step::Final { claim, tx } => log.step(
            "final",
            &claim.to_string(),
            Some(&mined(session, *tx).await?),
            json!({ "claim": claim }),
        ),
        Step::Delivered { run, chunk, tx } => {
            log.step(
                "delivered",
                &format!("response {} by voucher", run + 1),
                Some(&mined(session, *tx).await?),
                json!({ "run": run, "chunk": chunk }),
            );
        }
        Step::Posted {
            after_window_seconds,
        } => {
            watched.posted_seconds = *after_window_seconds;
            log.step(
                "posted",
                &format!("posted {after_window_seconds:.2} s after the window's end"),
                None,
                json!({ "after_window_seconds": after_window_seconds }),
            );
        }
    }
    Ok(())
}

/// Block and gas of a transaction that is mined.
async fn mined(session: &Session, tx: B256) -> Result<Mined, Failure> {
    let receipt = session
        .client
        .request("eth_getTransactionReceipt", |provider| async move {
            provider.get_transaction_receipt(tx).await
        })
        .await
        .map_err(chain)?;
    let receipt = receipt.ok_or_else(|| {
        Failure::new(
            Kind::Chain,
            format!("transaction {tx}: found no receipt, expected one"),
        )
    })?;
    Ok(Mined::of(&receipt))
}

/// The runs have different draws; equal texts would mean that the demo shows nothing to rank.
fn differ(answers: &[Answer]) -> Result<(), Failure> {
    match answers {
        [first, second] if first.text == second.text && first.text_hex == second.text_hex => {
            let message = format!(
                "found two equal responses of {} tokens, expected different ones: both runs drew the same tokens; run the demo again or raise --max-new",
                first.new_tokens
            );
            Err(Failure::new(Kind::Other, message))
        }
        [_, _] => Ok(()),
        // Posted before the node's answer could be read: the chain has the texts, and the export shows them.
        _ => Err(Failure::new(
            Kind::Other,
            format!(
                "found {} responses in the node's API, expected {RUNS}",
                answers.len()
            ),
        )),
    }
}

async fn exported(args: &DemoArgs, session: &Session, log: &mut Log) -> Result<Value, Failure> {
    let options = Options {
        kind: RowKind::Dpo,
        format: Format::Jsonl,
        strict_columns: false,
    };
    let records = export::collect(session).await?;
    let (summary, rows) = match &args.output {
        Some(path) => (export::to_file(path, options, &records)?, Value::Null),
        None => {
            let mut bytes = Vec::new();
            let mut writer = Writer::new(&mut bytes, options)?;
            records.iter().try_for_each(|record| writer.push(record))?;
            let summary = writer.finish()?;
            if !log.out.is_json() {
                write_out(&bytes);
            }
            let rows = String::from_utf8_lossy(&bytes)
                .lines()
                .map(serde_json::from_str)
                .collect::<Result<Vec<Value>, _>>()?;
            (summary, Value::Array(rows))
        }
    };
    if summary.rows == 0 {
        return Err(Failure::new(
            Kind::Other,
            "found no rows in the export, expected one for each ranking",
        ));
    }
    let place = args
        .output
        .as_ref()
        .map_or_else(|| "above".to_owned(), |path| path.display().to_string());
    log.step(
        "exported",
        &format!("{} rows of preference data, {place}", summary.rows),
        None,
        json!({ "summary": summary, "file": args.output }),
    );
    Ok(json!({ "summary": summary, "rows": rows }))
}
