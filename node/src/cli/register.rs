//! `sworn model register`: an imported model into the chain's registry.

use alloy::primitives::{B256, U256};
use clap::Args;
use serde_json::json;
use sworn_node::chain::abi::models;
use sworn_node::library::{Library, StoredModel};

use super::Context;
use super::failure::{Classify, Failure, Kind};
use super::models::stored;
use super::session::{Mined, Session, block_on, chain};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sworn model register fable-2m
  sworn model register my-model --parent 3f2a --account 1

Stores the model's program as contract code and its card for everyone to read: name, version, licence. Both stay as they are.")]
pub(crate) struct RegisterArgs {
    /// Id, beginning of an id, or name of an imported model.
    #[arg(value_name = "MODEL")]
    model: String,
    /// Imported or registered model that this one was made from, by its id.
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
}

pub(crate) fn run(
    args: &RegisterArgs,
    library: &Library,
    context: &Context,
) -> Result<(), Failure> {
    let model = stored(library, &args.model)?;
    let parent = match &args.parent {
        None => B256::ZERO,
        Some(text) => match text.parse() {
            Ok(id) => id,
            Err(_) => parse_id(&stored(library, text)?)?,
        },
    };
    block_on(async {
        let session = Session::open(context).await?;
        session.account()?;
        if session
            .client
            .model_exists(&session.deployment, parse_id(&model)?)
            .await
            .map_err(chain)?
        {
            context
                .out
                .document(&json!({ "registered": false, "model": model.card.model_id }))?;
            context.out.line(format!(
                "{} is registered already: {}",
                model.card.name, model.card.model_id
            ));
            return Ok(());
        }
        let (id, mined) = submit(&session, library, &model, parent).await?;
        context
            .out
            .document(&json!({ "registered": true, "model": id, "mined": mined }))?;
        context.out.line(format!(
            "{} {} ({}) registered: {id}",
            model.card.name, model.card.version, model.card.license
        ));
        context.out.line(mined.to_string());
        Ok(())
    })
}

/// Sends the registration; the chain has to come to the same id.
pub(crate) async fn submit(
    session: &Session,
    library: &Library,
    stored: &StoredModel,
    parent: B256,
) -> Result<(B256, Mined), Failure> {
    let Session {
        client,
        deployment: d,
    } = session;
    let model = library.open(stored).exit(Kind::Input)?;
    let card = &stored.card;
    let digest = |text: &str| {
        text.parse::<B256>().map_err(|_| Failure::input(format!("{}: found the digest `{text}` in its card, expected 64 hexadecimal digits; add the model again", card.name)))
    };
    let expected = digest(&card.model_id)?;
    let call = models::registerCall {
        program: model.program_bytes().to_vec().into(),
        weightsRoot: digest(&card.weights_root)?,
        tokenizerRoot: digest(&card.tokenizer_root)?,
        card: models::Card {
            name: card.name.clone(),
            version: card.version.clone(),
            license: card.license.clone(),
            licenseUri: card.license_uri.clone(),
            weightsUri: card.weights_uri.clone(),
            parent,
        },
    };
    let receipt = client
        .transact(d.models, &call, U256::ZERO)
        .await
        .map_err(chain)?;
    if !client.model_exists(d, expected).await.map_err(chain)? {
        let message = format!(
            "transaction {}: found no model {expected} in the registry after it, expected that id; chain and program disagree",
            receipt.transaction_hash
        );
        return Err(Failure::new(Kind::Chain, message));
    }
    Ok((expected, Mined::of(&receipt)))
}

fn parse_id(stored: &StoredModel) -> Result<B256, Failure> {
    stored.card.model_id.parse().map_err(|_| {
        Failure::input(format!(
            "{}: found the model id `{}`, expected 64 hexadecimal digits; add the model again",
            stored.card.name, stored.card.model_id
        ))
    })
}
