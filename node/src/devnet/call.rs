//! Questions to the chain: calls and gas estimates on any kept state.

use alloy::primitives::{Bytes, TxKind, U256};
use alloy::rpc::types::state::StateOverride;
use alloy::rpc::types::{BlockOverrides, TransactionRequest};
use alloy::sol_types::{Panic, Revert, SolError};
use revm::context::TxEnv;
use revm::context::result::{ExecutionResult, HaltReason};
use revm::context_interface::either::Either;

use super::chain::{Chain, View};
use super::error::Refusal;
use super::evm::{Machine, Strictness, TRANSACTION_GAS_CAP};

/// What a call may pretend.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    pub(super) state: StateOverride,
    pub(super) block: BlockOverrides,
}

/// A binary search may stop this close above the least sufficient gas, as go-ethereum does.
const ESTIMATE_ERROR: f64 = 0.015;

impl Chain {
    /// Executes a call and returns its output.
    pub(super) fn call(
        &self,
        view: View,
        request: &TransactionRequest,
        overrides: Overrides,
    ) -> Result<Bytes, Refusal> {
        let gas_limit = view.block.header.gas_limit;
        let mut machine = self.machine(view);
        apply_overrides(&mut machine, overrides)?;
        let transaction = call_env(&mut machine, request, self.rules.chain_id, gas_limit)?;
        output(machine.run(transaction, Strictness::Call)?.result)
    }

    /// The least gas limit (within 1.5 %) with which a transaction succeeds.
    pub(super) fn estimate_gas(
        &self,
        view: View,
        request: &TransactionRequest,
        overrides: Overrides,
    ) -> Result<u64, Refusal> {
        let limit = view.block.header.gas_limit.min(TRANSACTION_GAS_CAP);
        let mut machine = self.machine(view);
        apply_overrides(&mut machine, overrides)?;
        let transaction = call_env(&mut machine, request, self.rules.chain_id, limit)?;
        let mut high = transaction.gas_limit;
        let mut run = |gas_limit: u64| {
            machine
                .run(
                    TxEnv {
                        gas_limit,
                        ..transaction.clone()
                    },
                    Strictness::Call,
                )
                .map(|outcome| outcome.result)
        };

        let first = run(high).map_err(|refusal| match refusal {
            Refusal::IntrinsicGas { .. } => Refusal::GasAllowance(high),
            other => other,
        })?;
        let gas = *first.gas();
        match first {
            ExecutionResult::Success { .. } => {}
            ExecutionResult::Halt {
                reason: HaltReason::OutOfGas(_),
                ..
            } => {
                return Err(Refusal::GasAllowance(high));
            }
            failed => return output(failed).map(|_| high),
        }
        let used = gas.tx_gas_used();
        if used < high && run(used).is_ok_and(|result| result.is_success()) {
            return Ok(used);
        }
        // It was not enough: refunds come late, or calls keep back 1/64.
        let mut low = used;
        let likely = gas
            .total_gas_spent()
            .saturating_add(2_300)
            .saturating_mul(64)
            / 63;
        let mut middle = likely.min(low.saturating_mul(2));
        while low + 1 < high {
            if (high - low) as f64 / (high as f64) < ESTIMATE_ERROR && middle != likely {
                break;
            }
            let gas_limit = middle.clamp(low + 1, high - 1);
            // Too little for the intrinsic gas is a refusal, not an outcome: also "too low".
            if run(gas_limit).is_ok_and(|result| result.is_success()) {
                high = gas_limit;
            } else {
                low = gas_limit;
            }
            // Most transactions need little: do not begin in the middle of millions.
            middle = (low + (high - low) / 2).min(low.saturating_mul(2));
        }
        Ok(high)
    }
}

/// The output of a success, or the refusal a client expects.
fn output(result: ExecutionResult) -> Result<Bytes, Refusal> {
    match result {
        ExecutionResult::Success { output, .. } => Ok(output.into_data()),
        ExecutionResult::Revert { output, .. } => Err(Refusal::Reverted {
            reason: revert_reason(&output),
            data: output,
        }),
        ExecutionResult::Halt { reason, .. } => Err(Refusal::Halted(match reason {
            HaltReason::OutOfGas(_) => "out of gas".to_owned(),
            HaltReason::OpcodeNotFound | HaltReason::NotActivated => "invalid opcode".to_owned(),
            HaltReason::InvalidFEOpcode => "invalid opcode: INVALID".to_owned(),
            other => other.to_string(),
        })),
    }
}

/// The text of `Error(string)` or the meaning of `Panic(uint256)`.
fn revert_reason(data: &[u8]) -> Option<String> {
    if let Ok(revert) = Revert::abi_decode(data) {
        return Some(revert.reason);
    }
    let panic = Panic::abi_decode(data).ok()?;
    Some(panic.kind().map_or_else(
        || format!("unknown panic code: {:#x}", panic.code),
        |kind| kind.as_str().to_owned(),
    ))
}

fn call_env<H: Fn(u64) -> Option<alloy::primitives::B256>>(
    machine: &mut Machine<H>,
    request: &TransactionRequest,
    chain_id: u64,
    gas_limit: u64,
) -> Result<TxEnv, Refusal> {
    if request.has_eip4844_fields() {
        return Err(Refusal::TransactionType(3));
    }
    let caller = request.from.unwrap_or_default();
    let input = request
        .input
        .clone()
        .try_into_unique_input()
        .map_err(|error| Refusal::Invalid(error.to_string()))?
        .unwrap_or_default();
    let value = request.value.unwrap_or_default();
    let fee = request
        .max_fee_per_gas
        .or(request.gas_price)
        .unwrap_or_default();
    if fee == 0 {
        // Nobody pays, so no base fee is due; BASEFEE reads 0 then, as in go-ethereum. A tip
        // without a limit is one that the client has yet to complete.
        machine.env_mut().basefee = 0;
    }
    let mut gas_limit = request.gas.unwrap_or(gas_limit).min(gas_limit);
    if fee > 0 {
        let balance = machine.world_mut().balance(caller);
        let funds = balance
            .checked_sub(value)
            .ok_or(Refusal::InsufficientFunds {
                sender: caller,
                balance,
                cost: value,
            })?;
        let affordable = funds / U256::from(fee);
        gas_limit = gas_limit.min(u64::try_from(affordable).unwrap_or(u64::MAX));
    }
    let tip = request
        .max_priority_fee_per_gas
        .filter(|_| fee > 0)
        .unwrap_or_default();
    let authorizations = request.authorization_list.clone().unwrap_or_default();
    let tx_type = if !authorizations.is_empty() {
        4
    } else if request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some() {
        2
    } else {
        u8::from(request.access_list.is_some())
    };
    Ok(TxEnv {
        tx_type,
        caller,
        gas_limit,
        gas_price: fee,
        kind: request.to.unwrap_or(TxKind::Create),
        value,
        data: input,
        nonce: machine.world_mut().nonce(caller),
        // Typed transactions must name a chain; a question may leave it out.
        chain_id: request.chain_id.or(Some(chain_id)),
        access_list: request.access_list.clone().unwrap_or_default(),
        gas_priority_fee: (tx_type >= 2).then_some(tip),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: authorizations.into_iter().map(Either::Left).collect(),
    })
}

fn apply_overrides<H: Fn(u64) -> Option<alloy::primitives::B256>>(
    machine: &mut Machine<H>,
    overrides: Overrides,
) -> Result<(), Refusal> {
    let block = overrides.block;
    let env = machine.env_mut();
    if let Some(number) = block.number {
        env.number = number;
    }
    if let Some(time) = block.time {
        env.timestamp = U256::from(time);
    }
    if let Some(coinbase) = block.coinbase {
        env.beneficiary = coinbase;
    }
    if let Some(random) = block.random {
        env.prevrandao = Some(random);
    }
    if let Some(base_fee) = block.base_fee {
        env.basefee = u64::try_from(base_fee)
            .map_err(|_| Refusal::Invalid(format!("base fee override {base_fee}: at most 2^64")))?;
    }
    for (address, account) in overrides.state {
        if account.move_precompile_to.is_some() {
            return Err(Refusal::Invalid(
                "movePrecompileToAddress is not supported".to_owned(),
            ));
        }
        if account.state.is_some() && account.state_diff.is_some() {
            return Err(Refusal::Invalid(format!(
                "account {address} has both state and stateDiff"
            )));
        }
        machine.world_mut().change(address, |entry| {
            if let Some(balance) = account.balance {
                entry.balance = balance;
            }
            if let Some(nonce) = account.nonce {
                entry.nonce = nonce;
            }
            if let Some(code) = account.code {
                entry.set_code(code);
            }
            if account.state.is_some() {
                entry.storage = Default::default();
            }
            for (slot, value) in account.state.or(account.state_diff).into_iter().flatten() {
                entry.set_slot(slot.into(), value.into());
            }
        });
    }
    Ok(())
}
