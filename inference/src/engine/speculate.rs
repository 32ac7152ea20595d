//! Guessing the next tokens of a run from what it said before. A guess is never taken on trust: it runs, and the selection rule decides.

/// Tokens at the end of a run that are looked for earlier in it.
const NEEDLE: usize = 3;
/// Guesses of a row at most: with the row itself they are as many as kernels take at once.
pub(super) const GUESSES: usize = 3;
/// How often a run that guesses badly tries again.
const RETRY: usize = 16;

/// How well a run's guesses do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speculation {
    /// About how many guesses of the latest steps were right.
    right: f32,
}

impl Default for Speculation {
    fn default() -> Speculation {
        Speculation { right: 1.0 }
    }
}

impl Speculation {
    /// At most `most` tokens that may follow: those that followed the latest earlier place where the run had the same last tokens.
    pub(super) fn guess(self, tokens: &[u32], most: usize) -> &[u32] {
        let worth = self.right >= 0.75 || tokens.len().is_multiple_of(RETRY);
        if most == 0 || !worth || tokens.len() <= NEEDLE {
            return &[];
        }
        let (earlier, needle) = (
            &tokens[..tokens.len() - 1],
            &tokens[tokens.len() - NEEDLE..],
        );
        let Some(place) = earlier.windows(NEEDLE).rposition(|window| window == needle) else {
            return &[];
        };
        let rest = &tokens[place + NEEDLE..];
        &rest[..most.min(rest.len())]
    }

    /// Notes how many guesses of a step were right.
    pub(super) fn note(&mut self, right: usize) {
        self.right = 0.8 * self.right + 0.2 * right as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_follow_the_latest_repetition() {
        let good = Speculation::default();
        let tokens = [1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 1, 2, 3];
        assert_eq!(good.guess(&tokens, 3), [5, 6, 1]);
        assert_eq!(good.guess(&tokens, 1), [5]);
        assert!(good.guess(&tokens, 0).is_empty());
        assert_eq!(good.guess(&tokens[..8], 3), [4, 9, 1]);
        assert_eq!(good.guess(&[7, 7, 7, 7], 3), [7]);
        assert!(good.guess(&[1, 2, 3], 3).is_empty());
        assert!(good.guess(&[], 3).is_empty());
        let mut bad = good;
        (0..9).for_each(|_| bad.note(0));
        assert!(bad.guess(&tokens, 3).is_empty(), "it gave up");
        (0..5).for_each(|_| bad.note(3));
        assert_eq!(bad.guess(&tokens, 3), [5, 6, 1]);
    }
}
