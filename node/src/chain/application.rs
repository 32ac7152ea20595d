//! What users do: register models, ask, rank.

use alloy::primitives::{B256, Bytes, U256};
use alloy::rpc::types::TransactionReceipt;
use alloy::sol_types::SolEvent;
use sworn_prover::params::Params;

use super::abi::{inbox, models, prompts};
use super::{ChainClient, ChainError, Deployment};

/// What registering or asking gave.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The model's id.
    pub model: B256,
    /// The transaction.
    pub receipt: TransactionReceipt,
}

/// A prompt that was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The input's id.
    pub id: u64,
    /// What it cost.
    pub price_wei: U256,
    /// The transaction.
    pub receipt: TransactionReceipt,
}

fn contract_params(params: &Params) -> prompts::IInbox::Params {
    prompts::IInbox::Params {
        kind: params.kind,
        nRuns: params.n_runs,
        maxNewTokens: params.max_new_tokens,
        maxTotalTokens: params.max_total_tokens,
        temperatureMilli: params.temperature_milli,
        topK: params.top_k,
        topPPpm: params.top_p_ppm,
        minPPpm: params.min_p_ppm,
    }
}

fn event_of<E: SolEvent>(receipt: &TransactionReceipt) -> Result<E, ChainError> {
    receipt
        .logs()
        .iter()
        .find_map(|log| log.log_decode::<E>().ok())
        .map(|log| log.inner.data)
        .ok_or_else(|| ChainError::BadAnswer {
            what: format!("transaction {}", receipt.transaction_hash),
            found: format!(
                "{} events, none of them {}",
                receipt.logs().len(),
                E::SIGNATURE
            ),
            expected: "one; is this the deployment's contract?".into(),
        })
}

impl ChainClient {
    /// Registers a model.
    pub async fn register_model(
        &self,
        d: &Deployment,
        program: Bytes,
        weights_root: B256,
        tokenizer_root: B256,
        card: models::Card,
    ) -> Result<Registered, ChainError> {
        let call = models::registerCall {
            program,
            weightsRoot: weights_root,
            tokenizerRoot: tokenizer_root,
            card,
        };
        let receipt = self.transact(d.models, &call, U256::ZERO).await?;
        let event: models::ModelRegistered = event_of(&receipt)?;
        Ok(Registered {
            model: event.modelId,
            receipt,
        })
    }

    /// Asks through the application; `payload` is segments of `prover/SPEC.md` section 6. Pays exactly the quote.
    pub async fn ask(
        &self,
        d: &Deployment,
        model: B256,
        payload: Bytes,
        params: &Params,
    ) -> Result<Asked, ChainError> {
        let price_wei = self
            .quote(d, model, B256::from(params.pack().0), payload.len() as u64)
            .await?;
        let call = prompts::askSegmentsCall {
            modelId: model,
            payload,
            params: contract_params(params),
        };
        let receipt = self.transact(d.prompts, &call, price_wei).await?;
        let event: inbox::InputSubmitted = event_of(&receipt)?;
        let id = u64::try_from(event.inputId).map_err(|_| ChainError::BadAnswer {
            what: "input id".into(),
            found: event.inputId.to_string(),
            expected: "below 2^64".into(),
        })?;
        Ok(Asked {
            id,
            price_wei,
            receipt,
        })
    }

    /// Ranks all responses of a prompt; `places[i]` is the place of response i, 1 is best, ties share a place.
    pub async fn rank(
        &self,
        d: &Deployment,
        id: u64,
        places: Vec<u8>,
        all_bad: bool,
    ) -> Result<TransactionReceipt, ChainError> {
        let call = prompts::rankCall {
            inputId: U256::from(id),
            places,
            allBad: all_bad,
        };
        self.transact(d.prompts, &call, U256::ZERO).await
    }
}
