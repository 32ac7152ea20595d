//! Operations on rows and elements.

use super::*;

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn row_by_row(rows in 1..=ROWS, dim in 1usize..1400, eps in prop_oneof![Just(1e-5f32), Just(0.0), Just(1e-40)], threads in 1..=THREADS, seed: u64, special: bool) {
        let mut random = Random(seed);
        let layout = Layout { shape: WeightShape { format: WeightFormat::F32, rows: 1, cols: dim as u32 }, matrix: false };
        let bytes = random.packed(&layout, special);
        let weights = PackedTensor::new(layout, &bytes);
        let (x, y) = (random.numbers(rows * dim, special), random.numbers(rows * dim, special));
        same(threads, |backend| {
            let mut stat = vec![0.0; rows];
            backend.norm_stat(&x, dim, eps, &mut stat);
            let mut outs = [vec![0.0; rows * dim], vec![0.0; rows * dim], vec![0.0; rows * dim]];
            backend.norm_apply(&x, &stat, weights, &mut outs[0]);
            backend.add(&x, &y, &mut outs[1]);
            backend.silu_mul(&x, &y, &mut outs[2]);
            let mut halves = vec![0; rows * dim];
            backend.to_f16(&x, &mut halves);
            assert!(outs.iter().flatten().chain(&stat).all(|v| !v.is_nan() || v.to_bits() == 0x7fc0_0000), "NaNs are canonical");
            (bits(&stat), outs.map(|out| bits(&out)), halves)
        })?;
    }

    #[test]
    fn rope(rows in 1..=ROWS, heads in 1usize..5, half_dim in 1usize..40, odd in 0usize..2, unrotated in 0usize..5, threads in 1..=THREADS, seed: u64, special: bool) {
        let mut random = Random(seed);
        let (rotated, head_dim) = (half_dim * 2, half_dim * 2 + unrotated * 2 + odd);
        let layout = Layout { shape: WeightShape { format: WeightFormat::F32, rows: 50, cols: rotated as u32 }, matrix: false };
        let bytes = random.packed(&layout, special);
        let table = PackedTensor::new(layout, &bytes);
        let x = random.numbers(rows * heads * head_dim, special);
        let positions: Vec<u32> = (0..rows).map(|_| random.next() as u32 % 50).collect();
        same(threads, |backend| {
            let mut out = vec![0.0; x.len()];
            backend.rope(&x, head_dim, table, &positions, &mut out);
            bits(&out)
        })?;
    }
}

/// All numbers of rows, on all numbers of threads, with every kind of special value.
#[test]
fn every_number_of_rows() {
    let mut random = Random(5);
    for rows in 1..=ROWS {
        for dim in [48, 320] {
            let shape = WeightShape {
                format: WeightFormat::F32,
                rows: 1,
                cols: dim as u32,
            };
            let layout = Layout {
                shape,
                matrix: false,
            };
            let bytes = random.packed(&layout, true);
            let weights = PackedTensor::new(layout, &bytes);
            let shape = WeightShape {
                rows: ROWS as u32,
                cols: 24,
                ..shape
            };
            let layout = Layout {
                shape,
                matrix: false,
            };
            let bytes = random.packed(&layout, true);
            let table = PackedTensor::new(layout, &bytes);
            let positions: Vec<u32> = (0..rows as u32).rev().collect();
            let (x, y) = (
                random.numbers(rows * dim, true),
                random.numbers(rows * dim, true),
            );
            same_for_all_threads(&format!("{rows} rows of {dim}"), |backend| {
                let mut stat = vec![0.0; rows];
                backend.norm_stat(&x, dim, 1e-5, &mut stat);
                let mut outs = [const { Vec::new() }; 4].map(|_: Vec<f32>| vec![0.0; x.len()]);
                backend.norm_apply(&x, &stat, weights, &mut outs[0]);
                backend.add(&x, &y, &mut outs[1]);
                backend.silu_mul(&x, &y, &mut outs[2]);
                backend.rope(&x, dim / 2, table, &positions, &mut outs[3]);
                let mut halves = vec![0; x.len()];
                backend.to_f16(&x, &mut halves);
                (bits(&stat), outs.map(|out| bits(&out)), halves)
            });
        }
    }
}
