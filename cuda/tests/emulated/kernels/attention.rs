//! Attention over pages, and selection.

use std::sync::Arc;

use sworn_cuda::device::{Device, Kernel};
use sworn_inference::backend::{
    AttentionOut, AttentionRow, Backend, KvPage, PAGE_POSITIONS, Scalar,
};
use sworn_inference::engine::{Sampling, select};
use sworn_inference::numeric::f32_to_f16;
use sworn_inference::program::AttentionShape;
use sworn_inference::testing::Random;

use crate::desk::{Desk, numbers};
use crate::devices::on_devices;
use crate::models::bits;

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
        let scale = if i % 2 == 0 { 0.01 } else { 0.3 };
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
            // Mild scores, so that all tiles count.
            scale,
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
            &[scale],
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
    for (case, vocab) in [1usize, 31, 1024, 2500].into_iter().enumerate() {
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
