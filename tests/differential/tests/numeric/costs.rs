//! Gas of the functions: what a step of a dispute may cost rests on it.

use sworn_differential::compare::Harness;
use sworn_differential::vectors::Rng;
use sworn_inference::numeric as cpu;

/// Name, number in the harness's `costs`, and the most gas that a mean call may take.
const LIMITS: [(&str, u32, f64); 9] = [
    ("add", 1, 380.0),
    ("mul", 2, 285.0),
    ("div", 3, 275.0),
    ("sqrt", 4, 280.0),
    ("exp", 5, 1_750.0),
    ("silu", 6, 2_700.0),
    ("mass", 7, 2_500.0),
    ("fromHalf", 8, 170.0),
    ("toHalf", 9, 190.0),
];

#[test]
fn costs_of_ordinary_operands() {
    let mut rng = Rng(7);
    let mut harness = Harness::new();
    let ordinary: Vec<(u32, u32)> = (0..512)
        .map(|_| (rng.normal().abs().to_bits(), rng.normal().to_bits()))
        .collect();
    let negative: Vec<(u32, u32)> = (0..512)
        .map(|_| ((-rng.unit() * 18.0).to_bits(), 0.5f32.to_bits()))
        .collect();
    for (name, number, limit) in LIMITS {
        let operands = if (5..=7).contains(&number) {
            &negative
        } else {
            &ordinary
        };
        let gas = harness.cost(number, operands);
        println!("{name:>10} {gas:7.1} gas");
        assert!(gas <= limit, "{name} takes {gas} gas, more than {limit}");
    }
}

/// Name, number in the harness's `sums`, elements, and the most gas of one: with the harness's loop, about 1,000.
const TILES: [(&str, u32, usize, f64); 9] = [
    ("add", 0, 256, 81000.0),
    ("addBig", 1, 256, 78000.0),
    ("dot", 2, 256, 112000.0),
    ("squares", 3, 256, 112000.0),
    ("dotHalf", 4, 256, 119000.0),
    ("addPairs", 5, 256, 144000.0),
    ("tileQ8", 6, 8, 11_000.0),
    ("tileQ8F", 7, 8, 11_000.0),
    ("tileQ4", 8, 8, 11_800.0),
];

#[test]
fn costs_of_full_tiles() {
    let mut rng = Rng(8);
    let mut harness = Harness::new();
    for (name, number, elements, limit) in TILES {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let half = |rng: &mut Rng| cpu::f32_to_f16(rng.normal());
        let tiles = 16;
        for _ in 0..tiles {
            match number {
                0 | 2 | 3 => (0..256).for_each(|_| a.extend(rng.normal().to_le_bytes())),
                1 => (0..256).for_each(|_| a.extend(rng.normal().to_be_bytes())),
                4 => (0..256).for_each(|_| a.extend(half(&mut rng).to_le_bytes())),
                5 => (0..256).for_each(|_| {
                    a.extend(rng.unit().to_be_bytes());
                    a.extend(half(&mut rng).to_be_bytes());
                }),
                7 => {
                    (0..8).for_each(|_| a.extend(rng.normal().to_le_bytes()));
                    a.extend(rng.bytes(256));
                }
                _ => {
                    (0..8).for_each(|_| a.extend(half(&mut rng).to_le_bytes()));
                    a.extend(rng.bytes(if number == 6 { 256 } else { 128 }));
                }
            }
            if number >= 6 {
                (0..8).for_each(|_| b.extend(rng.normal().to_le_bytes()));
                b.extend(rng.bytes(256));
            } else {
                (0..256).for_each(|_| b.extend(rng.normal().to_le_bytes()));
            }
        }
        let strides = (a.len() / tiles, b.len() / tiles);
        let (_, gas) = harness
            .sums(number, (a, strides.0), (b, strides.1), elements, 0)
            .expect("a total function");
        println!("{name:>10} {gas:9.1} gas");
        assert!(
            gas <= limit,
            "a tile of {name} takes {gas} gas, more than {limit}"
        );
    }
}
