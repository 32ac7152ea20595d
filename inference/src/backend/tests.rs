//! Every backend stores the bits of the naive twin, for odd shapes and special values, with any number of threads.

use proptest::prelude::*;

use super::*;
use crate::format::packed::Layout;
use crate::program::{WeightFormat, WeightShape};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number that activations have; with `special`, now and then one that they should not have.
    fn number(&mut self, special: bool) -> f32 {
        const SPECIAL: [u32; 12] = [
            0,
            0x8000_0000,
            1,
            0x8000_0001,
            0x007f_ffff,
            0x0080_0000,
            0x7f7f_ffff,
            0xff7f_ffff,
            0x7f80_0000,
            0xff80_0000,
            0x7fc0_0000,
            0x3f80_0000,
        ];
        match self.next() % 97 {
            0..12 if special => f32::from_bits(SPECIAL[self.next() as usize % SPECIAL.len()]),
            12..16 if special => f32::from_bits(self.next() as u32 & 0x83ff_ffff),
            _ => (self.next() % 2001) as f32 / 500.0 - 2.0,
        }
    }

    fn numbers(&mut self, n: usize, special: bool) -> Vec<f32> {
        (0..n).map(|_| self.number(special)).collect()
    }

    /// Bytes of a packed tensor; scales are small finite f16 or f32 numbers unless `special`.
    fn packed(&mut self, layout: &Layout, special: bool) -> Vec<u8> {
        if layout.shape.format == WeightFormat::F32 {
            return self
                .numbers(layout.bytes() / 4, special)
                .into_iter()
                .flat_map(f32::to_le_bytes)
                .collect();
        }
        let wide = layout.shape.format == WeightFormat::Q8F;
        let mask = |i: usize| match (special, wide, i % 4) {
            (true, ..) | (_, true, 0 | 1) | (_, false, 0 | 2) => 0xff,
            _ => 0xbb,
        };
        (0..layout.bytes())
            .map(|i| (self.next() as u8) & mask(i))
            .collect()
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Runs `f` with the scalar backend and every other one, and compares.
fn same<T: PartialEq + std::fmt::Debug>(
    f: impl Fn(&dyn Backend) -> T,
) -> Result<(), TestCaseError> {
    let expected = f(&Scalar);
    for threads in [1, 2, 3, 5, 8] {
        for backend in Threaded::all(threads).expect("threads start") {
            prop_assert_eq!(&f(&backend), &expected, "{}", backend.name());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn matmul(format in 0u8..5, outputs in 1u32..90, inner in 1u32..620, rows in 1usize..34, seed: u64, special: bool) {
        let format = WeightFormat::from_code(format).unwrap_or(WeightFormat::F32);
        let cols = if format.is_quantised() { inner.next_multiple_of(32) } else { inner };
        let mut random = Random(seed);
        let layout = Layout { shape: WeightShape { format, rows: outputs, cols }, matrix: true };
        let bytes = random.packed(&layout, special);
        let weights = PackedTensor::new(layout, &bytes);
        let x = random.numbers(rows * cols as usize, special);
        same(|backend| {
            let mut out = vec![0.0; rows * outputs as usize];
            if format.is_quantised() {
                let (mut scales, mut quants) = (vec![0.0; x.len() / 32], vec![0; x.len()]);
                backend.quantise(&x, &mut scales, &mut quants);
                assert!(quants.iter().all(|q| *q != -128));
                backend.matmul(weights, MatmulInput::Quantised(Quantised { scales: &scales, quants: &quants }), &mut out);
            } else {
                backend.matmul(weights, MatmulInput::F32(&x), &mut out);
            }
            bits(&out)
        })?;
        let mut values = vec![0.0; rows * cols as usize];
        let tokens: Vec<u32> = (0..rows).map(|_| random.next() as u32 % outputs).collect();
        Scalar.embed(weights, &tokens, &mut values);
        same(|backend| {
            let mut out = vec![0.0; rows * cols as usize];
            backend.embed(weights, &tokens, &mut out);
            bits(&out)
        })?;
    }

    #[test]
    fn row_by_row(rows in 1usize..34, dim in 1usize..1400, seed: u64, special: bool) {
        let mut random = Random(seed);
        let layout = Layout { shape: WeightShape { format: WeightFormat::F32, rows: 1, cols: dim as u32 }, matrix: false };
        let bytes = random.packed(&layout, special);
        let weights = PackedTensor::new(layout, &bytes);
        let (x, y) = (random.numbers(rows * dim, special), random.numbers(rows * dim, special));
        same(|backend| {
            let mut stat = vec![0.0; rows];
            backend.norm_stat(&x, dim, 1e-5, &mut stat);
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
    fn rope(rows in 1usize..34, heads in 1usize..5, half_dim in 1usize..40, odd in 0usize..2, unrotated in 0usize..5, seed: u64, special: bool) {
        let mut random = Random(seed);
        let (rotated, head_dim) = (half_dim * 2, half_dim * 2 + unrotated * 2 + odd);
        let layout = Layout { shape: WeightShape { format: WeightFormat::F32, rows: 50, cols: rotated as u32 }, matrix: false };
        let bytes = random.packed(&layout, false);
        let table = PackedTensor::new(layout, &bytes);
        let x = random.numbers(rows * heads * head_dim, special);
        let positions: Vec<u32> = (0..rows).map(|_| random.next() as u32 % 50).collect();
        same(|backend| {
            let mut out = vec![0.0; x.len()];
            backend.rope(&x, head_dim, table, &positions, &mut out);
            bits(&out)
        })?;
    }

    #[test]
    fn attention(kv_heads in 1usize..4, per in 1usize..4, head_dim in 1usize..70, wide in 0usize..12, length in 1usize..600, rows in 1usize..12, seed: u64, special: bool) {
        let head_dim = if wide == 0 { head_dim + 240 } else { head_dim };
        let (mut random, heads) = (Random(seed), kv_heads * per);
        let mut pages = Vec::new();
        for first in (0..length).step_by(PAGE_POSITIONS) {
            let mut page = KvPage::new(kv_heads, head_dim);
            for slot in 0..PAGE_POSITIONS.min(length - first) {
                let mut row = || -> Vec<u16> { random.numbers(kv_heads * head_dim, special).into_iter().map(crate::numeric::f32_to_f16).collect() };
                let (keys, values) = (row(), row());
                page.store(slot, &keys, &values);
                for (i, (key, value)) in keys.iter().zip(&values).enumerate() {
                    let (head, element) = (i / head_dim, i % head_dim);
                    prop_assert_eq!((page.key(head, slot, element), page.value(head, slot, element)), (*key, *value));
                }
            }
            pages.push(Arc::new(page));
        }
        let q = random.numbers(rows * heads * head_dim, special);
        let shape = AttentionShape { heads, kv_heads, head_dim, scale: 0.3 };
        // Rows share pages as those of one sequence do, or see the first ones only as those of another.
        let seen: Vec<_> = (0..rows).map(|_| {
            let position = (random.next() % length as u64) as u32;
            let fewest = position as usize / PAGE_POSITIONS + 1;
            AttentionRow { pages: if random.next() % 3 == 0 { &pages[..fewest] } else { &pages }, position }
        }).collect();
        same(|backend| {
            let (mut maxima, mut sums, mut places) = (vec![0.0; rows * heads], vec![0.0; rows * heads], vec![0; rows * heads]);
            let mut mix = vec![0.0; rows * heads * head_dim];
            let out = AttentionOut { maxima: &mut maxima, places: &mut places, sums: &mut sums, mix: &mut mix };
            backend.attention(&shape, &q, &seen, out);
            assert!(mix.iter().all(|v| !v.is_nan() || v.to_bits() == 0x7fc0_0000), "NaNs are canonical");
            (bits(&maxima), places, bits(&sums), bits(&mix))
        })?;
    }
}

/// All batch sizes to past two blocks of rows, on all numbers of threads, with scales at the ends of their range.
#[test]
fn every_batch_size_and_thread_count() {
    let formats = [
        WeightFormat::Q8_0,
        WeightFormat::Q4_0,
        WeightFormat::Q8F,
        WeightFormat::F16,
        WeightFormat::F32,
    ];
    let mut random = Random(11);
    for format in formats {
        for (rows, outputs, cols) in (1..=33).map(|rows| (rows, 35, 288)).chain([
            (64, 33, 64),
            (65, 17, 544),
            (131, 16, 288),
        ]) {
            let layout = Layout {
                shape: WeightShape {
                    format,
                    rows: outputs,
                    cols,
                },
                matrix: true,
            };
            let mut bytes = random.packed(&layout, false);
            if format == WeightFormat::Q8_0 || format == WeightFormat::Q4_0 {
                // Scales of zero, subnormal, the least normal and the largest halves.
                let area = crate::format::packed::scale_area(format, 256.min(cols as usize));
                for (scale, half) in bytes[..area].as_chunks_mut::<2>().0.iter_mut().zip(
                    [0u16, 1, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff]
                        .iter()
                        .cycle(),
                ) {
                    *scale = half.to_le_bytes();
                }
            }
            let weights = PackedTensor::new(layout, &bytes);
            let mut x = random.numbers(rows * cols as usize, false);
            // Blocks of zeros, of subnormals and of huge numbers.
            x[..32].fill(0.0);
            for (i, block) in x.chunks_mut(32).enumerate() {
                let factor = [1.0, 1e-40, 1e30, 1.0, 1e-20][i % 5];
                block.iter_mut().for_each(|x| *x *= factor);
            }
            let product = |backend: &dyn Backend| {
                let mut out = vec![0.0; rows * outputs as usize];
                if format.is_quantised() {
                    let (mut scales, mut quants) = (vec![0.0; x.len() / 32], vec![0; x.len()]);
                    backend.quantise(&x, &mut scales, &mut quants);
                    let x = Quantised {
                        scales: &scales,
                        quants: &quants,
                    };
                    backend.matmul(weights, MatmulInput::Quantised(x), &mut out);
                } else {
                    backend.matmul(weights, MatmulInput::F32(&x), &mut out);
                }
                bits(&out)
            };
            let expected = product(&Scalar);
            for threads in 1..=8 {
                for backend in Threaded::all(threads).expect("threads start") {
                    assert!(
                        product(&backend) == expected,
                        "{format:?}, {rows} rows, {}",
                        backend.name()
                    );
                }
            }
        }
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
