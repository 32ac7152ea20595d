//! Each kernel alone against the scalar backend: every batch size, odd sizes, special values.

use std::sync::Arc;

use sworn_cuda::device::{Device, Kernel, Launch, Params, Queue};
use sworn_inference::backend::{
    AttentionOut, AttentionRow, Backend, KvPage, MatmulInput, PAGE_POSITIONS, Quantised, Scalar,
};
use sworn_inference::engine::{Sampling, select};
use sworn_inference::format::packed::{Layout, PackedTensor};
use sworn_inference::numeric::f32_to_f16;
use sworn_inference::program::{AttentionShape, WeightFormat, WeightShape};
use sworn_inference::testing::Random;

use crate::emulator::on_devices;
use crate::models::bits;

/// A device with what a test put on it.
struct Desk<'d> {
    device: &'d dyn Device,
    queue: Box<dyn Queue + 'd>,
    used: Vec<u64>,
}

impl<'d> Desk<'d> {
    fn new(device: &'d dyn Device) -> Desk<'d> {
        Desk {
            device,
            queue: device.queue().unwrap(),
            used: Vec::new(),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let address = self.device.allocate(bytes.len().max(1) as u64).unwrap();
        self.queue.upload(address, bytes).unwrap();
        self.used.push(address);
        address
    }

    fn words<T: Copy, const N: usize>(&mut self, x: &[T], le: impl Fn(T) -> [u8; N]) -> u64 {
        let bytes: Vec<u8> = x.iter().flat_map(|x| le(*x)).collect();
        self.bytes(&bytes)
    }

    fn floats(&mut self, x: &[f32]) -> u64 {
        self.words(x, f32::to_le_bytes)
    }

    /// Room for so many words, full of NaNs.
    fn room(&mut self, words: usize) -> u64 {
        let address = self.device.allocate(words.max(1) as u64 * 4).unwrap();
        self.used.push(address);
        address
    }

    fn launch(
        &mut self,
        kernel: Kernel,
        grid: [u32; 3],
        shared: u32,
        p: &[u64],
        n: &[u32],
        f: &[f32],
    ) {
        let mut params = Params::default();
        params.p[..p.len()].copy_from_slice(p);
        params.n[..n.len()].copy_from_slice(n);
        params.f[..f.len()].copy_from_slice(f);
        let launch = Launch {
            kernel,
            grid,
            shared,
            params,
        };
        self.queue.launch(&[launch]).unwrap();
    }

    fn read(&mut self, from: u64, bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        self.queue.download(from, &mut out).unwrap();
        out
    }

    fn numbers(&mut self, from: u64, n: usize) -> Vec<u32> {
        let bytes = self.read(from, n * 4);
        let (words, _) = bytes.as_chunks::<4>();
        words
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect()
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        for address in &self.used {
            self.device.release(*address);
        }
    }
}

/// Numbers of all magnitudes; with `special` also any bit pattern, infinities and NaNs among them.
fn numbers(random: &mut Random, n: usize, special: bool) -> Vec<f32> {
    let number = |random: &mut Random| {
        let bits = random.bits() as u32;
        match (bits % 16, special) {
            (0, true) => f32::from_bits(random.bits() as u32),
            (1, true) => f32::from_bits(bits & 0x807f_ffff),
            (2, _) => 0.0,
            (3, _) => f32::from_bits(bits & 0x81ff_ffff | 0x0300_0000),
            (4, true) => (bits >> 8) as f32 * 1e30,
            _ => (random.unit() - 0.5) * 8.0,
        }
    };
    let mut x: Vec<f32> = (0..n).map(|_| number(random)).collect();
    // Some blocks of small numbers and of zeros only.
    for (i, block) in x.chunks_mut(32).enumerate() {
        match i % 11 {
            3 => block.fill(-0.0),
            5 => block.iter_mut().for_each(|x| *x *= 1e-38),
            _ => {}
        }
    }
    x
}

/// Bytes of a packed tensor. Scales are finite unless `special`.
fn packed(random: &mut Random, layout: &Layout, special: bool) -> Vec<u8> {
    if layout.shape.format == WeightFormat::F32 {
        let n = layout.bytes() / 4;
        let numbers = numbers(random, n, special);
        return numbers.into_iter().flat_map(f32::to_le_bytes).collect();
    }
    let wide = layout.shape.format == WeightFormat::Q8F;
    let mask = |i: usize| match (special, wide, i % 4) {
        (true, ..) | (_, true, 0 | 1) | (_, false, 0 | 2) => 0xff,
        _ => 0xbb,
    };
    let byte = |(i, random): (usize, u64)| random as u8 & mask(i);
    (0..layout.bytes())
        .map(|i| byte((i, random.bits())))
        .collect()
}

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

#[test]
fn attention_of_special_values() {
    on_devices(&attention_of_special_values_on);
}

fn attention_of_special_values_on(device: &dyn Device) {
    for (i, (kv_heads, per, head_dim, length, rows)) in [
        (1, 1, 8, 1, 1),
        (2, 3, 24, 130, 4),
        (1, 6, 16, 520, 3),
        (2, 4, 129, 257, 2),
        (1, 1, 256, 64, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let (mut desk, mut random) = (Desk::new(device), Random(i as u64 + 60));
        let (heads, width, special) = (kv_heads * per, kv_heads * head_dim, i % 2 == 1);
        let halves = |random: &mut Random| -> Vec<u16> {
            numbers(random, length * width, special)
                .into_iter()
                .map(f32_to_f16)
                .collect()
        };
        let (keys, values) = (halves(&mut random), halves(&mut random));
        let row = |x: &[u16], j: usize| x[j * width..][..width].to_vec();
        let mut pages = Vec::new();
        for first in (0..length).step_by(PAGE_POSITIONS) {
            let mut page = KvPage::new(kv_heads, head_dim);
            for slot in 0..PAGE_POSITIONS.min(length - first) {
                page.store(slot, &row(&keys, first + slot), &row(&values, first + slot));
            }
            pages.push(Arc::new(page));
        }
        let q = numbers(&mut random, rows * heads * head_dim, special);
        let positions: Vec<u32> = (0..rows)
            .map(|r| {
                if r == 0 {
                    length as u32 - 1
                } else {
                    random.below(length) as u32
                }
            })
            .collect();
        let shape = AttentionShape {
            heads,
            kv_heads,
            head_dim,
            scale: 0.3,
        };
        let seen: Vec<AttentionRow<'_>> = positions
            .iter()
            .map(|position| AttentionRow {
                pages: &pages,
                position: *position,
            })
            .collect();
        let (mut maxima, mut sums, mut places) = (
            vec![0.0; rows * heads],
            vec![0.0; rows * heads],
            vec![0; rows * heads],
        );
        let mut mix = vec![0.0; q.len()];
        let out = AttentionOut {
            maxima: &mut maxima,
            places: &mut places,
            sums: &mut sums,
            mix: &mut mix,
        };
        Scalar.attention(&shape, &q, &seen, out);

        // The same on the device: every position stored, then the rows.
        let tiles = length.div_ceil(256).next_power_of_two();
        let stride = tiles * 4;
        let offsets = [96, 96 + (width * PAGE_POSITIONS) as u32];
        let table: Vec<u64> = (0..stride)
            .map(|_| desk.room(width * PAGE_POSITIONS + 48))
            .collect();
        let table = desk.words(&table, u64::to_le_bytes);
        let all: Vec<u32> = (0..length as u32).collect();
        let (all, none) = (
            desk.words(&all, u32::to_le_bytes),
            desk.words(&vec![0u32; length.max(rows)], u32::to_le_bytes),
        );
        let (k, v) = (
            desk.words(&keys, u16::to_le_bytes),
            desk.words(&values, u16::to_le_bytes),
        );
        let n = [
            width as u32,
            head_dim as u32,
            stride as u32,
            offsets[0],
            0,
            offsets[1],
            0,
        ];
        desk.launch(
            Kernel::Store,
            [length as u32, width.div_ceil(256) as u32, 1],
            0,
            &[k, v, all, none, table],
            &n,
            &[],
        );
        let (pq, list) = (desk.floats(&q), desk.words(&positions, u32::to_le_bytes));
        let pairs = rows * heads;
        let (scores, bests) = (desk.room(pairs * stride * 64), desk.room(pairs * tiles * 2));
        let (tile_sums, mixes) = (
            desk.room(pairs * tiles),
            desk.room(pairs * tiles * head_dim),
        );
        let grid = [rows as u32, kv_heads as u32, tiles as u32];
        let n = |offset| {
            [
                heads as u32,
                kv_heads as u32,
                head_dim as u32,
                stride as u32,
                offset,
                0,
            ]
        };
        let shared = 256 + 16 * head_dim as u32;
        desk.launch(
            Kernel::Scores,
            grid,
            shared,
            &[pq, list, none, table, scores, bests],
            &n(offsets[0]),
            &[0.3],
        );
        let p = [scores, list, none, table, bests, tile_sums, mixes];
        desk.launch(Kernel::Mix, grid, 4 * 256 * 4 + 16, &p, &n(offsets[1]), &[]);
        let (sum, out) = (desk.room(pairs), desk.room(q.len()));
        let grid = [rows as u32, heads as u32, 1];
        let n = [heads as u32, head_dim as u32, tiles as u32];
        desk.launch(
            Kernel::Combine,
            grid,
            0,
            &[list, bests, tile_sums, mixes, sum, out],
            &n,
            &[],
        );
        assert_eq!(desk.numbers(sum, pairs), bits(&sums), "case {i}");
        assert!(desk.numbers(out, q.len()) == bits(&mix), "case {i}");
        let first = desk.numbers(bests, 2);
        assert!(
            tiles > 1 || first[0] == !places[0],
            "the place of the best score"
        );
    }
}

#[test]
fn selection_of_special_logits() {
    on_devices(&selection_of_special_logits_on);
}

fn selection_of_special_logits_on(device: &dyn Device) {
    let mut random = Random(5);
    for (case, vocab) in [1usize, 2, 31, 1000, 1024, 1025, 5000]
        .into_iter()
        .enumerate()
    {
        let mut desk = Desk::new(device);
        let mut logits = numbers(&mut random, 3 * vocab, case % 2 == 0);
        logits
            .iter_mut()
            .take(vocab)
            .for_each(|logit| *logit = (*logit).clamp(-9.0, 7.5));
        logits[2 * vocab..].fill(f32::NAN);
        let at = desk.floats(&logits);
        let best = desk.room(6);
        desk.launch(
            Kernel::Best,
            [3, 1, 1],
            256,
            &[at, best],
            &[vocab as u32],
            &[],
        );
        let found = desk.numbers(best, 6);
        for (row, logits) in logits.chunks(vocab).enumerate() {
            let greedy = Sampling {
                temperature_milli: 0,
                top_k: 0,
                top_p_ppm: 1_000_000,
                min_p_ppm: 0,
            };
            let expected = select(logits, &greedy, || 0, &mut Vec::new());
            assert_eq!(found[row * 2], expected);
            assert_eq!(found[row * 2 + 1], logits[expected as usize].to_bits());
            let best = logits[expected as usize];
            if !best.is_finite() {
                continue;
            }
            for (temperature_milli, top_k, top_p_ppm, min_p_ppm) in [
                (1000, 0, 1_000_000, 0),
                (1, 0, 1_000_000, 0),
                (10_000, 3, 1_000_000, 0),
                (2500, 0, 1, 0),
                (2500, u32::MAX, 999_999, 1_000_000),
                (3000, 40, 600_000, 30_000),
            ] {
                let sampling = Sampling {
                    temperature_milli,
                    top_k,
                    top_p_ppm,
                    min_p_ppm,
                };
                for h64 in [0, u64::MAX, random.bits()] {
                    let expected = select(logits, &sampling, || h64, &mut Vec::new());
                    let p = [
                        at + (row * vocab * 4) as u64,
                        desk.room(vocab),
                        desk.room(1),
                    ];
                    let n = [
                        vocab as u32,
                        top_k,
                        top_p_ppm,
                        min_p_ppm,
                        h64 as u32,
                        (h64 >> 32) as u32,
                    ];
                    let f = [best, temperature_milli as f32 / 1000.0];
                    desk.launch(Kernel::Choose, [1, 1, 1], 8192, &p, &n, &f);
                    assert_eq!(
                        desk.numbers(p[2], 1),
                        [expected],
                        "{vocab}, {sampling:?}, {h64:x}"
                    );
                }
            }
        }
    }
}
