//! Typed views of the contracts.

use alloy::primitives::{Address, B256, Bytes, U256};

use super::abi::{claims, fees, inbox, models, prompts, vouchers};
use super::{ChainClient, ChainError, Deployment};

/// Immutable parameters of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxParameters {
    /// Blocks of an epoch.
    pub epoch_blocks: u64,
    /// Blocks between an input and the randomness of its seed.
    pub seal_delay_blocks: u64,
    /// The largest payload.
    pub max_payload_bytes: u64,
}

/// What the inbox keeps of an input.
pub type OnChainInput = inbox::Input;

fn small(what: &str, value: U256) -> Result<u64, ChainError> {
    u64::try_from(value).map_err(|_| ChainError::BadAnswer {
        what: what.into(),
        found: value.to_string(),
        expected: "below 2^64".into(),
    })
}

impl ChainClient {
    /// The machine version that a deployment proves.
    pub async fn machine_version(&self, d: &Deployment) -> Result<u32, ChainError> {
        self.view(d.models, models::machineVersionCall {}).await
    }

    /// Number of inputs.
    pub async fn input_count(&self, d: &Deployment) -> Result<u64, ChainError> {
        small(
            "Inbox.count",
            self.view(d.inbox, inbox::countCall {}).await?,
        )
    }

    /// Number of sealed inputs: the id of the next one to seal, counted from the first id.
    pub async fn sealed_count(&self, d: &Deployment) -> Result<u64, ChainError> {
        small(
            "Inbox.sealedCount",
            self.view(d.inbox, inbox::sealedCountCall {}).await?,
        )
    }

    /// An input.
    pub async fn input(&self, d: &Deployment, id: u64) -> Result<OnChainInput, ChainError> {
        self.view(
            d.inbox,
            inbox::inputCall {
                inputId: U256::from(id),
            },
        )
        .await
    }

    /// The inbox's parameters.
    pub async fn inbox_parameters(&self, d: &Deployment) -> Result<InboxParameters, ChainError> {
        Ok(InboxParameters {
            epoch_blocks: self.view(d.inbox, inbox::epochBlocksCall {}).await?,
            seal_delay_blocks: self.view(d.inbox, inbox::sealDelayBlocksCall {}).await?,
            max_payload_bytes: small(
                "Inbox.maxPayloadBytes",
                self.view(d.inbox, inbox::maxPayloadBytesCall {}).await?,
            )?,
        })
    }

    /// First block of an epoch and of the next.
    pub async fn epoch_bounds(&self, d: &Deployment, epoch: u64) -> Result<(u64, u64), ChainError> {
        let bounds = self.view(d.inbox, inbox::epochBoundsCall { epoch }).await?;
        Ok((
            small("Inbox.epochBounds", bounds.startBlock)?,
            small("Inbox.epochBounds", bounds.endBlock)?,
        ))
    }

    /// The running hash at an epoch's end.
    pub async fn accumulator_at(&self, d: &Deployment, epoch: u64) -> Result<B256, ChainError> {
        self.view(d.inbox, inbox::accumulatorAtCall { epoch }).await
    }

    /// Number of inputs of a lane.
    pub async fn lane_count(
        &self,
        d: &Deployment,
        epoch: u64,
        model: B256,
    ) -> Result<u32, ChainError> {
        self.view(
            d.inbox,
            inbox::laneCountCall {
                epoch,
                modelId: model,
            },
        )
        .await
    }

    /// Claims of a lane, oldest first.
    pub async fn lane_claims(
        &self,
        d: &Deployment,
        epoch: u64,
        model: B256,
    ) -> Result<Vec<B256>, ChainError> {
        self.view(
            d.claims,
            claims::laneClaimsCall {
                epoch,
                modelId: model,
            },
        )
        .await
    }

    /// A claim.
    pub async fn claim(&self, d: &Deployment, id: B256) -> Result<claims::Claim, ChainError> {
        self.view(d.claims, claims::claimOfCall { claimId: id })
            .await
    }

    /// The final claim of a lane.
    pub async fn final_claim(
        &self,
        d: &Deployment,
        epoch: u64,
        model: B256,
    ) -> Result<Option<B256>, ChainError> {
        let id = self
            .view(
                d.claims,
                claims::finalClaimCall {
                    epoch,
                    modelId: model,
                },
            )
            .await?;
        Ok((!id.is_zero()).then_some(id))
    }

    /// The bond of a claim.
    pub async fn bond_wei(&self, d: &Deployment) -> Result<U256, ChainError> {
        self.view(d.claims, claims::bondWeiCall {}).await
    }

    /// The window of a claim.
    pub async fn window_seconds(&self, d: &Deployment) -> Result<u64, ChainError> {
        self.view(d.claims, claims::windowSecondsCall {}).await
    }

    /// Whether an input's fee is paid out or given back.
    pub async fn is_settled(&self, d: &Deployment, input: u64) -> Result<bool, ChainError> {
        self.view(
            d.claims,
            claims::isSettledCall {
                inputId: U256::from(input),
            },
        )
        .await
    }

    /// Whether a voucher was executed.
    pub async fn is_executed(
        &self,
        d: &Deployment,
        input: u64,
        run: u32,
        chunk: u32,
    ) -> Result<bool, ChainError> {
        self.view(
            d.vouchers,
            vouchers::isExecutedCall {
                inputId: U256::from(input),
                run,
                chunk,
            },
        )
        .await
    }

    /// Gas that a recipient's callback gets.
    pub async fn callback_gas(&self, d: &Deployment) -> Result<u64, ChainError> {
        small(
            "Vouchers.callbackGas",
            self.view(d.vouchers, vouchers::callbackGasCall {}).await?,
        )
    }

    /// Released bonds and earned fees of an account, both withdrawable.
    pub async fn withdrawable(
        &self,
        d: &Deployment,
        account: Address,
    ) -> Result<(U256, U256), ChainError> {
        Ok((
            self.view(d.claims, claims::balanceOfCall { account })
                .await?,
            self.view(d.fees, fees::balanceOfCall { account }).await?,
        ))
    }

    /// Withdraws the signer's released bonds and earned fees to `to`; returns both amounts.
    pub async fn withdraw_all(
        &self,
        d: &Deployment,
        to: Address,
    ) -> Result<(U256, U256), ChainError> {
        let account = self.account().ok_or_else(|| ChainError::NoSigner {
            what: "withdraw".into(),
        })?;
        let (bonds, earned) = self.withdrawable(d, account).await?;
        if !bonds.is_zero() {
            self.transact(d.claims, &claims::withdrawCall { to }, U256::ZERO)
                .await?;
        }
        if !earned.is_zero() {
            self.transact(d.fees, &fees::withdrawCall { to }, U256::ZERO)
                .await?;
        }
        Ok((bonds, earned))
    }

    /// Number of registered models.
    pub async fn model_count(&self, d: &Deployment) -> Result<u64, ChainError> {
        small(
            "Models.count",
            self.view(d.models, models::countCall {}).await?,
        )
    }

    /// Ids of registered models.
    pub async fn model_ids(
        &self,
        d: &Deployment,
        from: u64,
        limit: u64,
    ) -> Result<Vec<B256>, ChainError> {
        self.view(
            d.models,
            models::idsCall {
                from: U256::from(from),
                limit: U256::from(limit),
            },
        )
        .await
    }

    /// Whether a model is registered.
    pub async fn model_exists(&self, d: &Deployment, id: B256) -> Result<bool, ChainError> {
        self.view(d.models, models::existsCall { modelId: id })
            .await
    }

    /// A registered model.
    pub async fn model(&self, d: &Deployment, id: B256) -> Result<models::Model, ChainError> {
        self.view(d.models, models::modelCall { modelId: id }).await
    }

    /// The price of a payload.
    pub async fn quote(
        &self,
        d: &Deployment,
        model: B256,
        params: B256,
        payload_bytes: u64,
    ) -> Result<U256, ChainError> {
        self.view(
            d.fees,
            fees::quoteCall {
                modelId: model,
                params,
                payloadBytes: U256::from(payload_bytes),
            },
        )
        .await
    }

    /// A prompt asked through the application.
    pub async fn prompt(
        &self,
        d: &Deployment,
        id: u64,
    ) -> Result<prompts::PromptRecord, ChainError> {
        self.view(
            d.prompts,
            prompts::promptCall {
                inputId: U256::from(id),
            },
        )
        .await
    }

    /// A posted response.
    pub async fn response(
        &self,
        d: &Deployment,
        id: u64,
        run: u32,
    ) -> Result<prompts::PostedResponse, ChainError> {
        self.view(
            d.prompts,
            prompts::responseCall {
                inputId: U256::from(id),
                run,
            },
        )
        .await
    }

    /// The latest ranking of each ranker.
    pub async fn rankings(
        &self,
        d: &Deployment,
        id: u64,
        from: u64,
        limit: u64,
    ) -> Result<Vec<prompts::Ranking>, ChainError> {
        self.view(
            d.prompts,
            prompts::rankingsCall {
                inputId: U256::from(id),
                from: U256::from(from),
                limit: U256::from(limit),
            },
        )
        .await
    }

    /// Number of prompts asked through the application.
    pub async fn prompt_count(&self, d: &Deployment) -> Result<u64, ChainError> {
        small(
            "Prompts.promptCount",
            self.view(d.prompts, prompts::promptCountCall {}).await?,
        )
    }

    /// Ids of prompts asked through the application.
    pub async fn prompt_ids(
        &self,
        d: &Deployment,
        from: u64,
        limit: u64,
    ) -> Result<Vec<u64>, ChainError> {
        let ids = self
            .view(
                d.prompts,
                prompts::promptIdsCall {
                    from: U256::from(from),
                    limit: U256::from(limit),
                },
            )
            .await?;
        ids.into_iter().map(|id| small("prompt id", id)).collect()
    }

    /// The program's bytes as read back from the chain.
    pub async fn program(&self, d: &Deployment, id: B256) -> Result<Bytes, ChainError> {
        self.view(d.models, models::programOfCall { modelId: id })
            .await
    }
}
