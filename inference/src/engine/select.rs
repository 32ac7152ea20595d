//! Selection of a token by integer masses (`prover/SPEC.md` section 4).

use super::Sampling;
use crate::numeric::constants::PPM;
use crate::numeric::{mass, selection_key};

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
    let best_key = logits
        .iter()
        .map(|logit| selection_key(*logit))
        .fold(i32::MIN, i32::max);
    let best = logits
        .iter()
        .position(|logit| selection_key(*logit) == best_key)
        .unwrap_or(0);
    if sampling.temperature_milli == 0 || !logits[best].is_finite() {
        return best as u32;
    }
    scratch.clear();
    scratch.extend(
        logits
            .iter()
            .map(|logit| mass(*logit, logits[best], sampling.temperature_milli)),
    );
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Section 4 word for word: thresholds by trying every mass that occurs, everything sorted and in u128.
    fn naive(logits: &[f32], sampling: &Sampling, h64: u64) -> u32 {
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by_key(|v| (std::cmp::Reverse(selection_key(logits[*v])), *v));
        let m = logits[order[0]];
        if sampling.temperature_milli == 0 || !m.is_finite() {
            return order[0] as u32;
        }
        let p: Vec<u128> = logits
            .iter()
            .map(|l| u128::from(mass(*l, m, sampling.temperature_milli)))
            .collect();
        let mut candidates: Vec<u128> = p.iter().copied().filter(|p| *p >= 1).chain([1]).collect();
        candidates.sort_unstable();
        candidates.reverse();
        let sum = |u: u128| p.iter().filter(|p| **p >= u).sum::<u128>();
        let mut t = 1u128;
        if sampling.top_k > 0 {
            let enough =
                |u: &&u128| p.iter().filter(|p| *p >= *u).count() >= sampling.top_k as usize;
            t = candidates.iter().find(enough).copied().unwrap_or(1);
        }
        if sampling.top_p_ppm < 1_000_000 {
            let need = (sum(t) * u128::from(sampling.top_p_ppm))
                .div_ceil(1_000_000)
                .max(1);
            t = candidates
                .iter()
                .find(|u| **u >= t && sum(**u) >= need)
                .copied()
                .unwrap_or(t);
        }
        if sampling.min_p_ppm > 0 {
            t = t.max(((1u128 << 30) * u128::from(sampling.min_p_ppm)).div_ceil(1_000_000));
        }
        let r = (u128::from(h64) * sum(t)) >> 64;
        let mut running = 0;
        for (v, p) in p.iter().enumerate() {
            if *p >= t {
                running += p;
                if running > r {
                    return v as u32;
                }
            }
        }
        unreachable!("the total exceeds r");
    }

    fn check(logits: &[f32], sampling: &Sampling, h64: u64) -> u32 {
        let token = select(logits, sampling, || h64, &mut Vec::new());
        assert_eq!(
            token,
            naive(logits, sampling, h64),
            "{sampling:?} {h64:#x} {logits:?}"
        );
        token
    }

    const PLAIN: Sampling = Sampling {
        temperature_milli: 1000,
        top_k: 0,
        top_p_ppm: 1_000_000,
        min_p_ppm: 0,
    };

    #[test]
    fn greedy_takes_the_lowest_of_the_best() {
        let greedy = Sampling {
            temperature_milli: 0,
            ..PLAIN
        };
        assert_eq!(check(&[1.0, 3.0, 3.0, 2.0], &greedy, 7), 1);
        assert_eq!(check(&[-0.0, 0.0], &greedy, 7), 1, "-0 is below +0");
        assert_eq!(check(&[f32::NAN, -1.0], &greedy, 7), 1);
        for sampling in [greedy, PLAIN] {
            assert_eq!(check(&[f32::NAN, f32::NAN], &sampling, 7), 0);
            assert_eq!(check(&[0.0, f32::INFINITY, f32::INFINITY], &sampling, 7), 1);
            assert_eq!(
                check(
                    &[f32::NAN, f32::NEG_INFINITY, f32::NEG_INFINITY],
                    &sampling,
                    7
                ),
                1
            );
        }
    }

    #[test]
    fn borders_of_the_draw_and_the_thresholds() {
        let logits = [0.0, 5.0, 5.0, 4.0, f32::NAN, f32::NEG_INFINITY];
        assert_eq!(check(&logits, &PLAIN, 0), 0);
        assert_eq!(check(&logits, &PLAIN, u64::MAX), 3);
        let one = Sampling { top_k: 1, ..PLAIN };
        assert_eq!(check(&logits, &one, 0), 1);
        assert_eq!(
            check(&logits, &one, u64::MAX),
            2,
            "ties at the threshold stay in"
        );
        // More than there are survivors, than there are tokens, than fit.
        for top_k in [4, 5, 6, 7, u32::MAX] {
            check(&logits, &Sampling { top_k, ..PLAIN }, u64::MAX);
        }
        assert_eq!(
            check(
                &logits,
                &Sampling {
                    top_p_ppm: 1,
                    ..PLAIN
                },
                u64::MAX
            ),
            2
        );
        assert_eq!(
            check(
                &logits,
                &Sampling {
                    min_p_ppm: 1_000_000,
                    ..PLAIN
                },
                u64::MAX
            ),
            2
        );
        assert_eq!(check(&[1.0], &PLAIN, u64::MAX), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]
        #[test]
        fn equals_the_naive_selection(
            logits in proptest::collection::vec(prop_oneof![
                8 => -8.0f32..8.0, 6 => (-5i8..5).prop_map(|x| f32::from(x) / 2.0), 1 => any::<u32>().prop_map(f32::from_bits),
            ], 1..80),
            temperature_milli in prop_oneof![Just(0u32), Just(1), 1u32..3000, Just(10_000)],
            top_k in prop_oneof![Just(0u32), 1u32..100],
            top_p_ppm in prop_oneof![Just(1_000_000u32), 1u32..1_000_000],
            min_p_ppm in prop_oneof![Just(0u32), 0u32..=1_000_000],
            h64: u64,
        ) {
            check(&logits, &Sampling { temperature_milli, top_k, top_p_ppm, min_p_ppm }, h64);
        }
    }
}
