//! What can go wrong with the store.

use std::path::PathBuf;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder could not be opened.
    #[error(
        "store {path}: {source}; is another node running on this data directory? stop it or give another --datadir"
    )]
    Open {
        /// The store's folder.
        path: PathBuf,
        /// The reason.
        source: sled::Error,
    },
    /// The store was written by another version.
    #[error("store {path}: found schema {}, expected {expected}; move the folder away, the node reads everything again from the chain", found.map_or_else(|| "unreadable".to_owned(), |n| n.to_string()))]
    Schema {
        /// The store's folder.
        path: PathBuf,
        /// The schema on disk.
        found: Option<u32>,
        /// The schema of this program.
        expected: u32,
    },
    /// Reading or writing failed.
    #[error("store: {0}; check that the disk is healthy and not full")]
    Disk(#[from] sled::Error),
    /// A record cannot be read.
    #[error(
        "store: table {table}, key {key}: {source}; the store is damaged: move it away, the node reads everything again from the chain"
    )]
    Damaged {
        /// The table's tag.
        table: u8,
        /// The key in hex.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}
