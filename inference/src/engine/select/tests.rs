use super::*;
use crate::numeric::mass;
use crate::numeric::selection_key;
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
        let enough = |u: &&u128| p.iter().filter(|p| *p >= *u).count() >= sampling.top_k as usize;
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
