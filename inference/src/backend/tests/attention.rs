//! Attention.

use super::*;
use crate::numeric::f32_to_f16;

/// Queries, keys and values.
struct Case {
    shape: AttentionShape,
    pages: Vec<Arc<KvPage>>,
    q: Vec<f32>,
    /// Positions of the rows, and whether they have the sequence's pages or those of a shorter one.
    rows: Vec<(u32, bool)>,
}

impl Case {
    fn new(
        kv_heads: usize,
        per: usize,
        head_dim: usize,
        length: usize,
        rows: usize,
        seed: u64,
        special: bool,
    ) -> Case {
        let (mut random, heads) = (Random(seed), kv_heads * per);
        let mut pages = Vec::new();
        for first in (0..length).step_by(PAGE_POSITIONS) {
            let mut page = KvPage::new(kv_heads, head_dim);
            for slot in 0..PAGE_POSITIONS.min(length - first) {
                let mut row = || -> Vec<u16> {
                    let numbers = random.numbers(kv_heads * head_dim, special);
                    numbers.into_iter().map(f32_to_f16).collect()
                };
                let (keys, values) = (row(), row());
                page.store(slot, &keys, &values);
                for (i, (key, value)) in keys.iter().zip(&values).enumerate() {
                    let (head, element) = (i / head_dim, i % head_dim);
                    let found = (
                        page.key(head, slot, element),
                        page.value(head, slot, element),
                    );
                    assert_eq!(found, (*key, *value));
                }
            }
            pages.push(Arc::new(page));
        }
        let q = random.numbers(rows * heads * head_dim, special);
        // Rows share pages as those of one sequence do, or see the first ones only as those of another.
        let row = |_| {
            (
                (random.next() % length as u64) as u32,
                random.next() % 5 == 0,
            )
        };
        Case {
            shape: AttentionShape {
                heads,
                kv_heads,
                head_dim,
                scale: 0.3,
            },
            pages,
            q,
            rows: (0..rows).map(row).collect(),
        }
    }

    fn run(&self, backend: &dyn Backend) -> (Vec<u32>, Vec<u32>, Vec<u32>, Vec<u32>) {
        let row = |&(position, short): &(u32, bool)| {
            let fewest = position as usize / PAGE_POSITIONS + 1;
            let count = if short { fewest } else { self.pages.len() };
            AttentionRow {
                pages: &self.pages[..count],
                position,
            }
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        let pairs = rows.len() * self.shape.heads;
        let (mut maxima, mut sums, mut places) =
            (vec![0.0; pairs], vec![0.0; pairs], vec![0; pairs]);
        let mut mix = vec![0.0; self.q.len()];
        let out = AttentionOut {
            maxima: &mut maxima,
            places: &mut places,
            sums: &mut sums,
            mix: &mut mix,
        };
        backend.attention(&self.shape, &self.q, &rows, out);
        let nan = mix
            .iter()
            .find(|v| v.is_nan() && v.to_bits() != 0x7fc0_0000);
        assert_eq!(nan, None, "NaNs are canonical");
        (bits(&maxima), places, bits(&sums), bits(&mix))
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn attention(kv_heads in 1usize..4, per in 1usize..11, head_dim in 1usize..70, wide in 0usize..12, length in 1usize..600, rows in 1..=ROWS, threads in 1..=THREADS, seed: u64, special: bool) {
        // The twin is slow: long caches with few pairs of row and head.
        let (per, rows) = if length > 100 { (per % 3 + 1, rows % 12 + 1) } else { (per, rows) };
        let head_dim = if wide == 0 { head_dim + 240 } else { head_dim };
        let case = Case::new(kv_heads, per, head_dim, length, rows, seed, special);
        same(threads, |backend| case.run(backend))?;
    }
}

/// All numbers of rows, on all numbers of threads: bundles of all sizes.
#[test]
fn every_number_of_queries() {
    for rows in 1..=ROWS {
        let (per, head_dim, length) = (rows % 3 + 1, 8 + rows, 70 + 7 * rows);
        let case = Case::new(2, per, head_dim, length, rows, rows as u64, rows % 2 == 0);
        same_for_all_threads(&format!("{rows} rows"), |backend| case.run(backend));
    }
}

/// The highest score is the next number above all others.
#[test]
fn neighbouring_scores() {
    let mut page = KvPage::new(1, 2);
    let one = f32_to_f16(1.0);
    for slot in 0..PAGE_POSITIONS {
        page.store(slot, &[one, if slot == 37 { one } else { 0 }], &[one, one]);
    }
    for heads in 1..=9 {
        let case = Case {
            shape: AttentionShape {
                heads,
                kv_heads: 1,
                head_dim: 2,
                scale: 1.0,
            },
            pages: vec![Arc::new(page.clone())],
            q: [1.0, f32::EPSILON].repeat(heads),
            rows: vec![(63, false)],
        };
        assert_eq!(case.run(&Scalar).1, vec![37; heads]);
        same_for_all_threads(&format!("{heads} heads"), |backend| case.run(backend));
    }
}

/// The scalar backend against numbers worked out by hand.
#[test]
fn attention_by_hand() {
    let mut page = KvPage::new(1, 1);
    for (slot, (key, value)) in [(1.0, 3.0), (2.0, 5.0), (2.0, 9.0)].into_iter().enumerate() {
        page.store(
            slot,
            &[crate::numeric::f32_to_f16(key)],
            &[crate::numeric::f32_to_f16(value)],
        );
    }
    let pages = [Arc::new(page)];
    let shape = AttentionShape {
        heads: 1,
        kv_heads: 1,
        head_dim: 1,
        scale: 0.5,
    };
    let rows = [0, 2].map(|position| AttentionRow {
        pages: &pages,
        position,
    });
    let (mut maxima, mut places, mut sums, mut mix) = ([0.0; 2], [0; 2], [0.0; 2], [0.0; 2]);
    let out = AttentionOut {
        maxima: &mut maxima,
        places: &mut places,
        sums: &mut sums,
        mix: &mut mix,
    };
    Scalar.attention(&shape, &[4.0, 4.0], &rows, out);
    assert_eq!(
        (maxima, places, sums[0], mix[0]),
        ([2.0, 4.0], [0, 1], 1.0, 3.0)
    );
    let e = (-2.0f64).exp();
    assert!((f64::from(sums[1]) - (2.0 + e)).abs() < 1e-6);
    assert!((f64::from(mix[1]) - (14.0 + 3.0 * e) / (2.0 + e)).abs() < 1e-6);
}
