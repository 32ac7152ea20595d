//! Selection of a token (`prover/SPEC.md` section 4) the plain way: every sum over all tokens, every threshold tried.

use serde_json::{Value, json};
use sworn_inference::numeric::{draw, mass, selection_key};
use sworn_prover::params::Params;

use super::arithmetic::{Random, bits};
use super::{columns, sample};

/// What a selection came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// The token.
    pub token: u32,
    /// The threshold `t`; 0 when nothing was drawn.
    pub threshold: u32,
    /// The sum of P over tokens at or above it; 0 when nothing was drawn.
    pub total: u64,
}

/// The token that logits, parameters and 64 random bits select; None for no logits.
#[must_use]
pub fn select(logits: &[f32], params: &Params, h64: u64) -> Option<Selection> {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if selection_key(*logit) > selection_key(*logits.get(best)?) {
            best = id;
        }
    }
    let m = *logits.get(best)?;
    if params.temperature_milli == 0 || !m.is_finite() {
        return Some(Selection {
            token: best as u32,
            threshold: 0,
            total: 0,
        });
    }
    let masses: Vec<u32> = logits
        .iter()
        .map(|logit| mass(*logit, m, params.temperature_milli))
        .collect();
    let count = |u: u32| masses.iter().filter(|p| **p >= u).count();
    let sum = |u: u32| {
        masses
            .iter()
            .filter(|p| **p >= u)
            .map(|p| u64::from(*p))
            .sum::<u64>()
    };

    // Counts and sums only change at masses that occur, so the largest u of a kind is one of them.
    let mut candidates: Vec<u32> = masses.iter().copied().filter(|p| *p >= 1).collect();
    candidates.sort_unstable();
    let largest = |from: u32, good: &dyn Fn(u32) -> bool| {
        candidates
            .iter()
            .copied()
            .rev()
            .find(|u| *u >= from && good(*u))
            .unwrap_or(from)
    };
    let mut t = 1;
    if params.top_k > 0 {
        t = largest(t, &|u| count(u) >= params.top_k as usize);
    }
    if params.top_p_ppm < 1_000_000 {
        let need = (u128::from(sum(t)) * u128::from(params.top_p_ppm))
            .div_ceil(1_000_000)
            .max(1);
        t = largest(t, &|u| u128::from(sum(u)) >= need);
    }
    if params.min_p_ppm > 0 {
        let floor = ((1u64 << 30) * u64::from(params.min_p_ppm)).div_ceil(1_000_000);
        t = t.max(floor as u32);
    }
    let total = sum(t);
    let r = ((u128::from(h64) * u128::from(total)) >> 64) as u64;
    let mut running = 0;
    let token = masses.iter().position(|p| {
        running += if *p >= t { u64::from(*p) } else { 0 };
        running > r
    })?;
    Some(Selection {
        token: token as u32,
        threshold: t,
        total,
    })
}

pub(super) fn cases() -> Value {
    let mut random = Random::new("selection");
    let mut logit_lists: Vec<Vec<f32>> = Vec::new();
    for size in [1, 2, 5, 40, 40, 300] {
        logit_lists.push((0..size).map(|_| random.near(8.0)).collect());
    }
    // Ties, zeros of both signs, spread beyond 2^-30, and values that are no numbers.
    logit_lists.push(vec![1.0, 3.0, 3.0, 2.0, 3.0, 1.0]);
    logit_lists.push(vec![-0.0, 0.0, -0.0, 0.0]);
    logit_lists.push(vec![30.0, 9.0, 9.3, 8.0, -1e30, f32::NEG_INFINITY]);
    logit_lists.push(vec![f32::NAN, 1.0, f32::NAN, 1.5, f32::NEG_INFINITY]);
    logit_lists.push(vec![1.0, f32::INFINITY, 2.0, f32::INFINITY]);
    logit_lists.push(vec![f32::NAN, f32::NAN]);
    logit_lists.push(vec![f32::NEG_INFINITY, f32::NAN, f32::NEG_INFINITY]);
    logit_lists.push(vec![f32::MAX, f32::MIN, 0.0]);

    let all = Params {
        n_runs: 1,
        temperature_milli: 1000,
        ..Params::default()
    };
    let settings = [
        all,
        Params {
            temperature_milli: 0,
            ..all
        },
        Params {
            temperature_milli: 1,
            ..all
        },
        Params {
            temperature_milli: 10_000,
            ..all
        },
        Params {
            temperature_milli: 800,
            top_k: 3,
            ..all
        },
        Params { top_k: 1, ..all },
        Params {
            top_k: u32::MAX,
            ..all
        },
        Params {
            top_p_ppm: 900_000,
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
            min_p_ppm: 50_000,
            ..all
        },
        Params {
            min_p_ppm: 1_000_000,
            ..all
        },
        Params {
            min_p_ppm: 1,
            ..all
        },
        Params {
            temperature_milli: 700,
            top_k: 20,
            top_p_ppm: 800_000,
            min_p_ppm: 20_000,
            ..all
        },
        Params {
            temperature_milli: 1300,
            top_k: 4,
            top_p_ppm: 500_000,
            min_p_ppm: 300_000,
            ..all
        },
    ];
    let mut cases = Vec::new();
    for (list, logits) in logit_lists.iter().enumerate() {
        for (number, params) in settings.iter().enumerate() {
            let (seed, run, position) = (
                sample("selection", list as u32),
                number as u32,
                10 + number as u32,
            );
            let drawn = draw(&seed.0, run, position);
            let extremes = if list % 3 == 0 {
                vec![drawn, 0, u64::MAX]
            } else {
                vec![drawn]
            };
            for h64 in extremes {
                let Some(selection) = select(logits, params, h64) else {
                    continue;
                };
                cases.push(json!({
                    "list": list,
                    "temperature_milli": params.temperature_milli,
                    "top_k": params.top_k,
                    "top_p_ppm": params.top_p_ppm,
                    "min_p_ppm": params.min_p_ppm,
                    "h64": format!("0x{h64:016x}"),
                    "token": selection.token,
                    "threshold": selection.threshold,
                    "total": selection.total,
                }));
            }
        }
    }
    let draws: Vec<Value> = [(0, 0, 0), (0, 1, 0), (1, 0, 1), (2, 15, 4095), (3, u32::MAX, u32::MAX)]
        .into_iter()
        .map(|(i, run, position)| {
            let seed = sample("draw", i);
            let h64 = draw(&seed.0, run, position);
            json!({ "seed": seed.to_string(), "run": run, "position": position, "h64": format!("0x{h64:016x}") })
        })
        .collect();
    let masses: Vec<[Value; 4]> = (0..200)
        .map(|i| {
            let best = random.near(20.0);
            let logit = [
                best,
                best - random.near(1.0).abs(),
                best - random.near(25.0).abs(),
                f32::NAN,
            ][i % 4];
            let temperature_milli = [1000, 1, 800, 10_000, 333][i % 5];
            let p = mass(logit, best, temperature_milli);
            [
                bits(logit).into(),
                bits(best).into(),
                temperature_milli.into(),
                p.into(),
            ]
        })
        .collect();
    let logits: Vec<Vec<String>> = logit_lists
        .iter()
        .map(|list| list.iter().map(|x| bits(*x)).collect())
        .collect();
    json!({
        "logits": logits,
        "count": cases.len(),
        "cases": cases,
        "draws": draws,
        "masses": columns(["logit", "best", "temperature_milli", "mass"], masses),
    })
}
