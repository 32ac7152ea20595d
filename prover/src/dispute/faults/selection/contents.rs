//! Posted contents of a choice (section 10.2): the selection and its groups.

use std::ops::Range;

use sworn_inference::numeric::draw;

use super::{COMPONENTS, Groups, Rule, Thresholds, best_of, chooses, component, mass_of};
use crate::constants::{COMPONENT_COUNT, PPM};
use crate::params::Params;

/// The contents of a `selection` node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The token that nothing beats.
    pub best: u32,
    /// The threshold after top_k.
    pub t1: u32,
    /// The threshold after top_p.
    pub t2: u32,
    /// The components of every group.
    pub sums: Vec<[u64; COMPONENT_COUNT]>,
}

/// Masses of all tokens beside one of them, with what turns them into sums.
#[derive(Debug, Clone)]
pub struct Masses {
    groups: Groups,
    params: Params,
    masses: Vec<u64>,
    claimed: u32,
}

impl Masses {
    /// The masses of a row of logits, as many as the vocabulary has tokens, beside the token `best`; 0 without that token.
    #[must_use]
    pub fn new(groups: Groups, logits: &[f32], best: u32, params: Params, claimed: u32) -> Masses {
        let best = logits.get(best as usize).copied().unwrap_or(f32::NAN);
        Masses {
            groups,
            params,
            masses: logits
                .iter()
                .map(|logit| mass_of(*logit, best, &params))
                .collect(),
            claimed,
        }
    }

    /// The mass of a token.
    #[must_use]
    pub fn of(&self, token: u32) -> u64 {
        self.masses.get(token as usize).copied().unwrap_or(0)
    }

    /// A component's sum over some tokens.
    #[must_use]
    pub fn sum_of(&self, which: u32, tokens: Range<u32>, t: Thresholds) -> u64 {
        tokens
            .map(|token| component(which, self.of(token), t, token < self.claimed))
            .sum()
    }

    /// A component's sums in the contents of a group.
    #[must_use]
    pub fn group(&self, which: u32, group: u32, t: Thresholds) -> Vec<u64> {
        let sum = |index| self.sum_of(which, self.groups.summed(group, index), t);
        (0..self.groups.sums_of(group)).map(sum).collect()
    }

    /// All sums of every group.
    #[must_use]
    pub fn sums(&self, t1: u32, t2: u32) -> Vec<[u64; COMPONENT_COUNT]> {
        let t = Thresholds::new(t1, t2, self.params.min_p_ppm);
        let sums = |group| {
            let mut sums = [0; COMPONENT_COUNT];
            for (which, sum) in (0..).zip(&mut sums) {
                *sum = self.group(which, group, t).iter().sum();
            }
            sums
        };
        (0..self.groups.groups).map(sums).collect()
    }

    /// t1 and t2 of section 4.3.
    #[must_use]
    pub fn thresholds(&self) -> (u32, u32) {
        let mut falling: Vec<u64> = self.masses.iter().copied().filter(|p| *p > 0).collect();
        falling.sort_unstable_by(|a, b| b.cmp(a));
        let top_k = self.params.top_k as usize;
        let mut t1 = 1;
        if top_k > 0
            && let Some(kth) = falling.get(top_k - 1)
        {
            t1 = *kth;
        }
        let mut t2 = t1;
        if self.params.top_p_ppm < PPM {
            let sum: u128 = falling
                .iter()
                .take_while(|p| **p >= t1)
                .map(|p| u128::from(*p))
                .sum();
            let need = (sum * u128::from(self.params.top_p_ppm))
                .div_ceil(PPM.into())
                .max(1);
            let mut running = 0;
            for p in &falling {
                running += u128::from(*p);
                if running >= need {
                    t2 = t1.max(*p);
                    break;
                }
            }
        }
        (t1 as u32, t2 as u32)
    }
}

impl Selection {
    /// The honest contents for a row of logits and the claimed token.
    #[must_use]
    pub fn honest(groups: Groups, logits: &[f32], params: Params, claimed: u32) -> Selection {
        let best = best_of(logits);
        let masses = Masses::new(groups, logits, best, params, claimed);
        let (t1, t2) = masses.thresholds();
        Selection {
            best,
            t1,
            t2,
            sums: masses.sums(t1, t2),
        }
    }

    /// The thresholds with t3.
    #[must_use]
    pub fn thresholds(&self, params: &Params) -> Thresholds {
        Thresholds::new(self.t1, self.t2, params.min_p_ppm)
    }

    /// The sums over all groups.
    #[must_use]
    pub fn totals(&self) -> [u64; COMPONENT_COUNT] {
        let mut totals = [0u64; COMPONENT_COUNT];
        for sums in &self.sums {
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total = total.saturating_add(*sum);
            }
        }
        totals
    }

    /// Whether these contents choose the claimed token, of mass `mass`, when the best logit is finite.
    #[must_use]
    pub fn chooses(&self, rule: &Rule, mass: u64) -> bool {
        let draw = draw(&rule.seed, rule.run.into(), rule.place);
        let t = (self.t1, self.t2);
        chooses(&rule.params, t, &self.totals(), mass, draw)
    }

    /// The node's contents.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [self.best, self.t1, self.t2] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(write_sums(self.sums.as_flattened()));
        bytes
    }

    /// Reads a node's contents; none for a wrong length.
    #[must_use]
    pub fn read(groups: &Groups, bytes: &[u8]) -> Option<Selection> {
        if bytes.len() != groups.selection_bytes() {
            return None;
        }
        let sums = read_sums(bytes.get(12..)?)?;
        let (sums, _) = sums.as_chunks::<{ COMPONENT_COUNT }>();
        Some(Selection {
            sums: sums.to_vec(),
            ..Selection::read_head(bytes)?
        })
    }

    /// Reads the head of a node's contents, without any sums; none where there is none.
    #[must_use]
    pub fn read_head(bytes: &[u8]) -> Option<Selection> {
        let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        Some(Selection {
            best: word(0)?,
            t1: word(4)?,
            t2: word(8)?,
            sums: Vec::new(),
        })
    }
}

/// Sums as they stand in contents: 48 bits each.
#[must_use]
pub fn write_sums(sums: &[u64]) -> Vec<u8> {
    let bytes = |sum: &u64| -> [u8; 6] {
        let [_, _, rest @ ..] = sum.to_be_bytes();
        rest
    };
    sums.iter().flat_map(bytes).collect()
}

/// Reads sums; none when their number is not a whole one.
#[must_use]
pub fn read_sums(bytes: &[u8]) -> Option<Vec<u64>> {
    let (sums, rest) = bytes.as_chunks::<6>();
    let number = |sum: &[u8; 6]| sum.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    rest.is_empty().then(|| sums.iter().map(number).collect())
}

/// Whether the component exists.
#[must_use]
pub fn is_component(which: u32) -> bool {
    which < COMPONENTS
}
