//! When to guess a run's next tokens, and the guesses that its own text gives. A guess is never taken on trust: it runs together with the token
//! before it, and the selection rule decides. So clocks and luck may say when to guess; no token depends on it.

/// Tokens at the end of a run that are looked for earlier in it.
const NEEDLE: usize = 3;
/// Guesses of a row at most: with the row itself they are as many as kernels take at once.
const GUESSES: usize = 3;
/// Rows of a step that may guess at most.
const ROWS: usize = GUESSES + 1;
/// What a row more adds to a step, as far as nobody has measured: little, as the weights are read once for all rows.
const ROW_PRIOR: f32 = 0.1;
/// How much faster guessing must look before it is done.
const MARGIN: f32 = 1.05;
/// Weight of the latest guess in a run's rate.
const WEIGHT: f32 = 0.15;
/// Tokens between two trials of a run whose guesses do not pay: the first pause, which doubles, and the longest.
const PAUSES: [u32; 2] = [16, 512];

/// Whether tokens are guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// Never.
    Off,
    /// Where it pays, by what steps cost and how many guesses were right.
    Measured,
    /// Whenever there is a guess.
    Always,
}

/// Seconds of steps on this machine, by their rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Costs {
    /// Of the model's own steps with 1 to 4 rows; 0 where none was measured.
    steps: [f32; ROWS],
    /// Of a guess by the draft model.
    draft: f32,
}

/// Takes a new measurement into account. A step may be slow because of other programs, but is never too fast.
fn mix(old: &mut f32, seconds: f32) {
    *old = if *old == 0.0 {
        seconds
    } else if seconds < *old {
        0.5 * (*old + seconds)
    } else {
        *old + 0.1 * (seconds.min(2.0 * *old) - *old)
    };
}

impl Costs {
    /// Notes a step that only decoded that many rows.
    pub(super) fn note(&mut self, rows: usize, seconds: f32) {
        if let Some(cost) = rows.checked_sub(1).and_then(|i| self.steps.get_mut(i)) {
            mix(cost, seconds);
        }
    }

    /// Notes what a guess by the draft model took.
    pub(super) fn note_draft(&mut self, seconds: f32) {
        mix(&mut self.draft, seconds);
    }

    /// Seconds of a step with that many rows: as measured, or a little more than the next smaller one that was; in steps of one row when none was.
    fn step(&self, rows: usize) -> f32 {
        let measured = (1..=rows.min(ROWS)).rev().find(|i| self.steps[i - 1] > 0.0);
        let (from, cost) = measured.map_or((1, 1.0), |i| (i, self.steps[i - 1]));
        cost * (1.0 + ROW_PRIOR * (rows - from) as f32)
    }

    /// How many guesses give most tokens a second, at most `most`, when `runs` runs guess and a guess is right with probability `rate`.
    fn best(&self, runs: usize, rate: f32, most: usize, drafted: bool) -> usize {
        let speed = |guesses: usize| {
            // The token after the last right guess is for free.
            let tokens: f32 = (0..=guesses).map(|i| rate.powi(i as i32)).sum();
            let drafts = if drafted {
                guesses as f32 * self.draft
            } else {
                0.0
            };
            tokens / (self.step(runs * (1 + guesses)) + drafts)
        };
        let (mut best, mut least) = (0, speed(0) * MARGIN);
        for guesses in 1..=most {
            if speed(guesses) > least {
                (best, least) = (guesses, speed(guesses));
            }
        }
        best
    }
}

/// Guesses that each of so many runs may make in a step.
pub(super) fn most(runs: usize) -> usize {
    ROWS.checked_div(runs).unwrap_or(0).saturating_sub(1)
}

/// How well a run's guesses do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speculation {
    /// About which part of the latest guesses were right.
    rate: f32,
    /// Tokens until the next trial, where guesses do not pay.
    wait: u32,
    /// The pause after that trial.
    pause: u32,
}

impl Default for Speculation {
    fn default() -> Speculation {
        Speculation {
            rate: 0.6,
            wait: 0,
            pause: PAUSES[0],
        }
    }
}

impl Speculation {
    /// How many guesses are worth making now, at most `most`.
    pub(super) fn count(
        &mut self,
        policy: Policy,
        costs: &Costs,
        runs: usize,
        most: usize,
        drafted: bool,
    ) -> usize {
        match policy {
            _ if most == 0 => return 0,
            Policy::Off => return 0,
            Policy::Always => return most,
            Policy::Measured => {}
        }
        let best = costs.best(runs, self.rate, most, drafted);
        if best > 0 {
            (self.wait, self.pause) = (self.pause, PAUSES[0]);
            return best;
        }
        if self.wait > 0 {
            self.wait -= 1;
            return 0;
        }
        self.pause = (2 * self.pause).min(PAUSES[1]);
        self.wait = self.pause;
        1
    }

    /// Notes how many guesses of a step were right.
    pub(super) fn note(&mut self, guesses: usize, right: usize) {
        for i in 0..guesses.min(right + 1) {
            let found = if i < right { 1.0 } else { 0.0 };
            self.rate += WEIGHT * (found - self.rate);
        }
    }
}

/// At most `most` tokens that may follow: those that followed the latest earlier place where the run had the same last tokens.
pub(super) fn look_up(tokens: &[u32], most: usize) -> &[u32] {
    if most == 0 || tokens.len() <= NEEDLE {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_follow_the_latest_repetition() {
        let tokens = [1, 2, 3, 4, 9, 1, 2, 3, 5, 6, 1, 2, 3];
        assert_eq!(look_up(&tokens, 3), [5, 6, 1]);
        assert_eq!(look_up(&tokens, 1), [5]);
        assert!(look_up(&tokens, 0).is_empty());
        assert_eq!(look_up(&tokens[..8], 3), [4, 9, 1]);
        assert_eq!(look_up(&[7, 7, 7, 7], 3), [7]);
        assert!(look_up(&[1, 2, 3], 3).is_empty());
        assert!(look_up(&[], 3).is_empty());
    }

    /// Steps whose cost in rows is this.
    fn costs(steps: [f32; ROWS]) -> Costs {
        let mut costs = Costs::default();
        (1..)
            .zip(steps)
            .for_each(|(rows, cost)| costs.note(rows, cost));
        costs
    }

    fn tried(speculation: &mut Speculation, costs: &Costs, right: bool, steps: usize) -> usize {
        let mut guesses = 0;
        for _ in 0..steps {
            let count = speculation.count(Policy::Measured, costs, 1, GUESSES, false);
            if count > 0 {
                speculation.note(count, if right { count } else { 0 });
            }
            guesses += count;
        }
        guesses
    }

    #[test]
    fn guesses_are_made_where_they_pay() {
        // Weights are the cost: rows are nearly free. Right guesses go on, wrong ones end soon.
        let cheap = costs([1.0, 1.02, 1.05, 1.1]);
        let mut good = Speculation::default();
        assert!(tried(&mut good, &cheap, true, 100) > 280);
        let mut bad = Speculation::default();
        assert!(tried(&mut bad, &cheap, false, 100) < 40);
        assert!(tried(&mut bad, &cheap, false, 1000) < 40, "the pauses grow");
        assert!(tried(&mut bad, &cheap, true, 1500) > 1000, "it comes back");
        // Arithmetic is the cost: a row more is a step more, and even right guesses gain nothing.
        let dear = costs([1.0, 2.0, 3.0, 4.0]);
        assert!(tried(&mut Speculation::default(), &dear, true, 1000) < 10);
        // What was never measured is tried.
        assert_eq!(
            tried(&mut Speculation::default(), &Costs::default(), true, 1),
            3
        );
        let count = |policy, most| Speculation::default().count(policy, &dear, 1, most, false);
        assert_eq!(count(Policy::Off, 3), 0);
        assert_eq!(count(Policy::Always, 3), 3);
        assert_eq!(count(Policy::Always, 0), 0);
        assert_eq!([0, 1, 2, 3, 4, 5, 99].map(most), [0, 3, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn a_dear_draft_is_not_asked() {
        let mut costs = costs([1.0, 1.02, 1.05, 1.1]);
        assert_eq!(costs.best(1, 0.9, 3, true), 3);
        costs.note_draft(0.9);
        assert_eq!(costs.best(1, 0.9, 3, true), 0);
        assert_eq!(costs.best(1, 0.9, 3, false), 3);
    }

    #[test]
    fn costs_follow_their_measurements() {
        let mut costs = Costs::default();
        costs.note(1, 1.0);
        assert!((costs.step(3) - 1.2).abs() < 1e-6);
        costs.note(2, 100.0);
        (0..40).for_each(|_| costs.note(2, 1.5));
        assert!(
            (costs.step(2) - 1.5).abs() < 0.1,
            "one slow step is forgotten"
        );
        (0..40).for_each(|_| costs.note(2, 3.0));
        assert!((costs.step(2) - 3.0).abs() < 0.1);
        costs.note(0, 1.0);
        costs.note(99, 1.0);
    }
}
