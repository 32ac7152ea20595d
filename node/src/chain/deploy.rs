//! Deploying the contracts. Some know each other; their addresses follow from the deployer's nonces.

use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::providers::Provider;
use alloy::sol_types::SolValue;

use super::{ChainClient, ChainError, Deployment, Gas, MACHINE_VERSION};

/// The immutable parameters of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeployParams {
    /// Blocks of an epoch.
    pub epoch_blocks: u64,
    /// Blocks between an input and its seed's randomness.
    pub seal_delay_blocks: u64,
    /// The largest payload.
    pub max_payload_bytes: u64,
    /// Price of an input.
    pub base_wei: U256,
    /// Price of each run.
    pub per_run_wei: U256,
    /// Price of each byte of payload.
    pub per_payload_byte_wei: U256,
    /// Bond of a claim.
    pub bond_wei: U256,
    /// How long a claim stands before it may be final.
    pub window_seconds: u64,
    /// What each side of a challenge has, in all: a claim is decided by its window and twice this.
    pub budget_seconds: u64,
    /// From so long before the end of a claim's window on openings carry a deposit; not less than the budget.
    pub grace_seconds: u64,
    /// After a claim's fall, how long declarations of its fault can be named.
    pub declaration_seconds: u64,
    /// After this an unanswered input can be refunded.
    pub answer_seconds: u64,
    /// Gas that a recipient's callback gets.
    pub callback_gas: u64,
}

impl DeployParams {
    /// For development: seconds instead of days.
    pub fn dev() -> DeployParams {
        DeployParams {
            epoch_blocks: 2,
            seal_delay_blocks: 1,
            max_payload_bytes: 65_536,
            base_wei: U256::from(10_000_000_000_000_u64),
            per_run_wei: U256::from(10_000_000_000_000_u64),
            per_payload_byte_wei: U256::from(1_000_000_000_u64),
            bond_wei: U256::from(100_000_000_000_000_000_u64),
            window_seconds: 2,
            // A block is a second of the embedded chain's time at least, and a dispute is many blocks.
            budget_seconds: 60,
            grace_seconds: 60,
            declaration_seconds: 2,
            answer_seconds: 3_600,
            callback_gas: 6_000_000,
        }
    }
}

impl Default for DeployParams {
    fn default() -> Self {
        DeployParams::dev()
    }
}

macro_rules! bytecode {
    ($name:literal) => {
        Artifact {
            name: $name,
            json: include_str!(concat!("../../../contracts/artifacts/", $name, ".json")),
        }
    };
}

struct Artifact {
    name: &'static str,
    json: &'static str,
}

impl Artifact {
    fn bytecode(&self) -> Result<Bytes, ChainError> {
        #[derive(serde::Deserialize)]
        struct Parsed {
            bytecode: Bytes,
        }
        let parsed: Parsed =
            serde_json::from_str(self.json).map_err(|err| ChainError::BadAnswer {
                what: format!("artifact {}", self.name),
                found: err.to_string(),
                expected: "JSON with linked bytecode; build the contracts again".into(),
            })?;
        Ok(parsed.bytecode)
    }
}

/// What is deployed, in order; each contract's address follows from its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Part {
    Models,
    Fees,
    Inbox,
    Claims,
    AttentionFaults,
    SumFaults,
    StepFaults,
    SelectionFaults,
    PromptFaults,
    TokenFaults,
    JobFaults,
    Faults,
    Challenges,
    Vouchers,
    Prompts,
}

impl Part {
    const ALL: [Part; 15] = [
        Part::Models,
        Part::Fees,
        Part::Inbox,
        Part::Claims,
        Part::AttentionFaults,
        Part::SumFaults,
        Part::StepFaults,
        Part::SelectionFaults,
        Part::PromptFaults,
        Part::TokenFaults,
        Part::JobFaults,
        Part::Faults,
        Part::Challenges,
        Part::Vouchers,
        Part::Prompts,
    ];

    fn artifact(self) -> Artifact {
        match self {
            Part::Models => bytecode!("Models"),
            Part::Fees => bytecode!("FlatFees"),
            Part::Inbox => bytecode!("Inbox"),
            Part::Claims => bytecode!("Claims"),
            Part::AttentionFaults => bytecode!("AttentionFaults"),
            Part::SumFaults => bytecode!("SumFaults"),
            Part::StepFaults => bytecode!("StepFaults"),
            Part::SelectionFaults => bytecode!("SelectionFaults"),
            Part::PromptFaults => bytecode!("PromptFaults"),
            Part::TokenFaults => bytecode!("TokenFaults"),
            Part::JobFaults => bytecode!("JobFaults"),
            Part::Faults => bytecode!("Faults"),
            Part::Challenges => bytecode!("Challenges"),
            Part::Vouchers => bytecode!("Vouchers"),
            Part::Prompts => bytecode!("Prompts"),
        }
    }

    /// The constructor's arguments; `at` gives the address of any step.
    fn arguments(self, params: &DeployParams, at: &impl Fn(Part) -> Address) -> Vec<u8> {
        let n = U256::from::<u64>;
        let (models, fees, inbox, claims) = (
            at(Part::Models),
            at(Part::Fees),
            at(Part::Inbox),
            at(Part::Claims),
        );
        match self {
            Part::Models => MACHINE_VERSION.abi_encode(),
            Part::Fees => (
                inbox,
                claims,
                params.base_wei,
                params.per_run_wei,
                params.per_payload_byte_wei,
            )
                .abi_encode_params(),
            Part::Inbox => (
                models,
                fees,
                n(params.epoch_blocks),
                n(params.seal_delay_blocks),
                n(params.max_payload_bytes),
            )
                .abi_encode_params(),
            Part::Claims => (
                inbox,
                fees,
                at(Part::Challenges),
                params.bond_wei,
                n(params.window_seconds),
                n(params.answer_seconds),
            )
                .abi_encode_params(),
            Part::AttentionFaults | Part::SumFaults | Part::TokenFaults => models.abi_encode(),
            Part::StepFaults => {
                (models, at(Part::SumFaults), at(Part::AttentionFaults)).abi_encode_params()
            }
            Part::SelectionFaults | Part::JobFaults => (models, inbox).abi_encode_params(),
            Part::PromptFaults => inbox.abi_encode(),
            // The families in the order of `Faults.Families`.
            Part::Faults => (
                at(Part::JobFaults),
                at(Part::TokenFaults),
                at(Part::PromptFaults),
                at(Part::StepFaults),
                at(Part::AttentionFaults),
                at(Part::SelectionFaults),
            )
                .abi_encode_params(),
            Part::Challenges => (
                claims,
                inbox,
                at(Part::Faults),
                n(params.budget_seconds),
                n(params.grace_seconds),
                n(params.declaration_seconds),
            )
                .abi_encode_params(),
            Part::Vouchers => (inbox, claims, n(params.callback_gas)).abi_encode_params(),
            Part::Prompts => (inbox, at(Part::Vouchers)).abi_encode_params(),
        }
    }
}

/// Deploys everything with the client's signer.
pub async fn deploy(client: &ChainClient, params: &DeployParams) -> Result<Deployment, ChainError> {
    let deployer = client.account().ok_or_else(|| ChainError::NoSigner {
        what: "deploy".into(),
    })?;
    let block = client.head().await?.number;
    let nonce = client
        .request("eth_getTransactionCount", |p| async move {
            p.get_transaction_count(deployer).pending().await
        })
        .await?;
    let at = |step: Part| deployer.create(nonce + step as u64);
    let deployment = Deployment {
        chain_id: client.chain_id(),
        block,
        machine_version: MACHINE_VERSION,
        models: at(Part::Models),
        fees: at(Part::Fees),
        inbox: at(Part::Inbox),
        claims: at(Part::Claims),
        disputes: at(Part::Challenges),
        faults: at(Part::Faults),
        vouchers: at(Part::Vouchers),
        prompts: at(Part::Prompts),
    };
    let d = &deployment;
    for step in Part::ALL {
        let (artifact, expected, arguments) =
            (step.artifact(), at(step), step.arguments(params, &at));
        let code: Bytes = [artifact.bytecode()?.to_vec(), arguments].concat().into();
        let sent = client
            .send_raw(
                &format!("deploy {}", artifact.name),
                TxKind::Create,
                code,
                U256::ZERO,
                Gas::Estimate,
            )
            .await?;
        let receipt = client.confirm(sent).await?;
        let found = receipt.contract_address.unwrap_or_default();
        if found != expected {
            return Err(ChainError::BadAnswer {
                what: format!("deploy {}", artifact.name),
                found: format!("address {found}"),
                expected: format!(
                    "{expected}; another program sent transactions of {deployer} meanwhile: deploy again"
                ),
            });
        }
        tracing::info!(contract = artifact.name, address = %found, transaction = %receipt.transaction_hash, "deployed");
    }
    let hash: Option<B256> = client.block(block).await?.map(|head| head.hash);
    tracing::info!(chain_id = d.chain_id, block, ?hash, "deployment complete");
    Ok(deployment)
}
