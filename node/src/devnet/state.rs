//! The world state: accounts, code and storage as persistent tries, and revm's view of it.

use std::convert::Infallible;

use alloy::consensus::TrieAccount;
use alloy::primitives::map::AddressMap;
use alloy::primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use revm::state::{Account, AccountInfo, Bytecode};
use revm::{Database, DatabaseCommit};

use super::trie::{Trie, Value};

impl Value for U256 {
    fn encoded(&self) -> Vec<u8> {
        alloy::rlp::encode(self)
    }
}

/// One account with its storage.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) nonce: u64,
    pub(super) balance: U256,
    pub(super) code_hash: B256,
    pub(super) code: Bytecode,
    pub(super) storage: Trie<U256>,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            nonce: 0,
            balance: U256::ZERO,
            code_hash: KECCAK256_EMPTY,
            code: Bytecode::default(),
            storage: Trie::default(),
        }
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        // Slots without code exist only where a developer set them before the code.
        self.nonce == 0
            && self.balance.is_zero()
            && self.code_hash == KECCAK256_EMPTY
            && self.storage.is_empty()
    }

    pub(super) fn set_code(&mut self, code: Bytes) {
        self.code_hash = keccak256(&code);
        self.code = Bytecode::new_raw_checked(code.clone())
            // Ill-formed delegation designators (0xef01…) are stored as plain code: they then halt
            // when executed, as any undefined opcode does.
            .unwrap_or_else(|_| Bytecode::new_legacy(code));
    }

    pub(super) fn set_slot(&mut self, slot: U256, value: U256) {
        let key = keccak256(slot.to_be_bytes::<32>());
        if value.is_zero() {
            self.storage.remove(&key);
        } else {
            self.storage.insert(key, value);
        }
    }
}

impl Value for Entry {
    fn encoded(&self) -> Vec<u8> {
        alloy::rlp::encode(TrieAccount {
            nonce: self.nonce,
            balance: self.balance,
            storage_root: self.storage.root(),
            code_hash: self.code_hash,
        })
    }
}

/// All accounts at one moment. Cloning is free; see [`super::trie`].
#[derive(Clone, Default)]
pub(super) struct World {
    accounts: Trie<Entry>,
}

impl World {
    pub(super) fn account(&self, address: Address) -> Option<&Entry> {
        self.accounts.find(&keccak256(address))
    }

    pub(super) fn balance(&self, address: Address) -> U256 {
        self.account(address)
            .map_or(U256::ZERO, |account| account.balance)
    }

    pub(super) fn nonce(&self, address: Address) -> u64 {
        self.account(address).map_or(0, |account| account.nonce)
    }

    pub(super) fn code(&self, address: Address) -> Bytes {
        self.account(address)
            .map_or_else(Bytes::new, |account| account.code.original_bytes())
    }

    pub(super) fn slot(&self, address: Address, slot: U256) -> U256 {
        self.account(address)
            .and_then(|account| account.storage.find(&keccak256(slot.to_be_bytes::<32>())))
            .copied()
            .unwrap_or_default()
    }

    /// Changes one account; an account left empty disappears (EIP-161).
    pub(super) fn change(&mut self, address: Address, change: impl FnOnce(&mut Entry)) {
        let key = keccak256(address);
        let mut account = self.accounts.find(&key).cloned().unwrap_or_default();
        change(&mut account);
        if account.is_empty() {
            self.accounts.remove(&key);
        } else {
            self.accounts.insert(key, account);
        }
    }

    /// The state root.
    pub(super) fn root(&self) -> B256 {
        self.accounts.root()
    }

    /// Merkle proof of an account (or of its absence).
    pub(super) fn account_proof(&self, address: Address) -> Vec<Vec<u8>> {
        self.accounts.proof(&keccak256(address))
    }
}

impl DatabaseCommit for World {
    fn commit(&mut self, changes: AddressMap<Account>) {
        for (address, changed) in changes {
            if !changed.is_touched() {
                continue;
            }
            self.change(address, |account| {
                if changed.is_selfdestructed() {
                    *account = Entry::default();
                    return;
                }
                if changed.is_created() {
                    account.storage = Trie::default();
                }
                account.nonce = changed.info.nonce;
                account.balance = changed.info.balance;
                account.code_hash = changed.info.code_hash;
                if let Some(code) = &changed.info.code {
                    account.code = code.clone();
                }
                for (slot, value) in changed.changed_storage_slots() {
                    account.set_slot(*slot, value.present_value);
                }
            });
        }
    }
}

/// A state to execute on: a world, and the hashes of the blocks below.
pub(super) struct ChainState<H> {
    pub(super) world: World,
    /// Hash by block number; asked only for the 256 blocks that BLOCKHASH may see.
    pub(super) block_hash: H,
}

impl<H: Fn(u64) -> Option<B256>> Database for ChainState<H> {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.world.account(address).map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: Some(account.code.clone()),
            ..Default::default()
        }))
    }

    fn code_by_hash(&mut self, _: B256) -> Result<Bytecode, Infallible> {
        // Never asked: `basic` always brings the code.
        Ok(Bytecode::default())
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Infallible> {
        Ok(self.world.slot(address, slot))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        Ok((self.block_hash)(number).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use alloy::consensus::proofs::{state_root_unhashed, storage_root_unhashed};

    use super::*;

    #[test]
    fn root_equals_the_reference() {
        let mut world = World::default();
        let mut naive = std::collections::BTreeMap::new();
        for i in 0u8..60 {
            let address = Address::repeat_byte(i);
            world.change(address, |account| {
                account.nonce = u64::from(i);
                account.balance = U256::from(u64::from(i) * 1_000_000_007);
                if i % 3 == 0 {
                    account.set_code(Bytes::from(vec![0x60, i]));
                }
                for slot in 0..u64::from(i % 7) {
                    account.set_slot(U256::from(slot), U256::from(slot * 1_000 + 5));
                }
            });
            let slots = (0..u64::from(i % 7))
                .map(|slot| (B256::from(U256::from(slot)), U256::from(slot * 1_000 + 5)));
            let code_hash = if i % 3 == 0 {
                keccak256([0x60, i])
            } else {
                KECCAK256_EMPTY
            };
            naive.insert(
                address,
                TrieAccount {
                    nonce: u64::from(i),
                    balance: U256::from(u64::from(i) * 1_000_000_007),
                    storage_root: storage_root_unhashed(slots),
                    code_hash,
                },
            );
        }
        assert_eq!(world.root(), state_root_unhashed(naive));
    }
}
