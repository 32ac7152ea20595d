//! A chain of one machine: deploy, ask, send.

use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256, address};
use alloy_sol_types::SolCall;
use revm::context::result::{ExecutionResult, HaltReason, Output};
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::handler::MainnetContext;
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountInfo, Bytecode};
use revm::{DatabaseCommit, ExecuteEvm, MainBuilder};

use crate::artifact::bytecode;

/// Osaka: CLZ, the transaction gas cap, the floor of call data.
const SPEC: SpecId = SpecId::OSAKA;

/// Who deploys and calls unless another account is named; it has wei without end.
pub const CALLER: Address = address!("00000000000000000000000000000000c0ffee00");

/// Gas of a question, which no block has to hold.
const QUESTION_GAS: u64 = 1 << 44;
/// EIP-7825: the most that a transaction may use.
const TRANSACTION_GAS: u64 = 1 << 24;

/// What a call or transaction gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Returned bytes.
    pub data: Bytes,
    /// Events.
    pub logs: Vec<Log>,
    /// Gas of the transaction as it is billed: with the intrinsic cost, the floor of EIP-7623 and refunds.
    pub gas: u64,
    /// Gas of the execution alone, before refunds.
    pub execution: u64,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It reverted with these bytes.
    Revert(Bytes),
    /// It stopped otherwise: no gas, a bad instruction.
    Halt(String),
    /// The transaction was not valid.
    Invalid(String),
}

impl Failure {
    /// The error's selector, if it reverted with one.
    pub fn selector(&self) -> Option<[u8; 4]> {
        match self {
            Failure::Revert(data) => data.get(..4)?.try_into().ok(),
            _ => None,
        }
    }

    /// Whether it reverted with the error `E`.
    pub fn is<E: alloy_sol_types::SolError>(&self) -> bool {
        self.selector() == Some(E::SELECTOR)
    }
}

/// World and block. Questions change nothing, transactions do.
#[derive(Debug)]
pub struct Evm {
    evm: revm::MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>,
}

impl Default for Evm {
    fn default() -> Evm {
        Evm::new()
    }
}

impl Evm {
    /// An empty world at block 1000; chain id 1.
    pub fn new() -> Evm {
        let context: MainnetContext<CacheDB<EmptyDB>> =
            Context::new(CacheDB::new(EmptyDB::default()), SPEC);
        let mut config = CfgEnv::new().with_spec_and_mainnet_gas_params(SPEC);
        config.disable_nonce_check = true;
        config.tx_gas_limit_cap = Some(u64::MAX);
        let block = BlockEnv {
            number: U256::from(1000),
            timestamp: U256::from(1_800_000_000_u64),
            gas_limit: u64::MAX,
            prevrandao: Some(B256::repeat_byte(0x77)),
            ..BlockEnv::default()
        };
        let mut evm = Evm {
            evm: context.with_cfg(config).with_block(block).build_mainnet(),
        };
        evm.fund(CALLER, U256::from(1) << 128);
        evm
    }

    /// Moves to another block.
    pub fn set_block(&mut self, number: u64, timestamp: u64) {
        self.evm.ctx.block.number = U256::from(number);
        self.evm.ctx.block.timestamp = U256::from(timestamp);
    }

    /// Sets the block's randomness.
    pub fn set_prevrandao(&mut self, mix: B256) {
        self.evm.ctx.block.prevrandao = Some(mix);
    }

    /// Sets the base fee; transactions then pay it and no tip.
    pub fn set_base_fee(&mut self, wei: u64) {
        self.evm.ctx.block.basefee = wei;
    }

    /// Sets what BLOCKHASH answers for an earlier block.
    pub fn set_block_hash(&mut self, number: u64, hash: B256) {
        let cache = &mut self.db().cache;
        cache.block_hashes.insert(U256::from(number), hash);
    }

    /// Gives an account this balance.
    pub fn fund(&mut self, account: Address, wei: U256) {
        let mut info = self.info(account);
        info.balance = wei;
        self.db().insert_account_info(account, info);
    }

    /// Balance of an account.
    pub fn balance(&mut self, account: Address) -> U256 {
        self.info(account).balance
    }

    /// Puts code at an address without running a constructor.
    pub fn set_code(&mut self, account: Address, code: Bytes) {
        let mut info = self.info(account);
        let code = Bytecode::new_raw(code);
        info.code_hash = code.hash_slow();
        info.code = Some(code);
        self.db().insert_account_info(account, info);
    }

    /// Runs creation code.
    ///
    /// # Errors
    /// The constructor failed.
    pub fn deploy(&mut self, creation: impl Into<Bytes>) -> Result<Address, Failure> {
        let kind = TxKind::Create;
        let result = self.run(
            CALLER,
            kind,
            U256::ZERO,
            creation.into(),
            QUESTION_GAS,
            true,
        )?;
        match result {
            ExecutionResult::Success {
                output: Output::Create(_, Some(address)),
                ..
            } => Ok(address),
            other => Err(Failure::Halt(format!("no contract was made: {other:?}"))),
        }
    }

    /// Deploys the contract `name` with ABI-encoded constructor arguments.
    ///
    /// # Errors
    /// The constructor failed.
    pub fn deploy_artifact(&mut self, name: &str, arguments: &[u8]) -> Result<Address, Failure> {
        self.deploy([&bytecode(name), arguments].concat())
    }

    /// Asks; changes nothing, and no gas limit matters.
    ///
    /// # Errors
    /// The call failed.
    pub fn call(&mut self, to: Address, data: impl Into<Bytes>) -> Result<Outcome, Failure> {
        let data = data.into();
        let before = intrinsic(&data);
        let result = self.run(CALLER, to.into(), U256::ZERO, data, QUESTION_GAS, false)?;
        outcome(result, before)
    }

    /// Asks with types; the second value is the outcome with its gas.
    ///
    /// # Errors
    /// The call failed, or the answer has another type.
    pub fn ask<C: SolCall>(
        &mut self,
        to: Address,
        call: &C,
    ) -> Result<(C::Return, Outcome), Failure> {
        let outcome = self.call(to, call.abi_encode())?;
        let value = C::abi_decode_returns(&outcome.data)
            .map_err(|err| Failure::Halt(format!("unreadable answer: {err}")))?;
        Ok((value, outcome))
    }

    /// Sends a transaction from `from`, with the protocol's gas cap. Its changes stay, also the fee's when the base fee is not 0.
    ///
    /// # Errors
    /// The transaction failed.
    pub fn send(
        &mut self,
        from: Address,
        to: Address,
        value: U256,
        data: impl Into<Bytes>,
    ) -> Result<Outcome, Failure> {
        let data = data.into();
        let before = intrinsic(&data);
        let result = self.run(from, to.into(), value, data, TRANSACTION_GAS, true)?;
        outcome(result, before)
    }

    fn run(
        &mut self,
        from: Address,
        kind: TxKind,
        value: U256,
        data: Bytes,
        gas_limit: u64,
        keep: bool,
    ) -> Result<ExecutionResult<HaltReason>, Failure> {
        // A question costs nothing, whatever the base fee.
        let base_fee = self.evm.ctx.block.basefee;
        let paid = gas_limit == TRANSACTION_GAS;
        self.evm.ctx.cfg.disable_base_fee = !paid;
        let transaction = TxEnv {
            caller: from,
            kind,
            value,
            data,
            gas_limit,
            gas_price: if paid { u128::from(base_fee) } else { 0 },
            nonce: self.info(from).nonce,
            ..TxEnv::default()
        };
        let ran = self
            .evm
            .transact(transaction)
            .map_err(|err| Failure::Invalid(format!("{err:?}")))?;
        if keep {
            self.db().commit(ran.state);
        }
        match ran.result {
            ExecutionResult::Revert { output, .. } => Err(Failure::Revert(output)),
            ExecutionResult::Halt { reason, .. } => Err(Failure::Halt(format!("{reason:?}"))),
            success => Ok(success),
        }
    }

    fn info(&mut self, account: Address) -> AccountInfo {
        let cached = self.db().cache.accounts.get(&account);
        cached.map(|a| a.info.clone()).unwrap_or_default()
    }

    fn db(&mut self) -> &mut CacheDB<EmptyDB> {
        &mut self.evm.ctx.journaled_state.database
    }
}

/// Cost of a transaction before it runs: 21,000, 4 for a zero byte of its data and 16 for another.
fn intrinsic(data: &[u8]) -> u64 {
    let zeros = data.iter().filter(|byte| **byte == 0).count() as u64;
    21_000 + 4 * zeros + 16 * (data.len() as u64 - zeros)
}

fn outcome(result: ExecutionResult<HaltReason>, before: u64) -> Result<Outcome, Failure> {
    match result {
        ExecutionResult::Success {
            gas, logs, output, ..
        } => Ok(Outcome {
            data: output.into_data(),
            logs,
            gas: gas.tx_gas_used(),
            execution: gas.total_gas_spent().saturating_sub(before),
        }),
        other => Err(Failure::Halt(format!("{other:?}"))),
    }
}
