use super::*;
use crate::backend::simd::LANES;
use crate::numeric;

struct Halves(u16);

impl Loop for Halves {
    type Output = [u32; LANES];

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> [u32; LANES] {
        let halves: [u16; LANES] = std::array::from_fn(|i| self.0 + i as u16);
        let mut out = [[0.0; LANES]; 2];
        simd.store(simd.load_halves(&halves), &mut out[0]);
        let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        simd.store(
            simd.load_half_bytes(bytes.first_chunk().unwrap()),
            &mut out[1],
        );
        assert_eq!(out[0].map(f32::to_bits), out[1].map(f32::to_bits));
        out[0].map(|x| canonical(x).to_bits())
    }
}

#[test]
fn halves_equal_their_definition() {
    for isa in Isa::all() {
        for first in (0..=0xfff0u16).step_by(LANES) {
            let expected =
                std::array::from_fn(|i| canonical(numeric::f16_to_f32(first + i as u16)).to_bits());
            assert_eq!(isa.run(Halves(first)), expected, "{}", isa.name());
        }
    }
}

struct Dots([[u8; 64]; 8], [[i8; 4]; 8]);

impl Loop for Dots {
    type Output = [[f32; LANES]; 2];

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> [[f32; LANES]; 2] {
        let sum: i32 = self.1.as_flattened().iter().map(|x| i32::from(*x)).sum();
        let x = self.1.map(|x| [x]);
        let bytes = simd.dot_bytes([&self.0], &x, &[-128 * sum]);
        let nibbles = self.0.first_chunk().unwrap();
        let nibbles = simd.dot_nibbles([nibbles], &x, &[-8 * sum]);
        let mut out = [[0.0; LANES]; 2];
        simd.store(simd.to_float(bytes[0][0]), &mut out[0]);
        simd.store(simd.to_float(nibbles[0][0]), &mut out[1]);
        out
    }
}

#[test]
fn dots_are_exact_at_the_extremes() {
    for isa in Isa::all() {
        for x in [[127; 4], [-127; 4], [127, -127, 1, 0], [-1, 2, -3, 4]] {
            for bytes in [
                [255; 64],
                [0; 64],
                [1; 64],
                std::array::from_fn(|i| (i * 37) as u8),
            ] {
                let found = isa.run(Dots([bytes; 8], [x; 8]));
                for lane in 0..LANES {
                    let dot = |f: fn(u8) -> i32| -> i32 {
                        (0..4)
                            .map(|j| f(bytes[4 * lane + j]) * i32::from(x[j]))
                            .sum()
                    };
                    let expected = [
                        8 * dot(|b| i32::from(b) - 128),
                        4 * dot(|b| i32::from(b & 15) - 8) + 4 * dot(|b| i32::from(b >> 4) - 8),
                    ];
                    assert_eq!(
                        found.map(|row| row[lane]),
                        expected.map(|dot| dot as f32),
                        "{}",
                        isa.name()
                    );
                }
            }
        }
    }
}

#[test]
fn elements_equal_their_definitions() {
    let borders = [
        0u32,
        1,
        EXP_MIN,
        EXP_MIN + 1,
        0x8000_0000,
        0x8000_0001,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0000,
        0xffc0_0000,
    ];
    let all = (0..=u32::MAX)
        .step_by(397)
        .chain(borders)
        .chain((0xc000_0000..EXP_MIN).step_by(5));
    let x: Vec<f32> = all.map(f32::from_bits).collect();
    for isa in Isa::all() {
        let mut out = vec![(0.0, 0.0); x.len()];
        isa.each(
            #[inline(always)]
            || {
                for (x, out) in x.iter().zip(&mut out) {
                    *out = (exp(*x), silu(*x));
                }
            },
        );
        for (x, out) in x.iter().zip(&out) {
            assert_eq!(out.0.to_bits(), numeric::exp(*x).to_bits(), "exp {x:e}");
            assert_eq!(out.1.to_bits(), numeric::silu(*x).to_bits(), "silu {x:e}");
        }
    }
}

#[test]
fn the_best_is_the_first_of_the_highest() {
    let mut logits: Vec<f32> = (0..3000u32)
        .map(|i| f32::from_bits(i.wrapping_mul(2_654_435_761)))
        .collect();
    logits.extend([f32::NAN, -f32::NAN, f32::INFINITY, -0.0, 0.0]);
    logits.extend_from_within(..);
    for first in (0..logits.len()).step_by(7) {
        for end in [
            first + 1,
            first + 255,
            first + 256,
            first + 257,
            logits.len(),
        ] {
            let logits = &logits[first..end.min(logits.len())];
            let keys = logits.iter().map(|logit| numeric::selection_key(*logit));
            let highest = keys.clone().max();
            let expected = keys.clone().position(|key| Some(key) == highest);
            for isa in Isa::all() {
                assert_eq!(Some(best_with(isa, logits)), expected, "{}", isa.name());
            }
        }
    }
    assert_eq!(best(&[f32::NAN; 3]), 0);
}

#[test]
fn masses_equal_their_definition() {
    let logits: Vec<f32> = (0..=u32::MAX).step_by(4099).map(f32::from_bits).collect();
    let mut out = vec![1; 3];
    for (best, temperature) in [(0.0, 1000), (3.25, 1), (-7.5, 10_000), (f32::MAX, 800)] {
        let mass = |logit: &f32| numeric::mass(*logit, best, temperature);
        let expected: Vec<u32> = logits.iter().map(mass).collect();
        for isa in Isa::all() {
            masses_with(isa, &logits, best, temperature, &mut out);
            let wrong = (0..logits.len()).find(|i| out[*i] != expected[*i]);
            assert_eq!(wrong.map(|i| logits[i]), None, "{}", isa.name());
        }
    }
}

#[test]
fn blocks_equal_their_definition() {
    let mut state = 1u32;
    let mut blocks = Vec::new();
    for round in 0..20_000u32 {
        let x: [f32; 32] = std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match round % 4 {
                0 => f32::from_bits(state),
                1 => f32::from_bits(state & 0x81ff_ffff | 0x0300_0000),
                2 => f32::from_bits(state & 0x83ff_ffff | 0x3c00_0000),
                _ => (state >> 24) as f32 - 127.5,
            }
        });
        blocks.push(x);
    }
    // Largest numbers at the borders of what is quantised.
    for bits in [
        0x03ff_ffff,
        0x0400_0000,
        0x0400_0001,
        0x7f7f_ffff,
        0x7f80_0000,
        0x7f80_0001,
    ] {
        for sign in [0, 0x8000_0000] {
            let mut x = [0.0; 32];
            x[17] = f32::from_bits(bits | sign);
            blocks.push(x);
        }
    }
    for isa in Isa::all() {
        for n in [1, 15, 16, 17, blocks.len()] {
            let (mut scales, mut quants) = (vec![1.0; n], vec![[1; 32]; n]);
            isa.run(Quantise {
                x: &blocks[..n],
                scales: &mut scales,
                quants: &mut quants,
            });
            for (i, block) in blocks[..n].iter().enumerate() {
                let (expected, expected_quants) = numeric::quantise_block(block);
                assert_eq!(scales[i].to_bits(), expected.to_bits(), "{}", isa.name());
                assert_eq!(quants[i], expected_quants, "{}", isa.name());
            }
        }
    }
}

#[test]
fn halves_of_all_numbers_equal_their_definition() {
    let x: Vec<f32> = (0..=u32::MAX).step_by(2039).map(f32::from_bits).collect();
    for isa in Isa::all() {
        let mut out = vec![0; x.len()];
        isa.each(
            #[inline(always)]
            || {
                for (x, out) in x.iter().zip(&mut out) {
                    *out = to_half(*x);
                }
            },
        );
        for (x, half) in x.iter().zip(&out) {
            assert_eq!(*half, numeric::f32_to_f16(*x), "{x:e}");
        }
    }
}

#[test]
fn sums_of_squares_equal_their_definition() {
    let x: Vec<f32> = (0..30_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e7 - 0.8)
        .collect();
    for isa in Isa::all() {
        for n in [1, 31, 255, 256, 257, 288, 768, 1025, 1500] {
            for rows in [1, 2, 7, 8, 9, 16, 17]
                .into_iter()
                .filter(|rows| rows * n <= x.len())
            {
                let mut out = vec![0.0; rows];
                isa.each(
                    #[inline(always)]
                    || square_sums(&x[..rows * n], n, &mut out),
                );
                for (x, sum) in x.chunks_exact(n).zip(&out) {
                    let expected = numeric::tile_sum(x.iter().map(|x| x * x));
                    assert_eq!(sum.to_bits(), expected.to_bits(), "{n}, {}", isa.name());
                }
            }
        }
    }
}
