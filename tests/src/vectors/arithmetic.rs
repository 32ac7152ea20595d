//! Arithmetic as bit patterns: arguments and results.

use serde_json::{Value, json};
use sworn_inference::numeric as n;

use super::{columns, hex, sample};

/// The bits of a float as the vectors write them.
pub(super) fn bits(x: f32) -> String {
    format!("0x{:08x}", x.to_bits())
}

/// Numbers that are the same in every run: SHA-256 of a name and a counter.
pub(super) struct Random {
    name: &'static str,
    counter: u32,
}

impl Random {
    pub(super) fn new(name: &'static str) -> Random {
        Random { name, counter: 0 }
    }

    fn word(&mut self) -> u32 {
        self.counter += 1;
        let bytes = sample(self.name, self.counter).0;
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    /// Any bit pattern but a NaN: those are listed apart, with the canonical one as their result.
    fn float(&mut self) -> f32 {
        loop {
            let x = f32::from_bits(self.word());
            if !x.is_nan() {
                return x;
            }
        }
    }

    /// 0 to `end - 1`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.word() as usize % end
    }

    /// Between -bound and bound.
    pub(super) fn near(&mut self, bound: f32) -> f32 {
        (self.word() as f32 / 2_147_483_648.0 - 1.0) * bound
    }
}

/// Where floats change their ways.
const SPECIAL: [u32; 26] = [
    0x0000_0000,
    0x8000_0000,
    0x0000_0001,
    0x8000_0001,
    0x007f_ffff,
    0x807f_ffff,
    0x0080_0000,
    0x8080_0000,
    0x3f80_0000,
    0xbf80_0000,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0xffc0_0000,
    0x7f80_0001,
    0xffff_ffff,
    0xc2ae_0000,
    0xc2ad_ffff,
    0xc2ae_0001,
    0xbeb1_7218,
    0xbf31_7218,
    0x3300_0000,
    0x4b00_0000,
    0xcb80_0001,
];

pub(super) fn arithmetic() -> Value {
    let mut random = Random::new("arithmetic");
    let special = SPECIAL.map(f32::from_bits);

    let mut exp_x = special.to_vec();
    exp_x.extend((0..300).map(|_| -random.near(88.0).abs()));
    exp_x.extend((0..60).map(|_| -random.near(1.0).abs()));
    exp_x.extend((0..60).map(|_| random.float()));
    // Halfway between two integers n, and next to it.
    exp_x.extend((0..126).step_by(9).flat_map(|n| {
        let x = -((n as f32 + 0.5) / std::f32::consts::LOG2_E);
        [
            x,
            f32::from_bits(x.to_bits() + 1),
            f32::from_bits(x.to_bits() - 1),
        ]
    }));

    let mut silu_x = special.to_vec();
    silu_x.extend((0..200).map(|_| random.near(90.0)));
    silu_x.extend((0..100).map(|_| random.near(4.0)));
    silu_x.extend((0..60).map(|_| random.float()));

    // To f16: the borders of clamping and of subnormals, halfway cases, and anything.
    let mut half_x = special.to_vec();
    half_x.extend(
        [
            0x477f_e000,
            0x477f_e001,
            0x477f_efff,
            0x477f_f000,
            0xc77f_f000,
            0x3880_0000,
            0x387f_ffff,
            0x3300_0001,
            0x3380_0000,
            0x33c0_0000,
            0xb300_0000,
        ]
        .map(f32::from_bits),
    );
    for _ in 0..150 {
        let h = (random.word() >> 16) as u16 & 0x7bff;
        let (low, high) = (n::f16_to_f32(h), n::f16_to_f32((h + 1).min(0x7bff)));
        let middle = low + (high - low) / 2.0;
        half_x.extend([
            middle,
            f32::from_bits(middle.to_bits().wrapping_add(1)),
            -middle,
        ]);
    }
    half_x.extend((0..100).map(|_| random.near(70_000.0)));

    let mut halves: Vec<u16> = vec![
        0, 0x8000, 1, 0x8001, 0x03ff, 0x0400, 0x3c00, 0xbc00, 0x7bff, 0xfbff, 0x7c00, 0xfc00,
        0x7e00,
    ];
    halves.extend(
        (0..200)
            .map(|_| (random.word() >> 16) as u16)
            .filter(|h| h & 0x7c00 != 0x7c00),
    );

    json!({
        "exp": { "x": list(&exp_x), "y": exp_x.iter().map(|x| bits(n::exp(*x))).collect::<Vec<_>>() },
        "silu": { "x": list(&silu_x), "y": silu_x.iter().map(|x| bits(n::silu(*x))).collect::<Vec<_>>() },
        "key": { "x": list(&special), "key": special.map(n::key) },
        "f32_to_f16": { "x": list(&half_x), "h": half_x.iter().map(|x| half(n::f32_to_f16(*x))).collect::<Vec<_>>() },
        "f16_to_f32": { "h": halves.iter().map(|h| half(*h)).collect::<Vec<_>>(), "x": halves.iter().map(|h| bits(n::f16_to_f32(*h))).collect::<Vec<_>>() },
        "inverse_root": inverse_roots(&mut random),
        "quantise": blocks(&mut random).iter().map(quantised).collect::<Vec<_>>(),
        "block_value": block_values(&mut random),
        "tile_sum": sums(&mut random),
        "rope": ropes(&mut random),
    })
}

fn list(xs: &[f32]) -> Vec<String> {
    xs.iter().map(|x| bits(*x)).collect()
}

fn half(h: u16) -> String {
    format!("0x{h:04x}")
}

fn inverse_roots(random: &mut Random) -> Value {
    let mut cases = vec![
        (0.0, 64, 1e-5),
        (0.0, 64, 0.0),
        (f32::INFINITY, 64, 1e-5),
        (f32::NAN, 64, 1e-5),
        (-1.0, 64, 1e-5),
        (f32::MAX, 1, 1e-6),
    ];
    cases.extend((0..40).map(|i| {
        (
            random.near(1000.0).abs(),
            [64, 288, 4096, 3][i % 4],
            [1e-5, 1e-6][i % 2],
        )
    }));
    let row = |(sum, count, eps)| {
        let result = n::inverse_root(sum, count, eps);
        [
            bits(sum).into(),
            count.into(),
            bits(eps).into(),
            bits(result).into(),
        ]
    };
    columns(
        ["sum", "n", "eps", "result"],
        cases.into_iter().map(row).collect(),
    )
}

fn blocks(random: &mut Random) -> Vec<[f32; 32]> {
    let with = |place: usize, x: u32| {
        let mut block = [0.25; 32];
        block[place] = f32::from_bits(x);
        block
    };
    let alone = |x: u32| {
        let mut block = [0.0; 32];
        block[31] = f32::from_bits(x);
        block
    };
    let mut blocks = vec![[0.0; 32], [-0.0; 32], [1.0; 32], [f32::MAX; 32]];
    // The smallest block that is not all zeros, and the largest that is; infinity and NaN anywhere.
    blocks.extend(
        [
            0x03ff_ffff,
            0x0400_0000,
            0x8400_0000,
            0x0400_0001,
            0x0000_0001,
            0x7f7f_ffff,
        ]
        .map(alone),
    );
    blocks.extend(
        [
            (0, 0x7f80_0000),
            (31, 0xff80_0000),
            (5, 0x7fc0_0000),
            (6, 0xffff_ffff),
            (7, 0x7f80_0001),
        ]
        .map(|(i, x)| with(i, x)),
    );
    // Halves of a step: ties to even.
    blocks.push(std::array::from_fn(|i| {
        if i == 0 { 127.0 } else { i as f32 - 15.5 }
    }));
    blocks.push(std::array::from_fn(|i| {
        if i == 0 {
            -254.0
        } else {
            2.0 * i as f32 - 31.0
        }
    }));
    blocks.extend((0..12).map(|_| std::array::from_fn(|_| random.near(3.0))));
    blocks.extend((0..6).map(|_| std::array::from_fn(|_| random.float())));
    blocks.extend((0..4).map(|_| std::array::from_fn(|_| random.near(1e-36))));
    blocks
}

fn quantised(x: &[f32; 32]) -> Value {
    let (d, q) = n::quantise_block(x);
    json!({ "x": list(x), "d": bits(d), "q": hex(&q.map(|q| q as u8)) })
}

/// `(d_w * d_x) * f32(sum of w * x)` of a block.
fn block_values(random: &mut Random) -> Vec<Value> {
    let mut case = |d_w: f32, d_x: f32, extreme: bool| {
        let mut next = || {
            if extreme {
                -127
            } else {
                n::clamp_weight((random.word() >> 24) as i8)
            }
        };
        let (w, x): ([i8; 32], [i8; 32]) = (
            std::array::from_fn(|_| next()),
            std::array::from_fn(|_| next()),
        );
        let value = n::canonical(n::block_value(d_w, d_x, n::block_dot(&w, &x)));
        json!({ "d_w": bits(d_w), "d_x": bits(d_x), "w": hex(&w.map(|w| w as u8)), "x": hex(&x.map(|x| x as u8)), "value": bits(value) })
    };
    let mut cases = vec![
        case(1.0, 1.0, true),
        case(65504.0, f32::MAX, false),
        case(f32::from_bits(0x7fc0_0000), 1.0, false),
        case(6e-8, 1e-37, false),
    ];
    cases.extend((0..10).map(|i| case(0.001 * i as f32, 0.37 / (1 + i) as f32, false)));
    cases
}

fn sums(random: &mut Random) -> Vec<Value> {
    let mut lists: Vec<Vec<f32>> = [0, 1, 2, 255, 256, 257, 600]
        .into_iter()
        .map(|count| (0..count).map(|_| random.near(100.0)).collect())
        .collect();
    lists.push(vec![-0.0; 3]);
    lists.push(vec![f32::MAX, f32::MAX, f32::NEG_INFINITY]);
    lists.push(vec![1.0, f32::INFINITY, -1.0]);
    // Order matters: a large element that cancels, over the border of a tile.
    lists.push(
        (0..300)
            .map(|i| {
                if i == 3 {
                    1e8
                } else if i == 290 {
                    -1e8
                } else {
                    0.1
                }
            })
            .collect(),
    );
    lists
        .into_iter()
        .map(|xs| {
            let sum = n::canonical(n::tile_sum(xs.iter().copied()));
            json!({ "x": list(&xs), "sum": bits(sum) })
        })
        .collect()
}

fn ropes(random: &mut Random) -> Value {
    let row = |_| {
        let [x0, x1] = [random.near(5.0), random.near(5.0)];
        let [c, s] = [random.near(1.0), random.near(1.0)];
        let (y0, y1) = n::rope_pair(x0, x1, c, s);
        [x0, x1, c, s, y0, y1].map(|x| bits(x).into())
    };
    columns(
        ["x0", "x1", "cos", "sin", "y0", "y1"],
        (0..40).map(row).collect(),
    )
}
