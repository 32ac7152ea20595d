//! Growing pauses for each lane in which something failed, so that one does not keep the others waiting.

use std::collections::BTreeMap;
use std::time::Instant;

use super::RoleError;
use super::supervisor::backoff;
use crate::store::LaneKey;

/// Which lanes rest, and how long.
#[derive(Debug, Default)]
pub(super) struct Patience {
    resting: BTreeMap<LaneKey, (u32, Instant)>,
}

impl Patience {
    /// Whether a lane may be tried.
    pub(super) fn allows(&self, lane: LaneKey) -> bool {
        self.resting
            .get(&lane)
            .is_none_or(|(_, until)| Instant::now() >= *until)
    }

    /// Takes note of how a try ended; logs a failure.
    pub(super) fn note(
        &mut self,
        lane: LaneKey,
        role: &'static str,
        outcome: Result<(), RoleError>,
    ) {
        match outcome {
            Ok(()) => {
                self.resting.remove(&lane);
            }
            Err(err) => {
                let (failures, until) = self.resting.entry(lane).or_insert((0, Instant::now()));
                *failures += 1;
                *until = Instant::now() + backoff(*failures);
                tracing::warn!(role, epoch = lane.epoch, model = %lane.model, failures, %err, "this lane has to wait; trying again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::B256;

    #[test]
    fn a_failing_lane_rests_and_others_do_not() {
        let (bad, good) = (
            LaneKey {
                epoch: 1,
                model: B256::ZERO,
            },
            LaneKey {
                epoch: 2,
                model: B256::ZERO,
            },
        );
        let mut patience = Patience::default();
        assert!(patience.allows(bad));
        patience.note(bad, "test", Err(RoleError::Died("on purpose".into())));
        assert!(!patience.allows(bad));
        assert!(patience.allows(good));
        patience.note(bad, "test", Ok(()));
        assert!(patience.allows(bad));
    }
}
