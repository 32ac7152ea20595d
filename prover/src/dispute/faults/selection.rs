//! Faults of the choice of a token (`prover/SPEC.md` sections 4 and 10.2 to 10.4).
//!
//! | fault | node | witness |
//! |---|---|---|
//! | 80 argmax | tokens | [`witness::Argmax`] |
//! | 81 best | selection | [`witness::Best`] |
//! | 82 choice | selection | [`witness::Choice`] |
//! | 83 group_sum | group | [`witness::GroupSum`] |
//! | 84 leaf_sum | group | [`witness::LeafSum`] |
//!
//! Masses of section 4.2 are taken for every bit pattern: a NaN counts as 0. So all are 0 when the best logit is not finite, and contents are defined then too.

pub mod contents;
pub mod find;
pub mod judge;
pub mod witness;

use std::ops::Range;

use sworn_inference::numeric::{mass, selection_key};

use crate::Error;
use crate::constants::{COMPONENT_COUNT, F32_LEAF_ELEMENTS, PPM, SUM_TOKENS, TOKEN_LEAF_ELEMENTS};
use crate::dispute::faults::span::{elements, f32_le};
use crate::dispute::source::TraceSource;
use crate::dispute::trace::layout::{Step, TraceLayout};
use crate::params::Params;

/// Logits of a leaf.
pub(crate) const LEAF: u32 = F32_LEAF_ELEMENTS as u32;
/// Tokens of a sum of a group.
pub(crate) const SUMMED: u32 = SUM_TOKENS as u32;
/// Sums of a group in a selection.
pub(crate) const COMPONENTS: u32 = COMPONENT_COUNT as u32;
/// Tokens of a leaf of a run's tokens.
pub(crate) const TOKENS: u32 = TOKEN_LEAF_ELEMENTS as u32;
/// The mass of the best token.
pub const WHOLE: u64 = 1 << 30;

/// How a vocabulary's logits are split (section 10.2, "selection").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups {
    /// Tokens.
    pub vocabulary: u32,
    /// Leaves of 64 logits.
    pub leaves: u32,
    /// Leaves of a full group.
    pub group_leaves: u32,
    /// Groups.
    pub groups: u32,
}

impl Groups {
    /// The groups of a vocabulary.
    #[must_use]
    pub fn of(vocabulary: u32) -> Groups {
        let leaves = vocabulary.div_ceil(LEAF);
        let group_leaves = 1 << crate::merkle::depth(leaves.into()).div_ceil(2);
        Groups {
            vocabulary,
            leaves,
            group_leaves,
            groups: leaves.div_ceil(group_leaves),
        }
    }

    /// Tokens of group `group`.
    #[must_use]
    pub fn tokens_of(&self, group: u32) -> Range<u32> {
        let each = self.group_leaves.saturating_mul(LEAF);
        let start = group.saturating_mul(each).min(self.vocabulary);
        start..start.saturating_add(each).min(self.vocabulary)
    }

    /// Sums in the contents of group `group`.
    #[must_use]
    pub fn sums_of(&self, group: u32) -> u32 {
        (self.tokens_of(group).len() as u32).div_ceil(SUMMED)
    }

    /// Tokens of sum `index` of group `group`.
    #[must_use]
    pub fn summed(&self, group: u32, index: u32) -> Range<u32> {
        let tokens = self.tokens_of(group);
        let skip = index.saturating_mul(SUMMED);
        let start = tokens.start.saturating_add(skip).min(tokens.end);
        start..start.saturating_add(SUMMED).min(tokens.end)
    }

    /// Bytes of a selection's contents.
    #[must_use]
    pub fn selection_bytes(&self) -> usize {
        12 + 6 * (COMPONENTS * self.groups) as usize
    }
}

/// What a token is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The input's parameters.
    pub params: Params,
    /// The input's seed.
    pub seed: [u8; 32],
    /// The run.
    pub run: u8,
    /// The token's place in the run.
    pub place: u32,
}

/// The thresholds that components compare masses with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// After top_k.
    pub t1: u64,
    /// After top_p.
    pub t2: u64,
    /// After min_p.
    pub t3: u64,
}

impl Thresholds {
    /// With t3 from min_p.
    #[must_use]
    pub fn new(t1: u32, t2: u32, min_p_ppm: u32) -> Thresholds {
        let least = (u64::from(min_p_ppm) << 30).div_ceil(u64::from(PPM));
        Thresholds {
            t1: t1.into(),
            t2: t2.into(),
            t3: least.max(t2.into()),
        }
    }
}

/// Component `component` of a token of mass `p` (section 10.2); `before`: its id is below the claimed one.
#[must_use]
pub fn component(component: u32, p: u64, t: Thresholds, before: bool) -> u64 {
    let when = |holds: bool, value: u64| if holds { value } else { 0 };
    match component {
        0 => when(p > t.t1, 1),
        1 => when(p >= t.t1, 1),
        2 => when(p >= t.t1, p),
        3 => when(p >= t.t2, p),
        4 => when(p > t.t2, p),
        5 => when(p >= t.t3, p),
        _ => when(p >= t.t3 && before, p),
    }
}

/// Whether a token beats another: a higher key (NaN lowest), or the same and a lower id.
#[must_use]
pub fn beats(logit: f32, token: u32, other_logit: f32, other: u32) -> bool {
    let (key, other_key) = (selection_key(logit), selection_key(other_logit));
    key > other_key || key == other_key && token < other
}

/// Whether the sums over all groups, with the mass of the claimed token and the draw, choose that token (section 10.4).
#[must_use]
pub fn chooses(
    params: &Params,
    (t1, t2): (u32, u32),
    sums: &[u64; COMPONENT_COUNT],
    claimed: u64,
    draw: u64,
) -> bool {
    let t = Thresholds::new(t1, t2, params.min_p_ppm);
    let [above_k, at_k, mass_k, mass_p, above_p, total, before] = *sums;
    let top_k = u64::from(params.top_k);
    let k_holds = if top_k == 0 {
        t.t1 == 1
    } else {
        above_k < top_k && (top_k <= at_k || t.t1 == 1)
    };
    let p_holds = if params.top_p_ppm == PPM {
        t.t2 == t.t1
    } else {
        let share = u128::from(mass_k) * u128::from(params.top_p_ppm);
        let need = share.div_ceil(PPM.into()).max(1);
        u128::from(mass_p) >= need && u128::from(above_p) < need
    };
    let r = ((u128::from(draw) * u128::from(total)) >> 64) as u64;
    t.t1 >= 1
        && t.t2 >= t.t1
        && t.t2 <= WHOLE
        && k_holds
        && p_holds
        && claimed >= t.t3
        && before <= r
        && r - before < claimed
}

/// The logits that a token is chosen by.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// The step that makes them: the last one.
    pub logits: Step,
    /// How they are split.
    pub groups: Groups,
    /// Their row: the one before the token.
    pub row: u32,
}

impl Site {
    /// The site of the token at `place` of its run.
    ///
    /// # Errors
    /// No token is chosen at place 0.
    pub fn of(layout: &TraceLayout, place: u32) -> Result<Site, Error> {
        let row = place.checked_sub(1).ok_or(Error::IndexOutOfRange {
            what: "places before a chosen token",
            found: 0,
            expected: 0,
        })?;
        Ok(Site {
            logits: layout.step(layout.steps() - 1)?,
            groups: Groups::of(layout.program().vocab_size()),
            row,
        })
    }

    /// Logits of some tokens.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn logits(
        &self,
        source: &mut dyn TraceSource,
        tokens: Range<u32>,
    ) -> Result<Vec<f32>, Error> {
        elements(
            source,
            self.row,
            self.logits.first_leaf,
            LEAF,
            tokens,
            f32_le,
        )
    }

    /// Logits of all tokens.
    ///
    /// # Errors
    /// As [`TraceSource::leaf`].
    pub fn all(&self, source: &mut dyn TraceSource) -> Result<Vec<f32>, Error> {
        self.logits(source, 0..self.groups.vocabulary)
    }
}

/// The mass of a logit beside the best one's.
#[must_use]
pub fn mass_of(logit: f32, best: f32, params: &Params) -> u64 {
    mass(logit, best, params.temperature_milli).into()
}

/// The token that nothing beats.
#[must_use]
pub fn best_of(logits: &[f32]) -> u32 {
    (0u32..)
        .zip(logits)
        .reduce(|best, other| {
            if beats(*other.1, other.0, *best.1, best.0) {
                other
            } else {
                best
            }
        })
        .map_or(0, |(token, _)| token)
}
