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
    let at = |offset: u64| deployer.create(nonce + offset);
    let deployment = Deployment {
        chain_id: client.chain_id(),
        block,
        machine_version: MACHINE_VERSION,
        models: at(0),
        fees: at(1),
        disputes: at(2),
        inbox: at(3),
        claims: at(4),
        vouchers: at(5),
        prompts: at(6),
    };
    let d = &deployment;
    let n = U256::from::<u64>;
    let steps: [(Artifact, Address, Vec<u8>); 7] = [
        (bytecode!("Models"), d.models, MACHINE_VERSION.abi_encode()),
        (
            bytecode!("FlatFees"),
            d.fees,
            (
                d.inbox,
                d.claims,
                params.base_wei,
                params.per_run_wei,
                params.per_payload_byte_wei,
            )
                .abi_encode_params(),
        ),
        (bytecode!("DevDisputes"), d.disputes, Vec::new()),
        (
            bytecode!("Inbox"),
            d.inbox,
            (
                d.models,
                d.fees,
                n(params.epoch_blocks),
                n(params.seal_delay_blocks),
                n(params.max_payload_bytes),
            )
                .abi_encode_params(),
        ),
        (
            bytecode!("Claims"),
            d.claims,
            (
                d.inbox,
                d.fees,
                d.disputes,
                params.bond_wei,
                n(params.window_seconds),
                n(params.answer_seconds),
            )
                .abi_encode_params(),
        ),
        (
            bytecode!("Vouchers"),
            d.vouchers,
            (d.inbox, d.claims, n(params.callback_gas)).abi_encode_params(),
        ),
        (
            bytecode!("Prompts"),
            d.prompts,
            (d.inbox, d.vouchers).abi_encode_params(),
        ),
    ];
    for (artifact, expected, arguments) in steps {
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
