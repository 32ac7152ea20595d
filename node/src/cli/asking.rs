//! Submitting a prompt.

use std::time::Instant;

use alloy::primitives::{B256, Bytes, U256};
use alloy::sol_types::SolEvent;
use sworn_inference::tokenizer::Segment;
use sworn_node::chain::abi::{inbox, models, prompts};
use sworn_node::config::Config;
use sworn_node::library::Library;
use sworn_prover::params::Params;
use sworn_prover::payload;

use super::failure::{Classify, Failure, Kind};
use super::sampling::RunParams;
use super::session::{Mined, Session, chain};
use super::status;

/// A submitted prompt.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) id: u64,
    pub(crate) price_wei: U256,
    pub(crate) mined: Mined,
    /// Just before the transaction was sent.
    pub(crate) sent: Instant,
}

/// The registered model that `reference` names: an id, the beginning of one, or a name; the only one when nothing is given.
pub(crate) async fn resolve_model(
    session: &Session,
    reference: Option<&str>,
) -> Result<(B256, models::Model), Failure> {
    let registered = status::registered(session).await?;
    let known = registered
        .iter()
        .map(|(id, model)| format!("{} ({})", model.card.name, &id.to_string()[..12]))
        .collect::<Vec<_>>()
        .join(", ");
    let expected = if known.is_empty() {
        "a registered model, and there is none: see `sworn model register`".to_owned()
    } else {
        format!("one of {known}")
    };
    let hits: Vec<_> = match reference {
        None => registered.iter().collect(),
        Some(reference) => {
            let named: Vec<_> = registered
                .iter()
                .filter(|(_, model)| {
                    model.card.name == reference
                        || format!("{}@{}", model.card.name, model.card.version) == reference
                })
                .collect();
            let digits = reference
                .strip_prefix("0x")
                .unwrap_or(reference)
                .to_ascii_lowercase();
            let by_id = || {
                registered
                    .iter()
                    .filter(|(id, _)| digits.len() >= 4 && id.to_string()[2..].starts_with(&digits))
                    .collect()
            };
            if named.is_empty() { by_id() } else { named }
        }
    };
    match (hits.as_slice(), reference) {
        ([one], _) => Ok((*one).clone()),
        ([], _) => Err(Failure::input(format!(
            "found no registered model `{}`, expected {expected}",
            reference.unwrap_or("")
        ))),
        (_, None) => Err(Failure::usage(format!(
            "found several registered models and no --model, expected {expected}"
        ))),
        (several, Some(reference)) => Err(Failure::input(format!(
            "found {} registered models for `{reference}`, expected one; give more of the id: {known}",
            several.len()
        ))),
    }
}

/// Refuses a prompt that fills the model's context, when the model is on this machine: the answer would be empty and still cost its fee.
pub(crate) fn check_length(config: &Config, model: B256, prompt: &[u8]) -> Result<(), Failure> {
    let library = Library::new(&config.datadir);
    let Ok(stored) = library.find(&model.to_string()) else {
        return Ok(());
    };
    let opened = library.open(&stored).exit(Kind::Input)?;
    let tokens = opened.tokenizer().encode(&[Segment::Text(prompt)]).len();
    let context = opened.program().context() as usize;
    if tokens < context {
        return Ok(());
    }
    Err(Failure::input(format!(
        "the prompt: found {tokens} tokens, expected fewer than the {context} of the context of {}; shorten it",
        stored.card.name
    )))
}

/// Pays for a prompt and submits it.
pub(crate) async fn submit(
    session: &Session,
    model: B256,
    prompt: &[u8],
    params: &RunParams,
) -> Result<Asked, Failure> {
    let Session {
        client,
        deployment: d,
    } = session;
    let payload: Bytes = payload::encode(&[Segment::Text(prompt)])
        .exit(Kind::Input)?
        .into();
    let packed = Params {
        kind: sworn_prover::constants::KIND_GENERATE,
        n_runs: params.n_runs,
        max_new_tokens: params.max_new_tokens,
        max_total_tokens: params.max_total_tokens,
        temperature_milli: params.temperature_milli,
        top_k: params.top_k,
        top_p_ppm: params.top_p_ppm,
        min_p_ppm: params.min_p_ppm,
    };
    packed.check().exit(Kind::Input)?;
    let price_wei = client
        .quote(d, model, B256::from(packed.pack().0), payload.len() as u64)
        .await
        .map_err(chain)?;
    let call = prompts::askSegmentsCall {
        modelId: model,
        payload,
        params: prompts::IInbox::Params {
            kind: packed.kind,
            nRuns: packed.n_runs,
            maxNewTokens: packed.max_new_tokens,
            maxTotalTokens: packed.max_total_tokens,
            temperatureMilli: packed.temperature_milli,
            topK: packed.top_k,
            topPPpm: packed.top_p_ppm,
            minPPpm: packed.min_p_ppm,
        },
    };
    let sent = Instant::now();
    let receipt = client
        .transact(d.prompts, &call, price_wei)
        .await
        .map_err(chain)?;
    let event = receipt.logs().iter().find(|log| {
        log.address() == d.inbox && log.topic0() == Some(&inbox::InputSubmitted::SIGNATURE_HASH)
    });
    let id = event
        .and_then(|log| log.topics().get(1))
        .and_then(|topic| u64::try_from(U256::from_be_bytes(topic.0)).ok());
    let id = id.ok_or_else(|| {
        Failure::new(Kind::Chain, format!("transaction {}: found no InputSubmitted event, expected one of {}; is this the deployment's Prompts contract?", receipt.transaction_hash, d.inbox))
    })?;
    Ok(Asked {
        id,
        price_wei,
        mined: Mined::of(&receipt),
        sent,
    })
}
