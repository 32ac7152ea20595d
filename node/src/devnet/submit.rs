//! Taking transactions in, and mining them at once where the chain does so.

use alloy::consensus::transaction::Recovered;
use alloy::consensus::{Transaction, TxEnvelope, TxType};
use alloy::primitives::{B256, KECCAK256_EMPTY, U256};

use super::chain::{Chain, View};
use super::error::Refusal;
use super::evm::{Strictness, transaction_env};

impl Chain {
    /// Checks a transaction, puts it into the pool and, when automining, mines it: its receipt
    /// is there when this returns, unless its nonce is in the future.
    pub(super) fn submit(
        &mut self,
        transaction: Recovered<TxEnvelope>,
        now: u64,
    ) -> Result<B256, Refusal> {
        self.admit(&transaction, now)?;
        let hash = self.enqueue(transaction)?;
        if self.settings.automine {
            for (dropped, reason) in self.mine_waiting(now)? {
                if dropped == hash {
                    return Err(reason);
                }
            }
        }
        Ok(hash)
    }

    /// Mines blocks while there is something executable. Returns what was found unfit.
    pub(super) fn mine_waiting(&mut self, now: u64) -> Result<Vec<(B256, Refusal)>, Refusal> {
        let mut unfit = Vec::new();
        loop {
            let world = self.world();
            let waiting = self.pool.len();
            if self
                .pool
                .executable(self.next_base_fee(), |s| world.nonce(s))
                .next()
                .is_none()
            {
                return Ok(unfit);
            }
            unfit.extend(self.mine(now)?);
            if self.pool.len() == waiting {
                // What waits does not fit into a block of the present gas limit.
                return Ok(unfit);
            }
        }
    }

    fn admit(&self, transaction: &Recovered<TxEnvelope>, now: u64) -> Result<(), Refusal> {
        if transaction.tx_type() == TxType::Eip4844 {
            return Err(Refusal::TransactionType(TxType::Eip4844 as u8));
        }
        let expected = self.rules.chain_id;
        if let Some(found) = transaction.chain_id().filter(|found| *found != expected) {
            return Err(Refusal::ChainId { found, expected });
        }
        let sender = transaction.signer();
        let impersonated = self.is_impersonated(sender);
        let world = self.world();
        let next = world.nonce(sender);
        if transaction.nonce() < next {
            return Err(Refusal::NonceTooLow {
                next,
                found: transaction.nonce(),
            });
        }
        if transaction.nonce() == u64::MAX {
            return Err(Refusal::NonceMax);
        }
        let has_code = world
            .account(sender)
            .is_some_and(|a| a.code_hash != KECCAK256_EMPTY && !a.code.is_eip7702());
        if has_code && !impersonated {
            return Err(Refusal::SenderHasCode(sender));
        }

        // Fees are compared with the base fee only where the transaction would be mined at once;
        // otherwise it may wait for a better time.
        let mut header = self.next_header(now);
        if self.settings.automine {
            let base_fee = header.base_fee_per_gas.unwrap_or_default();
            let max_fee = transaction.max_fee_per_gas();
            if max_fee < u128::from(base_fee) {
                return Err(Refusal::FeeTooLow { max_fee, base_fee });
            }
        } else {
            header.base_fee_per_gas = Some(0);
        }
        let strictness = if impersonated {
            Strictness::AnySender
        } else {
            Strictness::Protocol
        };
        self.machine(View::of_header(header, world.clone()))
            .check(transaction_env(transaction), strictness)?;

        let balance = world.balance(sender);
        // 2^24 gas times a 128-bit fee fits; the value may be anything.
        let cost = (U256::from(transaction.gas_limit())
            * U256::from(transaction.max_fee_per_gas()))
        .saturating_add(transaction.value());
        if balance < cost {
            return Err(Refusal::InsufficientFunds {
                sender,
                balance,
                cost,
            });
        }
        Ok(())
    }
}
