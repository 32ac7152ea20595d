//! Where the contracts are: `addresses.json`, keyed by chain id.

use std::collections::BTreeMap;
use std::path::Path;

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};

use super::ChainError;

/// The contracts of one deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// The chain; the key in the file.
    #[serde(skip)]
    pub chain_id: u64,
    /// Block from which events are read.
    pub block: u64,
    /// The machine whose arithmetic it proves.
    pub machine_version: u32,
    /// `Models`.
    pub models: Address,
    /// `IFees`.
    pub fees: Address,
    /// `Inbox`.
    pub inbox: Address,
    /// `Claims`.
    pub claims: Address,
    /// `IDisputes`: `Challenges`.
    pub disputes: Address,
    /// `IFaults`.
    pub faults: Address,
    /// `Vouchers`.
    pub vouchers: Address,
    /// `Prompts`.
    pub prompts: Address,
}

impl Deployment {
    /// Contracts by name.
    pub fn contracts(&self) -> [(&'static str, Address); 8] {
        [
            ("Models", self.models),
            ("Fees", self.fees),
            ("Inbox", self.inbox),
            ("Claims", self.claims),
            ("Challenges", self.disputes),
            ("Faults", self.faults),
            ("Vouchers", self.vouchers),
            ("Prompts", self.prompts),
        ]
    }
}

/// A file of deployments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployments(BTreeMap<u64, Deployment>);

impl Deployments {
    /// Reads a file; a missing one is empty.
    pub fn load(path: &Path) -> Result<Deployments, ChainError> {
        let bad = |reason: String| ChainError::DeploymentFile {
            path: path.to_path_buf(),
            reason,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Deployments::default());
            }
            Err(err) => return Err(bad(err.to_string())),
        };
        let by_chain: BTreeMap<String, Deployment> =
            serde_json::from_str(&text).map_err(|err| {
                bad(format!(
                    "{err}; expected {{\"<chain id>\": {{\"inbox\": \"0x...\", ...}}}}"
                ))
            })?;
        let mut all = BTreeMap::new();
        for (key, deployment) in by_chain {
            let chain_id: u64 = key.parse().map_err(|_| {
                bad(format!(
                    "found the key {key:?}, expected a decimal chain id"
                ))
            })?;
            all.insert(
                chain_id,
                Deployment {
                    chain_id,
                    ..deployment
                },
            );
        }
        Ok(Deployments(all))
    }

    /// Writes the file whole: a reader never sees half of it.
    pub fn save(&self, path: &Path) -> Result<(), ChainError> {
        let bad = |reason: String| ChainError::DeploymentFile {
            path: path.to_path_buf(),
            reason,
        };
        let mut text = serde_json::to_string_pretty(&self.0).map_err(|err| bad(err.to_string()))?;
        text.push('\n');
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|err| bad(err.to_string()))?;
        }
        let fresh = path.with_extension("json.new");
        std::fs::write(&fresh, text).map_err(|err| bad(err.to_string()))?;
        std::fs::rename(&fresh, path).map_err(|err| bad(err.to_string()))
    }

    /// The deployment on a chain.
    pub fn on_chain(&self, chain_id: u64) -> Option<&Deployment> {
        self.0.get(&chain_id)
    }

    /// The deployment on a chain, or an error that names the chains of the file.
    pub fn require(&self, chain_id: u64, path: &Path) -> Result<Deployment, ChainError> {
        self.0
            .get(&chain_id)
            .copied()
            .ok_or_else(|| ChainError::NoDeployment {
                path: path.to_path_buf(),
                chain_id,
                found: if self.0.is_empty() {
                    "none".into()
                } else {
                    format!(
                        "chains {}",
                        self.0
                            .keys()
                            .map(u64::to_string)
                            .collect::<Vec<_>>()
                            .join(", ")
                    )
                },
            })
    }

    /// Adds or replaces the deployment on its chain.
    pub fn insert(&mut self, deployment: Deployment) {
        self.0.insert(deployment.chain_id, deployment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_round_trip_and_errors_say_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/addresses.json");
        let mut all = Deployments::load(&path).unwrap();
        assert!(
            all.require(1, &path)
                .unwrap_err()
                .to_string()
                .contains("found none")
        );
        let a = |n| Address::repeat_byte(n);
        let one = Deployment {
            chain_id: 31337,
            block: 5,
            machine_version: 1,
            models: a(1),
            fees: a(2),
            inbox: a(3),
            claims: a(4),
            disputes: a(5),
            vouchers: a(6),
            prompts: a(7),
            faults: a(8),
        };
        all.insert(one);
        all.save(&path).unwrap();
        let back = Deployments::load(&path).unwrap();
        assert_eq!(back, all);
        assert_eq!(back.require(31337, &path).unwrap(), one);
        assert!(
            back.require(1, &path)
                .unwrap_err()
                .to_string()
                .contains("chains 31337")
        );
        std::fs::write(&path, "{\"x\": 1}").unwrap();
        assert!(matches!(
            Deployments::load(&path),
            Err(ChainError::DeploymentFile { .. })
        ));
    }
}
