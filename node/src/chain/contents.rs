//! What was revealed, where events leave it out: in the data of the transaction.
//!
//! The contract reads arguments wherever their offsets lead, backwards too, and whoever reveals chooses the offsets. So they are followed here as the
//! contract follows them: contents that only a stricter reader misses would be contents that nobody can dispute.

use alloy::primitives::{B256, Bytes, I256, U256};
use alloy::sol_types::{SolCall, SolValue};

use super::abi::challenges::{
    revealDigestsCall, revealJobCall, revealLeavesCall, revealPostedCall,
};

const WORD: usize = 32;
/// Where the first argument begins.
const ARGUMENTS: usize = 4;
/// Where the offset of the argument after the claim and the record (seven words) is.
const THIRD: usize = ARGUMENTS + 8 * WORD;
const RUN_WORDS: usize = 9;

/// The contents, as an event would have them, of the call that revealed a claim's node; none for data that are not of such a call.
pub(super) fn contents_in(data: &[u8], claim: B256, position: U256) -> Option<Bytes> {
    let data = Data(data);
    if data.word(ARGUMENTS)? != claim
        || U256::from_be_bytes(data.word(ARGUMENTS + WORD)?.0) != position
    {
        return None;
    }
    let selector: [u8; 4] = data.0.get(..ARGUMENTS)?.try_into().ok()?;
    let third = data.tail(ARGUMENTS, THIRD)?;
    Some(match selector {
        revealDigestsCall::SELECTOR => data.words(third, 1)?.abi_encode().into(),
        revealLeavesCall::SELECTOR => data.leaves(third)?.abi_encode().into(),
        revealJobCall::SELECTOR => {
            let digests = data.tail(ARGUMENTS, THIRD + WORD)?;
            data.job(third, digests)?.into()
        }
        revealPostedCall::SELECTOR => data.bytes(third)?,
        _ => return None,
    })
}

/// The data of a call.
struct Data<'a>(&'a [u8]);

impl Data<'_> {
    fn word(&self, at: usize) -> Option<B256> {
        let bytes = self.0.get(at..at.checked_add(WORD)?)?;
        Some(B256::from_slice(bytes))
    }

    fn number(&self, at: usize) -> Option<usize> {
        U256::from_be_bytes(self.word(at)?.0).try_into().ok()
    }

    /// Where the offset at a place leads from its base; offsets have a sign.
    fn tail(&self, base: usize, at: usize) -> Option<usize> {
        let offset = isize::try_from(I256::from_be_bytes(self.word(at)?.0)).ok()?;
        base.checked_add_signed(offset)
    }

    /// A list of elements of `size` words each, as words.
    fn words(&self, at: usize, size: usize) -> Option<Vec<B256>> {
        let bytes = self.number(at)?.checked_mul(size)?.checked_mul(WORD)?;
        let from = at.checked_add(WORD)?;
        let list = self.0.get(from..from.checked_add(bytes)?)?;
        Some(list.chunks_exact(WORD).map(B256::from_slice).collect())
    }

    fn bytes(&self, at: usize) -> Option<Bytes> {
        let length = self.number(at)?;
        let from = at.checked_add(WORD)?;
        let bytes = self.0.get(from..from.checked_add(length)?)?;
        Some(Bytes::copy_from_slice(bytes))
    }

    fn leaves(&self, at: usize) -> Option<Vec<Bytes>> {
        let base = at.checked_add(WORD)?;
        let count = self.number(at)?;
        // The offsets are in the data, which bounds their number.
        if self.0.len() / WORD < count {
            return None;
        }
        (0..count)
            .map(|i| self.bytes(self.tail(base, base.checked_add(i.checked_mul(WORD)?)?)?))
            .collect()
    }

    /// abi.encode(job, digests).
    fn job(&self, at: usize, digests: usize) -> Option<Vec<u8>> {
        let of = |word: usize| self.tail(at, at.checked_add(word * WORD)?);
        let runs = self.words(of(2)?, RUN_WORDS)?;
        let roots = self.words(of(3)?, 1)?;
        let digests = self.words(digests, 1)?;
        let number = |words: usize| B256::from(U256::from(words));
        let roots_at = 5 + runs.len();
        let digests_at = 2 + roots_at + 1 + roots.len();
        let mut all = vec![number(2 * WORD), number(digests_at * WORD)];
        all.extend([
            self.word(at)?,
            self.word(at.checked_add(WORD)?)?,
            number(4 * WORD),
            number(roots_at * WORD),
            number(runs.len() / RUN_WORDS),
        ]);
        all.extend(runs);
        all.push(number(roots.len()));
        all.extend(roots);
        all.push(number(digests.len()));
        all.extend(digests);
        Some(all.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::abi::challenges::{Job, Record, Run};

    const CLAIM: B256 = B256::repeat_byte(0xc1);

    fn record() -> Record {
        Record {
            position: U256::from(77),
            parentHash: B256::repeat_byte(1),
            value: B256::repeat_byte(2),
            times: U256::from(3),
            funds: U256::from(4),
            shape: U256::from(5),
            job: B256::repeat_byte(6),
        }
    }

    fn read(data: &[u8]) -> Option<Bytes> {
        contents_in(data, CLAIM, U256::from(77))
    }

    fn run(n: u32) -> Run {
        Run {
            nPrompt: n,
            nTokens: 2 * n,
            finish: 1,
            tokensRoot: B256::repeat_byte(7),
            offsetsRoot: B256::repeat_byte(8),
            textRoot: B256::repeat_byte(9),
            textLength: 10,
            score: -11,
            greedy: true,
        }
    }

    #[test]
    fn each_reveal_is_read_as_its_event_would_have_it() {
        let digests = vec![B256::repeat_byte(0xd1), B256::repeat_byte(0xd2)];
        let call = revealDigestsCall {
            claimId: CLAIM,
            record: record(),
            digests: digests.clone(),
        };
        assert_eq!(read(&call.abi_encode()), Some(digests.abi_encode().into()));
        let leaves: Vec<Bytes> = vec![vec![1; 256].into(), vec![].into(), vec![2; 33].into()];
        let call = revealLeavesCall {
            claimId: CLAIM,
            record: record(),
            leaves: leaves.clone(),
        };
        assert_eq!(read(&call.abi_encode()), Some(leaves.abi_encode().into()));
        for runs in [vec![], vec![run(3)], vec![run(3), run(4)]] {
            let job = Job {
                inputId: U256::from(12),
                scoreRoot: B256::ZERO,
                traceRoots: vec![B256::repeat_byte(0xee); runs.len()],
                runs,
            };
            let call = revealJobCall {
                claimId: CLAIM,
                record: record(),
                job: job.clone(),
                digests: digests.clone(),
                signature: vec![5; 65].into(),
            };
            let expected = (job, digests.clone()).abi_encode_params();
            assert_eq!(read(&call.abi_encode()), Some(expected.into()));
        }
        let call = revealPostedCall {
            claimId: CLAIM,
            record: record(),
            contents: vec![9; 45].into(),
            signature: Bytes::new(),
        };
        assert_eq!(read(&call.abi_encode()), Some(vec![9; 45].into()));
    }

    /// Solidity takes them; who hides contents behind them must not get away with it.
    #[test]
    fn strange_offsets_are_followed() {
        let leaves: Vec<Bytes> = vec![vec![1; 40].into(), vec![2; 3].into()];
        let call = revealLeavesCall {
            claimId: CLAIM,
            record: record(),
            leaves: leaves.clone(),
        };
        let encoded = call.abi_encode();
        // The list moves behind everything, its elements stay where they are: before it.
        let (list, base) = (encoded.len(), encoded.len() + WORD);
        let old = THIRD + 2 * WORD;
        let mut data = encoded.clone();
        data.extend(U256::from(2).to_be_bytes::<32>());
        for i in 0..2 {
            let offset = U256::from_be_slice(&encoded[old + i * WORD..old + (i + 1) * WORD]);
            let at = I256::try_from(old).unwrap() + I256::from_raw(offset);
            let back = at - I256::try_from(base).unwrap();
            assert!(back.is_negative());
            data.extend(back.to_be_bytes::<32>());
        }
        data[THIRD..THIRD + WORD]
            .copy_from_slice(&U256::from(list - ARGUMENTS).to_be_bytes::<32>());
        assert!(
            revealLeavesCall::abi_decode(&data).is_err(),
            "a stricter reader"
        );
        assert_eq!(read(&data), Some(leaves.abi_encode().into()));
    }

    #[test]
    fn what_is_no_such_call_gives_nothing() {
        let call = revealPostedCall {
            claimId: CLAIM,
            record: record(),
            contents: vec![9; 45].into(),
            signature: Bytes::new(),
        };
        let good = call.abi_encode();
        assert!(contents_in(&good, B256::ZERO, U256::from(77)).is_none());
        assert!(contents_in(&good, CLAIM, U256::from(78)).is_none());
        for length in 0..THIRD + 2 * WORD {
            assert!(read(&good[..length]).is_none(), "{length} bytes");
        }
        let mut other = good.clone();
        other[0] ^= 1;
        assert!(read(&other).is_none());
        for high in [0x00, 0x7f, 0x80, 0xff] {
            for place in [THIRD, THIRD + 2 * WORD] {
                let mut bad = good.clone();
                bad[place..place + WORD].fill(0xfe);
                bad[place] = high;
                assert!(read(&bad).is_none());
            }
        }
    }
}
