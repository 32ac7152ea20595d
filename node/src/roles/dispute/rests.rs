//! Growing pauses for what failed, so that one failure does not keep other claims waiting.

use std::collections::BTreeMap;
use std::time::Instant;

use super::super::RoleError;
use super::super::supervisor::backoff;

/// What rests, and how long.
#[derive(Debug)]
pub(super) struct Rests<K>(BTreeMap<K, (u32, Instant)>);

impl<K> Default for Rests<K> {
    fn default() -> Self {
        Rests(BTreeMap::new())
    }
}

impl<K: Ord + std::fmt::Debug> Rests<K> {
    /// Whether something may be tried.
    pub(super) fn allows(&self, key: &K) -> bool {
        self.0
            .get(key)
            .is_none_or(|(_, until)| Instant::now() >= *until)
    }

    /// Takes note of how a try ended; logs a failure. What gave no error and yet did nothing rests too: the same would come again at once.
    pub(super) fn note(&mut self, key: K, what: &str, outcome: Result<bool, RoleError>) {
        let error = match outcome {
            Ok(true) => {
                self.0.remove(&key);
                return;
            }
            Ok(false) => None,
            Err(error) => Some(error),
        };
        let (failures, until) = self.0.entry(key).or_insert_with(|| (0, Instant::now()));
        *failures += 1;
        *until = Instant::now() + backoff(*failures);
        if let Some(error) = error {
            tracing::warn!(what, failures, %error, "this move has to wait; trying again");
        }
        if self.0.len() > 10_000 {
            self.0.retain(|_, (_, until)| Instant::now() < *until);
        }
    }
}
