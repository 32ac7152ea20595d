//! The header that a seal proves against its block's hash.

use alloy::consensus::Header;
use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{B256, Bytes, keccak256};
use alloy::providers::Provider;

use super::{ChainClient, ChainError};

/// A block's header as the inbox wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealHeader {
    /// Block number.
    pub number: u64,
    /// Block hash, equal to the hash of `rlp`.
    pub hash: B256,
    /// The randomness in it.
    pub mix_hash: B256,
    /// Encoding.
    pub rlp: Bytes,
}

/// The header's RLP, if it gives the hash that the chain states.
pub fn header_rlp(header: &Header, hash: B256) -> Result<Bytes, ChainError> {
    let rlp = alloy::rlp::encode(header);
    let found = keccak256(&rlp);
    if found != hash {
        return Err(ChainError::BadAnswer {
            what: format!("header of block {}", header.number),
            found: format!("fields that hash to {found}"),
            expected: format!(
                "{hash}; this chain's headers have fields that this program does not know"
            ),
        });
    }
    Ok(rlp.into())
}

impl ChainClient {
    /// The header of a block, or nothing when the chain does not have it.
    pub async fn seal_header(&self, number: u64) -> Result<Option<SealHeader>, ChainError> {
        let block = self
            .request("eth_getBlockByNumber", |p| async move {
                p.get_block_by_number(BlockNumberOrTag::Number(number))
                    .await
            })
            .await?;
        let Some(block) = block else { return Ok(None) };
        let (header, hash) = (block.header.inner, block.header.hash);
        let rlp = header_rlp(&header, hash)?;
        Ok(Some(SealHeader {
            number,
            hash,
            mix_hash: header.mix_hash,
            rlp,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_does_not_give_its_hash_is_refused() {
        let header = Header {
            number: 7,
            mix_hash: B256::repeat_byte(9),
            base_fee_per_gas: Some(7),
            ..Header::default()
        };
        let hash = header.hash_slow();
        let rlp = header_rlp(&header, hash).unwrap();
        assert_eq!(keccak256(&rlp), hash);
        assert!(header_rlp(&header, B256::ZERO).is_err());
    }
}
