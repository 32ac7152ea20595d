//! Typed tables over one sled tree, and atomic batches over several of them.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Store, StoreError};

/// Bytes of a key whose order is the order of the values.
pub trait Key: Sized {
    /// The key's bytes.
    fn to_bytes(&self) -> Vec<u8>;
    /// The key of these bytes, if they are one.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// A table: its tag and the types of its keys and values.
#[derive(Debug)]
pub struct Table<K, V> {
    tag: u8,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for Table<K, V> {}

impl<K: Key, V: Serialize + DeserializeOwned> Table<K, V> {
    /// A table with a tag of its own.
    pub(super) const fn new(tag: u8) -> Table<K, V> {
        Table {
            tag,
            types: PhantomData,
        }
    }

    fn path(&self, key: &[u8]) -> Vec<u8> {
        let mut path = Vec::with_capacity(1 + key.len());
        path.push(self.tag);
        path.extend_from_slice(key);
        path
    }

    fn parse(&self, key: &[u8], value: &[u8]) -> Result<V, StoreError> {
        serde_json::from_slice(value).map_err(|source| StoreError::Damaged {
            table: self.tag,
            key: alloy::hex::encode(key),
            source,
        })
    }
}

fn encode<V: Serialize>(tag: u8, value: &V) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|source| StoreError::Damaged {
        table: tag,
        key: "(new)".into(),
        source,
    })
}

impl Store {
    /// A record, if there is one.
    pub fn read<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: Table<K, V>,
        key: &K,
    ) -> Result<Option<V>, StoreError> {
        let path = table.path(&key.to_bytes());
        self.tree
            .get(&path)?
            .map(|value| table.parse(&path, &value))
            .transpose()
    }

    /// Whether a record is there.
    pub fn contains<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: Table<K, V>,
        key: &K,
    ) -> Result<bool, StoreError> {
        Ok(self.tree.contains_key(table.path(&key.to_bytes()))?)
    }

    /// All records in key order.
    pub fn scan<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: Table<K, V>,
    ) -> impl DoubleEndedIterator<Item = Result<(K, V), StoreError>> + use<K, V> {
        self.scan_under(table, &[])
    }

    /// The records whose key starts with the bytes of `prefix`, in key order.
    pub fn scan_under<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: Table<K, V>,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(K, V), StoreError>> + use<K, V> {
        items(table, self.tree.scan_prefix(table.path(prefix)))
    }

    /// The records from `start` on, in key order.
    pub fn scan_from<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: Table<K, V>,
        start: &K,
    ) -> impl DoubleEndedIterator<Item = Result<(K, V), StoreError>> + use<K, V> {
        let end = vec![table.tag + 1];
        items(table, self.tree.range(table.path(&start.to_bytes())..end))
    }

    /// The last record in key order.
    pub fn last<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: Table<K, V>,
    ) -> Result<Option<(K, V)>, StoreError> {
        self.scan(table).next_back().transpose()
    }

    /// Writes one record at once (not flushed).
    pub fn put<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: Table<K, V>,
        key: &K,
        value: &V,
    ) -> Result<(), StoreError> {
        self.tree
            .insert(table.path(&key.to_bytes()), encode(table.tag, value)?)?;
        Ok(())
    }

    /// Removes one record at once (not flushed).
    pub fn remove<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: Table<K, V>,
        key: &K,
    ) -> Result<(), StoreError> {
        self.tree.remove(table.path(&key.to_bytes()))?;
        Ok(())
    }

    /// Starts a batch that becomes visible as a whole.
    pub fn begin(&self) -> Writes<'_> {
        Writes {
            store: self,
            overlay: BTreeMap::new(),
        }
    }
}

fn items<K: Key, V: Serialize + DeserializeOwned>(
    table: Table<K, V>,
    iter: sled::Iter,
) -> impl DoubleEndedIterator<Item = Result<(K, V), StoreError>> + use<K, V> {
    iter.filter_map(move |item| {
        let (path, value) = match item {
            Ok(pair) => pair,
            Err(err) => return Some(Err(err.into())),
        };
        // A prefix scan with an empty prefix still starts with the tag; a foreign key can only be damage.
        let key = K::from_bytes(path.get(1..)?)?;
        Some(table.parse(&path, &value).map(|value| (key, value)))
    })
}

/// A batch; reads through it see its own writes.
#[derive(Debug)]
pub struct Writes<'a> {
    store: &'a Store,
    overlay: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Writes<'_> {
    /// A record as the batch leaves it.
    pub fn read<K: Key, V: Serialize + DeserializeOwned>(
        &self,
        table: Table<K, V>,
        key: &K,
    ) -> Result<Option<V>, StoreError> {
        let path = table.path(&key.to_bytes());
        match self.overlay.get(&path) {
            Some(Some(value)) => table.parse(&path, value).map(Some),
            Some(None) => Ok(None),
            None => self.store.read(table, key),
        }
    }

    /// The last record in key order, as the batch leaves it. Only records that were put (not removed) in this batch are considered beside the store's.
    pub fn last<K: Key + Ord, V: Serialize + DeserializeOwned>(
        &self,
        table: Table<K, V>,
    ) -> Result<Option<(K, V)>, StoreError> {
        let stored = self.store.last(table)?;
        let fresh = self
            .overlay
            .range(vec![table.tag]..vec![table.tag + 1])
            .rev()
            .find_map(|(path, value)| {
                Some((K::from_bytes(path.get(1..)?)?, path, value.as_ref()?))
            });
        match (stored, fresh) {
            (Some((old, value)), Some((new, ..))) if old > new => Ok(Some((old, value))),
            (_, Some((new, path, value))) => Ok(Some((new, table.parse(path, value)?))),
            (stored, None) => Ok(stored),
        }
    }

    /// Puts a record.
    pub fn put<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: Table<K, V>,
        key: &K,
        value: &V,
    ) -> Result<(), StoreError> {
        self.overlay
            .insert(table.path(&key.to_bytes()), Some(encode(table.tag, value)?));
        Ok(())
    }

    /// Removes a record.
    pub fn remove<K: Key, V: Serialize + DeserializeOwned>(&mut self, table: Table<K, V>, key: &K) {
        self.overlay.insert(table.path(&key.to_bytes()), None);
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.overlay.is_empty()
    }

    /// Applies the batch atomically; not yet flushed.
    pub fn commit(self) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (path, value) in self.overlay {
            match value {
                Some(value) => batch.insert(path, value),
                None => batch.remove(path),
            }
        }
        self.store.tree.apply_batch(batch)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Store, tables};
    use alloy::primitives::Address;

    #[test]
    fn a_batch_sees_itself_and_lands_whole() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1, Address::ZERO, std::time::Duration::ZERO).unwrap();
        store.put(tables::UNSEALED, &5, &()).unwrap();
        store.put(tables::UNANSWERED, &1, &()).unwrap();
        let mut writes = store.begin();
        assert!(writes.is_empty());
        writes.remove(tables::UNSEALED, &5);
        writes.put(tables::UNANSWERED, &9, &()).unwrap();
        assert_eq!(writes.read(tables::UNSEALED, &5).unwrap(), None);
        assert_eq!(writes.read(tables::UNANSWERED, &9).unwrap(), Some(()));
        assert_eq!(writes.last(tables::UNANSWERED).unwrap(), Some((9, ())));
        assert!(
            store.contains(tables::UNSEALED, &5).unwrap(),
            "nothing is visible before the commit"
        );
        writes.commit().unwrap();
        assert!(!store.contains(tables::UNSEALED, &5).unwrap());
        // Tables do not run into each other.
        let keys: Vec<u64> = store
            .scan(tables::UNANSWERED)
            .map(|item| item.unwrap().0)
            .collect();
        assert_eq!(keys, [1, 9]);
        let from: Vec<u64> = store
            .scan_from(tables::UNANSWERED, &2)
            .map(|item| item.unwrap().0)
            .collect();
        assert_eq!(from, [9]);
    }
}
