//! Keys sort as their values do: big-endian integers, then the parts one after another.

use alloy::primitives::B256;

use super::records::{LaneKey, VoucherKey};
use super::table::Key;

fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

impl Key for u64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<u64> {
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl Key for () {
    fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }
    fn from_bytes(bytes: &[u8]) -> Option<()> {
        bytes.is_empty().then_some(())
    }
}

impl Key for B256 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<B256> {
        B256::try_from(bytes).ok()
    }
}

impl Key for (B256, B256) {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.as_slice(), self.1.as_slice()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<(B256, B256)> {
        (bytes.len() == 64).then_some(())?;
        Some((
            B256::from(take::<32>(bytes, 0)?),
            B256::from(take::<32>(bytes, 32)?),
        ))
    }
}

impl Key for (B256, u64) {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.as_slice(), &self.1.to_be_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<(B256, u64)> {
        (bytes.len() == 40).then_some(())?;
        Some((
            B256::from(take::<32>(bytes, 0)?),
            u64::from_be_bytes(take(bytes, 32)?),
        ))
    }
}

impl Key for LaneKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.epoch.to_be_bytes()[..], self.model.as_slice()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<LaneKey> {
        (bytes.len() == 40).then_some(())?;
        Some(LaneKey {
            epoch: u64::from_be_bytes(take(bytes, 0)?),
            model: B256::from(take::<32>(bytes, 8)?),
        })
    }
}

impl Key for (LaneKey, u32) {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.to_bytes(), self.1.to_be_bytes().to_vec()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<(LaneKey, u32)> {
        (bytes.len() == 44).then_some(())?;
        Some((
            LaneKey::from_bytes(&bytes[..40])?,
            u32::from_be_bytes(take(bytes, 40)?),
        ))
    }
}

impl Key for (LaneKey, B256) {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.to_bytes(), self.1.to_vec()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<(LaneKey, B256)> {
        (bytes.len() == 72).then_some(())?;
        Some((
            LaneKey::from_bytes(&bytes[..40])?,
            B256::from(take::<32>(bytes, 40)?),
        ))
    }
}

impl Key for VoucherKey {
    fn to_bytes(&self) -> Vec<u8> {
        [
            &self.input.to_be_bytes()[..],
            &self.run.to_be_bytes(),
            &self.chunk.to_be_bytes(),
        ]
        .concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<VoucherKey> {
        (bytes.len() == 16).then_some(())?;
        Some(VoucherKey {
            input: u64::from_be_bytes(take(bytes, 0)?),
            run: u32::from_be_bytes(take(bytes, 8)?),
            chunk: u32::from_be_bytes(take(bytes, 12)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_round_trip_and_sort(a in any::<(u64, u32, u32)>(), b in any::<(u64, u32, u32)>(), m in any::<[u8; 32]>()) {
            let key = |k: (u64, u32, u32)| VoucherKey { input: k.0, run: k.1, chunk: k.2 };
            prop_assert_eq!(VoucherKey::from_bytes(&key(a).to_bytes()), Some(key(a)));
            prop_assert_eq!(key(a).to_bytes().cmp(&key(b).to_bytes()), a.cmp(&b));
            let lane = LaneKey { epoch: a.0, model: B256::from(m) };
            prop_assert_eq!(LaneKey::from_bytes(&lane.to_bytes()), Some(lane));
            prop_assert_eq!(<(LaneKey, u32)>::from_bytes(&(lane, a.1).to_bytes()), Some((lane, a.1)));
            prop_assert_eq!(<(LaneKey, B256)>::from_bytes(&(lane, lane.model).to_bytes()), Some((lane, lane.model)));
            prop_assert_eq!(LaneKey::from_bytes(&m), None);
        }
    }
}
