//! Matrix products and the quantisation before them.

use super::*;
use crate::format::packed::scale_area;

/// Quantised activations, where the weights want them, and the product.
fn product(
    backend: &dyn Backend,
    weights: PackedTensor<'_>,
    x: &[f32],
) -> (Vec<u32>, Vec<i8>, Vec<u32>) {
    let shape = weights.shape();
    let mut out = vec![0.0; x.len() / shape.cols as usize * shape.rows as usize];
    if !shape.format.is_quantised() {
        backend.matmul(weights, MatmulInput::F32(x), &mut out);
        return (bits(&out), Vec::new(), Vec::new());
    }
    let (mut scales, mut quants) = (vec![1.0; x.len() / 32], vec![1; x.len()]);
    backend.quantise(x, &mut scales, &mut quants);
    assert!(quants.iter().all(|q| *q != -128));
    let x = Quantised {
        scales: &scales,
        quants: &quants,
    };
    backend.matmul(weights, MatmulInput::Quantised(x), &mut out);
    (bits(&out), quants.clone(), bits(&scales))
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn matmul(format in 0u8..5, outputs in 1u32..90, inner in 1u32..620, rows in 1..=ROWS, threads in 1..=THREADS, seed: u64, special: bool) {
        let format = WeightFormat::from_code(format).unwrap_or(WeightFormat::F32);
        let cols = if format.is_quantised() { inner.next_multiple_of(32) } else { inner };
        let mut random = Random(seed);
        let layout = Layout { shape: WeightShape { format, rows: outputs, cols }, matrix: true };
        let bytes = random.packed(&layout, special);
        let weights = PackedTensor::new(layout, &bytes);
        let x = random.numbers(rows * cols as usize, special);
        same(threads, |backend| product(backend, weights, &x))?;
        let tokens: Vec<u32> = (0..rows).map(|_| random.next() as u32 % outputs).collect();
        same(threads, |backend| {
            let mut out = vec![0.0; rows * cols as usize];
            backend.embed(weights, &tokens, &mut out);
            bits(&out)
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
        for (rows, outputs, cols) in (1..=ROWS).map(|rows| (rows, 35, 288)).chain([
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
            // Scales of zero, subnormal, the least normal and the largest numbers of their kind, in the first tile.
            let area = &mut bytes[..scale_area(format, 256.min(cols as usize))];
            if format == WeightFormat::Q8F {
                let scales = [0u32, 1, 0x8000_0001, 0x007f_ffff, 0x0080_0000, 0x7f7f_ffff];
                for (scale, x) in area.as_chunks_mut().0.iter_mut().zip(scales.iter().cycle()) {
                    *scale = x.to_le_bytes();
                }
            } else {
                let scales = [0u16, 1, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff];
                for (scale, x) in area.as_chunks_mut().0.iter_mut().zip(scales.iter().cycle()) {
                    *scale = x.to_le_bytes();
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
            let what = format!("{format:?}, {rows} rows");
            same_for_all_threads(&what, |backend| product(backend, weights, &x));
        }
    }
}
