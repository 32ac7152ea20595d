//! The bridge to revm: environments in, results out. One configuration for the whole chain.

use std::convert::Infallible;

use alloy::consensus::transaction::Recovered;
use alloy::consensus::{Header, Transaction, TxEnvelope, Typed2718};
use alloy::eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy::eips::eip4788::BEACON_ROOTS_ADDRESS;
use alloy::primitives::{B256, U256};
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction, ResultAndState};
use revm::context::{BlockEnv, CfgEnv, Context, Evm, TxEnv};
use revm::context_interface::either::Either;
use revm::handler::{EthFrame, Handler, MainnetContext, MainnetHandler};
use revm::primitives::eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE;
use revm::primitives::hardfork::SpecId;
use revm::{DatabaseCommit, ExecuteEvm, MainBuilder, SystemCallEvm};

use super::error::Refusal;
use super::state::{ChainState, World};

/// The rules of execution: Osaka, with CLZ and the transaction gas cap.
const SPEC: SpecId = SpecId::OSAKA;

/// EIP-7825: no transaction may use more gas.
pub(super) const TRANSACTION_GAS_CAP: u64 = 1 << 24;

/// No fee per gas may be higher: revm multiplies it with the gas in 128 bits.
const MAX_FEE_WEI: u128 = 1 << 80;

/// How strictly a transaction is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// As the protocol says.
    Protocol,
    /// The sender may be a contract: impersonated senders.
    AnySender,
    /// A question, not a transaction: also no gas cap but the block's.
    Call,
}

/// What a transaction sees of its block.
pub(super) fn block_env(header: &Header) -> BlockEnv {
    let mut env = BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        ..Default::default()
    };
    env.set_blob_excess_gas_and_price(
        header.excess_blob_gas.unwrap_or_default(),
        BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE,
    );
    env
}

/// A signed transaction as revm takes it.
pub(super) fn transaction_env(transaction: &Recovered<TxEnvelope>) -> TxEnv {
    TxEnv {
        tx_type: transaction.ty(),
        caller: transaction.signer(),
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        kind: transaction.kind(),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: transaction
            .authorization_list()
            .unwrap_or_default()
            .iter()
            .cloned()
            .map(Either::Left)
            .collect(),
    }
}

/// A world, the block being made or asked about, and the hashes below it: one revm instance that
/// serves all transactions of a block.
pub(super) struct Machine<H: Fn(u64) -> Option<B256>> {
    evm: revm::MainnetEvm<MainnetContext<ChainState<H>>>,
}

impl<H: Fn(u64) -> Option<B256>> Machine<H> {
    pub(super) fn new(world: World, env: BlockEnv, chain_id: u64, block_hash: H) -> Self {
        let context: MainnetContext<ChainState<H>> =
            Context::new(ChainState { world, block_hash }, SPEC);
        let config = CfgEnv::new()
            .with_spec_and_mainnet_gas_params(SPEC)
            .with_chain_id(chain_id);
        Self {
            evm: context.with_cfg(config).with_block(env).build_mainnet(),
        }
    }

    pub(super) fn env_mut(&mut self) -> &mut BlockEnv {
        &mut self.evm.ctx.block
    }

    pub(super) fn world_mut(&mut self) -> &mut World {
        &mut self.evm.ctx.journaled_state.database.world
    }

    pub(super) fn into_world(self) -> World {
        self.evm.ctx.journaled_state.database.world
    }

    fn set(&mut self, strictness: Strictness) {
        let config = &mut self.evm.ctx.cfg;
        config.disable_eip3607 = strictness != Strictness::Protocol;
        config.tx_gas_limit_cap = (strictness == Strictness::Call).then_some(u64::MAX);
    }

    /// Executes without keeping the changes.
    pub(super) fn run(
        &mut self,
        transaction: TxEnv,
        strictness: Strictness,
    ) -> Result<ResultAndState, Refusal> {
        check_fees(&transaction)?;
        self.set(strictness);
        self.evm.transact(transaction).map_err(refusal)
    }

    /// Executes and keeps the changes.
    pub(super) fn apply(
        &mut self,
        transaction: TxEnv,
        strictness: Strictness,
    ) -> Result<ExecutionResult, Refusal> {
        let outcome = self.run(transaction, strictness)?;
        self.world_mut().commit(outcome.state);
        Ok(outcome.result)
    }

    /// Checks what does not depend on the state: chain id, fees, gas limits, intrinsic gas, size.
    pub(super) fn check(
        &mut self,
        transaction: TxEnv,
        strictness: Strictness,
    ) -> Result<(), Refusal> {
        check_fees(&transaction)?;
        self.set(strictness);
        self.evm.ctx.tx = transaction;
        let handler = MainnetHandler::<
            Evm<_, _, _, _, EthFrame<_>>,
            EVMError<Infallible>,
            EthFrame<_>,
        >::default();
        handler.validate_env(&mut self.evm).map_err(refusal)?;
        handler
            .validate_initial_tx_gas(&mut self.evm)
            .map_err(refusal)?;
        Ok(())
    }

    /// The calls every block begins with: the parent's hash (EIP-2935), the beacon root (EIP-4788).
    pub(super) fn begin_block(&mut self, parent: B256, beacon_root: B256) -> Result<(), Refusal> {
        self.set(Strictness::Call);
        for (contract, word) in [
            (HISTORY_STORAGE_ADDRESS, parent),
            (BEACON_ROOTS_ADDRESS, beacon_root),
        ] {
            let outcome = self
                .evm
                .system_call(contract, word.0.into())
                .map_err(refusal)?;
            self.world_mut().commit(outcome.state);
        }
        Ok(())
    }
}

fn check_fees(transaction: &TxEnv) -> Result<(), Refusal> {
    let highest = transaction
        .gas_price
        .max(transaction.gas_priority_fee.unwrap_or_default());
    if highest > MAX_FEE_WEI {
        return Err(Refusal::Invalid(format!(
            "fee per gas: expected at most 2^80 wei, found {highest}"
        )));
    }
    Ok(())
}

/// revm's refusals in the words of go-ethereum, which clients know.
fn refusal(error: EVMError<Infallible>) -> Refusal {
    let error = match error {
        EVMError::Transaction(error) => error,
        EVMError::Database(never) => match never {},
        other => return Refusal::Invalid(other.to_string()),
    };
    match error {
        InvalidTransaction::NonceTooLow { tx, state } => Refusal::NonceTooLow {
            next: state,
            found: tx,
        },
        InvalidTransaction::NonceOverflowInTransaction => Refusal::NonceMax,
        // The floor of EIP-7623 is reported as the intrinsic gas it is in effect.
        InvalidTransaction::CallGasCostMoreThanGasLimit {
            initial_gas: needed,
            gas_limit,
        }
        | InvalidTransaction::GasFloorMoreThanGasLimit {
            gas_floor: needed,
            gas_limit,
        } => Refusal::IntrinsicGas {
            found: gas_limit,
            needed,
        },
        other => Refusal::Invalid(match other {
            InvalidTransaction::PriorityFeeGreaterThanMaxFee => {
                "max priority fee per gas higher than max fee per gas".to_owned()
            }
            InvalidTransaction::GasPriceLessThanBasefee => {
                "max fee per gas less than block base fee".to_owned()
            }
            InvalidTransaction::CallerGasLimitMoreThanBlock => "exceeds block gas limit".to_owned(),
            InvalidTransaction::TxGasLimitGreaterThanCap { gas_limit, cap } => {
                format!("transaction gas limit too high (cap: {cap}, tx: {gas_limit})")
            }
            InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
                format!("insufficient funds for gas * price + value: have {balance} want {fee}")
            }
            InvalidTransaction::CreateInitCodeSizeLimit => {
                "max initcode size exceeded: limit 49152 bytes".to_owned()
            }
            InvalidTransaction::RejectCallerWithCode => "sender not an eoa".to_owned(),
            InvalidTransaction::NonceTooHigh { tx, state } => {
                format!("nonce too high: next nonce {state}, tx nonce {tx}")
            }
            other => other.to_string(),
        }),
    }
}
