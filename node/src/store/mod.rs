//! What a node keeps between two lives: one sled tree per (schema, chain, deployment).
//!
//! Everything lives in a single tree whose keys start with a table's tag, so a batch over several tables is atomic. What is
//! read from the chain can be read again; what this node computed or sent is flushed before anything outside depends on it.

mod challenges;
mod error;
mod keys;
mod lines;
mod records;
mod rewind;
mod table;
pub mod tables;

use std::path::Path;
use std::time::Duration;

use alloy::primitives::Address;

pub use challenges::{
    Opening, Reveal, StoredFall, StoredNode, StoredRecord, StoredReward, StoredSettlement,
    StoredVerdict, line_of,
};
pub use error::StoreError;
#[cfg(test)]
pub(crate) use lines::tests as made;
pub use lines::{Line, Lines};
pub use records::{
    Attempt, ClaimEnd, Cursor, Delivery, LaneKey, NodeReport, RearmRecord, ReportKind, Seal,
    Settlement, SettlementKind, StoredClaim, StoredInput, StoredModel, StoredResult, StoredRun,
    VoucherKey,
};
pub use table::{Key, Table, Writes};

/// Raised when a stored record changes its shape; a store of another schema is refused, never guessed at.
pub const SCHEMA: u32 = 3;

const META: &str = "sworn";
const SCHEMA_KEY: &str = "schema";

/// A node's store for one deployment.
#[derive(Debug, Clone)]
pub struct Store {
    db: sled::Db,
    tree: sled::Tree,
}

impl Store {
    /// Opens or creates the store in `dir` and selects the deployment's own namespace in it.
    ///
    /// Another process (or a node that is still shutting down) may hold the lock for a moment: waits up to `patience`.
    pub fn open(
        dir: &Path,
        chain_id: u64,
        inbox: Address,
        patience: Duration,
    ) -> Result<Store, StoreError> {
        let db = open_patiently(dir, patience)?;
        check_schema(&db, dir)?;
        let tree = db.open_tree(format!("{chain_id}/{inbox:#x}"))?;
        Ok(Store { db, tree })
    }

    /// A store that keeps nothing, for who reads the chain once.
    pub fn scratch() -> Result<Store, StoreError> {
        let db = sled::Config::new().temporary(true).open()?;
        let tree = db.open_tree(META)?;
        Ok(Store { db, tree })
    }

    /// Waits until everything written so far is on the disk.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.db.flush()?;
        Ok(())
    }
}

fn open_patiently(dir: &Path, patience: Duration) -> Result<sled::Db, StoreError> {
    let deadline = std::time::Instant::now() + patience;
    loop {
        match sled::Config::new()
            .path(dir)
            .mode(sled::Mode::HighThroughput)
            .open()
        {
            Ok(db) => return Ok(db),
            Err(source) => {
                if std::time::Instant::now() >= deadline {
                    return Err(StoreError::Open {
                        path: dir.to_path_buf(),
                        source,
                    });
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn check_schema(db: &sled::Db, dir: &Path) -> Result<(), StoreError> {
    let meta = db.open_tree(META)?;
    match meta.get(SCHEMA_KEY)? {
        None => {
            meta.insert(SCHEMA_KEY, &SCHEMA.to_be_bytes())?;
            meta.flush()?;
            Ok(())
        }
        Some(found) if found.as_ref() == SCHEMA.to_be_bytes() => Ok(()),
        Some(found) => Err(StoreError::Schema {
            path: dir.to_path_buf(),
            found: <[u8; 4]>::try_from(found.as_ref())
                .map(u32::from_be_bytes)
                .ok(),
            expected: SCHEMA,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployments_do_not_see_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let one = Store::open(dir.path(), 1, Address::repeat_byte(1), Duration::ZERO).unwrap();
        one.put(tables::UNSEALED, &7, &()).unwrap();
        drop(one);
        let two = Store::open(
            dir.path(),
            1,
            Address::repeat_byte(2),
            Duration::from_secs(2),
        )
        .unwrap();
        assert!(!two.contains(tables::UNSEALED, &7).unwrap());
        drop(two);
        let other_chain = Store::open(
            dir.path(),
            2,
            Address::repeat_byte(1),
            Duration::from_secs(2),
        )
        .unwrap();
        assert!(!other_chain.contains(tables::UNSEALED, &7).unwrap());
        drop(other_chain);
        let again = Store::open(
            dir.path(),
            1,
            Address::repeat_byte(1),
            Duration::from_secs(2),
        )
        .unwrap();
        assert!(again.contains(tables::UNSEALED, &7).unwrap());
    }

    #[test]
    fn another_schema_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let db = sled::open(dir.path()).unwrap();
        db.open_tree(META)
            .unwrap()
            .insert(SCHEMA_KEY, &99u32.to_be_bytes())
            .unwrap();
        drop(db);
        let err = Store::open(dir.path(), 1, Address::ZERO, Duration::from_secs(2)).unwrap_err();
        assert!(
            matches!(
                err,
                StoreError::Schema {
                    found: Some(99),
                    expected: SCHEMA,
                    ..
                }
            ),
            "{err}"
        );
    }
}
