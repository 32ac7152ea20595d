//! Lies about the choice of a token.

use sworn_inference::numeric::draw;

use super::{Hiding, Liar};
use crate::Error;
use crate::dispute::contents::at;
use crate::dispute::faults::selection::contents::{Masses, Selection, write_sums};
use crate::dispute::faults::selection::{self, Rule};
use crate::dispute::position::{NodeKind, Position};
use crate::dispute::results::LaneResults;

impl Liar {
    /// Claims another token than the one that is chosen.
    pub(super) fn bend_choice(&mut self, hiding: Hiding) -> Result<bool, Error> {
        if hiding == Hiding::None {
            return Ok(self.change_token()?.is_some());
        }
        let params = self.answer.input.params;
        if params.temperature_milli == 0 {
            return Ok(false);
        }
        let Some(place) = self.place()? else {
            return Ok(false);
        };
        let model = self.model().clone();
        let (lane, run) = (self.lane, self.run);
        let site = selection::Site::of(&model.layout, place)?;
        let logits = site.all(self.trace(lane, run)?)?;
        let own = *at(&self.result()?.tokens, place)?;
        // The likeliest token that is not the own one.
        let stops = model.model.program().stop_tokens();
        let other = (0u32..)
            .zip(&logits)
            .filter(|(token, _)| *token != own && stops.binary_search(token).is_err())
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map(|(token, _)| token);
        let Some(claimed) = other else {
            return Ok(false);
        };
        self.put_token(place, claimed)?;
        let mut told = Selection::honest(site.groups, &logits, params, claimed);
        let masses = Masses::new(site.groups, &logits, told.best, params, claimed);
        let at = Position {
            index: place.into(),
            ..Position::tree(NodeKind::Selection, lane, run as u8, 0, 0)
        };
        if hiding == Hiding::Best {
            told.best = claimed.wrapping_add(u32::from(claimed == told.best));
            self.posted.insert(at, told.write());
            return Ok(true);
        }
        // The tokens before the claimed one have just the mass that the draw skips.
        let rule = Rule {
            params,
            seed: self.answer.input.seed.0,
            run: run as u8,
            place,
        };
        let h64 = draw(&rule.seed, run, place);
        let total = told.totals()[5];
        let skipped = ((u128::from(h64) * u128::from(total)) >> 64) as u64;
        for sums in &mut told.sums {
            sums[6] = 0;
        }
        if let Some(first) = told.sums.first_mut() {
            first[6] = skipped;
        }
        if !told.chooses(&rule, masses.of(claimed)) {
            return Ok(false);
        }
        self.posted.insert(at, told.write());
        if hiding == Hiding::Weights {
            for group in 0..site.groups.groups {
                let mut sums = vec![0; site.groups.sums_of(group) as usize];
                if group == 0
                    && let Some(first) = sums.first_mut()
                {
                    *first = skipped;
                }
                let position = Position {
                    kind: NodeKind::Group,
                    a: 6,
                    b: group,
                    ..at
                };
                self.posted.insert(position, write_sums(&sums));
            }
        }
        Ok(true)
    }
}
