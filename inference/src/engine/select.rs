//! Selection of a token by integer masses (`prover/SPEC.md` section 4).

use super::Sampling;
use crate::backend::{FloatMode, best, masses};
use crate::numeric::constants::PPM;

/// The token that follows. `draw` gives 64 uniform bits and is called only where a draw decides; `scratch` keeps its room between calls.
///
/// # Panics
/// When there are no logits.
pub fn select(
    logits: &[f32],
    sampling: &Sampling,
    draw: impl FnOnce() -> u64,
    scratch: &mut Vec<u32>,
) -> u32 {
    let _mode = FloatMode::set();
    let best = best(logits);
    if sampling.temperature_milli == 0 || !logits[best].is_finite() {
        return best as u32;
    }
    masses(logits, logits[best], sampling.temperature_milli, scratch);
    let (masses, rest) = {
        let n = scratch.len();
        scratch.extend_from_within(..);
        scratch.split_at_mut(n)
    };
    let threshold = threshold(rest, sampling);
    let total: u64 = masses
        .iter()
        .filter(|p| **p >= threshold)
        .map(|p| u64::from(*p))
        .sum();
    let r = ((u128::from(draw()) * u128::from(total)) >> 64) as u64;
    let mut running = 0;
    for (token, p) in masses.iter().enumerate() {
        if *p >= threshold {
            running += u64::from(*p);
            if running > r {
                return token as u32;
            }
        }
    }
    // Not reached: r < total, and the best token's mass of 2^30 is never below the threshold.
    best as u32
}

/// The least mass that may be drawn (section 4.3). Reorders `masses`.
fn threshold(masses: &mut [u32], sampling: &Sampling) -> u32 {
    let mut threshold = 1;
    // Masses of zero are below every threshold.
    let mut survivors = keep(masses, 1);
    let top_k = sampling.top_k as usize;
    if top_k > 0 && top_k <= survivors.len() {
        let (_, kth, _) = survivors.select_nth_unstable_by(top_k - 1, |a, b| b.cmp(a));
        threshold = *kth;
        survivors = keep(survivors, threshold);
    }
    if sampling.top_p_ppm < PPM {
        let sum: u128 = survivors.iter().map(|p| u128::from(*p)).sum();
        let need = (sum * u128::from(sampling.top_p_ppm))
            .div_ceil(u128::from(PPM))
            .max(1);
        threshold = threshold.max(top_mass(survivors, need as u64));
    }
    let min_p = (u64::from(sampling.min_p_ppm) << 30).div_ceil(u64::from(PPM)) as u32;
    threshold.max(min_p)
}

/// Moves the masses that are at least `least` to the front and gives them.
fn keep(masses: &mut [u32], least: u32) -> &mut [u32] {
    let mut kept = 0;
    for i in 0..masses.len() {
        if masses[i] >= least {
            masses.swap(kept, i);
            kept += 1;
        }
    }
    &mut masses[..kept]
}

/// The largest u such that the masses of at least u sum to at least `need`, which is at most the sum of all: a quickselect by weight.
fn top_mass(mut masses: &mut [u32], need: u64) -> u32 {
    let mut above = 0;
    while masses.len() > 1 {
        let middle = masses.len() / 2;
        // The largest half in front. Equal masses may fall on both sides, which does no harm: the answer is a value, not a place.
        masses.select_nth_unstable_by(middle, |a, b| b.cmp(a));
        let (front, back) = masses.split_at_mut(middle);
        let sum: u64 = above + front.iter().map(|p| u64::from(*p)).sum::<u64>();
        if sum >= need {
            masses = front;
        } else {
            above = sum;
            masses = back;
        }
    }
    masses.first().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
