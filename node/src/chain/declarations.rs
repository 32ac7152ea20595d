//! Declarations (`prover/SPEC.md` section 10.6): who says early, and without saying where, that a node shows a fault has the reward, whoever's proof is first.

use alloy::primitives::{Address, B256, keccak256};
use sworn_prover::record::{Word, record};
use sworn_prover::{Address as ProverAddress, Digest};

use super::abi::challenges;
use super::{ChainClient, ChainError, Deployment};
use crate::store::StoredRecord;

/// The record's tag, as the contract has it.
const TAG: &str = "sworn/declaration/1";

/// A declaration that this client's account can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declaration {
    /// What is sent first.
    pub hash: B256,
    /// What is sent when it is named.
    pub salt: B256,
}

impl Declaration {
    /// That of a node by an account.
    pub fn of(
        d: &Deployment,
        claim: B256,
        node: &StoredRecord,
        challenger: Address,
        salt: B256,
    ) -> Declaration {
        let fields = [
            Word::from(d.chain_id),
            Word::from(ProverAddress(d.disputes.into_array())),
            Word(claim.0),
            Word(node.position.0),
            Word::from(ProverAddress(challenger.into_array())),
            Word(salt.0),
        ];
        let Digest(hash) = record(TAG, &fields);
        Declaration {
            hash: B256::from(hash),
            salt,
        }
    }
}

impl ChainClient {
    /// The declaration of a node as its record is now; none without an account. Its salt follows from the account's key and the record, so a node that was
    /// killed names what it declared before, and what was declared of a node that waits is not what is declared of it once it is revealed.
    pub fn declaration(
        &self,
        d: &Deployment,
        claim: B256,
        node: &StoredRecord,
    ) -> Option<Declaration> {
        let us = self.account()?;
        Some(Declaration::of(
            d,
            claim,
            node,
            us,
            self.salt_of(node.hash(claim))?,
        ))
    }

    /// A number that nobody without the key can know: Keccak is a sponge, so what it gives for a key and a message tells neither.
    fn salt_of(&self, message: B256) -> Option<B256> {
        let key = self.inner.signer.as_ref()?.to_bytes();
        let tag = record(TAG, &[]).0;
        Some(keccak256(
            [key.as_slice(), &tag, message.as_slice()].concat(),
        ))
    }

    /// When a declaration was made, in seconds; 0 if it was not.
    pub async fn declared_at(&self, d: &Deployment, declaration: B256) -> Result<u64, ChainError> {
        let call = challenges::declaredAtCall { declaration };
        Ok(self.view(d.disputes, call).await?.saturating_to())
    }
}
