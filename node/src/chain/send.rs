//! Transactions: nonces in order, fees by EIP-1559, receipts, reverts with their reason.

use std::time::{Duration, Instant};

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::network::{TransactionBuilder, TxSignerSync};
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::sol_types::SolCall;
use tokio::sync::Mutex;

use super::{ChainClient, ChainError};

/// The largest gas of one transaction (EIP-7825).
pub(crate) const TRANSACTION_GAS_CAP: u64 = 1 << 24;
/// A nonce handed out is remembered this long; after that the chain's word counts again.
const NONCE_MEMORY: Duration = Duration::from_secs(20);

/// How often a waiting client asks whether the chain still knows its transaction.
const DROP_CHECK: Duration = Duration::from_millis(1_500);

/// How much gas a transaction gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gas {
    /// What the chain estimates, and a quarter more.
    Estimate,
    /// What the chain estimates, a quarter and this much more. For calls that pay by the base fee: estimates take it as zero, so they miss that an account
    /// is credited.
    EstimateAnd(u64),
    /// This much. For transactions that only work after others that are on their way.
    Limit(u64),
}

/// A transaction on its way.
#[derive(Debug, Clone)]
pub struct Sent {
    what: String,
    /// Hashes of all versions with rising fees; one of them is mined.
    hashes: Vec<B256>,
    tx: TxEip1559,
}

impl Sent {
    /// Hash of the latest version.
    pub fn hash(&self) -> B256 {
        self.hashes.last().copied().unwrap_or_default()
    }
}

/// Hands nonces out one by one.
#[derive(Debug, Default)]
pub(super) struct NonceKeeper {
    next: Mutex<Option<(u64, Instant)>>,
}

impl ChainClient {
    /// Sends a call and waits until it is mined.
    pub async fn transact<C: SolCall>(
        &self,
        to: Address,
        call: &C,
        value: U256,
    ) -> Result<TransactionReceipt, ChainError> {
        let sent = self.send(to, call, value, Gas::Estimate).await?;
        self.confirm(sent).await
    }

    /// Sends a call; [`ChainClient::confirm`] waits for it. A call that would revert is refused with its reason and costs nothing.
    pub async fn send<C: SolCall>(
        &self,
        to: Address,
        call: &C,
        value: U256,
        gas: Gas,
    ) -> Result<Sent, ChainError> {
        self.send_raw(
            C::SIGNATURE,
            TxKind::Call(to),
            call.abi_encode().into(),
            value,
            gas,
        )
        .await
    }

    /// Sends any transaction.
    pub async fn send_raw(
        &self,
        what: &str,
        to: TxKind,
        input: Bytes,
        value: U256,
        gas: Gas,
    ) -> Result<Sent, ChainError> {
        let signer = self
            .inner
            .signer
            .as_ref()
            .ok_or_else(|| ChainError::NoSigner {
                what: what.to_owned(),
            })?;
        let from = signer.address();
        let gas_limit = match gas {
            Gas::Limit(limit) => limit.min(TRANSACTION_GAS_CAP),
            Gas::Estimate | Gas::EstimateAnd(_) => {
                let more = match gas {
                    Gas::EstimateAnd(more) => more,
                    _ => 0,
                };
                let request = request_of(from, to, &input, value);
                let estimate = self
                    .request(what, |p| {
                        let request = request.clone();
                        async move { p.estimate_gas(request).await }
                    })
                    .await;
                let estimate = match estimate {
                    Ok(estimate) => estimate,
                    Err(err) => return Err(self.explain_poverty(what, from, value, err).await),
                };
                (estimate + estimate / 4)
                    .saturating_add(more)
                    .min(TRANSACTION_GAS_CAP)
            }
        };
        let fees = self
            .request("eth_feeHistory", |p| async move {
                p.estimate_eip1559_fees().await
            })
            .await?;
        let tx = TxEip1559 {
            chain_id: self.inner.chain_id,
            nonce: 0,
            gas_limit,
            max_fee_per_gas: fees.max_fee_per_gas.max(fees.max_priority_fee_per_gas),
            max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
            to,
            value,
            input,
            ..TxEip1559::default()
        };
        let mut next = self.inner.nonces.next.lock().await;
        let remembered = next
            .filter(|(_, at)| at.elapsed() < NONCE_MEMORY)
            .map(|(nonce, _)| nonce);
        let mut nonce = self.pending_nonce(from).await?.max(remembered.unwrap_or(0));
        for attempt in 0.. {
            let tx = TxEip1559 {
                nonce,
                ..tx.clone()
            };
            match self.broadcast(what, &tx).await {
                Ok(hash) => {
                    *next = Some((nonce + 1, Instant::now()));
                    return Ok(Sent {
                        what: what.to_owned(),
                        hashes: vec![hash],
                        tx,
                    });
                }
                Err(ChainError::Refused { reason, .. })
                    if is_nonce_trouble(&reason) && attempt < 4 =>
                {
                    tracing::debug!(what, nonce, reason, "nonce refused; asking the chain again");
                    *next = None;
                    tokio::time::sleep(self.inner.options.backoff).await;
                    nonce = self.pending_nonce(from).await?;
                }
                Err(err) => return Err(self.explain_poverty(what, from, value, err).await),
            }
        }
        unreachable!("the loop above ends by returning")
    }

    /// Waits until a transaction is mined, raising its fee when it takes too long. A reverted one is an error with the reason.
    pub async fn confirm(&self, mut sent: Sent) -> Result<TransactionReceipt, ChainError> {
        let options = &self.inner.options;
        for raise in 0..=options.fee_raises {
            let deadline = Instant::now() + options.receipt_timeout;
            let mut check_at = Instant::now() + DROP_CHECK;
            let mut unknown = 0;
            while Instant::now() < deadline {
                for hash in sent.hashes.iter().rev().copied() {
                    let receipt = self
                        .request("eth_getTransactionReceipt", |p| async move {
                            p.get_transaction_receipt(hash).await
                        })
                        .await?;
                    if let Some(receipt) = receipt {
                        return self.judge(&sent, receipt).await;
                    }
                }
                if Instant::now() >= check_at {
                    check_at = Instant::now() + DROP_CHECK;
                    unknown = if self.is_known(&sent).await? {
                        0
                    } else {
                        unknown + 1
                    };
                    if unknown == 2 {
                        self.forget_nonces().await;
                        return Err(ChainError::Dropped {
                            what: sent.what.clone(),
                            hash: sent.hash(),
                        });
                    }
                }
                tokio::time::sleep(options.poll_interval.min(Duration::from_secs(2))).await;
            }
            if raise < options.fee_raises {
                self.raise_fee(&mut sent).await;
            }
        }
        let seconds = options.receipt_timeout.as_secs() * u64::from(options.fee_raises + 1);
        Err(ChainError::NotMined {
            what: sent.what.clone(),
            hash: sent.hash(),
            seconds,
        })
    }

    /// Whether the chain still knows one of the versions; it forgets them when it is reorganised or its pool overflows.
    async fn is_known(&self, sent: &Sent) -> Result<bool, ChainError> {
        for hash in sent.hashes.iter().copied() {
            if self.knows(hash).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Counts nonces from the chain's word again: transactions that were counted on are gone.
    pub async fn forget_nonces(&self) {
        *self.inner.nonces.next.lock().await = None;
    }

    async fn judge(
        &self,
        sent: &Sent,
        receipt: TransactionReceipt,
    ) -> Result<TransactionReceipt, ChainError> {
        if receipt.status() {
            return Ok(receipt);
        }
        // Run it again on the state before its block, to learn why. The answer may differ from what happened; then say so.
        let request = request_of(receipt.from, sent.tx.to, &sent.tx.input, sent.tx.value)
            .with_gas_limit(sent.tx.gas_limit);
        let before = BlockId::Number(BlockNumberOrTag::Number(
            receipt.block_number.unwrap_or_default(),
        ));
        let replay = self
            .request(&sent.what, |p| {
                let request = request.clone();
                async move { p.call(request).block(before).await }
            })
            .await;
        match replay {
            Err(err @ ChainError::Reverted { .. }) => Err(err),
            _ => Err(ChainError::BadAnswer {
                what: format!("{} in transaction {}", sent.what, receipt.transaction_hash),
                found: format!(
                    "a revert without reason after {} of {} gas",
                    receipt.gas_used, sent.tx.gas_limit
                ),
                expected: "success".into(),
            }),
        }
    }

    async fn raise_fee(&self, sent: &mut Sent) {
        // Nodes ask for at least 10 % more for a replacement.
        sent.tx.max_fee_per_gas += sent.tx.max_fee_per_gas / 4 + 1;
        sent.tx.max_priority_fee_per_gas += sent.tx.max_priority_fee_per_gas / 4 + 1;
        match self.broadcast(&sent.what, &sent.tx).await {
            Ok(hash) => {
                tracing::warn!(what = sent.what, %hash, nonce = sent.tx.nonce, "transaction is slow; sent again with a higher fee");
                sent.hashes.push(hash);
            }
            // "nonce too low" here means that an earlier version was mined in between.
            Err(err) => tracing::debug!(what = sent.what, %err, "could not raise the fee"),
        }
    }

    async fn broadcast(&self, what: &str, tx: &TxEip1559) -> Result<B256, ChainError> {
        let signer = self
            .inner
            .signer
            .as_ref()
            .ok_or_else(|| ChainError::NoSigner {
                what: what.to_owned(),
            })?;
        let mut tx = tx.clone();
        let signature = signer.sign_transaction_sync(&mut tx)?;
        let envelope: TxEnvelope = tx.into_signed(signature).into();
        let hash = *envelope.tx_hash();
        let raw = envelope.encoded_2718();
        let answer = self
            .request(what, |p| {
                let raw = raw.clone();
                async move {
                    p.send_raw_transaction(&raw)
                        .await
                        .map(|pending| *pending.tx_hash())
                }
            })
            .await;
        match answer {
            // A repeated request whose first answer got lost.
            Err(ChainError::Refused { reason, .. })
                if reason.to_lowercase().contains("already known")
                    || reason.contains("already imported") =>
            {
                Ok(hash)
            }
            // The same, and it was mined meanwhile: another one with the next nonce would do everything twice.
            Err(ChainError::Refused { ref reason, .. })
                if is_nonce_trouble(reason) && self.knows(hash).await? =>
            {
                Ok(hash)
            }
            Ok(_) => Ok(hash),
            Err(err) => Err(err),
        }
    }

    async fn knows(&self, hash: B256) -> Result<bool, ChainError> {
        let found = self
            .request("eth_getTransactionByHash", |p| async move {
                p.get_transaction_by_hash(hash).await
            })
            .await?;
        Ok(found.is_some())
    }

    async fn pending_nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.request("eth_getTransactionCount", |p| async move {
            p.get_transaction_count(account).pending().await
        })
        .await
    }

    async fn explain_poverty(
        &self,
        what: &str,
        account: Address,
        value: U256,
        err: ChainError,
    ) -> ChainError {
        let poor = matches!(&err, ChainError::Refused { reason, .. } if reason.to_lowercase().contains("insufficient"));
        if !poor {
            return err;
        }
        match self.balance(account).await {
            Ok(found_wei) => ChainError::Poor {
                what: what.to_owned(),
                account,
                found_wei,
                expected_wei: value,
            },
            Err(_) => err,
        }
    }
}

fn request_of(from: Address, to: TxKind, input: &Bytes, value: U256) -> TransactionRequest {
    let mut request = TransactionRequest::default()
        .with_from(from)
        .with_input(input.clone())
        .with_value(value);
    request.to = Some(to);
    request
}

fn is_nonce_trouble(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    reason.contains("nonce") || reason.contains("replacement transaction underpriced")
}
