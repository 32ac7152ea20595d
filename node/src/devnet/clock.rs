//! The chain's time: the wall clock plus an offset, and overrides for the next block.

use super::error::Refusal;

/// Later than any test needs, and far from overflow.
pub(super) const MAX_TIMESTAMP: u64 = 1 << 48;

/// Decides block time stamps. The wall clock is always passed in.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    /// Seconds the chain is ahead of the wall clock.
    offset: i64,
    /// Exact time stamp of the next block; time runs on from it.
    next: Option<u64>,
    /// Fixed distance between blocks, in place of the wall clock.
    step: Option<u64>,
}

impl Clock {
    /// A clock that shows `timestamp` at wall time `now`.
    pub(super) fn starting_at(timestamp: u64, now: u64) -> Self {
        let mut clock = Self::default();
        clock.set(timestamp, now);
        clock
    }

    fn set(&mut self, timestamp: u64, now: u64) {
        // Both are below 2^48 or a real wall clock: the difference fits.
        self.offset = i64::try_from(i128::from(timestamp) - i128::from(now)).unwrap_or(0);
    }

    /// The time stamp a block after `parent` gets at wall time `now`; strictly rising.
    pub(super) fn next_timestamp(&self, now: u64, parent: u64) -> u64 {
        let wanted = match (self.next, self.step) {
            (Some(next), _) => next,
            (None, Some(step)) => parent.saturating_add(step),
            (None, None) => now.saturating_add_signed(self.offset),
        };
        wanted.max(parent.saturating_add(1))
    }

    /// Notes that a block with `timestamp` was made at wall time `now`. The clock never lags
    /// behind the chain: after a burst of blocks, time can still be moved forward from there.
    pub(super) fn block_made(&mut self, timestamp: u64, now: u64) {
        if self.next.take().is_some() || timestamp > now.saturating_add_signed(self.offset) {
            self.set(timestamp, now);
        }
    }

    /// Moves time forward; returns the total offset in seconds.
    pub(super) fn increase(&mut self, seconds: u64, now: u64) -> Result<i64, Refusal> {
        let limit = MAX_TIMESTAMP;
        let too_large = Refusal::TooLarge {
            what: "seconds",
            limit,
            found: seconds,
        };
        let offset = i64::try_from(seconds)
            .ok()
            .and_then(|s| self.offset.checked_add(s))
            .ok_or(too_large.clone())?;
        if now.saturating_add_signed(offset) > limit {
            return Err(too_large);
        }
        self.offset = offset;
        Ok(offset)
    }

    /// Fixes the next block's time stamp.
    pub(super) fn set_next(&mut self, timestamp: u64, latest: u64) -> Result<(), Refusal> {
        if timestamp <= latest {
            return Err(Refusal::Timestamp {
                found: timestamp,
                latest,
            });
        }
        if timestamp > MAX_TIMESTAMP {
            let limit = MAX_TIMESTAMP;
            return Err(Refusal::TooLarge {
                what: "timestamp",
                limit,
                found: timestamp,
            });
        }
        self.next = Some(timestamp);
        Ok(())
    }

    /// Moves the clock so that it shows `timestamp` at wall time `now`; returns the offset.
    pub(super) fn set_time(&mut self, timestamp: u64, now: u64) -> Result<i64, Refusal> {
        if timestamp > MAX_TIMESTAMP {
            let limit = MAX_TIMESTAMP;
            return Err(Refusal::TooLarge {
                what: "timestamp",
                limit,
                found: timestamp,
            });
        }
        self.set(timestamp, now);
        Ok(self.offset)
    }

    /// Fixes the distance between blocks, or returns to the wall clock.
    pub(super) fn set_step(&mut self, step: Option<u64>) -> Result<(), Refusal> {
        if let Some(found) = step.filter(|&step| step > MAX_TIMESTAMP) {
            let limit = MAX_TIMESTAMP;
            return Err(Refusal::TooLarge {
                what: "seconds between blocks",
                limit,
                found,
            });
        }
        self.step = step.filter(|&step| step > 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_rises_strictly_and_runs_on_from_overrides() {
        let mut clock = Clock::starting_at(1_000, 500);
        assert_eq!(clock.next_timestamp(500, 1_000), 1_001);
        assert_eq!(clock.next_timestamp(510, 1_000), 1_010);
        assert_eq!(clock.increase(100, 510), Ok(600));
        assert_eq!(clock.next_timestamp(510, 1_010), 1_110);
        clock.set_next(5_000, 1_110).unwrap();
        assert_eq!(clock.next_timestamp(510, 1_110), 5_000);
        clock.block_made(5_000, 510);
        assert_eq!(clock.next_timestamp(515, 5_000), 5_005);
        assert!(clock.set_next(5_000, 5_000).is_err());
        assert!(clock.increase(u64::MAX, 515).is_err());
        clock.set_step(Some(12)).unwrap();
        assert_eq!(clock.next_timestamp(515, 5_000), 5_012);
        clock.set_step(None).unwrap();

        // A burst of blocks runs ahead of the wall clock; moving time still shows.
        for timestamp in 5_006..6_000 {
            clock.block_made(timestamp, 515);
        }
        clock.increase(100, 515).unwrap();
        assert_eq!(clock.next_timestamp(515, 5_999), 6_099);
        clock.set_step(Some(12)).unwrap();
        assert_eq!(clock.next_timestamp(515, 5_000), 5_012);
    }
}
