//! Element-wise operations, norms and rotations.

use sworn_cuda::device::{Device, Kernel};
use sworn_inference::backend::{Backend, Scalar};
use sworn_inference::format::packed::{Layout, PackedTensor};
use sworn_inference::program::{WeightFormat, WeightShape};
use sworn_inference::testing::Random;

use crate::desk::{Desk, numbers, packed};
use crate::devices::on_devices;
use crate::models::bits;

#[test]
fn elements_of_all_magnitudes() {
    on_devices(&elements_of_all_magnitudes_on);
}

fn elements_of_all_magnitudes_on(device: &dyn Device) {
    let mut desk = Desk::new(device);
    let x: Vec<f32> = (0..=u32::MAX)
        .step_by(65_521 * 2)
        .map(f32::from_bits)
        .collect();
    let y: Vec<f32> = numbers(&mut Random(3), x.len(), true);
    let n = x.len() / 32 * 32;
    let (x, y) = (&x[..n], &y[..n]);
    let (px, py, out) = (desk.floats(x), desk.floats(y), desk.room(n));
    let grid = [(n as u32).div_ceil(256), 1, 1];
    let mut expected = vec![0.0; n];
    Scalar.add(x, y, &mut expected);
    desk.launch(Kernel::Add, grid, 0, &[px, py, out], &[n as u32], &[]);
    assert!(desk.numbers(out, n) == bits(&expected), "add");
    Scalar.silu_mul(x, y, &mut expected);
    desk.launch(
        Kernel::SiluMul,
        grid,
        0,
        &[px, py, out],
        &[n as u32, 0, 1],
        &[],
    );
    assert!(desk.numbers(out, n) == bits(&expected), "silu_mul");
    let (mut scales, mut quants) = (vec![0.0; n / 32], vec![0; n]);
    Scalar.quantise(&expected, &mut scales, &mut quants);
    let p = [
        px,
        py,
        desk.room(n),
        desk.room(n / 32),
        desk.room(n / 4),
        desk.room(n / 32),
    ];
    desk.launch(Kernel::SiluMul, grid, 0, &p, &[n as u32, 1, 1], &[]);
    assert!(
        desk.numbers(p[2], n) == bits(&expected),
        "silu_mul, quantised"
    );
    assert!(desk.numbers(p[3], n / 32) == bits(&scales));
    assert!(
        desk.read(p[4], n)
            .iter()
            .zip(&quants)
            .all(|(a, b)| *a as i8 == *b)
    );
    let sums: Vec<u32> = quants
        .chunks(32)
        .map(|q| q.iter().map(|q| i32::from(*q)).sum::<i32>() as u32)
        .collect();
    assert_eq!(desk.numbers(p[5], n / 32), sums);
    let mut halves = vec![0; n];
    Scalar.to_f16(x, &mut halves);
    desk.launch(Kernel::ToF16, grid, 0, &[px, out], &[n as u32], &[]);
    let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
    assert!(desk.read(out, n * 2) == bytes, "to_f16");
}

#[test]
fn norms_alone_and_with_what_stands_around_them() {
    on_devices(&norms_alone_and_with_what_stands_around_them_on);
}

fn norms_alone_and_with_what_stands_around_them_on(device: &dyn Device) {
    for (i, (rows, dim)) in [
        (3, 1),
        (2, 255),
        (5, 256),
        (1, 320),
        (33, 64),
        (2, 4096),
        (3, 1500),
        (2, 11_008),
    ]
    .into_iter()
    .enumerate()
    {
        let mut desk = Desk::new(device);
        let (mut random, special) = (Random(i as u64), i % 2 == 0);
        let (x, y) = (
            numbers(&mut random, rows * dim, special),
            numbers(&mut random, rows * dim, false),
        );
        let layout = Layout {
            shape: WeightShape {
                format: WeightFormat::F32,
                rows: 1,
                cols: dim as u32,
            },
            matrix: false,
        };
        let bytes = packed(&mut random, &layout, false);
        let weights = PackedTensor::new(layout, &bytes);
        let (px, py, w) = (desk.floats(&x), desk.floats(&y), desk.bytes(&bytes));
        let shared = (dim.div_ceil(256) + 1 + dim) as u32 * 4;
        for flags in 0..16u32 {
            if flags & 4 != 0 && (dim % 32 != 0 || flags & 2 == 0)
                || flags & 8 != 0 && flags & 4 == 0
            {
                continue;
            }
            let mut sum = x.clone();
            if flags & 1 != 0 {
                Scalar.add(&x, &y, &mut sum);
            }
            let (mut stat, mut applied) = (vec![0.0; rows], vec![0.0; rows * dim]);
            Scalar.norm_stat(&sum, dim, 1e-5, &mut stat);
            Scalar.norm_apply(&sum, &stat, weights, &mut applied);
            let n = rows * dim;
            let p = [
                px,
                py,
                desk.room(n),
                desk.room(rows),
                w,
                desk.room(n),
                desk.room(n / 32),
                desk.room(n / 4),
                desk.room(n / 32),
            ];
            desk.launch(
                Kernel::Norm,
                [rows as u32, 1, 1],
                shared,
                &p,
                &[dim as u32, flags],
                &[1e-5],
            );
            assert_eq!(
                desk.numbers(p[3], rows),
                bits(&stat),
                "{rows} x {dim}, {flags}"
            );
            if flags & 1 != 0 {
                assert!(desk.numbers(p[2], n) == bits(&sum));
            }
            if flags & 2 != 0 && (flags & 4 == 0 || flags & 8 != 0) {
                assert!(
                    desk.numbers(p[5], n) == bits(&applied),
                    "{rows} x {dim}, {flags}"
                );
            }
            if flags & 4 != 0 {
                let (mut scales, mut quants) = (vec![0.0; n / 32], vec![0; n]);
                Scalar.quantise(&applied, &mut scales, &mut quants);
                assert!(desk.numbers(p[6], n / 32) == bits(&scales));
                assert!(
                    desk.read(p[7], n)
                        .iter()
                        .zip(&quants)
                        .all(|(a, b)| *a as i8 == *b)
                );
            }
            if flags != 2 {
                continue;
            }
            // The same for rows that don't fit shared memory.
            let (partial, r, out) = (
                desk.room(rows * dim.div_ceil(256)),
                desk.room(rows),
                desk.room(n),
            );
            let grid = [rows as u32, dim.div_ceil(256).div_ceil(256) as u32, 1];
            desk.launch(
                Kernel::NormTiles,
                grid,
                0,
                &[px, partial],
                &[dim as u32],
                &[],
            );
            desk.launch(
                Kernel::NormSum,
                [1, 1, 1],
                0,
                &[partial, r],
                &[dim as u32, rows as u32],
                &[1e-5],
            );
            assert_eq!(desk.numbers(r, rows), bits(&stat));
            let grid = [rows as u32, dim.div_ceil(256) as u32, 1];
            desk.launch(
                Kernel::NormApply,
                grid,
                0,
                &[px, r, w, out],
                &[dim as u32],
                &[],
            );
            assert!(desk.numbers(out, n) == bits(&applied));
        }
    }
}

#[test]
fn rotations() {
    on_devices(&rotations_on);
}

fn rotations_on(device: &dyn Device) {
    for (i, (rows, heads, head_dim, rotated)) in
        [(7, 3, 20, 16), (2, 1, 9, 8), (33, 2, 64, 64), (1, 5, 2, 2)]
            .into_iter()
            .enumerate()
    {
        let mut desk = Desk::new(device);
        let mut random = Random(i as u64 + 40);
        let layout = Layout {
            shape: WeightShape {
                format: WeightFormat::F32,
                rows: 50,
                cols: rotated,
            },
            matrix: false,
        };
        let bytes = packed(&mut random, &layout, false);
        let width = heads * head_dim;
        let x = numbers(&mut random, rows * width, true);
        let positions: Vec<u32> = (0..rows).map(|_| random.below(50) as u32).collect();
        let mut expected = vec![0.0; x.len()];
        Scalar.rope(
            &x,
            head_dim,
            PackedTensor::new(layout, &bytes),
            &positions,
            &mut expected,
        );
        let p = [
            desk.floats(&x),
            desk.bytes(&bytes),
            desk.words(&positions, u32::to_le_bytes),
            desk.room(x.len()),
        ];
        let grid = [rows as u32, width.div_ceil(256) as u32, 1];
        desk.launch(
            Kernel::Rope,
            grid,
            0,
            &p,
            &[width as u32, head_dim as u32, rotated],
            &[],
        );
        assert_eq!(desk.numbers(p[3], x.len()), bits(&expected));
    }
}
