//! Matrix products, quantising and embedding.

use sworn_cuda::device::{Device, Kernel};
use sworn_inference::backend::{Backend, MatmulInput, Quantised, Scalar};
use sworn_inference::format::packed::{Layout, PackedTensor};
use sworn_inference::program::{WeightFormat, WeightShape};
use sworn_inference::testing::Random;

use crate::desk::{Desk, numbers, packed};
use crate::devices::on_devices;
use crate::models::bits;

const FORMATS: [WeightFormat; 5] = [
    WeightFormat::Q8_0,
    WeightFormat::Q4_0,
    WeightFormat::Q8F,
    WeightFormat::F16,
    WeightFormat::F32,
];

/// One matrix, or two of the same cut apart at a group, with every kernel that takes its format.
fn matmul(desk: &mut Desk<'_>, layout: Layout, rows: usize, seed: u64, special: bool) {
    let mut random = Random(seed);
    let bytes = packed(&mut random, &layout, special);
    let weights = PackedTensor::new(layout, &bytes);
    let WeightShape {
        format,
        rows: outputs,
        cols,
    } = layout.shape;
    let x = numbers(&mut random, rows * cols as usize, special);
    let mut expected = vec![0.0; rows * outputs as usize];
    let w = desk.bytes(&bytes);
    let at = desk.floats(&x);
    let groups = outputs.div_ceil(16);
    let out = desk.room(rows * outputs as usize);
    let n = [
        groups,
        groups,
        outputs,
        0,
        0,
        cols,
        format as u32,
        rows as u32,
    ];
    let mut p = [w, 0, 0, out, 0, 0, at, 0, 0];
    let mut kernels = vec![(Kernel::MatmulFloat, rows.div_ceil(4) as u32, 4096)];
    if format.is_quantised() {
        let blocks = x.len() / 32;
        let (mut scales, mut quants) = (vec![0.0; blocks], vec![0; x.len()]);
        Scalar.quantise(&x, &mut scales, &mut quants);
        let input = Quantised {
            scales: &scales,
            quants: &quants,
        };
        Scalar.matmul(weights, MatmulInput::Quantised(input), &mut expected);
        (p[6], p[7], p[8]) = (desk.room(blocks), desk.room(x.len() / 4), desk.room(blocks));
        let grid = [(x.len() as u32 / 4).div_ceil(256), 1, 1];
        desk.launch(
            Kernel::Quantise,
            grid,
            0,
            &[at, p[6], p[7], p[8]],
            &[x.len() as u32],
            &[],
        );
        assert_eq!(desk.numbers(p[6], blocks), bits(&scales));
        let bytes: Vec<u8> = quants.iter().map(|q| *q as u8).collect();
        assert_eq!(desk.read(p[7], x.len()), bytes);
        kernels = vec![(Kernel::MatmulDot, rows as u32, 2048)];
        for (kernel, width) in [
            (Kernel::MatmulMma1, 1),
            (Kernel::MatmulMma2, 2),
            (Kernel::MatmulMma4, 4),
        ] {
            kernels.push((kernel, (rows as u32).div_ceil(8 * width), 4096 * width));
        }
    } else {
        Scalar.matmul(weights, MatmulInput::F32(&x), &mut expected);
    }
    for (kernel, chunks, shared) in kernels {
        desk.launch(kernel, [groups, chunks, 1], shared, &p, &n, &[]);
        let found = desk.numbers(out, expected.len());
        assert!(
            found == bits(&expected),
            "{kernel:?} {:?} x {rows}",
            layout.shape
        );
    }
    let tokens: Vec<u32> = (0..rows)
        .map(|_| random.below(outputs as usize) as u32)
        .collect();
    let mut expected = vec![0.0; rows * cols as usize];
    Scalar.embed(weights, &tokens, &mut expected);
    let (list, out) = (
        desk.words(&tokens, u32::to_le_bytes),
        desk.room(expected.len()),
    );
    let grid = [rows as u32, cols.div_ceil(256), 1];
    desk.launch(
        Kernel::Embed,
        grid,
        0,
        &[w, list, out],
        &[cols, format as u32],
        &[],
    );
    assert_eq!(
        desk.numbers(out, expected.len()),
        bits(&expected),
        "{:?}",
        layout.shape
    );
}

#[test]
fn products_of_every_batch_size_and_odd_shape() {
    on_devices(&products_of_every_batch_size_and_odd_shape_on);
}

fn products_of_every_batch_size_and_odd_shape_on(device: &dyn Device) {
    for format in FORMATS {
        let layout = |rows: u32, cols: u32| Layout {
            shape: WeightShape { format, rows, cols },
            matrix: true,
        };
        for rows in 1..=33 {
            let (outputs, cols) = if rows % 8 == 1 { (35, 288) } else { (16, 64) };
            matmul(
                &mut Desk::new(device),
                layout(outputs, cols),
                rows,
                rows as u64,
                rows % 3 == 0,
            );
        }
        // More tiles than the warps of a block take in one round, twice.
        for rows in [1, 3, 20] {
            matmul(&mut Desk::new(device), layout(33, 8800), rows, 5, false);
        }
        let mut random = Random(format as u64 + 77);
        for i in 0..8 {
            let cols = 1 + random.below(4800 >> (i % 4)) as u32;
            let cols = if format.is_quantised() {
                cols.next_multiple_of(32)
            } else {
                cols
            };
            let rows = 1 + random.below(9);
            matmul(
                &mut Desk::new(device),
                layout(1 + random.below(40) as u32, cols),
                rows,
                i,
                i % 2 == 0,
            );
        }
    }
}
