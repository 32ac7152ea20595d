//! Right and wrong choices of tokens, with right and wrong contents of `selection`, each with the fault that shows (`prover/SPEC.md` section 10.4).

use serde_json::{Value, json};
use sworn_inference::numeric::{mass, selection_key};
use sworn_prover::constants::{
    COMPONENT_COUNT, FAULT_ARGMAX, FAULT_BEST, FAULT_CHOICE, FAULT_GROUP_SUM,
};
use sworn_prover::dispute::faults::selection::contents::{Masses, Selection};
use sworn_prover::dispute::faults::selection::{Groups, best_of, chooses};
use sworn_prover::params::Params;

use super::arithmetic::{Random, bits};
use super::select;

/// A logit that has a mass beside a best one of 0.
fn with_mass(wanted: u32) -> f32 {
    let start = (wanted as f32 / 1_073_741_824.0).ln();
    let beside = |i: u32| [start.to_bits() + i, start.to_bits() - i].map(f32::from_bits);
    (0..1000)
        .flat_map(beside)
        .find(|logit| mass(*logit, 0.0, 1000) == wanted)
        .unwrap_or(start)
}

/// Logits whose masses lie close together, so that thresholds have neighbours.
fn lists(random: &mut Random) -> Vec<Vec<f32>> {
    let beside = |start: f32, steps: u32| f32::from_bits(start.to_bits() + steps);
    // Masses of 1, 2, 3, ... after the best one.
    let mut small = vec![0.0; 1];
    small.extend((0..69).map(|i| -20.8 + 0.03 * ((i * 37) % 69) as f32));
    // Masses around 2^20 that differ by one or less.
    let mut close = vec![-6.93; 70];
    for (i, logit) in close.iter_mut().enumerate() {
        *logit = beside(-6.93, (i as u32 * 29) % 31);
    }
    close[33] = 0.0;
    // What is left out when 977 millionths are rounded up.
    close[5] = with_mass(1_049_045);
    // Four leaves in two groups, the last of one token.
    let many: Vec<f32> = (0..193).map(|_| random.near(4.0)).collect();
    vec![
        small,
        close,
        many,
        // A share of 999,999 millionths is a part of one more than the best.
        vec![0.0, with_mass(1074)],
        vec![1.0, 3.0, 3.0, 2.0, 3.0, 1.0],
        vec![-0.0, 0.0, -0.0, 0.0],
        vec![30.0, 9.0, 9.3, 8.0, -1e30, f32::NEG_INFINITY],
        vec![f32::NAN, 1.0, f32::NAN, 1.5, f32::NEG_INFINITY],
        vec![1.0, f32::INFINITY, 2.0, f32::INFINITY],
        vec![f32::NAN, f32::NAN],
        vec![f32::NEG_INFINITY, f32::NAN, f32::NEG_INFINITY],
    ]
}

fn settings() -> Vec<Params> {
    let all = Params {
        temperature_milli: 1000,
        ..Params::default()
    };
    vec![
        all,
        Params {
            temperature_milli: 0,
            ..all
        },
        Params {
            temperature_milli: 1700,
            top_k: 3,
            ..all
        },
        Params { top_k: 40, ..all },
        Params {
            top_k: u32::MAX,
            ..all
        },
        Params {
            top_p_ppm: 990_000,
            ..all
        },
        Params {
            top_p_ppm: 1,
            ..all
        },
        Params {
            top_p_ppm: 999_999,
            ..all
        },
        Params {
            top_k: 50,
            top_p_ppm: 970_000,
            ..all
        },
        Params {
            top_k: 50,
            top_p_ppm: 970_000,
            min_p_ppm: 950,
            ..all
        },
        Params {
            min_p_ppm: 977,
            ..all
        },
        Params {
            min_p_ppm: 1_000_000,
            ..all
        },
    ]
}

/// A choice of a token by a row of logits.
struct Site<'a> {
    groups: Groups,
    logits: &'a [f32],
    params: Params,
    h64: u64,
}

impl Site<'_> {
    fn masses(&self, best: u32, claimed: u32) -> Masses {
        Masses::new(self.groups, self.logits, best, self.params, claimed)
    }

    /// What shows of the claimed token and the contents: a fault, and of sums that are wrong the first.
    fn verdict(&self, claimed: u32, told: &Selection) -> (u8, usize, usize) {
        let own = best_of(self.logits);
        let Some(best) = self.logits.get(own as usize) else {
            return (0, 0, 0);
        };
        let argmax = claimed != own;
        if self.params.temperature_milli == 0 || *best == f32::INFINITY && argmax {
            return (if argmax { FAULT_ARGMAX } else { 0 }, 0, 0);
        }
        let told_best = self.logits.get(told.best as usize);
        if told_best.is_none_or(|logit| selection_key(*logit) != selection_key(*best))
            || told.best != own
        {
            return (FAULT_BEST, 0, 0);
        }
        let masses = self.masses(own, claimed);
        let right = match best.is_finite() {
            true => chooses(
                &self.params,
                (told.t1, told.t2),
                &told.totals(),
                masses.of(claimed),
                self.h64,
            ),
            false => claimed == own,
        };
        if !right {
            return (FAULT_CHOICE, 0, 0);
        }
        let sums = masses.sums(told.t1, told.t2);
        for (group, (own, told)) in sums.iter().zip(&told.sums).enumerate() {
            if let Some(component) = (0..COMPONENT_COUNT).find(|i| own[*i] != told[*i]) {
                return (FAULT_GROUP_SUM, component, group);
            }
        }
        (0, 0, 0)
    }

    /// Contents with another threshold, and the sums that go with it.
    fn with_thresholds(&self, claimed: u32, honest: &Selection, t1: u32, t2: u32) -> Selection {
        let sums = self.masses(honest.best, claimed).sums(t1, t2);
        Selection {
            t1,
            t2,
            sums,
            ..honest.clone()
        }
    }

    /// The honest contents for a claimed token and wrong ones.
    fn contents(&self, claimed: u32, random: &mut Random) -> Vec<Selection> {
        let honest = Selection::honest(self.groups, self.logits, self.params, claimed);
        let (t1, t2) = (honest.t1, honest.t2);
        let mut all = vec![honest.clone()];
        let beside = [
            (t1 + 1, t2),
            (t1 + 1, t2 + 1),
            (t1.saturating_sub(1), t2),
            (t1.saturating_sub(1), t2.saturating_sub(1)),
            (t1, t2 + 1),
            (t1, t2.saturating_sub(1)),
            (t1, 1 << 30),
            (t1, (1 << 30) + 1),
            (0, 0),
        ];
        all.extend(beside.map(|(t1, t2)| self.with_thresholds(claimed, &honest, t1, t2)));
        // Thresholds with sums that are others'.
        for (t1, t2) in [(t1, t1.saturating_sub(1)), (t1 + 1, t2), (t1, t2 + 1)] {
            all.push(Selection {
                t1,
                t2,
                ..honest.clone()
            });
        }
        for best in [
            honest.best + 1,
            honest.best.wrapping_sub(1),
            self.groups.vocabulary,
            claimed,
        ] {
            all.push(Selection {
                best,
                ..honest.clone()
            });
        }
        for component in 0..COMPONENT_COUNT {
            let mut bent = honest.clone();
            let group = random.below(bent.sums.len());
            if let Some(sums) = bent.sums.get_mut(group) {
                sums[component] += 1;
            }
            all.push(bent);
            // Moved from one group to another, so that the whole stays.
            if let [first, .., last] = &mut honest.clone().sums[..] {
                let mut bent = honest.clone();
                (
                    bent.sums[0][component],
                    bent.sums[honest.sums.len() - 1][component],
                ) = (first[component] + last[component], 0);
                all.push(bent);
            }
        }
        all
    }
}

pub(super) fn choices() -> Value {
    let mut random = Random::new("choices");
    let (lists, settings) = (lists(&mut random), settings());
    let mut cases = Vec::new();
    for (list, logits) in lists.iter().enumerate() {
        for (number, params) in settings.iter().enumerate() {
            let h64 = [0, u64::MAX, u64::MAX / 3, u64::MAX / 1000][(list + number) % 4];
            let site = Site {
                groups: Groups::of(logits.len() as u32),
                logits,
                params: *params,
                h64,
            };
            let right = select(logits, params, h64).map_or(0, |found| found.token);
            let count = logits.len() as u32;
            let wrong = [
                (right + 1) % count,
                (right + count - 1) % count,
                random.below(count as usize) as u32,
                0,
            ];
            let mut claims: Vec<(u32, Vec<Selection>)> =
                vec![(right, site.contents(right, &mut random))];
            for token in wrong {
                let mut contents = site.contents(token, &mut random);
                contents.truncate(1);
                claims.push((token, contents));
            }
            for (claimed, contents) in claims {
                for told in contents {
                    let (fault, component, group) = site.verdict(claimed, &told);
                    cases.push(json!([
                        list,
                        number,
                        format!("{h64:#018x}"),
                        claimed,
                        told.best,
                        told.t1,
                        told.t2,
                        told.sums,
                        fault,
                        component,
                        group
                    ]));
                }
            }
        }
    }
    json!({
        "logits": lists.iter().map(|list| list.iter().map(|x| bits(*x)).collect::<Vec<_>>()).collect::<Vec<_>>(),
        "params": settings.iter().map(|p| json!({
            "temperature_milli": p.temperature_milli,
            "top_k": p.top_k,
            "top_p_ppm": p.top_p_ppm,
            "min_p_ppm": p.min_p_ppm,
        })).collect::<Vec<_>>(),
        "columns": ["logits", "params", "h64", "token", "best", "t1", "t2", "sums", "fault", "component", "group"],
        "count": cases.len(),
        "cases": cases,
    })
}
