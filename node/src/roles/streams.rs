//! Tokens of jobs that are being computed, for whoever watches. Unfinal: nothing vouches for them yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// One new token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPiece {
    /// Run.
    pub run: u32,
    /// Its index among the run's new tokens.
    pub index: u32,
    /// Id.
    pub token: u32,
    /// The bytes it adds to the text.
    pub piece: Vec<u8>,
}

/// The jobs in progress.
#[derive(Debug)]
pub struct Streams {
    live: Mutex<HashMap<u64, Vec<TokenPiece>>>,
    news: watch::Sender<u64>,
}

impl Default for Streams {
    fn default() -> Streams {
        Streams {
            live: Mutex::default(),
            news: watch::channel(0).0,
        }
    }
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Vec<TokenPiece>>> {
        // Nothing that holds the lock can leave a half-written list.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a job's list.
    pub fn start(&self, input: u64) {
        self.lock().insert(input, Vec::new());
    }

    /// Adds a token.
    pub fn push(&self, input: u64, run: u32, token: u32, piece: &[u8]) {
        if let Some(items) = self.lock().get_mut(&input) {
            let index = items
                .iter()
                .rev()
                .find(|item| item.run == run)
                .map_or(0, |last| last.index + 1);
            items.push(TokenPiece {
                run,
                index,
                token,
                piece: piece.to_vec(),
            });
        }
        self.news.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Changes with every token. Apart from the store's news: the roles have nothing to do because of a token.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Ends a job's list: its result is in the store, or there is none.
    pub fn end(&self, input: u64) {
        self.lock().remove(&input);
    }

    /// The job's tokens from number `from` on; nothing when it is not in progress.
    pub fn since(&self, input: u64, from: usize) -> Option<Vec<TokenPiece>> {
        self.lock()
            .get(&input)
            .map(|items| items.get(from..).unwrap_or_default().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_watchers_get_what_was_there() {
        let streams = Streams::default();
        assert_eq!(streams.since(1, 0), None);
        streams.start(1);
        for (run, token) in [(0, 5), (1, 6), (0, 7)] {
            streams.push(1, run, token, b"a");
        }
        let all = streams.since(1, 0).unwrap();
        assert_eq!(
            all.iter()
                .map(|t| (t.run, t.index, t.token))
                .collect::<Vec<_>>(),
            [(0, 0, 5), (1, 0, 6), (0, 1, 7)]
        );
        assert_eq!(streams.since(1, 2).unwrap().len(), 1);
        assert_eq!(streams.since(1, 9).unwrap(), []);
        streams.end(1);
        assert_eq!(streams.since(1, 0), None);
    }
}
