//! Beginnings that prompts have in common: they run once, and later prompts take their keys and values.

use crate::backend::PAGE_POSITIONS;

/// Fewest tokens that are worth sharing: a page of a cache.
pub(super) const LEAST: usize = PAGE_POSITIONS;

/// How many tokens two sequences begin with alike.
pub(super) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[derive(Debug)]
struct Kept {
    tokens: Vec<u32>,
    sequence: usize,
}

/// Prompts of jobs that ended, whose sequences are kept; the latest used last.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    kept: Vec<Kept>,
}

impl Prefixes {
    /// The sequence that begins most like `prompt`, and how many tokens of it do; at least [`LEAST`].
    pub(super) fn find(&mut self, prompt: &[u32]) -> Option<(usize, usize)> {
        let alike = |kept: &Kept| common(&kept.tokens, prompt);
        let best = (0..self.kept.len()).max_by_key(|i| alike(&self.kept[*i]))?;
        let length = alike(&self.kept[best]);
        if length < LEAST {
            return None;
        }
        let kept = self.kept.remove(best);
        let sequence = kept.sequence;
        self.kept.push(kept);
        Some((sequence, length))
    }

    /// Keeps a sequence that has run these tokens, with `room` tokens in all. Gives the sequences that are not kept (any longer).
    pub(super) fn keep(&mut self, tokens: Vec<u32>, sequence: usize, room: usize) -> Vec<usize> {
        if tokens.len() < LEAST || tokens.len() > room {
            return vec![sequence];
        }
        let covered = |kept: &Kept| common(&kept.tokens, &tokens) == tokens.len();
        if let Some(place) = self.kept.iter().position(covered) {
            let kept = self.kept.remove(place);
            self.kept.push(kept);
            return vec![sequence];
        }
        // What the new one begins with is in it.
        let (mut out, mut kept): (Vec<Kept>, Vec<Kept>) = std::mem::take(&mut self.kept)
            .into_iter()
            .partition(|kept| common(&kept.tokens, &tokens) == kept.tokens.len());
        kept.push(Kept { tokens, sequence });
        let mut total: usize = kept.iter().map(|kept| kept.tokens.len()).sum();
        while total > room {
            let oldest = kept.remove(0);
            total -= oldest.tokens.len();
            out.push(oldest);
        }
        self.kept = kept;
        out.into_iter().map(|kept| kept.sequence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_prompts_are_kept_and_found() {
        let prompt = |first: u32, length: usize| -> Vec<u32> {
            (0..length as u32)
                .map(|i| if i < 70 { first } else { i })
                .collect()
        };
        let mut prefixes = Prefixes::default();
        assert_eq!(prefixes.find(&prompt(1, 100)), None);
        assert_eq!(
            prefixes.keep(prompt(1, LEAST - 1), 7, 300),
            [7],
            "too short"
        );
        assert_eq!(prefixes.keep(prompt(1, 301), 7, 300), [7], "too long");
        assert!(prefixes.keep(prompt(1, 80), 0, 300).is_empty());
        assert!(prefixes.keep(prompt(2, 100), 1, 300).is_empty());
        assert_eq!(prefixes.find(&prompt(1, 75)), Some((0, 75)));
        assert_eq!(prefixes.find(&[1; 100]), Some((0, 70)));
        assert_eq!(prefixes.find(&[3; 100]), None);
        assert_eq!(prefixes.keep(prompt(1, 80), 5, 300), [5], "it is there");
        assert_eq!(
            prefixes.keep(prompt(1, 90), 6, 300),
            [0],
            "a longer one stands for it"
        );
        assert_eq!(
            prefixes.keep(prompt(4, 150), 8, 300),
            [1],
            "the one used longest ago"
        );
        assert_eq!(prefixes.find(&prompt(1, 100)), Some((6, 90)));
        assert_eq!(prefixes.find(&[1; 10]), None);
    }
}
